"""Operators that make more places: `ConvTranspose`, `Resize`."""

from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.glue import sliced
from rnn_engine.saving.onnx.graph import Node
from rnn_engine.saving.onnx.standard import channels_last, over, spread
from rnn_engine.saving.onnx.views import (
    BoundBatchError,
    Factor,
    Size,
    View,
    arranged,
    check_size,
    size_of,
)


@handles("ConvTranspose")
def _conv_transpose(b: Builder, node: Node, v: list[Any]) -> Any:
    kernel, bias = b.constant(node, v, 1, "kernel"), b.constant(node, v, 2, "bias")
    if kernel is None or not 3 <= kernel.ndim <= 5 or kernel.dtype.kind != "f" or not kernel.size:
        raise node.refuse("its kernel is no constant over 1 to 3 axes.")
    view, size = b.view(node, v[0]), list(kernel.shape[2:])
    rank = len(size)
    strides = node.numbers("strides") or [1] * rank
    dilations = node.numbers("dilations") or [1] * rank
    pads = node.numbers("pads") or [0] * (2 * rank)
    more = node.numbers("output_padding") or [0] * rank
    odd = node.number("group", 1) != 1 or (max(dilations) > 1 and max(strides) > 1)
    if odd or node.get("auto_pad", "NOTSET") != "NOTSET" or node.get("output_shape"):
        raise node.refuse(
            "with groups, dilations beside strides, or a shape of its own it is not read."
        )
    fits = len(strides) == len(more) == len(dilations) == len(pads) // 2 == rank == view.rank - 2
    if not fits or kernel.shape[0] != size_of(view.axes[1]) or min(*pads, *more) < 0:
        raise node.refuse("its kernel, strides or pads do not fit its input.")
    limits = zip(size, strides, dilations, strict=True)
    if any(min(k, s, d) < 1 or max(k, s, d) >= 1 << 16 for k, s, d in limits):
        raise node.refuse("its windows are too large.")
    # What is added at an end and what is cut off there come to one of the two.
    ends = [pads[rank + i] - more[i] for i in range(rank)]
    added = [max(-end, 0) for end in ends]
    if any(n >= s for n, s in zip(added, strides, strict=True)):
        raise node.refuse("its output is longer than what it computes.")
    made = _TRANSPOSED[rank]()(
        kernel.shape[1], size, strides, output_padding=added, dilation_rate=dilations,
        use_bias=bias is not None, dtype=kernel.dtype.name,
    )  # fmt: skip
    held = channels_last(view, node)
    sizes = [size_of(axis) for axis in view.axes[2:]]
    check_size((kernel.shape[1], *(int(s) * n if isinstance(n, int) else 1
                                   for s, n in zip(strides, sizes, strict=True))))  # fmt: skip
    turned = np.moveaxis(kernel, (0, 1), (-1, -2))
    y = b.layer(over(made, held), held.tensor, weights=[turned] if bias is None else [turned, bias])
    channels = (Factor(kernel.shape[1]),) if kernel.shape[1] > 1 else ()
    result = spread(held, y, channels)
    for place in range(rank):
        if pads[place] or ends[place] > 0:
            end = -ends[place] if ends[place] > 0 else 1 << 40
            result = sliced(result, place + 2, pads[place], end, 1, node)
    return result


_TRANSPOSED: dict[int, Any] = {
    1: lambda: layers.Conv1DTranspose, 2: lambda: layers.Conv2DTranspose,
    3: lambda: layers.Conv3DTranspose,
}  # fmt: skip
_REPEATING: dict[int, Any] = {
    1: lambda: layers.UpSampling1D, 2: lambda: layers.UpSampling2D, 3: lambda: layers.UpSampling3D,
}  # fmt: skip
_NEAREST = {
    ("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_floor"),
}  # fmt: skip


@handles("Resize", "Upsample")
def _resize(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    times = _times(b, node, v, view)
    mode = node.get("mode", "nearest")
    middle = "half_pixel" if node.op == "Resize" and b.version > 10 else "asymmetric"
    middle = node.get("coordinate_transformation_mode", middle)
    rounded = "floor" if node.op == "Upsample" or b.version < 11 else "round_prefer_floor"
    rounded = node.get("nearest_mode", rounded)
    linear = mode == "linear" and middle in ("half_pixel", "pytorch_half_pixel")
    if not linear and (mode != "nearest" or (middle, rounded) not in _NEAREST):
        raise node.refuse(f"how it resizes ({mode}, {middle}) is not read.")
    if node.number("antialias", 0) or node.numbers("axes") or node.number("exclude_outside", 0):
        raise node.refuse("antialias, axes of its own, or exclude_outside is not read.")
    places = [axis for axis, n in enumerate(times) if n > 1]
    if not places:
        return view
    if len(places) > (2 if linear else 3):
        raise node.refuse(f"it resizes {len(places)} axes.")
    rows = next((i for i, axis in enumerate(view.axes) if any(f.batch for f in axis)), None)
    if rows is None or rows in places:
        raise BoundBatchError(f"{node}: it resizes the batch.")
    others = [i for i in range(view.rank) if i != rows and i not in places]
    channels = tuple(f for i in others for f in view.axes[i])
    spread_out = [view.axes[i] for i in places]
    sizes = [times[i] for i in places]
    if linear and len(places) == 1:  # of one column
        spread_out, sizes = [*spread_out, ()], [*sizes, 1]
    tensor = arranged(view, [view.axes[rows], *spread_out, channels])
    check_size((*tensor.shape[1:], *sizes))
    options = {"interpolation": "bilinear"} if linear else {}
    made = _REPEATING[len(sizes)]()(sizes[0] if len(sizes) == 1 else sizes, **options)
    y = made(tensor)
    new = [(Factor(n),) if n != 1 else () for n in y.shape[1:-1]]
    axes = list(view.axes)
    for place, axis in zip(places, new, strict=False):
        axes[place] = axis
    return View(y, [view.axes[rows], *new, channels], axes, view.order)


def _times(b: Builder, node: Node, v: list[Any], view: View) -> list[int]:
    """Return how many places each axis has for one."""
    place = 1 if node.op == "Upsample" or b.version < 11 else 2
    scales = b.constant(node, v, place, "scales")
    scales = np.asarray(node.get("scales", ())) if scales is None else scales
    if scales.size == 0 and len(v) > 3 and isinstance(v[3], np.ndarray):
        wanted = list(v[3].ravel())
        sizes = [size_of(axis) for axis in view.axes]
        if len(wanted) != view.rank:
            raise node.refuse("it does not give each axis a size.")
        known = [f[0].hint if len(f) == 1 and f[0].batch else None for f in view.axes]
        scales = np.array(
            [_ratio(node, *three) for three in zip(wanted, sizes, known, strict=True)]
        )
    if scales.shape != (view.rank,) or (scales < 1).any() or (scales != np.round(scales)).any():
        raise node.refuse("it does not make each axis a whole number of times as large.")
    if scales.max() >= 1 << 16:
        raise node.refuse("it makes an axis too large.")
    return [int(n) for n in scales]


def _ratio(node: Node, wanted: Any, size: Any, hint: int | None) -> float:
    if isinstance(wanted, Size) or isinstance(size, Size):
        if hint is not None and not isinstance(wanted, Size):
            return float(wanted / hint)
        if not (isinstance(wanted, Size) and isinstance(size, Size)):
            raise node.refuse("it gives an axis of unknown size a size.")
        if wanted.factors == size.factors and wanted.times % size.times == 0:
            return wanted.times // size.times
        raise node.refuse("it gives an axis of unknown size a size.")
    return float(wanted / size)
