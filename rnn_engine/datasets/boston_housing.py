"""Prices of houses in Boston: `keras.datasets.boston_housing`."""

from typing import Any

from rnn_engine.datasets.files import Split, mixed, mixing, parts, table


def load_data(path: Any = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Split:
    """Return 506 rows of 13 features, and the price of each in thousands of dollars.

    Mirrors `keras.datasets.boston_housing.load_data`, in the same order. As Keras does, we
    advise against this dataset: one of its features assumes that people's origin moves prices.
    `california_housing` takes its place.

    Raises
    ------
    ValueError
        If `test_split` is not within 0 and 1.
    """
    file_hash = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"
    x, y = mixed(mixing(seed), *table(path, "boston_housing.npz", file_hash, test_split))
    return parts(x, y, test_split)
