"""Activations: one table of formulas and their derivatives, in vector arithmetic.

Each row of `TABLE` is written once, in the operators of `kernels.vector`; the
recurrent and dense kernels, `rnn_engine.activations`, the layers and the tests read it.
A row costs nothing until it is used: see `kernels.finish`. Formulas with parameters
stand here with Keras's defaults; others are computed in NumPy.

A NaN stays a NaN in all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rnn_engine.kernels.elementary import (
    exp,
    expm1,
    log1p,
    normal,
    sigmoid,
    sigmoid_and_rest,
    sigmoid_to_the_end,
    tanh,
    tanh_shrink,
)
from rnn_engine.kernels.vector import Vector, absolute, fma, square_root, where


@dataclass(frozen=True)
class Formula:
    """One activation.

    Attributes
    ----------
    name : str
        Its Keras name.
    forward : callable
        Vector -> Vector, y of z.
    derivative : callable
        Vector -> Vector, dy/dz as a function of y, or of z if `from_input`.
    from_input : bool
        Whether `derivative` needs z, which forward then has to keep.
    """

    name: str
    forward: Callable[[Vector], Vector]
    derivative: Callable[[Vector], Vector]
    from_input: bool = False


def _one(y: Vector) -> Vector:
    return y.ops.const(1.0)


def _above(x: Vector, bound: float) -> Any:
    """Return the mask of the lanes above `bound`; a NaN is in none."""
    return (-x).less(-bound)


def _clip(x: Vector, low: float, high: float) -> Vector:
    x = where(x.less(low), low, x)
    return where(_above(x, high), high, x)


def _inside(x: Vector, low: float, high: float, value: "Vector | float") -> Vector:
    """Return `value` where low < x < high, else 0."""
    zero = x.ops.const(0.0)
    return where(x.less(high), where(_above(x, low), value, zero), zero)


# --- rectifiers -----------------------------------------------------------------


def linear(x: Vector) -> Vector:
    """Return x."""
    return x


def relu(x: Vector) -> Vector:
    """Return max(x, 0); a NaN stays."""
    return where(x.less(0.0), 0.0, x)


def relu6(x: Vector) -> Vector:
    """Return min(max(x, 0), 6)."""
    return _clip(x, 0.0, 6.0)


def leaky_relu(x: Vector) -> Vector:
    """Return x above zero and 0.2·x below."""
    return where(x.less(0.0), x * 0.2, x)


def elu(x: Vector) -> Vector:
    """Return x above zero and eˣ - 1 below."""
    return where(x.less(0.0), expm1(x), x)


# From "Self-Normalizing Neural Networks", Klambauer et al. 2017.
_SELU_SCALE = 1.0507009873554804934
_SELU_ALPHA = 1.6732632423543772848


def selu(x: Vector) -> Vector:
    """Return 1.0507·x above zero and 1.0507·1.6733·(eˣ - 1) below."""
    return where(x.less(0.0), expm1(x) * (_SELU_SCALE * _SELU_ALPHA), x * _SELU_SCALE)


# --- shrinks: zero around zero ----------------------------------------------------


def soft_shrink(x: Vector) -> Vector:
    """Return x moved by 0.5 towards zero, and zero within 0.5 of it."""
    inside = x - x  # a NaN stays
    return where(_above(x, 0.5), x - 0.5, where(x.less(-0.5), x + 0.5, inside))


def hard_shrink(x: Vector) -> Vector:
    """Return x, and zero within 0.5 of zero."""
    return where(_above(absolute(x), 0.5), x, x - x)


# --- smooth gates -----------------------------------------------------------------


def softplus(x: Vector) -> Vector:
    """Return log(1 + eˣ) = max(x, 0) + log(1 + e^-|x|)."""
    return where(x.less(0.0), 0.0, x) + log1p(exp(-absolute(x)))


def log_sigmoid(x: Vector) -> Vector:
    """Return log(1/(1 + e⁻ˣ)) = -softplus(-x)."""
    return -softplus(-x)


def softsign(x: Vector) -> Vector:
    """Return x/(1 + |x|)."""
    return x / (absolute(x) + 1.0)


def _softsign_slope(z: Vector) -> Vector:
    root = 1.0 / (absolute(z) + 1.0)
    return root * root


def squareplus(x: Vector) -> Vector:
    """Return (x + √(x² + 4))/2; below zero as the inverse of its value at -x."""
    a = absolute(x)
    # The square must not overflow; from here on the 4 is below the last bit.
    root = where(a.less(1e9), square_root(fma(a, a, 4.0)), a)
    q = fma(root, 0.5, a * 0.5)  # a sum could overflow
    return where(x.less(0.0), 1.0 / q, q)


def _squareplus_slope(y: Vector) -> Vector:
    """Return y²/(y² + 1): the root in the formula is y + 1/y."""
    inverse = 1.0 / y
    return 1.0 / fma(inverse, inverse, 1.0)


def silu(x: Vector) -> Vector:
    """Return x·sigmoid(x)."""
    return x * sigmoid_to_the_end(x)


def _silu_slope(z: Vector) -> Vector:
    s, rest = sigmoid_and_rest(z)
    return s * fma(z, rest, 1.0)


def gelu(x: Vector) -> Vector:
    """Return x·Φ(x), Φ the distribution function of the normal distribution."""
    return x * normal(x)[0]


_INVERSE_ROOT_2PI = 0.39894228040143267794


def _gelu_slope(z: Vector) -> Vector:
    share, moment = normal(z)
    return fma(moment, _INVERSE_ROOT_2PI, share)


# Twice √(2/π), and that times 0.044715.
_GELU_1 = 1.5957691216057307117
_GELU_3 = _GELU_1 * 0.044715
# From here on the sigmoid is 0 or 1, and so is the slope.
_GELU_LIMIT = 30.0


def gelu_approximate(x: Vector) -> Vector:
    """Return x·(1 + tanh(√(2/π)(x + 0.044715x³)))/2 = x·sigmoid of twice that argument."""
    return x * sigmoid_to_the_end(x * fma(x * x, _GELU_3, _GELU_1))


def _gelu_approximate_slope(z: Vector) -> Vector:
    z = _clip(z, -_GELU_LIMIT, _GELU_LIMIT)
    square = z * z
    s, rest = sigmoid_and_rest(z * fma(square, _GELU_3, _GELU_1))
    inner = fma(square, 3.0 * _GELU_3, _GELU_1)
    return s * fma(z * rest, inner, 1.0)


# From here on tanh(softplus(x)) is 1.
_MISH_ONE = {32: 15.0, 64: 30.0}


def _mish_parts(x: Vector) -> tuple[Vector, Vector, Vector]:
    """Return min(x, limit), e = eˣ of it, and n = e² + 2e."""
    limit = _MISH_ONE[x.ops.bits]
    x = where(_above(x, limit), limit, x)
    e = exp(x)
    return x, e, e * (e + 2.0)


def mish(x: Vector) -> Vector:
    """Return x·tanh(softplus(x)) = x·n/(n + 2), n = e²ˣ + 2eˣ."""
    _, _, n = _mish_parts(x)
    return x * (n / (n + 2.0))


def _mish_slope(z: Vector) -> Vector:
    """Return n/(n + 2) + z·4eᶻ(eᶻ + 1)/(n + 2)²."""
    z, e, n = _mish_parts(z)
    inverse = 1.0 / (n + 2.0)
    return fma(z * inverse, 4.0 * inverse * fma(e, e, e), n * inverse)


def _tanh_shrink_slope(z: Vector) -> Vector:
    y = tanh(z)
    return y * y


# --- pieces of lines and parabolas --------------------------------------------------


def hard_tanh(x: Vector) -> Vector:
    """Return x kept within -1..1."""
    return _clip(x, -1.0, 1.0)


def hard_sigmoid(x: Vector) -> Vector:
    """Return (x + 3)/6 kept within 0..1."""
    return _clip(x + 3.0, 0.0, 6.0) / 6.0


def hard_sigmoid_keras2(x: Vector) -> Vector:
    """Return 0.2·x + 0.5 kept within 0..1, which hard_sigmoid was before Keras 3."""
    return _clip(x + 2.5, 0.0, 5.0) / 5.0  # a sum that is exact where it nears zero


def hard_silu(x: Vector) -> Vector:
    """Return x·hard_sigmoid(x)."""
    return x * hard_sigmoid(x)


def _hard_silu_slope(z: Vector) -> Vector:
    return hard_sigmoid(z) + _inside(z, -3.0, 3.0, z / 6.0)


def sparse_plus(x: Vector) -> Vector:
    """Return 0 up to -1, (x + 1)²/4 up to 1, x from there on."""
    v = x + 1.0
    return where(x.less(1.0), where(_above(x, -1.0), v * v * 0.25, 0.0), x)


def sparse_sigmoid(x: Vector) -> Vector:
    """Return (x + 1)/2 kept within 0..1."""
    return _clip((x + 1.0) * 0.5, 0.0, 1.0)


# The position in the table is the code by which kernels know an activation.
TABLE: tuple[Formula, ...] = (
    Formula("linear", linear, _one),
    Formula("tanh", tanh, lambda y: fma(-y, y, 1.0)),
    Formula("sigmoid", sigmoid, lambda y: fma(-y, y, y)),
    Formula("relu", relu, lambda y: where((-y).less(0.0), _one(y), 0.0)),
    Formula("relu6", relu6, lambda y: _inside(y, 0.0, 6.0, 1.0)),
    Formula("leaky_relu", leaky_relu, lambda y: where(_above(y, 0.0), _one(y), 0.2)),
    Formula("elu", elu, lambda y: where(y.less(0.0), y + 1.0, 1.0)),
    Formula("celu", elu, lambda y: where(y.less(0.0), y + 1.0, 1.0)),
    Formula(
        "selu",
        selu,
        lambda y: where(y.less(0.0), y + _SELU_SCALE * _SELU_ALPHA, _SELU_SCALE),
    ),
    Formula("exponential", exp, lambda y: y),
    Formula("softplus", softplus, lambda y: -expm1(-y)),
    Formula("log_sigmoid", log_sigmoid, lambda y: -expm1(y)),
    Formula("softsign", softsign, _softsign_slope, from_input=True),
    Formula("squareplus", squareplus, _squareplus_slope),
    Formula("silu", silu, _silu_slope, from_input=True),
    Formula("gelu", gelu, _gelu_slope, from_input=True),
    # Not a name of Keras's: gelu(approximate=True).
    Formula("gelu_approximate", gelu_approximate, _gelu_approximate_slope, from_input=True),
    Formula("mish", mish, _mish_slope, from_input=True),
    Formula("tanh_shrink", tanh_shrink, _tanh_shrink_slope, from_input=True),
    Formula("soft_shrink", soft_shrink, lambda y: where(_above(absolute(y), 0.0), _one(y), 0.0)),
    Formula("hard_shrink", hard_shrink, lambda y: where(_above(absolute(y), 0.0), _one(y), 0.0)),
    # At -1 and 1 themselves Keras's slope is 1, which the output does not tell.
    Formula(
        "hard_tanh",
        hard_tanh,
        lambda z: where(_above(absolute(z), 1.0), z.ops.const(0.0), 1.0),
        from_input=True,
    ),
    Formula("hard_sigmoid", hard_sigmoid, lambda y: _inside(y, 0.0, 1.0, 1.0 / 6.0)),
    Formula("hard_silu", hard_silu, _hard_silu_slope, from_input=True),
    Formula("sparse_plus", sparse_plus, lambda y: where(y.less(1.0), square_root(y), 1.0)),
    # From the input: just below 1 the output rounds to 1.
    Formula(
        "sparse_sigmoid", sparse_sigmoid, lambda z: _inside(z, -1.0, 1.0, 0.5), from_input=True
    ),
    # Not a name of Keras's: its hard_sigmoid, in files of Keras 2.
    Formula("hard_sigmoid_keras2", hard_sigmoid_keras2, lambda y: _inside(y, 0.0, 1.0, 0.2)),
)
CODES: dict[str, int] = {row.name: code for code, row in enumerate(TABLE)}
