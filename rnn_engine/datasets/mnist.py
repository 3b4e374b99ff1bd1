"""Handwritten digits: `keras.datasets.mnist`."""

from typing import Any

import numpy as np

from rnn_engine.datasets.files import Split, fetch


def load_data(path: Any = "mnist.npz") -> Split:
    """Return 60,000 digits for training and 10,000 for testing, (N, 28, 28) of uint8.

    Mirrors `keras.datasets.mnist.load_data`.
    """
    file_hash = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
    with np.load(fetch(path, "mnist.npz", file_hash), allow_pickle=False) as file:
        return (file["x_train"], file["y_train"]), (file["x_test"], file["y_test"])
