"""`BaseConv`: what all convolutions share, of whatever kernels: windows, channels and the bias."""

from typing import Any

import numpy as np

from rnn_engine import activations
from rnn_engine.checks import compact, unfit
from rnn_engine.layers.spatial import Spatial, out_sizes


class BaseConv(Spatial):
    """Base of the layers of weights, a bias and an activation over windows.

    Subclasses read the arguments and say how many channels come out, `_out_channels`.
    """

    _tells_of_penalty = True

    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]
    padding: str
    activation: activations.Activation
    use_bias: bool
    bias_initializer: Any
    bias_regularizer: Any
    bias_constraint: Any
    channels: int

    def _check_strides(self) -> None:
        """Raise ValueError if both strides and dilations are above one."""
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides > 1` not supported in conjunction with `dilation_rate > 1`. Received: "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}"
            )

    def _out_channels(self, channels: int) -> int:
        """Return the channels of the output for so many of the input."""
        raise TypeError(f"{type(self).__name__} must define _out_channels(channels).")

    def _known_channels(self, input_shape: Any) -> int:
        """Return the channels of a shape to build for; ValueError if they are not known."""
        self.check_rank(input_shape)
        channels = self.channels_of(input_shape)
        if channels is None:
            raise ValueError(
                f"The channels of the input of layer {self.name!r} must be known, got shape "
                f"{tuple(input_shape)}."
            )
        return int(channels)

    def check_input(self, x: np.ndarray) -> None:
        """Raise ValueError unless x has the axes and channels the layer was built for."""
        self.check_rank(x.shape)
        if self.channels_of(x.shape) != self.channels or 0 in x.shape:
            raise unfit(
                self.name,
                f"{self.channels} channels ({self.data_format}) and no empty axis, but received "
                f"input with shape {x.shape}",
            )
        self._shape_below(x.shape)

    def _add_bias(self) -> Any:
        """Create the bias, one number for each channel of the output, or return None."""
        if not self.use_bias:
            return None
        return self.add_weight(
            (self._out_channels(self.channels),),
            self.bias_initializer,
            "bias",
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with new sizes and channels.

        Raises
        ------
        ValueError
            If a window is larger than the input.
        """
        self.check_rank(input_shape)
        sizes = out_sizes(self, self.spatial_of(input_shape), f"shape={tuple(input_shape)}")
        channels = self.channels_of(input_shape)
        return self.shape_of(input_shape[0], sizes, self._out_channels(channels))

    def proved(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return a gradient by the output, of its shape, with channels last and compact."""
        dy = self.gradient_like(dy, self.outward(y).shape)
        return compact(np.moveaxis(dy, 1, -1) if self.data_format == "channels_first" else dy)

    def _windows_config(self) -> dict[str, Any]:
        """Return the arguments that do not depend on what the weights are."""
        return {
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
