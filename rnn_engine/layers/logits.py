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
            if not layer.returns_input(training) or layer.compute_dtype != below.output_dtype:
                return None
        return None

    def logits_of(self, saved: Any) -> Any:
        """Return the logits, in the shape of the output; None if this pass has none.

        Takes what the model's `forward_with_mask` saved.
        """
        kept = saved[self.index]
        if type(kept) is Penalized:
            kept = kept.saved
        return self.layer.logits_of(kept) if self.inner is None else self.inner.logits_of(kept)

    def backward(self, dz: np.ndarray, saved: Any, need_dx: bool = False, dy: Any = None) -> Any:
        """Go back through the model from the gradient by the logits.

        `dy` is a gradient by the output besides that, which penalties on activities have.
        """
        layers = self.stack.sublayers
        for i in range(len(layers) - 1, self.index, -1):
            dy = layers[i].backward_with_penalty(dy, saved[i])
        kept = saved[self.index]
        if type(kept) is Penalized:
            dy, kept = self.layer._add_activity_gradient(dy, kept.output), kept.saved
        wanted = need_dx or self.index > 0
        if self.inner is not None:
            dx = self.inner.backward(dz, kept, wanted, dy)
        else:
            if dy is not None:
                y = self.activation(self.layer.logits_of(kept))
                dz = dz + self.activation.backward(dy, y)
            dx = self.layer.backward_from_logits(dz, kept, wanted)
        return self.stack.backward_below(self.index, dx, saved, need_dx)
