"""What each layer of a model becomes: a row of operations on the rows of a sequence.

A layer that cannot be expressed is refused here, by its name and the reason, before anything is
compiled or written.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn_engine import activations, layers
from rnn_engine.activations.base import BoundActivation
from rnn_engine.functional import Functional
from rnn_engine.kernels import dense
from rnn_engine.kernels.formulas import CODES
from rnn_engine.layers.base import Layer
from rnn_engine.layers.cell_rnn import CellRNN
from rnn_engine.layers.convolving import Axis, Convolution
from rnn_engine.sequential import Sequential

_FLOAT = np.dtype(np.float32)


@dataclass
class Operation:
    """One operation: what it is, its sizes, its numbers.

    Attributes
    ----------
    kind : the function of the C code
    size : numbers of a row that comes out
    sizes : whole numbers and floats
    arrays : weights, as they lie in memory
    codes : activations of the kernels' table
    inputs : the values that it takes: 0 is the model's input, 1 what the first operation makes
    is_behind : whether it sees the last row only
    """

    kind: str
    size: int
    sizes: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    codes: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    is_behind: bool = False


@dataclass(frozen=True)
class Value:
    """What an operation makes: its number, the numbers of a row, whether there is one a step."""

    index: int
    size: int
    has_time: bool


class CannotExport(ValueError):
    """A layer, or the model, that cannot be expressed in C."""


def _refuse(layer: Any, reason: str) -> CannotExport:
    return CannotExport(
        f"Layer {layer.name!r} ({type(layer).__name__}) cannot be exported to C: {reason}"
    )


class Program:
    """A model as operations.

    Attributes
    ----------
    input, output : Value
    operations : in their order
    last : Value or None
        That of the recurrent layer behind which only the last row goes on.
    described : a line for each layer
    """

    def __init__(self, features: int) -> None:
        self.input = self.output = Value(0, features, True)
        self.operations: list[Operation] = []
        self.last: Value | None = None
        self.described: list[str] = []

    def add_layers(self, model: Any, value: Value) -> Value:
        """Add the layers of a `Sequential`; return what comes out."""
        for layer in _flat(model):
            value = self.add_layer(layer, [value])
        return value

    def add_graph(self, model: Any) -> Value:
        """Add the layers of a graph; return what comes out."""
        values = {id(model.inputs[0]): self.input}
        for node in model.layout.nodes:
            layer = node.operation
            if node.is_input:
                continue
            if not isinstance(layer, Layer):
                raise _refuse(layer, "it is an operation between tensors and no layer.")
            given = [k for k, v in node.kwargs.items() if v is not None and v is not False]
            if given or (len(node.inputs) > 1 and type(layer) not in _MERGES):
                names = ", ".join(given) or "several inputs"
                raise _refuse(layer, f"it is called with {names}.")
            taken = [values[id(tensor)] for tensor in node.inputs]
            if type(layer) is Sequential:
                made = self.add_layers(layer, taken[0])
            else:
                made = self.add_layer(layer, taken)
            values[id(node.outputs[0])] = made
        return values[id(model.outputs[0])]

    def add_layer(self, layer: Any, values: list[Value]) -> Value:
        """Add a layer called on some values; return what comes out."""
        if layer.compute_dtype != "float32" or layer.dtype != "float32":
            raise _refuse(layer, f"its dtype is {layer.compute_dtype}; C code is float32.")
        value = values[0]
        if type(layer) in _MERGES:
            made = self._merged(layer, values)
        else:
            made = list(_operations(layer, value.size, value.has_time))
            for number, operation in enumerate(made):
                before = len(self.operations) + number
                operation.inputs = (before,) if number else (value.index,)
        has_time = value.has_time
        for operation in made:
            operation.is_behind = not has_time
        self.operations += made
        if isinstance(layer, CellRNN):
            has_time = layer.return_sequences
        if made:
            value = Value(len(self.operations), made[-1].size, has_time)
        if not has_time and values[0].has_time:
            if self.last is not None:
                raise _refuse(layer, "another layer before it returns its last output only.")
            self.last = value
        rows = "(timesteps, {})" if has_time else "({},)"
        # In a comment, which a name, perhaps out of a file, must not end.
        name = re.sub(r"[^\w.-]", "_", layer.name, flags=re.ASCII)
        self.described.append(f"{name} ({type(layer).__name__}) -> {rows.format(value.size)}")
        return value

    def _merged(self, layer: Any, values: list[Value]) -> list[Operation]:
        """Return the operations, each of two values, that merge several."""
        kind, side_by_side = _MERGES[type(layer)], isinstance(layer, layers.Concatenate)
        first = values[0]
        if any(value.has_time != first.has_time for value in values):
            raise _refuse(layer, "it joins a sequence and the last output of one.")
        if not side_by_side and any(value.size != first.size for value in values):
            raise _refuse(layer, "its inputs have different numbers of features.")
        if side_by_side:
            _needs_last_axis(layer, first.has_time)
        made, index, size = [], first.index, first.size
        for value in values[1:]:
            sizes = {"left": size, "right": value.size} if side_by_side else {}
            size += value.size if side_by_side else 0
            made.append(Operation(kind, size, sizes, inputs=(index, value.index)))
            index = len(self.operations) + len(made)
        return made


def lowered(model: Any) -> Program:
    """Return a built model as operations.

    Raises
    ------
    ValueError
        If it is not built, of another kind, or a layer cannot be expressed.
    """
    if type(model) not in (Sequential, Functional):
        raise CannotExport(
            f"Only a Sequential model, or one of Model(input, output), can be exported to C, got "
            f"{model.name!r} ({type(model).__name__})."
        )
    if not model.built:
        raise CannotExport(
            f"Model {model.name!r} is not built: give its first layer an `Input`, or call "
            f"`build(input_shape)`, before it is exported."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise CannotExport(
            f"Model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} "
            f"outputs; C code takes one of each."
        )
    shape = model.inputs[0].shape
    if len(shape) != 3 or shape[-1] is None:
        raise CannotExport(
            f"Model {model.name!r} takes inputs of shape {shape}; C code steps through "
            f"(batch, timesteps, features)."
        )
    program = Program(int(shape[-1]))
    if type(model) is Sequential:
        program.output = program.add_layers(model, program.input)
    else:
        program.output = program.add_graph(model)
    return program


def _flat(model: Any) -> Iterator[Any]:
    """Yield the layers, those of `Sequential` models inside too."""
    for layer in model.layers:
        if type(layer) is Sequential:
            yield from _flat(layer)
        else:
            yield layer


def _operations(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    if type(layer) not in _LAYERS:
        known = ", ".join(sorted(kind.__name__ for kind in {**_LAYERS, **_MERGES}))
        raise _refuse(layer, f"there is no C code for it. There is for {known}.")
    yield from _LAYERS[type(layer)](layer, size, has_time)


# --- activations ------------------------------------------------------------------


def _activated(layer: Any, activation: Any, size: int) -> Iterator[Operation]:
    """Yield an activation as an operation of its own; nothing if it is linear."""
    if type(activation) is activations.Softmax:
        if activation.axis not in (-1, (-1,)):
            raise _refuse(layer, f"softmax along axis {activation.axis}, not the last one.")
        yield Operation("softmax", size, codes=(CODES["exponential"],))
    elif isinstance(activation, BoundActivation):
        yield _with_arguments(layer, activation, size)
    elif activation.code is None:
        raise _refuse(layer, f"activation {activation.name!r} is not one of the kernels.")
    elif activation.code:
        yield Operation("finish", size, codes=(activation.code,))


def _with_arguments(layer: Any, activation: BoundActivation, size: int) -> Operation:
    arguments = activation.arguments
    if activation.name == "leaky_relu":
        return Operation("leaky", size, {"slope": float(arguments["negative_slope"])})
    if activation.name == "relu" and not arguments["threshold"]:
        most = arguments["max_value"]
        return Operation("relu", size, {
            "slope": float(arguments["negative_slope"]),
            "most": np.inf if most is None else float(most),
        })  # fmt: skip
    raise _refuse(layer, f"activation {activation.name!r} with {arguments} has no C code.")


def _activation_layer(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    yield from _activated(layer, layer.activation, size)


# --- layers -------------------------------------------------------------------------


def _needs_time(layer: Any, has_time: bool) -> None:
    if not has_time:
        raise _refuse(layer, "it stands behind a layer that returns its last output only.")


def _needs_last_axis(layer: Any, has_time: bool) -> None:
    axes = layer.axis if isinstance(layer.axis, list) else [layer.axis]
    if len(axes) != 1 or axes[0] not in (-1, 2 if has_time else 1):
        raise _refuse(layer, f"axis={layer.axis} is not that of the features.")


def _nothing(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    return iter(())


def _recurrent(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    _needs_time(layer, has_time)
    if layer.return_state:
        raise _refuse(layer, "return_state=True: there is one output.")
    if layer.go_backwards:
        raise _refuse(layer, "go_backwards=True: the end of a stream is not there yet.")
    cell = layer.cell
    if cell.packed is None:
        names = ", ".join(repr(a.name) for a in cell.activations if a.code is None)
        raise _refuse(layer, f"activation {names} is not one of the kernels.")
    yield Operation(
        "recurrent",
        cell.units,
        {"features": size, "cell": cell.kernel_name, "sequences": layer.return_sequences},
        {"weights": cell.packed.current().weights},
        tuple(a.code or 0 for a in cell.activations),
    )


def _dense(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    weights = np.empty(dense.weights_size(size, layer.units, _FLOAT), _FLOAT)
    bias = np.empty(0, _FLOAT) if layer.bias is None else layer.bias.value
    dense.pack_weights(layer.kernel.value, bias, weights)
    code = layer.activation.code
    yield Operation("dense", layer.units, {"features": size}, {"weights": weights}, (code or 0,))
    if code is None:
        yield from _activated(layer, layer.activation, layer.units)


def _convolution(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    (taps,), (stride,), (dilation,) = layer.kernel_size, layer.strides, layer.dilation_rate
    _needs_time(layer, has_time)
    if stride != 1:
        raise _refuse(layer, f"strides={stride}: a stream has an output for each step.")
    if layer.data_format != "channels_last":
        raise _refuse(layer, f"data_format={layer.data_format!r}.")
    if layer.padding != "causal" and taps > 1:
        raise _refuse(
            layer, f'padding={layer.padding!r}, not "causal": it would see steps to come.'
        )
    window = (taps - 1) * dilation
    axes = [Axis(1, 1), Axis(1, 1), Axis(window + 1, window + 1, taps, 1, dilation, 1, window)]
    plan = Convolution(axes, size, layer.filters, layer.groups, _FLOAT)
    panels, _ = plan.pack(layer.kernel.value, False)
    bias = np.zeros(layer.filters, _FLOAT) if layer.bias is None else layer.bias.value
    code = layer.activation.code
    sizes = {"features": size, "taps": taps, "dilation": dilation, "groups": layer.groups}
    arrays = {"weights": panels, "bias": bias}
    yield Operation("convolution", layer.filters, sizes, arrays, (code or 0,))
    if code is None:
        yield from _activated(layer, layer.activation, layer.filters)


def _batch_normalization(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    _needs_last_axis(layer, has_time)
    # As the layer itself does.
    variance = layer.moving_variance.value.astype(np.float64)
    gamma, beta = layer._affine(size)
    yield Operation("affine", size, {}, {
        "shift": layer.moving_mean.value.astype(np.float64),
        "factor": 1 / np.sqrt(variance + layer.epsilon) * gamma,
        "offset": beta.astype(np.float64),
    })  # fmt: skip


def _layer_normalization(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    _needs_last_axis(layer, has_time)
    gamma, beta = layer._affine(size)
    arrays = {"gamma": gamma, "beta": beta}
    yield Operation("normalize", size, {"epsilon": layer.epsilon}, arrays)


def _rescaling(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    arrays = {}
    for name, values in (("scale", layer._scale), ("offset", layer._offset)):
        if values.size not in (1, size) or (values.ndim and values.shape[-1] != values.size):
            raise _refuse(layer, f"{name} of shape {values.shape} changes from step to step.")
        arrays[name] = np.broadcast_to(values.reshape(-1), (size,))
    yield Operation("rescale", size, {}, arrays)


def _parametric(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    alpha = layer.alpha.value
    if alpha.size not in (1, size) or alpha.shape[-1] != alpha.size:
        raise _refuse(layer, f"alpha of shape {alpha.shape} changes from step to step.")
    slopes = np.broadcast_to(alpha.reshape(-1), (size,))
    yield Operation("parametric", size, {}, {"slopes": slopes})


def _distributed(layer: Any, size: int, has_time: bool) -> Iterator[Operation]:
    _needs_time(layer, has_time)
    inside = list(_flat(layer.layer)) if hasattr(layer.layer, "layers") else [layer.layer]
    for inner in inside:
        for operation in _operations(inner, size, False):
            yield operation
            size = operation.size


_MERGES: dict[type, str] = {
    layers.Add: "add",
    layers.Subtract: "subtract",
    layers.Multiply: "multiply",
    layers.Concatenate: "concatenate",
}
_LAYERS: dict[type, Callable[[Any, int, bool], Iterator[Operation]]] = {
    layers.SimpleRNN: _recurrent,
    layers.LSTM: _recurrent,
    layers.GRU: _recurrent,
    layers.Dense: _dense,
    layers.Conv1D: _convolution,
    layers.TimeDistributed: _distributed,
    layers.BatchNormalization: _batch_normalization,
    layers.LayerNormalization: _layer_normalization,
    layers.Rescaling: _rescaling,
    layers.PReLU: _parametric,
    **dict.fromkeys(
        (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Softmax),
        _activation_layer,
    ),
    **dict.fromkeys(
        (
            layers.Dropout,
            layers.SpatialDropout1D,
            layers.AlphaDropout,
            layers.GaussianDropout,
            layers.GaussianNoise,
            layers.ActivityRegularization,
            layers.Identity,
        ),
        _nothing,
    ),
}
