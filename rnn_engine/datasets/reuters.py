"""News and their topics: `keras.datasets.reuters`."""

from typing import Any

import numpy as np

from rnn_engine.datasets.files import (
    Split,
    fetch,
    frequent_words,
    marked,
    mixed,
    mixing,
    ragged,
    read_npz,
    read_word_index,
    short_ones,
)

_LABELS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves "
    "ship cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin "
    "strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange "
    "pet-chem dlr gas silver wpi hog lead"
)


def load_data(
    path: Any = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Split:
    """Return 11,228 news of 46 topics, words as numbers.

    Mirrors `keras.datasets.reuters.load_data`, in the same order. Arguments as in
    `rnn_engine.datasets.imdb.load_data`; `test_split` is the share of the news for testing.
    """
    file_hash = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
    arrays = read_npz(fetch(path, "reuters.npz", file_hash))
    x, labels = mixed(mixing(seed), arrays["x"], arrays["y"])
    texts = marked(x, start_char, index_from)
    if maxlen:
        texts, labels = short_ones(maxlen, texts, labels)  # type: ignore[assignment]  # a list
    texts = frequent_words(texts, num_words, skip_top, oov_char)
    at = int(len(texts) * (1 - test_split))
    return (
        (ragged(texts[:at]), np.array(labels[:at])),
        (ragged(texts[at:]), np.array(labels[at:])),
    )


def get_word_index(path: Any = "reuters_word_index.json") -> dict[str, int]:
    """Return the ranks of the words, without `index_from`.

    Mirrors `keras.datasets.reuters.get_word_index`.
    """
    return read_word_index(path, "reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921")


def get_label_names() -> tuple[str, ...]:
    """Return the names of the topics, by their numbers.

    Mirrors `keras.datasets.reuters.get_label_names`.

    Examples
    --------
    >>> get_label_names()[3]
    'earn'
    """
    return tuple(_LABELS.split())
