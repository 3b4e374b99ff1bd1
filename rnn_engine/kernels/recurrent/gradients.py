"""The share of a chunk of time in the gradients of the weights, and its part of dx.

    dW += Σ x[t]ᵀ·dz[t]    dR += Σ a[t]ᵀ·dz[t]    db += Σ dz[t]    dx[t] = dz[t]·Wᵀ

a is what R multiplied: h of the step before, or what a stage has made. Where all gates of W and R
see the same dz, both are one sum of outer products; else W's comes first, then R's in runs of
gates that lie together in dz.
"""

from typing import Any

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.gemm import TALLEST, gemm
from rnn_engine.kernels.options import Table, inlined_kernel, linked
from rnn_engine.kernels.outer import BLOCK, add_outer
from rnn_engine.kernels.pointers import copy_rows, lane_count, load, offset, store
from rnn_engine.kernels.recurrent.chain import chain
from rnn_engine.kernels.recurrent.places import F, P, S
from rnn_engine.kernels.recurrent.walker import FRAME
from rnn_engine.kernels.recurrent.weights import pack_transposed
from rnn_engine.kernels.tables import (
    call_part,
    new_table,
    number,
    pointer,
    put,
    word,
)

# Registers of a step of dx from which on it is a product of its own: one of the largest tiles.
DX_REGISTERS = 2 * TALLEST


@linked
def add_runs(
    plan: Table, frame: Table, stage: int, rows: int, count: int, dz: Any, a: Any, a_step: int
) -> None:
    """Add a stage's share of dR: outer products of `count` steps of a with the runs of its dz."""
    u, row = number(plan, P.UNITS), number(plan, P.GATES) * number(plan, P.UNITS)
    at = P.STAGE + stage * S.SIZE
    zeros = offset(pointer(frame, F.BASE, dz), number(plan, P.ZEROS))
    column = number(plan, at + S.FIRST) * u
    for run in range(2):
        slot, gates = number(plan, at + S.SLOT + 2 * run), number(plan, at + S.COUNT + 2 * run)
        if gates:
            db = offset(pointer(frame, F.BASE, dz), number(plan, P.TRASH))
            if number(plan, at + S.APART):
                db = offset(pointer(frame, F.DB, dz), row + column)
            add_outer(rows, count, offset(dz, slot * u), number(frame, F.DZ_ROW), gates * u, a, 0,
                      0, 0, a, a, u, a_step, u, offset(pointer(frame, F.DR, dz), column), 1, row,
                      db, pointer(frame, F.SPACE, dz), number(frame, F.MEMBER),
                      number(plan, P.MEMBERS), zeros, 0)  # fmt: skip
            column += gates * u


@linked
def fill_dx(plan: Table, frame: Table, dz: Any, count: int) -> None:
    """Fill dx of `count` steps from a frame's START on.

    Sums are cut into blocks: one chain over the 1,024 columns of an LSTM of 256 units had 1.7 times
    the RMS error of Keras. Where a step is less than a tile, some steps are one product, by way of
    scratch: 8% off a pass back with 4 rows of 16 features, 3% with 16 of 8.
    """
    f, rows = number(plan, P.FEATURES), number(frame, F.ROWS)
    n, dz_row = number(plan, P.GATES) * number(plan, P.UNITS), number(frame, F.DZ_ROW)
    step = number(plan, P.BATCH) * f
    base = pointer(frame, F.BASE, dz)
    panels, zeros = offset(base, number(plan, P.WT)), offset(base, number(plan, P.ZEROS))
    dx = offset(pointer(plan, P.DX, dz), number(frame, F.FIRST_ROW) * f)
    scratch = pointer(frame, F.SPACE, dz)
    members, member = number(plan, P.MEMBERS), number(frame, F.MEMBER)
    low, high = count * member // members, count * (member + 1) // members
    dx = offset(dx, (number(frame, F.START) + low) * step)
    width = lane_count(dz)
    together = 1
    if step == rows * f:
        together = max(1, high - low)
    elif rows * ((f + width - 1) // width) < DX_REGISTERS:
        most = min(number(plan, P.OUTER_SIZE) // (rows * f), BLOCK // rows)
        together = max(1, min(high - low, most))
    for t in range(low, high, together):
        steps = min(together, high - t)
        out, target = scratch, offset(dx, (t - low) * step)
        if together == 1 or step == rows * f:
            out = target
        gemm(steps * rows, f, n, offset(dz, t * rows * dz_row), dz_row, 1, panels, zeros, 0, out, f,
             1, 0, dz, 0)  # fmt: skip
        if together > 1 and step != rows * f:
            for i in range(steps):
                copy_rows(offset(target, i * step), f, offset(out, i * rows * f), f, rows, f)


def gradients(plan: Table, frame: Table, like: Any, stage: int) -> None:
    """Add a member's share of a chunk to the gradients of a group; a part that a pass chooses."""
    f, u, rows = number(plan, P.FEATURES), number(plan, P.UNITS), number(frame, F.ROWS)
    first, start = number(frame, F.FIRST_ROW), number(frame, F.START)
    count, whole = number(frame, F.STOP) - start, number(plan, P.BATCH) * u
    n, dz = number(plan, P.GATES) * u, pointer(frame, F.DZ_BASE, like)
    x_row, x_step = number(plan, P.X_ROW), number(plan, P.X_STEP)
    x = offset(pointer(plan, P.X, like), first * x_row + start * x_step)
    h = offset(pointer(frame, F.STATE, like), start * whole)
    zeros = offset(pointer(frame, F.BASE, like), number(plan, P.ZEROS))
    seen = u
    if number(plan, P.JOINT) == 0:
        seen = 0
    add_outer(rows, count, dz, number(frame, F.DZ_ROW), n, x, x_row, x_step, f,
              pointer(frame, F.DW, like), h, u, whole, seen, pointer(frame, F.DR, like), 1, n,
              pointer(frame, F.DB, like), pointer(frame, F.SPACE, like), number(frame, F.MEMBER),
              number(plan, P.MEMBERS), zeros, 0)  # fmt: skip
    if seen == 0:
        for part in range(number(plan, P.STAGES)):
            a, a_step = h, whole
            if number(plan, P.STAGE + part * S.SIZE + S.OWN):
                a, a_step = pointer(plan, P.OPERAND, like), number(plan, P.OPERAND_STEP)
                a = offset(a, start * a_step + first * u)
            add_runs(plan, frame, part, rows, count, dz, a, a_step)
    if number(plan, P.DX):
        fill_dx(plan, frame, dz, count)


@linked
def _enter(plan: Table, frame: Table, like: Any, group: int, member: int, shares: int) -> None:
    """Fill a frame for a group, or, where it shares its rows, for a member's rows of it."""
    u, members = number(plan, P.UNITS), number(plan, P.MEMBERS)
    begin = word(plan, P.BOUNDS, group * members)
    rows = word(plan, P.BOUNDS, (group + 1) * members) - begin
    low, high = begin, begin + rows
    if shares:
        low = word(plan, P.BOUNDS, group * members + member)
        high = word(plan, P.BOUNDS, group * members + member + 1)
    row = number(plan, P.SLOTS) * u
    base = offset(pointer(plan, P.WORK, like), group * number(plan, P.GROUP_SIZE))
    put(frame, F.GROUP, group)
    put(frame, F.MEMBER, member)
    put(frame, F.FIRST_ROW, low)
    put(frame, F.ROWS, high - low)
    put(frame, F.UNITS_ROW, u)
    put(frame, F.BASE, base)
    put(frame, F.ACTIVATIONS, pointer(plan, P.ACTIVATIONS, like))
    dz = offset(base, number(plan, P.DZ) + (low - begin) * row)
    put(frame, F.DZ_ROW, row)
    put(frame, F.DZ_BASE, dz)
    put(frame, F.DZ_STEP, rows * row)
    put(frame, F.DZ_AFTER, offset(dz, number(plan, P.CHUNK) * rows * row))
    put(frame, F.D, offset(base, number(plan, P.DH) + member * number(plan, P.DH_SIZE)))
    put(frame, F.TEMPORARY, offset(pointer(frame, F.D, like), number(plan, P.DH_SIZE) // 2))
    space = number(plan, P.OUTER) + member * number(plan, P.OUTER_SIZE)
    put(frame, F.SPACE, offset(base, space))
    for s in range(number(plan, P.STATES)):
        put(frame, F.STATE + s, offset(pointer(plan, P.STATE + s, like), low * u))
        carry = number(plan, P.CARRY) + s * rows * u + (low - begin) * u
        put(frame, F.CARRY + s, offset(base, carry))
    dw, dr, db = pointer(plan, P.DW, like), pointer(plan, P.DR, like), pointer(plan, P.DB, like)
    if group:
        dw = sums_of(plan, like, group)
        wide = number(plan, P.GATES) * u
        dr = offset(dw, number(plan, P.FEATURES) * wide)
        db = offset(dr, u * wide)
    put(frame, F.DW, dw)
    put(frame, F.DR, dr)
    put(frame, F.DB, db)


@inlined_kernel
def sums_of(plan: Any, like: Any, group: int) -> Any:
    """Return where the sums of a group behind the first one lie."""
    at = number(plan, P.GROUPS) * number(plan, P.GROUP_SIZE)
    at += (group - 1) * number(plan, P.SUMS_SIZE)
    return offset(pointer(plan, P.WORK, like), at)


@linked
def _begin_group(plan: Table, like: Any, group: int) -> None:
    """Pack the transposed weights for a group, and clear its zeros and its sums."""
    base = offset(pointer(plan, P.WORK, like), group * number(plan, P.GROUP_SIZE))
    pack_transposed(plan, pointer(plan, P.W, like), pointer(plan, P.R, like),
                    offset(base, number(plan, P.RT)), offset(base, number(plan, P.WT)))  # fmt: skip
    zeros = offset(base, number(plan, P.ZEROS))
    for j in range(max(number(plan, P.UNITS), number(plan, P.FEATURES))):
        store(zeros, j, 0.0)
    if group:
        sums = sums_of(plan, like, group)
        for j in range(number(plan, P.SUMS_SIZE)):
            store(sums, j, 0.0)


def backward(plan: Table, like: Any, group: int) -> None:
    """Go back with a group from step STOP to BEGIN; a body of `launch`."""
    begin, stop, chunk = number(plan, P.BEGIN), number(plan, P.STOP), number(plan, P.CHUNK)
    before = flush_denormals()
    frame = new_table(FRAME)
    if stop == number(plan, P.STEPS):
        _begin_group(plan, like, group)
    _enter(plan, frame, like, group, 0, 0)
    while stop > begin:
        start = (stop - 1) // chunk * chunk
        put(frame, F.START, start)
        put(frame, F.STOP, stop)
        chain(plan, frame, like)
        call_part(plan, P.GRADIENTS, frame, like, 0)
        stop = start
    restore(before)


def begin_groups(plan: Table, like: Any, group: int) -> None:
    """Do what `backward` does first; a body of `launch`."""
    _begin_group(plan, like, group)


def chain_share(plan: Table, like: Any, task: int) -> None:
    """Walk back through the chunk BEGIN to STOP with a member's rows of its group; a body."""
    before = flush_denormals()
    frame = new_table(FRAME)
    members = number(plan, P.MEMBERS)
    _enter(plan, frame, like, task // members, task % members, 1)
    put(frame, F.START, number(plan, P.BEGIN))
    put(frame, F.STOP, number(plan, P.STOP))
    if number(frame, F.ROWS) > 0:
        chain(plan, frame, like)
    restore(before)


def gradient_share(plan: Table, like: Any, task: int) -> None:
    """Add a member's share of the chunk BEGIN to STOP to its group's gradients; a body."""
    before = flush_denormals()
    frame = new_table(FRAME)
    members = number(plan, P.MEMBERS)
    _enter(plan, frame, like, task // members, task % members, 0)
    put(frame, F.START, number(plan, P.BEGIN))
    put(frame, F.STOP, number(plan, P.STOP))
    call_part(plan, P.GRADIENTS, frame, like, 0)
    restore(before)


def add_sums(plan: Table, like: Any, task: int) -> None:
    """Add the sums of all groups but the first to the gradients, in order; a body.

    A task has some of the elements.
    """
    wide = number(plan, P.GATES) * number(plan, P.UNITS)
    tasks, before = number(plan, P.TASKS), flush_denormals()
    for group in range(1, number(plan, P.GROUPS)):
        part = sums_of(plan, like, group)
        for place in range(3):
            size = number(plan, P.FEATURES) * wide
            if place == 1:
                size = number(plan, P.UNITS) * wide
            elif place == 2:
                size = number(plan, P.BIASES) * wide
            target = pointer(plan, P.DW + place, like)
            for j in range(size * task // tasks, size * (task + 1) // tasks):
                store(target, j, load(target, j) + load(part, j))
            part = offset(part, size)
    restore(before)
