"""Elementary functions in vector arithmetic, in float32 and float64.

Polynomials are minimax fits (Remez, 45 digits or more) in the relative error of the
result. `python -m reference.ulp` measures what comes out.
"""

from rnn_engine.kernels.vector import (
    Vector,
    absolute,
    copysign,
    exponent_bias,
    fma,
    look_up,
    polynomial,
    power_of_two,
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
# tanh in float32, piece by piece: c, then the coefficients of tanh(c + t) in t, where tanh(c) is
# all but a float32. `python -m reference.tanh_table` makes them. The pieces begin where 1 + 1.65·a
# is 1, 1.25, 1.5, 1.75 times 1, 2, 4, 8; they stand here in the order of its bits 21 to 24.
_TANH_SCALE = 1.65
_TANH_BIT = 21
_TANH_PIECES = (
    (0.75763994, 0.63968474, 0.59080344, -0.37792796, 0.04481296, 0.09730535, -0.06327033),
    (1.0590205, 0.7852887, 0.38332167, -0.3010225, 0.108611204, 0.015659561, -0.03943534),
    (1.3623698, 0.87694156, 0.2309735, -0.20255281, 0.10063471, -0.020370767, -0.010372795),
    (1.6657852, 0.93099225, 0.13325344, -0.12405864, 0.07107978, -0.024716778, 0.002290121),
    (2.1207213, 0.97163445, 0.055926464, -0.05433823, 0.03415956, -0.015142012, 0.004445219),
    (2.7288888, 0.99151015, 0.016907636, -0.016762037, 0.010984414, -0.0053762873, 0.0019978865),
    (3.331555, 0.9974489, 0.0050956532, -0.005081887, 0.0033708196, -0.0016951415, 0.0006611124),
    (3.93508, 0.99923635, 0.0015267262, -0.0015253186, 0.0010154675, -0.0005146973, 0.00020278142),
    (4.851268, 0.99987775, 0.00024451007, -0.00024379879, 0.0001623995, -8.712609e-5, 3.497735e-5),
    (6.0514636, 0.9999889, 2.2173785e-5, -2.2113365e-5, 1.4758641e-5, -7.90749e-6, 3.1037055e-6),
    (7.278045, 0.99999905, 1.9075856e-6, -1.902217e-6, 1.2669198e-6, -6.804332e-7, 2.7488483e-7),
    (8.430321, 0.9999999, 1.9036031e-7, 4.0387485e-7, 5.7899598e-8, -1.90633e-6, 4.5293223e-7),
    (0.0, 0.0, 1.0, 8.102778e-7, -0.33338112, 0.00083629903, 0.1284426),
    (0.22704777, 0.22322509, 0.9501706, -0.21210107, -0.26938617, 0.13032284, 0.08274222),
    (0.3793413, 0.3621353, 0.86885804, -0.3146432, -0.17568208, 0.16795367, 0.017891506),
    (0.5305369, 0.4857914, 0.76400673, -0.37114727, -0.074371666, 0.15949391, -0.035239056),
)
# (tanh(a)/a - 1)/a² in a², a <= 0.625, in float64; relative error of tanh 1e-17.
_TANH_SMALL = (
    -0.33333333333332855299, 0.13333333333262094713, -0.053968253931268859612,
    0.021869487576114850158, -0.0088632210028395823862, 0.0035919891751791122375,
    -0.0014549588837883181614, 0.00058631655640244387711, -0.00022856423906603280739,
    0.000077144394378256058242, -0.00001607258164250108305,
)  # fmt: skip
_TANH_SPLIT = 0.625
# tanh rounds to 1 from here on.
_TANH_ONE = {32: 9.02, 64: 20.0}
# Adding and subtracting 1.5·2^(mantissa bits) rounds to the nearest integer n. The bias on
# top makes the low bits of the sum those of an exponent field, see `power_of_two`.
_ROUND = {32: 12582912.0 + exponent_bias(32), 64: 6755399441055744.0 + exponent_bias(64)}
_LOG2_E = 1.4426950408889634074
# Below, eˣ rounds to 0; above, to infinity.
_EXP_LOW = {32: -104.0, 64: -746.0}
_EXP_HIGH = {32: 89.0, 64: 710.0}
_LN2_HIGH = {32: 0.693145751953125, 64: 0.693147180369123816490}
_LN2_LOW = {32: 1.428606765330187e-06, 64: 1.90821492927058770002e-10}


def _exp2_parts(x: Vector, factor: float) -> tuple[Vector, Vector]:
    """Return p and n + magic with 2^(factor·x) = p·2ⁿ."""
    magic = _ROUND[x.ops.bits]
    shifted = fma(x, factor, magic)
    fraction = fma(x, factor, -(shifted - magic))
    return polynomial(fraction, _EXP2[x.ops.bits]), shifted


def tanh(x: Vector) -> Vector:
    """Return tanh, at most 1.06 ULP from the truth over all float32 inputs."""
    bits = x.ops.bits
    a = absolute(x)
    clamped = where((-a).less(-_TANH_ONE[bits]), _TANH_ONE[bits], a)
    result = _tanh_by_pieces(clamped) if bits == 32 else _tanh_by_exp(clamped)
    return copysign(result, x)


def _tanh_by_pieces(a: Vector) -> Vector:
    """Return tanh of 0 <= a < 9.09 by the polynomial of its piece.

    Two thirds of what the exponential took with AVX-512: it waits for no division.
    """
    c, *coefficients = look_up(_TANH_PIECES, fma(a, _TANH_SCALE, 1.0), _TANH_BIT)
    return polynomial(a - c, coefficients)


def _tanh_by_exp(a: Vector) -> Vector:
    """Return 1 - 2/(e^(2a) + 1) for a > 0.625, an odd polynomial below.

    Both halves end in one addition whose second term is small against the first,
    which is where the accuracy comes from.
    """
    p, shifted = _exp2_parts(a, 2 * _LOG2_E)
    large = 1.0 - 2.0 / fma(p, power_of_two(shifted), 1.0)
    square = a * a
    small = fma(a * square, polynomial(square, _TANH_SMALL), a)
    return where(a.less(_TANH_SPLIT), small, large)


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
    return p * power_of_two(half) * power_of_two((n - (half - magic)) + magic)


# e^-a counts as zero from here on: it is no normal number.
_CLOSED = {32: 88.0, 64: 709.0}
# log2(e) less its rounded value.
_LOG2_E_REST = {32: 1.925963033500e-08, 64: 2.0355273740931033e-17}


def _exp_negative(a: Vector) -> Vector:
    """Return e^-a for a >= 0 by one power of two, zero where it is no normal number."""
    bits = a.ops.bits
    a = where((-a).less(-_CLOSED[bits]), _CLOSED[bits], a)
    magic = _ROUND[bits]
    shifted = fma(a, -_LOG2_E, magic)
    fraction = fma(a, -_LOG2_E, -(shifted - magic))
    fraction = fma(a, -_LOG2_E_REST[bits], fraction)
    return polynomial(fraction, _EXP2[bits]) * power_of_two(shifted)


def sigmoid(x: Vector) -> Vector:
    """Return 1/(1 + e⁻ˣ); 0 and 1 themselves where it is closed.

    With e = e^-|x| it is q = e/(1 + e) for x < 0, else 1 - q, whose error is that of one rounding.
    15.5 cycles a register, where the general exponential made it 19.8; by way of tanh a closed
    gate would have no correct digit.
    """
    e = _exp_negative(absolute(x))
    q = e / (e + 1.0)
    return where(x.less(0.0), q, 1.0 - q)


def sigmoid_to_the_end(x: Vector) -> Vector:
    """Return 1/(1 + e⁻ˣ), also where it is no normal number: who multiplies it by x needs it."""
    e = exp(-absolute(x))
    return where(x.less(0.0), e, 1.0) / (e + 1.0)


def sigmoid_and_rest(x: Vector) -> tuple[Vector, Vector]:
    """Return sigmoid(x) and 1 - sigmoid(x), the smaller one with all its digits."""
    e = exp(-absolute(x))
    large = 1.0 / (e + 1.0)
    small = e * large
    negative = x.less(0.0)
    return where(negative, small, large), where(negative, large, small)


# (e^r - 1 - r)/r² on |r| <= ln(2)/2; relative error 2.4e-10 and 2.7e-19.
_EXPM1 = {
    32: (0.5000000046167, 0.1666666681998, 0.04166635433079, 0.008333272362903, 0.001394108622765,
         0.0001991455538303),
    64: (0.49999999999999999986, 0.166666666666666766387, 0.0416666666666667013877,
         0.00833333333332153705344, 0.00138888888888667346466, 0.000198412698864497245437,
         0.0000248015873608712006165, 0.00000275572438118975349374, 2.7557242424360549389e-7,
         2.51091971108575242591e-8, 2.09245620196289241717e-9),
}  # fmt: skip
# e^x - 1 rounds to -1 from here on.
_EXPM1_LOW = {32: -17.5, 64: -37.5}


def expm1(x: Vector) -> Vector:
    """Return eˣ - 1 for x <= 0 without cancellation; meaningless for x > 0.

    With x = n·ln 2 + r it is 2ⁿ·(eʳ - 1) + (2ⁿ - 1).
    """
    bits = x.ops.bits
    x = where(x.less(_EXPM1_LOW[bits]), _EXPM1_LOW[bits], x)
    magic = _ROUND[bits]
    shifted = fma(x, _LOG2_E, magic)
    n = shifted - magic
    r = fma(n, -_LN2_LOW[bits], fma(n, -_LN2_HIGH[bits], x))
    small = fma(r * r, polynomial(r, _EXPM1[bits]), r)
    power = power_of_two(shifted)
    return fma(power, small, power - 1.0)


# (2·atanh(s)/s - 2)/s² in s² <= 0.0296; relative error of the logarithm 1.1e-9, 2e-18.
_LOG = {
    32: (0.6666675579887, 0.3997949885232, 0.298286919602),
    64: (0.666666666666668641979, 0.399999999996910670279, 0.285714286875542695773,
         0.222222036771037357899, 0.181833209503515996685, 0.153198113965872750538,
         0.147422834983730796563),
}  # fmt: skip
_SQRT2_MINUS_1 = 0.41421356237309504880
_LN2 = 0.69314718055994530942


def log1p(u: Vector) -> Vector:
    """Return log(1 + u) for 0 <= u <= 1.

    With f = u, or f = (u - 1)/2 and ln 2 added where u > √2 - 1, and s = f/(2 + f):
    log(1 + f) = f - (f²/2 - s·(f²/2 + s²·P(s²))), whose first term is exact.
    """
    large = (-u).less(-_SQRT2_MINUS_1)
    f = where(large, (u - 1.0) * 0.5, u)
    s = f / (f + 2.0)
    z = s * s
    half = f * f * 0.5
    log = f - (half - s * fma(z, polynomial(z, _LOG[u.ops.bits]), half))
    return log + where(large, u.ops.const(_LN2), 0.0)


# (a - tanh a)/a³ in a² <= 1; relative error 4.5e-10 and 1.2e-18.
_TANH_SHRINK = {
    32: (0.3333333331838, -0.1333333090385, 0.05396759759717, -0.0218625825243, 0.008826278081725,
         -0.003478445101496, 0.001242226211795, -0.0003377318089687, 0.00004847754997372),
    64: (0.333333333333333332931, -0.133333333333333100805, 0.0539682539682315610942,
         -0.0218694885352980321154, 0.00886323551258944361637, -0.0035921278236704957775,
         0.00145583265339841179579, -0.000590017576798752252596, 0.00023908846508934669908,
         -0.0000967910927048607071683, 0.0000389918711735762861437, -0.0000154164520194865235131,
         0.00000577765444162833334371, -0.00000192181436519360348704, 5.12330367125617742046e-7,
         -9.36562000964793287159e-8, 8.54000070405805504918e-9),
}  # fmt: skip


def tanh_shrink(x: Vector) -> Vector:
    """Return x - tanh(x), below 1 by a polynomial, where the difference would cancel."""
    a = absolute(x)
    square = a * a
    small = copysign(a * square * polynomial(square, _TANH_SHRINK[x.ops.bits]), x)
    return where(a.less(1.0), small, x - tanh(x))


# Φ(-a)·exp(a²/2)·(a + 4) in (a - 4)/(a + 4), a from 0 to the limit; relative error
# 9.1e-9 and 2.0e-17.
_NORMAL_TAIL = {
    32: (0.7552851352492, -0.6078965798812, 0.3871369162515, -0.1865236559888, 0.06040349401925,
         -0.007524004901877, -0.00351022913775, 0.001568401886891, 0.0001746810619555,
         -0.0001341818096316),
    64: (0.755285130415751478468, -0.607896641971892048225, 0.387137400742219463675,
         -0.186521857959665485914, 0.0603965748906667232127, -0.00754018896643352924871,
         -0.00347969236161317125029, 0.00163081845326050466984, 0.000133344248568198940689,
         -0.000231094903583890906029, -0.00000190784414337337713996, 0.0000351445691089143212115,
         7.14975866166782051142e-7, -0.0000059200097345281088376, -6.2522867495244286229e-7,
         0.0000010218545420780809939, 2.64154147928886054735e-7, -1.56589247146689780018e-7,
         -7.72093735486900954558e-8, 1.6067533148237856303e-8, 1.4618135310234850089e-8,
         -3.38601886228539642491e-10, -1.19626413418718531343e-9),
}  # fmt: skip
# Here the tail is below the smallest number.
_NORMAL_LIMIT = {32: 15.0, 64: 39.0}


def normal(x: Vector) -> tuple[Vector, Vector]:
    """Return Φ(x) = (1 + erf(x/√2))/2 and x·exp(-x²/2), both accurate in the tails.

    Φ(-a) is exp(-a²/2) times a polynomial over a + 4. The square is split into its
    rounded value and the rest: the exponential would magnify the rounding.
    """
    bits = x.ops.bits
    a = absolute(x)
    a = where((-a).less(-_NORMAL_LIMIT[bits]), _NORMAL_LIMIT[bits], a)
    square = a * a
    rest = fma(a, a, -square)
    e = exp(square * -0.5)
    e = fma(e, rest * -0.5, e)
    inverse = 1.0 / (a + 4.0)
    tail = e * (polynomial((a - 4.0) * inverse, _NORMAL_TAIL[bits]) * inverse)
    return where(x.less(0.0), tail, 1.0 - tail), copysign(a, x) * e
