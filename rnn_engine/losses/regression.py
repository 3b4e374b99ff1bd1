"""Losses of real numbers: squared, absolute, percentage, logarithmic."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.kernels import losses as kernels
from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, mean, scale
from rnn_engine.losses.wrapper import LossFunctionWrapper


def _squared(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    error = p - t
    values = mean(error * error)
    return values, None if upstream is None else scale(error, upstream, factor=2.0)


def _absolute(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    error = p - t
    values = mean(np.abs(error))
    return values, None if upstream is None else scale(np.sign(error), upstream)


def _percentage(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    error = (p - t) / np.maximum(np.abs(t), t.dtype.type(epsilon()))
    values = 100 * mean(np.abs(error))
    if upstream is None:
        return values, None
    slopes = np.sign(p - t) / np.maximum(np.abs(t), t.dtype.type(epsilon()))
    return values, scale(slopes, upstream, factor=100.0)


def _logarithmic(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    least = p.dtype.type(epsilon())
    above = np.maximum(p, least) + 1
    error = np.log(above) - np.log(np.maximum(t, least) + 1)
    values = mean(error * error)
    if upstream is None:
        return values, None
    return values, scale(np.where(p >= least, 2 * error / above, 0), upstream)


_squared_formula = Formula(_squared, broadcast=True, mean=kernels.squared_error)
_absolute_formula = Formula(_absolute, broadcast=True)
_percentage_formula = Formula(_percentage, broadcast=True)
_logarithmic_formula = Formula(_logarithmic, broadcast=True)


@registry.register("mean_squared_error", "mse", "MSE")
@_squared_formula.function
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Return ``mean((y_true - y_pred)**2, axis=-1)``.

    Mirrors `keras.losses.mean_squared_error`. An axis of one in `y_true` (not the
    batch axis) stands for all of `y_pred`'s; other shapes must agree up to a
    trailing axis of one, where Keras would broadcast whatever fits.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> float(mean_squared_error([0.0, 2.0], [1.0, 5.0]))
    5.0
    """
    return _squared_formula.values(y_true, y_pred)


@registry.register("mean_absolute_error", "mae", "MAE")
@_absolute_formula.function
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Return ``mean(|y_true - y_pred|, axis=-1)``.

    Mirrors `keras.losses.mean_absolute_error`; shapes as in `mean_squared_error`.
    The slope where prediction and target meet is 0, as in Keras.

    Examples
    --------
    >>> float(mean_absolute_error([0.0, 2.0], [1.0, 5.0]))
    2.0
    """
    return _absolute_formula.values(y_true, y_pred)


@registry.register("mean_absolute_percentage_error", "mape", "MAPE")
@_percentage_formula.function
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """Return ``100 mean(|y_true - y_pred| / max(|y_true|, epsilon), axis=-1)``.

    Mirrors `keras.losses.mean_absolute_percentage_error`; shapes as in
    `mean_squared_error`.

    Examples
    --------
    >>> float(mean_absolute_percentage_error([2.0, 4.0], [1.0, 5.0]))
    37.5
    """
    return _percentage_formula.values(y_true, y_pred)


@registry.register("mean_squared_logarithmic_error", "msle", "MSLE")
@_logarithmic_formula.function
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Return ``mean((log(y_true + 1) - log(y_pred + 1))**2, axis=-1)``.

    Mirrors `keras.losses.mean_squared_logarithmic_error`; shapes as in
    `mean_squared_error`. Both sides are raised to at least epsilon first, so a
    negative prediction has slope 0.

    Examples
    --------
    >>> round(float(mean_squared_logarithmic_error([0.0], [1.0])), 4)
    0.4805
    """
    return _logarithmic_formula.values(y_true, y_pred)


@registry.register()
class MeanSquaredError(LossFunctionWrapper):
    """Mean of squared errors. Mirrors `keras.losses.MeanSquaredError`.

    See `Loss` for the parameters and `mean_squared_error` for the formula.

    Examples
    --------
    >>> float(MeanSquaredError()([[0.0], [2.0]], [[1.0], [5.0]]))
    5.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


@registry.register()
class MeanAbsoluteError(LossFunctionWrapper):
    """Mean of absolute errors. Mirrors `keras.losses.MeanAbsoluteError`.

    See `Loss` for the parameters and `mean_absolute_error` for the formula.

    Examples
    --------
    >>> float(MeanAbsoluteError()([[0.0], [2.0]], [[1.0], [5.0]]))
    2.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


@registry.register()
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """Mean of errors in percent of the targets.

    Mirrors `keras.losses.MeanAbsolutePercentageError`. See `Loss` for the
    parameters and `mean_absolute_percentage_error` for the formula.

    Examples
    --------
    >>> float(MeanAbsolutePercentageError()([[2.0], [4.0]], [[1.0], [5.0]]))
    37.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


@registry.register()
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """Mean of squared differences of logarithms.

    Mirrors `keras.losses.MeanSquaredLogarithmicError`. See `Loss` for the
    parameters and `mean_squared_logarithmic_error` for the formula.

    Examples
    --------
    >>> round(float(MeanSquaredLogarithmicError()([[0.0]], [[1.0]])), 4)
    0.4805
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)
