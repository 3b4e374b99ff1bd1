"""to_categorical and normalize against Keras."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.utils import normalize, to_categorical

keras = pytest.importorskip("keras")
SHAPES = st.lists(st.integers(1, 4), max_size=3).map(tuple)


@given(
    shape=SHAPES,
    seed=st.integers(0, 99),
    extra=st.sampled_from([None, 0, 3]),
    dtype=st.sampled_from(["int64", "uint8", "float32"]),
)
def test_to_categorical_is_keras(shape, seed, extra, dtype):
    x = np.random.default_rng(seed).integers(0, 5, size=shape).astype(dtype)
    num_classes = None if extra is None else int(x.max()) + 1 + extra
    ours, theirs = to_categorical(x, num_classes), keras.utils.to_categorical(x, num_classes)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("x", [["1", "0"], [["2"], ["0"]], np.array(["3"])])
def test_numerals_are_labels(x):
    np.testing.assert_array_equal(to_categorical(x), keras.utils.to_categorical(x))


@pytest.mark.parametrize(
    ("x", "num_classes", "message"),
    [
        ([0, 3, 1], 3, r"from 0 to 2, got 3 at index \(1,\)"),
        ([[0, 1], [-1, 2]], None, r"from 0 to 2, got -1 at index \(1, 0\)"),
        ([0.0, np.nan], 2, r"got nan at index \(1,\)"),
        ([-1], None, "got -1"),
        ("a", None, "invalid literal for int"),
        ([], None, "must not be empty"),
    ],
)
def test_bad_labels(x, num_classes, message):
    with pytest.raises(ValueError, match=message):
        to_categorical(x, num_classes)


def test_no_labels():
    assert to_categorical([], 3).shape == (0, 3)


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 99),
    order=st.sampled_from([1, 2, 3]),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
)
def test_normalize_is_keras(shape, seed, order, dtype):
    x = (np.random.default_rng(seed).normal(size=shape) * 5).astype(dtype)
    x[0] = 0
    for axis in {-1, len(shape) - 1, -len(shape)} - {0}:
        ours, theirs = normalize(x, axis, order), keras.utils.normalize(x, axis, order)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_normalize_along_the_first_axis():
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(np.linalg.norm(normalize(x, axis=0), axis=0), 1)
    np.testing.assert_allclose(normalize(x, axis=0), normalize(x.T).T)
    np.testing.assert_allclose(normalize([[3, 4]]), [[0.6, 0.8]])
