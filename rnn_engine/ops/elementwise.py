"""Ops of each element: maths, comparison, logic, bits, and their types."""

from typing import Any

import numpy as np

from rnn_engine.ops.dispatch import (
    OPS,
    dtype_named,
    dtype_of,
    make,
    op,
    promote,
    to_array,
    to_float,
    to_floats,
)


def _enter(name: str, function: Any, tensors: int, text: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    OPS[name] = make(function, tensors)


def _is_truth(x: Any) -> bool:
    return dtype_of(x) == np.dtype(bool)


# --- of one tensor, whose result is a float ---------------------------------------------------

_FLOAT_OF_ONE = [
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "cos", "cosh",
    "deg2rad", "exp", "exp2", "expm1", "i0", "log", "log10", "log1p", "log2", "rad2deg",
    "reciprocal", "sin", "sinc", "sinh", "sqrt", "tan", "tanh",
]  # fmt: skip


def _float_of_one(name: str) -> Any:
    def function(xp: Any, x: Any) -> Any:
        return getattr(xp, name)(to_float(x))

    return function


for _name in _FLOAT_OF_ONE:
    _enter(
        _name,
        _float_of_one(_name),
        1,
        f"Return NumPy's `{_name}` of every element, as floats. Mirrors `keras.ops.{_name}`.",
    )

# --- of one tensor, in its own type -----------------------------------------------------------

_SAME_OF_ONE = {
    "absolute": "absolute", "abs": "absolute", "negative": "negative", "conjugate": "conjugate",
    "conj": "conjugate", "real": "real", "imag": "imag", "sign": "sign", "isfinite": "isfinite",
    "isinf": "isinf", "isnan": "isnan", "isneginf": "isneginf", "isposinf": "isposinf",
    "isreal": "isreal", "signbit": "signbit", "fabs": "absolute", "angle": "angle",
}  # fmt: skip


def _same_of_one(numpy_name: str) -> Any:
    def function(xp: Any, x: Any) -> Any:
        return getattr(xp, numpy_name)(to_array(x))

    return function


for _name, _numpy_name in _SAME_OF_ONE.items():
    _enter(
        _name,
        _same_of_one(_numpy_name),
        1,
        f"Return NumPy's `{_numpy_name}` of every element. Mirrors `keras.ops.{_name}`.",
    )


for _name in ("ceil", "floor"):
    _text = f"Return `{_name}` as floats. Mirrors `keras.ops.{_name}`."
    _enter(_name, _float_of_one(_name), 1, _text)


@op()
def trunc(xp: Any, x: Any) -> Any:
    """Return the elements without their fraction. Mirrors `keras.ops.trunc`."""
    return xp.trunc(to_array(x))


@op()
def round_(xp: Any, x: Any, decimals: int = 0) -> Any:
    """Return the elements rounded, halves to even. Mirrors `keras.ops.round`."""
    return xp.round(to_array(x), decimals)


@op()
def square(xp: Any, x: Any) -> Any:
    """Return the squares. Mirrors `keras.ops.square`."""
    x = to_array(x)
    return xp.square(x.astype(np.int32) if _is_truth(x) else x)


@op()
def rsqrt(xp: Any, x: Any) -> Any:
    """Return one over the square root. Mirrors `keras.ops.rsqrt`."""
    return 1.0 / xp.sqrt(to_float(x))


@op()
def logical_not(xp: Any, x: Any) -> Any:
    """Return whether elements are zero. Mirrors `keras.ops.logical_not`."""
    return xp.logical_not(to_array(x))


@op()
def nan_to_num(
    xp: Any, x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """Replace NaN and infinities. Mirrors `keras.ops.nan_to_num`."""
    x = to_array(x)
    if dtype_of(x).kind != "f":
        return x
    limits = np.finfo(dtype_of(x))
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    x = xp.where(xp.isnan(x), dtype_of(x).type(nan), x)
    x = xp.where(xp.isposinf(x), dtype_of(x).type(high), x)
    return xp.where(xp.isneginf(x), dtype_of(x).type(low), x)


# --- of two tensors ---------------------------------------------------------------------------

_SAME_OF_TWO = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "maximum": "maximum",
    "minimum": "minimum", "fmax": "fmax", "fmin": "fmin", "fmod": "fmod", "gcd": "gcd",
    "lcm": "lcm", "floor_divide": "floor_divide", "bitwise_and": "bitwise_and",
    "bitwise_or": "bitwise_or", "bitwise_xor": "bitwise_xor", "left_shift": "left_shift",
    "right_shift": "right_shift", "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift", "equal": "equal", "not_equal": "not_equal",
    "greater": "greater", "greater_equal": "greater_equal", "less": "less",
    "less_equal": "less_equal",
}  # fmt: skip
_FLOAT_OF_TWO = {
    "true_divide": "true_divide", "divide": "true_divide", "arctan2": "arctan2",
    "hypot": "hypot", "logaddexp": "logaddexp", "logaddexp2": "logaddexp2",
    "nextafter": "nextafter", "heaviside": "heaviside",
}  # fmt: skip
_TRUTH_OF_TWO = ("logical_and", "logical_or", "logical_xor")


def _of_two(name: str, prepare: Any) -> Any:
    def function(xp: Any, x1: Any, x2: Any) -> Any:
        return getattr(xp, name)(*prepare(x1, x2))

    return function


def _of_two_bits(name: str, prepare: Any) -> Any:
    def function(xp: Any, x: Any, y: Any) -> Any:
        return getattr(xp, name)(*prepare(x, y))

    return function


def _arrays(*values: Any) -> list[Any]:
    return [to_array(value) for value in values]


for _name, _numpy_name in _SAME_OF_TWO.items():
    _bits = "bitwise" in _name or "shift" in _name
    _enter(
        _name,
        (_of_two_bits if _bits else _of_two)(_numpy_name, promote),
        2,
        f"Return NumPy's `{_numpy_name}` of two tensors. Mirrors `keras.ops.{_name}`.",
    )
for _name, _numpy_name in _FLOAT_OF_TWO.items():
    _enter(
        _name,
        _of_two(_numpy_name, to_floats),
        2,
        f"Return NumPy's `{_numpy_name}` of two tensors, as floats. Mirrors `keras.ops.{_name}`.",
    )
for _name in _TRUTH_OF_TWO:
    _enter(
        _name,
        _of_two(_name, _arrays),
        2,
        f"Return NumPy's `{_name}` of two tensors. Mirrors `keras.ops.{_name}`.",
    )


@op(2)
def power(xp: Any, x1: Any, x2: Any) -> Any:
    """Return x1 to the x2. Mirrors `keras.ops.power`."""
    x1, x2 = promote(x1, x2)
    return xp.power(x1, x2)


@op(2)
def mod(xp: Any, x1: Any, x2: Any) -> Any:
    """Return the remainder, of the sign of x2. Mirrors `keras.ops.mod`."""
    x1, x2 = promote(x1, x2)
    if _is_truth(x1):
        x1, x2 = x1.astype(np.int32), x2.astype(np.int32)
    return xp.mod(x1, x2)


@op(2)
def ldexp(xp: Any, x1: Any, x2: Any) -> Any:
    """Return x1 times two to the x2. Mirrors `keras.ops.ldexp`."""
    x1 = to_float(x1)
    return x1 * xp.exp2(to_array(x2).astype(dtype_of(x1)))


@op(2)
def divide_no_nan(xp: Any, x1: Any, x2: Any) -> Any:
    """Return x1 / x2, zero where x2 is. Mirrors `keras.ops.divide_no_nan`."""
    x1, x2 = to_floats(x1, x2)
    zero = xp.equal(x2, 0)
    return xp.where(zero, dtype_of(x1).type(0), x1 / xp.where(zero, dtype_of(x1).type(1), x2))


@op(2)
def isclose(
    xp: Any, x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Return whether elements are close. Mirrors `keras.ops.isclose`."""
    return xp.isclose(*_arrays(x1, x2), rtol, atol, equal_nan)


@op(2)
def allclose(
    xp: Any, x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Return whether all elements are close. Mirrors `keras.ops.allclose`."""
    return np.bool_(xp.allclose(*_arrays(x1, x2), rtol, atol, equal_nan))


@op(2)
def isin(xp: Any, x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Return which elements of x1 occur in x2. Mirrors `keras.ops.isin`."""
    x1, x2 = _arrays(x1, x2)
    return np.isin(np.asarray(x1), np.asarray(x2), assume_unique=assume_unique, invert=invert)


@op()
def bitwise_not(xp: Any, x: Any) -> Any:
    """Return the elements with their bits turned. Mirrors `keras.ops.bitwise_not`."""
    return np.bitwise_not(to_array(x))


@op()
def bitwise_invert(xp: Any, x: Any) -> Any:
    """Return the elements with their bits turned. Mirrors `keras.ops.bitwise_invert`."""
    return np.bitwise_not(to_array(x))


@op(3)
def clip(xp: Any, x: Any, x_min: Any, x_max: Any) -> Any:
    """Return the elements limited to a range. Mirrors `keras.ops.clip`."""
    x = to_array(x)
    x, low, high = promote(x.astype(np.int32) if _is_truth(x) else x, x_min, x_max)
    return xp.minimum(xp.maximum(x, low), high)


@op(3)
def where(xp: Any, condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Return x1 where `condition` holds, else x2; its places without those.

    Mirrors `keras.ops.where`.
    """
    condition = to_array(condition)
    if x1 is None and x2 is None:
        return tuple(part.astype(np.int32) for part in np.nonzero(np.asarray(condition)))
    if x1 is None or x2 is None:
        raise ValueError("`x1` and `x2` either both should be `None` or both should have "
                         "non-None value.")  # fmt: skip
    x1, x2 = promote(x1, x2)
    return xp.where(condition if _is_truth(condition) else xp.not_equal(condition, 0), x1, x2)


@op()
def cast(xp: Any, x: Any, dtype: Any) -> Any:
    """Return a tensor in another type. Mirrors `keras.ops.cast`."""
    kind = dtype_named(dtype)
    x = to_array(x)
    if kind.kind not in "fc":  # nothing goes back through integers
        return np.asarray(x).astype(kind)
    return x if dtype_of(x) == kind else x.astype(kind)


@op()
def saturate_cast(xp: Any, x: Any, dtype: Any) -> Any:
    """Return a tensor in another type, limited to its range. Mirrors `keras.ops.saturate_cast`."""
    kind = dtype_named(dtype)
    x = to_array(x)
    limits: Any = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    x = np.clip(np.asarray(x), limits.min, limits.max)
    return x.astype(kind)
