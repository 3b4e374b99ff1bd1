"""`SeveralInputs`: what the layers share that take a list of arrays."""

from typing import Any

from rnn_engine.layers.base import Layer


class SeveralInputs(Layer):
    """Base of the layers that take a list of arrays; they say which shapes fit each other."""

    several_inputs = True

    def shape_for(self, x: Any) -> Any:
        """Return the shapes to build for, batch sizes open."""
        # Not the base's: a user's class with a `call` below this one says it has one input.
        return [(None, *part.shape[1:]) for part in x]

    def check_shapes(self, shapes: Any) -> None:
        """Raise ValueError unless inputs of these shapes fit each other."""
        raise TypeError(f"{type(self).__name__} must define check_shapes(shapes).")

    def check_input(self, x: Any) -> None:
        """Raise ValueError unless the inputs fit each other and none is empty."""
        shapes = [part.shape for part in x]
        self.check_shapes(shapes)
        if any(0 in shape for shape in shapes):
            raise ValueError(f"The inputs of layer {self.name!r} have an empty axis: {shapes}.")
