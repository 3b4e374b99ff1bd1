"""Arrays of a user's: judged and brought into the engine's types, once."""

from typing import Any

import numpy as np

from rnn_engine.checks import as_numbers as as_real
from rnn_engine.checks import require_finite
from rnn_engine.config import check_finite


def unwrap(value: Any) -> Any:
    """Return the array in a list or tuple of just one array, as Keras does."""
    if isinstance(value, list | tuple) and len(value) == 1 and hasattr(value[0], "shape"):
        return value[0]
    return value


def as_numeric(value: Any, argument: str) -> np.ndarray:
    """Return `value` as an array of numbers, without copying an array.

    Raises
    ------
    ValueError
        If it is ragged, or holds objects, strings or complex numbers, or has no
        axis, or under `config.set_check_finite` what is not finite; the message
        names `argument`.
    """
    value = unwrap(value)
    if isinstance(value, dict):
        raise ValueError(f"{argument} must be one array, got a dict with keys {list(value)}.")
    if isinstance(value, list | tuple) and any(getattr(v, "ndim", 0) > 0 for v in value):
        raise ValueError(
            f"{argument} is a {type(value).__name__} of {len(value)} arrays, but the model "
            f"takes one array; use numpy.stack to make one of them."
        )
    array = as_real(value, argument)
    if array.ndim == 0:
        raise ValueError(f"{argument} must have at least one axis (samples), got a scalar.")
    if check_finite():
        require_finite(array, argument)
    return array


def as_text(value: Any, argument: str) -> np.ndarray:
    """Return `value` as an array of strings.

    Raises
    ------
    ValueError
        If it has no axis.
    """
    array = np.asarray(unwrap(value), dtype=object)
    if array.ndim == 0:
        raise ValueError(f"{argument} must have at least one axis (samples), got a scalar.")
    return array


def target_dtype(array: np.ndarray, dtype: Any, keep_integers: bool) -> np.dtype:
    """Return the type the engine wants `array` in."""
    if keep_integers and array.dtype.kind in "iu":
        return array.dtype.newbyteorder("=")
    return np.dtype(dtype)


def convert(value: Any, argument: str, dtype: Any, keep_integers: bool = False) -> np.ndarray:
    """Return `value` as a C-contiguous native array of the engine's type.

    Integers stay integers with `keep_integers` (labels, indices).

    Raises
    ------
    ValueError
        As `as_numeric`.
    """
    if type(value) is np.ndarray and value.dtype is dtype and value.ndim and not check_finite():
        return np.ascontiguousarray(value)
    array = as_numeric(value, argument)
    return np.ascontiguousarray(array, dtype=target_dtype(array, dtype, keep_integers))


def is_array_like(value: Any) -> bool:
    """Whether `value` is read as one array (an array, a list, a tuple, a data frame)."""
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return True
    return isinstance(value, list | tuple)


def class_to_sample_weight(y: Any, class_weight: dict[int, float], dtype: Any) -> np.ndarray:
    """Return the weight of each sample's class, 1 for a class not in `class_weight`.

    `y` holds labels, one-hot rows, or labels in a last axis of one, as in Keras.

    Raises
    ------
    ValueError
        If there are no targets, or a key or weight is not a number.
    """
    if y is None:
        raise ValueError("class_weight needs targets, got y=None.")
    labels = as_numeric(y, "y")
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(axis=-1)
    labels = np.round(labels).astype(np.int64)
    weight = np.ones(labels.shape, dtype)
    for label, value in class_weight.items():
        weight[labels == int(label)] = value
    return weight
