"""Penalties on weights and outputs, each with its gradient: `keras.regularizers`.

A regularizer is a value and a gradient. Those of the library have both by hand, so has a
`CustomRegularizer`; a plain function, or a class with no more than `__call__`, is differentiated
by autograd, which takes the extra of that name.
"""

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from rnn_engine.autodiff.functions import applied, gradient_of
from rnn_engine.config import epsilon
from rnn_engine.lazy import lazily, show_public
from rnn_engine.registry import Registry, made_of

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "CustomRegularizer",
    "FunctionRegularizer",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]

registry = Registry("regularizer")


class Regularizer:
    """Base class: ``regularizer(x) -> float`` and ``regularizer.gradient(x) -> ndarray``.

    Mirrors `keras.regularizers.Regularizer`, with `gradient` added. A subclass
    defines `__call__`, `gradient` and, if its constructor takes arguments,
    `get_config`. Sums are taken in float64, whatever the dtype of `x`.

    Examples
    --------
    >>> class Cubic(Regularizer):
    ...     def __call__(self, x):
    ...         return float((np.abs(x) ** 3).sum())
    ...     def gradient(self, x):
    ...         return 3 * x * np.abs(x)
    >>> get(Cubic())(np.array([1.0, -2.0]))
    9.0
    """

    def __call__(self, x: np.ndarray) -> float:
        """Return the penalty of `x`."""
        return 0.0

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the derivative of the penalty, of the shape and dtype of `x`: autograd's."""
        return gradient_of(self, np.asarray(x))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Regularizer":
        """Build a regularizer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@registry.register("L1", "l1")
class L1(Regularizer):
    """``l1 * sum(|x|)``; the gradient at 0 is 0. Mirrors `keras.regularizers.L1`.

    Raises
    ------
    ValueError
        If the factor is negative or not finite.

    Examples
    --------
    >>> L1(0.5)(np.array([1.0, -3.0]))
    2.0
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor(0.01 if l1 is None else l1, "l1")

    def __call__(self, x: np.ndarray) -> float:
        """Return the penalty of `x`."""
        return self.l1 * _sum(np.abs(x))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return ``l1 * sign(x)``."""
        return np.sign(x) * self.l1

    def get_config(self) -> dict[str, Any]:
        """Return the factor."""
        return {"l1": self.l1}


@registry.register("L2", "l2")
class L2(Regularizer):
    """``l2 * sum(x^2)``, without a factor of one half. Mirrors `keras.regularizers.L2`.

    Raises
    ------
    ValueError
        If the factor is negative or not finite.

    Examples
    --------
    >>> L2(0.5)(np.array([1.0, -3.0]))
    5.0
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor(0.01 if l2 is None else l2, "l2")

    def __call__(self, x: np.ndarray) -> float:
        """Return the penalty of `x`."""
        return self.l2 * _sum(np.square(x))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return ``2 * l2 * x``."""
        return x * (2.0 * self.l2)

    def get_config(self) -> dict[str, Any]:
        """Return the factor."""
        return {"l2": self.l2}


@registry.register("L1L2", "l1_l2", "l1l2")
class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x^2)``. Mirrors `keras.regularizers.L1L2`.

    Both factors are 0 unless given, also when named by a string: ``"l1l2"``, as
    Keras has it, or ``"l1_l2"``, as its documentation does.

    Raises
    ------
    ValueError
        If a factor is negative or not finite.

    Examples
    --------
    >>> L1L2(l1=1.0, l2=0.5)(np.array([1.0, -3.0]))
    9.0
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(0.0 if l1 is None else l1, "l1")
        self.l2 = _factor(0.0 if l2 is None else l2, "l2")

    def __call__(self, x: np.ndarray) -> float:
        """Return the penalty of `x`."""
        penalty = self.l1 * _sum(np.abs(x)) if self.l1 else 0.0
        return penalty + (self.l2 * _sum(np.square(x)) if self.l2 else 0.0)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return ``l1 * sign(x) + 2 * l2 * x``."""
        return np.sign(x) * self.l1 + x * (2.0 * self.l2)

    def get_config(self) -> dict[str, Any]:
        """Return both factors."""
        return {"l1": self.l1, "l2": self.l2}


@registry.register("OrthogonalRegularizer", "orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """Mean of ``|cos|`` over all pairs of rows or columns, times `factor`.

    Mirrors `keras.regularizers.OrthogonalRegularizer`. A matrix of one row
    (column) has no pairs: 0 here, NaN in Keras.

    Parameters
    ----------
    factor : float
        Not negative.
    mode : {"rows", "columns"}
        Which vectors to make orthogonal.

    Raises
    ------
    ValueError
        If an argument is outside its range, or `x` is not a matrix.

    Examples
    --------
    >>> OrthogonalRegularizer(1.0)(np.array([[2.0, 0.0], [0.0, 4.0]]))
    0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor(factor, "factor")
        if mode not in ("rows", "columns"):
            raise ValueError(
                'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. '
                f"Received: mode={mode}"
            )
        self.mode = mode

    def __call__(self, x: np.ndarray) -> float:
        """Return the penalty of the matrix `x`."""
        unit, _ = self._normalize(x)
        return self._weight(len(unit)) * _sum(np.abs(self._cosines(unit)))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the derivative.

        With unit rows ``n_i = x_i / |x_i|``, ``g = d penalty / d n`` is
        ``2 w sign(n n') n`` without the diagonal, and ``dx_i`` is what of ``g_i``
        is orthogonal to ``n_i``, over ``|x_i|``.
        """
        unit, inverse = self._normalize(x)
        sign = np.sign(self._cosines(unit))
        g = (2.0 * self._weight(len(unit))) * np.einsum("ij,jf->if", sign, unit)
        dx = g - np.sum(g * unit, axis=1, keepdims=True) * unit
        # Where Keras caps 1/|x| the length counts as constant.
        capped = inverse >= 1.0 / epsilon()
        dx = np.where(capped, g, dx) * inverse
        return (dx if self.mode == "rows" else dx.T).astype(np.asarray(x).dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"factor": self.factor, "mode": self.mode}

    def _normalize(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.asarray(x)
        if x.ndim != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: "
                f"inputs.shape={x.shape}"
            )
        rows = (x if self.mode == "rows" else x.T).astype(np.float64)
        cap = 1.0 / epsilon()
        length = np.sqrt(np.sum(rows * rows, axis=1, keepdims=True))
        inverse = 1.0 / np.maximum(length, 1.0 / cap)
        return rows * inverse, inverse

    @staticmethod
    def _cosines(unit: np.ndarray) -> np.ndarray:
        # einsum, not @: BLAS would sum in an order that depends on its threads.
        cosines = np.einsum("if,jf->ij", unit, unit)
        np.fill_diagonal(cosines, 0.0)
        return cosines

    def _weight(self, size: int) -> float:
        """Return the factor of the sum over both triangles."""
        return self.factor / (size * (size - 1.0)) if size > 1 else 0.0


class CustomRegularizer(Regularizer):
    """A user's own penalty, given as value and gradient.

    No counterpart in Keras, where a function alone will do.

    Parameters
    ----------
    value_fn : callable
        ``value_fn(x)``, a number.
    gradient_fn : callable
        ``gradient_fn(x)``, an array of the shape of `x`.
    name : str, optional
        Written by `serialize`; a reader needs it among its `custom_objects`.

    Examples
    --------
    >>> cubic = CustomRegularizer(lambda x: (np.abs(x) ** 3).sum(), lambda x: 3 * x * np.abs(x))
    >>> cubic.gradient(np.array([1.0, -2.0]))
    array([  3., -12.])
    """

    def __init__(
        self,
        value_fn: Callable[[np.ndarray], Any],
        gradient_fn: Callable[[np.ndarray], Any],
        name: str = "custom_regularizer",
    ) -> None:
        self.value_fn = value_fn
        self.gradient_fn = gradient_fn
        self.name = name

    def __call__(self, x: np.ndarray) -> float:
        """Return the penalty of `x`."""
        return float(self.value_fn(x))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the derivative.

        Raises
        ------
        ValueError
            If `gradient_fn` returned another shape than that of `x`.
        """
        dx = np.asarray(self.gradient_fn(x))
        if dx.shape != np.shape(x):
            raise ValueError(
                f"gradient_fn of {self.name} must return the shape {np.shape(x)}, got {dx.shape}."
            )
        return dx.astype(np.asarray(x).dtype, copy=False)

    def get_config(self) -> dict[str, Any]:
        """Return the name; functions cannot be written down."""
        return {"name": self.name}


class FunctionRegularizer(Regularizer):
    """A user's function of a weight as a regularizer; autograd gives its gradient."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, x: Any) -> Any:
        """Return the penalty of `x`."""
        return self.function(x) if hasattr(x, "_node") else applied(self.function, x)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """Resolve a regularizer. Mirrors `keras.regularizers.get`.

    Parameters
    ----------
    identifier : str, dict, class, Regularizer or None
        Or a function of one's own, in `rnn_engine.ops` or NumPy, whose gradient autograd gives.

    Raises
    ------
    ValueError
        If it names no regularizer.

    Examples
    --------
    >>> get("l2")
    L2(l2=0.01)
    """
    regularizer = registry.get(identifier)
    if regularizer is not None and not callable(getattr(regularizer, "gradient", None)):
        return FunctionRegularizer(regularizer)
    return regularizer


def serialize(regularizer: Any) -> Any:
    """Return a JSON-ready form of a regularizer. Mirrors `keras.regularizers.serialize`."""
    if isinstance(regularizer, FunctionRegularizer):
        regularizer = regularizer.function
    return registry.serialize(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Rebuild what `serialize` wrote. Mirrors `keras.regularizers.deserialize`.

    `custom_objects` maps class names to a user's own classes, and names of
    `CustomRegularizer` objects to the objects.
    """
    custom = custom_objects or {}
    if isinstance(config, dict):
        class_name, settings = config.get("class_name"), config.get("config", {})
        if class_name in custom:
            return made_of(custom[class_name], settings)
        if class_name == "CustomRegularizer":
            if settings.get("name") not in custom:
                raise ValueError(
                    f"The functions of the regularizer {settings.get('name')!r} are not in the "
                    f"config: pass it in custom_objects."
                )
            return custom[settings["name"]]
    return registry.deserialize(config)


def _sum(x: np.ndarray) -> float:
    return float(np.sum(x, dtype=np.float64))


def _factor(value: Any, name: str) -> float:
    if not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float. "
            f"Received: {name}={value}"
        )
    return float(value)


__getattr__ = lazily(__name__, {})
show_public(__name__)
