"""Layers that prepare features, and products over axes that are named, as nodes."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.saving.onnx.write_activations import activated
from rnn_engine.saving.onnx.writer import NotInONNXError, Value, Writer, writes


def _after(layer: Any, x: Value) -> tuple[int | None, ...]:
    return tuple(layer.compute_output_shape(x.shape))


@writes("Normalization")
def _normalization(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    mean, deviation = (np.asarray(part, x.dtype) for part in layer._scale())
    mean_name, deviation_name = w.constant(mean, "mean"), w.constant(deviation, "deviation")
    if layer.invert:
        name = w.op("Add", w.op("Mul", x.name, deviation_name), mean_name)
    else:
        name = w.op("Div", w.op("Sub", x.name, mean_name), deviation_name)
    return Value(name, x.shape, x.dtype, x.mask)


@writes("Discretization")
def _discretization(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    if layer.bin_boundaries is None:
        raise NotInONNXError("it has no boundaries yet: call `adapt`.")
    boundaries = np.asarray(layer.bin_boundaries, x.dtype)
    # What is not a number lies behind the last boundary.
    below = w.op("Less", w.op("Unsqueeze", x.name, w.ints(-1)), w.constant(boundaries, "bins"))
    reached = w.op("Cast", w.op("Not", below), to=w.type_of("float32"))
    count = w.op("ReduceSum", reached, w.ints(-1), keepdims=0)
    if layer.output_mode == "int":
        name = w.op("Cast", count, to=w.type_of("int32"))
        return Value(name, x.shape, "int32", x.mask)
    index = Value(w.op("Cast", count, to=w.type_of("int64")), x.shape, "int64")
    return _vectors(w, layer, index, len(boundaries) + 1, None)


@writes("CategoryEncoding")
def _category_encoding(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    weights = options.get("count_weights")
    if weights is not None and not isinstance(weights, Value):
        weights = Value(w.constant(np.asarray(weights, layer.dtype), "weights"), (), layer.dtype)
    index = Value(w.cast(x, "int64").name, x.shape, "int64", x.mask)
    return _vectors(w, layer, index, int(layer.num_tokens), weights)


def _vectors(w: Writer, layer: Any, index: Value, depth: int, weights: Value | None) -> Value:
    """Return vectors of which indices there are, or how often."""
    name, shape, mode = index.name, index.shape, layer.output_mode
    dtype = str(layer.dtype)
    one_by_one = mode == "one_hot"
    if one_by_one and len(shape) > 1 and shape[-1] == 1:
        name = w.op("Squeeze", name, w.ints(-1))
    hot = w.op("Equal", w.op("Unsqueeze", name, w.ints(-1)), w.constant(np.arange(depth)))
    hot = w.op("Cast", hot, to=w.type_of(dtype))
    if weights is not None:
        wide = w.op("Unsqueeze", w.cast(weights, dtype).name, w.ints(-1))
        hot = w.op("Mul", hot, wide)
    if not one_by_one:
        hot = w.op("ReduceMax" if mode == "multi_hot" else "ReduceSum", hot, w.ints(-2), keepdims=0)
    return Value(hot, _after(layer, index), dtype, index.mask if one_by_one else None)


# --- products -----------------------------------------------------------------------------------


@writes("EinsumDense")
def _einsum_dense(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    equation = ",".join(layer._labels(len(x.shape))[:2]) + "->" + layer._labels(len(x.shape))[2]
    free = iter(sorted(set(map(chr, range(ord("a"), ord("z") + 1))) - set(equation)))
    # What stands for `...` has labels that ONNX does not know.
    plain = {label: next(free) for label in equation if not label.isascii()}
    equation = "".join(plain.get(label, label) for label in equation)
    name = w.op("Einsum", x.name, w.weight(layer.kernel, wish="kernel"), equation=equation)
    if layer.bias is not None:
        name = w.op("Add", name, w.weight(layer.bias, wish="bias"))
    return activated(w, Value(name, _after(layer, x), x.dtype), layer.activation)


@writes("Dot")
def _dot(w: Writer, layer: Any, xs: list[Value], options: Any) -> Value:
    one, two = xs
    a, b = layer._axes([x.shape for x in xs])
    names = [one.name, two.name]
    if layer.normalize:
        names = [_of_length_one(w, x, axis) for x, axis in zip(xs, (a, b), strict=True)]
    ours = [i for i in range(1, len(one.shape)) if i != a]
    theirs = [i for i in range(1, len(two.shape)) if i != b]
    left = _matrix(w, w.transpose(names[0], [0, *ours, a]), len(ours), (0, -1, one.shape[a]))
    right = _matrix(w, w.transpose(names[1], [0, b, *theirs]), len(theirs), (0, two.shape[b], -1))
    name = w.op("MatMul", left, right)
    shape = tuple(layer.compute_output_shape([x.shape for x in xs]))
    if len(ours) != 1 or len(theirs) != 1:
        others = [one.shape[i] for i in ours] + [two.shape[i] for i in theirs]
        name = w.reshaped(name, shape, others or [1])
    return Value(name, shape, one.dtype)


def _matrix(w: Writer, name: str, others: int, sizes: tuple[Any, ...]) -> str:
    """Return a tensor whose other axes are one."""
    if others == 1:
        return name
    if -1 in sizes and others == 0:
        sizes = tuple(1 if n == -1 else n for n in sizes)
    if None in sizes:
        raise NotInONNXError("it sums over an axis of unknown size.")
    return str(w.op("Reshape", name, w.ints(*sizes)))


def _of_length_one(w: Writer, x: Value, axis: int) -> str:
    square = w.op("ReduceSum", w.op("Mul", x.name, x.name), w.ints(axis), keepdims=1)
    length = w.op("Max", w.op("Sqrt", square), w.number(epsilon(), x.dtype))
    return str(w.op("Div", x.name, length))
