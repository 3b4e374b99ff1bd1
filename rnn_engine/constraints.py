"""What a weight is put back to after an update: `keras.constraints`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.lazy import lazily, show_public
from rnn_engine.registry import Registry, made_of

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

registry = Registry("constraint")


@registry.register("Constraint", "constraint")
class Constraint:
    """Base class: ``constraint(w) -> ndarray`` of the shape and dtype of `w`.

    Mirrors `keras.constraints.Constraint`: this one changes nothing. A subclass
    defines `__call__` and, if its constructor takes arguments, `get_config`.
    The optimizer applies the constraint after its update; `w` is not written to.

    Examples
    --------
    >>> class AtMostOne(Constraint):
    ...     def __call__(self, w):
    ...         return np.minimum(w, 1)
    >>> AtMostOne()(np.array([0.5, 3.0]))
    array([0.5, 1. ])
    """

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return the projection of `w`."""
        return np.asarray(w)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Constraint":
        """Build a constraint from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@registry.register("MaxNorm", "max_norm")
class MaxNorm(Constraint):
    """Shortens vectors along `axis` to a length of `max_value`.

    Mirrors `keras.constraints.MaxNorm`. As in Keras, a vector that is short enough is multiplied by
    ``norm / (norm + epsilon)`` nevertheless.

    Parameters
    ----------
    max_value : float
        Largest length.
    axis : int or sequence of int
        Axes that a vector runs along; 0 for the weights into one unit.

    Raises
    ------
    ValueError
        If `max_value` is negative (Keras would flip signs).

    Examples
    --------
    >>> MaxNorm(1.0)(np.array([[3.0], [4.0]])).round(4)
    array([[0.6],
           [0.8]])
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        if not max_value >= 0:
            raise ValueError(f"max_value must not be negative, got {max_value!r}.")
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return `w` with no vector longer than `max_value`."""
        norms = _norms(w, self.axis)
        return _scale(w, np.minimum(norms, self.max_value) / (epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"max_value": self.max_value, "axis": self.axis}


@registry.register("NonNeg", "non_neg")
class NonNeg(Constraint):
    """Raises negative weights to zero. Mirrors `keras.constraints.NonNeg`.

    Examples
    --------
    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return ``max(w, 0)``; NaN stays."""
        return np.maximum(w, 0)


@registry.register("UnitNorm", "unit_norm")
class UnitNorm(Constraint):
    """Scales vectors along `axis` to length 1. Mirrors `keras.constraints.UnitNorm`.

    Zero vectors stay as they are.

    Parameters
    ----------
    axis : int or sequence of int
        Axes that a vector runs along; 0 for the weights into one unit.

    Examples
    --------
    >>> UnitNorm()(np.array([[3.0], [4.0]])).round(4)
    array([[0.6],
           [0.8]])
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return `w` with vectors of length 1."""
        return _scale(w, 1.0 / (epsilon() + _norms(w, self.axis)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"axis": self.axis}


@registry.register("MinMaxNorm", "min_max_norm")
class MinMaxNorm(Constraint):
    """Moves lengths along `axis` to between two bounds. Mirrors `keras.constraints.MinMaxNorm`.

    Parameters
    ----------
    min_value, max_value : float
        Bounds of the length.
    rate : float
        Share of the way that is gone at once: the new length is
        ``(1 - rate) * norm + rate * clip(norm, min_value, max_value)``.
    axis : int or sequence of int
        Axes that a vector runs along; 0 for the weights into one unit.

    Raises
    ------
    ValueError
        Unless ``0 <= min_value <= max_value`` and ``0 <= rate <= 1`` (Keras does not check).

    Examples
    --------
    >>> MinMaxNorm(1.0, 2.0, rate=0.5)(np.array([4.0])).round(4)
    array([3.])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        if not 0 <= min_value <= max_value:
            raise ValueError(
                f"min_value and max_value must satisfy 0 <= min_value <= max_value, "
                f"got {min_value!r} and {max_value!r}."
            )
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must lie within 0 and 1, got {rate!r}.")
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return `w` with lengths moved towards the bounds."""
        norms = _norms(w, self.axis)
        clipped = np.clip(norms, self.min_value, self.max_value)
        desired = self.rate * clipped + (1 - self.rate) * norms
        return _scale(w, desired / (epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm


def get(identifier: Any) -> Any:
    """Resolve a name, config, class or callable. Mirrors `keras.constraints.get`.

    Raises
    ------
    ValueError
        If it names no constraint.

    Examples
    --------
    >>> get("max_norm")
    MaxNorm(max_value=2, axis=0)
    """
    return registry.get(identifier)


def serialize(constraint: Any) -> Any:
    """Return a JSON-ready form of a constraint. Mirrors `keras.constraints.serialize`."""
    return registry.serialize(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Rebuild what `serialize` wrote. Mirrors `keras.constraints.deserialize`.

    `custom_objects` maps class names to a user's own classes.
    """
    if custom_objects and isinstance(config, dict) and config.get("class_name") in custom_objects:
        return made_of(custom_objects[config["class_name"]], config.get("config"))
    return registry.deserialize(config)


def _norms(w: np.ndarray, axis: int | Sequence[int]) -> np.ndarray:
    """Return lengths along `axis`, kept as axes of size 1, in float64."""
    axes = axis if isinstance(axis, int) else tuple(axis)
    w = np.asarray(w)
    return np.sqrt(np.sum(np.square(w), axis=axes, keepdims=True, dtype=np.float64))


def _scale(w: np.ndarray, factor: np.ndarray) -> np.ndarray:
    w = np.asarray(w)
    return w * factor.astype(w.dtype)


__getattr__ = lazily(__name__, {})
show_public(__name__)
