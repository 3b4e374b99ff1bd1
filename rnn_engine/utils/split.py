"""`split_dataset`: the first part and the rest of what one has."""

from typing import Any

import numpy as np

from rnn_engine.data.dataset import Dataset
from rnn_engine.data.structure import stack
from rnn_engine.random import make_generator


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Split rows in two, as for training and testing (`keras.utils.split_dataset`).

    Parameters
    ----------
    dataset : data.Dataset, array, or list or tuple of arrays of one length
        Read to its end, and kept.
    left_size, right_size : float or int, optional
        A share from 0 to 1, or a count; the one that is None is what the other leaves.
    shuffle : bool
        Mix the rows first, by our seeded stream.
    seed : int, optional
    preferred_backend : str, optional
        Accepted; two of our own datasets are returned.

    Raises
    ------
    TypeError
        If a size or the dataset is of another kind.
    ValueError
        If both sizes are None, or they do not fit the number of rows.

    Examples
    --------
    >>> left, right = split_dataset(np.arange(5), left_size=0.6)
    >>> [int(row) for row in left], len(right)
    ([0, 1, 2], 2)
    """
    if not isinstance(dataset, Dataset | np.ndarray | list | tuple):
        raise TypeError(
            f"Unsupported dataset type: {type(dataset)}. The `dataset` argument must be either a "
            f"`data.Dataset` object or a list/tuple of arrays. Received: dataset={dataset} of "
            f"type {type(dataset)}"
        )
    if isinstance(dataset, list | tuple) and not dataset:
        raise ValueError(
            f"Received an empty {type(dataset).__name__} dataset. Please provide a non-empty "
            f"{type(dataset).__name__} of arrays."
        )
    if not isinstance(dataset, Dataset):
        whole = tuple(np.asarray(part) for part in dataset) if _is_group(dataset) else dataset
        dataset = Dataset.from_tensor_slices(whole)
    rows = list(dataset)
    if shuffle:
        rows = [rows[i] for i in make_generator(seed).permutation(len(rows))]
    left, right = _sizes(left_size, right_size, len(rows))
    return _of_rows(rows[:left]), _of_rows(rows[len(rows) - right :])


def _is_group(dataset: Any) -> bool:
    """Whether a list or tuple is one of arrays, and not of numbers."""
    return isinstance(dataset, list | tuple) and bool(dataset) and np.ndim(dataset[0]) > 0


def _of_rows(rows: list[Any]) -> Dataset:
    return Dataset.from_tensor_slices(stack(rows)) if rows else Dataset(lambda: iter(()), 0)


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    """Return the number of rows of both parts."""
    if left is None and right is None:
        raise ValueError(
            "At least one of the `left_size` or `right_size` must be specified. Received: "
            "left_size=None and right_size=None"
        )
    counts: list[int | float | None] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if not isinstance(size, int | float | np.integer | np.floating | None):
            raise TypeError(
                f"Invalid `{name}` Type. Expected: int or float or None, Received: "
                f"type({name})={type(size)}. The value is {size!r}"
            )
        if size is None:
            counts.append(None)
            continue
        whole = isinstance(size, int | np.integer)
        if size < 0 or size > (total if whole else 1) or (whole and size == 0):
            raise ValueError(
                f"`{name}` should be either a positive integer smaller than {total}, or a float "
                f"within the range `[0, 1]`. Received: {name}={size}"
            )
        counts.append(int(size) if whole else float(size))
    first, second = counts
    if isinstance(first, float) and isinstance(second, float) and first + second > 1:
        raise ValueError(
            f"The sum of `left_size` and `right_size` is greater than 1. It must be less than or "
            f"equal to 1. Received: left_size={left}, right_size={right}"
        )
    one, two = _rows(first, total), _rows(second, total)
    one = total - (two or 0) if one is None else one
    two = total - one if two is None else two
    if one + two > total:
        raise ValueError(
            f"The sum of `left_size` and `right_size` should be smaller than the number of "
            f"samples {total}. Received: left_size={left}, right_size={right}"
        )
    if one == 0 or two == 0:
        raise ValueError(
            f"With a dataset of length={total}, `left_size`={left} and `right_size`={right}, one "
            f"of the two parts is empty. Adjust any of the aforementioned parameters."
        )
    return one, two


def _rows(size: int | float | None, total: int) -> int | None:
    return round(size * total) if isinstance(size, float) else size
