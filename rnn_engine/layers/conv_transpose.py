"""`Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`."""

from typing import Any

import numpy as np

from rnn_engine.layers.base import registry
from rnn_engine.layers.conv import Filters
from rnn_engine.layers.convolving import Axis, Convolution
from rnn_engine.layers.spatial import integers


class ConvTranspose(Filters):
    """Base of the transposed convolutions: what goes back through a convolution, forward.

    Parameters
    ----------
    rank : int
    output_padding : int or tuple of int, optional
    *args, **kwargs
        See `Filters`.

    Raises
    ------
    ValueError
        If an argument is no such size, or strides and dilations are both above one.
    """

    turned = True

    def __init__(self, rank: int, output_padding: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(rank, *args, **kwargs)
        self.output_padding = output_padding
        if output_padding is not None:
            self.output_padding = integers(output_padding, rank, "output_padding", True)
            if any(p >= s for p, s in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    "`output_padding` must be strictly less than `strides` for all dimensions. "
                    f"Received: output_padding={self.output_padding}, strides={self.strides}"
                )

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return (*kernel_size, filters, channels)."""
        return (*self.kernel_size, self.filters, channels)

    def _out_size(self, axis: int, size: int | None) -> int | None:
        """Return the output's size along a spatial axis."""
        if size is None:
            return None
        stride = self.strides[axis]
        window = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        more = None if self.output_padding is None else self.output_padding[axis]
        if self.padding == "same":
            return size * stride if more is None else (size - 1) * stride + window % 2 + more
        more = max(window, stride) - window if more is None else more
        return (size - 1) * stride + window + more

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with new sizes, and the filters for the channels."""
        self.check_rank(input_shape)
        sizes = [self._out_size(i, size) for i, size in enumerate(self.spatial_of(input_shape))]
        return self.shape_of(input_shape[0], sizes, self.filters)

    def make_plan(self, sizes: tuple[int, ...]) -> tuple[Convolution, Convolution]:
        """Return the way back of a convolution of the output, and that convolution."""
        axes = [Axis(1, 1)] * (3 - self.rank)
        for i, size in enumerate(sizes):
            out, taps = self._out_size(i, size) or 0, self.kernel_size[i]
            stride, dilation = self.strides[i], self.dilation_rate[i]
            pad = 0
            if self.padding == "same":
                pad = max((size - 1) * stride + dilation * (taps - 1) + 1 - out, 0) // 2
            axes.append(Axis(out, size, taps, stride, dilation, 1, pad))
        back = Convolution(axes, self.filters, self.channels, 1, self._np_dtype)
        return back.back(), back

    def weight_gradients(
        self, x: np.ndarray, dz: np.ndarray, there: Convolution, back: Convolution
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of kernel and bias."""
        x = np.require(x, requirements=("C", "A", "W"))
        dw, _ = back.weight_gradient(dz, x)
        db = dz.reshape(-1, self.filters).sum(axis=0, dtype=np.float64)
        return dw, db.astype(self._np_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "output_padding": self.output_padding}


@registry.register("Conv1DTranspose")
class Conv1DTranspose(ConvTranspose):
    """The way back of a `Conv1D`: a longer sequence (`keras.layers.Conv1DTranspose`).

    Parameters
    ----------
    filters, kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv1D`, without ``"causal"``; strides make the output larger.
    output_padding : int or tuple of int, optional
        Places at the end of each axis, smaller than the stride, that are added to the least size
        of the output. None: the size that `padding` and `strides` give.
    activation, use_bias, kernel_*, bias_*
        As in `Dense`; the kernel has shape (*kernel_size, filters, channels).

    Examples
    --------
    >>> layer = Conv1DTranspose(1, 2, strides=2, kernel_initializer="ones")
    >>> layer(np.float32([[[1.0], [2.0]]])).ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            1, output_padding, filters, kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


@registry.register("Conv2DTranspose")
class Conv2DTranspose(ConvTranspose):
    """The way back of a `Conv2D`: a larger image (`keras.layers.Conv2DTranspose`).

    Parameters
    ----------
    filters, kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv2D`, without ``"causal"``; strides make the output larger.
    output_padding : int or tuple of int, optional
        Places at the end of each axis, smaller than the stride, that are added to the least size
        of the output. None: the size that `padding` and `strides` give.
    activation, use_bias, kernel_*, bias_*
        As in `Dense`; the kernel has shape (*kernel_size, filters, channels).

    Examples
    --------
    >>> Conv2DTranspose(4, 3, strides=2, padding="same")(np.ones((2, 8, 6, 3))).shape
    (2, 16, 12, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            2, output_padding, filters, kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


@registry.register("Conv3DTranspose")
class Conv3DTranspose(ConvTranspose):
    """The way back of a `Conv3D` (`keras.layers.Conv3DTranspose`).

    Parameters
    ----------
    filters, kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv3D`, without ``"causal"``; strides make the output larger.
    output_padding : int or tuple of int, optional
        Places at the end of each axis, smaller than the stride, that are added to the least size
        of the output. None: the size that `padding` and `strides` give.
    activation, use_bias, kernel_*, bias_*
        As in `Dense`; the kernel has shape (*kernel_size, filters, channels).

    Examples
    --------
    >>> Conv3DTranspose(2, 2, strides=2)(np.ones((1, 2, 3, 4, 3))).shape
    (1, 4, 6, 8, 2)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            3, output_padding, filters, kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
