"""`Dense`."""

import warnings
from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.checks import compact, input_axes, positive_int, unknown_size, wrong_rank
from rnn_engine.kernels import dense as kernels
from rnn_engine.kernels import threads
from rnn_engine.kernels.buffers import BufferPool
from rnn_engine.kernels.outer import BLOCK
from rnn_engine.layers.base import Layer, registry

# Weights that training, where each step has new ones, does not pack all at once: with more than
# 64 KiB of them the packed ones would leave the first-level cache before they are used.
_MANY = 16384
# Rows of the batch that one call of a kernel takes at least, whole blocks of the sums in the
# weight gradients: each call reads, and most pack, all weights.
_ROWS = 4 * BLOCK


@registry.register()
class Dense(Layer):
    """y = activation(x·kernel + bias) over the last axis (`keras.layers.Dense`).

    Parameters
    ----------
    units : int
        Size of the output's last axis.
    activation : str or Activation, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer : Regularizer, optional
    kernel_constraint, bias_constraint : Constraint, optional

    Input shape (..., features), at least two axes; output shape (..., units).

    Raises
    ------
    ValueError
        If `units` is not a positive integer or a name is unknown.

    Examples
    --------
    >>> layer = Dense(2, kernel_initializer="ones")
    >>> layer(np.ones((1, 3), np.float32))
    array([[3., 3.]], dtype=float32)
    """

    _sizes = ("features",)

    def __init__(
        self,
        units: int,
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
        self.units = positive_int(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._empty = np.empty((0, 0), self._np_dtype)
        self._packed: tuple[Any, Any] = (None, None)
        self._buffers = BufferPool()

    def create_weights(self, input_shape: Any) -> None:
        """Create kernel (features, units) and bias (units,)."""
        if len(input_shape) < 2:
            raise wrong_rank(self.name, "min_ndim=2", input_shape)
        if input_shape[-1] is None:
            raise unknown_size(self.name, input_shape)
        self.features = positive_int(input_shape[-1], "features")
        if self.units == 1 and self.activation is activations.softmax:
            warnings.warn(
                "You are using a softmax over axis -1 of a tensor of shape "
                f"{(*input_shape[:-1], 1)}. This axis has size 1. The softmax operation will "
                "always return the value 1, which is likely not what you intended. Did you mean "
                "to use a sigmoid instead?",
                stacklevel=2,
            )
        self.kernel = self.add_weight(
            (self.features, self.units),
            self.kernel_initializer,
            "kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        self._no_bias = np.zeros(0 if self.use_bias else self.units, self._np_dtype)
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                "bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (..., units)."""
        return (*input_shape[:-1], self.units)

    def _weights(self) -> np.ndarray:
        """Return the packed weights, packed again if they were written to."""
        bias = self._empty.ravel() if self.bias is None else self.bias.value
        # Read before the weights: what is written meanwhile makes the next call pack again.
        key = (self.kernel.version, 0 if self.bias is None else self.bias.version)
        kept_key, packed = self._packed
        if key != kept_key:
            size = kernels.weights_size(self.features, self.units, self._np_dtype)
            packed = self._buffers.empty((size,), self._np_dtype)
            tasks = self._packing_tasks(self.units)
            if tasks == 1:
                kernels.pack_weights(self.kernel.value, bias, packed)
            else:
                kernels.pack_weights_tasks(self.kernel.value, bias, packed, tasks)
            self._packed = (key, packed)
        return packed

    def _packing_tasks(self, columns: int) -> int:
        # A panel is at most 16 columns wide; each task gets one or more.
        return threads.tasks(self.kernel.value.size, -(-columns // 16))

    def check_input(self, x: np.ndarray) -> None:
        """Check rank and features of the input."""
        input_axes(self.name, x, "(batch, ..., features)", self.features, least=2)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return y (..., units) and what backward needs."""
        self.check_input(x)
        # Sequences are taken time-major, as recurrent layers lay them out, whatever their
        # layout: the order of the rows is the order of the sums in the weight gradient.
        swapped = x.ndim == 3
        lying = x.transpose(1, 0, 2) if swapped else x
        flat = compact(lying).reshape(-1, self.features)
        act = self.activation
        y = self._buffers.empty((len(flat), self.units), self._np_dtype)
        z = self._run(flat, y, training)
        if act.code is None:
            y = act(y)
        shape = (*lying.shape[:-1], self.units)
        out = y.reshape(shape)
        out = out.transpose(1, 0, 2) if swapped else out
        return out, (flat, y, z, shape, swapped)

    def _run(self, flat: np.ndarray, y: np.ndarray, training: bool) -> np.ndarray:
        """Fill y, and return the pre-activations where they are kept, else y."""
        act = self.activation
        code = act.code or 0
        # The cross-entropy of a sigmoid is computed from its logits.
        keep_z = code and (act.from_input or act.name == "sigmoid")
        z = self._buffers.empty(y.shape, self._np_dtype) if keep_z else self._empty
        work = len(flat) * self.features * self.units
        if training and self.features * self.units > _MANY:
            self._run_new(flat, y, z, code, work)
        else:
            large = self.features * self.units > kernels.LARGE
            most = threads.get_num_threads() if large else len(flat)
            weights, tasks = self._weights(), threads.tasks(work, most)
            parts = [(flat, y, z)] if work <= threads.LONGEST_CALL else _cut(work, flat, y, z)
            for x_part, y_part, z_part in parts:
                if tasks == 1:
                    kernels.forward_packed(x_part, weights, y_part, z_part, code, 0, 1)
                else:
                    kernels.forward_packed_tasks(x_part, weights, y_part, z_part, code, tasks)
        return z if keep_z else y

    def _run_new(
        self, flat: np.ndarray, y: np.ndarray, z: np.ndarray, code: int, work: int
    ) -> None:
        """Do the work of `_run` with weights that are not packed."""
        tasks = threads.tasks(work, threads.get_num_threads())
        size = tasks * kernels.strip_size(self.features, self._np_dtype)
        scratch = self._buffers.empty((size,), self._np_dtype)
        bias = self._no_bias if self.bias is None else self.bias.value
        parts = [(flat, y, z)] if work <= threads.LONGEST_CALL else _cut(work, flat, y, z)
        for x_part, y_part, z_part in parts:
            args = (x_part, self.kernel.value, bias, y_part, z_part, code, scratch)
            if tasks == 1:
                kernels.forward_new(*args, 0, 1)
            else:
                kernels.forward_new_tasks(*args, tasks)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the weight gradients; return dx (..., features), or None."""
        _, y, z, shape, swapped = saved
        dy = compact(self._lying(dy, shape, swapped)).reshape(y.shape)
        dz = self.activation.backward(dy, z if self.activation.from_input else y)
        return self._backward(dz, saved, need_dx)

    def logits_of(self, saved: Any) -> np.ndarray:
        """Return what softmax or sigmoid was applied to, in the shape of the output."""
        _, _, z, shape, swapped = saved
        logits = z.reshape(shape)
        return logits.transpose(1, 0, 2) if swapped else logits

    def backward_from_logits(self, dz: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Go back from the gradient by the logits, of the shape of the output."""
        _, y, _, shape, swapped = saved
        dz = compact(self._lying(dz, shape, swapped)).reshape(y.shape)
        return self._backward(dz, saved, need_dx)

    def _lying(self, dy: Any, shape: tuple[int, ...], swapped: bool) -> np.ndarray:
        """Return a gradient by the output, proved, with its rows in the order of `forward`."""
        if not swapped:
            return self.gradient_like(dy, shape)
        steps, batch, units = shape
        return self.gradient_like(dy, (batch, steps, units)).transpose(1, 0, 2)

    def _backward(self, dz: np.ndarray, saved: Any, need_dx: bool) -> Any:
        flat, _, _, shape, swapped = saved
        rows, features = flat.shape
        work = 2 * rows * features * self.units
        tasks = threads.tasks(work, threads.get_num_threads())
        dtype = self._np_dtype
        dx = self._buffers.empty((rows, features), dtype) if need_dx else self._empty
        size = kernels.backward_size(rows, features, self.units, tasks, dtype)
        space = self._buffers.empty((size,), dtype)
        db = np.zeros(self.units, dtype) if self.bias is None else self.bias.grad
        kernel = self.kernel
        dw, overwrites = kernel.gradient_to_fill() if rows else (kernel.grad, False)
        parts = [(flat, dz, dx)] if work <= threads.LONGEST_CALL else _cut(work, flat, dz, dx)
        for x_part, dz_part, dx_part in parts:
            args = (kernel.value, x_part, dz_part, dw, db, dx_part, space, overwrites)
            if tasks == 1:
                kernels.backward(*args, 0, 1)
            else:
                kernels.backward_tasks(*args, tasks)
            overwrites = False  # later rows are added to the first ones
        if not need_dx:
            return None
        dx = dx.reshape(*shape[:-1], features)
        return dx.transpose(1, 0, 2) if swapped else dx

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


def _cut(work: int, *arrays: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Return the arrays cut by rows, for calls between which Ctrl-C is seen; empty ones stay."""
    cuts = threads.calls(len(arrays[0]), _ROWS, work)
    return [tuple(array[begin:stop] for array in arrays) for begin, stop in cuts]
