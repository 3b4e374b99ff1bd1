"""`Concatenate`."""

from itertools import accumulate
from typing import Any

import numpy as np

from rnn_engine.layers.base import registry
from rnn_engine.layers.merging import Merge, check_masks


@registry.register()
class Concatenate(Merge):
    """Inputs side by side along an axis (`keras.layers.Concatenate`).

    Parameters
    ----------
    axis : int

    Inputs have the same shapes but along `axis`. Masks are made as wide as their inputs and
    laid side by side, those of inputs without one open; a step is open where anything is.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> Concatenate()([np.array([[1.0, 2.0]]), np.array([[3.0]])])
    array([[1., 2., 3.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def convert(self, inputs: Any) -> Any:
        """Return the inputs as a list of arrays of the layer's type."""
        if not isinstance(inputs, list | tuple):
            self.check_shapes(np.shape(inputs))
        return super().convert(inputs)

    def check_shapes(self, shapes: Any) -> None:
        """Raise ValueError unless the shapes are one but along the axis."""
        if not shapes or not all(isinstance(shape, list | tuple) for shape in shapes):
            raise ValueError(
                "A `Concatenate` layer should be called on a list of at least 1 input. Received: "
                f"input_shape={shapes}"
            )
        ranks = {len(shape) for shape in shapes}
        fits = len(ranks) == 1 and -len(shapes[0]) <= self.axis < len(shapes[0])
        if fits:
            place = self.axis % len(shapes[0])
            others = [[*shape[:place], *shape[place + 1 :]] for shape in shapes]
            sizes = zip(*others, strict=True)
            fits = all(len(set(found) - {None}) <= 1 for found in sizes)
        if not fits:
            raise ValueError(
                "A `Concatenate` layer requires inputs with matching shapes except for the "
                f"concatenation axis. Received: input_shape={list(map(tuple, shapes))}, "
                f"axis={self.axis}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the first input, sizes along the axis added up."""
        if not isinstance(input_shape, list | tuple) or not all(
            isinstance(shape, list | tuple) for shape in input_shape
        ):
            raise ValueError(
                "A `Concatenate` layer should be called on a list of inputs. Received: "
                f"input_shape={input_shape}"
            )
        merged = list(input_shape[0])
        sizes = [shape[self.axis] for shape in input_shape]
        merged[self.axis] = None if None in sizes else sum(sizes)
        return tuple(merged)

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        """Return the inputs side by side; saves where each ends.

        A time-major sequence stays one.
        """
        self.check_input(x)
        check_masks(x, mask)
        place = self.axis % x[0].ndim
        ends = list(accumulate(part.shape[place] for part in x))
        if x[0].ndim == 3 and all(abs(part.strides[1]) > abs(part.strides[0]) for part in x):
            turned = [part.swapaxes(0, 1) for part in x]
            y = np.concatenate(turned, axis=(1, 0, 2)[place]).swapaxes(0, 1)
        else:
            y = np.concatenate(x, axis=place)
        return y, (place, ends, y.shape)

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Return the parts of dy, a list."""
        place, ends, shape = saved
        return np.split(self.gradient_like(dy, shape), ends[:-1], axis=place) if need_dx else None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where any number of a step is open; None without masks."""
        masks = check_masks(inputs, mask)
        if all(m is None for m in masks):
            return None
        wide = []
        for part, m in zip(inputs, masks, strict=True):
            closed = np.zeros(part.shape, bool)
            if m is None:
                wide.append(~closed)
            else:
                m = np.asarray(m, bool)
                wide.append(m[..., None] | closed if m.ndim < part.ndim else m)
        return np.concatenate(wide, axis=self.axis).any(axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "axis": self.axis}


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Return what `Concatenate` makes of a list of arrays (`keras.layers.concatenate`)."""
    return Concatenate(axis=axis, **kwargs)(inputs)
