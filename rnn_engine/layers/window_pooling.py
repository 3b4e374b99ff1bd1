"""Pooling over windows: `MaxPooling1D`, `AveragePooling1D` and theirs over two and three axes."""

import math
from typing import Any

import numpy as np

from rnn_engine.kernels import pooling as kernels
from rnn_engine.kernels import threads
from rnn_engine.layers.base import registry
from rnn_engine.layers.reshaping import check_data_format
from rnn_engine.layers.spatial import Spatial, integers, out_size, padding_name, window_axis


class Windows(Spatial):
    """Base of the layers that make one number of each window, channel by channel.

    Subclasses say where the windows begin and end; which number it is, `is_max`.
    """

    is_max = False

    def bounds(self, sizes: tuple[int, ...]) -> list[list[tuple[int, int]]]:
        """Return, for each axis, where each window begins and ends in an input of these sizes."""
        raise TypeError(f"{type(self).__name__} must define bounds(sizes).")

    def create_weights(self, input_shape: Any) -> None:
        """Check the shape."""
        self._shape_below(input_shape)

    def check_input(self, x: np.ndarray) -> None:
        """Raise ValueError unless x has the right axes, none empty, and room for a window."""
        self.check_rank(x.shape)
        if 0 in x.shape:
            raise ValueError(f"The input of layer {self.name!r} has an empty axis: {x.shape}.")
        self._shape_below(x.shape)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return a number for each window; saves where the windows and largest numbers are."""
        self.check_input(x)
        inner = self.inward(x)
        missing = 3 - self.rank
        sizes = (1,) * missing + inner.shape[1:-1]
        found = [[(0, 1)]] * missing + self.bounds(inner.shape[1:-1])
        bounds = np.array([pair for axis in found for pair in axis], np.int64)
        shape = (len(x), *map(len, found), inner.shape[-1])
        y = np.empty(shape, self._np_dtype)
        where = np.empty(shape if self.is_max and training else (0,) * 5, np.int32)
        steps = [stride // inner.itemsize for stride in inner.strides[:-1]]
        strides = np.array([steps[0], *[0] * missing, *steps[1:]], np.int64)
        args = (
            inner[(0,) * (self.rank + 1)][:1], strides, bounds, np.array(sizes, np.int64), y, where,
        )  # fmt: skip
        tasks = threads.tasks(2 * self._work(found, y), len(x))
        serial, shared = (
            (kernels.pool_max, kernels.pool_max_tasks)
            if self.is_max
            else (kernels.pool_mean, kernels.pool_mean_tasks)
        )
        if tasks == 1:
            serial(*args, 0, len(x))
        else:
            shared(*args, tasks)
        out = self.outward(y.reshape(len(x), *shape[1 + missing :]))
        return out, (inner, sizes, found, bounds, where, shape, out.shape)

    @staticmethod
    def _work(found: Any, y: np.ndarray) -> int:
        """Return how many numbers the windows hold, about."""
        return y.size * math.prod(max(stop - begin for begin, stop in axis) for axis in found)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dx."""
        if not need_dx:
            return None
        x, sizes, found, bounds, where, shape, out = saved
        dy = self.gradient_like(dy, out)
        if self.data_format == "channels_first":
            dy = np.moveaxis(dy, 1, -1)
        slopes = np.require(dy, requirements=("C", "A", "W")).reshape(shape)
        batch, channels = shape[0], shape[-1]
        dx = np.empty((batch, *sizes, channels), self._np_dtype)
        tasks = threads.tasks(2 * self._work(found, slopes), batch)
        if self.is_max:
            if not where.size:  # it was a prediction that is gone back through
                where = self._largest(x, sizes, bounds, shape)
            args: Any = (
                slopes.reshape(batch, -1, channels), where.reshape(batch, -1, channels),
                dx.reshape(batch, -1, channels),
            )  # fmt: skip
            serial, shared = kernels.pool_max_back, kernels.pool_max_back_tasks
        else:
            args = (slopes, bounds, dx)
            serial, shared = kernels.pool_mean_back, kernels.pool_mean_back_tasks
        if tasks == 1:
            serial(*args, 0, batch)
        else:
            shared(*args, tasks)
        return self.outward(dx.reshape(x.shape))

    def _largest(self, x: np.ndarray, sizes: Any, bounds: Any, shape: Any) -> np.ndarray:
        """Return the places of the largest numbers."""
        where = np.empty(shape, np.int32)
        x = np.require(x, requirements=("C", "A", "W")).reshape(len(x), *sizes, x.shape[-1])
        strides = np.array([stride // x.itemsize for stride in x.strides[:-1]], np.int64)
        kernels.pool_max(x[0, 0, 0, 0, :1], strides, bounds, np.array(sizes, np.int64),
                         np.empty(shape, x.dtype), where, 0, len(x))  # fmt: skip
        return where


class Pooling(Windows):
    """Base of the pooling layers over windows of one size.

    Parameters
    ----------
    pool_size : int or tuple of int
        Size of a window.
    strides : int or tuple of int, optional
        Distance of windows; `pool_size` if None.
    padding : str
        ``"valid"``: windows inside the input; ``"same"``: windows may reach over its ends,
        where nothing counts.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.

    As in Keras, masks have no effect and end here with a warning.

    Raises
    ------
    ValueError
        If an argument is none of these, or a window is larger than the input.
    """

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = integers(pool_size, self.rank, "pool_size")
        self.strides = integers(pool_size if strides is None else strides, self.rank, "strides")
        self.padding = padding_name(padding)
        self.data_format = check_data_format(data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with the number of windows for the sizes."""
        self.check_rank(input_shape)
        spatial = zip(self.spatial_of(input_shape), self.pool_size, self.strides, strict=True)
        sizes = [out_size(size, taps, stride, 1, self.padding) for size, taps, stride in spatial]
        if any(size is not None and size <= 0 for size in sizes):
            raise ValueError(
                "Computed output size would be zero or negative. Received: `inputs.shape="
                f"{tuple(input_shape)}`, `pool_size={self.pool_size}`, `strides={self.strides}`, "
                f"`padding={self.padding}`."
            )
        return self.shape_of(input_shape[0], sizes, self.channels_of(input_shape))

    def bounds(self, sizes: tuple[int, ...]) -> list[list[tuple[int, int]]]:
        """Return where the windows begin and end, what lies outside left out."""
        found = []
        for size, taps, stride in zip(sizes, self.pool_size, self.strides, strict=True):
            axis = window_axis(size, taps, stride, 1, self.padding)
            begins = [o * stride - axis.pad for o in range(axis.out)]
            found.append([(max(begin, 0), min(begin + taps, size)) for begin in begins])
        return found

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class MaxPooling(Pooling):
    """Base of the layers that take the largest number, where `pool_size` is 2 if not given.

    A NaN in a window is what comes out of it.
    """

    is_max = True

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class AveragePooling(Pooling):
    """Base of the layers that take the mean."""


@registry.register("MaxPooling1D")
class MaxPooling1D(MaxPooling):
    """Largest number of each window (`keras.layers.MaxPooling1D`).

    Of equal largest numbers the first gets the gradient.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        See `Pooling`.

    Input shape (batch, steps, channels), or channels first.

    Examples
    --------
    >>> MaxPooling1D()(np.float32([[[1.0], [4.0], [3.0], [2.0]]])).ravel()
    array([4., 3.], dtype=float32)
    """

    rank = 1


@registry.register("MaxPooling2D")
class MaxPooling2D(MaxPooling):
    """Largest number of each window (`keras.layers.MaxPooling2D`).

    Of equal largest numbers the first gets the gradient.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        See `Pooling`.

    Input shape (batch, rows, columns, channels), or channels first.

    Examples
    --------
    >>> MaxPooling2D()(np.ones((2, 6, 5, 3))).shape
    (2, 3, 2, 3)
    """

    rank = 2


@registry.register("MaxPooling3D")
class MaxPooling3D(MaxPooling):
    """Largest number of each window (`keras.layers.MaxPooling3D`).

    Of equal largest numbers the first gets the gradient; TensorFlow gives it to each of them.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        See `Pooling`.

    Input shape (batch, depth, rows, columns, channels), or channels first.

    Examples
    --------
    >>> MaxPooling3D()(np.ones((1, 2, 6, 5, 3))).shape
    (1, 1, 3, 2, 3)
    """

    rank = 3


@registry.register("AveragePooling1D")
class AveragePooling1D(AveragePooling):
    """Mean of each window (`keras.layers.AveragePooling1D`).

    What padding adds does not count.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        See `Pooling`.

    Input shape (batch, steps, channels), or channels first.

    Examples
    --------
    >>> AveragePooling1D(2)(np.float32([[[1.0], [4.0], [3.0], [2.0]]])).ravel()
    array([2.5, 2.5], dtype=float32)
    """

    rank = 1


@registry.register("AveragePooling2D")
class AveragePooling2D(AveragePooling):
    """Mean of each window (`keras.layers.AveragePooling2D`).

    What padding adds does not count.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        See `Pooling`.

    Input shape (batch, rows, columns, channels), or channels first.

    Examples
    --------
    >>> AveragePooling2D(2, padding="same")(np.ones((2, 6, 5, 3))).shape
    (2, 3, 3, 3)
    """

    rank = 2


@registry.register("AveragePooling3D")
class AveragePooling3D(AveragePooling):
    """Mean of each window (`keras.layers.AveragePooling3D`).

    What padding adds does not count.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        See `Pooling`.

    Input shape (batch, depth, rows, columns, channels), or channels first.

    Examples
    --------
    >>> AveragePooling3D(2)(np.ones((1, 2, 6, 5, 3))).shape
    (1, 1, 3, 2, 3)
    """

    rank = 3
