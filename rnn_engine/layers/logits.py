"""`LogitsPath`: where a model's output comes from the logits that a cross-entropy wants."""

from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer, Penalized


class LogitsPath:
    """The way down from the output of a stack of layers to the logits below it.

    Keras hangs the logits on the output of every softmax and sigmoid, and a cross-entropy
    takes them. They are lost in the first operation that makes a new tensor, but not in a
    layer that returns its input, nor by leaving a model inside another one.

    Parameters
    ----------
    stack : Layer
        A model; its `sublayers` are in a row.
    index : int
        The layer whose activation made the output; those above return their input.
    inner : LogitsPath, optional
        The way on, if that layer is a model itself.
    """

    def __init__(self, stack: Any, index: int, inner: "LogitsPath | None") -> None:
        self.stack = stack
        self.layer: Any = stack.sublayers[index]
        self.index = index
        self.inner = inner
        self.activation: Any = inner.activation if inner else self.layer.activation

    @classmethod
    def find(cls, stack: Layer, training: bool) -> "LogitsPath | None":
        """Return the path of a model, None if its output has no logits."""
        layers = stack.sublayers
        for index in range(len(layers) - 1, -1, -1):
            layer: Any = layers[index]
            if layer._foreign:  # what a user's `forward` puts out is its own affair
                return None
            if hasattr(layer, "backward_from_logits"):
                if layer.activation.leaves_logits:
                    return cls(stack, index, None)
            elif hasattr(layer, "logits_path"):
                inner = layer.logits_path(training)
                if inner is not None:
                    return cls(stack, index, inner)
            below = layers[index - 1]
            if not layer.returns_input(training) or layer.kernel_dtype != below.output_dtype:
                return None
        return None

    def logits_of(self, saved: Any) -> Any:
        """Return the logits, in the shape of the output; None if this pass has none.

        Takes what the model's `forward_with_mask` saved.
        """
        return _logits_of(self.layer, self.inner, saved[self.index])

    def backward(self, dz: np.ndarray, saved: Any, need_dx: bool = False, dy: Any = None) -> Any:
        """Go back through the model from the gradient by the logits.

        `dy` is a gradient by the output besides that, which penalties on activities have.
        """
        layers = self.stack.sublayers
        for i in range(len(layers) - 1, self.index, -1):
            dy = layers[i].backward_with_penalty(dy, saved[i])
        wanted = need_dx or self.index > 0
        dx = _back(self.layer, self.inner, dz, saved[self.index], wanted, dy)
        return self.stack.backward_below(self.index, dx, saved, need_dx)


class GraphLogits:
    """The way from an output of a graph down to the logits that it was made of.

    Parameters
    ----------
    model : Functional
    output : int
        Which output.
    number : int
        The step whose activation made the output.
    inner : LogitsPath or GraphLogits, optional
        The way on, if that step is a model itself.
    """

    def __init__(self, model: Any, output: int, number: int, inner: Any) -> None:
        self.model, self.output, self.number, self.inner = model, output, number, inner
        self.layer: Any = model.layout.steps[number].operation
        self.activation: Any = inner.activation if inner else self.layer.activation

    @classmethod
    def find(cls, model: Any, output: int, training: bool) -> "GraphLogits | None":
        """Return the path of output number `output`, None if it has no logits."""
        tensor, steps = model.outputs[output], model.layout.steps
        while True:
            number = next((i for i, s in enumerate(steps) if s.node is tensor.node), None)
            if number is None or len(steps[number].targets) != 1:
                return None
            layer, inputs = steps[number].operation, steps[number].node.inputs
            if hasattr(layer, "backward_from_logits"):
                if layer.activation.leaves_logits:
                    return cls(model, output, number, None)
            elif hasattr(layer, "logits_path"):
                inner = layer.logits_path(training)
                if inner is not None:
                    return cls(model, output, number, inner)
            returns = getattr(layer, "returns_input", None)
            if returns is None or not returns(training) or len(inputs) != 1:
                return None
            if layer.kernel_dtype != inputs[0].dtype:
                return None
            tensor = inputs[0]

    def logits_of(self, saved: Any) -> Any:
        """Return the logits, in the shape of the output; None if this pass has none."""
        return _logits_of(self.layer, self.inner, saved[self.number])

    def backward(self, dz: np.ndarray, saved: Any, need_dx: bool = False, dy: Any = None) -> Any:
        """Go back through the model from the gradient by the logits of its only output."""
        return self.model.backward(dy, saved, need_dx, [(self, dz)])

    def back(self, dz: np.ndarray, kept: Any, wanted: bool, dy: Any) -> Any:
        """Go back through the step itself."""
        return _back(self.layer, self.inner, dz, kept, wanted, dy)


def _logits_of(layer: Any, inner: Any, kept: Any) -> Any:
    if type(kept) is Penalized:
        kept = kept.saved
    return layer.logits_of(kept) if inner is None else inner.logits_of(kept)


def _back(layer: Any, inner: Any, dz: np.ndarray, kept: Any, wanted: bool, dy: Any) -> Any:
    """Go back through a layer from the gradient by its logits, and `dy` by its output."""
    if type(kept) is Penalized:
        dy, kept = layer._add_activity_gradient(dy, kept.output), kept.saved
    if inner is not None:
        return inner.backward(dz, kept, wanted, dy)
    if dy is not None:
        y = layer.activation(layer.logits_of(kept))
        dz = dz + layer.activation.backward(dy, y)
    return layer.backward_from_logits(dz, kept, wanted)
