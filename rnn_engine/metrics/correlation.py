"""Correlation of targets and outputs along an axis."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.metrics.arrays import Array, as_array, as_pair
from rnn_engine.metrics.reduction import MeanMetricWrapper
from rnn_engine.metrics.table import metric, metric_function


def _float_pair(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    y_pred = as_array(y_pred, "y_pred")
    if y_pred.dtype.kind != "f":
        y_pred = y_pred.astype(np.float32)
    return as_pair(as_array(y_true, "y_true", y_pred.dtype), y_pred)


@metric_function
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """Return Pearson's correlation along `axis`; NaN where one side is constant.

    Mirrors `keras.metrics.pearson_correlation`.

    Examples
    --------
    >>> pearson_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]])
    array([0.81...], dtype=float32)
    """
    y_true, y_pred = _float_pair(y_true, y_pred)
    y_true = y_true - y_true.mean(axis=axis, keepdims=True)
    y_pred = y_pred - y_pred.mean(axis=axis, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        y_true = y_true / y_true.std(axis=axis, keepdims=True)
        y_pred = y_pred / y_pred.std(axis=axis, keepdims=True)
        return np.mean(y_true * y_pred, axis=axis)


@metric_function
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """Return Lin's concordance correlation along `axis`.

    ``2 cov / (var_true + var_pred + (mean_true - mean_pred)² + epsilon)``; mirrors
    `keras.metrics.concordance_correlation`.

    Examples
    --------
    >>> concordance_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]])
    array([0.74...], dtype=float32)
    """
    y_true, y_pred = _float_pair(y_true, y_pred)
    mean_true = y_true.mean(axis=axis, keepdims=True)
    mean_pred = y_pred.mean(axis=axis, keepdims=True)
    spread = (
        y_true.var(axis=axis, keepdims=True)
        + y_pred.var(axis=axis, keepdims=True)
        + np.square(mean_true - mean_pred)
    )
    shared = 2 * (y_true - mean_true) * (y_pred - mean_pred)
    return np.mean(shared / (spread + y_pred.dtype.type(epsilon())), axis=axis)


@metric
class PearsonCorrelation(MeanMetricWrapper):
    """Mean of Pearson's correlation of each sample. Mirrors `keras.metrics.PearsonCorrelation`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    axis : int
        Axis along which to correlate.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.PearsonCorrelation()
    >>> m.update_state([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 1.0], [0.1, 0.7, 0.1]])
    >>> round(float(m.result()), 3)
    0.655
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(pearson_correlation, name=name, dtype=dtype, axis=axis)
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype, "axis": self.axis}


@metric
class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean of Lin's concordance of each sample. Mirrors `keras.metrics.ConcordanceCorrelation`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    axis : int
        Axis along which to correlate.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.ConcordanceCorrelation()
    >>> m.update_state([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 1.0], [0.1, 0.7, 0.1]])
    >>> round(float(m.result()), 3)
    0.504
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(concordance_correlation, name=name, dtype=dtype, axis=axis)
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype, "axis": self.axis}
