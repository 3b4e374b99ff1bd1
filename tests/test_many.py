"""`fit_many` gives the bits of the serial run, at any number of workers."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnn_engine
from benchmarks import many as benchmark
from rnn_engine import fit_many, layers

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(5)
SETS = [(RNG.normal(size=(40, 6, 1)), RNG.normal(size=(40, 1))) for _ in range(7)]


def build() -> Any:
    """Draws from every stream that a seed settles."""
    units = 3 + random.randrange(2)
    rate = float(np.random.uniform(0.001, 0.01))  # noqa: NPY002  # as users do
    model = rnn_engine.Sequential(
        [layers.SimpleRNN(units, input_shape=(6, 1)), layers.Dropout(0.3), layers.Dense(1)]
    )
    model.compile(rnn_engine.optimizers.Adam(rate), "mse")
    return model


def failing() -> Any:
    if np.random.uniform() < 2:  # noqa: NPY002
        raise RuntimeError("no model today")


def bits(model: Any) -> Any:
    return [w.tobytes() for w in model.get_weights()], model.history.history


def serial(**options: Any) -> list[Any]:
    found = []
    for i, (x, y) in enumerate(SETS):
        rnn_engine.utils.set_random_seed(11 + i)
        model = build()
        model.fit(x, y, verbose=0, **options)
        found.append(bits(model))
    return found


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_bits_of_the_serial_run(workers: int) -> None:
    options: dict[str, Any] = {"epochs": 2, "batch_size": 16}
    wanted = serial(**options)
    models = fit_many(build, SETS, seed=11, workers=workers, **options)
    assert [bits(model) for model in models] == wanted
    assert len({weights[0] for weights, _ in wanted}) == len(SETS)


def test_models_of_processes_are_whole(tmp_path: Any) -> None:
    models = fit_many(build, dict(zip("abcdefg", SETS, strict=True)), workers=2)
    assert list(models) == list("abcdefg")
    model, (x, y) = models["c"], SETS[2]
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=20, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    model.save(tmp_path / "c.keras")
    assert len(model.history.epoch) == 20


def test_streams_of_the_program_are_left_alone() -> None:
    def next_ones() -> Any:
        return random.random(), np.random.uniform(), rnn_engine.random.normal((2,)).tolist()  # noqa: NPY002

    rnn_engine.utils.set_random_seed(3)
    wanted = next_ones()
    rnn_engine.utils.set_random_seed(3)
    fit_many(build, SETS[:2], workers=1)
    fit_many(build, SETS[:2], workers=2)
    assert next_ones() == wanted


def test_arguments_of_a_data_set() -> None:
    x, y = SETS[0]
    weight = np.arange(40.0)
    options = {"x": x, "y": y, "sample_weight": weight, "epochs": 3}
    plain, by_name = fit_many(build, [(x, y, weight)], epochs=3), fit_many(build, [options])
    assert bits(plain[0]) == bits(by_name[0])
    assert bits(plain[0]) != bits(fit_many(build, [(x, y)], epochs=3)[0])
    assert len(fit_many(build, [options], epochs=1)[0].history.epoch) == 3
    assert fit_many(build, []) == []
    assert fit_many(build, (data for data in SETS[:2]), workers=1)[1].built


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_names_the_data_set(workers: int) -> None:
    good, bad = SETS[0], (SETS[1][0], SETS[1][1][:5])
    with pytest.raises(ValueError, match="cardinality") as caught:
        fit_many(build, {"good": good, "bad": bad}, workers=workers)
    assert "fit_many: this was data set 'bad'." in caught.value.__notes__
    with pytest.raises(RuntimeError, match="no model today"):
        fit_many(failing, [good, good], workers=workers)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, SETS), TypeError, "build must be a function"),
        ((build, [SETS[0][0]]), ValueError, "Data set 0 must be"),
        ((build, {"k": "xy"}), ValueError, "Data set 'k' must be"),
    ],
)
def test_wrong_arguments(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        fit_many(*arguments)


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("seed", 2**32 - 1), ("seed", 1.5),
                                             ("workers", 0), ("workers", True)])  # fmt: skip
def test_numbers_out_of_range(name: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=f"{name} must be"):
        fit_many(build, SETS, **{name: value})


def test_what_cannot_be_sent_to_a_process_is_told_before_one_begins() -> None:
    """The pool of processes waits for ever for what it finds to be unpicklable itself."""
    program = (
        "from tests.test_many import SETS, build\n"
        "import rnn_engine\n"
        "sets = [(x, y, (i for i in [])) for x, y in SETS]\n"
        "try:\n    rnn_engine.fit_many(build, sets, workers=2)\n"
        "except TypeError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert "cannot pickle 'generator'" in done.stdout, done.stderr


def test_data_that_are_no_sets_are_named() -> None:
    with pytest.raises(TypeError, match="datasets must be"):
        fit_many(build, 5)


def test_other_ways_to_start_a_process(tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "import rnn_engine\n"
        "from tests.test_many import SETS, build\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.set_start_method('spawn')\n"
        "    one, two = (rnn_engine.fit_many(build, SETS, workers=n) for n in (1, 2))\n"
        "    for a, b in zip(one, two, strict=True):\n"
        "        assert all((v == w).all() for v, w in zip(a.get_weights(), b.get_weights()))\n"
        "    print(len(two))\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=300,
        env={**__import__("os").environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr


def test_the_benchmark_runs(capsys: Any) -> None:
    assert benchmark.main(["--models", "3", "--rounds", "1", "--no-peers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "rnn_engine, in turn", "rnn_engine, threads", "rnn_engine, fit_many",
    ]  # fmt: skip
    losses = [float(line.split("|")[-2]) for line in lines[2:]]
    assert losses[0] == losses[1] == losses[2]
    with pytest.raises(SystemExit):
        benchmark.main(["--models", "0"])
