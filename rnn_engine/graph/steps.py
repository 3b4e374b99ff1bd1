"""A graph as it is run: its nodes in a row, each reading and writing numbered places."""

from typing import Any

import numpy as np

from rnn_engine.graph.inside import penalized
from rnn_engine.graph.nest import flatten, map_structure
from rnn_engine.graph.operation import Node
from rnn_engine.graph.tensor import KerasTensor

Values = list[Any]


class Step:
    """One node of a laid-out graph.

    ``forward(values, masks, training, keep)`` fills the places of its outputs and returns
    what ``backward(gradients, saved, need_dx)`` needs, which adds to the gradients at the
    places of its inputs.

    Parameters
    ----------
    node : Node
    places : dict
        From the `id` of a tensor to its place.
    useful : bool
        Whether something before this node has weights, so that the gradients by its inputs
        are wanted.

    Attributes
    ----------
    released : tuple of int
        Places that no later step reads.
    """

    def __init__(self, node: Node, places: dict[int, int], useful: bool) -> None:
        self.node = node
        self.operation: Any = node.operation
        self.useful = useful
        self.targets = [places[id(tensor)] for tensor in node.outputs]
        self.sources = [places[id(tensor)] for tensor in node.inputs]
        self.source_types = [numpy_dtype(tensor) for tensor in node.inputs]
        self.released: tuple[int, ...] = ()

    def forward(self, values: Values, masks: Values, training: bool | None, keep: bool) -> Any:
        """Run the operation; return what backward needs."""
        raise NotImplementedError(f"{type(self).__name__} must define forward.")

    def backward(self, gradients: Values, saved: Any, need_dx: bool) -> None:
        """Go back through the operation."""
        raise NotImplementedError(f"{type(self).__name__} must define backward.")

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities in `saved`."""
        return 0.0

    def shapes(self, given: dict[int, Any]) -> list[Any]:
        """Return the shapes of the outputs; `given` has those of tensors by their `id`."""
        raise NotImplementedError(f"{type(self).__name__} must define shapes.")

    def check(self, samples: dict[int, Any]) -> None:
        """Raise as the operation would for arrays of such shapes, by the `id` of tensors."""


class _OfLayer(Step):
    """What the steps of layers share; `inputs` is the nest of tensors that one is called on."""

    inputs: Any

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities in `saved`."""
        return float(self.operation.penalties(saved))

    def shapes(self, given: dict[int, Any]) -> list[Any]:
        """Return the shapes of the outputs; `given` has those of tensors by their `id`."""
        shapes = self.operation.compute_output_shape(
            map_structure(
                lambda leaf: leaf.shape if _is_array(leaf) else given.get(id(leaf)), self.inputs
            )
        )
        return [shapes] if len(self.targets) == 1 else list(shapes)

    def check(self, samples: dict[int, Any]) -> None:
        """Check the inputs as the layer does."""
        self.operation.check_input(
            map_structure(lambda x: x if _is_array(x) else samples.get(id(x)), self.inputs)
        )


def _is_array(leaf: Any) -> bool:
    """Whether a layer was called on an array, in a graph for the sake of another argument."""
    return isinstance(leaf, np.ndarray)


class PlainStep(_OfLayer):
    """A layer of one input and one output, called with nothing else."""

    def __init__(self, node: Node, places: dict[int, int], useful: bool) -> None:
        super().__init__(node, places, useful)
        self.inputs = node.inputs[0]
        self.source, self.target = self.sources[0], self.targets[0]
        self.run = self.operation.forward_with_mask
        self.converts = _converts(node.inputs, self.operation)

    def forward(self, values: Values, masks: Values, training: bool | None, keep: bool) -> Any:
        """Run the layer."""
        x = values[self.source]
        if self.converts:
            x = self.operation.convert(x)
        values[self.target], masks[self.target], saved = self.run(
            x, training, masks[self.source], keep
        )
        return saved

    def backward(self, gradients: Values, saved: Any, need_dx: bool) -> None:
        """Go back through the layer."""
        dy, layer = gradients[self.target], self.operation
        if dy is None and not penalized(layer):
            return
        gradients[self.target] = None
        dx = layer.backward_with_penalty(dy, saved, need_dx or self.useful)
        if dx is not None:
            add(gradients, self.source, dx, self.source_types[0])


class LayerStep(_OfLayer):
    """A layer called on nests of tensors, with options, or with several outputs."""

    def __init__(self, node: Node, places: dict[int, int], useful: bool) -> None:
        super().__init__(node, places, useful)
        kwargs = dict(node.kwargs)
        self.training = kwargs.pop("training", None)
        self.mask = kwargs.pop("mask", None)
        self.inputs, self.options = self.operation.bind(*node.args, **kwargs)
        self.places = places
        tensors = [_symbolic((self.inputs,)), _symbolic(self.options.values())]
        self.main, self.others = ([places[id(t)] for t in found] for found in tensors)
        self.dtypes = [numpy_dtype(t) for found in tensors for t in found]
        self.converts = _converts(tensors[0], self.operation)

    def forward(self, values: Values, masks: Values, training: bool | None, keep: bool) -> Any:
        """Run the layer."""

        def value(leaf: Any) -> Any:
            return values[self.places[id(leaf)]] if isinstance(leaf, KerasTensor) else leaf

        def mask_of(leaf: Any) -> Any:
            return masks[self.places[id(leaf)]] if isinstance(leaf, KerasTensor) else None

        x = map_structure(value, self.inputs)
        if self.converts:
            x = self.operation.convert(x)
        options = {name: map_structure(value, option) for name, option in self.options.items()}
        mask = previous = self._mask(value, mask_of)
        if self.others and self.mask is None and not self.operation.masks_beside_options:
            mask = None
        training = bool(self.training if training is None else training)
        y, out, saved = self.operation.forward_with_mask(x, training, mask, keep, **options)
        if mask is not previous and self.operation.supports_masking:
            out = self.operation.compute_mask(x, previous)
        if len(self.targets) == 1:
            values[self.targets[0]], masks[self.targets[0]] = y, out
            return saved
        out = out if isinstance(out, list | tuple) else [out] * len(self.targets)
        for target, part, part_mask in zip(self.targets, y, out, strict=True):
            values[target], masks[target] = part, part_mask
        return saved

    def shapes(self, given: dict[int, Any]) -> list[Any]:
        """Return the shapes of the outputs; `given` has those of tensors by their `id`."""
        found = super().shapes(given)
        if len(found) == len(self.targets) and all(isinstance(s, tuple | list) for s in found):
            return found
        # One shape, and more outputs by an option: attention returns its weights as well.
        inputs = map_structure(lambda t: KerasTensor(given[id(t)], t.dtype, t.name), self.inputs)
        specs = self.operation.compute_output_spec(inputs, **self.options)
        return [spec.shape for spec in flatten(specs)]

    def _mask(self, value: Any, mask_of: Any) -> Any:
        """Return the mask of the call, or those that the inputs bring along."""
        if self.mask is not None:
            return map_structure(value, self.mask)
        mask = map_structure(mask_of, self.inputs)
        return None if all(part is None for part in flatten(mask)) else mask

    def backward(self, gradients: Values, saved: Any, need_dx: bool) -> None:
        """Go back through the layer."""
        layer = self.operation
        dys = [gradients[target] for target in self.targets]
        if all(dy is None for dy in dys) and not penalized(layer):
            return
        for target in self.targets:
            gradients[target] = None
        dy = dys[0] if len(dys) == 1 else tuple(dys)
        result = layer.backward_with_penalty(dy, saved, need_dx or self.useful)
        main, others = result, []
        if self.others and isinstance(result, tuple):
            main, *others = result
        parts = [*_spread(main, len(self.main)), *_spread(others, len(self.others))]
        for place, part, dtype in zip([*self.main, *self.others], parts, self.dtypes, strict=True):
            if part is not None:
                add(gradients, place, part, dtype)


class OperationStep(Step):
    """An operation without weights (`rnn_engine.ops`); masks end here, as in Keras."""

    def forward(self, values: Values, masks: Values, training: bool | None, keep: bool) -> Any:
        """Run the operation."""
        args, kwargs = self.node.filled([values[place] for place in self.sources])
        y, saved = self.operation.forward(*args, **kwargs)
        parts = [y] if len(self.targets) == 1 else flatten(y)
        for target, part in zip(self.targets, parts, strict=True):
            values[target], masks[target] = part, None
        return saved

    def backward(self, gradients: Values, saved: Any, need_dx: bool) -> None:
        """Go back through the operation."""
        dys = [gradients[target] for target in self.targets]
        for target in self.targets:
            gradients[target] = None
        if not (need_dx or self.useful) or all(dy is None for dy in dys):
            return
        result = self.operation.backward(dys[0] if len(dys) == 1 else dys, saved)
        parts = _spread(result, len(self.sources))
        for place, part, tensor in zip(self.sources, parts, self.node.inputs, strict=True):
            if part is not None and tensor.dtype.startswith("float"):
                add(gradients, place, part, numpy_dtype(tensor))

    def shapes(self, given: dict[int, Any]) -> list[Any]:
        """Return the shapes of the outputs; `given` has those of tensors by their `id`."""
        tensors = [KerasTensor(given[id(t)], t.dtype, t.name) for t in self.node.inputs]
        args, kwargs = self.node.filled(tensors)
        return [t.shape for t in flatten(self.operation.compute_output_spec(*args, **kwargs))]


def numpy_dtype(tensor: KerasTensor) -> np.dtype:
    """Return the type of a tensor's arrays."""
    return np.dtype(object if tensor.dtype == "string" else tensor.dtype)


def add(gradients: Values, place: int, dx: np.ndarray, dtype: np.dtype) -> None:
    """Add a gradient at a place: they meet where a tensor is used more than once."""
    before = gradients[place]
    if dx.dtype is not dtype:
        dx = dx.astype(dtype, copy=False)
    # Not in place: the array may be seen elsewhere too.
    gradients[place] = dx if before is None else before + dx


def make_step(node: Node, places: dict[int, int], useful: bool) -> Step:
    """Return the step of a node."""
    if not hasattr(node.operation, "forward_with_mask"):
        return OperationStep(node, places, useful)
    single = len(node.args) == 1 and isinstance(node.args[0], KerasTensor) and not node.kwargs
    kind = PlainStep if single and len(node.outputs) == 1 else LayerStep
    return kind(node, places, useful)


def _converts(tensors: list[KerasTensor], layer: Any) -> bool:
    """Whether a layer's inputs may be of another type than it computes in."""
    return any(
        t.dtype != layer.kernel_dtype or getattr(t.node.operation, "_foreign", True)
        for t in tensors
    )


def _symbolic(values: Any) -> list[KerasTensor]:
    return [leaf for leaf in flatten(list(values)) if isinstance(leaf, KerasTensor)]


def _spread(result: Any, count: int) -> list[Any]:
    """Return what a backward gave as a list of `count` gradients."""
    if result is None or (isinstance(result, list | tuple) and not result):
        return [None] * count
    if count == 1:
        return [result[0] if isinstance(result, list | tuple) else result]
    return flatten(result)
