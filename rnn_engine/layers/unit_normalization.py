"""`UnitNormalization`, and the division by a length that `Dot` shares."""

from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer, registry

_SMALLEST = 1e-12  # what Keras's layer takes for the least length


def unit(x: np.ndarray, axis: Any, epsilon: float) -> Any:
    """Return y = x / max(|x|, epsilon) along an axis or several, and what goes back with it."""
    x = np.ascontiguousarray(x)  # NumPy's order of a sum follows the layout
    squares = (x * x).sum(axis=axis, keepdims=True)
    most = x.dtype.type(1 / epsilon)
    with np.errstate(divide="ignore"):
        inverse = 1 / np.sqrt(squares)
    free = inverse <= most
    inverse = np.minimum(inverse, most)
    return x * inverse, (inverse, free)


def unit_backward(dy: np.ndarray, y: np.ndarray, kept: Any, axis: Any) -> np.ndarray:
    """Return dx = (dy - y Σ dy y) / |x|, without the second term where epsilon is the larger."""
    inverse, free = kept
    along = (np.ascontiguousarray(dy) * y).sum(axis=axis, keepdims=True) * free
    return (dy - y * along) * inverse


@registry.register()
class UnitNormalization(Layer):
    """Divides by the length along an axis, or several (`keras.layers.UnitNormalization`).

    Parameters
    ----------
    axis : int, list or tuple of int

    Output shape = input shape.

    Raises
    ------
    TypeError
        If `axis` is neither.

    Examples
    --------
    >>> UnitNormalization()(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, list | tuple):
            self.axis: Any = list(axis)
        elif isinstance(axis, int):
            self.axis = axis
        else:
            raise TypeError(
                "Invalid value for `axis` argument: expected an int or a list/tuple of ints. "
                f"Received: axis={axis}"
            )

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x divided by its lengths."""
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        axes = axis if isinstance(axis, tuple) else (axis,)
        if any(not -x.ndim <= a < x.ndim for a in axes):
            raise ValueError(
                f"axis={self.axis} of layer {self.name!r} is out of bounds for an input of shape "
                f"{x.shape}."
            )
        y, kept = unit(x, axis, _SMALLEST)
        return y, (y, kept, axis)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dx."""
        y, kept, axis = saved
        return unit_backward(self.gradient_like(dy, y.shape), y, kept, axis) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "axis": self.axis}
