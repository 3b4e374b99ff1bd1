"""What depthwise and separable convolutions share: arguments, and each channel with its taps."""

from itertools import product
from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.kernels import depthwise as kernels
from rnn_engine.kernels import threads
from rnn_engine.layers.base_conv import BaseConv
from rnn_engine.layers.reshaping import check_data_format
from rnn_engine.layers.spatial import integers, padding_name, strictly_positive, window_axes


class ByChannel(BaseConv):
    """Base of the layers that convolve each channel with taps of its own.

    Parameters
    ----------
    rank : int
        Spatial axes.
    kernel_size, strides, padding, data_format, dilation_rate
        As in `Conv1D`.
    depth_multiplier : int
        Channels of the output for each of the input.
    activation, use_bias, bias_*
        As in `Dense`.
    depthwise_initializer, depthwise_regularizer, depthwise_constraint
        Of the taps.
    """

    def __init__(
        self,
        rank: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        depth_multiplier: int,
        data_format: str | None,
        dilation_rate: Any,
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.rank = rank
        self.kernel_size = integers(kernel_size, rank, "kernel_size")
        self.strides = integers(strides, rank, "strides")
        self.dilation_rate = integers(dilation_rate, rank, "dilation_rate")
        self.padding = padding_name(padding)
        self.depth_multiplier = strictly_positive(depth_multiplier, "depth_multiplier")
        self.data_format = check_data_format(data_format)
        self._check_strides()
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None
        self._places: dict[Any, np.ndarray] = {}

    def _out_channels(self, channels: int) -> int:
        """Return the channels of the output for so many of the input."""
        return channels * self.depth_multiplier

    def create_weights(self, input_shape: Any) -> None:
        """Create the taps, what a subclass has besides, and the bias."""
        channels = self._known_channels(input_shape)
        self._shape_below(input_shape)
        self.channels = channels
        self.create_kernels()
        self.bias = self._add_bias()

    def create_kernels(self) -> None:
        """Create the weights before the bias."""
        raise TypeError(f"{type(self).__name__} must define create_kernels().")

    def add_taps(self, name: str) -> Any:
        """Create the taps of each channel."""
        return self.add_weight(
            (*self.kernel_size, self.channels, self.depth_multiplier),
            self.depthwise_initializer,
            name,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )

    # --- each channel with its taps ---------------------------------------------------

    def _places_of(self, sizes: tuple[int, ...]) -> np.ndarray:
        """Return the place, in an input of these sizes, of each tap of each output."""
        found = self._places.get(sizes)
        if found is None:
            axes = window_axes(self, sizes)
            rows = []
            for output in product(*(range(axis.out) for axis in axes)):
                places = [axis.places(o) for axis, o in zip(axes, output, strict=True)]
                row = []
                for place in product(*places):
                    at = 0
                    for size, p in zip(sizes, place, strict=True):
                        at = at * size + p
                    row.append(-1 if min(place) < 0 else at)
                rows.append(row)
            found = self._places[sizes] = np.array(rows, np.int64)
        return found

    def _spread(self, x: np.ndarray) -> Any:
        """Return where x begins, `depth_multiplier` times each channel, and its strides."""
        if self.depth_multiplier > 1:
            x = x.repeat(self.depth_multiplier, axis=-1)
        # Places along several axes are counted as one.
        x = x if self.rank == 1 else np.require(x, requirements=("C", "A", "W"))
        strides = np.array([x.strides[0], x.strides[-2]], np.int64) // x.itemsize
        return x, x[(0,) * (x.ndim - 1)][:1], strides

    def apply_taps(self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Return (batch, outputs, channels) for x with its channels last."""
        places = self._places_of(x.shape[1:-1])
        w = kernel.reshape(-1, self.channels * self.depth_multiplier)
        x, start, strides = self._spread(x)
        y = np.empty((len(x), len(places), w.shape[1]), self._np_dtype)
        tasks = threads.tasks(y.size * len(w), len(x))
        if tasks == 1:
            kernels.depthwise(start, strides, places, w, bias, y, 0, len(y))
        else:
            kernels.depthwise_tasks(start, strides, places, w, bias, y, tasks)
        return y

    def taps_gradients(
        self, x: np.ndarray, kernel: np.ndarray, dz: np.ndarray, need_dx: bool
    ) -> tuple[np.ndarray, Any]:
        """Return the gradients by the taps and by x; dz is (batch, outputs, channels)."""
        shape, places = x.shape, self._places_of(x.shape[1:-1])
        w = kernel.reshape(-1, self.channels * self.depth_multiplier)
        x, start, strides = self._spread(x)
        count = int(np.prod(shape[1:-1]))
        dx = np.empty((len(x), count, w.shape[1]) if need_dx else (0, 0, 0), self._np_dtype)
        dw = np.empty((len(x), *w.shape))
        args = (start, strides, places, w, dz, dw, dx)
        tasks = threads.tasks(2 * dz.size * len(w), len(x))
        if tasks == 1:
            kernels.depthwise_back(*args, 0, len(dz))
        else:
            kernels.depthwise_back_tasks(*args, tasks)
        slope = dw.sum(axis=0).reshape(kernel.shape).astype(self._np_dtype)
        if not need_dx:
            return slope, None
        if self.depth_multiplier > 1:
            dx = dx.reshape(len(dx), count, self.channels, self.depth_multiplier).sum(axis=-1)
        return slope, dx.reshape(shape)

    def add_bias_gradient(self, dz: np.ndarray) -> None:
        """Add the sums of dz, channels last, to the gradient of the bias."""
        if self.bias is not None:
            grad = self.bias.grad
            grad += dz.reshape(-1, dz.shape[-1]).sum(axis=0, dtype=np.float64).astype(grad.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            **self._windows_config(),
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "depthwise_constraint": constraints.serialize(self.depthwise_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
