"""RTNeural's JSON: models for real-time audio, which its C++ library reads.

``{"in_shape": [null, null, 1], "layers": [{"type", "activation", "shape", "weights"}, ...]}``
as RTNeural's exporter for Keras writes it and its ``model_loader.h`` reads it: weights are
nested lists in Keras's order of axes and gates, convolutions have ``kernel_size`` and
``dilation`` beside them, batch normalizations ``epsilon``.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine import activations, layers
from rnn_engine.saving.atomic import replacing
from rnn_engine.saving.chains import chain_of

_ACTIVATIONS = ("tanh", "relu", "sigmoid", "softmax", "elu")
Entry = dict[str, Any]
Shape = tuple[Any, ...]


def to_rtneural(model: Any, filepath: Any) -> None:
    """Write a model into a JSON file that RTNeural reads (``RTNeural::json_parser``).

    Parameters
    ----------
    model : Sequential or Functional
        Built, of layers that follow each other: `Dense`, also in `TimeDistributed`, `GRU`,
        `LSTM`, causal `Conv1D`, `PReLU`, `BatchNormalization`, and the activations ``tanh``,
        ``relu``, ``sigmoid``, ``softmax`` and ``elu``. What only training does (`Dropout` and
        its like) is left out.
    filepath : str or path
        Replaced at once when the new file is whole.

    Raises
    ------
    ValueError
        If RTNeural has no such layer or setting, with the reason, or a weight is not finite. No
        file has been touched then.
    OSError
        If the file cannot be written.

    Notes
    -----
    RTNeural takes one step at a time and keeps the states of recurrent layers, so that it gives
    an output at every step; at the last one it is that of a layer without `return_sequences`.

    Examples
    --------
    >>> import json, tempfile
    >>> from rnn_engine import Sequential
    >>> model = Sequential([layers.Input((None, 1)), layers.GRU(8, return_sequences=True),
    ...                     layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_rtneural(model, f"{folder}/model.json")
    ...     with open(f"{folder}/model.json") as file:
    ...         found = json.load(file)
    >>> found["in_shape"], [layer["type"] for layer in found["layers"]]
    ([None, None, 1], ['gru', 'dense'])
    """
    if not model.built:
        raise ValueError("to_rtneural needs a model that has been built: call it on some data.")
    entries, shape = [], model.input_shape
    for layer in chain_of(model, "to_rtneural"):
        shape = tuple(layer.compute_output_shape(shape))
        entries += _entries(layer, shape)
    if not entries:
        raise ValueError("to_rtneural: there is no layer in the model that RTNeural would run.")
    content = {"in_shape": list(model.input_shape), "layers": entries}
    text = json.dumps(content, indent=4, allow_nan=False)
    with replacing(os.fspath(filepath)) as file:
        file.write(text.encode())


def _refused(layer: Any, reason: str) -> ValueError:
    return ValueError(
        f"to_rtneural: layer {layer.name!r} ({type(layer).__name__}) cannot be one of RTNeural's: "
        f"{reason}"
    )


def _entries(layer: Any, shape: Shape) -> list[Entry]:
    """Return what the file has for a layer with outputs of a shape: one entry, or none."""
    if isinstance(layer, _LEFT_OUT):
        return []
    build = _BUILDERS.get(type(layer))
    if build is None:
        known = ", ".join(sorted(cls.__name__ for cls in _BUILDERS))
        raise _refused(layer, f"it has none that does the same. Known: {known}.")
    if len(shape) not in (2, 3):
        raise _refused(layer, f"its output has {len(shape)} axes, batch included.")
    entry = {"type": "", "activation": "", "shape": list(shape), **build(layer, shape)}
    for weight in entry["weights"]:
        if not np.isfinite(weight).all():
            raise _refused(layer, "its weights are not all finite, which JSON cannot hold.")
    entry["weights"] = [np.asarray(weight).tolist() for weight in entry["weights"]]
    return [entry]


def _entry(kind: str, weights: list[Any], activation: str = "", **more: Any) -> Entry:
    return {"type": kind, "activation": activation, **more, "weights": weights}


def _activation(layer: Any, activation: Any) -> str:
    name = activations.serialize(activation)
    if name in (None, "linear"):
        return ""
    if name not in _ACTIVATIONS:
        raise _refused(
            layer, f"the activation {name!r} is none of its own, {', '.join(_ACTIVATIONS)}."
        )
    return str(name)


def _bias(layer: Any) -> np.ndarray:
    """Return the bias, zeros where the layer has none: RTNeural always adds one."""
    if layer.use_bias:
        return np.asarray(layer.bias.value)
    return np.zeros(layer.kernel.shape[-1], layer.dtype)


def _dense(layer: Any, shape: Shape) -> Entry:
    weights = [layer.kernel.value, _bias(layer)]
    return _entry("dense", weights, _activation(layer, layer.activation))


def _time_distributed(layer: Any, shape: Shape) -> Entry:
    inner = layer.layer
    if type(inner) is not layers.Dense:
        raise _refused(layer, f"TimeDistributed of a {type(inner).__name__}; it knows Dense.")
    weights = [inner.kernel.value, _bias(inner)]
    activation = _activation(layer, inner.activation)
    return _entry("time-distributed-dense", weights, activation)


def _check_recurrent(layer: Any) -> None:
    cell = layer.cell
    told = activations.serialize(cell.activation), activations.serialize(cell.recurrent_activation)
    if told != ("tanh", "sigmoid"):
        raise _refused(layer, f"activations {told}; it has tanh and sigmoid.")
    for setting, reason in (
        ("go_backwards", "it takes one step after the other"),
        ("return_state", "it keeps states to itself"),
    ):
        if getattr(layer, setting):
            raise _refused(layer, f"{setting}=True; {reason}.")


def _gru(layer: Any, shape: Shape) -> Entry:
    _check_recurrent(layer)
    cell = layer.cell
    if not cell.reset_after:
        raise _refused(
            layer, "reset_after=False resets the state before it is multiplied; it does so after."
        )
    columns = cell.kernel.shape[-1]
    bias = cell.bias.value if cell.use_bias else np.zeros((2, columns), layer.dtype)
    return _entry("gru", [cell.kernel.value, cell.recurrent_kernel.value, bias])


def _lstm(layer: Any, shape: Shape) -> Entry:
    _check_recurrent(layer)
    cell = layer.cell
    return _entry("lstm", [cell.kernel.value, cell.recurrent_kernel.value, _bias(cell)])


def _conv(layer: Any, shape: Shape) -> Entry:
    if layer.padding != "causal" and layer.kernel_size != (1,):
        raise _refused(layer, f"padding={layer.padding!r}; it knows no step to come: 'causal'.")
    for setting, plain in (("strides", (1,)), ("groups", 1), ("data_format", "channels_last")):
        if getattr(layer, setting) != plain:
            raise _refused(layer, f"{setting}={getattr(layer, setting)!r}; it has {plain!r}.")
    return _entry(
        "conv1d",
        [layer.kernel.value, _bias(layer)],
        _activation(layer, layer.activation),
        kernel_size=list(layer.kernel_size),
        dilation=list(layer.dilation_rate),
    )


def _prelu(layer: Any, shape: Shape) -> Entry:
    alpha = layer.alpha.value
    size = shape[-1]
    if alpha.size not in (1, size) or (alpha.ndim > 1 and alpha.shape[0] != 1):
        raise _refused(
            layer, f"slopes of shape {alpha.shape}; it has one for each of {size} features."
        )
    return _entry("prelu", [np.broadcast_to(alpha.reshape(1, -1), (1, size))])


def _batch_norm(layer: Any, shape: Shape) -> Entry:
    axes = len(shape)
    if layer.axis % axes != axes - 1:
        raise _refused(layer, f"it normalizes axis {layer.axis}; it does so with the last.")
    mean, variance = layer.moving_mean.value, layer.moving_variance.value
    weights = [mean, variance]
    if layer.scale or layer.center:
        gamma = layer.gamma.value if layer.scale else np.ones_like(mean)
        beta = layer.beta.value if layer.center else np.zeros_like(mean)
        weights = [gamma, beta, *weights]
    return _entry("batchnorm", weights, epsilon=float(layer.epsilon))


def _of_activation(layer: Any, shape: Shape) -> Entry:
    name = _activation(layer, layer.activation)
    if not name:
        raise _refused(layer, "a linear activation does nothing; leave it out.")
    return _entry("activation", [], name)


def _relu(layer: Any, shape: Shape) -> Entry:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise _refused(layer, "max_value, negative_slope or threshold; its relu has none.")
    return _entry("activation", [], "relu")


def _elu(layer: Any, shape: Shape) -> Entry:
    if layer.alpha != 1:
        raise _refused(layer, f"alpha={layer.alpha}; that of a file is 1.")
    return _entry("activation", [], "elu")


def _softmax(layer: Any, shape: Shape) -> Entry:
    if layer.axis not in (-1, len(shape) - 1):
        raise _refused(layer, f"axis={layer.axis}; it runs along the features.")
    return _entry("activation", [], "softmax")


_LEFT_OUT = (
    layers.InputLayer, layers.Dropout, layers.SpatialDropout1D, layers.GaussianDropout,
    layers.GaussianNoise, layers.AlphaDropout, layers.ActivityRegularization, layers.Identity,
)  # fmt: skip

_BUILDERS: dict[type, Callable[[Any, Shape], Entry]] = {
    layers.Dense: _dense,
    layers.TimeDistributed: _time_distributed,
    layers.GRU: _gru,
    layers.LSTM: _lstm,
    layers.Conv1D: _conv,
    layers.PReLU: _prelu,
    layers.BatchNormalization: _batch_norm,
    layers.Activation: _of_activation,
    layers.ReLU: _relu,
    layers.ELU: _elu,
    layers.Softmax: _softmax,
}
