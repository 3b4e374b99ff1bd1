"""Arguments for every op: drawn anew for each seed, of shapes and values that it takes.

A case is a function of a random generator; ``t(...)`` in it are tensors, all else settings.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Draw = np.random.Generator


class Of:
    """Draws the tensors of a case."""

    def __init__(self, rng: Draw) -> None:
        self.rng = rng
        self.b, self.n, self.m = (int(size) for size in rng.integers(1, 5, 3))

    def normal(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * self.rng.normal(size=shape)).astype("float32")

    def between(self, low: float, high: float, *shape: int) -> np.ndarray:
        return self.rng.uniform(low, high, size=shape).astype("float32")

    def whole(self, low: int, high: int, *shape: int) -> np.ndarray:
        return self.rng.integers(low, high, size=shape).astype("int32")

    def truth(self, *shape: int) -> np.ndarray:
        return self.rng.integers(0, 2, size=shape).astype(bool)

    def x(self) -> np.ndarray:
        """Return a tensor of three axes, sometimes of integers or truth values."""
        return self.normal(self.b, self.n + 1, self.m)

    def distinct(self, *shape: int) -> np.ndarray:
        """Return numbers of which no two are close: their order is that of any float type."""
        count = int(np.prod(shape))
        return (self.rng.permutation(count).reshape(shape) / 3 - count / 6).astype("float32")

    def axis(self) -> Any:
        return [None, 0, 1, -1, (0, 2)][self.rng.integers(5)]

    def one_axis(self) -> int:
        return int(self.rng.integers(-3, 3))

    def keep(self) -> bool:
        return bool(self.rng.integers(2))

    def spd(self, *batch: int) -> np.ndarray:
        a = self.normal(*batch, 3, 3)
        return (a @ np.swapaxes(a, -1, -2) + 2 * np.eye(3)).astype("float32")


Case = Callable[[Of], tuple[Any, ...]]


def _domain(low: float, high: float) -> Case:
    return lambda d: (d.between(low, high, d.b, d.n),)


def _two(d: Of) -> tuple[Any, ...]:
    """Return operands that broadcast, sometimes one of them a number or of integers."""
    x1, x2 = d.normal(d.b, d.n, d.m), d.normal(d.n, d.m) if d.keep() else d.normal(d.b, 1, d.m)
    kind = d.rng.integers(5)
    if kind == 0:
        return x1, 1.5
    if kind == 1:
        return 2, x2
    if kind == 2:
        return x1, d.whole(-3, 4, d.m)
    return x1, x2


def _whole_two(d: Of) -> tuple[Any, ...]:
    return d.whole(-9, 9, d.b, d.n), d.whole(1, 7, d.n)


def _reduced(d: Of) -> tuple[Any, ...]:
    return d.x(), d.axis(), d.keep()


def _reduced_whole(d: Of) -> tuple[Any, ...]:
    x = [d.x(), d.whole(-3, 4, 2, 3, 2), d.truth(2, 3, 2)][d.rng.integers(3)]
    return x, d.axis(), d.keep()


def _one_axis(d: Of) -> tuple[Any, ...]:
    return d.distinct(d.b, d.n + 1, d.m), d.one_axis()


def _holed(d: Of) -> tuple[Any, ...]:
    x = d.x()
    x[0, 0] = np.nan
    return x, d.axis(), d.keep()


CASES: dict[str, list[Case]] = {}
for _name in (
    "abs",
    "absolute",
    "negative",
    "square",
    "exp",
    "exp2",
    "expm1",
    "sin",
    "cos",
    "sinh",
    "cosh",
    "tanh",
    "arctan",
    "arcsinh",
    "deg2rad",
    "rad2deg",
    "sign",
    "sinc",
    "fabs",
    "real",
    "conj",
    "conjugate",
    "relu",
    "relu6",
    "sigmoid",
    "softplus",
    "softsign",
    "silu",
    "swish",
    "selu",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "log_sigmoid",
    "sparse_plus",
    "sparse_sigmoid",
    "tanh_shrink",
    "erf",
    "erfc",
    "ceil",
    "floor",
    "trunc",
    "round",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "signbit",
    "copy",
    "ravel",
    "zeros_like",
    "ones_like",
    "stop_gradient",
    "cbrt",
    "i0",
    "logical_not",
    "array",
    "convert_to_tensor",
    "convert_to_numpy",
    "nan_to_num",
    "imag",
    "angle",
):
    CASES[_name] = [lambda d: (d.x(),)]
for _name in ("sqrt", "rsqrt", "log", "log10", "log1p", "log2", "reciprocal", "tan"):
    CASES[_name] = [_domain(0.1, 1.4)]
for _name in ("arccos", "arcsin", "arctanh", "erfinv"):
    CASES[_name] = [_domain(-0.9, 0.9)]
CASES["arccosh"] = [_domain(1.1, 9)]
# Whole numbers become floats where the result is one.
for _name in ("sqrt", "exp", "log", "tanh", "mean", "square", "abs", "relu", "negative", "sign"):
    CASES.setdefault(_name, []).append(lambda d: (d.whole(1, 5, 3),))
for _name in ("celu", "elu"):
    CASES[_name] = [lambda d: (d.x(),), lambda d: (d.x(), 0.7)]
CASES.update(
    gelu=[lambda d: (d.x(),), lambda d: (d.x(), False)],
    glu=[lambda d: (d.normal(2, 4),), lambda d: (d.normal(4, 3), 0)],
    leaky_relu=[lambda d: (d.x(),), lambda d: (d.x(), 0.1)],
    hard_shrink=[lambda d: (d.x(), 0.3)],
    soft_shrink=[lambda d: (d.x(), 0.3)],
    threshold=[lambda d: (d.x(), 0.2, -1.0)],
    squareplus=[lambda d: (d.x(),)],
    softmax=[lambda d: (d.normal(d.b, d.n + 1, 2),), lambda d: (d.x(), 1)],
    log_softmax=[lambda d: (d.x(),), lambda d: (d.x(), 1)],
    sparsemax=[],  # Keras does not sum to one where rows differ; see tests/activations
)

for _name in (
    "add",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "equal",
    "not_equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "isclose",
    "arctan2",
    "hypot",
    "logaddexp",
    "heaviside",
):
    CASES[_name] = [_two]
for _name in ("true_divide", "divide", "divide_no_nan", "mod", "floor_divide", "fmod"):
    CASES[_name] = [
        lambda d: (d.normal(d.b, d.n), d.between(0.5, 2, d.n)),
        lambda d: (d.normal(d.b, d.n), 2),
    ]
for _name in (
    "true_divide",
    "floor_divide",
    "mod",
    "gcd",
    "lcm",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "add",
    "multiply",
    "maximum",
):
    CASES.setdefault(_name, []).append(_whole_two)
for _name in ("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift"):
    CASES[_name] = [lambda d: (d.whole(0, 9, 3), d.whole(0, 4, 3))]
for _name in ("bitwise_not", "bitwise_invert"):
    CASES[_name] = [lambda d: (d.whole(-9, 9, 3),)]
CASES["divide_no_nan"].append(lambda d: (d.normal(3), np.array([0, 1, 2], "float32")))
CASES.update(
    power=[
        lambda d: (d.between(0.2, 2, d.b, d.n), d.normal(d.n)),
        lambda d: (d.normal(d.b, d.n), 3),
        lambda d: (2.0, d.normal(d.n)),
        lambda d: (d.normal(d.b), 2.0),
    ],
    logaddexp2=[lambda d: (d.normal(d.b, d.n), d.normal(d.n))],
    nextafter=[lambda d: (d.normal(d.b, d.n), d.normal(d.n))],
    ldexp=[lambda d: (d.normal(3), d.whole(-2, 3, 3))],
    allclose=[lambda d: (d.normal(2), d.normal(2)), lambda d: (np.ones(2, "float32"),) * 2],
    isin=[lambda d: (d.whole(0, 5, 4), d.whole(0, 5, 2))],
    clip=[lambda d: (d.x(), -0.5, 0.7), lambda d: (d.whole(-5, 5, 4), -2, 2)],
    where=[
        lambda d: (d.truth(d.b, d.n), d.normal(d.b, d.n), d.normal(d.n)),
        lambda d: (d.truth(d.b, d.n), d.normal(d.b, d.n), 0.0),
        lambda d: (d.truth(3, 2),),
    ],
    cast=[
        lambda d: (d.x(), "float64"),
        lambda d: (d.x(), "int32"),
        lambda d: (d.truth(3), "float32"),
        lambda d: (d.x(), "float32"),
    ],
    saturate_cast=[lambda d: (d.normal(4, scale=300), "int8")],
)

# --- reductions ---
for _name in ("sum", "prod", "mean"):
    CASES[_name] = [_reduced_whole, _reduced]
for _name in ("max", "min", "amax", "amin", "var", "std", "logsumexp", "ptp", "median"):
    CASES[_name] = [_reduced]
for _name in ("all", "any"):
    CASES[_name] = [lambda d: (d.truth(2, 3, 2), d.axis(), d.keep())]
for _name in ("argmax", "argmin"):
    CASES[_name] = [lambda d: (d.distinct(d.b, d.n, 2), [None, 0, -1][d.rng.integers(3)], d.keep())]
for _name in ("nansum", "nanmean", "nanmax", "nanmin", "nanprod", "nanvar", "nanstd"):
    CASES[_name] = [_holed]
CASES.update(
    nanmedian=[lambda d: (d.x(), d.axis(), d.keep())],
    nanargmax=[lambda d: (d.distinct(3, 4), 1)],
    nanargmin=[lambda d: (d.distinct(3, 4), 1)],
    nancumsum=[lambda d: (d.x(), 1)],
    nancumprod=[lambda d: (d.x(), 1)],
    nanquantile=[lambda d: (d.x(), 0.3, 1)],
    nanpercentile=[lambda d: (d.x(), 30.0, 1)],
    quantile=[
        lambda d: (d.x(), 0.3, d.axis(), "linear", d.keep()),
        lambda d: (d.x(), [0.2, 0.9], 1),
    ],
    percentile=[lambda d: (d.x(), 30.0, 1)],
    moments=[lambda d: (d.x(), [0, 2], d.keep())],
    count_nonzero=[lambda d: (d.whole(0, 2, 3, 4), 1)],
    average=[lambda d: (d.x(), 1), lambda d: (d.normal(2, 3), 1, d.between(0.1, 1, 3))],
    cumsum=[_one_axis, lambda d: (d.x(),)],
    cumprod=[lambda d: (d.between(0.5, 2, 2, 3), 1)],
    diff=[lambda d: (d.normal(3, 5), int(d.rng.integers(1, 3)), int(d.rng.integers(-1, 2)))],
    trapezoid=[lambda d: (d.normal(2, 5),), lambda d: (d.normal(5), d.distinct(5))],
    argsort=[_one_axis],
    sort=[_one_axis, lambda d: (d.distinct(3, 2), 0)],
    argpartition=[],
    top_k=[lambda d: (d.distinct(3, 6), 2)],
    in_top_k=[lambda d: (d.whole(0, 5, 3), d.distinct(3, 5), 2)],
    norm=[
        lambda d: (d.x(), None, [0, 1, (0, 2)][d.rng.integers(3)], d.keep()),
        lambda d: (d.normal(3, 2),),
        lambda d: (d.x(), [1, 2, 3, np.inf, 0][d.rng.integers(5)], 1, d.keep()),
        lambda d: (d.normal(2, 3, 4), ["fro", 1, -1, np.inf, 2, "nuc"][d.rng.integers(6)], (1, 2)),
    ],
    normalize=[lambda d: (d.normal(3, 4), -1), lambda d: (d.normal(3, 4), 0, 3)],
)

# --- shapes ---
CASES.update(
    reshape=[lambda d: (d.x(), (-1, d.m))],
    transpose=[lambda d: (d.x(),), lambda d: (d.x(), (1, 2, 0))],
    swapaxes=[lambda d: (d.x(), 0, -1)],
    moveaxis=[lambda d: (d.x(), 0, -1), lambda d: (d.x(), [0, 1], [1, 2])],
    expand_dims=[lambda d: (d.x(), d.one_axis()), lambda d: (d.x(), (0, 2))],
    squeeze=[lambda d: (d.normal(2, 1, 3, 1),), lambda d: (d.normal(2, 1, 3, 1), 1)],
    broadcast_to=[lambda d: (d.normal(1, 3), (2, 4, 3))],
    repeat=[
        lambda d: (d.x(), 2, 1),
        lambda d: (d.x(), 3),
        lambda d: (d.normal(2, 2), np.array([1, 3]), 0),
    ],
    tile=[lambda d: (d.normal(2, 3), (2, 1)), lambda d: (d.normal(2), (2, 2))],
    flip=[lambda d: (d.x(),), lambda d: (d.x(), 1)],
    fliplr=[lambda d: (d.x(),)],
    flipud=[lambda d: (d.x(),)],
    rot90=[lambda d: (d.normal(3, 3), int(d.rng.integers(0, 5)))],
    roll=[lambda d: (d.x(), 2, 1), lambda d: (d.x(), 1)],
    tril=[lambda d: (d.normal(2, 3, 4), int(d.rng.integers(-1, 2)))],
    triu=[lambda d: (d.normal(3, 4), int(d.rng.integers(-1, 2)))],
    pad=[
        lambda d: (d.normal(2, 3), ((1, 2), (0, 1))),
        lambda d: (d.normal(3, 3), ((1, 1), (0, 2)), "constant", 2.0),
        lambda d: (d.normal(3, 4), ((1, 1), (2, 1)), "reflect"),
    ],
    concatenate=[lambda d: ([d.normal(2, 3), d.normal(1, 3)], 0), lambda d: ([d.x()] * 2, -1)],
    stack=[lambda d: ([d.normal(2, 3), d.normal(2, 3)], int(d.rng.integers(-1, 3)))],
    hstack=[lambda d: ([d.normal(2, 3), d.normal(2, 1)],)],
    vstack=[lambda d: ([d.normal(2, 3), d.normal(1, 3)],)],
    dstack=[lambda d: ([d.normal(2, 3), d.normal(2, 3)],)],
    append=[lambda d: (d.normal(2, 3), d.normal(1, 3), 0), lambda d: (d.normal(2), d.normal(3))],
    split=[lambda d: (d.normal(4, 3), 2), lambda d: (d.normal(2, 5), [1, 3], 1)],
    array_split=[lambda d: (d.normal(5, 3), 2)],
    hsplit=[lambda d: (d.normal(2, 4), 2)],
    vsplit=[lambda d: (d.normal(4, 2), 2)],
    dsplit=[lambda d: (d.normal(2, 2, 4), 2)],
    unstack=[lambda d: (d.x(), None, 1)],
    diag=[lambda d: (d.normal(3),), lambda d: (d.normal(3, 4), 1)],
    diagflat=[lambda d: (d.normal(2, 2),)],
    diagonal=[
        lambda d: (d.normal(3, 4), int(d.rng.integers(-1, 2))),
        lambda d: (d.normal(2, 3, 3), 0, 1, 2),
    ],
    trace=[lambda d: (d.normal(3, 4),), lambda d: (d.normal(2, 3, 3), 1, 1, 2)],
    vander=[lambda d: (d.normal(3),), lambda d: (d.normal(3), 4, True)],
    full_like=[lambda d: (d.x(), 2)],
    empty_like=[],
    shape=[lambda d: (d.x(),)],
    size=[],
    ndim=[lambda d: (d.x(),)],
    dtype=[lambda d: (d.x(),)],
    is_tensor=[],
)
MAKERS: dict[str, list[tuple[Any, ...]]] = {
    "zeros": [((2, 3),), ((2,), "int32"), (3,)],
    "ones": [((2, 3),)],
    "full": [((2,), 3), ((2,), 0.5)],
    "eye": [(3,), (2, 4), (3, 3, 1)],
    "identity": [(2,)],
    "tri": [(3,), (2, 4, 1)],
    "arange": [(5,), (1, 9, 2), (0.0, 2.0, 0.5), (3, None, None, "float32")],
    "linspace": [(0, 1, 5), (0.0, 3.0, 4, False), (0, 1, 5, True, True)],
    "logspace": [(0, 2, 3)],
    "geomspace": [(1, 8, 4)],
    "empty": [],
    "meshgrid": [([1.0, 2.0, 3.0], [4.0, 5.0])],
    "unravel_index": [([1, 5, 3], (2, 3))],
}

# --- linear algebra ---
CASES.update(
    matmul=[
        lambda d: (d.normal(d.b, d.n, d.m), d.normal(d.m, 2)),
        lambda d: (d.normal(d.b, 2, d.m), d.normal(d.b, d.m, 3)),
        lambda d: (d.normal(d.m), d.normal(d.m, 2)),
        lambda d: (d.normal(2, d.m), d.normal(d.m)),
    ],
    dot=[
        lambda d: (d.normal(2, 3), d.normal(3, 4)),
        lambda d: (d.normal(2, 3, 4), d.normal(4)),
        lambda d: (d.normal(3), d.normal(3)),
    ],
    vdot=[lambda d: (d.normal(3), d.normal(3))],
    inner=[lambda d: (d.normal(2, 3), d.normal(4, 3))],
    outer=[lambda d: (d.normal(2), d.normal(3))],
    kron=[lambda d: (d.normal(2, 3), d.normal(3, 2))],
    cross=[lambda d: (d.normal(2, 3), d.normal(2, 3))],
    tensordot=[
        lambda d: (d.normal(2, 3, 4), d.normal(3, 4)),
        lambda d: (d.normal(2, 3, 4), d.normal(4, 3, 2), ([1, 2], [1, 0])),
        lambda d: (d.normal(2, 3, 4), d.normal(4, 3), 1),
    ],
    inv=[lambda d: (d.spd(2),)],
    det=[lambda d: (d.spd(),)],
    slogdet=[lambda d: (d.spd(2),)],
    logdet=[lambda d: (d.spd(),)],
    cholesky=[lambda d: (d.spd(),)],
    cholesky_inverse=[lambda d: (np.linalg.cholesky(d.spd()),)],
    solve=[lambda d: (d.spd(), d.normal(3, 2)), lambda d: (d.spd(), d.normal(3))],
    solve_triangular=[lambda d: (np.linalg.cholesky(d.spd()), d.normal(3, 2), True)],
    lstsq=[lambda d: (d.normal(5, 3), d.normal(5, 2))],
    pinv=[lambda d: (d.normal(3, 3),)],
    matrix_rank=[lambda d: (d.spd(),)],
    cdist=[lambda d: (d.normal(3, 2), d.normal(4, 2))],
)

# --- indexing ---
CASES.update(
    get_item=[
        lambda d: (d.x(), 0),
        lambda d: (d.x(), (slice(None), -1)),
        lambda d: (d.x(), (Ellipsis, None, slice(None, None, 2))),
    ],
    take=[lambda d: (d.x(), d.whole(0, 2, 3), 1), lambda d: (d.x(), d.whole(0, 2, 2, 2))],
    take_along_axis=[lambda d: (d.normal(3, 4), d.whole(0, 4, 3, 2), 1)],
    slice=[lambda d: (d.normal(4, 5), np.array([1, 2]), (2, 3))],
    slice_update=[lambda d: (d.normal(4, 5), np.array([1, 2]), d.normal(2, 3))],
    scatter=[lambda d: (np.array([[0], [2], [0]]), d.normal(3, 2), (4, 2))],
    scatter_update=[
        lambda d: (d.normal(4, 2), np.array([[0], [2]]), d.normal(2, 2)),
        lambda d: (d.normal(4, 2), np.array([[0, 1], [2, 0]]), d.normal(2)),
        lambda d: (d.normal(4, 2), np.array([[0], [2], [0]]), d.normal(3, 2), "add"),
    ],
    segment_sum=[
        lambda d: (d.normal(5, 2), np.array([0, 0, 1, 3, 3]), 4),
        lambda d: (d.normal(3), np.array([0, 2, 0]), 4),
    ],
    segment_max=[lambda d: (d.normal(4, 2), np.array([0, 0, 1, 1]))],
    segment_min=[lambda d: (d.normal(4, 2), np.array([0, 0, 1, 1]))],
    segment_prod=[lambda d: (d.normal(4, 2), np.array([0, 0, 1, 1]))],
    nonzero=[lambda d: (d.whole(0, 2, 3, 3),)],
    searchsorted=[
        lambda d: (np.sort(d.normal(6)), d.normal(4)),
        lambda d: (np.arange(4), np.arange(4), "right"),
    ],
    digitize=[lambda d: (d.normal(5), np.array([-1.0, 0.0, 1.0], "float32"))],
    bincount=[
        lambda d: (d.whole(0, 5, 7),),
        lambda d: (d.whole(0, 3, 4), d.normal(4)),
        lambda d: (d.whole(0, 3, 2, 4), None, 5),
    ],
    histogram=[lambda d: (d.normal(20), 4)],
    unique=[lambda d: (d.whole(0, 4, 8),)],
    one_hot=[lambda d: (d.whole(0, 4, 3), 4), lambda d: (d.whole(-1, 5, 2, 3), 4, 1, "int32")],
    multi_hot=[lambda d: (d.whole(0, 4, 2, 3), 4)],
)

# --- networks ---
CASES.update(
    binary_crossentropy=[
        lambda d: (d.whole(0, 2, 3, 2).astype("float32"), d.between(0.05, 0.95, 3, 2)),
        lambda d: (d.whole(0, 2, 3, 2).astype("float32"), d.normal(3, 2), True),
    ],
    categorical_crossentropy=[
        lambda d: (np.eye(3, dtype="float32")[d.whole(0, 3, 4)], d.between(0.05, 0.95, 4, 3)),
        lambda d: (np.eye(3, dtype="float32")[d.whole(0, 3, 4)], d.normal(4, 3), True),
    ],
    sparse_categorical_crossentropy=[
        lambda d: (d.whole(0, 3, 4), d.between(0.05, 0.95, 4, 3)),
        lambda d: (d.whole(0, 3, 4), d.normal(4, 3), True),
    ],
    batch_normalization=[
        lambda d: (d.normal(3, 4), d.normal(4), d.between(0.5, 2, 4), 1, d.normal(4), d.normal(4))
    ],
    layer_normalization=[lambda d: (d.normal(3, 4), d.normal(4), d.normal(4))],
    rms_normalization=[lambda d: (d.normal(3, 4), d.normal(4))],
    dot_product_attention=[
        lambda d: (d.normal(2, 3, 2, 4), d.normal(2, 5, 2, 4), d.normal(2, 5, 2, 4)),
        lambda d: (
            d.normal(2, 3, 2, 4),
            d.normal(2, 3, 2, 4),
            d.normal(2, 3, 2, 4),
            None,
            d.truth(2, 1, 3, 3),
            None,
            True,
        ),
    ],
    psnr=[lambda d: (d.normal(3, 4), d.normal(3, 4), 1.0)],
)

EINSUMS = ["ij,jk->ik", "bij,bjk->bik", "ij->ji", "ij,ij->", "bth,h->bt", "...ij,jk->...ik"]

# Functions of functions, and what keeps no numbers to compare: tested by themselves.
APART = {
    "ctc_decode",
    "ctc_loss",
    "cond",
    "switch",
    "while_loop",
    "fori_loop",
    "map",
    "vectorized_map",
    "scan",
    "select",
    "vectorize",
    "custom_gradient",
    "einsum",
    "empty",
    "empty_like",
    "eig",
    "eigh",
    "qr",
    "svd",  # signs of vectors are free
}

# Keras has no gradient for these on TensorFlow, or one of its own making (noted where it is one).
NO_GRADIENT = {
    "nextafter",
    "ldexp",
    "median",
    "quantile",
    "percentile",
    "nanquantile",
    "nanpercentile",
    "nanmedian",
    "nanmax",
    "nanmin",
    "nanprod",
    "nanvar",
    "nanstd",
    "nancumsum",
    "nancumprod",
    "i0",
    "lstsq",
    "segment_max",
    "segment_min",
    "segment_prod",
    "pinv",
    "sign",
    "ceil",
    "floor",
    "trunc",
    "round",
    "angle",
    "imag",
    "heaviside",
    "bincount",
    "histogram",
    "slice_update",
    "floor_divide",
    "sinc",
    "cbrt",
}
