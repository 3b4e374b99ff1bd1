"""Binary cross-entropies: every entry of `y_pred` is a probability (or logit) of its own."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, mean, scale
from rnn_engine.losses.wrapper import LossFunctionWrapper


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^-x) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def smooth(t: np.ndarray, amount: float) -> np.ndarray:
    """Move binary targets towards 1/2."""
    return t * (1.0 - amount) + 0.5 * amount if amount else t


def probability_terms(
    t: np.ndarray, p: np.ndarray, wants_slopes: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Entry-wise cross-entropy of clipped probabilities, and its slopes."""
    low, high = p.dtype.type(epsilon()), p.dtype.type(1.0 - epsilon())
    clipped = np.clip(p, low, high)
    terms = -(t * np.log(clipped) + (1 - t) * np.log(1 - clipped))
    if not wants_slopes:
        return terms, None
    inside = (p >= low) & (p <= high)  # beyond the clip nothing changes
    return terms, np.where(inside, (1 - t) / (1 - clipped) - t / clipped, 0)


def logit_terms(
    t: np.ndarray, x: np.ndarray, wants_slopes: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Entry-wise cross-entropy of logits, and its slopes."""
    terms = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
    return terms, sigmoid(x) - t if wants_slopes else None


def _cross_entropy(
    t: np.ndarray,
    p: np.ndarray,
    upstream: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tuple[np.ndarray, Any]:
    entries = logit_terms if from_logits else probability_terms
    terms, slopes = entries(smooth(t, label_smoothing), p, upstream is not None)
    return mean(terms, axis), None if slopes is None else scale(slopes, upstream, axis)


_binary_formula = Formula(_cross_entropy, logits=lambda **_: True)


@registry.register("binary_crossentropy", "bce", "BCE")
@_binary_formula.function
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return ``mean(-y_true log p - (1 - y_true) log(1 - p), axis)``.

    Mirrors `keras.losses.binary_crossentropy`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Targets in 0..1 and predictions of the same shape.
    from_logits : bool
        Whether ``p = sigmoid(y_pred)``; else `y_pred` is p, clipped to
        ``epsilon .. 1 - epsilon`` (with slope 0 beyond, as in Keras).
    label_smoothing : float
        How far targets move towards 1/2, 0..1.
    axis : int
        Axis of the mean.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> round(float(binary_crossentropy([0.0, 1.0], [0.5, 0.5])), 4)
    0.6931
    """
    return _binary_formula.values(
        y_true, y_pred, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis
    )


@registry.register()
class BinaryCrossentropy(LossFunctionWrapper):
    """Cross-entropy of yes or no. Mirrors `keras.losses.BinaryCrossentropy`.

    See `binary_crossentropy` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> loss = BinaryCrossentropy(from_logits=True)
    >>> round(float(loss([[0.0], [1.0]], [[0.0], [0.0]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
