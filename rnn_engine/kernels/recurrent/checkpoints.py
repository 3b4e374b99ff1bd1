"""Checkpoints in time: what a pass keeps where memory counts for more than time.

A pass forward keeps its states once in a *segment* of some steps, and nothing else. The pass back
takes the segments, the last one first: it goes forward through one again, keeping all that the
steps make in one space that every segment uses, and then back, with the gradients that came from
behind. With segments of √T steps memory grows with √T, for one more pass forward (T. Chen, B. Xu,
C. Zhang, C. Guestrin, 2016, Training deep nets with sublinear memory cost; for recurrent nets
A. Gruslys and others, 2016, Memory-efficient backpropagation through time).

A segment is a whole number of the chunks in which the weight gradients are summed, and the sums of
all segments go into the same arrays, chunk after chunk. So not a bit of them is another one.
"""

import math

import numpy as np

from rnn_engine.kernels.recurrent.places import P
from rnn_engine.kernels.recurrent.plan import Sizes


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

    Attributes
    ----------
    segments : list of (begin, stop)
    states : (segments, states, B, U)
        The first ones are the initial states, if there are any.
    """

    __slots__ = ("length", "segments", "sizes", "states")

    def __init__(self, sizes: Sizes, length: int) -> None:
        self.sizes, self.length = sizes, length
        steps = sizes.steps
        self.segments = [(t, min(t + length, steps)) for t in range(0, steps, length)]
        shape = len(self.segments), sizes.cell.states, sizes.batch, sizes.units
        self.states = np.empty(shape, sizes.dtype)

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

    def point(self, table: np.ndarray, places: np.ndarray, space: np.ndarray, begin: int) -> None:
        """Have a pass's plan find in `space`, laid out as `places`, the segment from `begin` on.

        Its pointers stand where step 0 would lie; the steps that it goes are those of the segment.
        """
        base, item = int(space.ctypes.data), space.itemsize
        step = self.sizes.batch * self.sizes.units
        strides = {P.STATE + s: step for s in range(self.sizes.cell.states)}
        strides[P.KEPT], strides[P.OPERAND] = int(places[P.KEPT_STEP]), int(places[P.OPERAND_STEP])
        for place, stride in strides.items():
            table[place] = base + item * (int(places[place]) - begin * stride)

    def fill(self, places: np.ndarray, space: np.ndarray, begin: int) -> None:
        """Put the states before step `begin` where its segment begins in `space`."""
        if begin:  # else the pass forward does so
            for s, state in enumerate(self.states[begin // self.length]):
                place = int(places[P.STATE + s])
                space[place : place + state.size] = state.reshape(-1)
