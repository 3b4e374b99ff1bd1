"""The loop over time for a cell of which only a step is known."""

from typing import Any

import numpy as np

from rnn_engine.layers.cell import output_size, state_sizes


class CellLoop:
    """Runs one cell through a sequence, forward and back.

    out[t], s[t] = cell(x[t], s[t-1]) where mask[t], else out[t-1], s[t-1]

    with zeros before the first output, and for masked ones under `zero_output_for_mask`.

    Parameters
    ----------
    cell
        Keeps the protocol of `RNNCell`.
    dtype : numpy.dtype
        Of the outputs and states.
    """

    def __init__(self, cell: Any, dtype: np.dtype) -> None:
        self.cell = cell
        self.dtype = dtype
        self.return_sequences = True
        self.zero_output_for_mask = False

    def forward(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: np.ndarray | None = None,
        initial_state: Any = None,
        keep: bool = False,
    ) -> Any:
        """Return ``((y, *last states), saved)``, as a `SimpleRNN` with `return_state` does."""
        batch, steps = x.shape[:2]
        states = initial_state
        if states is None:
            states = [np.zeros((batch, n), self.dtype) for n in state_sizes(self.cell)]
        previous = np.zeros((batch, output_size(self.cell)), self.dtype)
        outputs = np.empty((steps, *previous.shape), self.dtype) if self.return_sequences else None
        kept = []
        self._reset_dropout()
        for t in range(steps):
            closed = None if mask is None or mask[:, t].all() else ~mask[:, t]
            output, new_states, saved = self._step(x[:, t], states, training, previous.shape)
            if closed is not None:
                output[closed] = 0 if self.zero_output_for_mask else previous[closed]
                for new, old in zip(new_states, states, strict=True):
                    new[closed] = old[closed]
            previous, states = output, new_states
            if outputs is not None:
                outputs[t] = output
            if keep or training:
                kept.append((saved, closed))
        self._reset_dropout()
        y = previous if outputs is None else outputs.transpose(1, 0, 2)
        return (y, *states), (kept, batch) if keep or training else None

    def _step(
        self, x: np.ndarray, states: Any, training: bool, shape: tuple[int, ...]
    ) -> tuple[np.ndarray, list[np.ndarray], Any]:
        """Return output and new states of a step as new arrays of their own, and saved."""
        result = self.cell.forward(x, states, training)
        if not isinstance(result, tuple) or len(result) != 3:
            raise ValueError(
                f"forward of cell {self.cell} must return (output, new_states, saved), got "
                f"{type(result).__name__}."
            )
        output, new_states, saved = result
        if not isinstance(new_states, list | tuple):
            new_states = [new_states]
        shapes = [(len(x), n) for n in state_sizes(self.cell)]
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

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Return dx (B, T, ...) or None, and the gradients by the initial states.

        `dy` is the tuple of the gradients by y and the last states; each may be None.
        """
        kept, batch = saved
        dy, *dstates = dy
        dstates = [
            np.zeros((batch, n), self.dtype) if given is None else given
            for given, n in zip(dstates, state_sizes(self.cell), strict=True)
        ]
        none = np.zeros((batch, output_size(self.cell)), self.dtype)
        carried, dx = none, None
        for t in range(len(kept) - 1, -1, -1):
            cell_saved, closed = kept[t]
            doutput = carried
            if dy is not None and (self.return_sequences or t == len(kept) - 1):
                doutput = carried + (dy[:, t] if self.return_sequences else dy)
            carried, passed = none, None
            if closed is not None:
                rows = closed[:, None]
                if not self.zero_output_for_mask:
                    carried = np.where(rows, doutput, 0)
                passed = [np.where(rows, d, 0) for d in dstates]
                doutput = np.where(rows, 0, doutput)
                dstates = [np.where(rows, 0, d) for d in dstates]
            dx_t, before = self.cell.backward(doutput, dstates, cell_saved)
            dstates = before if isinstance(before, list | tuple) else [before]
            if passed is not None:
                dstates = [a + b for a, b in zip(dstates, passed, strict=True)]
            if need_dx:
                if dx is None:
                    dx = np.empty((len(kept), *dx_t.shape), self.dtype)
                dx[t] = dx_t
        return (None if dx is None else np.swapaxes(dx, 0, 1), *dstates)
