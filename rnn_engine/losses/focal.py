"""Focal cross-entropies: entries that are right already count less."""

from typing import Any

import numpy as np

from rnn_engine.losses import binary, categorical
from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, mean, scale, spread
from rnn_engine.losses.wrapper import LossFunctionWrapper


def _power(x: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x^gamma and its derivative by x."""
    if gamma == 0:
        return np.ones_like(x), np.zeros_like(x)
    return x**gamma, gamma * x ** (gamma - 1)


def _binary_focal(
    t: np.ndarray,
    p: np.ndarray,
    upstream: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    activation: Any = None,
) -> tuple[np.ndarray, Any]:
    """Values and gradient of probabilities, or of logits below a sigmoid or `activation`."""
    t = binary.smooth(t, label_smoothing)
    entries = binary.logit_terms if from_logits else binary.probability_terms
    terms, slopes = entries(t, p, upstream is not None)
    softmax = activation is not None and activation.registered_name == "softmax"
    if from_logits:
        p = activation(p) if softmax else binary.sigmoid(p)
    factor, d_factor = _power(1 - (t * p + (1 - t) * (1 - p)), gamma)
    balance = t * alpha + (1 - t) * (1 - alpha) if apply_class_balancing else p.dtype.type(1)
    values = mean(balance * factor * terms, axis)
    if slopes is None:
        return values, None
    d_factor = d_factor * (1 - 2 * t)
    if softmax:
        by_p = activation.backward(scale(balance * d_factor * terms, upstream, axis), p)
        return values, by_p + scale(balance * factor * slopes, upstream, axis)
    if from_logits:
        d_factor = d_factor * p * (1 - p)
    return values, scale(balance * (d_factor * terms + factor * slopes), upstream, axis)


def _categorical_focal(
    t: np.ndarray,
    p: np.ndarray,
    upstream: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tuple[np.ndarray, Any]:
    t = categorical.prepare(t, p, label_smoothing, "categorical_focal_crossentropy")
    alpha = np.asarray(alpha, p.dtype)
    if from_logits:
        p = np.exp(p - p.max(axis=axis, keepdims=True))
        p /= p.sum(axis=axis, keepdims=True)
    ratio, clipped, total = categorical.normalized(p, axis)
    factor, d_factor = _power(1 - clipped, gamma)
    log = np.log(clipped)
    values = -np.asarray((alpha * t * factor * log).sum(axis=axis))
    if upstream is None:
        return values, None
    slopes = alpha * t * (d_factor * log - factor / clipped)
    slopes = categorical.through_ratio(slopes, ratio, clipped, total, axis)
    if from_logits:
        slopes = p * (slopes - (slopes * p).sum(axis=axis, keepdims=True))
    return values, slopes * spread(upstream, axis)


def _logits(from_logits: bool = False, **_: Any) -> bool:
    return not from_logits  # Keras takes a sigmoid of its own then, of what it was given


_binary_formula = Formula(_binary_focal, logits=_logits, names_activation=True)
# No logits below a softmax: Keras loses them where it divides by the sum.
_categorical_formula = Formula(_categorical_focal)


@registry.register()
@_binary_formula.function
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the mean over `axis` of ``(1 - p_t)**gamma`` times the binary cross-entropy.

    `p_t` is the probability given to what is true: ``y_true p + (1 - y_true)(1 - p)``.
    Mirrors `keras.losses.binary_focal_crossentropy`. Source: Lin et al., Focal Loss
    for Dense Object Detection, 2018.

    Parameters
    ----------
    y_true, y_pred, from_logits, label_smoothing, axis
        As in `binary_crossentropy`.
    apply_class_balancing : bool
        Whether ones weigh `alpha` and zeros ``1 - alpha``.
    alpha, gamma : float
        Weight of the ones; how steeply easy entries lose weight.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> round(float(binary_focal_crossentropy([0.0, 1.0], [0.5, 0.5])), 4)
    0.1733
    """
    return _binary_formula.values(
        y_true,
        y_pred,
        apply_class_balancing=apply_class_balancing,
        alpha=alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        axis=axis,
    )


@registry.register()
@_categorical_formula.function
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return ``-sum(alpha (1 - p)**gamma y_true log p, axis)``.

    Mirrors `keras.losses.categorical_focal_crossentropy`. Source: Lin et al., Focal
    Loss for Dense Object Detection, 2018.

    Parameters
    ----------
    y_true, y_pred, from_logits, label_smoothing, axis
        As in `categorical_crossentropy`.
    alpha : float or array_like
        Weight of all classes, or of each.
    gamma : float
        How steeply easy entries lose weight.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> round(float(categorical_focal_crossentropy([0.0, 1.0], [0.5, 0.5])), 4)
    0.0433
    """
    return _categorical_formula.values(
        y_true,
        y_pred,
        alpha=alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        axis=axis,
    )


@registry.register()
class BinaryFocalCrossentropy(LossFunctionWrapper):
    """Focal cross-entropy of yes or no. Mirrors `keras.losses.BinaryFocalCrossentropy`.

    See `binary_focal_crossentropy` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> round(float(BinaryFocalCrossentropy(gamma=2)([[0.0], [1.0]], [[0.5], [0.5]])), 4)
    0.1733
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registry.register()
class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """Focal cross-entropy of one-hot targets. Mirrors `keras.losses.CategoricalFocalCrossentropy`.

    See `categorical_focal_crossentropy` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.0433
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
