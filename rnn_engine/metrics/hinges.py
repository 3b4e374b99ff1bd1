"""The hinge losses as metrics."""

from typing import Any

from rnn_engine import losses
from rnn_engine.metrics.reduction import MeanMetricWrapper
from rnn_engine.metrics.table import metric


@metric
class Hinge(MeanMetricWrapper):
    """Mean of ``max(1 - y_true y_pred, 0)``, labels 0 read as -1.

    Mirrors `keras.metrics.Hinge`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.Hinge()
    >>> m.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(m.result()), 6)
    1.3
    """

    _direction = "down"

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class SquaredHinge(MeanMetricWrapper):
    """Mean of ``max(1 - y_true y_pred, 0)²``, labels 0 read as -1.

    Mirrors `keras.metrics.SquaredHinge`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.SquaredHinge()
    >>> m.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(m.result()), 6)
    1.86
    """

    _direction = "down"

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.squared_hinge, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class CategoricalHinge(MeanMetricWrapper):
    """Mean of ``max(1 + best wrong score - right score, 0)`` for one-hot targets.

    Mirrors `keras.metrics.CategoricalHinge`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.CategoricalHinge()
    >>> m.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(m.result()), 6)
    1.4
    """

    _direction = "down"

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.categorical_hinge, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}
