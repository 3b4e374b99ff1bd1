"""`SimpleRNN`."""

import functools
from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.checks import as_float_array, compact, fraction, input_axes, positive_int
from rnn_engine.kernels import simple_rnn, threads
from rnn_engine.kernels.gather import gather_time_major
from rnn_engine.layers.base import registry
from rnn_engine.layers.buffers import BufferPool
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.layers.padding import by_length, open_steps_of, shares
from rnn_engine.layers.recurrent import Recurrent
from rnn_engine.random import make_generator


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
        self.seed = seed
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
        self._packed: tuple[int, Any] = (-1, None)
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

    def _weights(self) -> np.ndarray:
        """Return the packed weights, packed again if they were written to."""
        bias = self.bias
        # Versions only grow, so their sum tells whether one has.
        key = self.kernel.version + self.recurrent_kernel.version
        if bias is not None:
            key += bias.version
        kept_key, packed = self._packed
        if key != kept_key:
            size = simple_rnn.weights_size(self.features, self.units, self._np_dtype)
            packed = self._buffers.empty((size,), self._np_dtype)
            simple_rnn.pack_weights(
                self.kernel.value,
                self.recurrent_kernel.value,
                self._none1 if bias is None else bias.value,
                packed,
            )
            self._packed = (key, packed)
        return packed

    # --- forward --------------------------------------------------------------

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
        if open_steps is None and not drops:
            h, last, saved = self._run(x, h0, keep or training)
            shown = None
        else:
            h, last, saved, shown = self._run_masked(x, h0, open_steps, drops)
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
            not self._is_brief(x)
            or self._by_steps
            or self.stateful
            or self.go_backwards
            or self.return_sequences
            or self.return_state
        ):
            return None
        last = np.empty((len(x), self.units), self._np_dtype)
        simple_rnn.forward_brief(x, self._weights(), last, self.activation.code)
        return last

    def _is_brief(self, x: np.ndarray) -> bool:
        """Whether an input is small, and lies as the kernels for small work take it."""
        batch, steps, features = x.shape
        units = self.units
        return (
            batch * (features + units) <= simple_rnn.BRIEF_NUMBERS
            and batch * steps * units * (features + units) < threads.SERIAL_WORK
            and x.flags.carray
        )

    def _run(self, x: np.ndarray, h0: np.ndarray, keep: bool) -> Any:
        """Return the states (T, B, U), the last one, and saved."""
        batch, steps, features = x.shape
        units, dtype = self.units, self._np_dtype
        if keep and not h0.size and not self.activation.from_input and self._is_brief(x):
            h = self._buffers.empty((steps, batch, units), dtype)
            last = np.empty((batch, units), dtype)
            simple_rnn.forward_brief_kept(x, self._weights(), h, last, self.activation.code)
            return h, last, (x, False, h, self._none3, h0, None)
        x, time_major = _lay_out(x)
        work = batch * steps * units * (features + units)
        tasks = threads.tasks(work, batch)
        chunk, size, calls = _forward_plan(batch, steps, features, units, tasks)
        h, z = self._none3, self._none3
        if keep or self.return_sequences:
            h = self._buffers.empty((steps, batch, units), dtype)
            if keep and self.activation.from_input:
                z = self._buffers.empty(h.shape, dtype)
        last = np.empty((batch, units), dtype)
        scratch = self._buffers.empty((size,), dtype)
        args = (x, time_major, self._weights(), h0, h, z, last, scratch, self.activation.code,
                chunk)  # fmt: skip
        for begin, stop in calls:
            if tasks == 1:
                simple_rnn.forward(*args, begin, stop, 0, 1)
            else:
                simple_rnn.forward_tasks(*args, begin, stop, tasks)
        return h, last, (x, time_major, h, z, h0, None) if keep else None

    def _run_masked(
        self, x: np.ndarray, h0: np.ndarray, open_steps: np.ndarray | None, drops: bool
    ) -> Any:
        """Return the states, the last one, saved, and the mask of the steps that show."""
        from rnn_engine.kernels import masked_rnn  # a tenth of the package's import

        batch, steps, _ = x.shape
        units, dtype, empty = self.units, self._np_dtype, self._buffers.empty
        drop_x, drop, start = None, self._none2, h0
        if drops and self.dropout:
            drop_x = dropout_mask(self._generator, self.dropout, (batch, self.features), dtype)
        if drops and self.recurrent_dropout:
            drop = dropout_mask(self._generator, self.recurrent_dropout, (batch, units), dtype)
        if not h0.size:
            start = np.zeros((batch, units), dtype)
        shown, order, mask = None, None, np.empty((0, 0), bool)
        if open_steps is not None:
            shown, mask = self.visible(open_steps, h0.size > 0), open_steps
            order = by_length(mask)
        lying = x.transpose(1, 0, 2)
        if drop_x is not None or order is not None:
            laid = empty(lying.shape, dtype)
            if order is None:
                np.copyto(laid, lying)
            elif x.flags.carray:
                gather_time_major(x, order, laid)
            else:
                np.take(lying, order, axis=1, out=laid, mode="clip")
            if drop_x is not None:
                laid *= drop_x if order is None else drop_x[order]
        else:
            laid = compact(lying)
        if order is not None:
            mask, start = np.take(mask, order, axis=1), start[order]
            drop = drop[order] if drop.size else drop
        h = empty((steps, batch, units), dtype)
        z = empty(h.shape, dtype) if self.activation.from_input else self._none3
        a = empty(h.shape, dtype) if drop.size else self._none3
        args = (laid, self._weights(), start, mask, drop, h, z, a, self.activation.code)
        work = batch * steps * units * (self.features + units)
        bounds = shares(mask if mask.size else None, batch, threads.tasks(work, batch))
        for begin, stop in threads.calls(steps, 1, work):
            if len(bounds) == 2:
                masked_rnn.forward(*args, begin, stop, 0, batch)
            else:
                masked_rnn.forward_tasks(*args, begin, stop, bounds)
        saved = (laid, True, h, z, h0, (start, mask, drop, drop_x, a, order, shown))
        if order is None:
            return h, h[-1].copy(), saved, shown
        back = np.argsort(order)
        states = h
        if self.return_sequences:
            states = np.take(h, back, axis=1, out=empty(h.shape, dtype), mode="clip")
        return states, h[-1][back], saved, shown

    # --- backward -------------------------------------------------------------

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Add the weight gradients; return dx (B, T, F), or None.

        With `return_state`, `dy` is the pair of both gradients; either may be None.
        Where the call had an `initial_state`, the pair (dx, gradient by it) is
        returned.
        """
        if self._by_steps:
            return self._backward_by_steps(dy, saved, need_dx)
        x, time_major, h, z, h0, masked = saved
        steps, batch, units = h.shape
        features, dtype = self.features, self._np_dtype
        dy = self._gradient_of_states(dy, h.shape, masked and masked[-1])
        weights = self.kernel.value, self.recurrent_kernel.value
        db = np.zeros(units, dtype) if self.bias is None else self.bias.grad
        gradients = self.kernel.grad, self.recurrent_kernel.grad, db
        dx = self._buffers.empty((steps, batch, features), dtype) if need_dx else self._none3
        s = z if z.size else h
        if (
            masked is None
            and _is_brief_backward(steps, batch, features, units, dtype)
            and not (time_major or z.size or h0.size)
        ):
            dh0 = h0
            simple_rnn.backward_brief(*weights, x, h, dy, *gradients, dx, self.activation.code)
        elif masked is None:
            dh0 = np.empty_like(h0) if h0.size else h0
            tasks = self._backward_tasks(steps, batch)
            groups, members, chunk, places, size, calls = _backward_plan(
                batch, steps, features, units, tasks, dtype
            )
            space = self._buffers.empty((size,), dtype)
            args = (*weights, x, time_major, h, s, h0, dy, *gradients, dx, dh0, space, places,
                    self.activation.code, chunk)  # fmt: skip
            for begin, stop in reversed(calls):
                if tasks == 1:
                    simple_rnn.backward(*args, begin, stop, groups)
                else:
                    simple_rnn.backward_tasks(*args, begin, stop, groups, members)
        else:
            dh0 = self._backward_masked(x, h, s, masked, dy, weights, gradients, dx)
        out = None
        if need_dx:
            out = dx.transpose(1, 0, 2)
            out = out[:, ::-1] if self.go_backwards else out
        return (out, dh0) if h0.size and not self.stateful else out

    def _backward_tasks(self, steps: int, batch: int) -> int:
        work = 2 * batch * steps * self.units * (self.features + self.units)
        return threads.tasks(work, threads.get_num_threads())

    def _backward_masked(
        self, x: Any, h: Any, s: Any, masked: Any, dy: Any, weights: Any, gradients: Any, dx: Any
    ) -> np.ndarray:
        """Do the work of backward after `_run_masked`; return the gradient by the start."""
        from rnn_engine.kernels import masked_rnn

        start, mask, drop, drop_x, a, order, _ = masked
        steps, batch, units = h.shape
        dtype, place = self._np_dtype, np.arange(batch) if order is None else order
        groups = simple_rnn.groups(steps, batch, self.features, units)
        tasks = self._backward_tasks(steps, batch)
        members = max(1, tasks // groups)
        bounds = shares(mask if mask.size else None, batch, groups * members)
        rows, starts = open_steps_of(mask, bounds[::members], steps)
        if order is not None:
            out = self._buffers.empty(dy.shape, dtype)
            dy = np.take(dy, order, axis=1, out=out, mode="clip")
        dh0, carry = np.empty_like(start), np.zeros_like(start)
        chunk = simple_rnn.backward_steps(steps, -(-batch // groups), units)
        places = masked_rnn.backward_places(
            chunk, batch, self.features, units, groups, members, dtype
        )
        space = self._buffers.empty((int(places[-1]),), dtype)
        run = masked_rnn.backward if tasks == 1 else masked_rnn.backward_tasks
        work = 2 * batch * steps * units * (self.features + units)
        for begin, stop in reversed(threads.calls(steps, chunk, work)):
            run(*weights, x, a if drop.size else h, s, start, mask, drop, place, rows, starts,
                bounds, dy, carry, *gradients, dx, dh0, space, places, self.activation.code,
                chunk, begin, stop, members)  # fmt: skip
        if drop_x is not None and dx.size:
            dx *= drop_x
        return dh0 if order is None else dh0[np.argsort(order)]

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


# What follows from the sizes, once for each of them.
@functools.lru_cache(maxsize=256)
def _forward_plan(batch: int, steps: int, features: int, units: int, tasks: int) -> tuple[Any, ...]:
    """Return the steps of a chunk, the numbers of scratch, and the calls in time."""
    rows = -(-batch // tasks)
    chunk = simple_rnn.forward_steps(steps, rows, units)
    size = tasks * simple_rnn.forward_size(chunk, rows, features, units)
    work = batch * steps * units * (features + units)
    return chunk, size, threads.calls(steps, chunk, work)


_is_brief_backward = functools.lru_cache(maxsize=256)(simple_rnn.is_brief_backward)


@functools.lru_cache(maxsize=256)
def _backward_plan(
    batch: int, steps: int, features: int, units: int, tasks: int, dtype: np.dtype
) -> tuple[Any, ...]:
    """Return groups of rows, threads a group, steps of a chunk, the work array's plan, calls."""
    groups = simple_rnn.groups(steps, batch, features, units)
    members = max(1, tasks // groups)
    rows = -(-batch // groups)
    chunk = simple_rnn.backward_steps(steps, rows, units)
    places = simple_rnn.backward_places(chunk, rows, features, units, groups, members, dtype)
    work = 2 * batch * steps * units * (features + units)
    calls = threads.calls(steps, chunk, work)
    return groups, members, chunk, places, int(places[-1]), calls
