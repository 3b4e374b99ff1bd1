"""What every metric does to its arguments before it counts.

Metrics take what a user hands to `update_state`, so lists, scalars and any
numeric array are welcome; the training loop hands over arrays, and those pass
through untouched.
"""

from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.losses.inputs import match

Array = np.ndarray[Any, Any]


def as_array(value: Any, argument: str, dtype: Any = None) -> Array:
    """Return `value` as a numeric array; floats that have no dtype become `floatx`.

    Raises
    ------
    ValueError
        If it is no numeric array (ragged, text, complex, objects).
    """
    if type(value) is np.ndarray:
        array = value
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{argument} is not a rectangular array: {error}") from None
        if dtype is None and array.dtype == np.float64 and not hasattr(value, "dtype"):
            array = array.astype(floatx())
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{argument} must be numeric, got an array of dtype {array.dtype}.")
    return array if dtype is None else array.astype(dtype, copy=False)


def as_pair(y_true: Any, y_pred: Any, dtype: Any = None) -> tuple[Array, Array]:
    """Return both as arrays of one shape, lined up by the rule the losses follow.

    Raises
    ------
    ValueError
        If the shapes do not fit; no sample is ever compared with another's target.
    """
    return match(as_array(y_true, "y_true", dtype), as_array(y_pred, "y_pred", dtype), True)


def broadcast_weight(sample_weight: Array, shape: tuple[int, ...]) -> Array:
    """Return the weights at `shape`.

    Raises
    ------
    ValueError
        If they do not fit.
    """
    if sample_weight.shape == shape:
        return sample_weight
    try:
        return np.broadcast_to(sample_weight, shape)
    except ValueError:
        raise ValueError(
            f"sample_weight of shape {sample_weight.shape} does not fit values of shape {shape}."
        ) from None


def divide_no_nan(numerator: Any, denominator: Any) -> Array:
    """Return the quotient, and zero where the denominator is zero."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    quotient = np.zeros(numerator.shape, np.result_type(numerator, denominator, np.float32))
    return np.divide(numerator, denominator, out=quotient, where=denominator != 0)
