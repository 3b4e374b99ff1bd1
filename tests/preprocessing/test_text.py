"""Keras 2's text and sequence tools against Keras's own."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras.src.legacy.preprocessing import sequence as their_sequence
from keras.src.legacy.preprocessing import text as theirs

from rnn_engine.preprocessing import sequence, text

TEXTS = ["The cat sat on the mat.", "The dog; the LOG!", "", "a\tb  b\nc", "Ärger the the"]
texts = st.lists(st.text("abAB .,!\t", max_size=20), max_size=6)


def counted(tokenizer: Any) -> Any:
    names = ("word_counts", "word_docs", "index_docs", "word_index", "index_word")
    return [list(getattr(tokenizer, name).items()) for name in names[:1]] + [
        dict(getattr(tokenizer, name)) for name in names[1:]
    ]


OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_words": 3},
    {"num_words": 3, "oov_token": "<OOV>"},
    {"oov_token": "<OOV>"},
    {"char_level": True},
    {"char_level": True, "lower": False, "num_words": 4},
    {"lower": False, "filters": "a", "split": "b"},
    {"analyzer": lambda text: text.split(".")},
]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@given(first=texts, second=texts)
def test_tokenizer(options: Any, first: list[str], second: list[str]) -> None:
    ours, keras = text.Tokenizer(**options), theirs.Tokenizer(**options)
    for tokenizer in (ours, keras):
        tokenizer.fit_on_texts(first)
        tokenizer.fit_on_texts(TEXTS)
    assert counted(ours) == counted(keras)
    sequences = keras.texts_to_sequences(second + TEXTS)
    assert ours.texts_to_sequences(second + TEXTS) == sequences
    assert ours.sequences_to_texts(sequences) == keras.sequences_to_texts(sequences)
    assert ours.sequences_to_texts([[1, 99, 2]]) == keras.sequences_to_texts([[1, 99, 2]])
    for mode in ("binary", "count", "freq", "tfidf"):
        expected = keras.texts_to_matrix(second + TEXTS, mode)
        np.testing.assert_array_equal(ours.texts_to_matrix(second + TEXTS, mode), expected)
    if "analyzer" not in options:
        assert json.loads(ours.to_json()) == json.loads(keras.to_json())
        for again in (
            text.tokenizer_from_json(keras.to_json()),
            theirs.tokenizer_from_json(ours.to_json()),
        ):
            assert again.texts_to_sequences(second) == keras.texts_to_sequences(second)
            assert again.get_config() == keras.get_config()


def test_lists_of_words_and_sequences() -> None:
    lists = [["A", "b"], ["b", "C", "b"]]
    ours, keras = text.Tokenizer(), theirs.Tokenizer()
    for tokenizer in (ours, keras):
        tokenizer.fit_on_texts(lists)
        tokenizer.fit_on_sequences([[1, 1, 2], [3]])
    assert counted(ours) == counted(keras)
    assert ours.texts_to_sequences(lists) == keras.texts_to_sequences(lists)
    np.testing.assert_array_equal(
        ours.sequences_to_matrix([[1, 2], []], "tfidf"),
        keras.sequences_to_matrix([[1, 2], []], "tfidf"),
    )


def test_bad_tokenizers() -> None:
    with pytest.raises(TypeError, match="Unrecognized keyword arguments"):
        text.Tokenizer(words=3)
    with pytest.warns(UserWarning, match="renamed"):
        assert text.Tokenizer(nb_words=3).num_words == 3
    with pytest.raises(ValueError, match="Specify a dimension"):
        text.Tokenizer().sequences_to_matrix([[1]])
    with pytest.raises(ValueError, match="tfidf"):
        text.Tokenizer(num_words=3).sequences_to_matrix([[1]], "tfidf")
    with pytest.raises(ValueError, match="Unknown vectorization mode"):
        text.Tokenizer(num_words=3).sequences_to_matrix([[1]], "other")
    for bad in ("{}", "[", '{"config": {}}', "3"):
        with pytest.raises(ValueError, match="to_json"):
            text.tokenizer_from_json(bad)


@given(st.text("aAbB .,!x\t", max_size=30))
def test_words_and_hashes(given_text: str) -> None:
    for options in ({}, {"lower": False}, {"filters": "x", "split": ","}):
        expected = theirs.text_to_word_sequence(given_text, **options)
        assert text.text_to_word_sequence(given_text, **options) == expected
    assert text.one_hot(given_text, 20) == theirs.one_hot(given_text, 20)
    expected = theirs.hashing_trick(given_text, 50, "md5")
    assert text.hashing_trick(given_text, 50, "md5") == expected
    assert text.hashing_trick(given_text, 9, len, analyzer=str.split) == theirs.hashing_trick(
        given_text, 9, len, analyzer=str.split
    )


@pytest.mark.parametrize(
    "options",
    [
        {"length": 3},
        {"length": 3, "batch_size": 4, "sampling_rate": 2},
        {"length": 2, "stride": 3, "batch_size": 2, "reverse": True},
        {"length": 4, "start_index": 2, "end_index": 11, "batch_size": 3},
        {"length": 3, "shuffle": True, "batch_size": 5},
    ],
    ids=str,
)
def test_timeseries_generator(options: Any) -> None:
    data = np.random.default_rng(0).normal(size=(15, 2))
    targets = np.arange(15)
    ours = sequence.TimeseriesGenerator(data, targets, **options)
    keras = their_sequence.TimeseriesGenerator(data, targets, **options)
    assert len(ours) == len(keras)
    for i in range(len(ours)):
        np.random.seed(i)  # noqa: NPY002
        expected = keras[i]
        np.random.seed(i)  # noqa: NPY002
        for a, b in zip(ours[i], expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert json.loads(ours.to_json())["config"]["length"] == options["length"]


def test_bad_generators() -> None:
    with pytest.raises(ValueError, match="same length"):
        sequence.TimeseriesGenerator([1, 2], [1], 1)
    with pytest.raises(ValueError, match="disallowed"):
        sequence.TimeseriesGenerator([1, 2], [1, 2], 5)
    with pytest.raises(ValueError, match="stride"):
        sequence.TimeseriesGenerator([1, 2, 3], [1, 2, 3], 1, stride=0)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"window_size": 1, "negative_samples": 0.5, "seed": 2},
        {"negative_samples": 0, "shuffle": False},
        {"categorical": True, "seed": 5},
        {"sampling_table": np.linspace(0, 1, 10), "seed": 3},
    ],
    ids=str,
)
def test_skipgrams(options: Any) -> None:
    words = [1, 5, 0, 3, 9, 2, 5]
    random.seed(3)
    expected = their_sequence.skipgrams(words, 10, **options)
    random.seed(3)
    assert sequence.skipgrams(words, 10, **options) == expected


def test_sampling_table() -> None:
    for size in (1, 5, 200):
        expected = their_sequence.make_sampling_table(size)
        np.testing.assert_array_equal(sequence.make_sampling_table(size), expected)
