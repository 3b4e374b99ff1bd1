"""Losses that grow like the square of a small error and like the size of a large one."""

from typing import Any

import numpy as np

from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, mean, scale
from rnn_engine.losses.wrapper import LossFunctionWrapper


def _huber(
    t: np.ndarray, p: np.ndarray, upstream: Any, delta: float = 1.0
) -> tuple[np.ndarray, Any]:
    delta = p.dtype.type(delta)
    error = p - t
    size = np.abs(error)
    values = mean(np.where(size <= delta, error * error / 2, delta * size - delta * delta / 2))
    if upstream is None:
        return values, None
    return values, scale(np.where(size <= delta, error, delta * np.sign(error)), upstream)


def _log_cosh(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    error = p - t
    size = np.abs(error)
    # Near 0 the second form cancels: log cosh x = log(1 + 2 sinh²(x/2)).
    small = np.log1p(2 * np.sinh(np.minimum(size, 1) / 2) ** 2)
    large = size + np.log1p(np.exp(-2 * size)) - p.dtype.type(np.log(2.0))
    values = mean(np.where(size < 1, small, large))
    return values, None if upstream is None else scale(np.tanh(error), upstream)


_huber_formula = Formula(_huber, broadcast=True)
_log_cosh_formula = Formula(_log_cosh, broadcast=True)


@registry.register()
@_huber_formula.function
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Return the mean over the last axis of the Huber function of the error.

    With e the error: ``e**2 / 2`` where ``|e| <= delta``, else
    ``delta |e| - delta**2 / 2``. Mirrors `keras.losses.huber`; shapes as in
    `mean_squared_error`.

    Examples
    --------
    >>> float(huber([0.0, 0.0], [1.0, 3.0]))
    1.5
    """
    return _huber_formula.values(y_true, y_pred, delta=delta)


@registry.register()
@_log_cosh_formula.function
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """Return ``mean(log(cosh(y_pred - y_true)), axis=-1)``.

    Mirrors `keras.losses.log_cosh`, but keeps its digits for small errors, where
    Keras's form cancels. Shapes as in `mean_squared_error`.

    Examples
    --------
    >>> round(float(log_cosh([0.0], [2.0])), 4)
    1.325
    """
    return _log_cosh_formula.values(y_true, y_pred)


@registry.register()
class Huber(LossFunctionWrapper):
    """Huber's loss. Mirrors `keras.losses.Huber`; `get_config` keeps `delta`, which Keras loses.

    See `huber` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> float(Huber(delta=1.0)([[0.0]], [[3.0]]))
    2.5
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            huber,
            reduction,
            name,
            dtype,
            delta=delta,
        )


@registry.register()
class LogCosh(LossFunctionWrapper):
    """Logarithm of the hyperbolic cosine of the error. Mirrors `keras.losses.LogCosh`.

    See `Loss` for the parameters and `log_cosh` for the formula.

    Examples
    --------
    >>> round(float(LogCosh()([[0.0]], [[2.0]])), 4)
    1.325
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)
