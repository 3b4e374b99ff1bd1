"""Operators that are layers: products, convolutions, pooling, normalizations."""

from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine import ops as _ops
from rnn_engine.saving.onnx.arithmetic import pair
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.glue import padded
from rnn_engine.saving.onnx.graph import Node
from rnn_engine.saving.onnx.views import (
    Axes,
    BoundBatchError,
    Factor,
    View,
    arranged,
    check_size,
    last,
    size_of,
)

ops: Any = _ops  # its names come from a table


@handles("MatMul")
def _matmul(b: Builder, node: Node, v: list[Any]) -> Any:
    one, two = v
    if isinstance(one, View) and isinstance(two, np.ndarray) and two.ndim == 2:
        bias, after = _bias_behind(b, node, two.shape[1])
        made = _dense(b, node, one, two, bias)
        if after is not None:
            b.done.add(id(after))
            b.values[after.outputs[0]] = made
        return made
    if isinstance(one, View) and isinstance(two, View):
        return _product(node, one, two)
    raise node.refuse("only a tensor times a constant matrix, or two tensors, are multiplied.")


def _bias_behind(b: Builder, node: Node, units: int) -> tuple[Any, Node | None]:
    """Return the constant that only is added to a product, and the node that adds it."""
    after = b.only_reader(node.outputs[0])
    if after is None or after.op != "Add" or len(after.inputs) != 2:
        return None, None
    other = [name for name in after.inputs if name != node.outputs[0]]
    value = b.values.get(other[0]) if len(other) == 1 else None
    if isinstance(value, np.ndarray) and value.shape == (units,):
        return value, after
    return None, None


def _dense(b: Builder, node: Node, view: View, kernel: np.ndarray, bias: Any) -> View:
    if not view.rank or size_of(view.axes[-1]) != kernel.shape[0] or not kernel.size:
        raise node.refuse(f"a tensor does not fit a matrix of shape {kernel.shape}.")
    if any(f.batch for f in view.axes[-1]):
        raise BoundBatchError(f"{node}: it adds up over the batch.")
    if kernel.dtype.kind != "f" or view.dtype.kind != "f":
        raise node.refuse("whole numbers are multiplied.")
    tensor, front = last(view)
    made = layers.Dense(kernel.shape[1], use_bias=bias is not None, dtype=kernel.dtype.name)
    squeezed = not front
    if squeezed:
        raise node.refuse("a vector is multiplied.")
    y = b.layer(made, tensor, weights=[kernel] if bias is None else [kernel, bias])
    new = (Factor(kernel.shape[1]),) if kernel.shape[1] > 1 else ()
    return View(y, [*front, new], [*view.axes[:-1], new], view.order)


def _product(node: Node, one: View, two: View) -> View:
    """Return the product of two tensors: the batch and other axes in front are the same."""
    if one.rank != two.rank or one.rank < 3:
        raise node.refuse("tensors with different axes in front are multiplied.")
    two = _in_front_as(node, one, two)
    inner = size_of(one.axes[-1]), size_of(two.axes[-2])
    if all(isinstance(n, int) for n in inner) and inner[0] != inner[1]:
        raise node.refuse("the axes that are added up are not the same.")
    if any(f.batch for f in (*one.axes[-1], *two.axes[-2])):
        raise BoundBatchError(f"{node}: it adds up over the batch.")
    places = sorted(range(one.rank - 2), key=lambda i: not any(f.batch for f in one.axes[i]))
    lead = [one.axes[i] for i in places]
    if not lead or not any(f.batch for f in lead[0]):
        raise BoundBatchError(f"{node}: the batch is not among the axes in front.")
    tensors = [arranged(v, [*lead, *v.axes[-2:]]) for v in (one, two)]
    check_size((*tensors[0].shape[:-1], tensors[1].shape[-1]))
    groups = [*lead, one.axes[-2], two.axes[-1]]
    axes = [*one.axes[:-1], two.axes[-1]]
    if one.axes[-2] and one.axes[-2] == two.axes[-1]:  # a square: its sides are two axes
        groups[-1] = axes[-1] = tuple(Factor(f.size) for f in two.axes[-1])
    return View(ops.matmul(*tensors), groups, axes, one.order)


def _in_front_as(node: Node, one: View, two: View) -> View:
    """Return the second tensor with the axes in front called as those of the first.

    Axes of one size are the same here, such as the heads of queries and of keys.
    """
    same: dict[int, Factor] = {}
    for mine, other in zip(one.axes[:-2], two.axes[:-2], strict=True):
        fits = len(mine) == len(other) and all(
            f.batch == g.batch and f.size == g.size for f, g in zip(mine, other, strict=True)
        )
        if not fits:
            raise node.refuse("tensors with different axes in front are multiplied.")
        same.update({id(g): f for f, g in zip(mine, other, strict=True)})

    def called(axes: Axes) -> Axes:
        return [tuple(same.get(id(f), f) for f in axis) for axis in axes]

    return View(two.tensor, called(two.groups), called(two.axes), two.order)


@handles("Gemm")
def _gemm(b: Builder, node: Node, v: list[Any]) -> Any:
    kernel = b.constant(node, v, 1, "matrix")
    if not isinstance(v[0], View) or kernel is None or kernel.ndim != 2:
        raise node.refuse("only a tensor times a constant matrix is read.")
    if node.number("transA", 0) or v[0].rank != 2:
        raise node.refuse("its first operand is turned, or has not two axes.")
    kernel = kernel.T if node.number("transB", 0) else kernel
    alpha, beta = node.real("alpha", 1.0), node.real("beta", 1.0)
    kernel = kernel if alpha == 1.0 else (alpha * kernel).astype(kernel.dtype)
    bias = v[2] if node.has(2) and len(v) > 2 else None
    if isinstance(bias, np.ndarray) and bias.dtype.kind == "f":
        bias = bias if beta == 1.0 else (beta * bias).astype(bias.dtype)
        if bias.size == 1 or bias.shape in ((kernel.shape[1],), (1, kernel.shape[1])):
            flat = np.broadcast_to(bias.reshape(-1), kernel.shape[1:])
            return _dense(b, node, v[0], kernel, flat)
    made = _dense(b, node, v[0], kernel, None)
    if bias is None:
        return made
    if beta != 1.0 and isinstance(bias, View):
        bias = bias.like(ops.multiply(bias.tensor, beta))
    return pair(b, node, made, bias, "add")


# --- windows ----------------------------------------------------------------------------------


def channels_last(view: View, node: Node) -> View:
    """Return the same tensor with the batch first and the channels last."""
    if not 3 <= view.rank <= 5 or not view.axes[0] or not view.axes[0][0].batch:
        raise node.refuse("it wants (batch, channels, ...).")
    order: Axes = [*((f,) for f in view.axes[0]), *view.axes[2:], view.axes[1]]
    return View(arranged(view, order), order, view.axes, view.order)


def over(layer: Any, view: View) -> Any:
    """Return a layer for a batch that is made of clips and their steps: TimeDistributed."""
    for _ in view.axes[0][1:]:
        layer = layers.TimeDistributed(layer)
    return layer


def _windows(b: Builder, node: Node, view: View, kernel: list[int], value: float) -> Any:
    """Return the tensor with its padding, and the strides, dilations and padding left to do."""
    rank = len(kernel)
    strides = node.numbers("strides") or [1] * rank
    dilations = node.numbers("dilations") or [1] * rank
    pads = node.numbers("pads") or [0] * (2 * rank)
    auto = node.get("auto_pad", "NOTSET")
    if not len(strides) == len(dilations) == rank == len(pads) // 2 == view.rank - 2:
        raise node.refuse("its windows do not fit its input.")
    if max(kernel + strides + dilations) > 1 << 16 or min(kernel + strides + dilations) < 1:
        raise node.refuse("its windows are too large.")
    if auto == "SAME_UPPER":
        return view, strides, dilations, "same"
    if auto == "SAME_LOWER":
        raise node.refuse("auto_pad SAME_LOWER is not read.")
    for place in range(rank):
        widths = (pads[place], pads[place + rank])
        if any(widths):
            view = padded(view, place + 2, widths, value, node)
    for place, size in enumerate(kernel):
        own = size_of(view.axes[place + 2])
        if isinstance(own, int) and own < (size - 1) * dilations[place] + 1:
            raise node.refuse("a window is longer than its input.")
    return view, strides, dilations, "valid"


def spread(view: View, y: Any, channels: Any) -> View:
    """Return what a layer over windows gave, as ONNX sees it."""
    # Sizes that were not known are so still, and others: each axis is a new one.
    rows = [(f,) for f in view.axes[0]]
    new: Axes = [() if n == 1 else (Factor(n),) for n in y.shape[len(rows) : -1]]
    return View(y, [*rows, *new, channels], [view.axes[0], channels, *new], view.order)


@handles("Conv")
def _conv(b: Builder, node: Node, v: list[Any]) -> Any:
    kernel, bias = b.constant(node, v, 1, "kernel"), b.constant(node, v, 2, "bias")
    if kernel is None or not 3 <= kernel.ndim <= 5 or kernel.dtype.kind != "f" or not kernel.size:
        raise node.refuse("its kernel is no constant over 1 to 3 axes.")
    view = b.view(node, v[0])
    size = list(kernel.shape[2:])
    if node.numbers("kernel_shape") not in (None, size):
        raise node.refuse("kernel_shape is not that of the kernel.")
    view, strides, dilations, padding = _windows(b, node, view, size, 0.0)
    groups = node.number("group", 1)
    if groups < 1 or kernel.shape[1] * groups != size_of(view.axes[1]) or kernel.shape[0] % groups:
        raise node.refuse("its kernel does not fit the channels.")
    if max(strides) > 1 and max(dilations) > 1:
        raise node.refuse("it has strides and dilations.")
    made = _CONV[len(size)]()(
        kernel.shape[0], size, strides, padding, dilation_rate=dilations, groups=groups,
        use_bias=bias is not None, dtype=kernel.dtype.name,
    )  # fmt: skip
    turned = np.moveaxis(kernel, (0, 1), (-1, -2))
    held = channels_last(view, node)
    y = b.layer(over(made, held), held.tensor, weights=[turned] if bias is None else [turned, bias])
    channels = (Factor(kernel.shape[0]),) if kernel.shape[0] > 1 else ()
    return spread(held, y, channels)


_CONV: dict[int, Any] = {
    1: lambda: layers.Conv1D, 2: lambda: layers.Conv2D, 3: lambda: layers.Conv3D,
}  # fmt: skip
_POOL: dict[tuple[str, int], Any] = {
    ("MaxPool", 1): lambda: layers.MaxPooling1D, ("MaxPool", 2): lambda: layers.MaxPooling2D,
    ("MaxPool", 3): lambda: layers.MaxPooling3D,
    ("AveragePool", 1): lambda: layers.AveragePooling1D,
    ("AveragePool", 2): lambda: layers.AveragePooling2D,
    ("AveragePool", 3): lambda: layers.AveragePooling3D,
}  # fmt: skip


@handles("MaxPool", "AveragePool")
def _pool(b: Builder, node: Node, v: list[Any]) -> Any:
    view, size = b.view(node, v[0]), node.numbers("kernel_shape") or []
    if not 1 <= len(size) <= 3 or (len(node.outputs) > 1 and b.wanted(node, 1)):
        raise node.refuse("it pools over more than 3 axes, or gives places.")
    average = node.op == "AveragePool"
    pads = any(node.numbers("pads") or ())
    if node.number("ceil_mode", 0) or (
        average and pads and not node.number("count_include_pad", 0)
    ):
        raise node.refuse("ceil_mode, or an average that leaves out the padding, is not read.")
    low = 0.0 if average else float(np.finfo(view.dtype).min)
    view, strides, dilations, padding = _windows(b, node, view, size, low)
    if max(dilations) > 1 or (
        average and padding == "same" and node.number("count_include_pad", 0)
    ):
        raise node.refuse("it pools with dilations, or counts its padding.")
    held = channels_last(view, node)
    y = over(_POOL[node.op, len(size)]()(size, strides, padding), held)(held.tensor)
    return spread(held, y, view.axes[1])


@handles("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(b: Builder, node: Node, v: list[Any]) -> Any:
    held = channels_last(b.view(node, v[0]), node)
    average = node.op == "GlobalAveragePool"
    rows: Axes = [(f,) for f in held.axes[0]]
    if held.rank == 3 and len(rows) == 1:
        y = (layers.GlobalAveragePooling1D if average else layers.GlobalMaxPooling1D)()(held.tensor)
    else:
        axes = [n + len(rows) for n in range(held.rank - 2)]
        y = (ops.mean if average else ops.max)(held.tensor, axis=axes)
    channels = held.axes[1]
    ones: Axes = [()] * (held.rank - 2)
    return View(y, [*rows, channels], [held.axes[0], channels, *ones], held.order)


# --- normalizations ---------------------------------------------------------------------------


@handles("BatchNormalization")
def _batch_normalization(b: Builder, node: Node, v: list[Any]) -> Any:
    if node.number("training_mode", 0):
        raise node.refuse("it normalizes by the batch (training_mode).")
    view = b.view(node, v[0])
    names = ("scale", "bias", "mean", "variance")
    constants = [b.constant(node, v, i + 1, name) for i, name in enumerate(names)]
    axis = 1 if view.rank > 1 else 0
    tensor, front = last(view, axis)
    count = size_of(view.axes[axis])
    if any(c is None or c.shape != (count,) for c in constants):
        raise node.refuse("its constants do not fit the channels.")
    made = layers.BatchNormalization(epsilon=node.real("epsilon", 1e-5), dtype=view.dtype.name)
    y = b.layer(made, tensor, weights=constants)
    return View(y, [*front, view.axes[axis]], view.axes, view.order)


@handles("LayerNormalization", "RMSNormalization")
def _layer_normalization(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    scale, bias = b.constant(node, v, 1, "scale"), b.constant(node, v, 2, "bias")
    axis = view.axis(node.number("axis", -1), node)
    if scale is None or (len(node.outputs) > 1 and b.wanted(node, 1)):
        raise node.refuse("its scale is no constant, or it gives its mean.")
    if axis != view.rank - 1 and node.op == "LayerNormalization":
        return _over_axes(b, node, view, axis, [scale] if bias is None else [scale, bias])
    if axis != view.rank - 1:
        raise node.refuse("it normalizes over more than the last axis.")
    count = size_of(view.axes[-1])
    if any(c is not None and c.shape != (count,) for c in (scale, bias)):
        raise node.refuse("its constants do not fit the last axis.")
    tensor, front = last(view)
    epsilon, dtype = node.real("epsilon", 1e-5), view.dtype.name
    made: Any
    if node.op == "RMSNormalization":
        made, weights = layers.RMSNormalization(epsilon=epsilon, dtype=dtype), [scale]
    else:
        made = layers.LayerNormalization(epsilon=epsilon, center=bias is not None, dtype=dtype)
        weights = [scale] if bias is None else [scale, bias]
    y = b.layer(made, tensor, weights=weights)
    return View(y, [*front, view.axes[-1]], view.axes, view.order)


def _over_axes(b: Builder, node: Node, view: View, axis: int, weights: list[Any]) -> View:
    """Normalize over several axes, the last ones."""
    first = view.axes[0]
    if not axis or len(first) != 1 or not first[0].batch:
        raise node.refuse("it normalizes over the batch.")
    shape = tuple(size_of(a) for a in view.axes[axis:])
    if any(w.shape != shape for w in weights):
        raise node.refuse("its constants do not fit its axes.")
    made = layers.LayerNormalization(
        axis=list(range(axis, view.rank)), epsilon=node.real("epsilon", 1e-5),
        center=len(weights) == 2, dtype=view.dtype.name,
    )  # fmt: skip
    y = b.layer(made, arranged(view, view.axes), weights=weights)
    return View(y, view.axes, view.axes, view.order)


@handles("InstanceNormalization", "GroupNormalization")
def _group_normalization(b: Builder, node: Node, v: list[Any]) -> Any:
    held = channels_last(b.view(node, v[0]), node)
    scale, bias = b.constant(node, v, 1, "scale"), b.constant(node, v, 2, "bias")
    count = size_of(held.axes[1])
    groups = node.number("num_groups", 0) if node.op == "GroupNormalization" else count
    if scale is None or bias is None or not isinstance(count, int) or groups < 1 or count % groups:
        raise node.refuse("its channels do not fit its groups.")
    if b.version < 21 and node.op == "GroupNormalization" and scale.shape == (groups,):
        scale, bias = (np.repeat(c, count // groups) for c in (scale, bias))
    if scale.shape != (count,) or bias.shape != (count,):
        raise node.refuse("its constants do not fit the channels.")
    made = layers.GroupNormalization(
        groups, axis=-1, epsilon=node.real("epsilon", 1e-5), dtype=held.dtype.name
    )
    return held.like(b.layer(made, held.tensor, weights=[scale, bias]))
