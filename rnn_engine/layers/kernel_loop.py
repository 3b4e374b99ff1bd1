"""A cell through time in the kernels."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import compact, input_axes
from rnn_engine.kernels.checkpoint_steps import checkpoint_steps
from rnn_engine.layers.cell import state_sizes
from rnn_engine.layers.kernel_cell import KernelCell


@dataclass(slots=True)
class SavedPass:
    """What backward of a pass through the kernels needs.

    Attributes
    ----------
    walk : what the kernels saved
    factors : (B, F), by which dropout multiplied the inputs of all gates, or None
    shown : (T, B) of bool, the steps whose output is the state, or None for all
    sequences : whether the output of every step was returned
    """

    walk: Any
    factors: np.ndarray | None
    shown: np.ndarray | None
    sequences: bool


class KernelLoop:
    """Runs a `KernelCell` through a sequence, forward and back; has the methods of `CellLoop`."""

    def __init__(self, cell: KernelCell) -> None:
        self.cell = cell
        assert cell.packed is not None
        self.packed = cell.packed
        self.dtype = cell._np_dtype
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
        """Return the output, the list of last states, and `SavedPass` or None.

        Parameters
        ----------
        x : (B, T, F), in the order of reading
        states : list of (B, U), zeros if None
        mask : (T, B) of bool, or None
        training, keep : whether dropout works; whether backward will follow
        sequences : whether the output is (B, T, U), or (B, U) of the last step
        zero_output : whether a closed row's output is zero, not that of the step before
        """
        packed = self.packed
        if x.shape[2] != packed.features:  # a cell that was built before, or stands twice
            input_axes(self.cell.name, x, "(batch, timesteps, features)", self.cell.features)
        shared = drop_x = drop_h = None
        cell = self.cell
        if training and (cell.dropout or cell.recurrent_dropout):
            factors = cell.draw_factors(len(x))
            shared, drop_x = factors.of_inputs()
            drop_h = factors.h
            if shared is not None:
                x = x * shared[:, None]
        apart = checkpoint_steps.get() if keep else None
        h, last, walk = packed.recurrence.forward(
            packed.current(), x, states, mask, drop_x, drop_h, sequences, keep, apart
        )
        y: Any = h if sequences else last[0]
        shown = None
        if mask is not None:
            shown = _visible(mask, zero_output, states is not None)
            if shown is not None:
                y = np.where((shown if sequences else shown[-1])[..., None], y, y.dtype.type(0))
        if sequences:
            y = y.transpose(1, 0, 2)
        return y, last, SavedPass(walk, shared, shown, sequences) if keep else None

    def backward(self, dy: Any, dlast: list[Any], saved: SavedPass, need_dx: bool = True) -> Any:
        """Return dx (B, T, F) or None, and the list of the gradients by the first states.

        `dy` and each of `dlast`, the gradients by output and last states, may be None.
        """
        shown = saved.shown
        if dy is not None and saved.sequences:
            dy = dy.transpose(1, 0, 2)
            dy = compact(dy if shown is None else np.where(shown[..., None], dy, dy.dtype.type(0)))
        elif dy is not None:
            if shown is not None:
                dy = np.where(shown[-1][:, None], dy, dy.dtype.type(0))
            dlast = [compact(dy if dlast[0] is None else dlast[0] + dy), *dlast[1:]]
            dy = None
        packed = self.packed
        dx, dbefore = packed.recurrence.backward(saved.walk, dy, dlast, packed.gradients(), need_dx)
        if dx is not None and saved.factors is not None:
            dx = dx * saved.factors[:, None]
        return dx, dbefore


def _visible(mask: np.ndarray, zero_output: bool, started: bool) -> np.ndarray | None:
    """Return which steps (T, B) show the state as their output; the others show zero.

    Keras's sequence of outputs starts from zeros, also where the states do not (`started`):
    before its first open step a row's output is zero.
    """
    if zero_output:
        return mask
    return np.logical_or.accumulate(mask, axis=0) if started else None
