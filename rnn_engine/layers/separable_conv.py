"""`SeparableConv1D`, `SeparableConv2D`."""

from typing import Any

import numpy as np

from rnn_engine import constraints, initializers, regularizers
from rnn_engine.checks import compact
from rnn_engine.layers.activated import Activated
from rnn_engine.layers.base import registry
from rnn_engine.layers.convolving import Axis, Convolution
from rnn_engine.layers.depthwise import ByChannel
from rnn_engine.layers.spatial import strictly_positive


class SeparableConv(ByChannel):
    """Base of the separable convolutions: each channel by itself, then all of a place together.

    Parameters
    ----------
    rank, filters : int
    pointwise_initializer, pointwise_regularizer, pointwise_constraint
        Of the kernel that mixes the channels.
    *args, **kwargs
        See `ByChannel`.
    """

    def __init__(
        self, rank: int, filters: int, pointwise: tuple[Any, Any, Any], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(rank, *args, **kwargs)
        self.filters = strictly_positive(filters, "filters")
        initializer, regularizer, constraint = pointwise
        self.pointwise_initializer = initializers.get(initializer)
        self.pointwise_regularizer = regularizers.get(regularizer)
        self.pointwise_constraint = constraints.get(constraint)
        self._plans: dict[int, tuple[Convolution, Convolution]] = {}

    def _out_channels(self, channels: int) -> int:
        """Return the filters."""
        return self.filters

    def create_kernels(self) -> None:
        """Create both kernels."""
        self.depthwise_kernel = self.add_taps("depthwise_kernel")
        self.pointwise_kernel = self.add_weight(
            (*[1] * self.rank, self.channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            "pointwise_kernel",
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )

    def _plan(self, places: int) -> tuple[Convolution, Convolution]:
        """Return the convolutions, of one tap, that mix the channels and go back."""
        if places not in self._plans:
            axes = [Axis(1, 1), Axis(1, 1), Axis(places, places)]
            inner = self.channels * self.depth_multiplier
            there = Convolution(axes, inner, self.filters, 1, self._np_dtype)
            self._plans[places] = there, there.back()
        return self._plans[places]

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return y and what backward needs."""
        self.check_input(x)
        shape = self._shape_below(x.shape)
        inner = self.inward(x)
        none = np.zeros(self.channels * self.depth_multiplier, self._np_dtype)
        middle = self.apply_taps(inner, self.depthwise_kernel.value, none)
        there, _ = self._plan(middle.shape[1])
        z = np.empty((*middle.shape[:2], self.filters), self._np_dtype)
        bias = np.zeros(self.filters, self._np_dtype) if self.bias is None else self.bias.value
        panels = there.pack(self.pointwise_kernel.value, False)
        there.run(middle, panels, bias, z, np.empty(0, self._np_dtype), 0)
        z = z.reshape(len(x), *self.spatial_of(shape), self.filters)
        y = Activated(self.activation, z)
        return self.outward(y.value), (inner, middle, y)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of the weights; return dx, or None."""
        x, middle, y = saved
        dz = compact(y.back(self.proved(dy, y.value)))
        self.add_bias_gradient(dz)
        flat = dz.reshape(*middle.shape[:2], self.filters)
        there, back = self._plan(middle.shape[1])
        dw, _ = there.weight_gradient(middle, flat)
        grad = self.pointwise_kernel.grad
        grad += dw.reshape(grad.shape)
        dmiddle = np.empty(middle.shape, self._np_dtype)
        zeros = np.zeros(middle.shape[-1], self._np_dtype)
        panels = back.pack(self.pointwise_kernel.value, True)
        back.run(flat, panels, zeros, dmiddle, np.empty(0, self._np_dtype), 0)
        dw, dx = self.taps_gradients(x, self.depthwise_kernel.value, dmiddle, need_dx)
        grad = self.depthwise_kernel.grad
        grad += dw
        return self.outward(dx) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
            "pointwise_regularizer": regularizers.serialize(self.pointwise_regularizer),
            "pointwise_constraint": constraints.serialize(self.pointwise_constraint),
        }


@registry.register("SeparableConv1D")
class SeparableConv1D(SeparableConv):
    """A depthwise convolution, then one that mixes channels (`keras.layers.SeparableConv1D`).

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv1D`, of the depthwise part, without ``"causal"``.
    depth_multiplier : int
        Channels between the two for each of the input.
    activation, use_bias, bias_*
        As in `Dense`.
    depthwise_*, pointwise_*
        Initializers, regularizers and constraints of the two kernels.

    Examples
    --------
    >>> SeparableConv1D(5, 3)(np.ones((2, 8, 4))).shape
    (2, 6, 5)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            1, filters, (pointwise_initializer, pointwise_regularizer, pointwise_constraint),
            kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate,
            activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer,
            bias_regularizer, activity_regularizer, depthwise_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


@registry.register("SeparableConv2D")
class SeparableConv2D(SeparableConv):
    """A depthwise convolution, then one that mixes channels (`keras.layers.SeparableConv2D`).

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv2D`, of the depthwise part, without ``"causal"``.
    depth_multiplier : int
        Channels between the two for each of the input.
    activation, use_bias, bias_*
        As in `Dense`.
    depthwise_*, pointwise_*
        Initializers, regularizers and constraints of the two kernels.

    Examples
    --------
    >>> SeparableConv2D(5, 3, padding="same")(np.ones((2, 8, 6, 4))).shape
    (2, 8, 6, 5)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            2, filters, (pointwise_initializer, pointwise_regularizer, pointwise_constraint),
            kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate,
            activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer,
            bias_regularizer, activity_regularizer, depthwise_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
