"""`IntegerLookup` and `Hashing` against Keras."""

from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

X = np.array([[12, 1138, 7], [42, 12, 12], [-5, 36, 7]])


def both(name: str, **settings: Any) -> tuple[Any, Any]:
    return tuple(getattr(p.layers, name)(**settings) for p in (keras, rnn_engine))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mask_token": 7},
        {"num_oov_indices": 3},
        {"num_oov_indices": 3, "mask_token": 7},
        {"output_mode": "multi_hot"},
        {"output_mode": "count", "mask_token": 7},
        {"output_mode": "one_hot", "num_oov_indices": 2},
        {"output_mode": "multi_hot", "max_tokens": 8, "pad_to_max_tokens": True},
    ],
)
def test_integer_lookup(settings: dict[str, Any]) -> None:
    theirs, ours = both("IntegerLookup", vocabulary=[12, 36, 1138], **settings)
    x = X[:, :1] if settings.get("output_mode") == "one_hot" else X
    expected, found = np.asarray(theirs(x)), ours(x)
    np.testing.assert_array_equal(found, expected)
    assert list(ours.get_vocabulary()) == list(theirs.get_vocabulary())
    assert ours.vocabulary_size() == theirs.vocabulary_size()
    if "output_mode" not in settings:
        assert found.dtype == expected.dtype
        theirs, ours = both("IntegerLookup", vocabulary=[12, 36, 1138], invert=True, **settings)
        np.testing.assert_array_equal(ours(expected), np.asarray(theirs(expected)))


@pytest.mark.parametrize("settings", [{}, {"max_tokens": 3}, {"output_mode": "tf_idf"}])
def test_integer_lookup_learns(settings: dict[str, Any]) -> None:
    theirs, ours = both("IntegerLookup", **settings)
    for layer in theirs, ours:
        layer.adapt(X)
    assert [int(v) for v in ours.get_vocabulary()] == [int(v) for v in theirs.get_vocabulary()]
    np.testing.assert_allclose(ours(X), np.asarray(theirs(X)), rtol=1e-6)


def test_unknown_numbers_are_an_error_without_an_index() -> None:
    _, ours = both("IntegerLookup", vocabulary=[12, 36], num_oov_indices=0)
    with pytest.raises(ValueError, match="got 1138 as element 1"):
        ours(X)
    with pytest.raises(ValueError, match="inputs must hold whole numbers"):
        ours(np.array([1.5]))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_bins": 3},
        {"num_bins": 5, "salt": 133},
        {"num_bins": 5, "salt": (133, 137)},
        {"num_bins": 4, "output_mode": "multi_hot"},
        {"num_bins": 4, "output_mode": "count"},
        {"num_bins": 4, "output_mode": "one_hot"},
        {"num_bins": 4, "dtype": "int32"},
    ],
)
@pytest.mark.parametrize("inputs", [X, np.array([["A", "B"], ["C", "ä long word"], ["", "A"]])])
def test_hashing(settings: dict[str, Any], inputs: np.ndarray) -> None:
    theirs, ours = both("Hashing", **settings)
    for x in (inputs, inputs[:, :1]):
        expected = np.asarray(theirs(x))
        np.testing.assert_array_equal(ours(x), expected)
        assert ours(x).dtype == expected.dtype
        assert tuple(ours.compute_output_shape(x.shape)) == expected.shape


def test_hashing_with_a_mask() -> None:
    for mask, x in (("A", np.array([["A"], ["B"], ["C"]])), (12, X)):
        theirs, ours = both("Hashing", num_bins=4, mask_value=mask)
        np.testing.assert_array_equal(ours(x), np.asarray(theirs(x)))


def test_before_an_embedding_and_in_files(tmp_path: Any) -> None:
    layers = rnn_engine.layers
    for first in (layers.IntegerLookup(vocabulary=[12, 36, 1138]), layers.Hashing(num_bins=6)):
        model = rnn_engine.Sequential([
            rnn_engine.Input((3,), dtype="int64"),
            first,
            layers.Embedding(6, 2),
            layers.GRU(2),
        ])  # fmt: skip
        expected = model.predict(X, verbose=0)
        model.save(tmp_path / "m.keras")
        loaded = rnn_engine.models.load_model(tmp_path / "m.keras")
        np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)
        theirs = keras.models.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(theirs.predict(X, verbose=0), expected, atol=1e-6)
        model.compile("sgd", "mse")
        model.fit(X, np.zeros((3, 2)), verbose=0)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_keras_files_with_what_was_learned(tmp_path: Any) -> None:
    lookup = keras.layers.IntegerLookup()
    lookup.adapt(X)
    model = keras.Sequential([keras.Input((3,), dtype="int64"), lookup])
    model.save(tmp_path / "k.keras")
    ours = rnn_engine.models.load_model(tmp_path / "k.keras")
    np.testing.assert_array_equal(ours.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda L: L.IntegerLookup(max_tokens=1), "If `max_tokens` is set for `IntegerLookup`"),
        (lambda L: L.IntegerLookup(num_oov_indices=-1), "The value of `num_oov_indices` argument"),
        (lambda L: L.IntegerLookup(vocabulary_dtype="int32"), "Only `vocabulary_dtype='int64'`"),
        (lambda L: L.IntegerLookup(vocabulary=[1, 1]), "The passed vocabulary has at least one"),
        (lambda L: L.Hashing(0), "The `num_bins` for `Hashing` cannot be `None` or non-positive"),
        (lambda L: L.Hashing(2, salt="a"), "The `salt` argument for `Hashing` can only be a tuple"),
        (lambda L: L.Hashing(2, output_mode="x"), "Invalid value for argument `output_mode`. Expe"),
        (lambda L: L.Hashing(2, dtype="float32"), "When `output_mode=\"int\"`, `dtype` should be"),
    ],
)  # fmt: skip
def test_words_of_errors(call: Any, words: str) -> None:
    for package in keras, rnn_engine:
        with pytest.raises(ValueError, match=words):
            call(package.layers)


def test_lists_are_read_as_arrays_are() -> None:
    lookup = rnn_engine.layers.IntegerLookup(vocabulary=[1, 2])
    for wrong in ([1.7], [None], [float("nan")], np.array([1.7])):
        with pytest.raises(ValueError, match="must hold whole numbers"):
            lookup(wrong)
    assert np.asarray(lookup([[1, 9], [2, 1]])).tolist() == [[1, 0], [2, 1]]
    for right in ([1.0], ["1"], [b"1"], [True]):
        assert np.asarray(lookup(right)).tolist() == [1]


def test_truth_is_hashed_as_tensorflow_writes_it() -> None:
    x = np.array([True, False])
    mine, theirs = (np.asarray(p.layers.Hashing(700)(x)) for p in (rnn_engine, keras))
    np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(TypeError, match="must hold strings or integers, got None"):
        rnn_engine.layers.Hashing(7)([None])


def test_one_bin_takes_all() -> None:
    for mask in (None, "a"):
        x = np.array([["a"], ["b"]])
        mine, theirs = (np.asarray(p.layers.Hashing(1, mask)(x)) for p in (rnn_engine, keras))
        np.testing.assert_array_equal(mine, theirs)


def test_special_tokens_are_not_learned() -> None:
    found = []
    for package in (rnn_engine, keras):
        lookup = package.layers.IntegerLookup(mask_token=0, oov_token=-1)
        lookup.adapt(np.array([0, 0, -1, 5, 5, 7]))
        found.append([int(term) for term in lookup.get_vocabulary()])
    assert found[0] == found[1]
