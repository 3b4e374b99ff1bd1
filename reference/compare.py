"""How two results are compared, and how close they have to be.

The measure is the largest error of an element relative to its size. The size is
not the value alone: it is the rounding error that the oracle carries along
(`reference.running_error`), which is at least the value, and at least a hundredth
of the largest size in the array. So a sum that cancels to nothing is judged by
what was summed, a recurrence that amplifies by its amplification, and a gradient
that has vanished over many steps by those that have not. Where there is no oracle,
the size is the largest element of the reference.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.running_error import Quantity

ROUNDOFFS: dict[str, float] = {"float32": 2.0**-24, "float64": 2.0**-53}

FACTOR = 16.0
"""Tolerance of forward and gradients in roundoffs of the size.

Measured over the fixed cases and hundreds of random ones, the engine stays below 6
roundoffs of the size and Keras below 10 (its tanh alone is off by 6 ULP). A sum of
n terms of one sign in the plainest order may take sqrt(n / 3).
"""

SHARE = 0.01
"""The least size of an element, as a share of the largest of its array."""

UNKNOWABLE = 0.05
"""Where roundoff times size passes this share of the largest value, no comparison."""


TRAINING: dict[str, float] = {"float32": 1e-5, "float64": 1e-7}
"""Tolerance of losses and weights after training, relative to the largest of an array.

Keras keeps the learning rate in float32 whatever the dtype of the weights, which
bounds what float64 can show.
"""

MOST = 100.0
"""How many times the largest of an array the size of a trained weight may be."""


def roundoff(dtype: Any) -> float:
    """Return the unit roundoff of float32 or float64."""
    return ROUNDOFFS[np.dtype(dtype).name]


def tolerance(dtype: Any, terms: int = 1) -> float:
    """Return the tolerance of forward values and gradients of a dtype.

    `terms` is the number of terms of the longest plain sum, where it is known to be
    long: B T of a weight gradient.
    """
    return roundoff(dtype) * max(FACTOR, float(np.sqrt(terms)))


def floor(dtype: Any) -> float:
    """Return the size below which an error counts as absolute.

    Denormal numbers have no relative precision, and TensorFlow flushes them to
    zero; the smallest normal number divided by the roundoff leaves room for both,
    and the factor for sums of many of them.
    """
    return 256 * float(np.finfo(np.dtype(dtype)).tiny) / roundoff(dtype)


def size_of(reference: Any, dtype: Any) -> np.ndarray:
    """Return the size, by element, that an error against `reference` is divided by."""
    if isinstance(reference, Quantity):
        size = np.maximum(reference.error, np.abs(reference.value))
        size = np.maximum(size, SHARE * size.max(initial=0.0))
    else:
        values = np.abs(np.asarray(reference, dtype=np.float64))
        finite = values[np.isfinite(values)]
        size = np.full(values.shape, finite.max() if finite.size else 0.0)
    return np.maximum(size, floor(dtype))


def trained(weights: np.ndarray, moved: np.ndarray, dtype: Any) -> Quantity:
    """Return the oracle's trained weights with their sizes, as `compare` divides by them.

    The largest of the array, and more where rounding alone has `moved` a weight by more than
    the tolerance.
    """
    largest = np.abs(weights).max(initial=0.0)
    size = np.clip(moved / TRAINING[np.dtype(dtype).name], largest, MOST * largest)
    return Quantity(weights, size)


def value_of(quantity: Any) -> np.ndarray:
    """Return a plain float64 array."""
    if isinstance(quantity, Quantity):
        return quantity.value
    return np.asarray(quantity, dtype=np.float64)


def relative_error(actual: Any, expected: Any, dtype: Any, size: Any = None) -> float:
    """Return the largest |actual - expected| / size; infinity if the shapes differ.

    NaN and infinities have to stand in the same places, with the same sign.
    `size` is what gives the scale, `expected` itself if None.
    """
    scale = size_of(expected if size is None else size, dtype)
    a, b = value_of(actual), value_of(expected)
    if a.shape != b.shape:
        return float("inf")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not np.all(same | (np.isfinite(a) & np.isfinite(b))):
        return float("inf")
    error = np.abs(np.where(same, 0.0, a) - np.where(same, 0.0, b)) / scale
    return float(error.max()) if error.size else 0.0


def rms_error(actual: Any, expected: Any, dtype: Any, size: Any = None) -> float:
    """Return the root mean square of |actual - expected| / size."""
    scale = size_of(expected if size is None else size, dtype)
    error = (value_of(actual) - value_of(expected)) / scale
    return float(np.sqrt(np.mean(error**2))) if error.size else 0.0


def knowable(reference: Quantity, dtype: Any) -> bool:
    """Whether a computation in `dtype` can be near the oracle's value at all.

    False where rounding errors are amplified to the order of the values.
    """
    if not np.all(np.isfinite(reference.value)) or not np.all(np.isfinite(reference.error)):
        return False
    largest = np.abs(reference.value).max(initial=0.0)
    error = reference.error.max(initial=0.0) * roundoff(dtype)
    return bool(error <= UNKNOWABLE * max(largest, floor(dtype)) or error == 0.0)


@dataclass(frozen=True)
class Row:
    """One line of the table of `reference.verify`."""

    case: str
    dtype: str
    quantity: str
    engine_oracle: float | None
    keras_oracle: float | None
    engine_keras: float | None
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the engine is within tolerance of both others, and they of each other."""
        errors = (self.engine_oracle, self.keras_oracle, self.engine_keras)
        return all(error is None or error <= self.tolerance for error in errors)


def compare(
    case: str,
    dtype: str,
    quantity: str,
    sides: dict[str, Any],
    terms: int = 1,
    allowed: float | None = None,
) -> Row:
    """Compare the sides ``engine``, ``keras``, ``oracle`` of one quantity.

    A side may be missing. The oracle gives the size, else Keras does. Between two
    float programs twice the tolerance would be fair; one is asked for.
    """
    engine, keras, oracle = (sides.get(name) for name in ("engine", "keras", "oracle"))
    size = oracle if oracle is not None else keras

    def error(a: Any, b: Any) -> float | None:
        return None if a is None or b is None else relative_error(a, b, dtype, size)

    limit = tolerance(dtype, terms) if allowed is None else allowed
    return Row(
        case,
        dtype,
        quantity,
        error(engine, oracle),
        error(keras, oracle),
        error(engine, keras),
        limit,
    )
