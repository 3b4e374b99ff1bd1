"""Products whose left side passes through dropout: parts that a pass with dropout chooses.

    (x ⊙ drop_x[gate])·W_gate        (h ⊙ drop_h[gate])·R_gate

With one mask for all gates the product is the usual one; with one a gate each gate is multiplied
by itself, register by register, since the panels of the gates alternate. Blocks are whole rows
here.
"""

from typing import Any

from rnn_engine.kernels.gemm import gemm, gemm_two
from rnn_engine.kernels.options import Table, inlined_kernel, linked
from rnn_engine.kernels.pointers import copy_rows, lane_count, load, offset, store
from rnn_engine.kernels.recurrent.places import F, P, S
from rnn_engine.kernels.recurrent.walker import step_open_rows
from rnn_engine.kernels.tables import number, pointer, put


@inlined_kernel
def scale_rows(a: Any, drop: Any, n: int, rows: int, target: Any) -> None:
    """Fill `target` with the products of some rows of n numbers with their factors."""
    for i in range(rows * n):
        store(target, i, load(a, i) * load(drop, i))


@linked
def _multiply_gate(
    frame: Table, gate: int, gates: int, k: int, a: Any, panels: Any, init: Any, init_row: int,
    out: Any, adds: int,
) -> None:  # fmt: skip
    """Multiply by the columns of one gate of a stage's panels; `out` has those of all."""
    rows, u = number(frame, F.REACH), number(frame, F.UNITS_ROW)
    width, wide = lane_count(out), gates * u
    whole = u // width * width
    for first in range(0, whole, width):
        at = first * gates + gate * width
        gemm(rows, width, k, a, k, 1, offset(panels, at * k), offset(init, at), init_row,
             offset(out, at), wide, adds, 0, out, 0)  # fmt: skip
    left, at = u - whole, whole * gates
    if left:
        # They share registers with other gates: all are computed, one is taken.
        space = pointer(frame, F.SPACE, out)
        gemm(rows, gates * left, k, a, k, 1, offset(panels, at * k), offset(init, at), init_row,
             space, gates * left, adds, 0, out, 0)  # fmt: skip
        copy_rows(offset(out, at + gate * left), wide, offset(space, gate * left), gates * left,
                  rows, left)  # fmt: skip


def run_stage(plan: Table, frame: Table, x: Any, stage: int) -> None:
    """Do what `walker.run_stage` does under dropout."""
    f, u, batch = number(plan, P.FEATURES), number(plan, P.UNITS), number(plan, P.BATCH)
    reach, first_row = number(frame, F.REACH), number(frame, F.FIRST_ROW)
    at = P.STAGE + stage * S.SIZE
    first, gates = number(plan, at + S.FIRST), number(plan, at + S.GATES)
    weights = pointer(plan, P.WEIGHTS, x)
    w, r = offset(weights, number(plan, at + S.W)), offset(weights, number(plan, at + S.R))
    bias = offset(weights, number(plan, at + S.BIAS))
    width, wide = lane_count(weights), gates * u
    scratch = pointer(frame, F.SCRATCH, x)
    z, zh = offset(scratch, number(plan, P.Z)), pointer(frame, F.ZH, x)
    dropped_x = offset(scratch, number(plan, P.DROPPED))
    dropped_h = offset(dropped_x, number(frame, F.ROWS) * f)
    put(frame, F.SPACE, offset(dropped_h, number(frame, F.ROWS) * u))
    if number(plan, P.DROPS_X):
        laid = pointer(frame, F.LAID, x)
        copy_rows(laid, f, x, number(plan, P.X_ROW), reach, f)
        for gate in range(gates):
            drop = pointer(plan, P.DROP_X, x)
            drop = offset(drop, ((first + gate) * batch + first_row) * f)
            scale_rows(laid, drop, f, reach, dropped_x)
            _multiply_gate(frame, gate, gates, f, dropped_x, w, bias, 0, z, 0)
    else:
        gemm(reach, wide, f, x, number(plan, P.X_ROW), 1, w, bias, 0, z, wide, 0, 0, z,
             0)  # fmt: skip
    operand = pointer(frame, F.BEFORE, x)
    if number(plan, at + S.OWN):
        operand = pointer(frame, F.OPERAND, x)
    out, init, init_row = z, z, wide
    if number(plan, at + S.APART):
        out, init, init_row = zh, offset(bias, (wide + width - 1) // width * width), 0
    masks = number(plan, P.DROP_GATES)
    if masks > 1:
        for gate in range(gates):
            drop = pointer(plan, P.DROP_H, x)
            drop = offset(drop, ((first + gate) * batch + first_row) * u)
            scale_rows(operand, drop, u, reach, dropped_h)
            _multiply_gate(frame, gate, gates, u, dropped_h, r, init, init_row, out, 1)
    else:
        if masks:
            drop = offset(pointer(plan, P.DROP_H, x), first_row * u)
            scale_rows(operand, drop, u, reach, dropped_h)
            operand = dropped_h
        gemm(reach, wide, u, operand, u, 1, r, init, init_row, out, wide, 1, 0, z, 0)
    put(frame, F.UNIT, 0)
    put(frame, F.COLUMNS, u)
    put(frame, F.Z, z)
    put(frame, F.Z_ROW, wide)
    put(frame, F.ZH_ROW, wide)
    step_open_rows(plan, frame, x, at + S.STEP)


@inlined_kernel
def _add_scaled(out: Any, out_row: int, a: Any, drop: Any, n: int, rows: int) -> None:
    """Add the products of some rows of n numbers with their factors."""
    for i in range(rows):
        for j in range(n):
            k = i * out_row + j
            store(out, k, load(out, k) + load(a, i * n + j) * load(drop, i * n + j))


def arrive(plan: Table, frame: Table, like: Any, stage: int) -> None:
    """Do what `chain.arrive` does under dropout."""
    u, at = number(plan, P.UNITS), P.STAGE + stage * S.SIZE
    batch, first_row = number(plan, P.BATCH), number(frame, F.FIRST_ROW)
    out, out_row = pointer(frame, F.D, like), number(frame, F.D_ROW)
    width, base = lane_count(like), pointer(frame, F.BASE, like)
    zeros = offset(base, number(plan, P.ZEROS))
    init, init_row = pointer(frame, F.INIT, like), number(frame, F.INIT_ROW)
    dz, rows, done = (
        pointer(frame, F.FOLLOWING, like), number(frame, F.AHEAD), number(frame, F.ROWS)
    )  # fmt: skip
    if number(plan, at + S.OWN):
        init, init_row, dz = zeros, 0, pointer(frame, F.DZ, like)
        rows, done = number(frame, F.REACH), number(frame, F.REACH)
    if done > 0:
        copy_rows(out, out_row, init, init_row, done, u)
    count, count_2 = number(plan, at + S.COUNT), number(plan, at + S.COUNT_2)
    columns = (u + width - 1) // width * width
    panels = offset(base, number(plan, P.RT) + number(plan, at + S.RT))
    panels_2 = offset(panels, count * u * columns)
    slot, slot_2 = number(plan, at + S.SLOT) * u, number(plan, at + S.SLOT_2) * u
    space, row = pointer(frame, F.TEMPORARY, like), number(frame, F.DZ_ROW)
    drop = offset(pointer(plan, P.DROP_H, like), first_row * u)
    masks = number(plan, P.DROP_GATES)
    if rows > 0:
        if masks <= 1:
            gemm_two(rows, u, count * u, offset(dz, slot), row, 1, panels, count_2 * u,
                     offset(dz, slot_2), row, panels_2, zeros, 0, space, u, 0, 0, zeros,
                     0)  # fmt: skip
            if masks:
                _add_scaled(out, out_row, space, drop, u, rows)
            else:
                for i in range(rows):
                    for j in range(u):
                        k = i * out_row + j
                        store(out, k, load(out, k) + load(space, i * u + j))
        else:
            for gate in range(count + count_2):
                source, depth, begun = offset(dz, slot + gate * u), count * u, panels
                place = gate
                if gate >= count:
                    place = gate - count
                    source, depth, begun = offset(dz, slot_2 + place * u), count_2 * u, panels_2
                for first in range(0, u, width):
                    gemm(rows, min(width, u - first), u, source, row, 1,
                         offset(begun, first * depth + place * u * width), zeros, 0,
                         offset(space, first), u, 0, 0, zeros, 0)  # fmt: skip
                mask = (number(plan, at + S.FIRST) + gate) * batch * u
                _add_scaled(out, out_row, space, offset(drop, mask), u, rows)
