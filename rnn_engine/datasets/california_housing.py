"""Prices of houses in California: `keras.datasets.california_housing`."""

from typing import Any

from rnn_engine.datasets.files import Split, mixed, mixing, parts, table


def load_data(
    version: str = "large",
    path: Any = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> Split:
    """Return rows of 8 features, and the median price of a district's houses in dollars.

    Mirrors `keras.datasets.california_housing.load_data`, in the same order. The large version
    has 20,640 rows, the small one the first 600 of them.

    Raises
    ------
    ValueError
        If `test_split` is not within 0 and 1, or `version` neither "small" nor "large".
    """
    file_hash = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
    if version not in ("small", "large"):
        raise ValueError(
            f"Argument `version` must be one of 'small', 'large'. Received: version={version}"
        )
    x, y = table(path, "california_housing.npz", file_hash, test_split)
    if version == "small":
        x, y = x[:600], y[:600]
    x, y = mixed(mixing(seed), x, y)
    return parts(x, y, test_split)
