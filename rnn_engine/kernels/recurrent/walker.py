"""The walk through time: any cell, from the first step to the last.

    z = (b + x[t]·W) + h[t-1]·R        then the cell's step

A task takes some rows of the batch through all steps of a call, without meeting the others. The
sum of x·W begins with the bias, that of h·R with zero, and the two are added: so it is no matter
whether the inputs are projected with each step or, for few rows, those of a chunk of time at
once. A step goes through its units in blocks, so that the sums of a block are still in the
first-level cache when the cell's step takes them.

States are kept at every step, (T + 1, B, U) with the first ones in slot 0, or take turns in two
places. A closed step repeats the states: its product is computed with those of its neighbours,
unless all rows behind it are closed as well, but the cell's step is not.
"""

from typing import Any

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.gemm import gemm, gemm_two
from rnn_engine.kernels.options import Table, inlined_kernel
from rnn_engine.kernels.pointers import copy, copy_rows, lane_count, offset, store
from rnn_engine.kernels.recurrent.places import F, P, S
from rnn_engine.kernels.tables import (
    byte,
    call_part,
    call_step,
    new_table,
    number,
    pointer,
    put,
    word,
)

FRAME = int(F.END)


@inlined_kernel
def reach_of(plan: Any, t: int, first: int, rows: int) -> Any:
    """Return how many of some rows there are up to the last one that is open at step t."""
    place = t * number(plan, P.BATCH) + first
    while rows > 0 and byte(plan, P.MASK, place + rows - 1) == 0:
        rows -= 1
    return rows


@inlined_kernel
def step_open_rows(plan: Any, frame: Any, like: Any, place: int) -> None:
    """Call the cell's function at a place of the plan for the open ones of the first rows."""
    reach = number(frame, F.REACH)
    if number(plan, P.MASK) == 0:
        call_step(plan, place, frame, like, 0, reach)
    else:
        at = number(frame, F.TIME) * number(plan, P.BATCH) + number(frame, F.FIRST_ROW)
        low = 0
        while low < reach:
            high = low
            while high < reach and byte(plan, P.MASK, at + high) != 0:
                high += 1
            if high > low:
                call_step(plan, place, frame, like, low, high)
            low = high + 1


@inlined_kernel
def enter(plan: Any, frame: Any, like: Any, task: int, first: int, rows: int) -> None:
    """Find the task's scratch, and put the states that the call begins with in their slots."""
    u, begin = number(plan, P.UNITS), number(plan, P.BEGIN)
    numbers = rows * u
    scratch = offset(pointer(plan, P.SCRATCH, like), task * number(plan, P.SCRATCH_SIZE))
    put(frame, F.ROWS, rows)
    put(frame, F.FIRST_ROW, first)
    put(frame, F.UNITS_ROW, u)
    put(frame, F.LOW, 0)
    put(frame, F.HIGH, u)
    put(frame, F.AHEAD, 0)
    put(frame, F.SCRATCH, scratch)
    put(frame, F.ACTIVATIONS, pointer(plan, P.ACTIVATIONS, like))
    put(frame, F.ZH, offset(scratch, number(plan, P.ZH)))
    put(frame, F.LAID, offset(scratch, number(plan, P.LAID)))
    put(frame, F.OPERAND, offset(scratch, number(plan, P.OWN)))
    put(frame, F.HANDED, offset(scratch, number(plan, P.OWN) + numbers))
    turns = offset(scratch, number(plan, P.TURNS))
    whole = number(plan, P.BATCH) * u
    for s in range(number(plan, P.STATES)):
        kept = s < number(plan, P.KEPT_STATES)
        if kept:
            base, step = offset(pointer(plan, P.STATE + s, like), first * u), whole
        else:
            # A state that no product reads stays in its place.
            base, step = turns, numbers
            if s:
                step = 0
            turns = offset(turns, numbers + step)
        put(frame, F.STATE + s, base)
        put(frame, F.STATE_STEP + s, step)
        if begin:
            if not kept:
                source = offset(pointer(plan, P.LAST, like), s * whole + first * u)
                copy(offset(base, begin % 2 * step), source, numbers)
        elif number(plan, P.STARTED):
            copy(base, offset(pointer(plan, P.START, like), s * whole + first * u), numbers)
        else:
            for i in range(numbers):
                store(base, i, 0.0)


@inlined_kernel
def place_step(plan: Any, frame: Any, like: Any, t: int, first: int) -> None:
    """Point the frame to the states of step t and to what it keeps."""
    for s in range(number(plan, P.STATES)):
        base, step = pointer(frame, F.STATE + s, like), number(frame, F.STATE_STEP + s)
        slot, following = t, t + 1
        if s >= number(plan, P.KEPT_STATES):
            slot, following = t % 2, (t + 1) % 2
        put(frame, F.BEFORE + s, offset(base, slot * step))
        put(frame, F.AFTER + s, offset(base, following * step))
    row = number(plan, P.KEEPS) * number(plan, P.UNITS)
    if number(plan, P.KEPT_STEP):
        kept = offset(pointer(plan, P.KEPT, like), t * number(plan, P.KEPT_STEP))
        put(frame, F.KEPT, offset(kept, first * row))
        put(frame, F.KEPT_ROW, row)
    elif number(plan, P.STAGES) > 1:
        put(frame, F.KEPT, pointer(frame, F.HANDED, like))
        put(frame, F.KEPT_ROW, row)
    else:
        put(frame, F.KEPT_ROW, 0)
    if number(plan, P.OPERAND_STEP):
        operand = offset(pointer(plan, P.OPERAND, like), t * number(plan, P.OPERAND_STEP))
        put(frame, F.OPERAND, offset(operand, first * number(plan, P.UNITS)))


@inlined_kernel
def _lay_out(x: Any, x_row: int, x_step: int, target: Any, rows: int, count: int, f: int) -> None:
    """Copy `count` steps of `rows` rows to contiguous rows of f, step by step."""
    for t in range(count):
        copy_rows(offset(target, t * rows * f), f, offset(x, t * x_step), x_row, rows, f)


@inlined_kernel
def project(plan: Any, frame: Any, like: Any, x: Any, rows: int, count: int) -> None:
    """Multiply the inputs of `count` steps by W, for all gates of the frame's units."""
    f, u = number(plan, P.FEATURES), number(plan, P.UNITS)
    low, units = number(frame, F.LOW), number(frame, F.HIGH) - number(frame, F.LOW)
    x_row, x_step = number(plan, P.X_ROW), number(plan, P.X_STEP)
    weights, z = pointer(plan, P.WEIGHTS, like), pointer(frame, F.SCRATCH, like)
    z = offset(z, number(plan, P.Z))
    if rows == 1:
        x_row = x_step
    elif x_row != f or x_step != rows * f:
        laid = pointer(frame, F.LAID, like)
        _lay_out(x, x_row, x_step, laid, rows, count, f)
        x, x_row = laid, f
    for stage in range(number(plan, P.STAGES)):
        at = P.STAGE + stage * S.SIZE
        gates = number(plan, at + S.GATES)
        wide, shift = gates * u, gates * low
        place = number(plan, at + S.FIRST) * u * rows * number(plan, P.CHUNK)
        target = offset(z, place + number(frame, F.AHEAD) * rows * wide + shift)
        gemm(count * rows, gates * units, f, x, x_row, 1,
             offset(weights, number(plan, at + S.W) + shift * f),
             offset(weights, number(plan, at + S.BIAS) + shift), 0, target, wide, 0, 0, z,
             0)  # fmt: skip


def run_stage(plan: Table, frame: Table, x: Any, stage: int) -> None:
    """Take the rows up to the last open one through a stage of a step; x are its inputs.

    For the units of the frame, which begin with a register and end with one or the last unit.
    """
    f, u, rows = number(plan, P.FEATURES), number(plan, P.UNITS), number(frame, F.ROWS)
    chunk, block = number(plan, P.CHUNK), number(plan, P.BLOCK)
    at = P.STAGE + stage * S.SIZE
    gates, apart = number(plan, at + S.GATES), number(plan, at + S.APART)
    weights = pointer(plan, P.WEIGHTS, x)
    w, r = offset(weights, number(plan, at + S.W)), offset(weights, number(plan, at + S.R))
    bias = offset(weights, number(plan, at + S.BIAS))
    width = lane_count(weights)
    whole, wide = u // width * width, gates * u
    beside = offset(bias, (wide + width - 1) // width * width)
    z, zh = offset(pointer(frame, F.SCRATCH, x), number(plan, P.Z)), pointer(frame, F.ZH, x)
    if chunk:
        place = number(plan, at + S.FIRST) * u * rows * chunk + number(frame, F.AHEAD) * rows * wide
        z = offset(z, place)
    reach, operand, depth = number(frame, F.REACH), pointer(frame, F.BEFORE, x), u
    if number(plan, at + S.OWN):
        operand = pointer(frame, F.OPERAND, x)
    if number(frame, F.TIME) == 0 and number(plan, P.STARTED) == 0:
        depth = 0
    x_row, first, high = number(plan, P.X_ROW), number(frame, F.LOW), number(frame, F.HIGH)
    while first < high:
        columns = min(block, min(whole, high) - first)
        if first + columns >= whole:
            columns = u - first
        n, shift = gates * columns, gates * first
        out, out_row = z, n
        if chunk:
            out, out_row = offset(z, shift), wide
        put(frame, F.UNIT, first)
        put(frame, F.COLUMNS, columns)
        put(frame, F.Z, out)
        put(frame, F.Z_ROW, out_row)
        # The last block is followed by the first one of the next step.
        ahead = columns
        if first + columns == u:
            ahead = number(plan, P.BATCH) * u - first
        put(frame, F.NEXT, ahead)
        right = offset(r, shift * u)
        if chunk == 0 and apart == 0:
            gemm_two(reach, n, f, x, x_row, 1, offset(w, shift * f), depth, operand, u, right,
                     offset(bias, shift), 0, out, n, 2, 0, z, 0)  # fmt: skip
        elif apart == 0:
            gemm(reach, n, depth, operand, u, 1, right, out, out_row, out, out_row, 1, 0, z,
                 0)  # fmt: skip
        else:
            if chunk == 0:
                gemm(reach, n, f, x, x_row, 1, offset(w, shift * f), offset(bias, shift), 0, out,
                     n, 0, 0, z, 0)  # fmt: skip
            put(frame, F.ZH_ROW, n)
            gemm(reach, n, depth, operand, u, 1, right, offset(beside, shift), 0, zh, n, 1, 0, z,
                 0)  # fmt: skip
        if number(plan, P.FLAT):
            put(frame, F.COLUMNS, reach * u)
            call_step(plan, at + S.STEP, frame, x, 0, 1)
        else:
            step_open_rows(plan, frame, x, at + S.STEP)
        first += columns


@inlined_kernel
def repeat(plan: Any, frame: Any, like: Any, t: int) -> None:
    """Have closed rows repeat their states."""
    u = number(plan, P.UNITS)
    at = t * number(plan, P.BATCH) + number(frame, F.FIRST_ROW)
    for s in range(number(plan, P.STATES)):
        if number(frame, F.STATE_STEP + s):
            source, target = pointer(frame, F.BEFORE + s, like), pointer(frame, F.AFTER + s, like)
            for i in range(number(frame, F.ROWS)):
                if byte(plan, P.MASK, at + i) == 0:
                    copy(offset(target, i * u), offset(source, i * u), u)


@inlined_kernel
def leave(plan: Any, frame: Any, like: Any, first: int, rows: int) -> None:
    """Copy the states after the frame's step to where the call's last ones belong."""
    u = number(plan, P.UNITS)
    for s in range(number(plan, P.STATES)):
        target = pointer(plan, P.LAST, like)
        target = offset(target, (s * number(plan, P.BATCH) + first) * u)
        copy(target, pointer(frame, F.AFTER + s, like), rows * u)


def forward(plan: Table, like: Any, task: int) -> None:
    """Take the rows of a task through the steps of a call; a body of `launch`."""
    first = word(plan, P.BOUNDS, task)
    rows = word(plan, P.BOUNDS, task + 1) - first
    if rows > 0:
        before = flush_denormals()
        frame = new_table(FRAME)
        begin, stop, chunk = number(plan, P.BEGIN), number(plan, P.STOP), number(plan, P.CHUNK)
        x = offset(pointer(plan, P.X, like), first * number(plan, P.X_ROW))
        enter(plan, frame, like, task, first, rows)
        reach = rows
        for t in range(begin, stop):
            inputs = offset(x, t * number(plan, P.X_STEP))
            if chunk:
                ahead = (t - begin) % chunk
                put(frame, F.AHEAD, ahead)
                if ahead == 0:
                    project(plan, frame, like, inputs, rows, min(chunk, stop - t))
            if number(plan, P.MASK):
                reach = reach_of(plan, t, first, rows)
            put(frame, F.REACH, reach)
            put(frame, F.TIME, t)
            place_step(plan, frame, like, t, first)
            if reach > 0:
                for stage in range(number(plan, P.STAGES)):
                    call_part(plan, P.RUN_STAGE, frame, inputs, stage)
            if number(plan, P.MASK):
                repeat(plan, frame, like, t)
        leave(plan, frame, like, first, rows)
        restore(before)
