"""Checkpoints in time: what a pass keeps where memory counts for more than time.

A pass forward keeps its states once in a *segment* of some steps, and nothing else. The pass back
takes the segments, the last one first: it goes forward through one again, keeping all that the
steps make in one space that every segment uses, and then back, with the gradients that came from
behind. With segments of √T steps memory grows with √T, for one more pass forward (T. Chen, B. Xu,
C. Zhang, C. Guestrin, 2016, Training deep nets with sublinear memory cost; for recurrent nets
A. Gruslys and others, 2016, Memory-efficient backpropagation through time).

A large pass of a cell that can `restore` its states is *thin*: it keeps the gates of all its steps,
and only the states as above. Going back it makes the states of each segment again of the gates,
unit by unit, which takes no products (`restoring`).

A segment is a whole number of the chunks in which the weight gradients are summed, and the sums of
all segments go into the same arrays, chunk after chunk. So not a bit of them is another one.
"""

import math
from typing import Any

import numpy as np

from rnn_engine.kernels.recurrent.places import P
from rnn_engine.kernels.recurrent.plan import Plan, Sizes


def segment_steps(asked: int | str, steps: int, chunk: int) -> int:
    """Return the steps of a segment: those asked for, or √steps, rounded up to whole chunks."""
    least = math.isqrt(steps - 1) + 1 if asked == "auto" else int(asked)
    return -(-least // chunk) * chunk


def within(calls: list[tuple[int, int]], begin: int, stop: int) -> list[tuple[int, int]]:
    """Return the parts of some calls that lie between two steps."""
    return [(max(a, begin), min(b, stop)) for a, b in calls if a < stop and b > begin]


class Checkpoints:
    """The states at the beginning of each segment of a pass.

    Parameters
    ----------
    sizes : Sizes
        Those of the pass.
    length : int
        Steps of a segment; the last one may be shorter.
    held : int or None
        Of a thin pass, how many of the states are kept at every step; None where nothing is.

    Attributes
    ----------
    segments : list of (begin, stop)
    states : (segments, states, B, U)
        The first ones are the initial states, or zeros.
    """

    __slots__ = ("held", "length", "segments", "sizes", "states")

    def __init__(self, sizes: Sizes, length: int, held: int | None = None) -> None:
        self.sizes, self.length, self.held = sizes, length, held
        steps = sizes.steps
        self.segments = [(t, min(t + length, steps)) for t in range(0, steps, length)]
        shape = len(self.segments), sizes.cell.states, sizes.batch, sizes.units
        self.states = np.empty(shape, sizes.dtype)
        self.states[0] = 0

    @property
    def is_thin(self) -> bool:
        """Whether the gates of all steps are kept."""
        return self.held is not None

    def start_from(self, initial: list[np.ndarray]) -> np.ndarray:
        """Keep the initial states, and return them."""
        first: np.ndarray = self.states[0]
        for target, state in zip(first, initial, strict=True):
            target[...] = state
        return first

    def keep(self, t: int, states: np.ndarray) -> None:
        """Keep the states (states, B, U) before step t, if a segment begins there."""
        if t < self.sizes.steps:
            self.states[t // self.length] = states


class Segment:
    """The space in which a pass back finds what the steps of a segment have kept, whichever it is.

    Parameters
    ----------
    checkpoints : Checkpoints
    plan : Plan
        Of the pass forward.
    kept : flat
        What that has kept.
    empty : callable
        empty(shape, dtype) gives an array.
    """

    def __init__(self, checkpoints: Checkpoints, plan: Plan, kept: np.ndarray, empty: Any) -> None:
        self._checkpoints = checkpoints
        sizes, length = checkpoints.sizes, checkpoints.length
        cell, step, item = sizes.cell, sizes.batch * sizes.units, sizes.dtype.itemsize
        # By place of a plan, how many numbers a step has there, and how many steps there are.
        needs: dict[int, tuple[int, int]] = {
            P.STATE + s: (step, length + 1) for s in range(cell.states)
        }
        needs[P.KEPT] = step * sizes.keeps, length
        needs[P.OPERAND] = step * (len(cell.stages) > 1), length
        # What is there for all steps: where that of step 0 lies.
        self._whole: dict[int, int] = {}
        if checkpoints.held is not None:
            for place in (P.KEPT, *range(P.STATE, P.STATE + checkpoints.held)):
                self._whole[place] = kept.ctypes.data + item * int(plan.table[place])
                del needs[place]
        self._places: dict[int, tuple[int, int]] = {}
        end = 0
        for place, (stride, count) in needs.items():
            self._places[place] = end, stride
            end += sizes.up(stride * count)
        self._space = empty((end,), sizes.dtype)

    def point(self, table: np.ndarray, begin: int) -> None:
        """Have a plan find the segment that begins with a step.

        Its pointers stand where step 0 would lie; the steps that it goes are those of the segment.
        """
        base, item = self._space.ctypes.data, self._space.itemsize
        for place, (at, stride) in self._places.items():
            table[place] = base + item * (at - begin * stride)
        for place, address in self._whole.items():
            table[place] = address

    def fill(self, begin: int) -> None:
        """Put the states before step `begin` where its segment begins."""
        states = self._checkpoints.states[begin // self._checkpoints.length]
        for s, state in enumerate(states):
            if P.STATE + s in self._places:
                place, _ = self._places[P.STATE + s]
                self._space[place : place + state.size] = state.reshape(-1)
