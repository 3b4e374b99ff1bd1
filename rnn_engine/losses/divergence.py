"""Losses between distributions and of counts: Kullback-Leibler and Poisson."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, mean, scale, spread
from rnn_engine.losses.wrapper import LossFunctionWrapper


def _kl(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    least = p.dtype.type(epsilon())
    t = np.clip(t, least, 1)
    clipped = np.clip(p, least, 1)
    values = np.asarray((t * np.log(t / clipped)).sum(axis=-1))
    if upstream is None:
        return values, None
    return values, np.where(p == clipped, -t / clipped, 0) * spread(upstream)


def _poisson(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    above = p + p.dtype.type(epsilon())
    values = mean(p - t * np.log(above))
    return values, None if upstream is None else scale(1 - t / above, upstream)


_kl_formula = Formula(_kl)
_poisson_formula = Formula(_poisson, broadcast=True)


@registry.register("kl_divergence", "kld", "KLD")
@_kl_formula.function
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Return ``sum(y_true * log(y_true / y_pred), axis=-1)``.

    Mirrors `keras.losses.kl_divergence`. Both sides are clipped to ``epsilon .. 1``
    first; a prediction beyond has slope 0.

    Examples
    --------
    >>> round(float(kl_divergence([0.5, 0.5], [0.25, 0.75])), 4)
    0.1438
    """
    return _kl_formula.values(y_true, y_pred)


@registry.register()
@_poisson_formula.function
def poisson(y_true: Any, y_pred: Any) -> Any:
    """Return ``mean(y_pred - y_true * log(y_pred + epsilon), axis=-1)``.

    Mirrors `keras.losses.poisson`; shapes as in `mean_squared_error`.

    Examples
    --------
    >>> float(poisson([2.0], [1.0]).round(4))
    1.0
    """
    return _poisson_formula.values(y_true, y_pred)


@registry.register()
class KLDivergence(LossFunctionWrapper):
    """Kullback-Leibler divergence. Mirrors `keras.losses.KLDivergence`.

    See `Loss` for the parameters and `kl_divergence` for the formula.

    Examples
    --------
    >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
    0.1438
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


@registry.register()
class Poisson(LossFunctionWrapper):
    """Negative log-likelihood of counts, up to a constant. Mirrors `keras.losses.Poisson`.

    See `Loss` for the parameters and `poisson` for the formula.

    Examples
    --------
    >>> round(float(Poisson()([[2.0]], [[1.0]])), 4)
    1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(poisson, reduction, name, dtype)
