"""Weight gradients: sums of outer products over all rows of a batch and all steps.

    dW[m, c] += Σ_k x[k, m] · dz[k, c]        db[c] += Σ_k dz[k, c]

k runs over rows and steps in blocks of `BLOCK`; each block is summed from zero and then
added, so that the rounding error grows with the block and the number of blocks and
not with their product. Each element has one owner and one order of summation.

Both sides are packed block by block. Rows of the left side that lie a power of two apart,
as those of 512 or 1024 units do, would all fall into a few sets of the first-level cache
and each on a page of its own: 65% of the FMA peak, packed 80%.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnn_engine.kernels.gemm import TALLEST, gemm
from rnn_engine.kernels.options import linked
from rnn_engine.kernels.pointers import copy, lane_count, offset
from rnn_engine.kernels.vector import (
    INT64,
    REGISTER_BYTES,
    VectorBuilder,
    allow_widest,
)

# 128 rows of a panel two vectors wide are 16 KiB: half of the smallest first-level cache.
# 192 and 256 rows were as fast within the noise, 384 rows 5% slower.
BLOCK = 128
_VECTORS = 2
# Columns of a panel of the left side: some whole tiles, and some whole registers.
PANEL = 4 * TALLEST


def scratch_size(rows: int, features: int, units: int, dtype: Any) -> int:
    """Return how many numbers of scratch one task of `add_outer` needs for up to `rows` rows."""
    lanes = REGISTER_BYTES // np.dtype(dtype).itemsize
    panels = -(-features // PANEL) + -(-units // PANEL)
    return min(BLOCK, rows) * (panels * PANEL + _VECTORS * lanes)


@intrinsic
def _pack_right(
    typingctx: Any, source: Any, row: Any, depth: Any, columns: Any, panels: Any, total: Any,
    adds: Any,
) -> Any:  # fmt: skip
    """Copy the first `columns` of `depth` rows to one or two panels; add their sums to `total`.

    `source` has rows `row` numbers apart; panels are filled up with zeros. `total` is left
    alone unless `adds`. Two sums run side by side: one alone waits for each of its additions.
    """
    signature = types.void(source, types.intp, types.intp, types.intp, panels, total, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        source, row, depth, columns, panels, total, adds = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[0].dtype)
        source, panels, total = (ops.offset(p, INT64(0)) for p in (source, panels, total))
        lanes = INT64(ops.lanes)
        step = builder.mul(depth, lanes)
        first, second = ops.first_lanes(columns), ops.first_lanes(builder.sub(columns, lanes))

        def copy_rows(masks: list[Any]) -> None:
            before = builder.block
            loop, done = builder.append_basic_block("row"), builder.append_basic_block("row_done")
            builder.branch(loop)
            builder.position_at_end(loop)
            i, at, to = builder.phi(INT64), builder.phi(source.type), builder.phi(panels.type)
            sums = [builder.phi(ops.type) for _ in masks]
            new = []
            for v, mask in enumerate(masks):
                value = ops.masked_load(ops.offset(at, INT64(v * ops.lanes)), mask)
                ops.store(value, ops.offset(to, builder.mul(step, INT64(v))))
                new.append(builder.fadd(sums[v], value))
            zero = ir.Constant(ops.type, [0.0] * ops.lanes)
            following = [
                (i, INT64(0), builder.add(i, INT64(1))),
                (at, source, ops.offset(at, row)),
                (to, panels, ops.offset(to, lanes)),
                *zip(sums, [zero] * len(masks), new, strict=True),
            ]
            for phi, begin, later in following:
                phi.add_incoming(begin, before)
                phi.add_incoming(later, loop)
            builder.cbranch(builder.icmp_signed("<", following[0][2], depth), loop, done)
            builder.position_at_end(done)
            with builder.if_then(builder.icmp_signed("!=", adds, INT64(0))):
                for v, (mask, value) in enumerate(zip(masks, new, strict=True)):
                    place = ops.offset(total, INT64(v * ops.lanes))
                    ops.masked_store(builder.fadd(ops.masked_load(place, mask), value), place, mask)

        with builder.if_else(builder.icmp_signed(">", columns, lanes)) as (two, one):
            with two:
                copy_rows([first, second])
            with one:
                copy_rows([first])
        return context.get_dummy_value()

    return signature, codegen


@linked
def _pack_left(
    source: Any, row: int, step: int, columns: int, rows: int, first: int, depth: int, panels: Any,
    size: int,
) -> None:  # fmt: skip
    """Copy the rows first..first + depth of a left side to panels of `size` numbers each.

    Row k is row k % rows of step k // rows. All panels have about the same columns.
    """
    count = (columns + PANEL - 1) // PANEL
    for panel in range(count):
        start, end = columns * panel // count, columns * (panel + 1) // count
        t, i = first // rows, first % rows
        for k in range(depth):
            copy(offset(panels, panel * size + k * PANEL),
                 offset(source, t * step + i * row + start), end - start)  # fmt: skip
            i += 1
            if i == rows:
                t, i = t + 1, 0


@linked
def add_outer(
    rows: int, count: int, dz: Any, n: int, x: Any, x_row: int, x_step: int, f: int, dw: Any,
    h: Any, h_row: int, h_step: int, u: int, dr: Any, adds_dr: int, db: Any, scratch: Any,
    task: int, tasks: int, zeros: Any, overwrites: int,
) -> None:  # fmt: skip
    """Add one task's share of dW (f × n), dR (u × n) and db (n) over `rows` rows of `count` steps.

    x and h have strides for a row and a step, dz lies together step by step; `scratch`
    points to the task's own. dR is left alone unless `adds_dr`. With `overwrites` what dW held
    counts as `zeros`, of two registers. Which task owns an element follows from f, u, n and
    `tasks` alone: tasks do not wait for each other between calls.
    """
    width = lane_count(dz)
    f_panels, u_panels = (f + PANEL - 1) // PANEL, (u + PANEL - 1) // PANEL
    panels = f_panels + u_panels
    size = min(BLOCK, rows * count) * PANEL
    states, right = offset(scratch, f_panels * size), offset(scratch, panels * size)
    # The elements in order, columns of one vector after the other, cut into equal parts: a
    # task has some vectors whole, and of the first and last one some panels.
    parts = (n + width - 1) // width * panels
    first, end = parts * task // tasks, parts * (task + 1) // tasks
    for start in range(0, rows * count, BLOCK):
        depth = min(BLOCK, rows * count - start)
        _pack_left(x, x_row, x_step, f, rows, start, depth, scratch, size)
        if adds_dr:
            _pack_left(h, h_row, h_step, u, rows, start, depth, states, size)
        place = first
        while place < end:
            vector, top = place // panels, place % panels
            vectors, bottom = 1, min(panels, top + end - place)
            if top == 0 and place + _VECTORS * panels <= end:
                vectors = _VECTORS
            column = vector * width
            columns = min(vectors * width, n - column)
            _pack_right(offset(dz, start * n + column), n, depth, columns, right,
                        offset(db, column), int(top == 0))  # fmt: skip
            for panel in range(top, bottom):
                low, high, target = f * panel // f_panels, f * (panel + 1) // f_panels, dw
                if panel >= f_panels:
                    if not adds_dr:
                        break
                    i, target = panel - f_panels, dr
                    low, high = u * i // u_panels, u * (i + 1) // u_panels
                target = offset(target, low * n + column)
                init, init_row = target, n
                if overwrites and start == 0:
                    init, init_row = zeros, 0
                gemm(high - low, columns, depth, offset(scratch, panel * size), 1, PANEL, right,
                     init, init_row, target, n, 1, 0, target, 0)  # fmt: skip
            place += vectors * (bottom - top)
