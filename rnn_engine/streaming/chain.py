"""The layers of a model in a row, and whether each can take a sequence bit by bit."""

from collections.abc import Iterator
from typing import Any

from rnn_engine import layers as public
from rnn_engine.activations.base import Activation, BoundActivation, CustomActivation
from rnn_engine.functional import Functional
from rnn_engine.graph.inside import is_stateful
from rnn_engine.layers import RNN, Layer
from rnn_engine.layers.guard import is_ours
from rnn_engine.layers.input_layer import InputLayer
from rnn_engine.layers.recurrent import Recurrent
from rnn_engine.sequential import Sequential

# Layers that leave a sequence as it is outside of training.
IDENTITIES = {
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
    "Identity", "SpatialDropout1D",
}  # fmt: skip
# Layers whose output of a step is a function of that step alone.
STEPWISE = IDENTITIES | {
    "Activation", "Dense", "ELU", "Embedding", "LeakyReLU", "Masking", "ReLU", "Rescaling",
    "TimeDistributed",
}  # fmt: skip
# The same, unless they work along the axis of time.
ALONG_AXES = {
    "BatchNormalization", "LayerNormalization", "Normalization", "RMSNormalization", "Softmax",
    "UnitNormalization",
}  # fmt: skip
_REASONS = {
    "Bidirectional": "one of its two directions begins with the last step",
    "Flatten": "it joins all steps; `TimeDistributed(Flatten())` joins the features of each",
    "GroupNormalization": "its statistics are those of all steps",
    "Lambda": "what its function does with the steps is not known; `TimeDistributed` around it "
    "says that it takes them one by one",
    "Pooling": "it pools over the steps",
    "GlobalPooling": "it pools over the steps",
}


def names_of(layer: Layer) -> set[str]:
    """Return the names of a layer's classes, those that it inherits from included.

    A base class that only shares its name with a public layer is no such layer.
    """
    kinds = type(layer).__mro__
    return {kind.__name__ for kind in kinds if getattr(public, kind.__name__, kind) is kind}


def refusal(layer: Any, reason: str) -> ValueError:
    """Return the error that says which layer cannot stream, and why."""
    name = getattr(layer, "name", layer)
    return ValueError(f"Layer {name!r} ({type(layer).__name__}) cannot stream: {reason}.")


def row_of(model: Any) -> Iterator[Layer]:
    """Yield the layers of a model in their order, those of models inside it too.

    Raises
    ------
    ValueError
        If they are not one row.
    """
    if isinstance(model, Sequential):
        inner: Any = model.layers
    elif isinstance(model, Functional):
        inner = _line(model)
    elif isinstance(model, InputLayer):
        return
    else:
        yield model
        return
    for layer in inner:
        yield from row_of(layer)


def _line(model: Functional) -> Iterator[Layer]:
    """Yield the layers of a graph that is one row."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise refusal(
            model, f"it has {len(model.inputs)} inputs and {len(model.outputs)} outputs, not one "
            "of each",
        )  # fmt: skip
    tensor = model.inputs[0]
    for node in model.layout.nodes:
        layer = node.operation
        if node.is_input:
            continue
        if not isinstance(layer, Layer):
            raise refusal(layer, "it is an operation between tensors and no layer")
        if len(node.inputs) != 1 or node.inputs[0] is not tensor:
            raise refusal(layer, "the model branches here, and a stream takes a row of layers")
        if any(value is not None and value is not False for value in node.kwargs.values()):
            raise refusal(layer, f"it is called with {sorted(node.kwargs)}")
        tensor = node.outputs[0]
        yield layer
    if tensor is not model.outputs[0]:
        raise refusal(model, "its output is not that of its last layer")


class Link:
    """A layer, and what it takes: a sequence, or rows, one for each step.

    Rows are what a recurrent layer without `return_sequences` makes: its last output, which for
    each step is that of the sequence up to there.
    """

    __slots__ = ("in_time", "layer", "masked", "shape")

    def __init__(self, layer: Any, in_time: bool, masked: bool, shape: Any) -> None:
        self.layer, self.in_time, self.masked, self.shape = layer, in_time, masked, shape


def links_of(model: Any) -> tuple[list[Link], tuple[int, ...]]:
    """Return the links of a model, and the shape of its output of a step, without the batch.

    Raises
    ------
    ValueError
        If the model is not built, has no axis of time, or a layer cannot stream.
    """
    if not getattr(model, "built", False):
        raise ValueError(
            f"Model {model.name!r} has no weights yet: build it, with an Input or "
            "`model.build(input_shape)`, before `stream()`."
        )
    if not isinstance(model, Sequential | Functional):
        raise refusal(model, "what its `call` does with the steps is not known")
    layers = list(row_of(model))
    shape = model.input_shape
    indices = bool(layers) and "Embedding" in names_of(layers[0])
    if not layers or len(shape) < 3 - indices:
        raise ValueError(
            f"Model {model.name!r} has no axis of time to stream over: its inputs have shape "
            f"{shape}, a sequence has (batch, timesteps, features)."
        )
    links, in_time, masked = [], True, False
    shape = None, None, *shape[2:]
    for layer in layers:
        link = Link(layer, in_time, masked, shape)
        _check(link)
        links.append(link)
        shape = layer.compute_output_shape(shape)
        masked = bool(masked or layer.makes_masks) and layer.supports_masking
        if in_time and isinstance(layer, Recurrent) and not layer.return_sequences:
            in_time = masked = False
    return links, tuple(shape[1 + in_time :])


def _check(link: Link) -> None:
    """Raise unless a layer can take its sequence bit by bit."""
    layer, names = link.layer, names_of(link.layer)
    if layer._traced or layer._foreign:
        raise refusal(
            layer, "it is a layer of one's own, and what it does with the steps is not known; "
            "`TimeDistributed` around it says that it takes them one by one",
        )  # fmt: skip
    if not link.in_time:
        if is_stateful(layer):
            raise refusal(layer, "it is stateful behind a layer without `return_sequences`")
        return
    if isinstance(layer, RNN):
        _check_recurrent(layer)
    elif "Conv1D" in names:
        if layer.padding != "causal":
            raise refusal(
                layer, f"padding={layer.padding!r} looks at later steps, or drops the first ones; "
                "padding='causal' does not",
            )  # fmt: skip
        if max(layer.strides) > 1 or layer.data_format != "channels_last":
            raise refusal(layer, "it needs strides=1 and data_format='channels_last'")
    elif names & ALONG_AXES:
        if any(axis % len(link.shape) <= 1 for axis in _axes(layer)):
            raise refusal(layer, f"axis={layer.axis} is that of the time steps or the batch")
    elif "PReLU" in names:
        if 1 not in (layer.shared_axes or ()):
            raise refusal(layer, "each step has weights of its own; shared_axes=[1] has not")
    elif not names & STEPWISE:
        known = (reason for name, reason in _REASONS.items() if name in names)
        raise refusal(layer, next(known, "it may need other steps than the one at hand"))
    elif "TimeDistributed" in names and is_stateful(layer):
        raise refusal(layer, "the layer inside is stateful")
    elif type(layer).__name__ == "Activation" and not _is_known(layer.activation):
        raise refusal(
            layer, "what its function does with the steps is not known; `TimeDistributed` around "
            "it says that it takes them one by one",
        )  # fmt: skip


def _check_recurrent(layer: Any) -> None:
    if layer.go_backwards:
        raise refusal(layer, "go_backwards=True begins with the last step")
    if layer.return_state:
        raise refusal(
            layer, "return_state=True returns several arrays; `get_state()` of the stream has "
            "the states",
        )  # fmt: skip


def _axes(layer: Any) -> list[int]:
    axis = layer.axis
    return [int(a) for a in axis] if isinstance(axis, list | tuple) else [int(axis)]


def _is_known(activation: Any) -> bool:
    """Whether an activation is one of this package's, along the last axis if along any."""
    if isinstance(activation, CustomActivation) and not isinstance(activation, BoundActivation):
        return False
    if not isinstance(activation, Activation) or not is_ours(type(activation)):
        return False
    axis = getattr(activation, "axis", -1)
    return axis in (-1, (-1,), [-1])
