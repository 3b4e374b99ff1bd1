"""timeseries_dataset_from_array against Keras's tf.data pipeline."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.utils import timeseries_dataset_from_array

keras = pytest.importorskip("keras")


def same(ours, theirs):
    if isinstance(ours, tuple):
        assert len(ours) == len(theirs) == 2
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
        return
    theirs = np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@given(
    length=st.integers(4, 30),
    features=st.sampled_from([(), (2,), (2, 3)]),
    targets=st.sampled_from([None, "equal", "short"]),
    sequence_length=st.integers(1, 6),
    stride=st.integers(1, 3),
    rate=st.integers(1, 3),
    batch_size=st.sampled_from([None, 1, 4, 128]),
    bounds=st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from([None, 1, 2])),
    dtype=st.sampled_from(["float32", "float64", "int32"]),
)
def test_is_keras(
    length, features, targets, sequence_length, stride, rate, batch_size, bounds, dtype
):
    data = np.arange(length * int(np.prod(features)), dtype=dtype).reshape(length, *features)
    start, back = bounds
    end = None if back is None else length - back
    if end is not None and end <= (start or 0):
        end = None
    y = None if targets is None else np.arange(length, dtype="float32") * 10
    if targets == "short" and not start:
        y = y[: length // 2]
    arguments = (sequence_length, stride, rate, batch_size, False, None, start, end)
    ours = timeseries_dataset_from_array(data, y, *arguments)
    theirs = list(keras.utils.timeseries_dataset_from_array(data, y, *arguments))
    batches = list(ours)
    assert len(ours) == len(batches) == len(theirs)
    for a, b in zip(batches, theirs, strict=True):
        same(a, b)
    for a, b in zip(ours, batches, strict=True):  # it can be iterated again
        same(a, b)


def test_by_hand():
    data = np.arange(10)
    dataset = timeseries_dataset_from_array(
        data, data * 100, sequence_length=3, sequence_stride=2, sampling_rate=2, start_index=1
    )
    ((x, y),) = dataset
    np.testing.assert_array_equal(x, [[1, 3, 5], [3, 5, 7], [5, 7, 9]])
    np.testing.assert_array_equal(y, [100, 300, 500])
    assert dataset.num_windows == 3


def test_shuffle():
    data = np.arange(100.0)

    def order(dataset):
        return np.concatenate([x[:, 0] for x, _ in dataset])

    def make(seed):
        return timeseries_dataset_from_array(data, -data, 4, batch_size=8, shuffle=True, seed=seed)

    first = make(3)
    for x, y in first:
        np.testing.assert_array_equal(x[:, 0], -y)
        np.testing.assert_array_equal(np.diff(x, axis=1), 1)
    first, again, other = make(3), make(3), make(4)
    one = order(first)
    np.testing.assert_array_equal(np.sort(one), np.arange(97))
    np.testing.assert_array_equal(one, order(again))
    two = order(first)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(two, order(again))
    assert not np.array_equal(one, order(other))


def test_memory_map_and_lists(tmp_path):
    path = tmp_path / "series.dat"
    np.arange(50, dtype="float32").tofile(path)
    series = np.memmap(path, dtype="float32", mode="r")
    mapped = timeseries_dataset_from_array(series, None, 5, batch_size=7)
    plain = timeseries_dataset_from_array(list(range(50)), None, 5, batch_size=7)
    for a, b in zip(mapped, plain, strict=True):
        np.testing.assert_array_equal(a, b)
        a[:] = 0  # a batch is a copy
    assert series[1] == 1


def test_too_short_a_series_yields_nothing():
    dataset = timeseries_dataset_from_array(np.arange(5), None, 6)
    assert len(dataset) == 0
    assert list(dataset) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_index": -1}, "`start_index` must be 0 or greater. Received: start_index=-1"),
        ({"start_index": 10}, "start_index"),
        ({"end_index": 10}, "`end_index` must be lower than the length"),
        ({"end_index": -1}, "end_index"),
        (
            {"start_index": 5, "end_index": 5},
            "`end_index` must be higher than `start_index`. Received: start_index=5",
        ),
        ({"sampling_rate": 0}, "`sampling_rate` must be higher than 0"),
        ({"sampling_rate": 10}, "`sampling_rate` must be lower than the length of the data"),
        ({"sequence_stride": 0}, "`sequence_stride` must be higher"),
        ({"sequence_stride": 10}, "`sequence_stride` must be lower"),
        ({"format": "numpy"}, "format must be"),
    ],
)
def test_bad_arguments_as_in_keras(arguments, message):
    data = np.arange(10)
    with pytest.raises(ValueError, match=message):
        timeseries_dataset_from_array(data, None, 3, **arguments)
    with pytest.raises(ValueError, match=next(iter(arguments)) if len(arguments) == 1 else "end"):
        keras.utils.timeseries_dataset_from_array(data, None, 3, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be higher than 0"),
        ({"sequence_length": 0}, "`sequence_length` must be higher than 0"),
        ({"data": 3.0}, "time axis"),
        ({"targets": np.arange(7), "start_index": 2}, "must reach index 7"),
    ],
)
def test_bad_arguments_where_keras_fails_later(arguments, message):
    with pytest.raises(ValueError, match=message):
        timeseries_dataset_from_array(
            **{"data": np.arange(10), "targets": None, "sequence_length": 3, **arguments}
        )
