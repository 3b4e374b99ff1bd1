"""Pieces of clothing: `keras.datasets.fashion_mnist`."""

import gzip
import os

import numpy as np

from rnn_engine.datasets.files import Split, fetch


def load_data() -> Split:
    """Return 60,000 pictures for training and 10,000 for testing, (N, 28, 28) of uint8.

    Mirrors `keras.datasets.fashion_mnist.load_data`.
    """
    train = _read("train-images-idx3-ubyte.gz", 16), _read("train-labels-idx1-ubyte.gz", 8)
    test = _read("t10k-images-idx3-ubyte.gz", 16), _read("t10k-labels-idx1-ubyte.gz", 8)
    return train, test


def _read(name: str, header: int) -> np.ndarray:
    path = fetch(name, name, cache_subdir=os.path.join("datasets", "fashion-mnist"))
    with gzip.open(path, "rb") as file:
        numbers = np.frombuffer(file.read(), np.uint8, offset=header)
    return numbers.reshape(-1, 28, 28) if header == 16 else numbers
