"""What layers over one to three spatial axes share: arguments, sizes, where channels stand."""

from typing import Any

import numpy as np

from rnn_engine.checks import wrong_rank
from rnn_engine.layers.base import Layer
from rnn_engine.layers.convolving import Axis

# What the spatial axes of one, two and three are called.
AXES = ("steps", "rows, columns", "depth, rows, columns")


def integers(value: Any, rank: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """Return a size for each axis from one for all, or from a sequence of them.

    Raises
    ------
    ValueError
        If it is neither, or a size is too small.
    """
    message = f"The `{name}` argument must be a tuple of {rank} integers. Received {name}={value}"
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        sizes: tuple[Any, ...] = (int(value),) * rank
    else:
        try:
            sizes = tuple(value)
        except TypeError:
            raise ValueError(message) from None
    whole = all(isinstance(size, int | np.integer) for size in sizes)
    if len(sizes) != rank or not whole:
        raise ValueError(message)
    wrong = {size for size in sizes if size < (0 if allow_zero else 1)}
    if wrong:
        bound = ">= 0" if allow_zero else "> 0"
        raise ValueError(f"{message}, including values {wrong} that do not satisfy `value {bound}`")
    return tuple(int(size) for size in sizes)


def strictly_positive(value: Any, name: str) -> int:
    """Return a number of filters, or of channels of each.

    Raises
    ------
    ValueError
        If it is no positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value <= 0:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a strictly positive value. Received "
            f"{name}={value!r}."
        )
    return int(value)


def padding_name(value: Any, allow_causal: bool = False) -> str:
    """Return ``"valid"``, ``"same"`` or, where it is allowed, ``"causal"``.

    Raises
    ------
    ValueError
        If `value` is none of them.
    """
    allowed = ("valid", "same", "causal") if allow_causal else ("valid", "same")
    name = value.lower() if isinstance(value, str) else value
    if name not in allowed:
        raise ValueError(
            f"The `padding` argument must be a list/tuple or one of {set(allowed)}. Received: "
            f"{value}"
        )
    return str(name)


def out_size(size: int | None, taps: int, stride: int, dilation: int, padding: str) -> int | None:
    """Return how many windows an axis has, None if its size is not known."""
    if size is None:
        return None
    if padding == "valid":
        return (size - dilation * (taps - 1) - 1) // stride + 1
    return (size - 1) // stride + 1


def out_sizes(layer: Any, sizes: Any, given: str) -> tuple[Any, ...]:
    """Return how many windows a convolution has along each axis.

    `given` says in the error what the user gave.

    Raises
    ------
    ValueError
        If a window is larger than the input.
    """
    settings = zip(sizes, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    found = tuple(out_size(*setting, layer.padding) for setting in settings)
    if any(size is not None and size <= 0 for size in found):
        raise ValueError(
            f"Computed output size would be zero or negative. Received `inputs {given}`, "
            f"`kernel size={layer.kernel_size}`, `dilation_rate={layer.dilation_rate}`, "
            f"`strides={layer.strides}`, `padding={layer.padding}`."
        )
    return found


def window_axes(layer: Any, sizes: Any) -> list[Axis]:
    """Return a convolution's windows along each axis of an input of these sizes."""
    settings = zip(sizes, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    return [window_axis(*setting, layer.padding) for setting in settings]


def window_axis(size: int, taps: int, stride: int, dilation: int, padding: str) -> Axis:
    """Return an axis with the zeros of a padding in front of it."""
    out = out_size(size, taps, stride, dilation, padding) or 0
    pad = 0
    if padding == "causal":
        pad = dilation * (taps - 1)
    elif padding == "same":
        pad = max((out - 1) * stride + dilation * (taps - 1) + 1 - size, 0) // 2
    return Axis(size, out, taps, stride, dilation, 1, pad)


class Spatial(Layer):
    """Base of the layers over `rank` spatial axes with channels behind or before them.

    As in Keras a mask ends here.
    """

    supports_masking = False
    rank: int
    data_format: str

    def check_rank(self, shape: Any) -> None:
        """Raise ValueError unless a shape has batch, spatial axes and channels."""
        if len(shape) != self.rank + 2:
            axes = AXES[self.rank - 1]
            order = f"(batch, {axes}, channels)"
            if self.data_format == "channels_first":
                order = f"(batch, channels, {axes})"
            raise wrong_rank(self.name, f"ndim={self.rank + 2}", shape, order)

    def channels_of(self, shape: Any) -> Any:
        """Return the channels in a shape."""
        return shape[-1] if self.data_format == "channels_last" else shape[1]

    def spatial_of(self, shape: Any) -> tuple[Any, ...]:
        """Return the spatial sizes in a shape."""
        return tuple(shape[1:-1] if self.data_format == "channels_last" else shape[2:])

    def shape_of(self, batch: Any, sizes: Any, channels: Any) -> tuple[Any, ...]:
        """Return the shape of an array with these sizes."""
        if self.data_format == "channels_last":
            return (batch, *sizes, channels)
        return (batch, channels, *sizes)

    def inward(self, x: np.ndarray) -> np.ndarray:
        """Return an array with its channels last, and together in memory."""
        if self.data_format == "channels_first":
            x = np.moveaxis(x, 1, -1)
        together = x.strides[-1] == x.itemsize or x.shape[-1] == 1
        if together and x.flags.writeable and x.flags.aligned:
            return x
        return np.require(x, requirements=("C", "A", "W"))

    def outward(self, y: np.ndarray) -> np.ndarray:
        """Return an array with its channels where the layer has them."""
        return np.moveaxis(y, -1, 1) if self.data_format == "channels_first" else y
