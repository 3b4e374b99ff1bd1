"""`ConvLSTMCell`: the weights and the step of the layers in `conv_lstm`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine import activations
from rnn_engine.checks import compact
from rnn_engine.layers.base import Layer
from rnn_engine.layers.cell_arguments import take_weight_arguments
from rnn_engine.layers.convolving import Axis, Convolution
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.layers.reshaping import check_data_format
from rnn_engine.layers.spatial import (
    integers,
    out_sizes,
    padding_name,
    strictly_positive,
    window_axes,
    window_axis,
)
from rnn_engine.random import make_generator
from rnn_engine.variable import Variable

GATES = 4


class _Product:
    """A convolution into all four gates, or into each by itself where each drops its own inputs.

    Arrays have their channels last; those of the gates lie side by side.
    """

    def __init__(self, axes: list[Axis], channels: int, filters: int, dtype: np.dtype) -> None:
        self.channels, self.dtype = channels, dtype
        self.whole = Convolution(axes, channels, GATES * filters, 1, dtype)
        self.part = Convolution(axes, channels, filters, 1, dtype)

    def panels(self, kernel: np.ndarray, parts: bool, turned: bool = False) -> list[Any]:
        """Return the packed weights of the convolutions that run."""
        there = self.part if parts else self.whole
        plan = there.back() if turned else there
        kernels = np.split(kernel, GATES, -1) if parts else [kernel]
        return [(plan, plan.pack(np.ascontiguousarray(k), turned)) for k in kernels]

    def forward(
        self, x: np.ndarray, panels: list[Any], bias: np.ndarray, masks: np.ndarray | None
    ) -> np.ndarray:
        """Return the products (rows, ..., 4·filters) for x (rows, ..., channels)."""
        outputs = []
        for gate, (plan, packed) in enumerate(panels):
            part = bias if masks is None else np.split(bias, GATES)[gate]
            given = x if masks is None else _times(x, masks[gate])
            y = np.empty((len(x), *plan.out_shape(1)[1:]), self.dtype)
            plan.run(given, packed, np.ascontiguousarray(part), y, self.dtype.type(0) * y[:0], 0)
            outputs.append(y)
        return outputs[0] if masks is None else np.concatenate(outputs, -1)

    def backward(
        self, dz: np.ndarray, panels: list[Any], like: np.ndarray, masks: np.ndarray | None
    ) -> np.ndarray:
        """Return the gradient by x."""
        total: Any = 0
        for gate, (plan, packed) in enumerate(panels):
            given = dz if masks is None else compact(np.split(dz, GATES, -1)[gate])
            dx = np.empty(like.shape, self.dtype)
            zeros = np.zeros(self.channels, self.dtype)
            plan.run(given, packed, zeros, dx, dx.reshape(-1)[:0], 0)
            total = dx if masks is None else total + _times(dx, masks[gate])
        return np.asarray(total)

    def weight_gradients(
        self, x: np.ndarray, dz: np.ndarray, masks: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the kernel, its filters last, and of the bias."""
        if masks is None:
            dw, db = self.whole.weight_gradient(x, dz)
            return dw.reshape(*dw.shape[:-2], -1), db
        pairs = [
            self.part.weight_gradient(_times(x, mask), compact(part))
            for mask, part in zip(masks, np.split(dz, GATES, -1), strict=True)
        ]
        dws = [dw.reshape(*dw.shape[:-2], -1) for dw, _ in pairs]
        return np.concatenate(dws, -1), np.concatenate([db for _, db in pairs])


def _times(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the rows of one or of many steps, each step times the factors (batch, ...)."""
    return (x.reshape(-1, *mask.shape) * mask).reshape(x.shape)


class ConvLSTMCell(Layer):
    """The weights of a `ConvLSTM` and one step of it, with its way back.

    Parameters
    ----------
    rank : int
        Spatial axes.
    settings : dict
        The arguments of `ConvLSTM2D` that are the cell's.
    """

    def __init__(self, rank: int, settings: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rank = rank
        self.filters = strictly_positive(settings["filters"], "filters")
        self.kernel_size = integers(settings["kernel_size"], rank, "kernel_size")
        self.strides = integers(settings["strides"], rank, "strides")
        self.padding = padding_name(settings["padding"])
        self.data_format = check_data_format(settings["data_format"])
        self.dilation_rate = integers(settings["dilation_rate"], rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "Specifying `strides > 1` is not compatible with `dilation_rate > 1`. Please "
                "provide `strides=1` or `dilation_rate=1`. Received: "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        self.activation = activations.get(settings["activation"])
        self.recurrent_activation = activations.get(settings["recurrent_activation"])
        self.use_bias = bool(settings["use_bias"])
        self.unit_forget_bias = bool(settings["unit_forget_bias"])
        take_weight_arguments(self, settings)
        # As in Keras, what is no share is made the nearest one, and all or nothing drops nothing.
        self.dropout = min(1.0, max(0.0, settings["dropout"]))
        self.recurrent_dropout = min(1.0, max(0.0, settings["recurrent_dropout"]))
        self.seed = settings["seed"]
        drops = self.dropout or self.recurrent_dropout
        self._generator = make_generator(self.seed) if drops else None
        self.sizes: tuple[int, ...] = ()

    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    recurrent_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    recurrent_constraint: Any
    bias_constraint: Any

    def create_weights(self, input_shape: Any) -> None:
        """Create kernel, recurrent kernel and bias for steps (batch, ..., channels)."""
        *sizes, channels = self.last(input_shape)[1:]
        if None in sizes:
            raise ValueError(
                "ConvLSTM layers only support static input shapes for the spatial dimension. "
                f"Received invalid input shape: input_shape={tuple(input_shape)}"
            )
        if channels is None:
            raise ValueError(
                "The channel dimension of the inputs (last axis) should be defined. Found None. "
                f"Full input shape received: input_shape={tuple(input_shape)}"
            )
        self.channels, self.in_sizes = int(channels), tuple(sizes)
        self.sizes = self.out_sizes(sizes)
        wide = GATES * self.filters
        for name, channels in (("kernel", self.channels), ("recurrent_kernel", self.filters)):
            part = name.removesuffix("_kernel")
            weight = self.add_weight(
                (*self.kernel_size, channels, wide),
                getattr(self, f"{part}_initializer"),
                name,
                regularizer=getattr(self, f"{part}_regularizer"),
                constraint=getattr(self, f"{part}_constraint"),
            )
            object.__setattr__(self, name, weight)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (wide,),
                self._initial_bias() if self.unit_forget_bias else self.bias_initializer,
                "bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        none = [Axis(1, 1)] * (3 - self.rank)
        windows = none + window_axes(self, self.in_sizes)
        own = [
            window_axis(size, taps, 1, 1, "same")
            for size, taps in zip(self.sizes, self.kernel_size, strict=True)
        ]
        self.of_inputs = _Product(windows, self.channels, self.filters, self._np_dtype)
        self.of_states = _Product(none + own, self.filters, self.filters, self._np_dtype)

    kernel: Variable
    recurrent_kernel: Variable

    def _initial_bias(self) -> Any:
        def with_ones(shape: Any, dtype: Any = None) -> np.ndarray:
            sizes = [(self.filters,), (2 * self.filters,)]
            parts = [np.asarray(self.bias_initializer(size, dtype=dtype)) for size in sizes]
            for part, size in zip(parts, sizes, strict=True):
                if part.shape != size:
                    return part  # whoever asked for the weight says what is wrong
            return np.concatenate([parts[0], np.ones(self.filters, dtype), parts[1]])

        return with_ones

    def out_sizes(self, sizes: Any) -> tuple[int, ...]:
        """Return the spatial sizes of the output.

        Raises
        ------
        ValueError
            If a window is larger than the input.
        """
        return out_sizes(self, sizes, f"sizes={tuple(sizes)}")

    def last(self, shape: Any) -> tuple[Any, ...]:
        """Return a shape (batch, ...) with its channels last."""
        if self.data_format == "channels_last":
            return tuple(shape)
        return (shape[0], *shape[2:], shape[1])

    def own(self, shape: Any) -> tuple[Any, ...]:
        """Return a shape with its channels last as the cell has them."""
        if self.data_format == "channels_last":
            return tuple(shape)
        return (shape[0], shape[-1], *shape[1:-1])

    def state_shape(self, batch: Any) -> tuple[Any, ...]:
        """Return the shape of a state, channels last."""
        return (batch, *self.sizes, self.filters)

    def factors(self, rate: float, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return what dropout multiplies by, of each gate, or None."""
        if not 0 < rate < 1:
            return None
        if self._generator is None:  # a rate that was set later
            self._generator = make_generator(self.seed)
        masks = [dropout_mask(self._generator, rate, shape, self._np_dtype) for _ in range(GATES)]
        return np.stack(masks)

    def biases(self) -> np.ndarray:
        """Return the bias, zeros without one."""
        if self.bias is None:
            return np.zeros(GATES * self.filters, self._np_dtype)
        return self.bias.value

    def step(self, z: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, "SavedStep"]:
        """Return h, c and what the way back needs, for the sums of the gates."""
        zi, zf, zg, zo = (compact(part) for part in np.split(z, GATES, -1))
        inner, outer = self.activation, self.recurrent_activation
        i, f, g, o = outer(zi), outer(zf), inner(zg), outer(zo)
        new = f * c + i * g
        t = inner(new)
        sums = (zi, zf, zg, zo) if inner.from_input or outer.from_input else ()
        return o * t, new, SavedStep((i, f, g, o), sums, c, new, t)

    def step_back(
        self, dh: np.ndarray, dc: np.ndarray, saved: "SavedStep"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients by the sums of the gates and by the c before."""
        i, f, g, o = saved.gates
        zi, zf, zg, zo = saved.sums or saved.gates
        inner, outer = self.activation, self.recurrent_activation
        dc = dc + inner.backward(dh * o, saved.new if inner.from_input else saved.t)
        dz = [
            outer.backward(dc * g, zi if outer.from_input else i),
            outer.backward(dc * saved.c, zf if outer.from_input else f),
            inner.backward(dc * i, zg if inner.from_input else g),
            outer.backward(dh * saved.t, zo if outer.from_input else o),
        ]
        return np.concatenate(dz, -1), dc * f


@dataclass(slots=True)
class SavedStep:
    """What the way back of a step needs: gates and their sums, c before and after, its activation.

    `closed` are the rows that a mask left out, or None.
    """

    gates: tuple[np.ndarray, ...]
    sums: tuple[np.ndarray, ...]
    c: np.ndarray
    new: np.ndarray
    t: np.ndarray
    closed: np.ndarray | None = None
