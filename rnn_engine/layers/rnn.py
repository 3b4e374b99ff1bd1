"""`RNN`: any cell, or a stack of cells, through a sequence."""

from typing import Any

import numpy as np

from rnn_engine.checks import as_mask
from rnn_engine.graph import is_symbolic
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.cell import build_cell, check_cell, output_size, state_sizes
from rnn_engine.layers.cell_loop import CellLoop
from rnn_engine.layers.recurrent import Recurrent
from rnn_engine.layers.simple_rnn_cell import SimpleRNNCell
from rnn_engine.layers.stacked_rnn_cells import StackedRNNCells, initial_states_of, single_cells
from rnn_engine.layers.wrapper import deserialize_layer


@registry.register()
class RNN(Recurrent):
    """A recurrent layer made of a cell (`keras.layers.RNN`).

    A stack of cells is run cell by cell, each through the whole sequence, which gives
    what going step by step gives; a `SimpleRNNCell` runs in the kernels of `SimpleRNN`,
    a cell of one's own in a loop over time.

    Parameters
    ----------
    cell : cell or list of cells
        `SimpleRNNCell`, `StackedRNNCells`, or a cell of one's own: see `RNNCell`.
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
        self._stages: list[Any] = []

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
        if len(input_shape) < 3:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected '
                f"(batch, timesteps, features), got shape {input_shape}."
            )
        self._feature_shape = tuple(input_shape[2:])
        step_shape = (input_shape[0], *input_shape[2:])
        build_cell(self.cell, step_shape, f"{self.path_prefix}{self.name}/")
        self._stages = [self._stage(cell) for cell in single_cells(self.cell)]

    def _stage(self, cell: Any) -> Any:
        """Return what runs one cell through a sequence: both kinds have one interface."""
        if type(cell) is SimpleRNNCell and cell.activation.code is not None:
            return cell.as_layer(return_sequences=True, return_state=True)
        return CellLoop(cell, getattr(cell, "_np_dtype", self._np_dtype))

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
        if states is None and any(type(c) is not SimpleRNNCell for c in single_cells(self.cell)):
            # A cell of one's own may begin elsewhere than at zero.
            own = _flatten(self.get_initial_state(batch))
            states = super().initial_states(own, batch)
        return states

    def __call__(  # type: ignore[override]  # the state comes second, as in Keras
        self,
        inputs: Any,
        initial_state: Any = None,
        *,
        training: bool | None = None,
        mask: Any = None,
    ) -> Any:
        """Apply the layer; a stateful one is built for the batch size it meets first."""
        if is_symbolic(inputs):
            return self.symbolic_recurrence(inputs, initial_state, training, mask)
        result = super().__call__(inputs, initial_state, training=training, mask=mask)
        return self.nested_outputs(result, {"initial_state": initial_state})

    def nested_outputs(self, outputs: Any, options: dict[str, Any]) -> Any:
        """Return the outputs with the states in the form that Keras gives them."""
        if not self.return_state:
            return outputs
        y, *states = outputs
        return (y, *pack_like(self, states, options.get("initial_state")))

    # --- the way of the data --------------------------------------------------

    def _prepared_mask(self, mask: Any, x: np.ndarray) -> np.ndarray | None:
        """Return the mask (B, T) in the order of reading, or None if every step is open."""
        if mask is None:
            return None
        mask = as_mask(mask, x.shape[:2])
        if mask.all():
            return None
        return mask[:, ::-1] if self.go_backwards else mask

    def _set_up(self) -> None:
        """Hand this layer's settings, which may have been changed, to the uppermost stage."""
        last = self._stages[-1]
        last.return_sequences = self.return_sequences
        last.zero_output_for_mask = self.zero_output_for_mask

    def forward(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        initial_state: Any = None,
        keep: bool = False,
    ) -> Any:
        """Return the output, or (output, *states) with `return_state`, and `saved`.

        `saved` is None unless in training or with `keep`.
        """
        self._check_shape(x)
        self._set_up()
        states = self.initial_states(initial_state, len(x))
        mask = self._prepared_mask(mask, x)
        y = x[:, ::-1] if self.go_backwards else x
        last_states: list[np.ndarray] = []
        saved = []
        for stage in self._stages:
            count = len(self._sizes_of(stage))
            start = None if states is None else states[len(last_states) :][:count]
            dtype = np.dtype(stage.dtype)
            if start is not None:
                start = [s.astype(dtype, copy=False) for s in start]
            y = y.astype(dtype, copy=False)
            (y, *new), kept = stage.forward(y, training, mask, initial_state=start, keep=keep)
            last_states += new
            saved.append(kept)
        y = y.astype(self._np_dtype, copy=False)
        last_states = [s.astype(self._np_dtype, copy=False) for s in last_states]
        if self.stateful:
            self.keep_states(last_states)
        wanted = states is not None and initial_state is not None
        out = (y, *last_states) if self.return_state else y
        return out, (saved, states is not None, wanted) if keep or training else None

    def check_input(self, x: np.ndarray) -> None:
        """Check the shape of the input, and a stateful layer's batch size."""
        self._check_shape(x)
        self._check_batch(len(x))

    def _check_shape(self, x: np.ndarray) -> None:
        if x.ndim < 3 or x.shape[2:] != self._feature_shape or 0 in x.shape:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected '
                f"(batch, timesteps, features) with {self._feature_shape} behind the time steps "
                f"and no empty axis, got shape {x.shape}."
            )

    def _sizes_of(self, stage: Any) -> list[int]:
        return state_sizes(stage.cell) if isinstance(stage, CellLoop) else [stage.units]

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Add the weight gradients; return dx (B, T, F), or None.

        With `return_state`, `dy` is the tuple of the gradients by output and states; any
        may be None. Where the call had an `initial_state`, the tuple of dx and the
        gradients by the states is returned.
        """
        kept, started, wanted = saved
        self._set_up()
        dy, *dstates = dy if self.return_state else (dy, *[None] * len(self._state_sizes))
        dbefore: list[Any] = []
        for i in range(len(self._stages) - 1, -1, -1):
            stage = self._stages[i]
            count, dtype = len(self._sizes_of(stage)), np.dtype(stage.dtype)
            given = [_cast(d, dtype) for d in dstates[len(dstates) - count :]]
            dstates = dstates[: len(dstates) - count]
            result = stage.backward((_cast(dy, dtype), *given), kept[i], need_dx or i > 0)
            if isinstance(stage, CellLoop) or started:
                dy, *before = result
                dbefore = before + dbefore
            else:
                dy = result
        dx = _cast(dy, self._np_dtype)
        if dx is not None and self.go_backwards:
            dx = dx[:, ::-1]
        return (dx, *(_cast(d, self._np_dtype) for d in dbefore)) if wanted else dx

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


def _cast(array: Any, dtype: np.dtype) -> Any:
    return None if array is None else array.astype(dtype, copy=False)


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
