"""Layers as parts: what `to_layers` does, the other way round."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnn_engine import activations, layers
from rnn_engine.saving.chains import chain_of
from rnn_engine.saving.pytorch.part import ACTIVATIONS, ALONG_AXIS, Part
from rnn_engine.saving.pytorch.to_layers import CELL_CLASSES, thirds

_KINDS: dict[type, str] = {cls: kind for kind, cls in CELL_CLASSES.items()}
_OF_KERAS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (kind, {}) for kind, name in ACTIVATIONS.items()},
    **{name: (kind, {"dim": -1}) for kind, name in ALONG_AXIS.items()},
    "elu": ("ELU", {"alpha": 1.0}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),
}


def refused(layer: Any, reason: str) -> ValueError:
    """Return the error for a layer that PyTorch does not have."""
    return ValueError(
        f"to_torch: layer {layer.name!r} ({type(layer).__name__}) cannot be a module of PyTorch: "
        f"{reason}"
    )


def parts_of_model(model: Any) -> list[Part]:
    """Return the parts of a model whose layers follow each other.

    Raises
    ------
    ValueError
        If the model is not built, or holds what PyTorch's modules cannot do.
    """
    if not model.built:
        raise ValueError(
            "to_torch needs a model that has been built: call it on some data, or build()."
        )
    parts = [part for layer in chain_of(model, "to_torch") for part in _parts(layer)]
    names = [part.name for part in parts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"to_torch: several layers would be modules of the names {twice}.")
    return parts


def _parts(layer: Any) -> Iterator[Part]:
    """Yield the parts of one layer."""
    if getattr(layer, "_policy", None):
        raise refused(layer, f"it computes in {layer._policy}; make the model in float32.")
    if isinstance(layer, layers.InputLayer):
        return
    if type(layer) is layers.TimeDistributed:
        inner = layer.layer
        if type(inner) not in (layers.Dense, layers.Activation, layers.Dropout):
            raise refused(layer, f"TimeDistributed of a {type(inner).__name__}.")
        for part in _parts(inner):
            part.name = part.name.replace(inner.name, layer.name)
            yield part
        return
    if type(layer) not in _BUILDERS:
        raise refused(layer, "there is none that does the same.")
    yield from _BUILDERS[type(layer)](layer)


def _activation(activation: Any, layer: Any, name: str) -> Iterator[Part]:
    """Yield the part of an activation, none for a linear one."""
    told = activations.serialize(activation)
    if told in (None, "linear"):
        return
    if not isinstance(told, str) or told not in _OF_KERAS:
        raise refused(layer, f"its activation {told!r} is no module of torch.nn.")
    kind, settings = _OF_KERAS[told]
    yield Part(kind, name, dict(settings), how="plain")


def _dense(layer: Any) -> Iterator[Part]:
    arrays = {"weight": layer.kernel.value.T}
    if layer.use_bias:
        arrays["bias"] = layer.bias.value
    yield Part("Linear", layer.name, {}, arrays, "plain")
    yield from _activation(layer.activation, layer, f"{layer.name}_activation")


def _embedding(layer: Any) -> Iterator[Part]:
    if layer.mask_zero:
        raise refused(
            layer,
            "mask_zero=True makes a mask, and PyTorch's modules know none; they take lengths, as a "
            "packed sequence.",
        )
    yield Part("Embedding", layer.name, {}, {"weight": layer.embeddings.value}, "plain")


def _layer_norm(layer: Any) -> Iterator[Part]:
    axis = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    axes = len(layer.build_shape)
    if [a % axes for a in axis] != [axes - 1]:
        raise refused(layer, f"it normalizes the axes {list(axis)}; LayerNorm does the last ones.")
    settings = {"eps": layer.epsilon}
    yield Part("LayerNorm", layer.name, settings, _scale_and_shift(layer), "plain")


def _scale_and_shift(layer: Any) -> dict[str, np.ndarray]:
    """Return gamma and beta under PyTorch's names, ones and zeros where there is none."""
    size = layer.build_shape[-1]
    return {
        "weight": layer.gamma.value if layer.scale else np.ones(size, layer.dtype),
        "bias": layer.beta.value if layer.center else np.zeros(size, layer.dtype),
    }


def _batch_norm(layer: Any) -> Iterator[Part]:
    axes = len(layer.build_shape)
    if axes not in (2, 3) or layer.axis % axes != axes - 1:
        raise refused(
            layer, f"it normalizes axis {layer.axis} of {axes}; here it must be the last of 2 or 3."
        )
    arrays = _scale_and_shift(layer) | {
        "running_mean": layer.moving_mean.value,
        "running_var": layer.moving_variance.value,
        "num_batches_tracked": np.zeros((), np.int64),
    }
    settings = {"eps": layer.epsilon, "momentum": 1 - layer.momentum}
    how = "channels" if axes == 3 else "plain"
    yield Part("BatchNorm1d", layer.name, settings, arrays, how)


def _conv(layer: Any) -> Iterator[Part]:
    if layer.data_format != "channels_last":
        raise refused(layer, "data_format='channels_first'; make it with 'channels_last'.")
    stride, dilation = layer.strides[0], layer.dilation_rate[0]
    if layer.padding == "same" and stride > 1:
        raise refused(layer, "padding='same' with strides, which Conv1d does not pad.")
    around = (layer.kernel_size[0] - 1) * dilation
    before = {"causal": around, "same": around // 2, "valid": 0}[layer.padding]
    after = around - before if layer.padding == "same" else 0
    if before != after:  # which Conv1d itself cannot
        padding = {"padding": (before, after), "value": 0.0}
        yield Part("ConstantPad1d", f"{layer.name}_pad", padding, how="channels")
        before = 0
    settings = {"stride": stride, "padding": before, "dilation": dilation, "groups": layer.groups}
    arrays = {"weight": layer.kernel.value.transpose(2, 1, 0)}
    if layer.use_bias:
        arrays["bias"] = layer.bias.value
    yield Part("Conv1d", layer.name, settings, arrays, "channels")
    yield from _activation(layer.activation, layer, f"{layer.name}_activation")


def _pad(layer: Any) -> Iterator[Part]:
    settings = {"padding": tuple(layer.padding), "value": 0.0}
    yield Part("ConstantPad1d", layer.name, settings, how="channels")


def _permute(layer: Any) -> Iterator[Part]:
    if tuple(layer.dims) != (2, 1):
        raise refused(layer, f"it permutes to {tuple(layer.dims)}; only (2, 1) is known.")
    yield Part("Identity", layer.name, how="turn")


def _prelu(layer: Any) -> Iterator[Part]:
    alpha = layer.alpha.value
    if alpha.size != alpha.shape[-1] or alpha.ndim > 2:
        raise refused(layer, f"slopes of shape {alpha.shape}; PReLU has one for a channel.")
    how = "channels" if alpha.ndim == 2 and alpha.size > 1 else "plain"
    yield Part("PReLU", layer.name, {}, {"weight": alpha.reshape(-1)}, how)


def _relu(layer: Any) -> Iterator[Part]:
    told = layer.max_value, layer.threshold
    if told == (None, 0):
        if layer.negative_slope:
            slope = {"negative_slope": float(layer.negative_slope)}
            yield Part("LeakyReLU", layer.name, slope, how="plain")
        else:
            yield Part("ReLU", layer.name, how="plain")
    elif told == (6, 0) and not layer.negative_slope:
        yield Part("ReLU6", layer.name, how="plain")
    else:
        raise refused(layer, "max_value and threshold, which no module of torch.nn has.")


def _softmax(layer: Any) -> Iterator[Part]:
    if not isinstance(layer.axis, int):
        raise refused(layer, f"it runs along the axes {layer.axis} together.")
    yield Part("Softmax", layer.name, {"dim": layer.axis}, how="plain")


def _flatten(layer: Any) -> Iterator[Part]:
    if getattr(layer, "data_format", None) == "channels_first":
        raise refused(layer, "data_format='channels_first'; make it with 'channels_last'.")
    yield Part("Flatten", layer.name, how="plain")


def _rnn(layer: Any) -> Iterator[Part]:
    """Yield the parts of a `RNN` over cells, one for each of them."""
    cells = list(getattr(layer.cell, "cells", [layer.cell]))
    for i, cell in enumerate(cells):
        name = layer.name if len(cells) == 1 else f"{layer.name}_{i}"
        sequences = layer.return_sequences or i < len(cells) - 1
        yield _recurrent(layer, [cell], name, sequences)


def _one_way(layer: Any) -> Iterator[Part]:
    yield _recurrent(layer, [layer.cell], layer.name, layer.return_sequences)


def _both_ways(layer: Any) -> Iterator[Part]:
    if layer.merge_mode != "concat":
        raise refused(
            layer, f"merge_mode={layer.merge_mode!r}; PyTorch puts both directions side by side."
        )
    ways = [layer.forward_layer, layer.backward_layer]
    if ways[0].go_backwards:
        raise refused(layer, "its forward layer goes backwards.")
    for way in ways:
        _check_recurrent(way, backwards=way is ways[1])
    cells = [way.cell for way in ways]
    told = [(_KINDS.get(type(c)), c.get_config()) for c in cells]
    keys = ("units", "activation", "use_bias")
    if len({(kind, *(str(config.get(k)) for k in keys)) for kind, config in told}) > 1:
        raise refused(layer, "its directions are of different kinds; PyTorch has one for both.")
    yield _recurrent(layer, cells, layer.name, layer.return_sequences)


def _check_recurrent(layer: Any, backwards: bool = False) -> None:
    for setting in ("return_state", "stateful"):
        if getattr(layer, setting, False):
            raise refused(layer, f"{setting}=True; PyTorch's modules are handed states.")
    if layer.go_backwards and not backwards:
        raise refused(layer, "go_backwards=True; PyTorch goes backwards only beside forwards.")


def _recurrent(layer: Any, cells: list[Any], name: str, sequences: bool) -> Part:
    """Return the part of a cell over the steps, or of one for each direction."""
    if len(cells) == 1:
        _check_recurrent(layer)
    arrays: dict[str, np.ndarray] = {}
    kind, settings = "", {"num_layers": 1, "bidirectional": len(cells) == 2}
    for cell, suffix in zip(cells, ("_l0", "_l0_reverse"), strict=False):
        if type(cell) not in _KINDS:
            raise refused(layer, f"PyTorch has no {type(cell).__name__}.")
        kind = _KINDS[type(cell)]
        settings |= _settings_of_cell(layer, cell, kind)
        arrays |= {f"{key}{suffix}": value for key, value in _arrays_of_cell(cell, kind).items()}
    return Part(kind, name, settings, arrays, "sequences" if sequences else "last")


def _settings_of_cell(layer: Any, cell: Any, kind: str) -> dict[str, Any]:
    """Return the settings of a cell; raise if PyTorch has none such."""
    for setting in ("dropout", "recurrent_dropout"):
        if getattr(cell, setting):
            raise refused(
                layer, f"{setting}={getattr(cell, setting)} drops the same units at each step."
            )
    activation = activations.serialize(cell.activation)
    if kind == "RNN":
        if activation not in ("tanh", "relu"):
            raise refused(layer, f"activation={activation!r}; torch.nn.RNN has tanh and relu.")
        return {"nonlinearity": activation}
    gates = activations.serialize(cell.recurrent_activation)
    if (activation, gates) != ("tanh", "sigmoid"):
        raise refused(
            layer,
            f"activation={activation!r} and recurrent_activation={gates!r}; torch.nn.{kind} has "
            f"tanh and sigmoid.",
        )
    if kind == "GRU" and not cell.reset_after:
        raise refused(
            layer,
            "reset_after=False resets the state before it is multiplied; torch.nn.GRU resets the "
            "product.",
        )
    return {}


def _arrays_of_cell(cell: Any, kind: str) -> dict[str, np.ndarray]:
    """Return the arrays of one direction, with PyTorch's order of gates and its two biases."""
    arrays = {"weight_ih": cell.kernel.value.T, "weight_hh": cell.recurrent_kernel.value.T}
    if cell.use_bias:
        bias = cell.bias.value
        both = bias if kind == "GRU" else (bias, np.zeros_like(bias))
        arrays |= {"bias_ih": both[0], "bias_hh": both[1]}
    if kind == "GRU":
        arrays = {name: thirds(array) for name, array in arrays.items()}
    return arrays


_BUILDERS: dict[type, Callable[[Any], Iterator[Part]]] = {
    layers.Dense: _dense,
    layers.Embedding: _embedding,
    layers.SimpleRNN: _one_way,
    layers.GRU: _one_way,
    layers.LSTM: _one_way,
    layers.RNN: _rnn,
    layers.Bidirectional: _both_ways,
    layers.LayerNormalization: _layer_norm,
    layers.BatchNormalization: _batch_norm,
    layers.Conv1D: _conv,
    layers.ZeroPadding1D: _pad,
    layers.Permute: _permute,
    layers.Flatten: _flatten,
    layers.PReLU: _prelu,
    layers.ReLU: _relu,
    layers.Softmax: _softmax,
    layers.Identity: lambda layer: iter([Part("Identity", layer.name, how="plain")]),
    layers.Activation: lambda layer: _activation(layer.activation, layer, layer.name),
    layers.Dropout: lambda layer: iter(
        [Part("Dropout", layer.name, {"p": layer.rate}, how="plain")]
    ),
    layers.SpatialDropout1D: lambda layer: iter(
        [Part("Dropout1d", layer.name, {"p": layer.rate}, how="channels")]
    ),
    layers.ELU: lambda layer: iter(
        [Part("ELU", layer.name, {"alpha": float(layer.alpha)}, how="plain")]
    ),
    layers.LeakyReLU: lambda layer: iter(
        [
            Part(
                "LeakyReLU",
                layer.name,
                {"negative_slope": float(layer.negative_slope)},
                {},
                "plain",
            )
        ]
    ),
}
