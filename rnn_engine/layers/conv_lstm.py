"""`ConvLSTM1D`, `ConvLSTM2D`, `ConvLSTM3D`: LSTMs whose products are convolutions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine import regularizers
from rnn_engine.checks import check_memory, unfit, wrong_rank
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.cell import build_cell
from rnn_engine.layers.cell_arguments import serialized_arguments
from rnn_engine.layers.cell_rnn import of_cell
from rnn_engine.layers.conv_lstm_cell import GATES, ConvLSTMCell, SavedStep
from rnn_engine.layers.recurrent import Recurrent
from rnn_engine.layers.spatial import AXES


@dataclass(slots=True)
class SavedSteps:
    """What the way back of a `ConvLSTM` needs.

    Attributes
    ----------
    x : (T·B, ..., channels) in the order of reading
    h : (T, B, ..., filters), the states before the steps
    steps : of each step
    x_masks, h_masks : factors of dropout, or None
    shape : that of the output
    started : whether the call had an `initial_state`
    """

    x: np.ndarray
    h: np.ndarray
    steps: list[SavedStep]
    x_masks: np.ndarray | None
    h_masks: np.ndarray | None
    shape: tuple[int, ...]
    started: bool


_ARGUMENTS = (
    "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation",
    "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer",
    "bias_initializer", "unit_forget_bias", "kernel_regularizer", "recurrent_regularizer",
    "bias_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint",
    "dropout", "recurrent_dropout", "seed",
)  # fmt: skip


class ConvLSTM(Recurrent):
    """Base of `ConvLSTM1D`, `ConvLSTM2D` and `ConvLSTM3D`.

    With ∗ a convolution and the filters of kernel, recurrent kernel and bias in the order
    i, f, g, o, for each step: z = x∗kernel + h∗recurrent_kernel + bias, then the gates of `LSTM`.
    The convolution of the states keeps their size and steps by one, whatever the arguments.
    """

    rank: int
    for _name in _ARGUMENTS:
        locals()[_name] = of_cell(_name)
    del _name
    kernel, recurrent_kernel, bias = map(of_cell, ("kernel", "recurrent_kernel", "bias"))

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        given = locals()
        cell = {name: given[name] for name in _ARGUMENTS}
        super().__init__(
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.cell = ConvLSTMCell(self.rank, cell, name="conv_lstm_cell", dtype=self.dtype)

    @property
    def sublayers(self) -> list[Layer]:
        """The cell."""
        return [self.cell]

    @property
    def state_sizes(self) -> list[int]:
        """Channels of the states h and c."""
        return [self.cell.filters, self.cell.filters]

    @property
    def output_size(self) -> int:
        """Channels of the output."""
        return self.cell.filters

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, ..., filters), with timesteps in front under `return_sequences`."""
        self._check_rank(input_shape)
        batch, steps = input_shape[:2]
        cell = self.cell
        sizes = cell.out_sizes(cell.last((batch, *input_shape[2:]))[1:-1])
        state = cell.own((batch, *sizes, cell.filters))
        y = (batch, steps, *state[1:]) if self.return_sequences else state
        return (y, state, state) if self.return_state else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask where the output has time steps, else None; a list with the states."""
        mask = mask if self.return_sequences else None
        return [mask, None, None] if self.return_state else mask

    def create_weights(self, input_shape: Any) -> None:
        """Build the cell."""
        self._check_rank(input_shape)
        step = (input_shape[0], *input_shape[2:])
        build_cell(self.cell, step, f"{self.path_prefix}{self.name}/")

    def _check_rank(self, shape: Any) -> None:
        if len(shape) != self.rank + 3:
            order = f"(batch, time, {AXES[self.rank - 1]}, channels)"
            raise wrong_rank(self.name, f"ndim={self.rank + 3}", shape, order)

    def check_input(self, x: np.ndarray) -> None:
        """Raise ValueError unless x has the axes, sizes and channels the layer was built for."""
        self._check_rank(x.shape)
        self._check_batch(len(x))
        cell = self.cell
        expected = cell.own((None, *cell.in_sizes, cell.channels))[1:]
        if x.shape[2:] != expected or not x.size:
            raise unfit(
                self.name,
                f"shape (batch, time, {', '.join(map(str, expected))}) and no empty axis, but "
                f"received input with shape {x.shape}",
            )

    # --- states ---------------------------------------------------------------

    def get_initial_state(self, batch_size: int) -> list[np.ndarray]:
        """Return the states to begin with: zeros."""
        return [np.zeros(shape, self._np_dtype) for shape in self.state_shapes(batch_size)]

    def state_shapes(self, batch: int) -> list[tuple[int, ...]]:
        """Return the shapes of h and c, channels where the layer has them."""
        return [self.cell.own(self.cell.state_shape(batch))] * 2

    def initial_states(self, given: Any, batch: int) -> list[np.ndarray] | None:
        """Return the states to start from, channels last, or None for zeros."""
        states = super().initial_states(given, batch)
        return None if states is None else [self._inward(state, 1) for state in states]

    # --- the way of the data --------------------------------------------------

    def _inward(self, x: np.ndarray, axis: int) -> np.ndarray:
        """Return an array of one's own with the channels of `axis` last."""
        if self.cell.data_format == "channels_first":
            x = np.moveaxis(x, axis, -1)
        return np.array(x, self._np_dtype, order="C")

    def _outward(self, x: np.ndarray, axis: int) -> np.ndarray:
        return np.moveaxis(x, -1, axis) if self.cell.data_format == "channels_first" else x

    def forward(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        initial_state: Any = None,
        keep: bool = False,
    ) -> Any:
        """Return the output, or (output, *states) with `return_state`, and `SavedSteps` or None."""
        self.check_input(x)
        keep = keep or training
        cell = self.cell
        batch, time = x.shape[:2]
        states = self.initial_states(initial_state, batch)
        mask = self.step_mask(mask, x)
        shape = cell.state_shape(batch)
        rows = self._inward(np.swapaxes(x[:, ::-1] if self.go_backwards else x, 0, 1), 2)
        rows = rows.reshape(time * batch, *cell.in_sizes, cell.channels)
        check_memory(f"The gates of layer {self.name!r}", (time, *shape, GATES), self._np_dtype)
        x_masks = h_masks = None
        if training:
            x_masks = cell.factors(cell.dropout, (batch, *rows.shape[1:]))
            h_masks = cell.factors(cell.recurrent_dropout, shape)
        packed = cell.of_inputs.panels(cell.kernel.value, x_masks is not None)
        of_inputs = cell.of_inputs.forward(rows, packed, cell.biases(), x_masks)
        of_inputs = of_inputs.reshape(time, *shape[:-1], GATES * cell.filters)
        packed = cell.of_states.panels(cell.recurrent_kernel.value, h_masks is not None)
        zeros = np.zeros(GATES * cell.filters, self._np_dtype)
        h, c = states or [np.zeros(shape, self._np_dtype) for _ in range(2)]
        output = np.zeros(shape, self._np_dtype)
        outputs = np.empty((time, *shape), self._np_dtype) if self.return_sequences else None
        before = np.empty((time, *shape), self._np_dtype) if keep else None
        steps: list[SavedStep] = []
        for t in range(time):
            z = cell.of_states.forward(h, packed, zeros, h_masks).reshape(of_inputs[t].shape)
            if before is not None:
                before[t] = h
            new_h, new_c, saved = cell.step(z + of_inputs[t], c)
            closed = None if mask is None or mask[t].all() else ~mask[t]
            new = new_h
            if closed is not None:
                new, new_h = new_h.copy(), new_h.copy()
                new[closed] = 0 if self.zero_output_for_mask else output[closed]
                new_h[closed] = h[closed]
                new_c = new_c.copy()
                new_c[closed] = c[closed]
            h, c, output = new_h, new_c, new
            if outputs is not None:
                outputs[t] = output
            if keep:
                saved.closed = closed
                steps.append(saved)
        last = [self._outward(state, 1) for state in (h, c)]
        if self.stateful:
            self.keep_states(last)
        if outputs is None:
            y = self._outward(output, 1)
        else:
            y = self._outward(np.swapaxes(outputs, 0, 1), 2)
        result: Any = y
        if self.return_state:
            # Arrays of their own: who writes to one of them would change the other.
            result = (y, *(np.array(state) for state in last))
        if not keep or before is None:
            return result, None
        started = initial_state is not None
        return result, SavedSteps(rows, before, steps, x_masks, h_masks, y.shape, started)

    def backward(self, dy: Any, saved: SavedSteps, need_dx: bool = True) -> Any:
        """Add the weight gradients; return dx, or None, and the gradients by given states."""
        cell = self.cell
        time, *rest = saved.h.shape
        shape = tuple(rest)
        given = dy if self.return_state else (dy, None, None)
        state_shape = cell.own(shape)
        dy, *dlast = (
            None if d is None else self.gradient_like(d, s)
            for d, s in zip(given, (saved.shape, state_shape, state_shape), strict=True)
        )
        dh, dc = (
            np.zeros(shape, self._np_dtype) if d is None else self._inward(d, 1) for d in dlast
        )
        if dy is not None and self.return_sequences:
            dy = np.swapaxes(self._inward(dy, 2), 0, 1)
        elif dy is not None:
            dy = self._inward(dy, 1)
        parts = saved.h_masks is not None
        packed = cell.of_states.panels(cell.recurrent_kernel.value, parts, True)
        dz = np.empty((time, *shape[:-1], GATES * cell.filters), self._np_dtype)
        carried: Any = None  # of the output that masked steps repeat
        for t in range(time - 1, -1, -1):
            step = saved.steps[t]
            dout: Any = 0 if carried is None else carried
            if dy is not None and (self.return_sequences or t == time - 1):
                dout = dout + (dy[t] if self.return_sequences else dy)
            carried, passed = None, None
            if step.closed is not None:
                rows = step.closed.reshape(-1, *(1 for _ in shape[1:]))
                dout = np.broadcast_to(dout, shape)
                carried = None if self.zero_output_for_mask else np.where(rows, dout, 0)
                passed = np.where(rows, dh, 0), np.where(rows, dc, 0)
                dout, dh, dc = (np.where(rows, 0, d) for d in (dout, dh, dc))
            dz[t], dc = cell.step_back(dh + dout, dc, step)
            dh = cell.of_states.backward(dz[t], packed, dh, saved.h_masks)
            if passed is not None:
                dh, dc = dh + passed[0], dc + passed[1]
        flat = dz.reshape(-1, *dz.shape[2:])
        before = saved.h.reshape(-1, *saved.h.shape[2:])
        dw, _ = cell.of_states.weight_gradients(before, flat, saved.h_masks)
        cell.recurrent_kernel.add_gradient(dw.reshape(cell.recurrent_kernel.shape))
        dw, db = cell.of_inputs.weight_gradients(saved.x, flat, saved.x_masks)
        cell.kernel.add_gradient(dw.reshape(cell.kernel.shape))
        if cell.bias is not None:
            cell.bias.add_gradient(db)
        dx = None
        if need_dx:
            packed = cell.of_inputs.panels(cell.kernel.value, saved.x_masks is not None, True)
            dx = cell.of_inputs.backward(flat, packed, saved.x, saved.x_masks)
            dx = dx.reshape(time, -1, *saved.x.shape[1:])
            dx = self._outward(np.swapaxes(dx, 0, 1), 2)
            dx = dx[:, ::-1] if self.go_backwards else dx
        if not saved.started:
            return dx
        return (dx, self._outward(dh, 1), self._outward(dc, 1))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = serialized_arguments(self.cell, _ARGUMENTS)
        penalty = regularizers.serialize(self.activity_regularizer)
        return {**super().get_config(), **config, "activity_regularizer": penalty}


@registry.register("ConvLSTM1D")
class ConvLSTM1D(ConvLSTM):
    """An LSTM of convolutions over sequences of lines (`keras.layers.ConvLSTM1D`).

    Input shape (batch, time, steps, channels); see `ConvLSTM2D`.

    Examples
    --------
    >>> ConvLSTM1D(4, 3, padding="same")(np.zeros((2, 5, 8, 1))).shape
    (2, 8, 4)
    """

    rank = 1


@registry.register("ConvLSTM2D")
class ConvLSTM2D(ConvLSTM):
    """An LSTM of convolutions over videos (`keras.layers.ConvLSTM2D`).

    Parameters
    ----------
    filters : int
        Channels of states and output.
    kernel_size, strides, dilation_rate : int or tuple of int
        Of the convolution of the inputs; the states' has the same window, and steps of one.
    padding : str
        ``"valid"`` or ``"same"``, for the inputs.
    data_format : str, optional
        ``"channels_last"`` (the default): (batch, time, rows, columns, channels), or
        ``"channels_first"``: (batch, time, channels, rows, columns).
    activation, recurrent_activation, use_bias, unit_forget_bias, kernel_*, recurrent_*, bias_*
        As in `LSTM`.
    dropout, recurrent_dropout : float
        Share of the inputs and states to drop, by factors of each gate, the same at every step.
    seed : int, optional
        Of the dropout.
    return_sequences, return_state, go_backwards, stateful, zero_output_for_mask : bool
        See `LSTM`.

    Output shape (batch, rows, columns, filters), with time behind the batch under
    `return_sequences`. The spatial sizes of the input must be known.

    Raises
    ------
    ValueError
        If an argument is no such size, or the input does not fit.

    Examples
    --------
    >>> layer = ConvLSTM2D(4, (3, 3), padding="same", return_sequences=True)
    >>> layer(np.zeros((2, 5, 8, 8, 1))).shape
    (2, 5, 8, 8, 4)
    """

    rank = 2


@registry.register("ConvLSTM3D")
class ConvLSTM3D(ConvLSTM):
    """An LSTM of convolutions over sequences of volumes (`keras.layers.ConvLSTM3D`).

    Input shape (batch, time, depth, rows, columns, channels); see `ConvLSTM2D`.

    Examples
    --------
    >>> ConvLSTM3D(2, 2)(np.zeros((1, 3, 4, 4, 4, 1))).shape
    (1, 3, 3, 3, 2)
    """

    rank = 3
