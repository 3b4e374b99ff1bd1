"""The way back through time: dz of every step, from the last to the first.

    dh[t] = dy[t] + passed[t] + dz[t+1]·Rᵀ        then the cell's step back: dz[t], passed[t-1]

The product is summed from zero and added to the rest. A step back goes through its units in
blocks, as the step does. What a cell passes to the step before past the product (`carry`) goes
to the same places again, dy of that step added; where a step is closed, all that arrives does.

dz is there for a chunk of time only, (chunk, rows, slots · U), and the first step of the chunk
behind: `gradients` uses it up.
"""

from typing import Any

from rnn_engine.kernels.gemm import gemm_two
from rnn_engine.kernels.options import Table, inlined_kernel, linked
from rnn_engine.kernels.pointers import copy, copy_rows, lane_count, load, offset, store
from rnn_engine.kernels.recurrent.places import F, P, S
from rnn_engine.kernels.recurrent.walker import reach_of, step_open_rows
from rnn_engine.kernels.tables import byte, call_part, call_step, number, pointer, put


@inlined_kernel
def _turn(plan: Any, frame: Any, like: Any, t: int) -> None:
    """Point the frame to what step t has kept and to its dz; -1 is the initial states."""
    steps, u = number(plan, P.STEPS), number(plan, P.UNITS)
    first, rows = number(frame, F.FIRST_ROW), number(frame, F.ROWS)
    whole, shift = number(plan, P.BATCH) * u, first * u
    put(frame, F.TIME, t)
    for s in range(number(plan, P.STATES)):
        before = offset(pointer(frame, F.STATE + s, like), t * whole)
        put(frame, F.BEFORE + s, before)
        put(frame, F.AFTER + s, offset(before, whole))
    row = number(plan, P.KEEPS) * u
    put(frame, F.KEPT_ROW, row)
    kept = offset(pointer(plan, P.KEPT, like), t * number(plan, P.KEPT_STEP))
    put(frame, F.KEPT, offset(kept, first * row))
    start = number(frame, F.START)
    target = offset(pointer(frame, F.DZ_BASE, like), (t - start) * number(frame, F.DZ_STEP))
    put(frame, F.DZ, target)
    following = offset(target, number(frame, F.DZ_STEP))
    if t == number(frame, F.STOP) - 1:
        following = pointer(frame, F.DZ_AFTER, like)
    put(frame, F.FOLLOWING, following)
    zeros = offset(pointer(frame, F.BASE, like), number(plan, P.ZEROS))
    has_dy = number(plan, P.DY) != 0
    dy = offset(pointer(plan, P.DY, like), shift)
    put(frame, F.EARLIER, zeros)
    put(frame, F.EARLIER_ROW, 0)
    if has_dy and t > 0:
        put(frame, F.EARLIER, offset(dy, (t - 1) * whole))
        put(frame, F.EARLIER_ROW, u)
    # What the product is added to.
    put(frame, F.INIT, zeros)
    put(frame, F.INIT_ROW, 0)
    if number(plan, P.CARRIES) or t == steps - 1:
        put(frame, F.INIT, pointer(frame, F.CARRY, like))
        put(frame, F.INIT_ROW, u)
    elif has_dy and t >= 0:
        put(frame, F.INIT, offset(dy, t * whole))
        put(frame, F.INIT_ROW, u)
    # How many rows of the step behind have a dz.
    reach, behind = rows, rows
    if number(plan, P.MASK):
        if t >= 0:
            reach = reach_of(plan, t, first, rows)
        if t < steps - 1:
            behind = reach_of(plan, t + 1, first, rows)
    if t == steps - 1:
        behind = 0
    put(frame, F.REACH, reach)
    put(frame, F.AHEAD, behind)


def arrive(plan: Table, frame: Table, like: Any, stage: int) -> None:
    """Fill the block's gradients of what R multiplies in a stage; a part that a pass chooses.

    Those of h add up what INIT points to and the product of the step behind, those of an operand
    are the product of this step.
    """
    u, at = number(plan, P.UNITS), P.STAGE + stage * S.SIZE
    first, columns = number(frame, F.UNIT), number(frame, F.COLUMNS)
    out, out_row = pointer(frame, F.D, like), number(frame, F.D_ROW)
    count, count_2 = number(plan, at + S.COUNT) * u, number(plan, at + S.COUNT_2) * u
    width = lane_count(like)
    base = pointer(frame, F.BASE, like)
    panels = offset(base, number(plan, P.RT) + number(plan, at + S.RT))
    panels_2 = offset(panels, count * ((u + width - 1) // width * width))
    if number(plan, at + S.OWN):
        init, init_row = offset(base, number(plan, P.ZEROS)), 0
        dz, rows, done = pointer(frame, F.DZ, like), number(frame, F.REACH), number(frame, F.REACH)
    else:
        init, init_row = pointer(frame, F.INIT, like), number(frame, F.INIT_ROW)
        dz, rows, done = pointer(frame, F.FOLLOWING, like), number(frame, F.AHEAD), 0
        done = number(frame, F.ROWS)
        if init_row:
            init = offset(init, first)
    row = number(frame, F.DZ_ROW)
    if rows > 0:
        gemm_two(rows, columns, count, offset(dz, number(plan, at + S.SLOT) * u), row, 1,
                 offset(panels, first * count), count_2,
                 offset(dz, number(plan, at + S.SLOT_2) * u), row,
                 offset(panels_2, first * count_2), init, init_row, out, out_row, 1, 0, init,
                 0)  # fmt: skip
    if rows < done:
        copy_rows(offset(out, rows * out_row), out_row, offset(init, rows * init_row), init_row,
                  done - rows, columns)  # fmt: skip


@inlined_kernel
def _close(plan: Any, frame: Any, like: Any) -> None:
    """Have closed rows of the block pass on all that arrives, and open ones what they carry."""
    u, first, columns = number(plan, P.UNITS), number(frame, F.UNIT), number(frame, F.COLUMNS)
    at = number(frame, F.TIME) * number(plan, P.BATCH) + number(frame, F.FIRST_ROW)
    earlier, earlier_row = pointer(frame, F.EARLIER, like), number(frame, F.EARLIER_ROW)
    if earlier_row:
        earlier = offset(earlier, first)
    for i in range(number(frame, F.ROWS)):
        target = offset(pointer(frame, F.CARRY, like), i * u + first)
        source = offset(earlier, i * earlier_row)
        if byte(plan, P.MASK, at + i) == 0:
            row = offset(pointer(frame, F.D, like), i * number(frame, F.D_ROW))
            for j in range(columns):
                store(target, j, load(row, j) + load(source, j))
        elif number(plan, P.PASSES) == 0:
            copy(target, source, columns)


@inlined_kernel
def _clear_closed(plan: Any, frame: Any, like: Any) -> None:
    """Set dz of closed rows to zero."""
    at = number(frame, F.TIME) * number(plan, P.BATCH) + number(frame, F.FIRST_ROW)
    row = number(frame, F.DZ_ROW)
    for i in range(number(frame, F.REACH)):
        if byte(plan, P.MASK, at + i) == 0:
            target = offset(pointer(frame, F.DZ, like), i * row)
            for j in range(row):
                store(target, j, 0.0)


@inlined_kernel
def _step_back(plan: Any, frame: Any, like: Any, stage: int) -> None:
    """Go back through a stage of the step, block by block."""
    u, block = number(plan, P.UNITS), number(plan, P.BLOCK)
    at = P.STAGE + stage * S.SIZE
    width = lane_count(like)
    whole, first = u // width * width, 0
    is_last = stage == number(plan, P.STAGES) - 1
    while first < u:
        columns = min(block, whole - first)
        if first + columns >= whole:
            columns = u - first
        put(frame, F.UNIT, first)
        put(frame, F.COLUMNS, columns)
        put(frame, F.D_ROW, columns)
        ahead = columns
        if first + columns == u:
            ahead = -number(plan, P.BATCH) * u - first
        put(frame, F.NEXT, ahead)
        if is_last:
            call_part(plan, P.ARRIVE, frame, like, 0)
        else:
            call_part(plan, P.ARRIVE, frame, like, stage + 1)
        if number(plan, P.FLAT):
            put(frame, F.COLUMNS, number(frame, F.REACH) * u)
            call_step(plan, at + S.BACK, frame, like, 0, 1)
        else:
            step_open_rows(plan, frame, like, at + S.BACK)
        if is_last and number(plan, P.MASK):
            _close(plan, frame, like)
        first += columns
    if is_last and number(plan, P.MASK):
        _clear_closed(plan, frame, like)


@inlined_kernel
def _begin(plan: Any, frame: Any, like: Any) -> None:
    """Fill the carried gradients with those of the last states."""
    u, rows = number(plan, P.UNITS), number(frame, F.ROWS)
    numbers, shift = rows * u, number(frame, F.FIRST_ROW) * u
    for s in range(number(plan, P.STATES)):
        carry = pointer(frame, F.CARRY + s, like)
        last = offset(pointer(plan, P.DLAST + s, like), shift)
        if number(plan, P.DLAST + s):
            copy(carry, last, numbers)
        else:
            for i in range(numbers):
                store(carry, i, 0.0)
    if number(plan, P.DY):
        end = number(plan, P.BATCH) * u * (number(plan, P.STEPS) - 1)
        carry, dy = pointer(frame, F.CARRY, like), offset(pointer(plan, P.DY, like), end + shift)
        for i in range(numbers):
            store(carry, i, load(carry, i) + load(dy, i))


@inlined_kernel
def _reach_start(plan: Any, frame: Any, like: Any) -> None:
    """Fill the gradients of the initial states."""
    u, shift = number(plan, P.UNITS), number(frame, F.FIRST_ROW) * number(plan, P.UNITS)
    target = offset(pointer(plan, P.DSTART, like), shift)
    put(frame, F.UNIT, 0)
    put(frame, F.COLUMNS, u)
    put(frame, F.D, target)
    put(frame, F.D_ROW, u)
    call_part(plan, P.ARRIVE, frame, like, 0)
    for s in range(1, number(plan, P.STATES)):
        copy(offset(target, s * number(plan, P.BATCH) * u), pointer(frame, F.CARRY + s, like),
             number(frame, F.ROWS) * u)  # fmt: skip


@linked
def chain(plan: Table, frame: Table, like: Any) -> None:
    """Fill dz of the frame's rows, from step STOP to START of the frame."""
    start, stop = number(frame, F.START), number(frame, F.STOP)
    d = pointer(frame, F.D, like)
    if stop == number(plan, P.STEPS):
        _begin(plan, frame, like)
    for t in range(stop - 1, start - 1, -1):
        _turn(plan, frame, like, t)
        for stage in range(number(plan, P.STAGES) - 1, -1, -1):
            _step_back(plan, frame, like, stage)
    if start == 0 and number(plan, P.WANTS_START):
        _turn(plan, frame, like, -1)
        _reach_start(plan, frame, like)
        put(frame, F.D, d)
    size = number(frame, F.ROWS) * number(frame, F.DZ_ROW)
    copy(pointer(frame, F.DZ_AFTER, like), pointer(frame, F.DZ_BASE, like), size)
