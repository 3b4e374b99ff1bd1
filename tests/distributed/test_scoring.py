"""Dask's collections and Ray's batches through a model, by workers that may be killed."""

import importlib.util
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster

import rnn_engine
from rnn_engine import layers
from rnn_engine.distributed import BatchPredictor, predict, shipping, to_bytes


def make(*, sequences: bool = False, steps: int | None = 6) -> Any:
    rnn_engine.utils.set_random_seed(3)
    inner = [layers.GRU(4, return_sequences=sequences), layers.Dense(2, "tanh")]
    return rnn_engine.Sequential([layers.Input((steps, 3)), *inner])


X = np.random.default_rng(0).normal(size=(57, 6, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        dask.config.set({"distributed.logging.distributed": "critical"}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
            memory_limit="1GiB",
        ) as cluster,
        Client(cluster) as found,
    ):  # fmt: skip
        yield found


# --- without workers ------------------------------------------------------------------


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("chunks", [(57, 6, 3), (10, 2, 3), ((1, 50, 6), 3, 2)])
def test_arrays_have_the_bits_of_predict(sequences: bool, chunks: Any) -> None:
    model = make(sequences=sequences)
    want = model.predict(X, verbose=0)
    found = predict(model, da.from_array(X, chunks=chunks), batch_size=7)
    assert found.shape == want.shape
    assert found.dtype == want.dtype
    got = found.compute(scheduler="sync")
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(found[3:9].compute(scheduler="sync"), want[3:9])


def test_nothing_is_computed_before_it_is_wanted() -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise AssertionError("computed")

    source = da.from_array(X, chunks=(10, 6, 3)).map_blocks(
        fail, dtype="f4", meta=np.empty((0, 0, 0), "f4")
    )
    found = predict(make(), source)
    with pytest.raises(AssertionError, match="computed"):
        found.compute(scheduler="sync")


def test_a_file_is_read_once_and_scores_alike(tmp_path: Path) -> None:
    model = make()
    for name in ("model.npz", "model.keras"):
        path = tmp_path / name
        model.save(path)
        found = predict(path, da.from_array(X, chunks=(20, 6, 3)))
        path.unlink()
        np.testing.assert_array_equal(found.compute(scheduler="sync"), model.predict(X, verbose=0))


def test_rows_of_unknown_number() -> None:
    array = da.from_array(X, chunks=(10, 6, 3))
    some = array[da.from_array(X[:, 0, 0] > 0, chunks=10)]
    found = predict(make(), some).compute(scheduler="sync")
    np.testing.assert_array_equal(found, make().predict(X[X[:, 0, 0] > 0], verbose=0))


def test_chunks_without_rows() -> None:
    model = make()
    want = model.predict(X, verbose=0)
    x = da.concatenate(
        [da.from_array(X[:0], chunks=(1, 6, 3)), da.from_array(X, chunks=(30, 6, 3))]
    )
    found = predict(model, x.rechunk(((0, 30, 27), 6, 3)))
    np.testing.assert_array_equal(found.compute(scheduler="sync"), want)


def test_frames_of_numbers_and_of_arrays() -> None:
    want = make().predict(X, verbose=0)
    index = pd.Index(np.arange(57) * 2, name="id")
    flat = pd.DataFrame(X.reshape(57, 18), index=index, columns=[f"c{i}" for i in range(18)])
    nested = pd.DataFrame({"window": list(X)}, index=index)
    with dask.config.set({"dataframe.convert-string": False}):
        for frame in (flat, nested):
            found = predict(make(), dd.from_pandas(frame, npartitions=4)).compute(scheduler="sync")
            assert list(found.columns) == ["output_0", "output_1"]
            assert found.index.equals(index)
            np.testing.assert_array_equal(found.to_numpy(), want)
    empty = dd.from_pandas(flat, npartitions=3)
    none = predict(make(), empty[empty.c0 > 1e9]).compute(scheduler="sync")
    assert none.shape == (0, 2)
    assert (none.dtypes == np.float32).all()


def test_bad_input_is_named() -> None:
    model = make()
    with pytest.raises(TypeError, match="collection must be a Dask array"):
        predict(model, X)
    with pytest.raises(TypeError, match="model must be"):
        predict(3, da.from_array(X))
    with pytest.raises(ValueError, match="not yet been built"):
        predict(rnn_engine.Sequential([layers.GRU(2)]), da.from_array(X))
    frame = dd.from_pandas(pd.DataFrame(X.reshape(57, 18)), npartitions=2)
    with pytest.raises(ValueError, match="18 numbers"):
        predict(make(steps=5), frame)
    with pytest.raises(ValueError, match="shape"):
        predict(model, da.zeros((5, 6, 4)))
    with pytest.raises(ValueError, match="batch_size"):
        predict(model, da.from_array(X), batch_size=0)
    stateful = rnn_engine.Sequential(
        [layers.Input(batch_shape=(57, 6, 3)), layers.GRU(2, stateful=True)]
    )
    x = layers.Input(batch_shape=(57, 6, 3))
    for model in (stateful, rnn_engine.Model(x, layers.Dense(1)(stateful(x)))):
        with pytest.raises(ValueError, match="The model is stateful"):
            predict(model, da.from_array(X))
    a = layers.Input((6, 3))
    two = rnn_engine.Model(a, [layers.GRU(2)(a), layers.GRU(2)(a)])
    with pytest.raises(ValueError, match="1 and 2"):
        predict(two, da.from_array(X))


# --- workers ----------------------------------------------------------------------------


def test_workers_listen_on_loopback_and_have_one_thread(client: Client) -> None:
    info = client.scheduler_info(n_workers=-1)
    addresses = [info["address"], *info["workers"]]
    assert all("127.0.0.1" in address for address in addresses)

    def threads() -> int:
        import rnn_engine

        return rnn_engine.get_num_threads()

    kept = os.environ.pop("RNN_ENGINE_NUM_THREADS", None)
    assert set(client.run(threads).values()) == {1}
    if kept is not None:
        os.environ["RNN_ENGINE_NUM_THREADS"] = kept


def test_workers_load_the_model_once_and_never_unpickle_it(client: Client) -> None:
    model = make()
    found = predict(model, da.from_array(X, chunks=(3, 6, 3)))
    np.testing.assert_array_equal(found.compute(), model.predict(X, verbose=0))
    data = pickle.dumps(found.__dask_graph__())
    assert b"rnn_engine.sequential" not in data  # the class of a pickled model
    assert to_bytes(model)[:2] == b"PK"

    def loaded() -> int:
        from rnn_engine.distributed import shipping

        return len(shipping._LOADED)

    assert set(client.run(loaded).values()) <= {0, 1}
    assert 1 in client.run(loaded).values()


def test_a_killed_worker_loses_nothing(client: Client, tmp_path: Path) -> None:
    flag = tmp_path / "killed"

    def die_once(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block.size and not flag.exists() and block_info[0]["chunk-location"][0] == 4:
            flag.touch()
            os.kill(os.getpid(), 9)
        return block

    source = da.from_array(X, chunks=(5, 6, 3)).map_blocks(
        die_once, dtype="f4", meta=np.empty((0, 0, 0), "f4")
    )
    found = predict(make(), source)
    np.testing.assert_array_equal(found.compute(), make().predict(X, verbose=0))
    assert flag.exists()


# --- batches ----------------------------------------------------------------------------


def test_batches_of_dicts_and_arrays() -> None:
    data = to_bytes(make())
    want = make().predict(X, verbose=0)
    np.testing.assert_array_equal(BatchPredictor(data)(X), want)
    score = pickle.loads(pickle.dumps(BatchPredictor(data, "w", output="y", batch_size=5)))
    batch = score({"w": X, "id": np.arange(57)})
    assert list(batch) == ["w", "id", "y"]
    np.testing.assert_array_equal(batch["y"], want)
    nested = np.empty(57, object)
    nested[:] = list(X)
    np.testing.assert_array_equal(score({"w": nested})["y"], want)
    np.testing.assert_array_equal(score({"w": X[:0]})["y"], want[:0])
    with pytest.raises(ValueError, match="the column 'w', got \\['x'\\]"):
        score({"x": X})


def test_damaged_models_are_refused() -> None:
    data = to_bytes(make())
    with pytest.raises(ValueError, match="damaged"):
        BatchPredictor(data[: len(data) // 2])


def test_few_models_are_kept() -> None:
    for units in range(1, 6):
        model = rnn_engine.Sequential([layers.Input((6, 3)), layers.GRU(units)])
        predict(model, da.from_array(X)).compute(scheduler="sync")
    assert len(shipping._LOADED) == shipping._MOST


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray, not in any extra")
@pytest.mark.filterwarnings("ignore")  # Ray's own, of itself
def test_ray_data() -> None:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    try:
        found = ray.data.from_numpy(X).map_batches(
            BatchPredictor, fn_constructor_args=[to_bytes(make()), "data"], concurrency=1
        )
        got = np.stack([row["output"] for row in found.take_all()])
    finally:
        ray.shutdown()
    np.testing.assert_array_equal(got, make().predict(X, verbose=0))
