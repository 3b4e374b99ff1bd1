"""Many models beside each other, by joblib's backends: same bits, and threads that do not fight."""

import os
from typing import Any

import joblib
import numpy as np
import pytest
from dask.distributed import Client, LocalCluster

import rnn_engine
from rnn_engine import layers
from rnn_engine.kernels import threads
from tests.kernels.process import run


def train(number: int) -> tuple[int, list[np.ndarray], int]:
    """Train one model on one series."""
    rnn_engine.utils.set_random_seed(number)
    model = rnn_engine.Sequential([layers.Input((5, 1)), layers.GRU(3), layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(number).normal(size=(20, 5, 1))
    model.fit(x, x.mean(axis=1), epochs=2, verbose=0)
    return os.getpid(), model.get_weights(), rnn_engine.get_num_threads()


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RNN_ENGINE_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def check(found: Any, processes: bool = True) -> None:
    for number, (pid, weights, count) in enumerate(found):
        _, want, _ = train(number)
        for a, b in zip(weights, want, strict=True):
            np.testing.assert_array_equal(a, b)
        if processes:
            assert pid != os.getpid()
            assert count == max(1, (os.cpu_count() or 1) // 2)


def test_loky() -> None:
    check(joblib.Parallel(n_jobs=2)(joblib.delayed(train)(i) for i in range(4)))
    joblib.externals.loky.get_reusable_executor().shutdown()


def test_threads() -> None:
    found = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(train)(i) for i in range(4))
    check(found, processes=False)


def test_dask() -> None:
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        found = joblib.Parallel()(joblib.delayed(train)(i) for i in range(3))
    check(found, processes=False)
    assert os.getpid() not in {pid for pid, _, _ in found}
    assert {count for _, _, count in found} == {1}


@pytest.mark.parametrize(
    ("variables", "most"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"NUMBA_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"OMP_NUM_THREADS": "3", "NUMBA_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": ""}, 8),
        ({"OMP_NUM_THREADS": "many"}, 8),
        ({"OMP_NUM_THREADS": "-1"}, 8),
        ({"OMP_NUM_THREADS": "0"}, 8),
        ({"OMP_NUM_THREADS": "9" * 40}, 8),
    ],
)
def test_what_the_environment_says_of_threads(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], most: int
) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert threads.default_threads() == most


def test_a_process_begins_with_what_the_environment_says() -> None:
    count = "import rnn_engine; print(rnn_engine.get_num_threads())"
    assert run(count, OMP_NUM_THREADS="1") == "1\n"
    assert run(count, OMP_NUM_THREADS="1", RNN_ENGINE_NUM_THREADS="3") == "3\n"
