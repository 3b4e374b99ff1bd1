"""Metrics of regression: the errors, cosine similarity and R²."""

import warnings
from typing import Any

import numpy as np

from rnn_engine import losses
from rnn_engine.config import epsilon
from rnn_engine.metrics.arrays import Array, as_array, as_pair, broadcast_weight
from rnn_engine.metrics.metric import Metric
from rnn_engine.metrics.reduction import Mean, MeanMetricWrapper, add_to
from rnn_engine.metrics.table import metric, metric_function


def _same_floats(y_true: Any, y_pred: Any) -> bool:
    """Return whether both are float arrays of one shape, so that nothing is left to check."""
    return (
        type(y_true) is np.ndarray
        and type(y_pred) is np.ndarray
        and y_true.shape == y_pred.shape
        and y_true.dtype == y_pred.dtype
        and y_true.dtype.kind == "f"
        and y_pred.ndim > 1  # one axis alone is one sample
    )


@metric
class MeanSquaredError(MeanMetricWrapper):
    """Mean of ``(y_true - y_pred)²``. Mirrors `keras.metrics.MeanSquaredError`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.MeanSquaredError()
    >>> m.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> float(m.result())
    0.25
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name=name, dtype=dtype)

    def update_state(  # type: ignore[override]  # Mean takes values, this one a pair
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch; without weights in three NumPy calls."""
        if sample_weight is None and _same_floats(y_true, y_pred):
            error = y_pred - y_true
            self._add_unweighted(np.multiply(error, error, out=error))
        else:
            super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of ``|y_true - y_pred|``. Mirrors `keras.metrics.MeanAbsoluteError`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.MeanAbsoluteError()
    >>> m.update_state([[0, 1], [0, 0]], [[1, 1], [0, 2]], sample_weight=[1, 0])
    >>> float(m.result())
    0.5
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name=name, dtype=dtype)

    def update_state(  # type: ignore[override]  # Mean takes values, this one a pair
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch; without weights in three NumPy calls."""
        if sample_weight is None and _same_floats(y_true, y_pred):
            error = y_pred - y_true
            self._add_unweighted(np.absolute(error, out=error))
        else:
            super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean of ``100 |y_true - y_pred| / |y_true|``.

    Mirrors `keras.metrics.MeanAbsolutePercentageError`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.MeanAbsolutePercentageError()
    >>> m.update_state([[2.0], [4.0]], [[1.0], [4.0]])
    >>> float(m.result())
    25.0
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of ``(log(1 + y_true) - log(1 + y_pred))²``.

    Mirrors `keras.metrics.MeanSquaredLogarithmicError`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.MeanSquaredLogarithmicError()
    >>> m.update_state([[0.0], [1.0]], [[np.e - 1], [1.0]])
    >>> round(float(m.result()), 6)
    0.5
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class LogCoshError(MeanMetricWrapper):
    """Mean of ``log(cosh(y_pred - y_true))``. Mirrors `keras.metrics.LogCoshError`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.LogCoshError()
    >>> m.update_state([[0.0, 1.0]], [[1.0, 1.0]])
    >>> round(float(m.result()), 5)
    0.21689
    """

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class RootMeanSquaredError(Mean):
    """Square root of the mean of ``(y_true - y_pred)²`` over everything seen.

    Mirrors `keras.metrics.RootMeanSquaredError`; as there, masks are not heeded.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.RootMeanSquaredError()
    >>> m.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> float(m.result())
    0.5
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype=dtype)

    def update_state(  # type: ignore[override]  # Mean takes values, this one a pair
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch; the weights count as in `Mean`."""
        y_true, y_pred = as_pair(y_true, y_pred, self._dtype)
        super().update_state(np.square(y_pred - y_true), sample_weight)

    def result(self) -> Any:
        """Return the root of the mean so far."""
        return np.sqrt(super().result())


@metric_function
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """Return the cosine of the angle between `y_true` and `y_pred` along `axis`.

    The loss of this name is its negative.

    Examples
    --------
    >>> cosine_similarity([[0.0, 2.0]], [[1.0, 1.0]])
    array([0.70710677], dtype=float32)
    """
    y_pred = as_array(y_pred, "y_pred")
    if y_pred.dtype.kind != "f":
        y_pred = y_pred.astype(np.float32)
    y_true, y_pred = as_pair(as_array(y_true, "y_true", y_pred.dtype), y_pred)
    return np.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x: Array, axis: int) -> Array:
    """Scale to length one; a vector shorter than `epsilon` is divided by that."""
    length = np.sqrt(np.sum(np.square(x), axis=axis, keepdims=True))
    return x / np.maximum(length, x.dtype.type(epsilon()))


@metric
class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between target and output.

    Mirrors `keras.metrics.CosineSimilarity`, but its config keeps `axis`, which
    Keras's forgets.

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    axis : int
        Axis along which the vectors lie.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.CosineSimilarity()
    >>> m.update_state([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])
    >>> round(float(m.result()), 6)
    0.5
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(cosine_similarity, name=name, dtype=dtype, axis=axis)
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype, "axis": self.axis}


@metric
class R2Score(Metric):
    """Share of the variance that the outputs explain. Mirrors `keras.metrics.R2Score`.

    ``1 - sum(w (y_true - y_pred)²) / sum(w (y_true - mean)²)`` for each output.

    Parameters
    ----------
    class_aggregation : None, "uniform_average" or "variance_weighted_average"
        How the scores of the outputs become one; None keeps them apart.
    num_regressors : int
        Number of independent regressors of the adjusted score; 0 for the plain one.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ValueError
        If an argument is not one of these.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.R2Score()
    >>> m.update_state([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
    >>> round(float(m.result()), 5)
    0.57143
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        allowed = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in allowed:
            raise ValueError(
                f"Invalid value for argument `class_aggregation`. Expected one of {allowed}. "
                f"Received: class_aggregation={class_aggregation}"
            )
        if num_regressors < 0:
            raise ValueError(
                "Invalid value for argument `num_regressors`. Expected a value >= 0. "
                f"Received: num_regressors={num_regressors}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self._add_sum("num_samples")
        self._built = False

    def _build(self, outputs: int) -> None:
        self.squared_sum = self._add_sum("squared_sum", (outputs,))
        self.sum = self._add_sum("sum", (outputs,))
        self.total_mse = self._add_sum("residual", (outputs,))
        self.count = self._add_sum("count", (outputs,))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of shape ``(samples, outputs)``.

        Raises
        ------
        ValueError
            If the rank is not 2, or the number of outputs changed.
        """
        y_true, y_pred = as_pair(y_true, y_pred, self._dtype)
        if y_pred.ndim != 2:
            raise ValueError(
                "R2Score expects 2D inputs with shape (batch_size, output_dim). Received input "
                f"shapes: y_pred.shape={y_pred.shape} and y_true.shape={y_true.shape}."
            )
        weight = as_array(1 if sample_weight is None else sample_weight, "sample_weight", "float64")
        weight = broadcast_weight(weight[:, None] if weight.ndim == 1 else weight, y_true.shape)
        if not self._built:
            self._build(y_pred.shape[1])
        elif y_pred.shape[1:] != self.sum.shape:
            raise ValueError(
                f"y_pred has {y_pred.shape[1]} outputs, earlier batches {self.sum.shape[0]}."
            )
        weighted = y_true * weight
        self.sum.assign_add(weighted.sum(axis=0))
        self.squared_sum.assign_add((y_true * weighted).sum(axis=0))
        self.total_mse.assign_add((np.square(y_true - y_pred) * weight).sum(axis=0))
        self.count.assign_add(weight.sum(axis=0))
        add_to(self.num_samples, y_true.size)

    def result(self) -> Any:
        """Return the score so far; an output without variance scores 0, as in Keras.

        Raises
        ------
        ValueError
            Before the first batch.
        """
        if not self._built:
            raise ValueError("R2Score has no result before its first update_state().")
        with np.errstate(divide="ignore", invalid="ignore"):
            squares = self.squared_sum.value
            total = squares - np.square(self.sum.value) / self.count.value
            # What rounding leaves of a variance of zero must not become a score.
            total = np.where(total <= 1e-14 * squares, 0.0, total)
            scores = 1 - self.total_mse.value / total
            scores = np.where(np.isinf(scores), 0.0, scores)
            score: Any = scores
            if self.class_aggregation == "uniform_average":
                score = scores.mean()
            elif self.class_aggregation == "variance_weighted_average":
                score = (total * scores).sum() / total.sum()
        score = self._adjusted(score)
        return score.astype(self._dtype) if score.ndim else self._scalar_type(score)

    def _adjusted(self, score: Any) -> Any:
        samples, regressors = int(self.num_samples), self.num_regressors
        if regressors == 0:
            return score
        if regressors >= samples - 1:
            warnings.warn(
                f"The adjusted R2 score needs more than {regressors + 1} samples for "
                f"{regressors} regressors, got {samples}; this is the plain R2 score.",
                stacklevel=3,
            )
            return score
        return 1 - (1 - score) * (samples - 1) / (samples - regressors - 1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
