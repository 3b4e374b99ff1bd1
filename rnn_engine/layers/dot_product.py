"""`Dot`."""

import math
from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.layers.base import registry
from rnn_engine.layers.merging import Merge, check_masks
from rnn_engine.layers.products import multiply
from rnn_engine.layers.unit_normalization import unit, unit_backward


@registry.register()
class Dot(Merge):
    """Sums of the products of two inputs along one axis of each (`keras.layers.Dot`).

    Parameters
    ----------
    axes : int or pair of int
        The axis of the first and of the second input; neither is the batch axis.
    normalize : bool
        Whether to divide the inputs by their lengths along those axes before: the
        output is the cosine between them then.

    The output has the other axes of the first input and then those of the second, at
    least two; no mask goes on.

    Raises
    ------
    TypeError, ValueError
        If `axes` is no int and no pair of them, or the inputs do not fit.

    Examples
    --------
    >>> Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
    array([[11.]], dtype=float32)
    """

    count = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, list | tuple):
                raise TypeError(
                    f"Invalid type for argument `axes`: it should be a list or an int. Received: "
                    f"axes={axes}"
                )
            if len(axes) != 2:
                raise ValueError(
                    f"Invalid format for argument `axes`: it should contain two elements. "
                    f"Received: axes={axes}"
                )
            if not all(isinstance(axis, int) for axis in axes):
                raise ValueError(
                    f"Invalid format for argument `axes`: list elements should be integers. "
                    f"Received: axes={axes}"
                )
        self.axes = axes
        self.normalize = normalize

    def _axes(self, shapes: Any) -> list[int]:
        """Return the two axes, counted from 0."""
        given = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        found = []
        for axis, shape in zip(given, shapes, strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(
                    f"axes={self.axes} of layer {self.name!r} must name an axis of each input "
                    f"behind the batch axis. Received inputs of shapes {list(map(tuple, shapes))}"
                )
            found.append(axis % len(shape))
        return found

    def check_shapes(self, shapes: Any) -> None:
        """Raise ValueError unless both have the same size along the axes."""
        if len(shapes) != 2 or not all(isinstance(shape, list | tuple) for shape in shapes):
            raise ValueError(
                f"A `Dot` layer should be called on a list of 2 inputs. Received: "
                f"input_shape={shapes}"
            )
        super().check_shapes(shapes)
        sizes = [shape[axis] for shape, axis in zip(shapes, self._axes(shapes), strict=True)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"Incompatible input shapes: axis values {sizes[0]} != {sizes[1]} along axes="
                f"{self.axes}. Full input shapes: {tuple(shapes[0])}, {tuple(shapes[1])}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape without the two axes and the second batch axis."""
        if not isinstance(input_shape, list | tuple) or len(input_shape) != 2:
            raise ValueError(
                f"A `Dot` layer should be called on a list of 2 inputs. Received: "
                f"input_shape={input_shape}"
            )
        axes = self._axes(input_shape)
        first, second = (
            [size for i, size in enumerate(shape) if i != axis]
            for shape, axis in zip(input_shape, axes, strict=True)
        )
        merged = first + second[1:]
        return (*merged, 1) if len(merged) == 1 else tuple(merged)

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        """Return the sums of products; saves both sides as matrices."""
        self.check_input(x)
        check_masks(x, mask)
        axes = self._axes([part.shape for part in x])
        lengths: list[Any] = [None, None]
        if self.normalize:
            small = epsilon()
            parts = [unit(part, axis, small) for part, axis in zip(x, axes, strict=True)]
            x, lengths = [y for y, _ in parts], parts
        # The first as (batch, 1, others, k), the second as (batch, 1, k, others).
        moved = [np.moveaxis(x[0], axes[0], -1), np.moveaxis(x[1], axes[1], 1)]
        first, second = moved
        a = first.reshape(len(first), 1, math.prod(first.shape[1:-1]), first.shape[-1])
        b = second.reshape(*second.shape[:1], 1, second.shape[1], math.prod(second.shape[2:]))
        y = multiply(a, b).reshape(self._shape_below([part.shape for part in x]))
        return y, (a, b, [part.shape for part in moved], axes, lengths, y.shape)

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Return the gradients by both inputs."""
        if not need_dx:
            return None
        a, b, (first, second), axes, lengths, out = saved
        slope = self.gradient_like(dy, out).reshape(len(a), 1, a.shape[2], b.shape[3])
        da = multiply(slope, b.swapaxes(2, 3)).reshape(first)
        db = multiply(a.swapaxes(2, 3), slope).reshape(second)
        slopes = [np.moveaxis(da, -1, axes[0]), np.moveaxis(db, 1, axes[1])]
        if self.normalize:
            slopes = [
                unit_backward(slope, y, kept, axis)
                for slope, (y, kept), axis in zip(slopes, lengths, axes, strict=True)
            ]
        return slopes

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: what is left has no steps of the inputs."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """Return what `Dot` makes of two arrays (`keras.layers.dot`)."""
    return Dot(axes=axes, **kwargs)(inputs)
