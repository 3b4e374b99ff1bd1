"""Categorical cross-entropies with one target for every class."""

import warnings
from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.losses import softmax
from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, spread
from rnn_engine.losses.wrapper import LossFunctionWrapper


def prepare(t: np.ndarray, p: np.ndarray, label_smoothing: float, name: str) -> np.ndarray:
    """Smooth the targets; warn, as Keras does, where there is one class only."""
    if p.shape[-1] == 1:
        warnings.warn(
            f"{name} of y_pred with shape {p.shape}: one class only. For two classes in one "
            f"column use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=5,
        )
    if label_smoothing:
        return t * (1.0 - label_smoothing) + label_smoothing / t.shape[-1]
    return t


def normalized(p: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return p / Σp, the same clipped, and Σp."""
    total = p.sum(axis=axis, keepdims=True)
    ratio = p / total
    low, high = p.dtype.type(epsilon()), p.dtype.type(1.0 - epsilon())
    return ratio, np.clip(ratio, low, high), total


def through_ratio(
    slopes: np.ndarray, ratio: np.ndarray, clipped: np.ndarray, total: np.ndarray, axis: int
) -> np.ndarray:
    """Carry slopes by the clipped ratio back to p, through the clip and ``p / Σp``."""
    slopes = np.where(ratio == clipped, slopes, 0)
    return (slopes - (slopes * ratio).sum(axis=axis, keepdims=True)) / total


def _cross_entropy(
    t: np.ndarray,
    p: np.ndarray,
    upstream: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tuple[np.ndarray, Any]:
    t = prepare(t, p, label_smoothing, "categorical_crossentropy")
    if from_logits:
        return softmax.from_logits(t, p, upstream, axis)
    ratio, clipped, total = normalized(p, axis)
    values = -np.asarray((t * np.log(clipped)).sum(axis=axis))
    if upstream is None:
        return values, None
    slopes = through_ratio(-t / clipped, ratio, clipped, total, axis)
    return values, slopes * spread(upstream, axis)


_categorical_formula = Formula(_cross_entropy, logits=lambda **_: True)


@registry.register()
@_categorical_formula.function
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return ``-sum(y_true * log p, axis)``.

    Mirrors `keras.losses.categorical_crossentropy`. With `from_logits` the
    gradient is ``softmax - y_true``, TensorFlow's: it takes the targets of a
    sample to sum to 1.

    Parameters
    ----------
    y_true, y_pred : array_like
        Targets (one-hot or any distribution) and predictions of the same shape.
    from_logits : bool
        Whether ``p = softmax(y_pred)``; else ``p = y_pred / sum(y_pred)``, clipped
        to ``epsilon .. 1 - epsilon`` (with slope 0 beyond, as in Keras).
    label_smoothing : float
        How far targets move towards the uniform distribution, 0..1.
    axis : int
        Axis of the classes.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> round(float(categorical_crossentropy([0.0, 1.0], [0.5, 0.5])), 4)
    0.6931
    """
    return _categorical_formula.values(
        y_true, y_pred, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis
    )


@registry.register()
class CategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of one-hot targets. Mirrors `keras.losses.CategoricalCrossentropy`.

    See `categorical_crossentropy` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
