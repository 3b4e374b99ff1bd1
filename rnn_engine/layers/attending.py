"""What attention layers share: weights from scores, and weighted means of the values."""

from typing import Any

import numpy as np

from rnn_engine.activations.along_axis import Softmax
from rnn_engine.kernels.buffers import BufferPool
from rnn_engine.layers.products import multiply

_softmax = Softmax("softmax")


def _rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, array.shape[-1])


def weights_of(scores: np.ndarray, shown: np.ndarray | None, closed: float, hides: bool) -> Any:
    """Return the softmax of scores (..., values) over the last axis, and what goes back with it.

    The scores are overwritten.

    Parameters
    ----------
    shown : array of bool, broadcast to the scores, or None
        What may be seen.
    closed : float
        Score of the rest.
    hides : bool
        Whether the rest has a weight of zero also where nothing at all may be seen.
    """
    scores = np.ascontiguousarray(scores)
    if shown is not None:
        np.copyto(scores, scores.dtype.type(closed), where=~shown)
    _softmax.fill(_rows(scores), _rows(scores))
    if hides and shown is not None:
        np.copyto(scores, scores.dtype.type(0), where=~shown)
    return scores, (scores, shown)


def scores_gradient(dweights: np.ndarray, saved: Any, buffers: BufferPool) -> np.ndarray:
    """Return the gradient by the scores: w (dw - Σ w dw), zero where they were not seen."""
    weights, shown = saved
    slope = buffers.empty(weights.shape, weights.dtype)
    _softmax.fill_back(_rows(np.ascontiguousarray(dweights)), _rows(weights), _rows(slope))
    if shown is not None:
        np.copyto(slope, slope.dtype.type(0), where=~shown)
    return slope


def causal(queries: int, values: int) -> np.ndarray:
    """Return which values each query may see: those not behind it."""
    return np.arange(queries)[:, None] >= np.arange(values)


def mean_of(
    weights: np.ndarray, factors: np.ndarray | None, value: np.ndarray, buffers: BufferPool
) -> Any:
    """Return Σ weights·factors·value for (outer, inner, queries, values) weights."""
    used = weights if factors is None else weights * factors
    return multiply(used, value, buffers), used


def mean_gradients(
    dy: np.ndarray,
    used: np.ndarray,
    factors: np.ndarray | None,
    value: np.ndarray,
    buffers: BufferPool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients by the weights and by the value."""
    dweights = multiply(dy, value.swapaxes(2, 3), buffers)
    if factors is not None:
        dweights = dweights * factors
    return dweights, multiply(used.swapaxes(2, 3), dy, buffers)
