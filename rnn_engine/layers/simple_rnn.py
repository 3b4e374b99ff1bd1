"""`SimpleRNN`."""

from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.checks import as_float_array, compact, fraction, input_axes, positive_int
from rnn_engine.kernels import simple_rnn, threads
from rnn_engine.layers.base import registry
from rnn_engine.layers.buffers import BufferPool
from rnn_engine.layers.plans import (
    backward_plan,
    backward_threads,
    brief_work,
    forward_plan,
    is_brief_backward,
    is_for_single_row,
)
from rnn_engine.layers.recurrent import Recurrent
from rnn_engine.random import check_seed, make_generator


@registry.register()
class SimpleRNN(Recurrent):
    """A fully connected recurrent layer (`keras.layers.SimpleRNN`).

    h[t] = activation(x[t]·kernel + h[t-1]·recurrent_kernel + bias)

    Parameters
    ----------
    units : int
        Size of the state and of the output.
    activation : str or Activation
        Elementwise ones run in the kernels, others in a loop over steps.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
    kernel_regularizer, recurrent_regularizer, bias_regularizer : Regularizer, optional
    activity_regularizer : Regularizer, optional
        Penalty on the output, as Keras documents it; Keras 3.15 forgets to apply it.
    kernel_constraint, recurrent_constraint, bias_constraint : Constraint, optional
    dropout, recurrent_dropout : float
        Share of the inputs, and of the state where it meets the recurrent kernel, that
        training sets to zero; drawn once a batch for all steps. Keras's distribution,
        not its bits.
    return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask : bool
        See `Recurrent`.
    seed : int, optional
        Of the dropout.

    Input shape (batch, timesteps, features); output shape (batch, units), or
    (batch, timesteps, units) with `return_sequences`.

    Raises
    ------
    ValueError
        If `units` is not a positive integer, a rate not within 0..1 or a name unknown.

    Examples
    --------
    >>> layer = SimpleRNN(2, kernel_initializer="ones", recurrent_initializer="zeros")
    >>> layer(np.zeros((1, 3, 1), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        self.units = positive_int(units, "units")
        self.activation = activations.get(activation)
        # Activations that the kernels do not know (softmax, one of the user's) go step by step.
        self._by_steps = self.activation.code is None
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = fraction(dropout, "dropout")
        self.recurrent_dropout = fraction(recurrent_dropout, "recurrent_dropout")
        self.seed = check_seed(seed)
        super().__init__(
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        # The global stream gives a generator only to layers that draw something.
        self._generator = make_generator(seed) if self.dropout or self.recurrent_dropout else None
        self._none1 = np.empty(0, self._np_dtype)
        self._none2 = np.empty((0, 0), self._np_dtype)
        self._none3 = np.empty((0, 0, 0), self._np_dtype)
        # For many rows, and for a long sequence alone.
        self._packed: list[tuple[int, Any]] = [(-1, None), (-1, None)]
        self._buffers = BufferPool(most=16)

    @property
    def state_sizes(self) -> list[int]:
        """Sizes of the states: there is one."""
        return [self.units]

    @property
    def state_size(self) -> int:
        """Size of the state."""
        return self.units

    @property
    def cell(self) -> Any:
        """One step of the layer as a `SimpleRNNCell`, with this layer's own weights."""
        from rnn_engine.layers.simple_rnn_cell import SimpleRNNCell  # made of this layer

        return SimpleRNNCell.of_layer(self)

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
            (self.features, self.units),
            self.kernel_initializer,
            cell + "kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, self.units),
            self.recurrent_initializer,
            cell + "recurrent_kernel",
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                cell + "bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _weights(self, pack: Any = simple_rnn.pack_weights, place: int = 0) -> np.ndarray:
        """Return the weights as `pack` packs them, packed again if they were written to."""
        bias = self.bias
        # Versions only grow, so their sum tells whether one has.
        key = self.kernel.version + self.recurrent_kernel.version
        if bias is not None:
            key += bias.version
        kept_key, packed = self._packed[place]
        if key != kept_key:
            size = simple_rnn.weights_size(self.features, self.units, self._np_dtype)
            packed = self._buffers.empty((size,), self._np_dtype)
            pack(
                self.kernel.value,
                self.recurrent_kernel.value,
                self._none1 if bias is None else bias.value,
                packed,
            )
            self._packed[place] = key, packed
        return packed

    # --- forward --------------------------------------------------------------

    def check_input(self, x: np.ndarray) -> None:
        """Check rank and features of the input, and a stateful layer's batch size."""
        input_axes(self.name, x, "(batch, timesteps, features)", self.features, rank=3)
        self._check_batch(len(x))

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
        if x.ndim != 3 or x.shape[2] != self.features or not x.size:
            input_axes(self.name, x, "(batch, timesteps, features)", self.features, rank=3)
        if mask is None and initial_state is None and not (training or keep):
            brief = self._run_brief(x)
            if brief is not None:
                return brief, None
        h0 = self._none2
        if initial_state is not None or self.stateful:
            given = self.initial_states(initial_state, x.shape[0])
            h0 = h0 if given is None else given[0]
        open_steps = None if mask is None else self.step_mask(mask, x)
        drops = training and self._generator is not None
        if self.go_backwards:
            x = x[:, ::-1]
        if self._by_steps:
            return self._forward_by_steps(x, training, open_steps, h0, keep)
        shown = None
        if open_steps is None and not drops:
            h, last, saved = self._run(x, h0, keep or training)
        else:
            from rnn_engine.layers import masked_pass  # its kernels take a tenth of the import

            h, last, saved = masked_pass.forward(self, x, h0, open_steps, drops)
            shown = saved[-1].shown
        if self.stateful:
            self.keep_states([last])
        y = h if self.return_sequences else last
        if shown is not None:
            y = np.where((shown if self.return_sequences else shown[-1])[..., None], y, 0)
            y = y.astype(self._np_dtype, copy=False)
        if self.return_sequences:
            y = y.transpose(1, 0, 2)
        if self.return_state:
            return (y, last.copy() if y is last else last), saved
        return y, saved

    def _forward_by_steps(
        self, x: np.ndarray, training: bool, mask: np.ndarray | None, h0: np.ndarray, keep: bool
    ) -> Any:
        """Do what `forward` does in a loop over the cell's steps."""
        from rnn_engine.layers.cell_loop import CellLoop  # its module is built on this one

        loop = CellLoop(self.cell, self._np_dtype)
        loop.return_sequences = self.return_sequences
        loop.zero_output_for_mask = self.zero_output_for_mask
        steps = None if mask is None else mask.T
        states = [h0] if h0.size else None
        (y, last), kept = loop.forward(x, training, steps, states, keep)
        if self.stateful:
            self.keep_states([last])
        return (y, last.copy()) if self.return_state else y, (loop, kept, h0.size > 0)

    def _backward_by_steps(self, dy: Any, saved: Any, need_dx: bool) -> Any:
        loop, kept, started = saved
        pair = dy if self.return_state else (dy, None)
        dx, dh0 = loop.backward(pair, kept, need_dx)
        if dx is not None and self.go_backwards:
            dx = dx[:, ::-1]
        return (dx, dh0) if started and not self.stateful else dx

    def _run_brief(self, x: np.ndarray) -> np.ndarray | None:
        """Return the last state for small work that wants nothing else, or None.

        Small calls are a matter of a microsecond: no more Python than needed.
        """
        if (
            self._by_steps
            or self.stateful
            or self.go_backwards
            or self.return_sequences
            or self.return_state
        ):
            return None
        tasks = self._brief_tasks(x)
        if not tasks:
            return None
        last = np.empty((len(x), self.units), self._np_dtype)
        if tasks == 1:
            simple_rnn.forward_brief(x, self._weights(), last, self.activation.code)
        else:
            weights, code = self._weights(), self.activation.code
            simple_rnn.forward_brief_tasks(x, weights, self._none3, last, code, tasks, False)
        return last

    def _run_brief_kept(self, x: np.ndarray) -> Any:
        """Return what `_run` does of small work in training, or None."""
        tasks = self._brief_tasks(x)
        if not tasks:
            return None
        batch, steps, features = x.shape
        h = self._buffers.empty((steps, batch, self.units), self._np_dtype)
        last = np.empty((batch, self.units), self._np_dtype)
        weights, code, apart = self._weights(), self.activation.code, False
        if tasks == 1:
            simple_rnn.forward_brief_kept(x, weights, h, last, code)
        else:
            # Where nobody else reads h, it may lie as the groups that go back like it.
            groups = simple_rnn.groups(steps, batch, features, self.units)
            apart = not self.return_sequences and tasks == groups
            simple_rnn.forward_brief_tasks(x, weights, h, last, code, tasks, apart)
        return h, last, (x, False, h, self._none3, self._none2, apart, None)

    def _brief_tasks(self, x: np.ndarray) -> int:
        """Return the threads for an input that the kernels for small work take, or 0."""
        batch, steps, features = x.shape
        work = brief_work(batch, steps, features, self.units, self._np_dtype)
        return threads.tasks(work, batch) if work and x.flags.carray else 0

    def _run(self, x: np.ndarray, h0: np.ndarray, keep: bool) -> Any:
        """Return the states (T, B, U), the last one, and saved."""
        batch, steps, features = x.shape
        units, dtype = self.units, self._np_dtype
        if keep and not h0.size and not self.activation.from_input:
            kept = self._run_brief_kept(x)
            if kept is not None:
                return kept
        x, time_major = _lay_out(x)
        work = batch * steps * units * (features + units)
        tasks = threads.tasks(work, batch)
        chunk, size, calls = forward_plan(batch, steps, features, units, tasks)
        h, z = self._none3, self._none3
        if keep or self.return_sequences:
            h = self._buffers.empty((steps, batch, units), dtype)
            if keep and self.activation.from_input:
                z = self._buffers.empty(h.shape, dtype)
        last = np.empty((batch, units), dtype)
        scratch = self._buffers.empty((size,), dtype)
        code = self.activation.code
        saved = (x, time_major, h, z, h0, False, None) if keep else None
        if is_for_single_row(batch, steps, units, dtype):
            from rnn_engine.kernels import single_row

            weights = self._weights(single_row.pack_weights, 1)
            for begin, stop in calls:
                single_row.forward(x, weights, h0, h, z, last, scratch, code, chunk, begin, stop)
            return h, last, saved
        args = x, time_major, self._weights(), h0, h, z, last, scratch, code, chunk
        for begin, stop in calls:
            if tasks == 1:
                simple_rnn.forward(*args, begin, stop, 0, 1)
            else:
                simple_rnn.forward_tasks(*args, begin, stop, tasks)
        return h, last, saved

    # --- backward -------------------------------------------------------------

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Add the weight gradients; return dx (B, T, F), or None.

        With `return_state`, `dy` is the pair of both gradients; either may be None.
        Where the call had an `initial_state`, the pair (dx, gradient by it) is
        returned.
        """
        if self._by_steps:
            return self._backward_by_steps(dy, saved, need_dx)
        x, time_major, h, z, h0, apart, masked = saved
        steps, batch, units = h.shape
        features, dtype = self.features, self._np_dtype
        dy = self._gradient_of_states(dy, h.shape, masked and masked.shown)
        weights = self.kernel.value, self.recurrent_kernel.value
        db = np.zeros(units, dtype) if self.bias is None else self.bias.grad
        gradients = self.kernel.grad, self.recurrent_kernel.grad, db
        dx = self._buffers.empty((steps, batch, features), dtype) if need_dx else self._none3
        dh0 = h0
        if masked is not None:
            from rnn_engine.layers import masked_pass

            s = z if z.size else h
            dh0 = masked_pass.backward(self, x, h, s, masked, dy, gradients, dx)
        elif is_brief_backward(steps, batch, features, units, dtype) and not (
            time_major or z.size or h0.size
        ):
            code = self.activation.code
            simple_rnn.backward_brief(*weights, x, h, dy, *gradients, dx, code)
        else:
            dh0 = self._run_back(x, time_major, h, z, h0, apart, dy, weights, gradients, dx)
        out = None
        if need_dx:
            out = dx.transpose(1, 0, 2)
            out = out[:, ::-1] if self.go_backwards else out
        return (out, dh0) if h0.size and not self.stateful else out

    def _run_back(
        self, x: Any, time_major: bool, h: Any, z: Any, h0: Any, apart: bool, dy: Any,
        weights: Any, gradients: Any, dx: Any,
    ) -> np.ndarray:  # fmt: skip
        """Go back through what `_run` did; return the gradient by h0."""
        steps, batch, units = h.shape
        features, dtype = self.features, self._np_dtype
        tasks = backward_threads(batch, steps, features, units)
        groups, members, chunk, places, size, calls = backward_plan(
            batch, steps, features, units, tasks, dtype
        )
        dh0 = np.empty_like(h0) if h0.size else h0
        space = self._buffers.empty((size,), dtype)
        args = (*weights, x, time_major, h, z if z.size else h, h0, dy, *gradients, dx, dh0, space,
                places, self.activation.code, apart, chunk)  # fmt: skip
        for begin, stop in reversed(calls):
            if tasks == 1:
                simple_rnn.backward(*args, begin, stop, groups)
            else:
                simple_rnn.backward_tasks(*args, begin, stop, groups, members)
        return dh0

    def _gradient_of_states(self, dy: Any, shape: tuple[int, ...], shown: Any) -> np.ndarray:
        """Return the gradients of all states (T, B, U), or (1, B, U) of the last one."""
        dstate = None
        if self.return_state:
            dy, dstate = dy
        if dy is None:
            steps, batch, units = shape
            dy = np.zeros((batch, steps, units) if self.return_sequences else (batch, units))
        dy = as_float_array(dy, self._np_dtype, "dy")
        dy = dy.transpose(1, 0, 2) if self.return_sequences else dy[None]
        if shown is not None:
            dy = np.where((shown if self.return_sequences else shown[-1:])[..., None], dy, 0)
        if dstate is not None:
            dy = dy.copy()
            dy[-1] += dstate
        return compact(dy)

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
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": constraints.serialize(self.recurrent_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }


def _lay_out(x: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return x as the kernels take it, as it lies in memory, and whether that is time-major."""
    if x.flags.carray:
        return x, False
    swapped = x.transpose(1, 0, 2)
    if swapped.flags.carray:
        return swapped, True
    return compact(x), False
