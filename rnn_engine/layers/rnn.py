"""`RNN`: any cell, or a stack of cells, through a sequence."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.autodiff.recording import OPEN
from rnn_engine.checks import compact, input_axes, unfit
from rnn_engine.graph import is_symbolic
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.calls import call_in_context, is_special
from rnn_engine.layers.cell import (
    RNNCell,
    build_cell,
    check_cell,
    check_count,
    output_size,
    state_sizes,
)
from rnn_engine.layers.cell_loop import CellLoop
from rnn_engine.layers.kernel_cell import KernelCell
from rnn_engine.layers.kernel_loop import KernelLoop
from rnn_engine.layers.recurrent import Recurrent, check_rank
from rnn_engine.layers.stacked_rnn_cells import StackedRNNCells, initial_states_of, single_cells
from rnn_engine.layers.wrapper import deserialize_layer


@dataclass(slots=True)
class SavedRNN:
    """What backward of an `RNN` needs.

    Attributes
    ----------
    loops : what each cell's loop saved
    shape : that of the output
    with_states : whether the states were returned
    started : whether the call had an `initial_state`
    turned : whether the sequence was read from its end
    """

    loops: list[Any]
    shape: tuple[int, ...]
    with_states: bool
    started: bool
    turned: bool


@registry.register()
class RNN(Recurrent):
    """A recurrent layer made of a cell (`keras.layers.RNN`).

    A stack of cells is run cell by cell, each through the whole sequence, which gives
    what going step by step gives; `SimpleRNNCell`, `LSTMCell` and `GRUCell` run in the kernels
    of the layers, a cell of one's own in a loop over time.

    Parameters
    ----------
    cell : cell or list of cells
        `SimpleRNNCell`, `LSTMCell`, `GRUCell`, `StackedRNNCells`, or a cell of one's own:
        see `RNNCell`.
        A list is stacked.
    return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask : bool
        See `Recurrent`.

    Input shape (batch, timesteps, features); output shape (batch, output_size), or
    (batch, timesteps, output_size) with `return_sequences`. States are returned, and taken
    as `initial_state`, one after the other; those of a stack come in a list a cell when
    no initial state was given, as in Keras.

    Raises
    ------
    ValueError
        If the cell does not keep the protocol.

    Examples
    --------
    >>> from rnn_engine.layers import SimpleRNNCell
    >>> layer = RNN([SimpleRNNCell(3), SimpleRNNCell(2)], return_sequences=True)
    >>> layer(np.zeros((1, 4, 5))).shape
    (1, 4, 2)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell, dtype=kwargs.get("dtype"))
        check_cell(cell)
        self._state_sizes = state_sizes(cell)
        super().__init__(
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )
        self.cell = cell
        self._loops: list[Any] = []
        # A cell of one's own may begin elsewhere than at zero.
        own = (getattr(type(c), "get_initial_state", None) for c in single_cells(cell))
        self._begins_elsewhere = any(f is not RNNCell.get_initial_state for f in own)

    @property
    def state_size(self) -> list[Any]:
        """The cell's state size, as a list."""
        size = self.cell.state_size
        return list(size) if isinstance(size, list | tuple) else [size]

    @property
    def state_sizes(self) -> list[int]:
        """Sizes of all states."""
        return self._state_sizes

    @property
    def output_size(self) -> int:
        """Size of the output of a step."""
        return output_size(self.cell)

    @property
    def sublayers(self) -> list[Layer]:
        """The cell, if it is a layer."""
        return [self.cell] if isinstance(self.cell, Layer) else []

    def create_weights(self, input_shape: Any) -> None:
        """Build the cell, and what runs it.

        Raises
        ------
        ValueError
            If the shape has no axis of time.
        """
        check_rank(self.name, input_shape, least=3)
        self._feature_shape = tuple(input_shape[2:])
        step_shape = (input_shape[0], *input_shape[2:])
        build_cell(self.cell, step_shape, f"{self.path_prefix}{self.name}/")
        self._loops = [_loop(cell, self._np_dtype) for cell in single_cells(self.cell)]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask where the output has time steps, else None; a list with the states."""
        mask = mask if self.return_sequences else None
        return [mask, *(None for _ in self.state_size)] if self.return_state else mask

    # --- states ---------------------------------------------------------------

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Return the states to begin with, in the form that Keras gives them."""
        states = initial_states_of(self.cell, batch_size, self._np_dtype)
        return list(states) if isinstance(states, list | tuple) else [states]

    def _create_states(self, batch: int) -> None:
        super()._create_states(batch)
        states = _flatten(self.get_initial_state(batch))
        for variable, state in zip(self.states or (), states, strict=True):
            variable.assign(state)

    def initial_states(self, given: Any, batch: int) -> list[np.ndarray] | None:
        """Return the states to start from, or None for zeros."""
        flat = None if given is None else _flatten(given)
        states = super().initial_states(flat, batch)
        if states is None and self._begins_elsewhere:
            own = _flatten(self.get_initial_state(batch))
            states = super().initial_states(own, batch)
        return states

    def __call__(  # type: ignore[override]  # the state comes second, as in Keras
        self,
        inputs: Any = None,
        initial_state: Any = None,
        *,
        training: bool | None = None,
        mask: Any = None,
        sequences: Any = None,
    ) -> Any:
        """Apply the layer; a stateful one is built for the batch size it meets first.

        The input may be called `sequences`, as Keras 3 has it, or `inputs`, as Keras 2 had it.
        """
        inputs = sequences if inputs is None else inputs
        if is_symbolic(inputs, initial_state):
            return self.symbolic_recurrence(inputs, initial_state, training, mask)
        if OPEN or self.notes_losses or is_special(inputs, initial_state, {}):
            given = {} if initial_state is None else {"initial_state": initial_state}
            return call_in_context(self, inputs, (), training, mask, given)
        result = super().__call__(inputs, initial_state, training=training, mask=mask)
        return self.nested_outputs(result, {"initial_state": initial_state})

    def nested_outputs(self, outputs: Any, options: dict[str, Any]) -> Any:
        """Return the outputs with the states in the form that Keras gives them."""
        if not self.return_state:
            return outputs
        y, *states = outputs
        return (y, *pack_like(self, states, options.get("initial_state")))

    # --- the way of the data --------------------------------------------------

    def forward(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        initial_state: Any = None,
        keep: bool = False,
    ) -> Any:
        """Return the output, or (output, *states) with `return_state`, and `SavedRNN`.

        The latter is None unless in training or with `keep`.
        """
        self._check_shape(x)
        keep = keep or training
        states = self.initial_states(initial_state, len(x))
        mask = self.step_mask(mask, x)
        y = x[:, ::-1] if self.go_backwards else x
        last_states: list[np.ndarray] = []
        saved = []
        top = len(self._loops) - 1
        for i, loop in enumerate(self._loops):
            start = None
            if states is not None:
                start = [_cast(s, loop.dtype) for s in states[len(last_states) :]]
                start = start[: len(loop.sizes)]
            sequences = i < top or self.return_sequences
            zero_output = i == top and self.zero_output_for_mask
            y, new, kept = loop.forward(
                _cast(y, loop.dtype), start, mask, training, keep, sequences, zero_output
            )
            last_states += new
            saved.append(kept)
        y = _cast(y, self._np_dtype)
        if self.stateful:
            self.keep_states(last_states)
        out: Any = y
        if self.return_state:
            # Arrays of their own: who writes to one of them would change the other.
            out = (y, *(_cast(s.copy() if s is y else s, self._np_dtype) for s in last_states))
        if not keep:
            return out, None
        return out, SavedRNN(
            saved, y.shape, self.return_state, initial_state is not None, self.go_backwards
        )

    def check_input(self, x: np.ndarray) -> None:
        """Check the shape of the input, and a stateful layer's batch size."""
        self._check_shape(x)
        self._check_batch(len(x))

    def _check_shape(self, x: np.ndarray) -> None:
        if x.ndim < 3 or x.shape[2:] != self._feature_shape or not x.size:
            axes = "(batch, timesteps, features)"
            if len(self._feature_shape) == 1:
                check_rank(self.name, x.shape, rank=3)
                input_axes(self.name, x, axes, self._feature_shape[0])
            check_rank(self.name, x.shape, least=3)
            raise unfit(
                self.name,
                f"{axes} with {self._feature_shape} behind the time steps and no empty axis, but "
                f"received input with shape {x.shape}",
            )

    def backward(self, dy: Any, saved: "SavedRNN", need_dx: bool = True) -> Any:
        """Add the weight gradients; return dx (B, T, F), or None.

        With `return_state`, `dy` is the tuple of the gradients by output and states; any
        may be None. Where the call had an `initial_state`, the tuple of dx and the
        gradients by the states is returned.

        Raises
        ------
        ValueError
            If the gradients are not of the shapes of the outputs.
        """
        dy, dstates = self._gradients(dy, saved)
        dbefore: list[Any] = []
        for i in range(len(self._loops) - 1, -1, -1):
            loop = self._loops[i]
            rest = len(dstates) - len(loop.sizes)
            given, dstates = [_cast(d, loop.dtype) for d in dstates[rest:]], dstates[:rest]
            dy, before = loop.backward(
                _cast(dy, loop.dtype), given, saved.loops[i], need_dx or i > 0
            )
            if saved.started:
                dbefore = [*before, *dbefore]
        dx = _cast(dy, self._np_dtype) if need_dx else None
        if dx is not None and saved.turned:
            dx = dx[:, ::-1]
        return (dx, *(_cast(d, self._np_dtype) for d in dbefore)) if saved.started else dx

    def _gradients(self, dy: Any, saved: "SavedRNN") -> tuple[Any, list[Any]]:
        """Return the gradients by output and states, proved to be of their shapes."""
        sizes = self._state_sizes
        given = dy if saved.with_states else [dy, *(None for _ in sizes)]
        check_count(self.name, given, [self.output_size, *sizes], "dy")
        shapes = [saved.shape, *((saved.shape[0], n) for n in sizes)]
        dy, *dstates = (
            None if d is None else self.gradient_like(d, shape)
            for d, shape in zip(given, shapes, strict=True)
        )
        return dy, [None if d is None else compact(d) for d in dstates]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "cell": registry.serialize(self.cell)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "RNN":
        """Build layer and cell from what `get_config` returned; their weights are new.

        `custom_objects` maps the class names of cells of one's own to their classes.
        """
        settings = dict(config)
        return cls(deserialize_layer(settings.pop("cell"), custom_objects), **settings)


def pack_like(layer: Any, states: Any, initial_state: Any) -> list[Any]:
    """Return flat states in the form that Keras gives them.

    That is the form of the given initial state, else of that of the cell.
    """
    form = initial_state
    if form is None and isinstance(layer, RNN):
        form = layer.get_initial_state(1)
    if not isinstance(form, list | tuple):
        return list(states)
    return _pack(form, iter(states))


def _loop(cell: Any, dtype: np.dtype) -> Any:
    """Return what runs one cell through a sequence: both kinds have one interface."""
    if isinstance(cell, KernelCell) and cell.runs_in_kernels:
        return KernelLoop(cell)
    return CellLoop(cell, getattr(cell, "_np_dtype", dtype))


def _cast(array: Any, dtype: np.dtype) -> Any:
    if array is None or array.dtype is dtype:
        return array
    return array.astype(dtype, copy=False)


def _holds_arrays(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_arrays(part) for part in value)
    return hasattr(value, "__array__")


def _flatten(states: Any) -> list[Any]:
    """Return the states of a nest of lists, one after the other."""
    if not isinstance(states, list | tuple):
        return [states]
    return [leaf for part in states for leaf in (_flatten(part) if _holds_arrays(part) else [part])]


def _pack(form: Any, states: Any) -> list[Any]:
    """Return the states in the nest of lists of `form`."""
    return [
        _pack(part, states) if isinstance(part, list | tuple) and _holds_arrays(part)
        else next(states)
        for part in form
    ]  # fmt: skip
