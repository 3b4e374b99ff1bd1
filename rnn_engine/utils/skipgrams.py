"""Pairs of words for word2vec, in Keras 2's way: `skipgrams` and `make_sampling_table`."""

import random
from typing import Any

import numpy as np


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """Return with what probability the word of each rank should be drawn, (size,).

    Mirrors `keras.preprocessing.sequence.make_sampling_table` of Keras 2. With word2vec's
    min(1, √(factor/frequency)), the frequencies after Zipf's law.

    Examples
    --------
    >>> make_sampling_table(3).round(4)
    array([0.0032, 0.0032, 0.0055])
    """
    rank = np.arange(size)
    rank[:1] = 1
    gamma = 0.577  # Euler's constant, as Keras has it
    inverse_frequency = rank * (np.log(rank) + gamma) + 0.5 - 1.0 / (12.0 * rank)
    share = sampling_factor * inverse_frequency
    return np.minimum(1.0, share / np.sqrt(share))


def skipgrams(
    sequence: Any,
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Return pairs of words that stand near each other, and others that were drawn.

    Mirrors `keras.preprocessing.sequence.skipgrams` of Keras 2; it draws from Python's
    `random`, in the same order.

    Parameters
    ----------
    sequence : list of int
        Words; 0 is none.
    vocabulary_size : int
        Highest word and one.
    window_size : int
        How far away the other word of a pair may be.
    negative_samples : float
        Drawn pairs for each true one.
    shuffle : bool
    categorical : bool
        Labels are ``[0, 1]`` and ``[1, 0]`` instead of 1 and 0.
    sampling_table : array-like, optional
        With what probability a word is taken, by its rank.
    seed : int, optional
        Of the mixing.

    Returns
    -------
    couples, labels : lists
    """
    couples: list[list[int]] = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        first, end = max(0, i - window_size), min(len(sequence), i + window_size + 1)
        couples += [[word, sequence[j]] for j in range(first, end) if j != i and sequence[j]]
    true, false = ([0, 1], [1, 0]) if categorical else (1, 0)
    labels: list[Any] = [true] * len(couples)
    if negative_samples > 0:
        words = [couple[0] for couple in couples]
        random.shuffle(words)
        drawn = int(len(labels) * negative_samples)
        couples += [
            [words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(drawn)
        ]
        labels += [false] * drawn
    if shuffle:
        seed = random.randint(0, 10**7) if seed is None else seed
        for mixed in (couples, labels):
            random.seed(seed)
            random.shuffle(mixed)
    return couples, labels
