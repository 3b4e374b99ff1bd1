"""The boxes and arrows that a picture of a model is made of."""

from dataclasses import dataclass, field
from typing import Any

Ends = tuple[list[int], list[int]]


@dataclass
class Box:
    """One layer: its lines of text and how deep in nested models it stands."""

    lines: list[str]
    depth: int


@dataclass
class Flags:
    """What a box tells besides the class of the layer."""

    shapes: bool = False
    dtype: bool = False
    names: bool = False
    activations: bool = False
    trainable: bool = False


@dataclass
class Picture:
    """Boxes, arrows between their numbers, and the frames around those of nested models.

    A frame is the name of a model and the numbers of its first box and of the one behind its
    last. Arrows are the keys of a dict: there is one of a kind, and they stay in order.
    """

    flags: Flags
    expand: bool
    boxes: list[Box] = field(default_factory=list)
    arrows: dict[tuple[int, int], None] = field(default_factory=dict)
    frames: list[tuple[str, int, int]] = field(default_factory=list)

    def add_model(self, model: Any, depth: int = 0) -> Ends:
        """Add the boxes of a model; return those that take its inputs and give its outputs."""
        if hasattr(model, "layout"):
            return self._add_graph(model, depth)
        return self._add_chain(model, depth)

    def _add_layer(self, layer: Any, depth: int, before: Any, after: Any, dtype: Any) -> Ends:
        if self.expand and getattr(layer, "layers", None):
            start = len(self.boxes)
            ends = self.add_model(layer, depth + 1)
            self.frames.append((layer.name, start, len(self.boxes)))
            return ends
        self.boxes.append(Box(_describe(layer, self.flags, before, after, dtype), depth))
        return [len(self.boxes) - 1], [len(self.boxes) - 1]

    def _add_chain(self, model: Any, depth: int) -> Ends:
        shape = getattr(model, "input_shape", None)
        first: list[int] = []
        last: list[int] = []
        for layer in model.layers:
            after = _output_shape(layer, shape)
            dtype = getattr(layer, "dtype", "?")
            entries, exits = self._add_layer(layer, depth, shape, after, dtype)
            first = first or entries
            for number, source in enumerate(last):
                self.arrows[source, _at(entries, number)] = None
            last, shape = exits, after
        return first, last

    def _add_graph(self, model: Any, depth: int) -> Ends:
        ends: dict[int, Ends] = {}
        for operation in model.operations:
            call = operation._inbound_nodes[0]
            before = _single([tensor.shape for tensor in call.inputs])
            after = _single([tensor.shape for tensor in call.outputs])
            dtype = _single([tensor.dtype for tensor in call.outputs])
            ends[id(operation)] = self._add_layer(operation, depth, before, after, dtype)
        for node in model.layout.nodes:
            entries = ends[id(node.operation)][0]
            for number, tensor in enumerate(node.inputs):
                exits = ends[id(tensor.node.operation)][1]
                self.arrows[_at(exits, tensor.index), _at(entries, number)] = None
        first = [_at(ends[id(t.node.operation)][0], 0) for t in model.inputs]
        last = [_at(ends[id(t.node.operation)][1], t.index) for t in model.outputs]
        return first, last

    def levels(self) -> list[int]:
        """Return for each box how many arrows lead to it from the start, on the longest way."""
        levels = [0] * len(self.boxes)
        for _ in self.boxes:
            before = levels.copy()
            for source, target in self.arrows:
                levels[target] = max(levels[target], levels[source] + 1)
            if levels == before:
                break
        return levels


def picture_of(model: Any, flags: Flags, expand: bool) -> Picture:
    """Return the boxes and arrows of a model; with `expand` those of the models in it too."""
    picture = Picture(flags, expand)
    picture.add_model(model)
    return picture


def _at(ends: list[int], number: int) -> int:
    """Return the box of an input or output; one that is no model has one box for all."""
    return ends[number] if number < len(ends) and len(ends) > 1 else ends[0]


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _output_shape(layer: Any, input_shape: Any) -> Any:
    if input_shape is not None and hasattr(layer, "compute_output_shape"):
        return layer.compute_output_shape(input_shape)
    return getattr(layer, "output_shape", None)


def _describe(layer: Any, flags: Flags, before: Any, after: Any, dtype: Any) -> list[str]:
    kind = getattr(layer, "class_name", type(layer).__name__)
    lines = [f"{layer.name} ({kind})" if flags.names else kind]
    if flags.activations and getattr(layer, "activation", None) is not None:
        activation = layer.activation
        lines.append(f"Activation: {getattr(activation, '__name__', type(activation).__name__)}")
    if flags.shapes:
        if kind != "InputLayer":
            lines.append(f"Input shape: {before or '?'}")
        lines.append(f"Output shape: {after or '?'}")
    if flags.dtype:
        lines.append(f"Output dtype: {dtype}")
    if flags.trainable:
        lines.append(f"Trainable: {getattr(layer, 'trainable', '?')}")
    return lines
