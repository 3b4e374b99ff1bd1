"""`to_categorical` and `normalize`."""

from typing import Any

import numpy as np


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Turn class labels into one-hot rows. Mirrors `keras.utils.to_categorical`.

    Parameters
    ----------
    x : array of integers
        A last axis of size 1 is dropped.
    num_classes : int, optional
        Size of the new last axis; the largest label and one if None.

    Returns
    -------
    array of float64, shape ``x.shape + (num_classes,)``

    Raises
    ------
    ValueError
        If a label is NaN, negative (Keras counts it from the end) or not below
        `num_classes` (Keras: IndexError); the message names the first one. If there
        are no labels to take `num_classes` from.

    Examples
    --------
    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    given = np.asarray(x)
    if given.dtype.kind in "SU":  # numerals are labels, as in Keras
        given = given.astype(np.int64)
    labels = np.where(np.isfinite(given), given, -1) if given.dtype.kind == "f" else given
    labels = labels.astype(np.int64, copy=False)
    if not num_classes:
        if labels.size == 0:
            raise ValueError("x must not be empty when num_classes is None.")
        num_classes = max(int(labels.max()) + 1, 1)
    bad = (labels < 0) | (labels >= num_classes)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"x must hold class labels from 0 to {num_classes - 1}, "
            f"got {given[first]} at index {first}."
        )
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    flat = labels.reshape(-1)
    categorical = np.zeros((flat.size, num_classes))
    categorical[np.arange(flat.size), flat] = 1
    return categorical.reshape(*shape, num_classes)


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """Divide vectors along `axis` by their norm. Mirrors `keras.utils.normalize`.

    Zero vectors stay. As in Keras a single vector comes back as a matrix of one
    row. Keras divides by the wrong norms for ``axis=0``; this does not.

    Parameters
    ----------
    x : array
    axis : int
        Axis that a vector runs along.
    order : int
        Of the norm, 2 for the Euclidean.

    Examples
    --------
    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"Argument `order` must be an int >= 1. Received: order={order}")
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)
