"""`Quantity`: a float64 value that carries the size of its own rounding error.

How close two correct float32 programs can come depends on the data: a sum that
cancels, or a recurrence that amplifies, loses digits in every program. A
tolerance relative to the result alone is then either too strict or too loose.
So the oracle computes, beside each value, a first-order running error analysis of
the naive formula (Higham, Accuracy and Stability of Numerical Algorithms, section
3.3): `error` is such that a computation in a format of unit roundoff `u` is off by
a small multiple of `u * error`. The comparison divides by it, and one small
constant serves for all shapes and values.

The roundings of one sum are counted at their worst, as the sum of the absolute
values of its terms. Errors that come in from before are joined as independent
ones, in quadrature: at their worst they would grow with every step of a recurrence
as the absolute values of its matrix do, by orders of magnitude more than they
ever do in fact, and the comparison would see nothing.

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
        return Quantity(value, joined(self.error, other.error, np.abs(value)))

    def __sub__(self, other: Any) -> "Quantity":
        other = exact(other)
        value = self.value - other.value
        return Quantity(value, joined(self.error, other.error, np.abs(value)))

    def __rsub__(self, other: Any) -> "Quantity":
        return exact(other) - self

    def __mul__(self, other: Any) -> "Quantity":
        other = exact(other)
        value = self.value * other.value
        parts = (self.error * other.value, self.value * other.error, value)
        return Quantity(value, joined(*parts))

    __rmul__ = __mul__
    __radd__ = __add__

    def __matmul__(self, other: Any) -> "Quantity":
        other = exact(other)
        rounding = np.abs(self.value) @ np.abs(other.value)
        carried = self.error**2 @ other.value**2 + self.value**2 @ other.error**2
        return Quantity(self.value @ other.value, np.sqrt(rounding**2 + carried))

    def __rmatmul__(self, other: Any) -> "Quantity":
        return exact(other) @ self

    def outer(self, other: Any) -> "Quantity":
        """Outer product of two vectors."""
        other = exact(other)
        value = np.outer(self.value, other.value)
        parts = (np.outer(self.error, other.value), np.outer(self.value, other.error), value)
        return Quantity(value, joined(*parts))

    def sum(self, axis: int | None = None) -> "Quantity":
        """Return the sum; its rounding is relative to the sum of absolute values."""
        carried = np.sqrt((self.error**2).sum(axis))
        return Quantity(self.value.sum(axis), joined(carried, np.abs(self.value).sum(axis)))

    def map(
        self, function: Callable[[np.ndarray], Any], slope: Callable[[np.ndarray], Any]
    ) -> "Quantity":
        """Apply a scalar function of known derivative, correctly rounded."""
        value = np.asarray(function(self.value))
        return Quantity(value, joined(slope(self.value) * self.error, value))


def joined(*errors: np.ndarray) -> np.ndarray:
    """Return the size of independent errors together."""
    return np.sqrt(sum(np.square(error) for error in errors))


def exact(value: Any) -> Quantity:
    """Return `value` as a `Quantity` without error, unless it is one already."""
    return value if isinstance(value, Quantity) else Quantity(value)


def zeros(*shape: int) -> Quantity:
    """Return an exact zero of this shape, to be added to or written into."""
    return Quantity(np.zeros(shape))
