"""`SimpleRNN`."""

from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.checks import as_float_array, compact, input_axes, positive_int
from rnn_engine.kernels import simple_rnn as kernels
from rnn_engine.kernels import threads
from rnn_engine.kernels.outer import scratch_size
from rnn_engine.layers.base import Layer, registry


@registry.register()
class SimpleRNN(Layer):
    """A fully connected recurrent layer (`keras.layers.SimpleRNN`).

    h[t] = activation(x[t]·kernel + h[t-1]·recurrent_kernel + bias)

    Parameters
    ----------
    units : int
        Size of the state and of the output.
    activation : str or Activation
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
    return_sequences : bool
        Return the output of every step, not just of the last.
    return_state : bool
        Return the last state too.
    go_backwards : bool
        Read the sequence from its end; outputs come in the order of reading.

    Input shape (batch, timesteps, features); output shape (batch, units), or
    (batch, timesteps, units) with `return_sequences`.

    Raises
    ------
    ValueError
        If `units` is not a positive integer or a name is unknown.

    Examples
    --------
    >>> layer = SimpleRNN(2, kernel_initializer="ones", recurrent_initializer="zeros")
    >>> layer(np.zeros((1, 3, 1), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    saves_on_demand = True

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        **kwargs: Any,
    ) -> None:
        self.units = positive_int(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        super().__init__(**kwargs)
        self._none2 = np.empty((0, 0), self._np_dtype)
        self._none3 = np.empty((0, 0, 0), self._np_dtype)
        self._packed: tuple[Any, Any] = (None, None)

    def create_weights(self, input_shape: Any) -> None:
        """Create kernel (F, U), recurrent kernel (U, U) and bias (U,)."""
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected ndim=3 '
                f"(batch, timesteps, features) with known features, got shape {input_shape}."
            )
        self.features = positive_int(input_shape[-1], "features")
        cell = "simple_rnn_cell/"  # Keras's weights live in a cell inside the layer
        self.kernel = self.add_weight(
            (self.features, self.units), self.kernel_initializer, cell + "kernel"
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, self.units), self.recurrent_initializer, cell + "recurrent_kernel"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((self.units,), self.bias_initializer, cell + "bias")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, units), with timesteps between them under `return_sequences`."""
        batch, steps = input_shape[:2]
        y = (batch, steps, self.units) if self.return_sequences else (batch, self.units)
        return (y, (batch, self.units)) if self.return_state else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask where the output has time steps, else None."""
        return mask if self.return_sequences else None

    def _weights(self) -> np.ndarray:
        """Return the packed weights, packed again if they were written to."""
        bias = None if self.bias is None else self.bias
        key = (
            self.kernel.version,
            self.recurrent_kernel.version,
            0 if bias is None else bias.version,
        )
        kept_key, packed = self._packed
        if key != kept_key:
            size = kernels.weights_size(self.features, self.units, self._np_dtype)
            packed = np.empty(size, self._np_dtype)
            kernels.pack_weights(
                self.kernel.value,
                self.recurrent_kernel.value,
                self._none2.ravel() if bias is None else bias.value,
                packed,
            )
            self._packed = (key, packed)
        return packed

    def _initial_state(self, given: Any, batch: int) -> np.ndarray:
        """Return h0 (B, U), or an empty array for zeros."""
        if given is None:
            return self._none2
        if isinstance(given, list | tuple) and len(given) == 1:
            given = given[0]
        h0 = compact(as_float_array(given, self._np_dtype, "initial_state"))
        if h0.shape != (batch, self.units):
            raise ValueError(
                f"initial_state of layer {self.name!r} must have shape (batch, units) = "
                f"{(batch, self.units)}, got {h0.shape}."
            )
        return h0

    def forward(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        initial_state: Any = None,
        keep: bool = False,
    ) -> Any:
        """Return the output, or (output, state) with `return_state`, and `saved`.

        `saved` is None unless in training or with `keep`.
        """
        input_axes(self.name, x, "(batch, timesteps, features)", self.features, rank=3)
        batch, steps, _ = x.shape
        units, dtype = self.units, self._np_dtype
        h0 = self._initial_state(initial_state, batch)
        if self.go_backwards:
            x = x[:, ::-1]
        keep = keep or training
        x, time_major = _lay_out(x, keep)
        work = batch * steps * units * (self.features + units)
        tasks = threads.tasks(work, batch)
        chunk = kernels.chunk_steps(steps, -(-batch // tasks), units)
        kept = steps if keep or self.return_sequences else chunk
        h = np.empty((kept, batch, units), dtype)
        last = np.empty((batch, units), dtype)
        code = self.activation.code
        z = np.empty_like(h) if keep and self.activation.from_input else self._none3
        args = (x, time_major, self._weights(), h0, h, z, last, code, chunk)
        if tasks == 1:
            kernels.forward_rows(*args, 0, batch)
        else:
            kernels.forward_tasks(*args, tasks)
        saved = (x, h, z, h0) if keep else None
        y = h.transpose(1, 0, 2) if self.return_sequences else last
        if self.return_state:
            return (y, last if self.return_sequences else last.copy()), saved
        return y, saved

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Add the weight gradients; return dx (B, T, F), or None.

        With `return_state`, `dy` is the pair of both gradients; either may be None.
        Where the call had an `initial_state`, the pair (dx, gradient by it) is
        returned.
        """
        x, h, z, h0 = saved
        steps, batch, units = h.shape
        dtype = self._np_dtype
        sequence, last = self._split_gradient(dy, h.shape)
        tasks = threads.tasks(2 * batch * steps * units * (self.features + units), batch)
        transposed = np.empty(kernels.transposed_size(self.features, units, dtype), dtype)
        kernels.pack_transposed(self.kernel.value, self.recurrent_kernel.value, transposed)
        dx = np.empty(x.shape, dtype) if need_dx else self._none3
        dh0 = np.empty_like(h0)
        db = np.zeros(units, dtype) if self.bias is None else self.bias.grad
        run = kernels.backward if tasks == 1 else kernels.backward_tasks
        run(
            transposed, x, h, z if z.size else h, h0, sequence, last, np.empty(h.shape, dtype),
            self.kernel.grad, self.recurrent_kernel.grad, db, dx, dh0,
            np.empty(scratch_size(tasks, dtype), dtype), self.activation.code, tasks,
        )  # fmt: skip
        out = None
        if need_dx:
            out = dx.transpose(1, 0, 2)
            out = out[:, ::-1] if self.go_backwards else out
        return (out, dh0) if h0.size else out

    def _split_gradient(self, dy: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of all outputs (T, B, U) and of the last state; one is empty."""
        dstate = None
        if self.return_state:
            dy, dstate = dy
        if self.return_sequences:
            if dy is None:
                dy = np.zeros((shape[1], shape[0], shape[2]), self._np_dtype)
            sequence = compact(as_float_array(dy, self._np_dtype, "dy").transpose(1, 0, 2))
            if dstate is not None:
                sequence = sequence.copy()
                sequence[-1] += dstate
            return sequence, self._none2
        parts = [compact(as_float_array(d, self._np_dtype, "dy")) for d in (dy, dstate)
                 if d is not None]  # fmt: skip
        last = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return self._none3, last

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
        }


def _lay_out(x: np.ndarray, keep: bool) -> tuple[np.ndarray, bool]:
    """Return x as the kernels take it, and whether that is time-major.

    Backward wants it time-major, (T, B, F), for the weight gradients; inference
    takes either order as it lies in memory.
    """
    swapped = x.transpose(1, 0, 2)
    if keep or swapped.flags.c_contiguous:
        return compact(swapped), True
    return compact(x), False
