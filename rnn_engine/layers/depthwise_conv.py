"""`DepthwiseConv1D`, `DepthwiseConv2D`."""

from typing import Any

import numpy as np

from rnn_engine.checks import compact
from rnn_engine.layers.activated import Activated
from rnn_engine.layers.base import registry
from rnn_engine.layers.depthwise import ByChannel


class DepthwiseConv(ByChannel):
    """Base of the depthwise convolutions."""

    def create_kernels(self) -> None:
        """Create the kernel (*kernel_size, channels, depth_multiplier)."""
        self.kernel = self.add_taps("kernel")

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return y and what backward needs."""
        self.check_input(x)
        shape = self._shape_below(x.shape)
        inner = self.inward(x)
        count = self._out_channels(self.channels)
        bias = np.zeros(count, self._np_dtype) if self.bias is None else self.bias.value
        z = self.apply_taps(inner, self.kernel.value, bias)
        z = z.reshape(len(x), *self.spatial_of(shape), count)
        y = Activated(self.activation, z)
        return self.outward(y.value), (inner, y)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of the weights; return dx, or None."""
        x, y = saved
        dz = compact(y.back(self.proved(dy, y.value)))
        self.add_bias_gradient(dz)
        flat = dz.reshape(len(dz), -1, dz.shape[-1])
        dw, dx = self.taps_gradients(x, self.kernel.value, flat, need_dx)
        grad = self.kernel.grad
        grad += dw
        return self.outward(dx) if need_dx else None


@registry.register("DepthwiseConv1D")
class DepthwiseConv1D(DepthwiseConv):
    """Convolution of each channel by itself (`keras.layers.DepthwiseConv1D`).

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv1D`, without ``"causal"``.
    depth_multiplier : int
        Channels of the output for each of the input.
    activation, use_bias, bias_*
        As in `Dense`.
    depthwise_initializer, depthwise_regularizer, depthwise_constraint
        Of the kernel (*kernel_size, channels, depth_multiplier).

    Examples
    --------
    >>> layer = DepthwiseConv1D(2, depthwise_initializer="ones")
    >>> layer(np.float32([[[1.0, 10.0], [2.0, 20.0]]])).ravel()
    array([ 3., 30.], dtype=float32)
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            1, kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate,
            activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer,
            bias_regularizer, activity_regularizer, depthwise_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


@registry.register("DepthwiseConv2D")
class DepthwiseConv2D(DepthwiseConv):
    """Convolution of each channel by itself (`keras.layers.DepthwiseConv2D`).

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv2D`, without ``"causal"``.
    depth_multiplier : int
        Channels of the output for each of the input.
    activation, use_bias, bias_*
        As in `Dense`.
    depthwise_initializer, depthwise_regularizer, depthwise_constraint
        Of the kernel (*kernel_size, channels, depth_multiplier).

    Examples
    --------
    >>> DepthwiseConv2D(3, depth_multiplier=2)(np.ones((2, 8, 6, 4))).shape
    (2, 6, 4, 8)
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            2, kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate,
            activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer,
            bias_regularizer, activity_regularizer, depthwise_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
