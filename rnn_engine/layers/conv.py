"""`Conv1D`, `Conv2D`, `Conv3D`."""

from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.checks import check_memory
from rnn_engine.kernels.buffers import BufferPool
from rnn_engine.layers.base import registry
from rnn_engine.layers.base_conv import BaseConv
from rnn_engine.layers.convolving import Axis, Convolution
from rnn_engine.layers.reshaping import check_data_format
from rnn_engine.layers.spatial import integers, padding_name, strictly_positive, window_axes


class Filters(BaseConv):
    """Base of the layers of a kernel, a bias and an activation over windows.

    Parameters
    ----------
    rank : int
        Spatial axes.
    filters : int
        Channels of the output.
    kernel_size, strides, dilation_rate : int or tuple of int
    padding : str
        ``"valid"``, ``"same"``, or, over one axis, ``"causal"``.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.
    activation, use_bias, kernel_*, bias_*
        As in `Dense`.
    """

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.rank = rank
        self.filters = strictly_positive(filters, "filters")
        self.kernel_size = integers(kernel_size, rank, "kernel_size")
        self.strides = integers(strides, rank, "strides")
        self.dilation_rate = integers(dilation_rate, rank, "dilation_rate")
        self.padding = padding_name(padding, self.allows_causal and rank == 1)
        self.data_format = check_data_format(data_format)
        self._check_strides()
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self._empty = np.empty(0, self._np_dtype)
        self._buffers = BufferPool()
        self._plans: dict[Any, tuple[Convolution, Convolution]] = {}
        self._packed: dict[bool, tuple[Any, Any]] = {}

    # Whether "causal" is a padding over one axis.
    allows_causal = False

    def _out_channels(self, channels: int) -> int:
        """Return the filters."""
        return self.filters

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return the shape of the kernel for inputs of so many channels."""
        raise TypeError(f"{type(self).__name__} must define kernel_shape(channels).")

    def create_weights(self, input_shape: Any) -> None:
        """Create kernel and bias (filters,)."""
        channels = self._known_channels(input_shape)
        shape = self.kernel_shape(channels)
        self._shape_below(input_shape)
        self.channels = channels
        self.kernel = self.add_weight(
            shape,
            self.kernel_initializer,
            "kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self._no_bias = np.zeros(self.filters, self._np_dtype)
        self.bias = self._add_bias()

    # --- the way of the data --------------------------------------------------

    def plan_for(self, sizes: tuple[int, ...]) -> tuple[Convolution, Convolution]:
        """Return the convolutions there and back for inputs of some spatial sizes."""
        plan = self._plans.get(sizes)
        if plan is None:
            if len(self._plans) >= 16:
                self._plans.clear()
            plan = self._plans[sizes] = self.make_plan(sizes)
        return plan

    def make_plan(self, sizes: tuple[int, ...]) -> tuple[Convolution, Convolution]:
        """Make what `plan_for` returns."""
        raise TypeError(f"{type(self).__name__} must define make_plan(sizes).")

    def _panels(self, plan: Convolution, turned: bool) -> Any:
        """Return the packed weights for one of the two ways, packed again if written to."""
        key = self.kernel.version
        kept = self._packed.get(turned)
        if kept is None or kept[0] != key:
            kept = key, plan.pack(self.kernel.value, turned)
            self._packed[turned] = kept
        return kept[1]

    # Whether the forward pass is that of a way back: of a transposed convolution.
    turned = False

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return y and what backward needs: the input, y, and the pre-activations if needed."""
        self.check_input(x)
        inner = self.inward(x)
        there, _ = plan = self.plan_for(self.spatial_of(x.shape))
        act = self.activation
        code = act.code or 0
        shape = (len(x), *there.out_shape(1)[4 - self.rank :])
        check_memory(f"The output of layer {self.name!r}", shape, self._np_dtype)
        y = self._buffers.empty(shape, self._np_dtype)
        # The cross-entropy of a sigmoid is computed from its logits.
        keeps = code and (act.from_input or act.name == "sigmoid")
        z = self._buffers.empty(shape, self._np_dtype) if keeps else self._empty
        bias = self._no_bias if self.bias is None else self.bias.value
        panels = self._panels(there, self.turned)
        there.run(inner, panels, bias, y, z, code)
        if not keeps:
            z = y
        if act.code is None:
            y = act(y)
        return self.outward(y), (inner, y, z, plan)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of the weights; return dx, or None."""
        _, y, z, _ = saved
        dy = self.proved(dy, y)
        dz = self.activation.backward(dy, z if self.activation.from_input else y)
        return self._backward(dz, saved, need_dx)

    def logits_of(self, saved: Any) -> np.ndarray:
        """Return what softmax or sigmoid was applied to, in the shape of the output."""
        return self.outward(saved[2])

    def backward_from_logits(self, dz: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Go back from the gradient by the logits, of the shape of the output."""
        return self._backward(self.proved(dz, saved[1]), saved, need_dx)

    def _backward(self, dz: np.ndarray, saved: Any, need_dx: bool) -> Any:
        x, _, _, (there, back) = saved
        dw, db = self.weight_gradients(x, dz, there, back)
        grad = self.kernel.grad
        grad += dw.reshape(grad.shape)
        if self.bias is not None:
            grad = self.bias.grad
            grad += db
        if not need_dx:
            return None
        dx = self._buffers.empty(x.shape, self._np_dtype)
        zeros = np.zeros(self.channels, self._np_dtype)
        back.run(dz, self._panels(back, not self.turned), zeros, dx, self._empty, 0)
        return self.outward(dx)

    def weight_gradients(
        self, x: np.ndarray, dz: np.ndarray, there: Convolution, back: Convolution
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of kernel and bias."""
        return there.weight_gradient(x, dz)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "filters": self.filters,
            **self._windows_config(),
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class Conv(Filters):
    """Base of `Conv1D`, `Conv2D` and `Conv3D`: y = activation(Σ windows·kernel + bias).

    Parameters
    ----------
    rank, filters, kernel_size, strides, padding, data_format, dilation_rate
        See `Filters`.
    groups : int
        Parts of the channels that are convolved by themselves, each with its filters.
    activation, use_bias, kernel_*, bias_*
        As in `Dense`.

    Raises
    ------
    ValueError
        If an argument is no such size, strides and dilations are both above one, groups
        divide neither filters nor channels, or a window is larger than the input.
    """

    allows_causal = True

    def __init__(
        self, rank: int, filters: int, kernel_size: Any, strides: Any, padding: str,
        data_format: str | None, dilation_rate: Any, groups: int, *args: Any, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            rank, filters, kernel_size, strides, padding, data_format, dilation_rate, *args,
            **kwargs,
        )  # fmt: skip
        if isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups <= 0:
            raise ValueError(
                f"The number of groups must be a positive integer. Received: groups={groups!r}."
            )
        if self.filters % groups:
            raise ValueError(
                "The number of filters must be evenly divisible by the number of groups. Received: "
                f"groups={groups}, filters={filters}."
            )
        self.groups = int(groups)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return (*kernel_size, channels of a group, filters)."""
        if channels % self.groups:
            raise ValueError(
                "The number of input channels must be evenly divisible by the number of groups. "
                f"Received groups={self.groups}, but the input has {channels} channels."
            )
        return (*self.kernel_size, channels // self.groups, self.filters)

    def make_plan(self, sizes: tuple[int, ...]) -> tuple[Convolution, Convolution]:
        """Return the convolution there, and the one back."""
        axes = [Axis(1, 1)] * (3 - self.rank) + window_axes(self, sizes)
        there = Convolution(axes, self.channels, self.filters, self.groups, self._np_dtype)
        return there, there.back()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "groups": self.groups}


@registry.register("Conv1D")
class Conv1D(Conv):
    """Convolution over the steps of a sequence (`keras.layers.Conv1D`).

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides, dilation_rate : int or tuple of int
        Of strides and dilations only one may be above one.
    padding : str
        ``"valid"``: windows inside the input. ``"same"``: as many steps as the input, over
        `strides`, with zeros at both ends. ``"causal"``: with all zeros in front, so that no
        step sees a later one.
    data_format : str, optional
        ``"channels_last"`` (the default): (batch, steps, channels);
        ``"channels_first"``: (batch, channels, steps).
    groups : int
        Parts of the channels that are convolved by themselves.
    activation, use_bias, kernel_*, bias_*
        As in `Dense`; the kernel has shape (kernel_size, channels / groups, filters).

    As in Keras, masks have no effect and end here with a warning. Keras's `lora_rank` is
    not offered.

    Examples
    --------
    >>> layer = Conv1D(1, 2, kernel_initializer="ones")
    >>> layer(np.float32([[[1.0], [2.0], [3.0]]])).ravel()
    array([3., 5.], dtype=float32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
            1, filters, kernel_size, strides, padding, data_format, dilation_rate, groups,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


@registry.register("Conv2D")
class Conv2D(Conv):
    """Convolution over rows and columns, as of an image (`keras.layers.Conv2D`).

    Parameters
    ----------
    filters, kernel_size, strides, padding, data_format, dilation_rate, groups
        As in `Conv1D`, with an int or two for both axes, and without ``"causal"``.
    activation, use_bias, kernel_*, bias_*
        As in `Dense`; the kernel has shape (rows, columns, channels / groups, filters).

    Input shape (batch, rows, columns, channels), or channels first.

    Examples
    --------
    >>> Conv2D(4, 3, padding="same")(np.ones((2, 8, 6, 3))).shape
    (2, 8, 6, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
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
            2, filters, kernel_size, strides, padding, data_format, dilation_rate, groups,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


@registry.register("Conv3D")
class Conv3D(Conv):
    """Convolution over three axes, as of a video (`keras.layers.Conv3D`).

    Parameters
    ----------
    filters, kernel_size, strides, padding, data_format, dilation_rate, groups
        As in `Conv2D`, with an int or three.
    activation, use_bias, kernel_*, bias_*
        As in `Dense`.

    Input shape (batch, depth, rows, columns, channels), or channels first.

    Examples
    --------
    >>> Conv3D(2, 3)(np.ones((1, 4, 5, 6, 3))).shape
    (1, 2, 3, 4, 2)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1, 1),
        groups: int = 1,
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
            3, filters, kernel_size, strides, padding, data_format, dilation_rate, groups,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
