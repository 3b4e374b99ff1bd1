"""Weight gradients: sums of outer products over all rows of a batch and all steps.

    dW[m, c] += Σ_k x[k, m] · dz[k, c]        db[c] += Σ_k dz[k, c]

k runs over rows and steps in blocks of `BLOCK`, or in two halves where there are fewer, but
`WORTH_HALVES`; each block is summed from zero and then added, so that the rounding error grows with
the block and the number of blocks and not with their product. Each element has one owner and one
order of summation.

Both sides are packed block by block, dz as a whole and then the left side panel by panel. Rows
of the left side that lie a power of two apart, as those of 512 or 1024 units do, would all fall
into a few sets of the first-level cache and each on a page of its own: 65% of the FMA peak,
packed 80%. A panel of the left side stays in the first-level cache while dz passes by, and meets
all columns of some rows of the gradient, one after the other. The other way round (two vectors
of dz stay, all of the left side passes by, rows of the gradient lie 4 KiB apart) a whole pass
back took 13% longer for 1024 units, 6% for 512, 1% for 64.
"""

from typing import Any

import numpy as np

from rnn_engine.kernels.compiler import intrinsic, ir, types
from rnn_engine.kernels.gemm import TALLEST, Product, Tile, gemm
from rnn_engine.kernels.options import linked
from rnn_engine.kernels.pointers import copy_rows, lane_count, load, offset, stack, store
from rnn_engine.kernels.vector import (
    INT64,
    REGISTER_BYTES,
    VectorBuilder,
    allow_widest,
)

# 128 rows of a panel of the left side are 24 KiB, of two vectors of the right side 16 KiB:
# together they fit a first-level cache of 48 KiB.
BLOCK = 128
_VECTORS = 2
# Fewer rows than a block, from so many on, are two blocks: one chain of 48 products had up to 1.28
# times the RMS error of Keras, which sums each step by itself; as halves it has 1.1.
WORTH_HALVES = 32
# Columns of a panel of the left side: some whole tiles, and some whole registers.
PANEL = 4 * TALLEST
# Up to so many columns of the right side that fill no register are multiplied one by one, with
# registers of the left side: the sums, and so the bits, are the same.
_MOST_ALONE = 2
# Vectors of the right side that are packed at once: 512 KiB, for the second-level cache.
STRIP = 4096 // REGISTER_BYTES


def scratch_size(rows: int, columns: int, dtype: Any) -> int:
    """Return how many numbers of scratch `add_outer` needs for up to `rows` rows of dz."""
    lanes = REGISTER_BYTES // np.dtype(dtype).itemsize
    return min(BLOCK, rows) * (PANEL + lanes * min(STRIP, -(-columns // lanes)))


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

        def copy_vectors(masks: list[Any]) -> None:
            def one_row(places: list[Any], sums: list[Any]) -> list[Any]:
                at, to = places
                new = []
                for v, (mask, total) in enumerate(zip(masks, sums, strict=True)):
                    value = ops.masked_load(ops.offset(at, INT64(v * ops.lanes)), mask)
                    ops.store(value, ops.offset(to, builder.mul(step, INT64(v))))
                    new.append(builder.fadd(total, value))
                return new

            zero = ir.Constant(ops.type, [0.0] * ops.lanes)
            sums = ops.walk(depth, [(source, row), (panels, lanes)], [zero] * len(masks), one_row)
            with builder.if_then(builder.icmp_signed("!=", adds, INT64(0))):
                for v, (mask, value) in enumerate(zip(masks, sums, strict=True)):
                    place = ops.offset(total, INT64(v * ops.lanes))
                    ops.masked_store(builder.fadd(ops.masked_load(place, mask), value), place, mask)

        with builder.if_else(builder.icmp_signed(">", columns, lanes)) as (two, one):
            with two:
                copy_vectors([first, second])
            with one:
                copy_vectors([first])
        return context.get_dummy_value()

    return signature, codegen


@linked
def _pack_left(
    source: Any, row: int, step: int, columns: int, rows: int, first: int, depth: int, panel: Any,
) -> None:  # fmt: skip
    """Copy some columns of the rows first..first + depth of a left side to a panel.

    Row k is row k % rows of step k // rows.
    """
    t, i, k = first // rows, first % rows, 0
    while k < depth:
        together = min(rows - i, depth - k)
        copy_rows(offset(panel, k * PANEL), PANEL, offset(source, t * step + i * row), row,
                  together, columns)  # fmt: skip
        t, i, k = t + 1, 0, k + together


@intrinsic
def _multiply_left(
    typingctx: Any, depth: Any, panel: Any, column: Any, column_k: Any, sums: Any
) -> Any:
    """Fill `sums` with the sums of a left panel's columns times one column of the right side."""
    signature = types.void(types.intp, panel, column, types.intp, sums)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        depth, panel, column, column_k, sums = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[1].dtype)
        panel, column, sums = (ops.offset(pointer, INT64(0)) for pointer in (panel, column, sums))
        lanes, zero = INT64(ops.lanes), ir.Constant(ops.type, [0.0] * ops.lanes)
        tile = Tile(ops, 1, PANEL // ops.lanes, ops.first_lanes(lanes))
        product = Product(column, INT64(0), column_k, depth, panel, lanes, INT64(PANEL))
        tile.store(tile.add_product(product, [zero] * len(tile.cells)), sums, INT64(0))
        return context.get_dummy_value()

    return signature, codegen


@linked
def add_outer(
    rows: int, count: int, dz: Any, dz_row: int, n: int, x: Any, x_row: int, x_step: int, f: int,
    dw: Any, h: Any, h_row: int, h_step: int, u: int, dr: Any, adds_dr: int, out_row: int, db: Any,
    scratch: Any, task: int, tasks: int, zeros: Any, overwrites: int,
) -> None:  # fmt: skip
    """Add one task's share of dW (f × n), dR (u × n) and db (n) over `rows` rows of `count` steps.

    x and h have strides for a row and a step, dz one for its rows, which follow each other step
    by step; rows of dW and dR lie `out_row` numbers apart. `scratch` points to the task's own.
    dR is left alone unless `adds_dr`. With `overwrites` what dW held counts as `zeros`, of a row
    or STRIP registers. Which task owns an element follows from f, u, n and `tasks` alone: tasks
    do not wait for each other between calls.
    """
    width = lane_count(dz)
    f_panels, u_panels = (f + PANEL - 1) // PANEL, (u + PANEL - 1) // PANEL
    panels = f_panels + u_panels
    right, sums = offset(scratch, min(BLOCK, rows * count) * PANEL), stack(dz, PANEL)
    # The elements in order, columns of one vector after the other, cut into equal parts: a
    # task has some vectors whole, and of the first and last one some panels.
    parts = (n + width - 1) // width * panels
    first, end = parts * task // tasks, parts * (task + 1) // tasks
    block = BLOCK
    if WORTH_HALVES <= rows * count < BLOCK:
        block = (rows * count + 1) // 2
    for start in range(0, rows * count, block):
        depth = min(block, rows * count - start)
        place = first
        while place < end:
            vector, top = place // panels, place % panels
            vectors, bottom = 1, min(panels, top + end - place)
            if top == 0 and bottom == panels:
                vectors = min(STRIP, (end - place) // panels)
            column = vector * width
            columns = min(vectors * width, n - column)
            alone = 0
            if column + columns == n and n % width <= _MOST_ALONE:
                alone = n % width
            for j in range(0, columns, _VECTORS * width):
                _pack_right(offset(dz, start * dz_row + column + j), dz_row, depth,
                            min(columns - j, _VECTORS * width), offset(right, j * depth),
                            offset(db, column + j), int(top == 0))  # fmt: skip
            for panel in range(top, bottom):
                if panel < f_panels:
                    low, high = f * panel // f_panels, f * (panel + 1) // f_panels
                    _pack_left(offset(x, low), x_row, x_step, high - low, rows, start, depth,
                               scratch)  # fmt: skip
                    target = dw
                else:
                    if not adds_dr:
                        break
                    i = panel - f_panels
                    low, high = u * i // u_panels, u * (i + 1) // u_panels
                    _pack_left(offset(h, low), h_row, h_step, high - low, rows, start, depth,
                               scratch)  # fmt: skip
                    target = dr
                target = offset(target, low * out_row + column)
                init, init_row = target, out_row
                if overwrites and start == 0:
                    init, init_row = zeros, 0
                gemm(high - low, columns - alone, depth, scratch, 1, PANEL, right, init, init_row,
                     target, out_row, 1, 0, target, 0)  # fmt: skip
                last_panel = offset(right, (columns - alone) * depth)
                for c in range(alone):
                    _multiply_left(depth, scratch, offset(last_panel, c), width, sums)
                    j = columns - alone + c
                    for i in range(high - low):
                        store(target, i * out_row + j, load(init, i * init_row + j) + load(sums, i))
            place += vectors * (bottom - top)
