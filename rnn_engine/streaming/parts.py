"""Layers of a stream that run through their own `forward`, some steps at a time.

Each part takes x (B, T, ...) and a mask (B, T) or None, and returns the same of its output. Its
`states` are arrays (B, ...) that it may replace, None before the first step; `blank` makes those
that it begins with.
"""

from typing import Any

import numpy as np

from rnn_engine.layers import RNN
from rnn_engine.layers.cell import output_size
from rnn_engine.streaming.chain import Link, names_of


class Stepwise:
    """A layer that takes each step by itself."""

    def __init__(self, link: Link, batch: int) -> None:
        self.layer, self.in_time = link.layer, link.in_time
        self.states: list[np.ndarray] | None = []

    def blank(self) -> list[np.ndarray]:
        """Return no states."""
        return []

    def run(self, x: np.ndarray, mask: Any) -> Any:
        """Return the output and its mask."""
        layer = self.layer
        x = layer.convert(x)
        if self.in_time:
            return layer.forward_with_mask(x, False, mask)[:2]
        y = layer.forward_with_mask(x.reshape(-1, *x.shape[2:]), False)[0]
        return y.reshape(*x.shape[:2], *y.shape[1:]), None


class Causal:
    """A causal convolution; its state is the end of the inputs so far."""

    def __init__(self, link: Link, batch: int) -> None:
        self.layer, self.batch = link.layer, batch
        self.before = (self.layer.kernel_size[0] - 1) * self.layer.dilation_rate[0]
        self.states: list[np.ndarray] | None = None

    def blank(self) -> list[np.ndarray]:
        """Return zeros, which causal padding puts in front, too."""
        return [np.zeros((self.batch, self.before, self.layer.channels), self.layer._np_dtype)]

    def run(self, x: np.ndarray, mask: Any) -> Any:
        """Return the output, without a mask."""
        (earlier,) = self.blank() if self.states is None else self.states
        joined = np.concatenate([earlier, self.layer.convert(x)], axis=1)
        y = self.layer.forward_with_mask(joined, False)[0]
        self.states = [joined[:, joined.shape[1] - self.before :].copy()]
        return y[:, self.before :], None


class Recurrence:
    """An `RNN`, of cells of one's own, too, and under a mask.

    Its states are those of each cell and the cell's last output, which a masked step repeats.
    """

    def __init__(self, link: Link, batch: int) -> None:
        self.layer, self.batch = link.layer, batch
        self.states: list[np.ndarray] | None = None

    def blank(self) -> list[np.ndarray]:
        """Return the states that a sequence begins with."""
        layer, made, begin = self.layer, [], []
        if layer._begins_elsewhere:
            begin = layer.initial_states(layer.get_initial_state(self.batch), self.batch)
        for loop in layer._loops:
            own, begin = begin[: len(loop.sizes)], begin[len(loop.sizes) :]
            sizes = [] if own else loop.sizes
            made += [state.astype(loop.dtype) for state in own]
            sizes = [*sizes, output_size(loop.cell)]
            made += [np.zeros((self.batch, size), loop.dtype) for size in sizes]
        return made

    def run(self, x: np.ndarray, mask: Any) -> Any:
        """Return the output of every step, and the mask if there are sequences behind it."""
        layer, given = self.layer, self.states
        if given is None and layer._begins_elsewhere:
            given = self.blank()
        steps = layer.step_mask(mask, x)
        y, after, place = x, [], 0
        top = len(layer._loops) - 1
        for index, loop in enumerate(layer._loops):
            start = previous = None
            if given is not None:
                *start, previous = given[place : place + len(loop.sizes) + 1]
            zero = index == top and layer.zero_output_for_mask
            y, new, _ = loop.forward(
                y.astype(loop.dtype, copy=False), start, steps, False, False, True, zero
            )
            if steps is not None and previous is not None and not zero:
                # Before its first open step a row shows what it showed last.
                waiting = ~np.logical_or.accumulate(steps, axis=0).T[..., None]
                y = np.where(waiting, previous[:, None], y)
            after += [*(state.copy() for state in new), y[:, -1].copy()]
            place += len(loop.sizes) + 1
        self.states = after
        return y.astype(layer._np_dtype, copy=False), mask if layer.return_sequences else None


def part_for(link: Link, batch: int) -> Any:
    """Return the part that runs a layer."""
    if isinstance(link.layer, RNN) and link.in_time:
        return Recurrence(link, batch)
    if "Conv1D" in names_of(link.layer) and link.in_time:
        return Causal(link, batch)
    return Stepwise(link, batch)
