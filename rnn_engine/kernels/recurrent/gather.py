"""Gradients of a chunk whose steps are not all open, or whose left sides pass through dropout.

The open steps of the chunk are put side by side, under dropout as the products saw them, and
`add_outer` runs over those alone; dx is computed of them, too, and put in its places. It is the
part `gradients` of such a pass.
"""

from typing import Any

from rnn_engine.kernels.gemm import gemm
from rnn_engine.kernels.options import Table, inlined_kernel, linked
from rnn_engine.kernels.outer import add_outer
from rnn_engine.kernels.pointers import copy, lane_count, load, offset, store
from rnn_engine.kernels.recurrent.gradients import add_runs
from rnn_engine.kernels.recurrent.places import F, P, S
from rnn_engine.kernels.tables import byte, number, pointer, word


@inlined_kernel
def _is_open(plan: Any, t: int, row: int) -> Any:
    return number(plan, P.MASK) == 0 or byte(plan, P.MASK, t * number(plan, P.BATCH) + row) != 0


@linked
def _collect(
    plan: Table, frame: Table, source: Any, row: int, step: int, n: int, drop: Any, drops: int,
    target: Any,
) -> None:  # fmt: skip
    """Copy the open rows of n numbers of a chunk side by side, times their factors if it drops.

    `source` stands at the group's first row at the chunk's first step, `drop` at its first row.
    """
    first, start = number(frame, F.FIRST_ROW), number(frame, F.START)
    for t in range(number(frame, F.STOP) - start):
        for i in range(number(frame, F.ROWS)):
            if _is_open(plan, start + t, first + i):
                here = offset(source, t * step + i * row)
                if drops:
                    factors = offset(drop, i * n)
                    for j in range(n):
                        store(target, j, load(here, j) * load(factors, j))
                else:
                    copy(target, here, n)
                target = offset(target, n)


@linked
def _spread(plan: Table, frame: Table, open_dx: Any) -> None:
    """Put dx of the open rows in their places, zeros in those of the closed ones."""
    f, batch, first = number(plan, P.FEATURES), number(plan, P.BATCH), number(frame, F.FIRST_ROW)
    for t in range(number(frame, F.START), number(frame, F.STOP)):
        for i in range(first, first + number(frame, F.ROWS)):
            place = i
            if number(plan, P.ORDER):
                place = word(plan, P.ORDER, i)
            target = offset(pointer(plan, P.DX, open_dx), (t * batch + place) * f)
            if _is_open(plan, t, i):
                copy(target, open_dx, f)
                open_dx = offset(open_dx, f)
            else:
                for j in range(f):
                    store(target, j, 0.0)


@inlined_kernel
def _multiply_gate_back(plan: Any, frame: Any, dz: Any, count: int, gate: int, out: Any) -> None:
    """Multiply dz of one gate by its part of Wᵀ, register by register."""
    f, u, row = number(plan, P.FEATURES), number(plan, P.UNITS), number(frame, F.DZ_ROW)
    wide, base = number(plan, P.GATES) * u, pointer(frame, F.BASE, dz)
    panels, zeros = offset(base, number(plan, P.WT)), offset(base, number(plan, P.ZEROS))
    width = lane_count(dz)
    for first in range(0, f, width):
        gemm(count, min(width, f - first), u, offset(dz, gate * u), row, 1,
             offset(panels, first * wide + gate * u * width), zeros, 0, offset(out, first), f, 1,
             0, dz, 0)  # fmt: skip


@linked
def _fill_dx(plan: Table, frame: Table, dz: Any, count: int) -> None:
    """Fill dx of the chunk from the open rows of dz."""
    f, u, row = number(plan, P.FEATURES), number(plan, P.UNITS), number(frame, F.DZ_ROW)
    gates, batch = number(plan, P.GATES), number(plan, P.BATCH)
    base = pointer(frame, F.BASE, dz)
    panels, zeros = offset(base, number(plan, P.WT)), offset(base, number(plan, P.ZEROS))
    out, part = offset(base, number(plan, P.OPEN_DX)), offset(base, number(plan, P.OPEN_X))
    if count:
        if number(plan, P.DROPS_X) == 0:
            gemm(count, f, gates * u, dz, row, 1, panels, zeros, 0, out, f, 1, 0, dz, 0)
        else:
            for i in range(count * f):
                store(out, i, 0.0)
            for gate in range(gates):
                _multiply_gate_back(plan, frame, dz, count, gate, part)
                at = part
                added = out
                first, start = number(frame, F.FIRST_ROW), number(frame, F.START)
                for t in range(start, number(frame, F.STOP)):
                    for i in range(first, first + number(frame, F.ROWS)):
                        if _is_open(plan, t, i):
                            drop = pointer(plan, P.DROP_X, dz)
                            drop = offset(drop, (gate * batch + i) * f)
                            for j in range(f):
                                value = load(at, j) * load(drop, j)
                                store(added, j, load(added, j) + value)
                            at, added = offset(at, f), offset(added, f)
    _spread(plan, frame, out)


@inlined_kernel
def _count_open(plan: Any, frame: Any) -> Any:
    count, first = 0, number(frame, F.FIRST_ROW)
    for t in range(number(frame, F.START), number(frame, F.STOP)):
        for i in range(first, first + number(frame, F.ROWS)):
            if _is_open(plan, t, i):
                count += 1
    return count


@linked
def _add_gate(
    plan: Table, frame: Table, count: int, dz: Any, gate: int, x: Any, f: int, target: Any, db: Any
) -> None:
    """Add the outer products of a left side of f columns with one slot of dz to one gate's part."""
    u, row = number(plan, P.UNITS), number(frame, F.DZ_ROW)
    zeros = offset(pointer(frame, F.BASE, dz), number(plan, P.ZEROS))
    add_outer(count, 1, dz, row, u, x, f, 0, f, offset(target, gate * u), x, 0, 0, 0, target, 0,
              number(plan, P.GATES) * u, db, pointer(frame, F.SPACE, dz), 0, 1, zeros,
              0)  # fmt: skip


@linked
def _add_inputs(plan: Table, frame: Table, dz: Any, count: int, x: Any, h: Any, seen: int) -> None:
    """Add dW and db, of the open rows, and dR as well if `seen` is the units; x is filled first."""
    f, u, batch = number(plan, P.FEATURES), number(plan, P.UNITS), number(plan, P.BATCH)
    first, start, gates = number(frame, F.FIRST_ROW), number(frame, F.START), number(plan, P.GATES)
    x_row, x_step = number(plan, P.X_ROW), number(plan, P.X_STEP)
    source = offset(pointer(plan, P.X, dz), first * x_row + start * x_step)
    zeros = offset(pointer(frame, F.BASE, dz), number(plan, P.ZEROS))
    dw, db = pointer(frame, F.DW, dz), pointer(frame, F.DB, dz)
    if number(plan, P.DROPS_X):
        for gate in range(gates):
            drop = offset(pointer(plan, P.DROP_X, dz), (gate * batch + first) * f)
            _collect(plan, frame, source, x_row, x_step, f, drop, 1, x)
            _add_gate(plan, frame, count, offset(dz, gate * u), gate, x, f, dw,
                      offset(db, gate * u))  # fmt: skip
    else:
        _collect(plan, frame, source, x_row, x_step, f, x, 0, x)
        add_outer(count, 1, dz, number(frame, F.DZ_ROW), gates * u, x, f, 0, f, dw, h, u, 0, seen,
                  pointer(frame, F.DR, dz), 1, gates * u, db, pointer(frame, F.SPACE, dz), 0, 1,
                  zeros, 0)  # fmt: skip


@linked
def _collect_operand(
    plan: Table, frame: Table, dz: Any, stage: int, drop: Any, drops: int, target: Any
) -> None:
    """Put side by side what R multiplied in a stage."""
    u, whole = number(plan, P.UNITS), number(plan, P.BATCH) * number(plan, P.UNITS)
    start = number(frame, F.START)
    source, step = offset(pointer(frame, F.STATE, dz), start * whole), whole
    if number(plan, P.STAGE + stage * S.SIZE + S.OWN):
        step = number(plan, P.OPERAND_STEP)
        source = offset(pointer(plan, P.OPERAND, dz), start * step + number(frame, F.FIRST_ROW) * u)
    _collect(plan, frame, source, u, step, u, drop, drops, target)


@linked
def _add_states(plan: Table, frame: Table, dz: Any, count: int, stage: int, a: Any) -> None:
    """Add a stage's dR, with one mask a gate; a is filled anew for each."""
    u, batch, at = number(plan, P.UNITS), number(plan, P.BATCH), P.STAGE + stage * S.SIZE
    first, wide = number(frame, F.FIRST_ROW), number(plan, P.GATES) * u
    split = number(plan, at + S.COUNT)
    for index in range(number(plan, at + S.GATES)):
        gate, slot = number(plan, at + S.FIRST) + index, number(plan, at + S.SLOT) + index
        if index >= split:
            slot = number(plan, at + S.SLOT_2) + index - split
        drop = offset(pointer(plan, P.DROP_H, dz), (gate * batch + first) * u)
        _collect_operand(plan, frame, dz, stage, drop, 1, a)
        db = offset(pointer(frame, F.BASE, dz), number(plan, P.TRASH))
        if number(plan, at + S.APART):
            db = offset(pointer(frame, F.DB, dz), wide + gate * u)
        _add_gate(plan, frame, count, offset(dz, slot * u), gate, a, u, pointer(frame, F.DR, dz),
                  db)  # fmt: skip


def gradients(plan: Table, frame: Table, like: Any, stage: int) -> None:
    """Do what `gradients.gradients` does, of the open steps."""
    u, row, base = number(plan, P.UNITS), number(frame, F.DZ_ROW), pointer(frame, F.BASE, like)
    dz, x = offset(base, number(plan, P.OPEN_DZ)), offset(base, number(plan, P.OPEN_X))
    h = offset(base, number(plan, P.OPEN_H))
    count = _count_open(plan, frame)
    _collect(plan, frame, pointer(frame, F.DZ_BASE, like), row, number(frame, F.DZ_STEP), row, dz,
             0, dz)  # fmt: skip
    masks, drop = number(plan, P.DROP_GATES), pointer(plan, P.DROP_H, like)
    drop = offset(drop, number(frame, F.FIRST_ROW) * u)
    joint = number(plan, P.JOINT) and number(plan, P.DROPS_X) == 0 and masks <= 1
    seen = 0
    if joint:
        seen = u
        _collect_operand(plan, frame, dz, 0, drop, masks, h)
    _add_inputs(plan, frame, dz, count, x, h, seen)
    if seen == 0:
        for part in range(number(plan, P.STAGES)):
            if masks <= 1:
                _collect_operand(plan, frame, dz, part, drop, masks, h)
                add_runs(plan, frame, part, count, 1, dz, h, 0)
            else:
                _add_states(plan, frame, dz, count, part, h)
    if number(plan, P.DX):
        _fill_dx(plan, frame, dz, count)
