"""The loop over time for a cell of which only a step is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.kernels.checkpoint_steps import checkpoint_steps
from rnn_engine.kernels.recurrent.checkpoints import segment_steps
from rnn_engine.layers.called_cell import CalledCell, stepper
from rnn_engine.layers.cell import as_state, check_count, output_size, state_sizes
from rnn_engine.layers.guard import is_ours
from rnn_engine.layers.kernel_cell import KernelCell

Kept = tuple[Any, np.ndarray | None]
"""What a cell saved of a step, and the step's closed rows (B,) or None."""


@dataclass(slots=True)
class Pass:
    """What a pass through a sequence is given: see `CellLoop.forward`."""

    x: np.ndarray
    mask: np.ndarray | None
    training: bool
    zero_output: bool
    keep: bool


@dataclass(slots=True)
class SavedLoop:
    """What backward of a loop needs.

    Attributes
    ----------
    steps : what is kept of each step; none with checkpoints
    given : Pass
    sequences : whether the output of every step was returned
    length : steps of a segment, at whose beginning the states are kept; all without checkpoints
    starts : output and states before each segment
    masks : the cell's dropout masks
    """

    steps: list[Kept]
    given: Pass
    sequences: bool
    length: int
    starts: list[tuple[np.ndarray, list[np.ndarray]]]
    masks: dict[str, Any]


class CellLoop:
    """Runs one cell through a sequence, forward and back.

    out[t], s[t] = cell(x[t], s[t-1]) where mask[t], else out[t-1], s[t-1]

    with zeros before the first output, and for masked ones with `zero_output`.

    Parameters
    ----------
    cell
        Keeps the protocol of `RNNCell`.
    dtype : numpy.dtype
        Of the outputs and states.
    """

    def __init__(self, cell: Any, dtype: np.dtype) -> None:
        self.cell = stepper(cell)
        self.dtype = dtype
        self.sizes = state_sizes(cell)

    def forward(
        self,
        x: np.ndarray,
        states: list[np.ndarray] | None = None,
        mask: np.ndarray | None = None,
        training: bool = False,
        keep: bool = False,
        sequences: bool = True,
        zero_output: bool = False,
    ) -> Any:
        """Return the output, the list of last states, and `SavedLoop` or None.

        Parameters
        ----------
        x : (B, T, ...), in the order of reading
        states : list of (B, size), zeros if None
        mask : (T, B) of bool, or None
        training, keep : whether dropout works; whether backward will follow
        sequences : whether the output is (B, T, U), or (B, U) of the last step
        zero_output : whether a closed row's output is zero, not that of the step before
        """
        batch, steps = x.shape[:2]
        given = Pass(x, mask, training, zero_output, keep)
        if states is None:
            states = [np.zeros((batch, n), self.dtype) for n in self.sizes]
        previous = np.zeros((batch, output_size(self.cell)), self.dtype)
        outputs = np.empty((steps, *previous.shape), self.dtype) if sequences else None
        length = self._segment_steps(steps) if keep else steps
        kept: list[Kept] = []
        starts = []
        self._reset_dropout()
        for begin in range(0, steps, length):
            starts.append((previous, states))
            stop = min(begin + length, steps)
            for t, output, new_states, step in self._walk(given, begin, stop, *starts[-1]):
                previous, states = output, new_states
                if outputs is not None:
                    outputs[t] = output
                if keep and length == steps:
                    kept.append(step)
        masks = {name: getattr(self.cell, name, None) for name in _MASKS}
        self._reset_dropout()
        y = previous if outputs is None else outputs.transpose(1, 0, 2)
        return y, states, SavedLoop(kept, given, sequences, length, starts, masks) if keep else None

    def _segment_steps(self, steps: int) -> int:
        """Return after how many steps the states are kept, all where every step is.

        A cell of the user's is: nobody knows whether its step would be the same again.
        """
        asked = checkpoint_steps.get()
        if asked is None or not isinstance(self.cell, KernelCell) or not is_ours(type(self.cell)):
            return steps
        return min(steps, segment_steps(asked, steps, 1))

    def _walk(
        self, given: Pass, begin: int, stop: int, previous: np.ndarray, states: list[np.ndarray]
    ) -> Iterator[tuple[int, np.ndarray, list[np.ndarray], Kept]]:
        """Yield each step from `begin` to `stop`, its output, its states, and what is kept of it.

        `previous` and `states` are output and states of the step before.
        """
        mask, shape = given.mask, previous.shape
        for t in range(begin, stop):
            closed = None if mask is None or mask[t].all() else ~mask[t]
            output, new_states, saved = self._step(
                given.x[:, t], states, given.training, shape, given.keep
            )
            if closed is not None:
                output[closed] = 0 if given.zero_output else previous[closed]
                for new, old in zip(new_states, states, strict=True):
                    new[closed] = old[closed]
            previous, states = output, new_states
            yield t, output, new_states, (saved, closed)

    def _steps_from(self, saved: SavedLoop, begin: int, stop: int) -> list[Kept]:
        """Return what is kept of the steps of a segment, gone again where nothing is."""
        if saved.steps:
            return saved.steps
        for name, mask in saved.masks.items():
            setattr(self.cell, name, mask)
        start = saved.starts[begin // saved.length]
        kept = [step for *_, step in self._walk(saved.given, begin, stop, *start)]
        self._reset_dropout()
        return kept

    def _step(
        self, x: np.ndarray, states: Any, training: bool, shape: tuple[int, ...], keep: bool
    ) -> tuple[np.ndarray, list[np.ndarray], Any]:
        """Return output and new states of a step as new arrays of their own, and saved."""
        if isinstance(self.cell, CalledCell):
            result = self.cell.forward(x, states, training, keep)
        else:
            result = self.cell.forward(x, states, training)
        if not isinstance(result, tuple) or len(result) != 3:
            raise ValueError(
                f"forward of cell {self.cell} must return (output, new_states, saved), got "
                f"{type(result).__name__}."
            )
        output, new_states, saved = result
        if not isinstance(new_states, list | tuple):
            new_states = [new_states]
        shapes = [(len(x), n) for n in self.sizes]
        found = [np.shape(output), *map(np.shape, new_states)]
        if found != [shape, *shapes]:
            raise ValueError(
                f"forward of cell {self.cell} must return an output of shape {shape} and states "
                f"of shapes {shapes}, got {found[0]} and {found[1:]}."
            )
        # Copies: a mask writes to them, and a cell may return one array twice.
        copies = [np.array(state, self.dtype) for state in new_states]
        return np.array(output, self.dtype), copies, saved

    def _reset_dropout(self) -> None:
        for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
            if (reset := getattr(self.cell, name, None)) is not None:
                reset()

    def backward(self, dy: Any, dlast: list[Any], saved: SavedLoop, need_dx: bool = True) -> Any:
        """Return dx (B, T, ...) or None, and the list of the gradients by the first states.

        `dy` and each of `dlast`, the gradients by output and last states, may be None.
        """
        batch, steps = saved.given.x.shape[:2]
        dstates = [
            np.zeros((batch, n), self.dtype) if given is None else given
            for given, n in zip(dlast, self.sizes, strict=True)
        ]
        none = np.zeros((batch, output_size(self.cell)), self.dtype)
        carried, dx = none, None
        segment: list[Kept] = []
        for t in range(steps - 1, -1, -1):
            begin = t // saved.length * saved.length
            if t == min(begin + saved.length, steps) - 1:
                segment.clear()  # before the next one is made
                segment = self._steps_from(saved, begin, t + 1)
            kept, closed = segment[t - begin]
            doutput = carried
            if dy is not None and (saved.sequences or t == steps - 1):
                doutput = carried + (dy[:, t] if saved.sequences else dy)
            carried, passed = none, None
            if closed is not None:
                rows = closed[:, None]
                if not saved.given.zero_output:
                    carried = np.where(rows, doutput, 0)
                passed = [np.where(rows, d, 0) for d in dstates]
                doutput = np.where(rows, 0, doutput)
                dstates = [np.where(rows, 0, d) for d in dstates]
            dx_t, dstates = self._step_back(doutput, dstates, kept)
            if passed is not None:
                dstates = [a + b for a, b in zip(dstates, passed, strict=True)]
            if need_dx:
                if dx is None:
                    dx = np.empty((steps, *dx_t.shape), self.dtype)
                dx[t] = dx_t
        return (None if dx is None else np.swapaxes(dx, 0, 1)), dstates

    def _step_back(self, doutput: np.ndarray, dstates: Any, kept: Any) -> Any:
        """Return the gradients by input and states of a step, of the shapes that they must have."""
        dx, before = self.cell.backward(doutput, dstates, kept)
        before = before if isinstance(before, list | tuple) else [before]
        name = getattr(self.cell, "name", type(self.cell).__name__)
        check_count(name, before, self.sizes, "dstates_before")
        batch = len(doutput)
        if np.shape(dx)[:1] != (batch,):
            raise ValueError(
                f"backward of cell {self.cell} must return a dx of {batch} rows, got shape "
                f"{np.shape(dx)}."
            )
        return dx, [
            as_state(d, (batch, n), self.dtype, name, "dstates_before")
            for d, n in zip(before, self.sizes, strict=True)
        ]


_MASKS = ("_dropout_mask", "_recurrent_dropout_mask")
