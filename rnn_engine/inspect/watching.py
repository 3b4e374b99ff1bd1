"""The recurrent layers of a model, taken step by step while somebody watches.

A pass through the kernels keeps no gradient of the states: they live in scratch. So the loops of
the layers are replaced, for one call, by such that give the kernels one step at a time: the bits
are the same, since a sequence may be cut anywhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

import numpy as np

from rnn_engine.checks import compact
from rnn_engine.graph.inside import with_inner
from rnn_engine.layers import RNN
from rnn_engine.layers.kernel_loop import KernelLoop

# One watch at a time: two would replace each other's loops.
_lock = RLock()


class Record:
    """What a recurrent layer, or a cell of a stack, saw and did in one call; first step first.

    Attributes
    ----------
    name : str
    cell : the layer's cell
    turned : bool, whether it reads from the last step to the first
    x : (T, B, F)
    start : list of (B, U), the states before the first step
    h : (T, B, U)
    open : (T, B) of bool, False where a mask has closed a step
    dh : (T, B, U), gradient by h, through all later steps; None before backward
    dx : (T, B, F), gradient by x; None before backward, and where nobody wants it
    """

    def __init__(self, name: str, cell: Any, turned: bool) -> None:
        self.name, self.cell, self.turned = name, cell, turned
        self.x: np.ndarray = np.empty(0)
        self.h: np.ndarray = np.empty(0)
        self.open: np.ndarray = np.empty(0)
        self.start: list[np.ndarray] = []
        self.dh: np.ndarray | None = None
        self.dx: np.ndarray | None = None

    def in_time(self, array: np.ndarray) -> np.ndarray:
        """Return an array, in the order of reading, in the order of time."""
        return array[::-1] if self.turned else array


class Watched:
    """A `KernelLoop` that goes step by step and writes a `Record` of each call."""

    def __init__(self, loop: KernelLoop, name: str, turned: bool, records: list[Record]) -> None:
        self.loop, self.name, self.turned, self.records = loop, name, turned, records
        self.cell, self.packed = loop.cell, loop.packed
        self.dtype, self.sizes = loop.dtype, loop.sizes

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
        """Do what `KernelLoop.forward` does."""
        if training or not keep:
            return self.loop.forward(x, states, mask, training, keep, sequences, zero_output)
        # For the checks, and for which steps show their state.
        *_, saved = self.loop.forward(x, states, mask, False, True, sequences, zero_output)
        calls = sum(record.name.partition("#")[0] == self.name for record in self.records)
        record = Record(f"{self.name}#{calls + 1}" if calls else self.name, self.cell, self.turned)
        self.records.append(record)
        batch, steps = x.shape[:2]
        record.x = x.transpose(1, 0, 2).copy()
        record.open = np.ones((steps, batch), bool) if mask is None else mask.copy()
        zeros = [np.zeros((batch, size), self.dtype) for size in self.sizes]
        record.start = zeros if states is None else [state.copy() for state in states]
        record.h = np.empty((steps, batch, self.sizes[0]), self.dtype)
        walks, recurrence = [], self.packed.recurrence
        for t in range(steps):
            closed = None if mask is None else np.ascontiguousarray(mask[t : t + 1])
            _, states, walk = recurrence.forward(
                self.packed.current(), x[:, t : t + 1], states, closed, keep=True
            )
            record.h[t] = states[0]
            walks.append(walk)
        y = record.h if sequences else record.h[-1]
        if saved.shown is not None:
            shown = saved.shown if sequences else saved.shown[-1]
            y = np.where(shown[..., None], y, y.dtype.type(0))
        y = y.transpose(1, 0, 2) if sequences else y.copy()
        return y, list(states or ()), (walks, saved.shown, sequences, record)

    def backward(self, dy: Any, dlast: list[Any], saved: Any, need_dx: bool = True) -> Any:
        """Do what `KernelLoop.backward` does."""
        if not isinstance(saved, tuple):
            return self.loop.backward(dy, dlast, saved, need_dx)
        walks, shown, sequences, record = saved
        steps, batch, units = record.h.shape
        passed = [
            np.zeros((batch, size), self.dtype) if d is None else d
            for d, size in zip(dlast, self.sizes, strict=True)
        ]
        record.dh = np.empty((steps, batch, units), self.dtype)
        dx = np.empty_like(record.x) if need_dx else None
        for t in range(steps - 1, -1, -1):
            if dy is not None and (sequences or t == steps - 1):
                direct = dy[:, t] if sequences else dy
                if shown is not None:
                    direct = np.where(shown[t][:, None], direct, direct.dtype.type(0))
                passed = [passed[0] + direct, *passed[1:]]
            record.dh[t] = passed[0]
            dx_t, before = self.packed.recurrence.backward(
                walks[t], None, [compact(d) for d in passed], self.packed.gradients(), need_dx
            )
            passed = passed if before is None else before
            if dx is not None and dx_t is not None:
                dx[t] = dx_t[:, 0]
        started = walks[0].started
        record.dx = dx
        return (None if dx is None else dx.transpose(1, 0, 2)), passed if started else None


def layers_of(model: Any) -> list[RNN]:
    """Return the recurrent layers of a model, those inside others too, each once."""
    return [layer for layer in with_inner(model.layers) if isinstance(layer, RNN)]


@contextmanager
def watched(model: Any) -> Iterator[list[Record]]:
    """Have the recurrent layers of a model write records, in the order of their calls.

    Their own states, of those with ``stateful=True``, are put back at the end.

    Raises
    ------
    ValueError
        If there is no recurrent layer whose cells the kernels know.
    """
    records: list[Record] = []
    with _lock:
        before = [(layer, layer._loops, _states(layer)) for layer in layers_of(model)]
        if not any(isinstance(loop, KernelLoop) for _, loops, _ in before for loop in loops):
            raise ValueError(
                f"Model {model.name!r} has no SimpleRNN, LSTM or GRU, nor an RNN of their cells, "
                "to look into, or is not built yet."
            )
        try:
            for layer, loops, _ in before:
                layer._loops = [
                    Watched(loop, _name(layer, loop), layer.go_backwards, records)
                    if isinstance(loop, KernelLoop) else loop
                    for loop in loops
                ]  # fmt: skip
            yield records
        finally:
            for layer, loops, states in before:
                layer._loops = loops
                for variable, state in zip(layer.states or (), states, strict=True):
                    variable.assign(state)


def _states(layer: Any) -> list[np.ndarray]:
    return [np.array(state.numpy()) for state in layer.states or ()]


def _name(layer: Any, loop: Any) -> str:
    """Return the name of a layer, with the cell's where there are several."""
    return layer.name if len(layer._loops) == 1 else f"{layer.name}/{loop.cell.name}"
