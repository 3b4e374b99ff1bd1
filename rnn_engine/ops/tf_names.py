"""The functions of `tf.*` that programs use beside Keras, as names of `rnn_engine.ops`.

Each takes TensorFlow's arguments, `name` among them. `rnn_engine` serves them one by one when
they are asked for; they are not in ``dir(rnn_engine)``.
"""

import builtins
import contextlib
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnn_engine.ops.dispatch import OPS, dtype_named, plain_array, shown
from rnn_engine.optimizers.sparse import SparseGrad
from rnn_engine.tensor import Tensor

TABLE: dict[str, Any] = {}
"""What stands directly in `tf`."""
MATH: dict[str, Any] = {}
"""What stands in `tf.math`; most of it in `tf` as well."""
NN: dict[str, Any] = {}
"""What stands in `tf.nn`."""

# --- an op under TensorFlow's names of its arguments ------------------------------------------


def _renamed(name: str, arguments: str, op: str) -> Callable[..., Any]:
    names = arguments.split()

    def function(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        values = list(args)
        for place, argument in enumerate(names):
            if argument in kwargs:
                values += [None] * (place + 1 - len(values))
                values[place] = kwargs.pop(argument)
        if kwargs:
            raise TypeError(f"{name}() got an unexpected keyword argument {next(iter(kwargs))!r}")
        return OPS[op](*_without_none(values[: len(names)]))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return `ops.{op}`, by the arguments of TensorFlow's `{name}`."
    return function


def _without_none(values: list[Any]) -> list[Any]:
    while values and values[-1] is None:
        values.pop()
    return values


# By the arguments: the names here, each with that of its op where that is another.
_SIMPLE = {
    "x": "abs acos:arccos acosh:arccosh asin:arcsin asinh:arcsinh atan:arctan atanh:arctanh ceil "
    "cos cosh erf erfc erfinv exp expm1 floor is_finite:isfinite is_inf:isinf is_nan:isnan log "
    "log1p log_sigmoid logical_not negative reciprocal rint:round round rsqrt sigmoid sign sin "
    "sinh sqrt square tan tanh",
    "x y": "add atan2:arctan2 divide divide_no_nan equal floordiv:floor_divide "
    "floormod:mod greater greater_equal less less_equal logical_and logical_or logical_xor "
    "maximum minimum mod multiply not_equal pow:power subtract truediv:true_divide",
    "x axis": "cumprod cumsum",
    "input_tensor axis keepdims": "reduce_all:all reduce_any:any reduce_logsumexp:logsumexp "
    "reduce_max:max reduce_mean:mean reduce_min:min reduce_prod:prod reduce_std:std reduce_sum:sum "
    "reduce_variance:var",
    "input axis": "expand_dims squeeze",
    "input": "identity:copy stop_gradient zeros_like ones_like",
    "tensor shape": "reshape",
    "input shape": "broadcast_to",
    "input multiples": "tile",
    "input repeats axis": "repeat",
    "values axis": "concat:concatenate stack argsort sort",
    "a b axes": "tensordot",
    "tensor axis": "reverse:flip",
    "input shift axis": "roll",
    "tensor ord axis keepdims": "norm",
    "input_ begin size": "slice",
    "t clip_value_min clip_value_max": "clip_by_value:clip",
    "shape dtype": "zeros ones",
    "indices values shape": "scatter",
    "value num axis": "unstack",
    "data segment_ids num_segments": "unsorted_segment_sum:segment_sum",
}
for _arguments, _names in _SIMPLE.items():
    for _entry in _names.split():
        _name, _, _op = _entry.partition(":")
        TABLE[_name] = _renamed(_name, _arguments, _op or _name)
MATH.update(TABLE)
MATH.update({name: OPS[name] for name in ("top_k", "in_top_k", "softplus")})

_FEATURES = (
    "relu relu6 elu selu silu swish softplus softsign sigmoid tanh log_sigmoid softmax log_softmax"
)
for _name in _FEATURES.split():
    _arguments = "logits axis" if "softmax" in _name else "features"
    NN[_name] = _renamed(_name, _arguments, _name)


def _in(*tables: dict[str, Any]) -> Callable[[Any], Any]:
    def enter(function: Any) -> Any:
        function.__name__ = function.__name__.rstrip("_")
        for table in tables:
            table[function.__name__] = function
        return function

    return enter


# --- those that differ in more than names -----------------------------------------------------


@_in(TABLE)
def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Any:
    """Return a tensor, filled up to a shape."""
    array = np.array(plain_array(value, None if dtype is None else dtype_named(dtype)))
    return shown(
        array
        if shape is None
        else np.broadcast_to(array.reshape(-1), (int(np.prod(shape)),)).reshape(shape).copy()
    )


@_in(TABLE)
def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: Any = None
) -> Any:
    """Return a value as a tensor."""
    return OPS["convert_to_tensor"](value, dtype)


@_in(TABLE)
def cast(x: Any, dtype: Any, name: Any = None) -> Any:
    """Return a tensor in another type."""
    return OPS["cast"](x, dtype)


@_in(TABLE)
def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: Any = None) -> Any:
    """Return the axes in another order."""
    return OPS["transpose"](a, perm)


@_in(TABLE)
def matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, **settings: Any
) -> Any:
    """Return the product of matrices, turned if that is asked for."""
    a = OPS["swapaxes"](a, -1, -2) if transpose_a else a
    b = OPS["swapaxes"](b, -1, -2) if transpose_b else b
    return OPS["matmul"](a, b)


@_in(TABLE)
def einsum(equation: str, *inputs: Any, **settings: Any) -> Any:
    """Return the sum product that an equation says."""
    return OPS["einsum"](equation, *inputs)


@_in(TABLE)
def split(
    value: Any, num_or_size_splits: Any, axis: int = 0, num: Any = None, name: Any = None
) -> Any:
    """Return parts of equal number, or of given sizes."""
    if isinstance(num_or_size_splits, int | np.integer):
        return OPS["split"](value, int(num_or_size_splits), axis)
    sizes = [int(size) for size in num_or_size_splits]
    if -1 in sizes:
        sizes[sizes.index(-1)] = value.shape[axis] - sum(sizes) - 1
    return OPS["split"](value, np.cumsum(sizes)[:-1].tolist(), axis)


@_in(TABLE)
def one_hot(
    indices: Any, depth: int, on_value: Any = None, off_value: Any = None, axis: Any = None,
    dtype: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return `on_value` at each class and `off_value` beside it."""
    hot = OPS["one_hot"](indices, int(depth), -1 if axis is None else axis, "bool")
    on, off = 1 if on_value is None else on_value, 0 if off_value is None else off_value
    kind = dtype_named(dtype) if dtype is not None else plain_array([on, off]).dtype
    kind = np.dtype("float32") if dtype is None and on_value is off_value is None else kind
    return shown(np.where(hot, on, off).astype(kind))


def _place(op: str) -> Callable[..., Any]:
    def function(input: Any, axis: Any = None, output_type: Any = "int64", name: Any = None) -> Any:
        """Return places along an axis, the first where none is given."""
        return OPS["cast"](OPS[op](input, 0 if axis is None else axis), output_type)

    function.__name__ = op
    return function


for _name in ("argmax", "argmin"):
    TABLE[_name] = MATH[_name] = _place(_name)


@_in(MATH)
def count_nonzero(
    input: Any, axis: Any = None, keepdims: bool = False, dtype: Any = "int64", name: Any = None
) -> Any:
    """Return how many elements are not zero."""
    found = OPS["sum"](OPS["cast"](OPS["not_equal"](input, 0), dtype), axis, keepdims)
    return OPS["cast"](found, dtype)


@_in(TABLE, MATH)
def add_n(inputs: Any, name: Any = None) -> Any:
    """Return the sum of tensors."""
    total = inputs[0]
    for tensor in inputs[1:]:
        total = OPS["add"](total, tensor)
    return OPS["array"](total)


@_in(TABLE)
def fill(dims: Any, value: Any, name: Any = None) -> Any:
    """Return a tensor of one number."""
    return shown(np.broadcast_to(plain_array(value), tuple(int(n) for n in dims)).copy())


@_in(TABLE)
def range_(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: Any = None
) -> Any:
    """Return numbers at equal distances."""
    start, limit = (0, start) if limit is None else (start, limit)
    return OPS["arange"](start, limit, delta, dtype)


@_in(TABLE)
def linspace(start: Any, stop: Any, num: int, name: Any = None, axis: int = 0) -> Any:
    """Return `num` numbers from `start` to `stop`."""
    return OPS["linspace"](start, stop, num, axis=axis)


@_in(TABLE)
def eye(
    num_rows: int,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = None,
    name: Any = None,
) -> Any:
    """Return the identity matrix, of each of a batch."""
    one = OPS["eye"](num_rows, num_columns, dtype=dtype)
    return one if batch_shape is None else OPS["broadcast_to"](one, (*batch_shape, *one.shape))


@_in(TABLE)
def shape(input: Any, out_type: Any = "int32", name: Any = None) -> Any:
    """Return the shape, as a tensor where all of it is known."""
    sizes = OPS["shape"](input)
    return sizes if None in sizes else shown(np.array(sizes, dtype_named(out_type)))


@_in(TABLE)
def rank(input: Any, name: Any = None) -> Any:
    """Return the number of axes."""
    return shown(np.int32(OPS["ndim"](input)))


@_in(TABLE)
def size(input: Any, out_type: Any = "int32", name: Any = None) -> Any:
    """Return the number of elements."""
    return shown(np.asarray(OPS["size"](input), dtype_named(out_type)))


@_in(TABLE)
def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: int = 0,
    name: Any = None,
) -> Any:
    """Return what stands at places along an axis, of each row by itself with `batch_dims`."""
    if not batch_dims:
        return OPS["take"](params, indices, 0 if axis is None else axis)
    places = np.asarray(indices)
    axis = batch_dims if axis is None else axis % len(OPS["shape"](params))
    grids = np.ogrid[tuple(slice(n) for n in places.shape[:batch_dims])]
    own = [g.reshape(g.shape + (1,) * (places.ndim - batch_dims)) for g in grids]
    between = (slice(None),) * (axis - batch_dims)
    return OPS["get_item"](params, (*own, *between, places))


@_in(TABLE)
def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: Any = None) -> Any:
    """Return what stands at places of several axes."""
    return OPS["get_item"](params, tuple(np.moveaxis(np.asarray(indices), -1, 0)))


@_in(TABLE)
def scatter_nd(indices: Any, updates: Any, shape: Any, name: Any = None) -> Any:
    """Return zeros with values added at places."""
    return OPS["scatter"](indices, updates, shape)


@_in(TABLE)
def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: Any = None) -> Any:
    """Return a tensor with other values at some places."""
    return OPS["scatter_update"](tensor, indices, updates)


@_in(TABLE)
def where(condition: Any, x: Any = None, y: Any = None, name: Any = None) -> Any:
    """Return x where the condition holds, else y; its places, one a row, without those."""
    if x is None and y is None:
        return shown(np.argwhere(np.asarray(condition)))
    return OPS["where"](condition, x, y)


@_in(TABLE)
def boolean_mask(tensor: Any, mask: Any, axis: Any = None, name: Any = "boolean_mask") -> Any:
    """Return what stands where a mask holds."""
    return OPS["get_item"](tensor, (*(slice(None),) * (axis or 0), np.asarray(mask, bool)))


@_in(TABLE)
def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = "bool", name: Any = None) -> Any:
    """Return True for the first `lengths` steps of each row."""
    lengths = np.asarray(lengths)
    steps = int(lengths.max(initial=0)) if maxlen is None else int(maxlen)
    return shown((np.arange(steps) < lengths[..., None]).astype(dtype_named(dtype)))


@_in(TABLE)
def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: Any = None
) -> Any:
    """Return a tensor with more around it."""
    mode = mode.lower()
    return OPS["pad"](
        tensor,
        np.asarray(paddings).tolist(),
        mode,
        *([constant_values] if mode == "constant" else []),
    )


@_in(TABLE)
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: Any = None) -> Any:
    """Return a tensor shortened to a norm."""
    numbers = _numbers(t)
    norm = OPS["norm"](numbers, axis=axes, keepdims=axes is not None)
    return _scaled(t, OPS["divide"](clip_norm, OPS["maximum"](norm, clip_norm)))


def _numbers(t: Any) -> Any:
    """Return what a norm is of: of rows of a table, as in TensorFlow, each row that comes."""
    return t.values if isinstance(t, SparseGrad) else t


def _scaled(t: Any, factor: Any) -> Any:
    """Return a tensor, or rows of a table, times a number."""
    if isinstance(t, SparseGrad):
        return t.with_values(np.asarray(OPS["multiply"](t.values, factor)))
    return OPS["multiply"](t, factor)


@_in(TABLE)
def unique(x: Any, out_idx: Any = "int32", name: Any = None) -> Any:
    """Return the different elements in the order in which they come, and the place of each."""
    values = np.asarray(x)
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    places = np.argsort(order)[inverse.reshape(-1)].astype(dtype_named(out_idx))
    return shown((values[np.sort(first)], places))


def global_norm(t_list: Any, name: Any = None) -> Any:
    """Return the norm of all tensors together."""
    squares = [OPS["sum"](OPS["square"](_numbers(t))) for t in t_list if t is not None]
    return OPS["sqrt"](add_n(squares))


@_in(TABLE)
def clip_by_global_norm(t_list: Any, clip_norm: Any, use_norm: Any = None, name: Any = None) -> Any:
    """Return tensors shortened to a common norm, and the norm that they had."""
    norm = global_norm(t_list) if use_norm is None else use_norm
    factor = OPS["divide"](clip_norm, OPS["maximum"](norm, clip_norm))
    return [None if t is None else _scaled(t, factor) for t in t_list], norm


@_in(TABLE)
def map_fn(fn: Any, elems: Any, **settings: Any) -> Any:
    """Return a function of every entry along the first axis, stacked."""
    return OPS["map"](fn, elems)


@_in(TABLE)
def cond(pred: Any, true_fn: Any, false_fn: Any, name: Any = None) -> Any:
    """Return what one of two functions returns."""
    return OPS["cond"](pred, true_fn, false_fn)


@_in(TABLE)
def while_loop(
    cond: Any, body: Any, loop_vars: Any, maximum_iterations: Any = None, **settings: Any
) -> Any:
    """Return what becomes of values while a condition holds."""
    return OPS["while_loop"](cond, body, loop_vars, maximum_iterations)


@_in(TABLE)
def meshgrid(*args: Any, indexing: str = "xy", **settings: Any) -> Any:
    """Return grids of coordinates."""
    return OPS["meshgrid"](*args, indexing=indexing)


@_in(TABLE)
def ensure_shape(x: Any, shape: Any, name: Any = None) -> Any:
    """Return a tensor whose shape fits."""
    known = OPS["shape"](x)
    if len(known) != len(shape) or any(
        b is not None and a != b for a, b in zip(known, shape, strict=True)
    ):
        raise ValueError(f"Shape {known} must have shape {tuple(shape)}.")
    return x


@_in(TABLE)
def function(func: Any = None, **settings: Any) -> Any:
    """Return the function that it is given: everything runs as it is written."""
    return func if func is not None else lambda decorated: decorated


@_in(TABLE)
def print_(
    *inputs: Any, output_stream: Any = None, end: str = "\n", sep: str = " ", **settings: Any
) -> None:
    """Print tensors by their values."""
    stream = output_stream if hasattr(output_stream, "write") else sys.stdout
    builtins.print(
        *(np.asarray(x) if hasattr(x, "__array__") else x for x in inputs),
        end=end,
        sep=sep,
        file=stream,
    )


@_in(TABLE)
def numpy_function(func: Any = None, inp: Any = None, Tout: Any = None, **settings: Any) -> Any:
    """Return what a function makes of plain arrays."""
    return map_outputs(func(*(np.asarray(x) for x in inp)))


TABLE["py_function"] = numpy_function


def map_outputs(value: Any) -> Any:
    """Return arrays as tensors, alone or in a list or tuple."""
    return (
        shown(np.asarray(value))
        if not isinstance(value, list | tuple)
        else [map_outputs(v) for v in value]
    )


@contextlib.contextmanager
def name_scope(name: Any = None, *args: Any) -> Iterator[Any]:
    """Give a block a name, which nothing here reads."""
    yield name


class TensorShape(tuple[Any, ...]):
    """A shape as TensorFlow writes it: a tuple with `as_list`."""

    def __new__(cls, dims: Any = ()) -> "TensorShape":
        """Make a shape of a list of sizes."""
        return super().__new__(cls, (dims,) if isinstance(dims, int) else tuple(dims))

    def as_list(self) -> list[Any]:
        """Return the sizes as a list."""
        return list(self)

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self)


TABLE.update(
    Tensor=Tensor, TensorShape=TensorShape, name_scope=name_scope, is_tensor=OPS["is_tensor"],
    custom_gradient=OPS["custom_gradient"], newaxis=None, clip=OPS["clip"],
    searchsorted=OPS["searchsorted"], bool=np.dtype("bool"), double=np.dtype("float64"),
    string=np.dtype(str),
    **{
        name: np.dtype(name)
        for name in (
            "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
            "uint32", "uint64", "complex64", "complex128",
        )
    },
)  # fmt: skip

# --- tf.nn ------------------------------------------------------------------------------------


@_in(NN)
def leaky_relu(features: Any, alpha: float = 0.2, name: Any = None) -> Any:
    """Return x above zero and alpha·x below."""
    return OPS["leaky_relu"](features, alpha)


@_in(NN)
def gelu(features: Any, approximate: bool = False, name: Any = None) -> Any:
    """Return x·Φ(x)."""
    return OPS["gelu"](features, approximate)


@_in(NN)
def ctc_loss(
    labels: Any, logits: Any, label_length: Any, logit_length: Any, logits_time_major: bool = True,
    unique: Any = None, blank_index: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the CTC loss of each row of dense labels."""
    if logits_time_major:
        logits = OPS["swapaxes"](logits, 0, 1)
    return OPS["ctc_loss"](labels, logits, label_length, logit_length, blank_index or 0)


@_in(NN)
def dropout(
    x: Any, rate: float, noise_shape: Any = None, seed: Any = None, name: Any = None
) -> Any:
    """Return x with a share of its elements zero and the others larger."""
    from rnn_engine.random import make_generator

    shape = OPS["shape"](x) if noise_shape is None else tuple(noise_shape)
    kept = make_generator(seed).random(shape) >= rate
    return OPS["multiply"](x, (kept / (1 - rate)).astype(np.dtype(x.dtype)))


@_in(NN, MATH)
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: Any = None) -> Any:
    """Return vectors over their lengths."""
    squares = OPS["sum"](OPS["square"](x), axis, True)
    return OPS["multiply"](x, OPS["rsqrt"](OPS["maximum"](squares, epsilon)))


@_in(NN)
def l2_loss(t: Any, name: Any = None) -> Any:
    """Return half of the sum of squares."""
    return OPS["multiply"](OPS["sum"](OPS["square"](t)), 0.5)


@_in(NN)
def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: Any = None) -> Any:
    """Return means and variances over axes."""
    return OPS["moments"](x, axes, keepdims)


@_in(NN)
def bias_add(value: Any, bias: Any, data_format: Any = None, name: Any = None) -> Any:
    """Return a tensor with a bias on its last axis."""
    return OPS["add"](value, bias)


@_in(NN)
def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: Any = None) -> Any:
    """Return the rows of a table."""
    return OPS["take"](params, ids, 0)


@_in(NN)
def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: int = -1, name: Any = None
) -> Any:
    """Return the cross-entropy of each row."""
    return OPS["categorical_crossentropy"](labels, logits, True, axis)


@_in(NN)
def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: Any = None) -> Any:
    """Return the cross-entropy of each row, of class numbers."""
    return OPS["sparse_categorical_crossentropy"](labels, logits, True)


@_in(NN)
def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: Any = None
) -> Any:
    """Return the cross-entropy of each element."""
    return OPS["binary_crossentropy"](labels, logits, True)


@_in(NN)
def weighted_cross_entropy_with_logits(
    labels: Any, logits: Any, pos_weight: Any, name: Any = None
) -> Any:
    """Return the cross-entropy of each element, that of ones weighted."""
    positive = OPS["multiply"](OPS["softplus"](OPS["negative"](logits)), labels)
    negative = OPS["multiply"](OPS["softplus"](logits), OPS["subtract"](1.0, labels))
    return OPS["add"](OPS["multiply"](positive, pos_weight), negative)


@_in(NN, MATH)
def zero_fraction(value: Any, name: Any = None) -> Any:
    """Return the share of elements that are zero."""
    return OPS["mean"](OPS["cast"](OPS["equal"](value, 0), "float32"))


NN.update(top_k=OPS["top_k"], in_top_k=OPS["in_top_k"])


def _band(x: Any, lower: int, upper: int) -> Any:
    """Return what stands in a band of a matrix; a negative number keeps all of that side."""
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    inside = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    return OPS["where"](inside, x, 0)


TABLE["math"] = SimpleNamespace(**MATH)
TABLE["nn"] = SimpleNamespace(**NN)
TABLE["linalg"] = SimpleNamespace(
    matmul=matmul, norm=TABLE["norm"], einsum=einsum, tensordot=TABLE["tensordot"], eye=eye,
    inv=OPS["inv"], det=OPS["det"], solve=OPS["solve"], cholesky=OPS["cholesky"], svd=OPS["svd"],
    qr=OPS["qr"], eigh=OPS["eigh"], diag=OPS["diag"], trace=OPS["trace"], l2_normalize=l2_normalize,
    logdet=OPS["logdet"], pinv=OPS["pinv"], global_norm=global_norm,
    matrix_transpose=lambda a: OPS["swapaxes"](a, -1, -2),
    diag_part=lambda x: OPS["diagonal"](x, axis1=-2, axis2=-1),
    band_part=_band,
)  # fmt: skip
TABLE["dtypes"] = SimpleNamespace(
    **{name: kind for name, kind in TABLE.items() if isinstance(kind, np.dtype)}, cast=cast
)


def __getattr__(name: str) -> Any:
    try:
        return TABLE[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
