"""`Metric`: state that a training loop feeds batch by batch and reads at the end."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnn_engine.checks import as_numbers
from rnn_engine.config import floatx
from rnn_engine.metrics.arrays import Array
from rnn_engine.tensor import as_tensor
from rnn_engine.utils.naming import auto_name
from rnn_engine.variable import Variable


def standardize_metric_dtype(dtype: Any) -> str:
    """Return the name of the dtype of a metric; None means `floatx`.

    Raises
    ------
    ValueError
        If it is neither float32, float64, int32 nor int64.
    """
    dtype = getattr(dtype, "compute_dtype", dtype)
    if dtype is None:
        return floatx()
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in ("float32", "float64", "int32", "int64"):
        raise ValueError(
            f"Cannot convert '{dtype}' to a mixed precision DTypePolicy. Valid types of a metric "
            f"are 'float32', 'float64', 'int32' and 'int64'. Received: dtype={dtype!r}"
        )
    return name


class Metric:
    """Base of all metrics. Mirrors `keras.metrics.Metric`.

    A subclass makes its state in `__init__` with `add_variable`, changes it in
    `update_state` and reads it in `result`.

    Parameters
    ----------
    dtype : str, optional
        Type of the computations and of the result; `floatx` if None.
    name : str, optional
        Name in the logs; made from the class name if None.

    Notes
    -----
    The built-in metrics keep their sums and counts in float64 whatever `dtype`
    is: Keras's float32 counter stops at 2**24 samples.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> class Largest(metrics.Metric):
    ...     def __init__(self, name="largest", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.seen = self.add_variable((), "zeros", name="seen")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.seen.assign(max(float(self.seen), float(y_pred.max())))
    ...     def result(self):
    ...         return self.seen.value[()]
    >>> m = Largest()
    >>> m.update_state(None, np.array([1.0, 4.0]))
    >>> float(m.result())
    4.0
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "result" in vars(cls):
            cls.result = _shown(cls.result)  # type: ignore[method-assign]  # wrapped in place

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name: str = name or auto_name(type(self).__name__)
        self._dtype = standardize_metric_dtype(dtype)
        self._scalar_type: type[np.generic] = np.dtype(self._dtype).type
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """Name of the type the metric computes in."""
        return self._dtype

    def add_variable(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a state variable and keep track of it.

        Parameters
        ----------
        shape : sequence of int
            Shape of the variable. Keras 2 had the name here; a string is taken for it.
        initializer : str or callable
            ``"zeros"``, ``"ones"``, or what `rnn_engine.initializers.get` takes.
        dtype : str, optional
            Element type; `floatx` if None.
        aggregation : str, optional
            Accepted as in Keras; one process has nothing to aggregate.
        name : str, optional
            Last part of the variable's path.

        Raises
        ------
        RuntimeError
            If `__init__` of the base class has not run.
        """
        if not hasattr(self, "_variables"):
            raise RuntimeError(
                f"{type(self).__name__} must call super().__init__() before it adds variables."
            )
        if isinstance(shape, str):
            shape, name = (), shape
        shape, dtype, name = tuple(shape), dtype or floatx(), name or "variable"
        value = _initial(initializer, shape, dtype)
        variable = Variable(
            value, name=name, path=f"{self.name}/{name}", trainable=False, dtype=dtype
        )
        self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        name: str | None = None,
        **settings: Any,
    ) -> Variable:
        """Make a state variable; the older name of `add_variable`."""
        if isinstance(initializer, list | tuple):  # name, shape, as Keras 2 had them
            shape, name, initializer = initializer, shape, settings.pop("initializer", "zeros")
        return self.add_variable(shape, initializer, dtype, name=name)

    def _add_sum(self, name: str, shape: Sequence[int] = ()) -> Variable:
        """Make an accumulator of zeros that does not round (see the class's notes)."""
        dtype = "int64" if self._dtype.startswith("int") else "float64"
        return self.add_variable(shape, "zeros", dtype=dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """The state, and after it that of metrics held as attributes."""
        found = dict.fromkeys(self._variables)
        for held in _held(vars(self).values()):
            if isinstance(held, Variable):
                found.setdefault(held)
            else:
                found.update(dict.fromkeys(held.variables))
        return list(found)

    def reset_state(self) -> None:
        """Set every state variable to zero."""
        for variable in self.variables:
            variable.value.fill(0)
            variable.touch()

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch to the state; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state().")

    def result(self) -> Any:
        """Return the value of the metric so far; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__} must define result().")

    def update_masked(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        mask: Any = None,
        below: Any = None,
    ) -> None:
        """Add a batch whose output carries a mask; what the training loop calls.

        As in Keras only the metrics that average a function of samples
        (`MeanMetricWrapper`) heed the mask, and the logits and activation `below` the
        outputs; the others see every step, and the outputs.
        """
        if sample_weight is None:
            self.update_state(y_true, y_pred)
        else:
            self.update_state(y_true, y_pred, sample_weight=sample_weight)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update the state and return the result."""
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> list[Array]:
        """Return the state that `update_state` makes of `metric_variables`.

        Raises
        ------
        ValueError
            If the number of arrays is not that of the variables.
        """
        kept = self._swap(metric_variables)
        try:
            self.update_state(*args, **kwargs)
            return [variable.numpy() for variable in self.variables]
        finally:
            self._swap(kept)

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """Return the result for the given state; the metric's own is untouched."""
        kept = self._swap(metric_variables)
        try:
            return self.result()
        finally:
            self._swap(kept)

    def stateless_reset_state(self) -> list[Array]:
        """Return the state after a reset; the metric's own is untouched."""
        return [np.zeros_like(variable.value) for variable in self.variables]

    def _swap(self, values: Sequence[Any]) -> list[Array]:
        """Put `values` into the variables and return what stood there."""
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"metric_variables must have one array for each of the {len(variables)} "
                f"variables of {type(self).__name__}, got {len(values)}."
            )
        kept = [variable.numpy() for variable in variables]
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return kept

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal, empty metric."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Metric":
        """Make a metric of what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _shown(result: Any) -> Any:
    """Return the method `result` with its number as a tensor, which has `numpy()`."""

    @functools.wraps(result)
    def shown(self: Any, *args: Any, **kwargs: Any) -> Any:
        value = result(self, *args, **kwargs)
        return as_tensor(value.value) if isinstance(value, Variable) else as_tensor(value)

    return shown


def _initial(initializer: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    if initializer is None or initializer == "zeros":
        return np.zeros(shape, dtype)
    if initializer == "ones":
        return np.ones(shape, dtype)
    if not callable(initializer) or isinstance(initializer, type):
        # Imported here: metrics of the library start from zero and need no initializers.
        from rnn_engine import initializers

        initializer = initializers.get(initializer)
    value = as_numbers(initializer(shape, dtype=dtype), f"What {initializer!r} gives")
    if value.shape != shape:
        raise ValueError(f"{initializer!r} must return an array of {shape}, got {value.shape}.")
    return value


def _held(values: Any) -> Iterator[Any]:
    """Yield the metrics and variables among attribute values, one container deep."""
    for value in values:
        inside: Any = ()
        if isinstance(value, dict):
            inside = value.values()
        elif isinstance(value, (list, tuple)):
            inside = value
        for one in (value, *inside):
            if isinstance(one, (Metric, Variable)):
                yield one
