"""pad_sequences against Keras."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.utils import pad_sequences

keras = pytest.importorskip("keras")


def steps(rank):
    shape = {0: (), 1: (2,), 2: (3, 2)}[rank]
    return st.lists(st.integers(-100, 100), max_size=6).map(
        lambda values: np.array([np.full(shape, v) for v in values]).reshape(len(values), *shape)
    )


@given(
    sequences=st.integers(0, 2).flatmap(lambda r: st.lists(steps(r), min_size=1, max_size=5)),
    as_lists=st.booleans(),
    maxlen=st.one_of(st.none(), st.integers(1, 8)),
    dtype=st.sampled_from(["int32", "float32", "float64", "int64", "object"]),
    padding=st.sampled_from(["pre", "post"]),
    truncating=st.sampled_from(["pre", "post"]),
    value=st.sampled_from([0.0, -1.0, 7]),
)
def test_is_keras(sequences, as_lists, maxlen, dtype, padding, truncating, value):
    if as_lists:
        sequences = [sequence.tolist() for sequence in sequences]
    arguments = (maxlen, dtype, padding, truncating, value)
    ours = pad_sequences(sequences, *arguments)
    theirs = keras.utils.pad_sequences(sequences, *arguments)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_by_hand():
    given_ = [[1, 2, 3], [4]]
    np.testing.assert_array_equal(pad_sequences(given_), [[1, 2, 3], [0, 0, 4]])
    np.testing.assert_array_equal(
        pad_sequences(given_, maxlen=2, padding="post", truncating="post", value=9),
        [[1, 2], [4, 9]],
    )


def test_strings():
    given_ = [["a", "bcd"], ["e"]]
    ours = pad_sequences(given_, dtype=object, value="<pad>")
    np.testing.assert_array_equal(
        ours, keras.utils.pad_sequences(given_, None, object, value="<pad>")
    )
    with pytest.raises(ValueError, match="set `dtype=object`"):
        pad_sequences(given_, value="<pad>")


def test_no_steps_and_no_sequences():
    assert pad_sequences([[1, 2], [3]], maxlen=0).shape == (2, 0)
    assert pad_sequences([], maxlen=3).shape == (0, 3)
    assert pad_sequences([[], []]).shape == (2, 0)
    with pytest.raises(ValueError, match="must not be empty"):
        pad_sequences([])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequences": 3}, "`sequences` must be iterable. Received: 3"),
        ({"sequences": iter([[1]])}, "must be iterable"),
        ({"sequences": [[1], 5]}, "Found non-iterable: 5 at position 1"),
        (
            {"sequences": [[[1, 2]], [[1, 2, 3]]]},
            r"\(3,\) of sequence at position 1 is different from expected shape \(2,\)",
        ),
        ({"sequences": [[1]], "padding": "left"}, 'Padding type "left" not understood'),
        ({"sequences": [[1]], "truncating": 1}, 'Truncating type "1" not'),
        ({"sequences": [[1]], "maxlen": -1}, "maxlen must not be negative, got -1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(**arguments)


@pytest.mark.parametrize("maxlen", ["a", 2.0])
def test_a_length_is_an_integer(maxlen):
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        pad_sequences([[1]], maxlen=maxlen)
