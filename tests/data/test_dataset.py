"""`data.Dataset` against TensorFlow's: order, shapes, types, lengths."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import rnn_engine as keras

X = np.arange(14, dtype="float32").reshape(7, 2)
Y = np.arange(7, dtype="int32")


def plain(element: Any) -> Any:
    """Return an element as lists, with the types in it."""
    if isinstance(element, tuple):
        return tuple(plain(part) for part in element)
    if isinstance(element, dict):
        return {key: plain(part) for key, part in element.items()}
    if hasattr(element, "cardinality"):
        return [plain(part) for part in element]
    array = np.asarray(element)
    return array.dtype.name, array.tolist()


def counted() -> Any:
    for i in range(4):
        yield i, [i, i + 0.5]


PIPELINES: dict[str, Callable[[Any], Any]] = {
    "slices": lambda d: d.from_tensor_slices(X),
    "pairs": lambda d: d.from_tensor_slices((X, Y)),
    "dicts": lambda d: d.from_tensor_slices(({"a": X, "b": Y}, Y)),
    "lists": lambda d: d.from_tensor_slices([1, 2, 3]),
    "lists of floats": lambda d: d.from_tensor_slices([[1.0, 2.0], [3.0, 4.0]]),
    "tensors": lambda d: d.from_tensors((X, Y)),
    "range": lambda d: d.range(2, 11, 3),
    "batch": lambda d: d.from_tensor_slices((X, Y)).batch(3),
    "batch, no rest": lambda d: d.from_tensor_slices((X, Y)).batch(3, drop_remainder=True),
    "unbatch": lambda d: d.from_tensor_slices((X, Y)).batch(3).unbatch(),
    "map": lambda d: d.from_tensor_slices((X, Y)).map(lambda x, y: (x + 1, y * 2)),
    "map to dicts": lambda d: d.range(3).map(lambda n: {"n": n, "twice": 2 * n}),
    "map in parallel": lambda d: d.range(3).map(lambda n: n * n, num_parallel_calls=-1),
    "filter": lambda d: d.range(9).filter(lambda n: n % 3 == 0),
    "take": lambda d: d.range(9).take(4),
    "take all": lambda d: d.range(3).take(-1),
    "skip": lambda d: d.range(9).skip(4),
    "skip past the end": lambda d: d.range(3).skip(5),
    "repeat": lambda d: d.range(3).repeat(2),
    "endless": lambda d: d.range(3).repeat().take(7),
    "concatenate": lambda d: d.range(3).concatenate(d.range(5, 7)),
    "zip": lambda d: d.zip((d.range(3), d.range(5, 9))),
    "zip of arguments": lambda d: d.zip(d.range(3), d.range(5, 9)),
    "enumerate": lambda d: d.from_tensor_slices(Y).enumerate(start=5),
    "cache": lambda d: d.range(3).cache().repeat(2),
    "shard": lambda d: d.range(7).shard(3, 1),
    "prefetch": lambda d: d.range(3).prefetch(-1),
    "flat_map": lambda d: d.range(3).flat_map(lambda n: d.range(n)),
    "interleave": lambda d: d.range(1, 6).interleave(
        lambda n: d.from_tensors(n).repeat(6), cycle_length=2, block_length=4
    ),
    "interleave of unequal lengths": lambda d: d.range(5).interleave(
        lambda n: d.range(n), cycle_length=3, block_length=2
    ),
    "windows": lambda d: d.range(7).window(3, shift=2),
    "windows, none short": lambda d: d.range(7).window(3, shift=1, drop_remainder=True),
    "windows with strides": lambda d: d.range(9).window(3, shift=2, stride=2),
    "windows far apart": lambda d: d.range(11).window(2, shift=4),
    "windows far apart, none short": lambda d: d.range(10).window(2, shift=4, drop_remainder=True),
    "windows of pairs": lambda d: d.from_tensor_slices((X, Y)).window(2),
    "windows as batches": lambda d: (
        d.range(10)
        .window(5, shift=1, drop_remainder=True)
        .flat_map(lambda w: w.batch(5))
        .map(lambda w: (w[:-1], w[-1]))
    ),
    "take_while": lambda d: d.range(9).take_while(lambda n: n < 4),
    "generator": lambda d: d.from_generator(
        counted, output_types=(np.int32, np.float32), output_shapes=((), (2,))
    ),
    "from an array to batches of pairs": lambda d: (
        d.from_tensor_slices((X, Y)).batch(2).map(lambda x, y: (x, y)).repeat(2).skip(1)
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_as_tensorflow(name: str) -> None:
    ours, theirs = PIPELINES[name](keras.data.Dataset), PIPELINES[name](tf.data.Dataset)
    expected = [plain(element) for element in theirs]
    assert [plain(element) for element in ours] == expected
    assert [plain(element) for element in ours.as_numpy_iterator()] == expected, "a second time"
    known, count = int(theirs.cardinality()), int(ours.cardinality())
    assert count == known
    if known >= 0:
        assert len(ours) == len(theirs) == len(expected)
    else:
        with pytest.raises(TypeError, match="The dataset length is unknown"):
            len(ours)


def test_padding() -> None:
    texts = [[1], [2, 3, 4], [5, 6]]

    def ragged() -> Any:
        yield from texts

    def batches(d: Any, **options: Any) -> list[Any]:
        spec = {tf.data.Dataset: tf.TensorSpec, keras.data.Dataset: keras.TensorSpec}[d]
        made = d.from_generator(ragged, output_signature=spec((None,), np.int32))
        return [plain(e) for e in made.padded_batch(2, **options).as_numpy_iterator()]

    for options in (
        {},
        {"padded_shapes": [5]},
        {"padding_values": np.int32(9)},
        {"drop_remainder": True, "padded_shapes": [None]},
    ):
        theirs = batches(tf.data.Dataset, **options)
        assert batches(keras.data.Dataset, **options) == theirs
    with pytest.raises(ValueError, match="smaller size"):
        batches(keras.data.Dataset, padded_shapes=[2])


def test_shuffled_orders() -> None:
    numbers = keras.data.Dataset.range(50)
    drawn = numbers.shuffle(10, seed=3)
    first, second = [int(n) for n in drawn], [int(n) for n in drawn]
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert [int(n) for n in numbers.shuffle(10, seed=3)] == first
    assert all(n <= place + 9 for place, n in enumerate(first)), "the buffer holds ten"
    assert first[:40] != sorted(first[:40]), "drawn from any place of the buffer"
    kept = numbers.shuffle(50, seed=3, reshuffle_each_iteration=False)
    assert [int(n) for n in kept] == [int(n) for n in kept]
    assert len(drawn) == 50
    keras.utils.set_random_seed(1)
    one = [int(n) for n in numbers.shuffle(50)]
    keras.utils.set_random_seed(1)
    assert [int(n) for n in numbers.shuffle(50)] == one
    with pytest.raises(ValueError, match="buffer_size"):
        numbers.shuffle(0)


def test_endless_ones_have_no_length() -> None:
    endless = keras.data.Dataset.range(3).repeat()
    assert int(endless.cardinality()) == keras.data.INFINITE_CARDINALITY
    with pytest.raises(TypeError, match="infinite"):
        len(endless)
    assert len(endless.take(5)) == 5


def test_bad_arguments() -> None:
    numbers = keras.data.Dataset.range(3)
    for call in (
        lambda: numbers.batch(0),
        lambda: numbers.window(0),
        lambda: numbers.window(2, shift=0),
        lambda: numbers.shard(2, 2),
        lambda: keras.data.Dataset.from_tensor_slices(3),
        lambda: keras.data.Dataset.from_tensor_slices((X, Y[:3])),
    ):
        with pytest.raises(ValueError, match=r".+"):
            call()
    with pytest.raises(TypeError, match="callable"):
        keras.data.Dataset.from_generator([1, 2])
    ragged = keras.data.Dataset.from_generator(lambda: iter([[1], [2, 3]]))
    with pytest.raises(ValueError, match="different shapes"):
        list(ragged.batch(2))
    wrong = keras.data.Dataset.from_generator(
        lambda: iter([[1.0]]), output_signature=keras.TensorSpec((2,))
    )
    with pytest.raises(TypeError, match="shape"):
        list(wrong)


def test_reduce_and_the_only_element() -> None:
    numbers = keras.data.Dataset.range(5)
    assert int(numbers.reduce(np.int64(0), lambda total, n: total + n)) == 10
    assert int(numbers.skip(4).get_single_element()) == 4
    with pytest.raises(ValueError, match="more than one"):
        numbers.get_single_element()
    assert numbers.batch(2).element_spec.shape == (2,)


def test_fit_takes_one() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)).astype("f4"), rng.normal(size=(20, 1)).astype("f4")

    def trained(*data: Any, **options: Any) -> Any:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.set_weights([np.ones((3, 1)), np.zeros(1)])
        model.compile("sgd", "mse")
        history = model.fit(*data, epochs=2, verbose=0, **options).history
        return history, model.evaluate(data[0], *data[1:], verbose=0), model

    batches = keras.data.Dataset.from_tensor_slices((x, y)).batch(8)
    ours, loss, model = trained(batches, validation_data=batches)
    arrays, expected, _ = trained(x, y, batch_size=8, shuffle=False, validation_data=(x, y))
    np.testing.assert_array_equal(ours["loss"], arrays["loss"])
    np.testing.assert_allclose(ours["val_loss"], arrays["val_loss"], rtol=1e-6)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    predicted = model.predict(batches.map(lambda x, y: x), verbose=0)
    np.testing.assert_array_equal(predicted, model.predict(x, verbose=0))
    endless, _, _ = trained(batches.repeat().take(6), steps_per_epoch=3)
    np.testing.assert_array_equal(endless["loss"], arrays["loss"])


def test_time_series_windows_are_one() -> None:
    series = np.arange(10.0)
    windows = keras.utils.timeseries_dataset_from_array(series, None, 3, batch_size=2)
    assert isinstance(windows, keras.data.Dataset)
    assert [w.tolist() for w in windows.take(1)] == [[[0, 1, 2], [1, 2, 3]]]
    assert len(windows.skip(1)) == len(windows) - 1
    assert [w.shape for w in windows.unbatch().batch(5)] == [(5, 3), (3, 3)]
    assert len(windows.map(lambda w: w * 2)) == len(windows)
