"""Layers as nodes."""

from dataclasses import replace
from typing import Any

import numpy as np

from rnn_engine.saving.onnx.write_activations import activated, relu
from rnn_engine.saving.onnx.writer import (
    UNTOLD,
    WRITERS,
    Mask,
    NotInONNXError,
    Value,
    Writer,
    untold,
    writes,
)

# What changes nothing when it is not trained.
_IDENTITIES = (
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
    "GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity",
)  # fmt: skip
# What TimeDistributed may hold that does with all steps at once what it does with one.
_STEPWISE = {*_IDENTITIES, "Dense", "Activation", "ReLU", "LeakyReLU", "ELU", "Rescaling"}


@writes(*_IDENTITIES)
def _identity(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    return x


@writes("Dense")
def _dense(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    name = w.op("MatMul", x.name, w.weight(layer.kernel, wish="kernel"))
    if layer.use_bias:
        name = w.op("Add", name, w.weight(layer.bias, wish="bias"))
    made = Value(name, (*x.shape[:-1], int(layer.units)), x.dtype, x.mask)
    return activated(w, made, layer.activation)


@writes("Embedding")
def _embedding(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    index = x if x.dtype in ("int32", "int64") else w.cast(x, "int32")
    table = w.weight(layer.embeddings, wish="embeddings")
    name = w.op("Gather", table, index.name, axis=0)
    mask = None
    if layer.mask_zero:
        mask = Mask(w.op("Not", w.op("Equal", index.name, w.number(0, index.dtype))))
    return Value(name, (*x.shape, int(layer.output_dim)), str(layer.dtype), mask)


@writes("Masking")
def _masking(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    other = w.op("Not", w.op("Equal", x.name, w.number(layer.mask_value, x.dtype)))
    numbers = w.op("Cast", other, to=w.type_of("float32"))
    any_one = w.op("ReduceMax", numbers, w.ints(-1), keepdims=0)
    mask = w.op("Greater", any_one, w.number(0.5, "float32"))
    wide = w.op("Unsqueeze", mask, w.ints(-1))
    name = w.op("Where", wide, x.name, w.number(0.0, x.dtype))
    return Value(name, x.shape, x.dtype, Mask(mask) if len(x.shape) == 3 else UNTOLD)


@writes("TimeDistributed")
def _time_distributed(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    inner = layer.layer
    kind = type(inner).__name__
    if kind in _STEPWISE:
        made: Value = WRITERS[kind](w, inner, x.bare(), {})
        return Value(made.name, made.shape, made.dtype, x.mask)
    front = w.sizes(x.name, 0, 2)
    rest = w.sizes(x.name, 2, len(x.shape))
    folded = w.op("Reshape", x.name, w.op("Concat", w.ints(-1), rest, axis=0))
    one: Any = w.layer(inner, Value(folded, (None, *x.shape[2:]), x.dtype), {})
    if isinstance(one, list) and len(one) == 1:  # of a model
        one = one[0]
    if isinstance(one, list):
        raise NotInONNXError(f"{kind} within TimeDistributed has several outputs.")
    back = w.sizes(one.name, 1, len(one.shape))
    name = w.op("Reshape", one.name, w.op("Concat", front, back, axis=0))
    return Value(name, (*x.shape[:2], *one.shape[1:]), one.dtype, x.mask)


# --- activations ------------------------------------------------------------------------------


@writes("Activation")
def _activation(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    return activated(w, x, layer.activation)


@writes("ReLU")
def _relu(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    settings = [layer.negative_slope, layer.max_value, layer.threshold]
    name = w.op("Relu", x.name) if settings == [0.0, None, 0.0] else relu(w, x, *settings)
    return Value(name, x.shape, x.dtype, x.mask)


@writes("LeakyReLU", "ELU")
def _with_slope(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    leaky = type(layer).__name__ == "LeakyReLU"
    alpha = float(layer.negative_slope if leaky else layer.alpha)
    name = w.op("LeakyRelu" if leaky else "Elu", x.name, alpha=alpha)
    return Value(name, x.shape, x.dtype, x.mask)


@writes("PReLU")
def _prelu(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    name = w.op("PRelu", x.name, w.weight(layer.alpha, wish="alpha"))
    return Value(name, x.shape, x.dtype, x.mask)


@writes("Softmax")
def _softmax(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    if x.mask is not None or not isinstance(layer.axis, int):
        raise NotInONNXError("a Softmax with a mask, or over several axes, is not written.")
    return Value(w.op("Softmax", x.name, axis=layer.axis), x.shape, x.dtype)


# --- shapes -----------------------------------------------------------------------------------


def _shape_after(layer: Any, x: Value) -> tuple[int | None, ...]:
    return tuple(layer.compute_output_shape(x.shape))


@writes("Flatten")
def _flatten(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    name = x.name
    if layer.data_format == "channels_first" and len(x.shape) > 2:
        name = w.transpose(name, [0, *range(2, len(x.shape)), 1])
    return Value(w.op("Flatten", name, axis=1), _shape_after(layer, x), x.dtype)


@writes("Reshape")
def _reshape(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    shape = _shape_after(layer, x)
    # What remains of one size is known to the layer, whether or not to the shape.
    inner = [n if t == -1 else t for t, n in zip(layer.target_shape, shape[1:], strict=True)]
    return Value(w.reshaped(x.name, x.shape, inner), shape, x.dtype)


@writes("Permute")
def _permute(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    name = w.transpose(x.name, [0, *layer.dims])
    return Value(name, _shape_after(layer, x), x.dtype)


@writes("RepeatVector")
def _repeat(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    wide = w.op("Unsqueeze", x.name, w.ints(1))
    return Value(w.op("Expand", wide, w.ints(1, layer.n, 1)), _shape_after(layer, x), x.dtype)


# --- several inputs ---------------------------------------------------------------------------

_MERGES = {"Add": "Sum", "Average": "Mean", "Maximum": "Max", "Minimum": "Min"}


@writes(*_MERGES, "Multiply", "Subtract")
def _merge(w: Writer, layer: Any, xs: list[Value], options: Any) -> Value:
    xs = list(xs)
    shape = tuple(layer.compute_output_shape([x.shape for x in xs]))
    kind = type(layer).__name__
    if len({len(x.shape) for x in xs}) > 1:
        # As in Keras, what tensors of different rank make does not mind their masks.
        mask = None if any(x.mask is None for x in xs) else UNTOLD
        made: Value = _merge(w, layer, [_of_rank(w, x, len(shape)) for x in xs], options)
        return replace(made, mask=mask)
    if kind in ("Maximum", "Minimum") and any(x.mask is not None for x in xs):
        name = _extreme_of_open(w, _MERGES[kind], xs)
    elif kind == "Multiply" and any(x.mask is not None for x in xs):
        name = _product_of_open(w, xs)
    elif kind in _MERGES:
        name = w.op(_MERGES[kind], *(x.name for x in xs))
    else:
        name = xs[0].name
        for other in xs[1:]:
            name = w.op("Mul" if kind == "Multiply" else "Sub", name, other.name)
    return Value(name, shape, xs[0].dtype, _mask_of_all(w, xs))


def _of_rank(w: Writer, x: Value, rank: int) -> Value:
    """Return a tensor without its mask, with so many axes, those of one behind the batch."""
    new = range(1, 1 + rank - len(x.shape))
    name = w.op("Unsqueeze", x.name, w.ints(*new)) if new else x.name
    return Value(name, (x.shape[0], *[1] * len(new), *x.shape[1:]), x.dtype)


def _wide_masks(w: Writer, xs: list[Value]) -> list[str]:
    """Return masks (batch, time, 1), no name where an input has none."""
    masks = [None if x.mask is None else untold(x.mask) for x in xs]
    return ["" if m is None else w.op("Unsqueeze", m.name, w.ints(-1)) for m in masks]


def _product_of_open(w: Writer, xs: list[Value]) -> str:
    """Return a product in which closed steps are one, and zero where all are closed."""
    masks, one = _wide_masks(w, xs), w.number(1, xs[0].dtype)
    name = ""
    for x, mask in zip(xs, masks, strict=True):
        factor = w.op("Where", mask, x.name, one) if mask else x.name
        name = w.op("Mul", name, factor) if name else factor
    if all(masks):
        some = masks[0]
        for mask in masks[1:]:
            some = w.op("Or", some, mask)
        name = w.op("Where", some, name, w.number(0, xs[0].dtype))
    return name


def _extreme_of_open(w: Writer, kind: str, xs: list[Value]) -> str:
    """Return the largest or smallest; where an input is closed the others decide."""
    masks = _wide_masks(w, xs)
    name, some = xs[0].name, masks[0]
    for x, mask in zip(xs[1:], masks[1:], strict=True):
        shown = w.op("Where", mask, x.name, name) if mask else x.name
        left = w.op("Where", some, name, shown) if some else name
        name = w.op(kind, left, shown)
        some = w.op("Or", some, mask) if some and mask else ""
    return name


def _mask_of_all(w: Writer, xs: list[Value]) -> Mask | None:
    """Return where any mask is open; None where one input has none, as in Keras."""
    masks = [x.mask for x in xs]
    if any(m is None for m in masks):
        return None
    if any(m is UNTOLD for m in masks):
        return UNTOLD
    known = {m.name: m for m in masks if m is not None}
    if len(known) == 1:
        return next(iter(known.values()))
    first, *rest = known
    for other in rest:
        first = w.op("Or", first, other)
    return Mask(first)


@writes("Concatenate")
def _concatenate(w: Writer, layer: Any, xs: list[Value], options: Any) -> Value:
    xs = list(xs)
    shape = tuple(layer.compute_output_shape([x.shape for x in xs]))
    name = w.op("Concat", *(x.name for x in xs), axis=int(layer.axis))
    masks = {x.mask.name if x.mask is not None else None for x in xs}
    mask = None
    if masks != {None}:
        last = layer.axis % len(shape) == len(shape) - 1
        # Keras keeps a step where any mask is open, and all where an input has none.
        mask = UNTOLD if not last else None
        if last and None not in masks:
            mask = _mask_of_all(w, xs)
        elif last:
            mask = None
    return Value(name, shape, xs[0].dtype, mask)


# --- over all places ---------------------------------------------------------------------------


@writes(
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
)  # fmt: skip
def _global_pooling(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    rank = len(x.shape)
    axes = range(2, rank) if layer.data_format == "channels_first" else range(1, rank - 1)
    average = type(layer).__name__.startswith("GlobalAverage")
    keep = int(bool(layer.keepdims))
    shape = _shape_after(layer, x)
    if average and x.mask is not None and rank == 3:
        if layer.data_format == "channels_first":
            raise NotInONNXError("a mask over channels first is not written.")
        mask = untold(x.mask)
        ones = w.op("Cast", w.op("Unsqueeze", mask.name, w.ints(2)), to=w.type_of(x.dtype))
        total = w.op("ReduceSum", w.op("Mul", x.name, ones), w.ints(1), keepdims=keep)
        count = w.op("ReduceSum", ones, w.ints(1), keepdims=keep)
        return Value(w.op("Div", total, count), shape, x.dtype)
    kind = "ReduceMean" if average else "ReduceMax"
    return Value(w.op(kind, x.name, w.ints(*axes), keepdims=keep), shape, x.dtype)


# --- normalizations ---------------------------------------------------------------------------


@writes("BatchNormalization")
def _batch_normalization(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    axis = layer.axis % len(x.shape)
    variance = layer.moving_variance.numpy().astype(np.float64)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    scale = scale * layer.gamma.numpy() if layer.scale else scale
    shift = -layer.moving_mean.numpy().astype(np.float64) * scale
    shift = shift + layer.beta.numpy() if layer.center else shift
    return _affine(w, x, scale, shift, axis)


def _affine(w: Writer, x: Value, scale: Any, shift: Any, axis: int) -> Value:
    """Return x · scale + shift along an axis."""
    shape = [-1] + [1] * (len(x.shape) - 1 - axis)
    parts = [np.reshape(p, shape).astype(x.dtype) for p in (scale, shift)]
    name = w.op("Mul", x.name, w.constant(parts[0], "scale"))
    return Value(w.op("Add", name, w.constant(parts[1], "shift")), x.shape, x.dtype, x.mask)


@writes("LayerNormalization")
def _layer_normalization(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    axes = sorted(axis % len(x.shape) for axis in axes)
    if axes != list(range(axes[0], len(x.shape))):
        raise NotInONNXError(f"it normalizes over the axes {axes}, which are not the last ones.")
    size = tuple(int(n or 0) for n in x.shape[axes[0] :])
    gamma = w.weight(layer.gamma, wish="gamma") if layer.scale else w.constant(
        np.ones(size, x.dtype), "gamma")  # fmt: skip
    inputs = [x.name, gamma]
    if layer.center:
        inputs.append(w.weight(layer.beta, wish="beta"))
    name = w.op("LayerNormalization", *inputs, axis=axes[0], epsilon=float(layer.epsilon))
    return Value(name, x.shape, x.dtype, x.mask)


@writes("GroupNormalization")
def _group_normalization(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    rank = len(x.shape)
    axis = layer.axis % rank
    others = [i for i in range(1, rank) if i != axis]
    front = w.transpose(x.name, [0, axis, *others])
    grouped = w.op("Reshape", front, w.ints(0, int(layer.groups), -1))
    mean = w.op("ReduceMean", grouped, w.ints(2), keepdims=1)
    off = w.op("Sub", grouped, mean)
    variance = w.op("ReduceMean", w.op("Mul", off, off), w.ints(2), keepdims=1)
    root = w.op("Sqrt", w.op("Add", variance, w.number(layer.epsilon, x.dtype)))
    flat = w.op("Reshape", w.op("Div", off, root), w.op("Shape", front))
    name = w.transpose(flat, [int(i) for i in np.argsort([0, axis, *others])])

    def beside(array: np.ndarray) -> np.ndarray:
        return array.reshape(-1, *[1] * (rank - 1 - axis))

    if layer.scale:
        name = w.op("Mul", name, w.weight(layer.gamma, beside, "gamma"))
    if layer.center:
        name = w.op("Add", name, w.weight(layer.beta, beside, "beta"))
    return Value(name, x.shape, x.dtype, x.mask)


@writes("RMSNormalization", "UnitNormalization")
def _by_size(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    square = w.op("Mul", x.name, x.name)
    unit = type(layer).__name__ == "UnitNormalization"
    kind = "ReduceSum" if unit else "ReduceMean"
    size = w.op(kind, square, w.ints(*axes), keepdims=1)
    if unit:
        name = w.op("Div", x.name, w.op("Sqrt", w.op("Max", size, w.number(1e-12, x.dtype))))
        return Value(name, x.shape, x.dtype, x.mask)
    root = w.op("Sqrt", w.op("Add", size, w.number(layer.epsilon, x.dtype)))
    name = w.op("Div", x.name, root)
    rank = len(x.shape)
    last = sorted(axis % rank for axis in axes)

    def beside(array: np.ndarray) -> np.ndarray:
        sizes = dict(zip(last, (x.shape[i] for i in last), strict=True))
        return array.reshape([int(sizes.get(i) or 1) for i in range(last[0], rank)])

    return Value(w.op("Mul", name, w.weight(layer.scale, beside, "scale")), x.shape, x.dtype)


@writes("Rescaling")
def _rescaling(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    x = x if x.dtype.startswith("float") else w.cast(x, str(layer.dtype))
    scale, offset = (np.asarray(n, x.dtype) for n in (layer.scale, layer.offset))
    name = w.op("Mul", x.name, w.constant(scale, "scale"))
    return Value(w.op("Add", name, w.constant(offset, "offset")), x.shape, x.dtype, x.mask)
