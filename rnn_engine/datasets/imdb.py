"""Film reviews and whether they praise: `keras.datasets.imdb`."""

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


def load_data(
    path: Any = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Split:
    """Return 25,000 reviews for training and as many for testing, words as numbers.

    Mirrors `keras.datasets.imdb.load_data`, in the same order.

    Parameters
    ----------
    path : str
        Name of the file in the cache.
    num_words, skip_top : int, optional
        Words of a lower rank than `num_words`, and the `skip_top` most frequent ones, become
        `oov_char`.
    maxlen : int, optional
        Longer reviews, and those of just this length, are left out.
    seed : int
        Of the order.
    start_char, oov_char : int or None
        What stands before a review, and for a word left out; None for nothing.
    index_from : int
        What is added to the words' ranks.

    Returns
    -------
    ``(x_train, y_train), (x_test, y_test)``: arrays of lists, and of labels 0 and 1

    Raises
    ------
    ValueError
        If `maxlen` leaves no review.
    """
    file_hash = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
    arrays = read_npz(fetch(path, "imdb.npz", file_hash))
    texts, labels, stream = [], [], mixing(seed)
    for part in ("train", "test"):
        coded, y = mixed(stream, arrays[f"x_{part}"], arrays[f"y_{part}"])
        x = marked(coded, start_char, index_from)
        kept = short_ones(maxlen, x, y) if maxlen else (x, y)
        texts.append(kept[0])
        labels.append(np.asarray(kept[1]))
    if maxlen and not all(texts):
        raise ValueError(
            f"After filtering for sequences shorter than maxlen={maxlen}, no sequence was kept. "
            f"Increase maxlen."
        )
    count = len(texts[0])
    all_texts = frequent_words(texts[0] + texts[1], num_words, skip_top, oov_char)
    y = np.concatenate(labels)
    return (ragged(all_texts[:count]), y[:count]), (ragged(all_texts[count:]), y[count:])


def get_word_index(path: Any = "imdb_word_index.json") -> dict[str, int]:
    """Return the ranks of the words, without `index_from`.

    Mirrors `keras.datasets.imdb.get_word_index`.
    """
    return read_word_index(path, "imdb_word_index.json", "bfafd718b763782e994055a2d397834f")
