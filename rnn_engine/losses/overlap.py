"""Overlap losses of whole maps: Dice and Tversky."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, spread
from rnn_engine.losses.wrapper import LossFunctionWrapper


def _ratio_loss(
    over: np.ndarray,
    under: np.ndarray,
    d_over: np.ndarray,
    d_under: Any,
    upstream: Any,
    axis: Any,
) -> tuple[np.ndarray, Any]:
    """Values of 1 - over / under (kept axes) and the gradient by the quotient rule."""
    values = np.asarray(1 - np.squeeze(over / under, axis))
    if upstream is None:
        return values, None
    slopes = (over * d_under / under - d_over) / under
    return values, slopes * spread(upstream, axis)


def _axes(p: np.ndarray, axis: Any) -> Any:
    if axis is None:
        return tuple(range(p.ndim))
    return tuple(axis) if isinstance(axis, list | tuple) else (axis,)


def _dice(t: np.ndarray, p: np.ndarray, upstream: Any, axis: Any = None) -> tuple[np.ndarray, Any]:
    axis = _axes(p, axis)
    both = 2 * (t * p).sum(axis=axis, keepdims=True)
    either = (t + p).sum(axis=axis, keepdims=True) + p.dtype.type(epsilon())
    return _ratio_loss(both, either, 2 * t, 1, upstream, axis)


def _tversky(
    t: np.ndarray,
    p: np.ndarray,
    upstream: Any,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: Any = None,
) -> tuple[np.ndarray, Any]:
    axis = _axes(p, axis)
    both = (t * p).sum(axis=axis, keepdims=True)
    missed = (t * (1 - p)).sum(axis=axis, keepdims=True)
    wrong = ((1 - t) * p).sum(axis=axis, keepdims=True)
    under = both + alpha * missed + beta * wrong + p.dtype.type(epsilon())
    return _ratio_loss(both, under, t, t - alpha * t + beta * (1 - t), upstream, axis)


_dice_formula = Formula(_dice, axis=None)
_tversky_formula = Formula(_tversky, axis=None)


@registry.register()
@_dice_formula.function
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """Return ``1 - 2 sum(y_true * y_pred) / (sum(y_true) + sum(y_pred) + epsilon)``.

    Mirrors `keras.losses.dice`. The sums run over `axis` (an int or a tuple; None:
    over everything).

    Examples
    --------
    >>> round(float(dice([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.5
    """
    return _dice_formula.values(y_true, y_pred, axis=axis)


@registry.register()
@_tversky_formula.function
def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """Return ``1 - both / (both + alpha missed + beta wrong + epsilon)``.

    With ``both = sum(y_true y_pred)``, ``missed = sum(y_true (1 - y_pred))`` and
    ``wrong = sum((1 - y_true) y_pred)`` over `axis` (None: over everything).
    Mirrors `keras.losses.tversky`.

    Examples
    --------
    >>> round(float(tversky([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.5
    """
    return _tversky_formula.values(y_true, y_pred, alpha=alpha, beta=beta, axis=axis)


@registry.register()
class Dice(LossFunctionWrapper):
    """Overlap by Dice's coefficient. Mirrors `keras.losses.Dice`.

    See `dice` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> round(float(Dice()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            dice,
            reduction,
            name,
            dtype,
            axis=axis,
        )


@registry.register()
class Tversky(LossFunctionWrapper):
    """Overlap by Tversky's index, misses and false alarms weighted. Mirrors `keras.losses.Tversky`.

    See `tversky` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> round(float(Tversky(alpha=0.7, beta=0.3)([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            tversky,
            reduction,
            name,
            dtype,
            alpha=alpha,
            beta=beta,
            axis=axis,
        )
