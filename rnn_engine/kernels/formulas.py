"""Activations: one table of formulas and their derivatives, in vector arithmetic.

Each row of `TABLE` is written once, in the operators of `kernels.vector`; the
recurrent and dense kernels, `rnn_engine.activations`, the layers and the tests read it.
Polynomials are minimax fits (Remez, 60 digits) in the relative error of the result.
"""

from collections.abc import Callable
from dataclasses import dataclass
from rnn_engine.kernels.vector import (
    Vector,
    absolute,
    copysign,
    fma,
    polynomial,
    scale_by_power_of_two,
    where,
)

# 2^f on |f| <= 1/2; relative error 1.9e-9 in float32, 3.1e-18 in float64.
_EXP2 = {
    32: (1.00000000055, 0.693147205737, 0.240226468896, 0.0555032877745,
         0.00961848906244, 0.00133999311731, 0.000153457861473),
    64: (0.9999999999999999971, 0.69314718055994533046, 0.24022650695910156209,
         0.055504108664819921553, 0.0096181291075883339069, 0.0013333558146789929524,
         0.00015403530462515255862, 0.000015252733489980292545, 1.3215433089032908888e-6,
         1.0178198025635556729e-7, 7.0741057164086378008e-9, 4.4352820522495469489e-10),
}  # fmt: skip
# (tanh(a)/a - 1)/a² in a², a <= 0.625; relative error of tanh 4.4e-9 and 1e-17.
_TANH_SMALL = {
    32: (-0.333332819451, 0.133314422601, -0.0537397192881, 0.0206390987843, -0.00570499801475),
    64: (-0.33333333333332855299, 0.13333333333262094713, -0.053968253931268859612,
         0.021869487576114850158, -0.0088632210028395823862, 0.0035919891751791122375,
         -0.0014549588837883181614, 0.00058631655640244387711, -0.00022856423906603280739,
         0.000077144394378256058242, -0.00001607258164250108305),
}  # fmt: skip
_TANH_SPLIT = 0.625
# tanh rounds to 1 from here on; clamping keeps 2ⁿ finite.
_TANH_ONE = {32: 9.5, 64: 20.0}
# Adding and subtracting 1.5·2^(mantissa bits) rounds to the nearest integer.
_ROUND = {32: 12582912.0, 64: 6755399441055744.0}
_LOG2_E = 1.4426950408889634074
_LN2_HIGH = {32: 0.693145751953125, 64: 0.693147180369123816490}
_LN2_LOW = {32: 1.428606765330187e-06, 64: 1.90821492927058770002e-10}


def _exp2_parts(x: Vector, factor: float) -> tuple[Vector, Vector]:
    """Return p and n + magic with 2^(factor·x) = p·2ⁿ."""
    magic = _ROUND[x.ops.bits]
    shifted = fma(x, factor, magic)
    fraction = fma(x, factor, -(shifted - magic))
    return polynomial(fraction, _EXP2[x.ops.bits]), shifted


def tanh(x: Vector) -> Vector:
    """Return tanh: 1 - 2/(e^(2a) + 1) for a = |x| > 0.625, an odd polynomial below.

    Both halves end in one addition whose second term is small against the first,
    which is where the accuracy comes from (at most 1.3 ULP in float32).
    """
    bits = x.ops.bits
    a = absolute(x)
    clamped = where((-a).less(-_TANH_ONE[bits]), _TANH_ONE[bits], a)
    p, shifted = _exp2_parts(clamped, 2 * _LOG2_E)
    large = 1.0 - 2.0 / (scale_by_power_of_two(p, shifted) + 1.0)
    square = a * a
    small = fma(a * square, polynomial(square, _TANH_SMALL[bits]), a)
    return copysign(where(a.less(_TANH_SPLIT), small, large), x)


def exp(x: Vector) -> Vector:
    """Return eˣ over the whole range, denormal results and infinity included."""
    ops = x.ops
    bits = ops.bits
    x = where(x.less(_EXP_LOW[bits]), _EXP_LOW[bits], x)
    x = where((-x).less(-_EXP_HIGH[bits]), _EXP_HIGH[bits], x)
    magic = _ROUND[bits]
    shifted = fma(x, _LOG2_E, magic)
    n = shifted - magic
    # ln 2 in two parts: n times the first is exact, so that a large x loses nothing.
    r = fma(n, -_LN2_LOW[bits], fma(n, -_LN2_HIGH[bits], x))
    p = polynomial(r * _LOG2_E, _EXP2[bits])
    # 2ⁿ in two factors: one alone would leave the exponent's range at either end.
    half = fma(n, 0.5, magic)
    p = scale_by_power_of_two(p, half)
    return scale_by_power_of_two(p, (n - (half - magic)) + magic)


# Below, eˣ rounds to 0; above, to infinity.
_EXP_LOW = {32: -104.0, 64: -746.0}
_EXP_HIGH = {32: 89.0, 64: 710.0}


def sigmoid(x: Vector) -> Vector:
    """Return 1/(1 + e⁻ˣ), with the exponential of -|x| so that nothing overflows."""
    e = exp(-absolute(x))
    return where(x.less(0.0), e, 1.0) / (e + 1.0)


def relu(x: Vector) -> Vector:
    """Return max(x, 0); a NaN stays."""
    return where(x.less(0.0), 0.0, x)


def linear(x: Vector) -> Vector:
    """Return x."""
    return x


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


# The position in the table is the code by which kernels know an activation.
TABLE: tuple[Formula, ...] = (
    Formula("linear", linear, _one),
    Formula("tanh", tanh, lambda y: fma(-y, y, 1.0)),
    Formula("sigmoid", sigmoid, lambda y: fma(-y, y, y)),
    Formula("relu", relu, lambda y: where((-y).less(0.0), _one(y), 0.0)),
)
CODES: dict[str, int] = {row.name: code for code, row in enumerate(TABLE)}
