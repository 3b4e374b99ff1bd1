"""Larger sequences and images: `UpSampling1D`, `UpSampling2D`, `UpSampling3D`."""

from typing import Any

import numpy as np

from rnn_engine.checks import check_memory
from rnn_engine.layers.base import registry
from rnn_engine.layers.reshaping import check_data_format
from rnn_engine.layers.spatial import Spatial, integers


class UpSampling(Spatial):
    """Base of the layers that make several places of each, by repeating it.

    As in Keras, masks end here with a warning.
    """

    sizes: tuple[int, ...]

    def create_weights(self, input_shape: Any) -> None:
        """Check the shape."""
        self.check_rank(input_shape)

    def check_input(self, x: np.ndarray) -> None:
        """Raise ValueError unless x has the right axes."""
        self.check_rank(x.shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with the sizes multiplied."""
        self.check_rank(input_shape)
        sizes = [
            None if n is None else n * factor
            for factor, n in zip(self.sizes, self.spatial_of(input_shape), strict=True)
        ]
        return self.shape_of(input_shape[0], sizes, self.channels_of(input_shape))

    @property
    def _first(self) -> int:
        """The first spatial axis."""
        return 1 if self.data_format == "channels_last" else 2

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x with each place repeated along each axis."""
        self._prove(x)
        for i, factor in enumerate(self.sizes):
            x = x.repeat(factor, axis=self._first + i)
        return x, x.shape

    def _prove(self, x: np.ndarray) -> None:
        self.check_input(x)
        shape = self._shape_below(x.shape)
        check_memory(f"The output of layer {self.name!r}", shape, x.dtype)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return the sums over the places that were made of one."""
        dy = self.gradient_like(dy, saved)
        for i, factor in enumerate(self.sizes):
            axis = self._first + i
            parts = dy.reshape(*dy.shape[:axis], -1, factor, *dy.shape[axis + 1 :])
            dy = parts.sum(axis=axis + 1)
        return dy


@registry.register("UpSampling1D")
class UpSampling1D(UpSampling):
    """Repeats each step of a sequence (`keras.layers.UpSampling1D`).

    Parameters
    ----------
    size : int

    Input shape (batch, steps, channels).

    Raises
    ------
    TypeError, ValueError
        If `size` is no integer, or not above zero.

    Examples
    --------
    >>> UpSampling1D(2)(np.float32([[[1.0], [2.0]]])).ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    rank = 1
    data_format = "channels_last"

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"Expected an integer value for `size`, got {type(size)}.")
        if size <= 0:
            raise ValueError(f"Argument `size` should be a positive integer. Received: size={size}")
        self.size = size
        self.sizes = (size,)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "size": self.size}


@registry.register("UpSampling2D")
class UpSampling2D(UpSampling):
    """Makes rows and columns more (`keras.layers.UpSampling2D`).

    Parameters
    ----------
    size : int or pair of int
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.
    interpolation : str
        ``"nearest"``: places are repeated; ``"bilinear"``: they lie on lines between the
        middles of the given ones. Keras's ``"bicubic"`` and ``"lanczos"`` are not offered.

    Input shape (batch, rows, columns, channels), or channels first.

    Raises
    ------
    ValueError
        If `size` or `interpolation` is something else.

    Examples
    --------
    >>> UpSampling2D()(np.ones((2, 3, 4, 5))).shape
    (2, 6, 8, 5)
    """

    rank = 2

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)
        self.size = self.sizes = integers(size, 2, "size")
        self.interpolation = str(interpolation).lower()
        if self.interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f'`interpolation` must be "nearest" or "bilinear". Received: interpolation='
                f"{interpolation!r}"
            )

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the larger image."""
        if self.interpolation == "nearest":
            return super().forward(x)
        self._prove(x)
        for i, factor in enumerate(self.sizes):
            axis = self._first + i
            low, share = _between(x.shape[axis], factor, x, axis)
            high = np.minimum(low + 1, x.shape[axis] - 1)
            below = x.take(low, axis)
            x = below + (x.take(high, axis) - below) * share
        return x, x.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return what of each place's gradient comes from the places between it and others."""
        if self.interpolation == "nearest":
            return super().backward(dy, saved)
        dy = self.gradient_like(dy, saved)
        for i, factor in reversed(list(enumerate(self.sizes))):
            axis = self._first + i
            size = dy.shape[axis] // factor
            low, share = _between(size, factor, dy, axis)
            high = np.minimum(low + 1, size - 1)
            turned = np.moveaxis(dy, axis, 0)
            upper = np.moveaxis(dy * share, axis, 0)
            dx = np.zeros((size, *turned.shape[1:]), dy.dtype)
            np.add.at(dx, low, turned - upper)
            np.add.at(dx, high, upper)
            dy = np.moveaxis(dx, 0, axis)
        return dy

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
            "interpolation": self.interpolation,
        }


def _between(size: int, factor: int, like: np.ndarray, axis: int) -> Any:
    """Return, for each new place, the given one before it and its share of the one behind.

    Middles of places stand at half numbers; before the first and behind the last one that is
    what there is.
    """
    at = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    low = np.floor(at).astype(np.int64)
    share = (at - low).astype(like.dtype)
    return low, share.reshape(-1, *[1] * (like.ndim - axis - 1))


@registry.register("UpSampling3D")
class UpSampling3D(UpSampling):
    """Repeats depths, rows and columns (`keras.layers.UpSampling3D`).

    Parameters
    ----------
    size : int or three of int
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.

    Input shape (batch, depth, rows, columns, channels), or channels first.

    Examples
    --------
    >>> UpSampling3D()(np.ones((1, 2, 3, 4, 5))).shape
    (1, 4, 6, 8, 5)
    """

    rank = 3

    def __init__(
        self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)
        self.size = self.sizes = integers(size, 3, "size")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}
