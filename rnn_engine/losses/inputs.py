"""What a loss accepts: dtypes, shapes and class labels, checked in one place."""

from typing import Any

import numpy as np

from rnn_engine.checks import aligned, as_numbers
from rnn_engine.config import floatx
from rnn_engine.losses.reduction import align

_SINGLE, _DOUBLE = _FLOATS = np.dtype(np.float32), np.dtype(np.float64)


def to_float(value: Any, argument: str, dtype: Any = None) -> np.ndarray:
    """Return `value` as a float array: of `dtype`, else its own, else of `floatx`.

    Raises
    ------
    ValueError
        If it does not hold real numbers.
    """
    if type(value) is np.ndarray:  # what the training loop hands over passes in no time
        own_dtype = value.dtype
        if own_dtype is dtype or (dtype is None and (own_dtype is _SINGLE or own_dtype is _DOUBLE)):
            return aligned(value)
    array = as_numbers(value, argument)
    if dtype is None:
        native = array.dtype.newbyteorder("=")
        # A Python list has no float type of its own; Keras reads it as floatx.
        own = isinstance(value, np.ndarray | np.generic) and native in _FLOATS
        dtype = native if own else np.dtype(floatx())
    return aligned(array.astype(dtype, copy=False))


def match(
    y_true: np.ndarray, y_pred: np.ndarray, broadcast: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Bring targets and predictions to one shape by Keras's rule of a trailing 1.

    With `broadcast`, an axis of one in `y_true` (never the batch axis) stands
    for all of `y_pred`'s, as in Keras; nothing else is ever broadcast.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    if y_true.shape == y_pred.shape and y_pred.ndim:
        return y_true, y_pred
    true_shape, pred_shape = align(y_true.shape, y_pred.shape)
    t, p = y_true.reshape(true_shape), y_pred.reshape(pred_shape)
    if t.shape == p.shape and p.ndim:
        return t, p
    same_batch = 0 < t.ndim == p.ndim and t.shape[0] == p.shape[0]
    if broadcast and same_batch and all(a in (b, 1) for a, b in zip(t.shape, p.shape, strict=True)):
        return np.broadcast_to(t, p.shape), p
    raise ValueError(
        "Arguments `target` and `output` must have the same shape. Received: "
        f"target.shape={y_true.shape}, output.shape={y_pred.shape}: expected one target "
        "(y_true) for each prediction (y_pred)."
    )


def class_labels(y_true: np.ndarray, y_pred: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return integer labels of `y_pred`'s shape without its last axis.

    Raises
    ------
    ValueError
        If `axis` is not the last one, or the shapes do not fit.
    """
    if axis not in (-1, y_pred.ndim - 1):
        raise ValueError(f"Only axis=-1 is currently supported. Received: axis={axis}")
    wanted = y_pred.shape[:-1]
    if not y_pred.ndim or y_true.shape not in (wanted, (*wanted, 1)):
        ranks = y_true.ndim in (len(wanted), len(wanted) + (y_true.shape[-1:] == (1,)))
        raise ValueError(
            (
                "Arguments `target` and `output` must have the same shape up until the last "
                "dimension"
                if ranks
                else "Argument `output` must have rank (ndim) `target.ndim - 1`"
            )
            + f". Received: target.shape={y_true.shape}, output.shape={y_pred.shape}: expected "
            f"class labels (y_true) of shape {wanted} or {(*wanted, 1)}."
        )
    if y_true.dtype.kind not in "fiub":
        raise ValueError(f"y_true must hold class labels, got dtype {y_true.dtype}.")
    if y_true.dtype.kind == "f" and not np.isfinite(y_true).all():
        bad = np.argwhere(~np.isfinite(y_true))[0]
        raise ValueError(f"y_true holds a class label that is not finite at {_index(bad)}.")
    return y_true.reshape(wanted).astype(np.int64)  # a copy: kernels read at these places


def check_classes(labels: np.ndarray, classes: int, start: int = 0) -> None:
    """Raise ValueError with the first label outside ``0 .. classes - 1``.

    `start` is the number of the first sample.
    """
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        bad = np.argwhere((labels < 0) | (labels >= classes))[0]
        value = labels[tuple(bad)]
        bad[0] += start
        raise ValueError(
            f"y_true holds class label {value} at {_index(bad)}, "
            f"outside 0..{classes - 1} (y_pred has {classes} classes)."
        )


def _index(position: np.ndarray) -> str:
    return f"index {position[0]}" if len(position) == 1 else f"index {tuple(map(int, position))}"
