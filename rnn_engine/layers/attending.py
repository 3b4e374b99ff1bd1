"""What attention layers share: weights from scores, and weighted means of the values."""

from typing import Any

import numpy as np

from rnn_engine import activations
from rnn_engine.layers.products import multiply

_softmax = activations.get("softmax")


def weights_of(scores: np.ndarray, shown: np.ndarray | None, closed: float, hides: bool) -> Any:
    """Return the softmax of scores (..., values) over the last axis, and what goes back with it.

    Parameters
    ----------
    shown : array of bool, broadcast to the scores, or None
        What may be seen.
    closed : float
        Score of the rest.
    hides : bool
        Whether the rest has a weight of zero also where nothing at all may be seen.
    """
    if shown is None:
        weights = _softmax(scores)
        return weights, (weights, None)
    weights = _softmax(np.where(shown, scores, scores.dtype.type(closed)))
    if hides:
        weights = np.where(shown, weights, scores.dtype.type(0))
    return weights, (weights, shown)


def scores_gradient(dweights: np.ndarray, saved: Any) -> np.ndarray:
    """Return the gradient by the scores: w (dw - Σ w dw), zero where they were not seen."""
    weights, shown = saved
    slope = _softmax.backward(dweights, weights)
    return slope if shown is None else np.where(shown, slope, slope.dtype.type(0))


def causal(queries: int, values: int) -> np.ndarray:
    """Return which values each query may see: those not behind it."""
    return np.arange(queries)[:, None] >= np.arange(values)


def mean_of(weights: np.ndarray, factors: np.ndarray | None, value: np.ndarray) -> Any:
    """Return Σ weights·factors·value for (outer, inner, queries, values) weights."""
    used = weights if factors is None else weights * factors
    return multiply(used, value), used


def mean_gradients(
    dy: np.ndarray, used: np.ndarray, factors: np.ndarray | None, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients by the weights and by the value."""
    dweights = multiply(dy, value.swapaxes(2, 3))
    if factors is not None:
        dweights = dweights * factors
    return dweights, multiply(used.swapaxes(2, 3), dy)
