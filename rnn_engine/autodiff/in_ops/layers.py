"""The layers in ops: each a function of the layer and its call."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.autodiff.in_ops.activations import activated
from rnn_engine.graph.inside import with_inner

ops: Any = importlib.import_module("rnn_engine.ops")


@dataclass
class Call:
    """A call of a layer: its other arguments, and what its own way back gives.

    Attributes
    ----------
    training : bool
    mask : array, or a nest of them, or None
    options : dict
        Tensors among them as they are recorded.
    value : array
        What the layer returned.
    slope : callable
        From a gradient by the output to that by the input, by hand.
    """

    training: bool
    mask: Any
    options: dict[str, Any]
    value: Any
    slope: Callable[[Any], Any]


TABLE: dict[str, Callable[[Any, Any, Call], Any]] = {}


def formula(*names: str) -> Callable[[Any], Any]:
    """Enter a function ``(layer, x, call) -> y`` for layers of these names."""

    def enter(function: Any) -> Any:
        TABLE.update(dict.fromkeys(names, function))
        return function

    return enter


def called(layer: Any, cls: Any, x: Any, call: Call) -> Any:
    """Return what a layer makes of its input, in ops.

    Raises
    ------
    NotImplementedError
        If it is not written in ops, or not with these settings.
    """
    if hasattr(cls, "forward_by_layers"):
        if call.training and any(
            getattr(inner, "_generator", None) for inner in with_inner([layer])
        ):
            raise refusal(layer, "a model that draws random numbers, below one tape alone, is not")
        return layer.forward_by_layers(x, call.training, call.mask)
    if cls.__name__ not in TABLE:
        raise refusal(layer, "it is not among them")
    return TABLE[cls.__name__](layer, x, call)


def refusal(layer: Any, why: str) -> NotImplementedError:
    """Return the error of a layer through which there is no gradient of a gradient."""
    return NotImplementedError(
        f"A gradient of a gradient goes through layers that are written in ops, too; layer "
        f"{layer.name!r} of type {type(layer).__name__}: {why}. Write that part in ops, or take "
        f"the inner gradient out of the outer tape (`with outer.stop_recording()`)."
    )


# --- one factor an element, which the layer's own way back tells ------------------------------


@formula(
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
    "Identity", "Masking", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
)  # fmt: skip
def _by_element(layer: Any, x: Any, call: Call) -> Any:
    factor = np.asarray(call.slope(np.ones_like(call.value)))
    return call.value + (x - ops.stop_gradient(x)) * factor


# --- weights ----------------------------------------------------------------------------------


@formula("Dense")
def _dense(layer: Any, x: Any, call: Call) -> Any:
    y = ops.matmul(x, layer.kernel)
    return activated(layer.activation, y + layer.bias if layer.use_bias else y)


@formula("Embedding")
def _embedding(layer: Any, x: Any, call: Call) -> Any:
    return ops.take(layer.embeddings, np.asarray(x).astype("int64"), axis=0)


@formula("Conv1D", "Conv2D")
def _conv(layer: Any, x: Any, call: Call) -> Any:
    if layer.groups != 1 or layer.data_format != "channels_last":
        raise refusal(layer, "groups and channels_first are not")
    rank = len(layer.kernel_size)
    sizes, strides, dilation = layer.kernel_size, layer.strides, layer.dilation_rate
    x = _padded(x, sizes, strides, dilation, layer.padding, 0.0)
    counts = [
        (x.shape[1 + i] - dilation[i] * (sizes[i] - 1) - 1) // strides[i] + 1 for i in range(rank)
    ]
    y: Any = None
    for place in np.ndindex(*sizes):
        window = tuple(
            slice(p * d, p * d + s * (n - 1) + 1, s)
            for p, d, s, n in zip(place, dilation, strides, counts, strict=True)
        )
        part = ops.matmul(x[(slice(None), *window)], ops.get_item(layer.kernel, place))
        y = part if y is None else y + part
    return activated(layer.activation, y + layer.bias if layer.use_bias else y)


def _padded(x: Any, sizes: Any, strides: Any, dilation: Any, padding: str, value: float) -> Any:
    """Return x with the ends that windows of these sizes need."""
    if padding == "valid":
        return x
    ends = []
    for i, size in enumerate(sizes):
        reach = dilation[i] * (size - 1)
        if padding == "causal":
            ends.append((reach, 0))
            continue
        steps = -(-x.shape[1 + i] // strides[i])
        whole = max((steps - 1) * strides[i] + reach + 1 - x.shape[1 + i], 0)
        ends.append((whole // 2, whole - whole // 2))
    return ops.pad(x, [(0, 0), *ends, (0, 0)], constant_values=value)


@formula("PReLU")
def _prelu(layer: Any, x: Any, call: Call) -> Any:
    return ops.where(ops.greater(x, 0), x, layer.alpha * x)


@formula("Activation", "ReLU", "LeakyReLU", "ELU")
def _activation(layer: Any, x: Any, call: Call) -> Any:
    return activated(layer.activation, x)


@formula("Softmax")
def _softmax(layer: Any, x: Any, call: Call) -> Any:
    if call.mask is not None:
        raise refusal(layer, "a mask is not")
    return activated(layer.activation, x)


@formula("LayerNormalization")
def _layer_norm(layer: Any, x: Any, call: Call) -> Any:
    axes = layer._axes(len(x.shape))
    mean = ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(x - mean), axis=axes, keepdims=True)
    return _affine(layer, (x - mean) * ops.rsqrt(variance + layer.epsilon), axes)


@formula("BatchNormalization")
def _batch_norm(layer: Any, x: Any, call: Call) -> Any:
    axis = layer.axis % len(x.shape)
    others = tuple(i for i in range(len(x.shape)) if i != axis)
    shape = [1] * len(x.shape)
    shape[axis] = x.shape[axis]
    if call.training and layer.trainable:
        if call.mask is not None:
            raise refusal(layer, "statistics with a mask are not")
        mean = ops.mean(x, axis=others, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=others, keepdims=True)
    else:
        mean = layer.moving_mean.value.reshape(shape)
        variance = layer.moving_variance.value.reshape(shape)
    return _affine(layer, (x - mean) * ops.rsqrt(variance + layer.epsilon), (axis,))


def _affine(layer: Any, y: Any, axes: Any) -> Any:
    shape = [y.shape[i] if i in axes else 1 for i in range(len(y.shape))]
    if layer.scale:
        y = y * ops.reshape(layer.gamma, shape)
    return y + ops.reshape(layer.beta, shape) if layer.center else y


# --- shapes and merges ------------------------------------------------------------------------


@formula("Flatten", "Reshape")
def _reshape(layer: Any, x: Any, call: Call) -> Any:
    return ops.reshape(x, np.shape(call.value))


@formula("Permute")
def _permute(layer: Any, x: Any, call: Call) -> Any:
    return ops.transpose(x, (0, *layer.dims))


@formula("RepeatVector")
def _repeat(layer: Any, x: Any, call: Call) -> Any:
    return ops.repeat(ops.expand_dims(x, 1), layer.n, axis=1)


@formula("Add")
def _add(layer: Any, x: Any, call: Call) -> Any:
    total = x[0]
    for part in x[1:]:
        total = total + part
    return total


@formula("Average")
def _average(layer: Any, x: Any, call: Call) -> Any:
    return _add(layer, x, call) / len(x)


@formula("Subtract")
def _subtract(layer: Any, x: Any, call: Call) -> Any:
    return x[0] - x[1]


@formula("Multiply")
def _multiply(layer: Any, x: Any, call: Call) -> Any:
    product = x[0]
    for part in x[1:]:
        product = product * part
    return product


@formula("Concatenate")
def _concatenate(layer: Any, x: Any, call: Call) -> Any:
    return ops.concatenate(x, axis=layer.axis)


# --- pooling ----------------------------------------------------------------------------------


@formula("GlobalAveragePooling1D")
def _mean_over_time(layer: Any, x: Any, call: Call) -> Any:
    _channels_last(layer)
    if call.mask is None:
        return ops.mean(x, axis=1, keepdims=layer.keepdims)
    weights = np.asarray(call.mask).astype(x.dtype)[..., None]
    count = np.sum(weights, axis=1, keepdims=layer.keepdims)
    return ops.sum(x * weights, axis=1, keepdims=layer.keepdims) / count


@formula("GlobalMaxPooling1D")
def _max_over_time(layer: Any, x: Any, call: Call) -> Any:
    _channels_last(layer)
    return ops.max(x, axis=1, keepdims=layer.keepdims)


@formula("AveragePooling1D")
def _average_pooling(layer: Any, x: Any, call: Call) -> Any:
    if layer.padding != "valid":
        raise refusal(layer, "only padding='valid' is")
    return ops.mean(_windows(layer, x, 0.0), axis=2)


@formula("MaxPooling1D")
def _max_pooling(layer: Any, x: Any, call: Call) -> Any:
    return ops.max(_windows(layer, x, -np.inf), axis=2)


def _windows(layer: Any, x: Any, value: float) -> Any:
    """Return windows (batch, steps, places, features) of a sequence."""
    _channels_last(layer)
    size, stride = layer.pool_size[0], layer.strides[0]
    x = _padded(x, (size,), (stride,), (1,), layer.padding, value)
    count = (x.shape[1] - size) // stride + 1
    places = np.arange(count)[:, None] * stride + np.arange(size)
    return ops.take(x, places, axis=1)


def _channels_last(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise refusal(layer, "channels_first is not")


# --- layers around layers ---------------------------------------------------------------------


@formula("TimeDistributed")
def _time_distributed(layer: Any, x: Any, call: Call) -> Any:
    inner = layer.layer
    if call.mask is not None:
        raise refusal(layer, "a mask is not")
    parts = [inner(x[:, t], training=call.training) for t in range(x.shape[1])]
    return ops.stack(parts, axis=1)
