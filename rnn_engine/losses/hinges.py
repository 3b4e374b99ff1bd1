"""Hinge losses: targets are -1 or 1 (or 0 or 1), or one-hot."""

from typing import Any

import numpy as np

from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, mean, scale, spread
from rnn_engine.losses.wrapper import LossFunctionWrapper


def _signs(t: np.ndarray) -> np.ndarray:
    """Read targets that are all 0 or 1 as -1 or 1."""
    return 2 * t - 1 if ((t == 0) | (t == 1)).all() else t


def _hinge(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    t = _signs(t)
    gap = 1 - t * p
    values = mean(np.maximum(gap, 0))
    return values, None if upstream is None else scale(np.where(gap >= 0, -t, 0), upstream)


def _squared_hinge(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    t = _signs(t)
    gap = np.maximum(1 - t * p, 0)
    values = mean(gap * gap)
    return values, None if upstream is None else scale(-2 * gap * t, upstream)


def _categorical_hinge(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    others = (1 - t) * p
    most = others.max(axis=-1, keepdims=True)
    gap = most[..., 0] - (t * p).sum(axis=-1) + 1
    values = np.maximum(gap, 0)
    if upstream is None:
        return values, None
    chosen = others == most  # a tie shares the slope, as in TensorFlow
    slopes = (1 - t) * chosen / chosen.sum(axis=-1, keepdims=True).astype(p.dtype) - t
    return values, slopes * spread(np.where(gap >= 0, upstream, 0).astype(p.dtype))


_hinge_formula = Formula(_hinge, broadcast=True)
_squared_hinge_formula = Formula(_squared_hinge, broadcast=True)
_categorical_hinge_formula = Formula(_categorical_hinge)


@registry.register()
@_hinge_formula.function
def hinge(y_true: Any, y_pred: Any) -> Any:
    """Return ``mean(max(1 - y_true * y_pred, 0), axis=-1)``.

    Mirrors `keras.losses.hinge`. Targets are -1 or 1; where all of them are 0 or 1
    they are read so. Shapes as in `mean_squared_error`.

    Examples
    --------
    >>> float(hinge([0.0, 1.0], [0.5, 0.5]))
    1.0
    """
    return _hinge_formula.values(y_true, y_pred)


@registry.register()
@_squared_hinge_formula.function
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Return ``mean(max(1 - y_true * y_pred, 0)**2, axis=-1)``.

    Mirrors `keras.losses.squared_hinge`; targets as in `hinge`.

    Examples
    --------
    >>> float(squared_hinge([0.0, 1.0], [0.5, 0.5]))
    1.25
    """
    return _squared_hinge_formula.values(y_true, y_pred)


@registry.register()
@_categorical_hinge_formula.function
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """Return ``max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0)``, last axis.

    Mirrors `keras.losses.categorical_hinge`; targets are one-hot.

    Examples
    --------
    >>> float(categorical_hinge([0.0, 1.0], [0.25, 0.5]))
    0.75
    """
    return _categorical_hinge_formula.values(y_true, y_pred)


@registry.register()
class Hinge(LossFunctionWrapper):
    """Distance to the right side of a margin. Mirrors `keras.losses.Hinge`.

    See `Loss` for the parameters and `hinge` for the formula.

    Examples
    --------
    >>> float(Hinge()([[0.0], [1.0]], [[0.5], [0.5]]))
    1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(hinge, reduction, name, dtype)


@registry.register()
class SquaredHinge(LossFunctionWrapper):
    """Squared distance to the right side of a margin. Mirrors `keras.losses.SquaredHinge`.

    See `Loss` for the parameters and `squared_hinge` for the formula.

    Examples
    --------
    >>> float(SquaredHinge()([[0.0], [1.0]], [[0.5], [0.5]]))
    1.25
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


@registry.register()
class CategoricalHinge(LossFunctionWrapper):
    """Margin of the right class over the others. Mirrors `keras.losses.CategoricalHinge`.

    See `Loss` for the parameters and `categorical_hinge` for the formula.

    Examples
    --------
    >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.25, 0.5]]))
    0.75
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)
