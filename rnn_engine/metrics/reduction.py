"""`Sum`, `Mean` and `MeanMetricWrapper`: what most metrics are made of."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rnn_engine.losses.base import Loss
from rnn_engine.losses.formula import formula_of
from rnn_engine.losses.reduction import align
from rnn_engine.metrics.arrays import Array, as_array, broadcast_weight
from rnn_engine.metrics.metric import Metric
from rnn_engine.metrics.table import find_function, metric
from rnn_engine.variable import Variable


def add_to(variable: Variable, amount: float) -> None:
    """Add to a variable of no axes (a tenth of the time of ``value += amount``)."""
    value = variable.value
    value[()] = value.item() + amount
    variable.version += 1


def total_of(values: Array) -> float:
    """Return the sum of all elements, summed in float64."""
    if values.dtype == np.bool_:
        return int(np.count_nonzero(values))
    return float(np.add.reduce(values, axis=None, dtype=np.float64))


def samplewise(
    values: Any, sample_weight: Any, reduce: Callable[..., Any], dtype: str
) -> tuple[Array, Array]:
    """Return one weighted value and one weight for each sample, as Keras forms them.

    Axes of `values` beyond those of the weights are reduced first; what is left
    is weighted, and reduced to the first axis.
    """
    values = as_array(values, "values", dtype)
    weight = as_array(sample_weight, "sample_weight", dtype)
    values_shape, weight_shape = align(values.shape, weight.shape)
    values, weight = values.reshape(values_shape), weight.reshape(weight_shape)
    rank = weight.ndim
    if values.ndim > rank:
        values = reduce(values, axis=tuple(range(rank, values.ndim)))
    weight = broadcast_weight(weight, values.shape)
    values = values * weight
    if rank > 1:
        weight = reduce(weight, axis=tuple(range(1, rank)))
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, weight


@metric
class Sum(Metric):
    """Weighted sum of all values. Mirrors `keras.metrics.Sum`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.Sum()
    >>> m.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    >>> float(m.result())
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self._add_sum("total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add the sum of `values`, each times its weight."""
        if sample_weight is None:
            values = as_array(values, "values", self._dtype)
        else:
            values, _ = samplewise(values, sample_weight, np.sum, self._dtype)
        add_to(self.total, total_of(values))

    def result(self) -> Any:
        """Return the sum so far, a scalar of the metric's dtype."""
        return self._scalar_type(self.total.value)


@metric
class Mean(Metric):
    """Weighted mean of all values. Mirrors `keras.metrics.Mean`.

    Values of shape ``(samples, ...)`` are first averaged over all but the first
    axis, so that each sample counts once.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.Mean()
    >>> m.update_state([1, 3, 5, 7])
    >>> float(m.result())
    4.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self._add_sum("total")
        self.count = self._add_sum("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, an array or a number, with weights that fit their first axes.

        Raises
        ------
        ValueError
            If the weights do not fit.
        """
        if sample_weight is not None:
            values, weight = samplewise(values, sample_weight, np.mean, self._dtype)
            self._add(total_of(values), total_of(weight))
        elif isinstance(values, (float, int)):
            self._add(values, 1)
        else:
            self._add_unweighted(as_array(values, "values"))

    def _add_unweighted(self, values: Array) -> None:
        """Add one value, the mean over the other axes, for each entry of the first axis."""
        size = values.size
        samples = values.shape[0] if values.ndim else 1
        if size == samples:
            self._add(total_of(values), samples)
        elif size:
            self._add(total_of(values) * (samples / size), samples)

    def _add(self, total: float, count: float) -> None:
        add_to(self.total, total)
        add_to(self.count, count)

    def result(self) -> Any:
        """Return the mean so far, a scalar of the metric's dtype; 0 before any value."""
        count = self.count.value.item()
        return self._scalar_type(self.total.value.item() / count if count else 0)


@metric
class MeanMetricWrapper(Mean):
    """Mean of a function of samples. Mirrors `keras.metrics.MeanMetricWrapper`.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)`` gives a value for each sample (or step).
    name, dtype
        As in `Metric`.
    **kwargs
        Handed to `fn` in every call.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.MeanMetricWrapper(lambda t, p: abs(t - p).max(axis=-1), name="worst")
    >>> m.update_state(np.zeros((2, 3)), np.array([[1.0, 0, 0], [0, 3, 2]]))
    >>> float(m.result())
    2.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        if is_loss(fn) and not hasattr(self, "_direction"):
            self._direction = "down"

    def update_state(  # type: ignore[override]  # Mean takes values, this one a pair
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add the values of the function for a batch.

        Parameters
        ----------
        y_true, y_pred : array
            Targets and outputs, batch first.
        sample_weight : array, optional
            ``(samples,)``, or with further axes of the values.
        """
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        # Not super(): a subclass may come with its own update_state.
        Mean.update_state(self, values, sample_weight)

    def update_masked(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        mask: Any = None,
        below: Any = None,
    ) -> None:
        """Add a batch; where the mask is False the weight is zero.

        A cross-entropy takes the logits `below`, whatever its `from_logits` says, as in Keras.
        """
        if mask is not None:
            sample_weight = masked_weight(sample_weight, mask, self._dtype)
        if below is not None:
            logits, activation = below
            form = _of_logits(self._fn, self._fn_kwargs, activation)
            if form is not None:
                Mean.update_state(self, form(y_true, logits), sample_weight)
                return
        super().update_masked(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; the function by its name, a loss by its config."""
        if hasattr(self._fn, "get_config"):
            fn = {"class_name": type(self._fn).__name__, "config": self._fn.get_config()}
        else:
            fn = {"class_name": "function", "config": getattr(self._fn, "__name__", repr(self._fn))}
        return {**super().get_config(), "fn": fn, **self._fn_kwargs}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "MeanMetricWrapper":
        """Make a metric of what `get_config` returned.

        Raises
        ------
        ValueError
            If the function is the user's own and not in `custom_objects`.
        """
        settings = dict(config)
        fn = settings.get("fn")
        if isinstance(fn, dict) and fn.get("class_name") != "function":
            from rnn_engine import losses

            settings["fn"] = losses.deserialize(fn)
        elif isinstance(fn, (str, dict)):
            settings["fn"] = find_function(fn, custom_objects or {})
        return cls(**settings)


def _of_logits(fn: Any, options: dict[str, Any], activation: Any) -> Any:
    """Return what gives of logits the values that `fn` gives of ``activation(logits)``.

    None unless `fn` is a loss, or the function of one, that Keras computes from logits.
    """
    if isinstance(fn, Loss):
        return fn.logits_form(activation)
    formula = formula_of(fn)
    if formula is None:
        return None
    on_logits = formula.on_logits(options, activation)
    return None if on_logits is None else partial(formula.values, **on_logits)


def masked_weight(sample_weight: Any, mask: Any, dtype: str) -> Array:
    """Return the weights with those of masked steps set to zero.

    Weights of one axis against a mask ``(samples, steps)`` count for the whole
    sample; Keras would line them up with the steps there.
    """
    mask = as_array(mask, "mask", dtype)
    if sample_weight is None:
        return mask
    weight = as_array(sample_weight, "sample_weight", dtype)
    rank = max(mask.ndim, weight.ndim)
    return _with_rank(weight, rank) * _with_rank(mask, rank)


def _with_rank(array: Array, rank: int) -> Array:
    return array.reshape(array.shape + (1,) * (rank - array.ndim))


def is_loss(fn: Any) -> bool:
    """Return whether `fn` is a loss of the library, so that less is better."""
    return getattr(fn, "__module__", "").startswith("rnn_engine.losses") or type(
        fn
    ).__module__.startswith("rnn_engine.losses")
