"""Layers of windows over places as nodes: convolutions, pooling, edges, larger images."""

from typing import Any

import numpy as np

from rnn_engine.saving.onnx.write_activations import activated
from rnn_engine.saving.onnx.writer import NotInONNXError, Value, Writer, writes

_END = 1 << 62


def _after(layer: Any, x: Value) -> tuple[int | None, ...]:
    return tuple(layer.compute_output_shape(x.shape))


def channels_first(w: Writer, layer: Any, x: Value) -> str:
    """Return (batch, channels, ...)."""
    if layer.data_format == "channels_first":
        return x.name
    rank = len(x.shape)
    return w.transpose(x.name, [0, rank - 1, *range(1, rank - 1)])


def channels_back(w: Writer, layer: Any, name: str, rank: int) -> str:
    """Return (batch, channels, ...) with its channels where the layer has them."""
    if layer.data_format == "channels_first":
        return name
    return w.transpose(name, [0, *range(2, rank), 1])


def windows(layer: Any, size: Any) -> dict[str, Any]:
    """Return the attributes of windows."""
    strides = [int(n) for n in layer.strides]
    dilations = [int(n) for n in getattr(layer, "dilation_rate", (1,) * len(strides))]
    found: dict[str, Any] = {"kernel_shape": [int(n) for n in size], "strides": strides}
    if max(dilations) > 1:
        found["dilations"] = dilations
    if layer.padding == "causal":
        found["pads"] = [(found["kernel_shape"][0] - 1) * dilations[0], 0]
    elif layer.padding == "same":
        if max(strides) == 1 and hasattr(layer, "kernel_size"):  # in numbers, read alike by all
            both = [(k - 1) * d for k, d in zip(found["kernel_shape"], dilations, strict=True)]
            found["pads"] = [n // 2 for n in both] + [n - n // 2 for n in both]
        else:
            found["auto_pad"] = "SAME_UPPER"
    return found


@writes("Conv1D", "Conv2D", "Conv3D")
def _conv(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    inputs = [channels_first(w, layer, x), w.weight(layer.kernel, filters_first, "kernel")]
    settings = windows(layer, layer.kernel_size)
    name = w.op("Conv", *inputs, *_bias(w, layer), group=int(layer.groups), **settings)
    return _finished(w, layer, x, name)


@writes("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def _transposed(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    inputs = [channels_first(w, layer, x), w.weight(layer.kernel, filters_first, "kernel")]
    dilations = [int(n) for n in layer.dilation_rate]
    begin, end, more = [], [], []
    for axis, (taps, dilation) in enumerate(zip(layer.kernel_size, dilations, strict=True)):
        # How much of what one place becomes is cut off, or is longer, tells of any number.
        cut = (int(taps) - 1) * dilation + 1 - layer._out_size(axis, 1)
        begin.append(max(cut, 0) // 2)
        end.append(max(cut, 0) - begin[-1])
        more.append(max(-cut, 0))
    settings: dict[str, Any] = {"output_padding": more} if any(more) else {}
    if max(dilations) > 1:
        settings["dilations"] = dilations
    name = w.op(
        "ConvTranspose", *inputs, *_bias(w, layer), pads=begin + end,
        kernel_shape=[int(n) for n in layer.kernel_size],
        strides=[int(n) for n in layer.strides], **settings,
    )  # fmt: skip
    return _finished(w, layer, x, name)


def _by_channel(w: Writer, layer: Any, x: Value, kernel: Any, bias: list[str]) -> str:
    """Return a convolution of each channel by itself, channels first."""

    def turned(array: np.ndarray) -> np.ndarray:
        each = np.moveaxis(array, (-2, -1), (0, 1))  # (channels, multiplier, ...)
        return each.reshape(-1, 1, *each.shape[2:])

    taps = w.weight(kernel, turned, "depthwise_kernel")
    settings = windows(layer, layer.kernel_size)
    group = int(kernel.shape[-2])
    return str(w.op("Conv", channels_first(w, layer, x), taps, *bias, group=group, **settings))


@writes("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    return _finished(w, layer, x, _by_channel(w, layer, x, layer.kernel, _bias(w, layer)))


@writes("SeparableConv1D", "SeparableConv2D")
def _separable(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    name = _by_channel(w, layer, x, layer.depthwise_kernel, [])
    kernel = w.weight(layer.pointwise_kernel, filters_first, "pointwise_kernel")
    return _finished(w, layer, x, w.op("Conv", name, kernel, *_bias(w, layer)))


def filters_first(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel (..., a, b) as (b, a, ...)."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _bias(w: Writer, layer: Any) -> list[str]:
    return [w.weight(layer.bias, wish="bias")] if layer.use_bias else []


def _finished(w: Writer, layer: Any, x: Value, name: str) -> Value:
    name = channels_back(w, layer, name, len(x.shape))
    return activated(w, Value(name, _after(layer, x), x.dtype), layer.activation)


@writes(
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
)  # fmt: skip
def _pooling(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    kind = "MaxPool" if type(layer).__name__.startswith("Max") else "AveragePool"
    name = channels_first(w, layer, x)
    name = w.op(kind, name, **windows(layer, layer.pool_size))
    name = channels_back(w, layer, name, len(x.shape))
    return Value(name, _after(layer, x), x.dtype)


# --- edges, and larger images -------------------------------------------------------------------


def _places(layer: Any) -> int:
    """Return the first axis of places."""
    return 2 if getattr(layer, "data_format", None) == "channels_first" else 1


def _pairs(sides: Any) -> list[tuple[int, int]]:
    """Return what stands in front of and behind each axis of places."""
    pairs = sides if isinstance(sides[0], list | tuple) else [sides]
    return [(int(before), int(after)) for before, after in pairs]


@writes("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def _padding(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    rank, first = len(x.shape), _places(layer)
    pads = [0] * (2 * rank)
    for axis, (before, after) in enumerate(_pairs(layer.padding), first):
        pads[axis], pads[axis + rank] = before, after
    name = w.op("Pad", x.name, w.ints(*pads), w.number(0.0, x.dtype))
    return Value(name, _after(layer, x), x.dtype)


@writes("Cropping1D", "Cropping2D", "Cropping3D")
def _cropping(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    pairs = _pairs(layer.cropping)
    axes = w.ints(*range(_places(layer), _places(layer) + len(pairs)))
    starts, ends = zip(*((before, -after if after else _END) for before, after in pairs),
                       strict=True)  # fmt: skip
    name = w.op("Slice", x.name, w.ints(*starts), w.ints(*ends), axes)
    return Value(name, _after(layer, x), x.dtype)


@writes("UpSampling1D", "UpSampling2D", "UpSampling3D")
def _up_sampling(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    settings: dict[str, Any] = {
        "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor",
    }  # fmt: skip
    if getattr(layer, "interpolation", "nearest") != "nearest":
        settings = {"coordinate_transformation_mode": "half_pixel", "mode": "linear"}
    if x.dtype != "float32":
        raise NotInONNXError(f"it computes in {x.dtype}; runtimes resize float32 only.")
    first = layer.data_format == "channels_first"
    scales = w.constant(np.array([1, 1, *layer.sizes], np.float32), "scales")
    # Runtimes resize the last axes.
    name = w.op("Resize", channels_first(w, layer, x), "", scales, **settings)
    name = name if first else channels_back(w, layer, name, len(x.shape))
    return Value(name, _after(layer, x), x.dtype)
