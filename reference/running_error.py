"""`Quantity`: a float64 value that carries a bound of its own rounding error.

How close two correct float32 programs can come depends on the data: a sum that
cancels, or a recurrence that amplifies, loses digits in every program. A
tolerance relative to the result alone is then either too strict or too loose.
So the oracle computes, beside each value, the first-order running error
analysis of the naive formula (Higham, Accuracy and Stability of Numerical
Algorithms, section 3.3): `error` is such that a computation in a format of unit
roundoff `u` may be off by a small multiple of `u * error`. The comparison
divides by it, and one small constant serves for all shapes and values.

The first order has an end: once `u * error` comes near the value itself,
nothing is known about the result, and a caller should not compare.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


class Quantity:
    """A float64 array with the size of its rounding error, in units of roundoff.

    Parameters
    ----------
    value : array
        Kept in float64.
    error : array, optional
        As `value`; zero, that is exact, if None.
    """

    __array_ufunc__ = None  # so that ndarray @ Quantity comes to __rmatmul__

    def __init__(self, value: Any, error: Any = None) -> None:
        self.value = np.asarray(value, dtype=np.float64)
        self.error = (
            np.zeros_like(self.value) if error is None else np.asarray(error, dtype=np.float64)
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.value.shape

    @property
    def T(self) -> "Quantity":
        """The transpose."""
        return Quantity(self.value.T, self.error.T)

    def __getitem__(self, index: Any) -> "Quantity":
        return Quantity(self.value[index], self.error[index])

    def __setitem__(self, index: Any, new: "Quantity") -> None:
        self.value[index] = new.value
        self.error[index] = new.error

    def __add__(self, other: Any) -> "Quantity":
        other = exact(other)
        value = self.value + other.value
        return Quantity(value, self.error + other.error + np.abs(value))

    def __sub__(self, other: Any) -> "Quantity":
        other = exact(other)
        value = self.value - other.value
        return Quantity(value, self.error + other.error + np.abs(value))

    def __rsub__(self, other: Any) -> "Quantity":
        return exact(other) - self

    def __mul__(self, other: Any) -> "Quantity":
        other = exact(other)
        value = self.value * other.value
        error = self.error * np.abs(other.value) + np.abs(self.value) * other.error
        return Quantity(value, error + np.abs(value))

    __rmul__ = __mul__
    __radd__ = __add__

    def __matmul__(self, other: Any) -> "Quantity":
        other = exact(other)
        a, b = np.abs(self.value), np.abs(other.value)
        return Quantity(self.value @ other.value, a @ b + self.error @ b + a @ other.error)

    def __rmatmul__(self, other: Any) -> "Quantity":
        return exact(other) @ self

    def outer(self, other: Any) -> "Quantity":
        """Outer product of two vectors."""
        other = exact(other)
        a, b = np.abs(self.value), np.abs(other.value)
        error = np.outer(a, b + other.error) + np.outer(self.error, b)
        return Quantity(np.outer(self.value, other.value), error)

    def sum(self, axis: int | None = None) -> "Quantity":
        """Sum, whose rounding is counted relative to the sum of absolute values."""
        error = self.error.sum(axis) + np.abs(self.value).sum(axis)
        return Quantity(self.value.sum(axis), error)

    def map(
        self, function: Callable[[np.ndarray], Any], slope: Callable[[np.ndarray], Any]
    ) -> "Quantity":
        """Apply a scalar function of known derivative, correctly rounded."""
        value = np.asarray(function(self.value))
        return Quantity(value, np.abs(slope(self.value)) * self.error + np.abs(value))


def exact(value: Any) -> Quantity:
    """Return `value` as a `Quantity` without error, unless it is one already."""
    return value if isinstance(value, Quantity) else Quantity(value)


def zeros(*shape: int) -> Quantity:
    """Return an exact zero of this shape, to be added to or written into."""
    return Quantity(np.zeros(shape))
