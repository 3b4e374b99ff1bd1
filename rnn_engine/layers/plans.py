"""What the sizes of a recurrent pass decide: chunks, groups, scratch and calls.

Looked up, not computed again: a call on small work is a matter of microseconds.
"""

import functools
from typing import Any

import numpy as np

from rnn_engine.kernels import simple_rnn, threads
from rnn_engine.kernels.vector import REGISTER_BYTES, REGISTERS


@functools.lru_cache(maxsize=256)
def forward_plan(batch: int, steps: int, features: int, units: int, tasks: int) -> tuple[Any, ...]:
    """Return the steps of a chunk, the numbers of scratch, and the calls in time."""
    rows = -(-batch // tasks)
    chunk = simple_rnn.forward_steps(steps, rows, units)
    size = tasks * simple_rnn.forward_size(chunk, rows, features, units)
    work = batch * steps * units * (features + units)
    return chunk, size, threads.calls(steps, chunk, work)


# Where `kernels.single_row` takes over: steps from which on it pays to pack the weights that way,
# too; bytes of a row of R, for a panel, and of all of R, for it not to stay in the nearest cache.
_LEAST_STEPS = 32
_LEAST_ROW = REGISTERS // 2 * REGISTER_BYTES
_LEAST_WEIGHTS = 65536


def is_for_single_row(batch: int, steps: int, units: int, dtype: np.dtype) -> bool:
    """Return whether the work is for `kernels.single_row`."""
    row = units * dtype.itemsize
    large = row >= _LEAST_ROW and units * row > _LEAST_WEIGHTS
    return batch == 1 and steps >= _LEAST_STEPS and large


@functools.lru_cache(maxsize=256)
def brief_work(batch: int, steps: int, features: int, units: int, dtype: np.dtype) -> int:
    """Return the multiply-adds of small work; 0 if it is not for the kernels of such."""
    work = batch * steps * units * (features + units)
    if (
        batch * (features + units) > simple_rnn.BRIEF_NUMBERS
        or work > threads.LONGEST_CALL
        or is_for_single_row(batch, steps, units, dtype)
    ):
        return 0
    return work


is_brief_backward = functools.lru_cache(maxsize=256)(simple_rnn.is_brief_backward)


def backward_threads(batch: int, steps: int, features: int, units: int) -> int:
    """Return how many threads go back."""
    work = 2 * batch * steps * units * (features + units)
    return threads.tasks(work, threads.get_num_threads())


@functools.lru_cache(maxsize=256)
def backward_plan(
    batch: int, steps: int, features: int, units: int, tasks: int, dtype: np.dtype
) -> tuple[Any, ...]:
    """Return groups of rows, threads a group, steps of a chunk, the work array's plan, calls."""
    groups = simple_rnn.groups(steps, batch, features, units)
    members = max(1, tasks // groups)
    rows = -(-batch // groups)
    chunk = simple_rnn.backward_steps(steps, rows, units)
    # A thread with a group of its own packs its weights itself: the other's would first have to
    # come out of that core's cache, as the place for them would, to be written.
    copies = tasks > 1 and members == 1
    places = simple_rnn.backward_places(
        chunk, rows, features, units, groups, members, dtype, copies
    )
    work = 2 * batch * steps * units * (features + units)
    calls = threads.calls(steps, chunk, work)
    return groups, members, chunk, places, int(places[-1]), calls
