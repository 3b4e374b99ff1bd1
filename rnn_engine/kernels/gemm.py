"""The one matrix product of the house: a register-blocked microkernel, and its loops.

    out[m, n] = init[m, n] + a[m, k] · panel[k, n]        then an epilogue

A tile of `rows` × `vectors` registers of sums stays in registers over the whole of k;
each step loads one register of the packed panel a vector and one number of `a` a row.
Every sum starts from `init` and runs over k in one order with fused multiply-add,
whatever the tile, so a row has the same bits in any company (measured with
`benchmarks/run.py`: tiles with 8 registers of sums or more run near the FMA peak).

"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnn_engine.kernels.finish import call_finish
from rnn_engine.kernels.options import linked
from rnn_engine.kernels.pointers import lane_count, load, offset, store
from rnn_engine.kernels.vector import (
    INT64,
    REGISTER_BYTES,
    REGISTERS,
    VectorBuilder,
    allow_widest,
)

# Vectors a tile of so many rows may be wide. Few rows need wide tiles to have enough
# independent sums to hide the latency of FMA; rows·vectors + vectors + 1 registers must
# do. Rows that are missing here are put together from smaller tiles. A single row waits
# for its panels: four streams from the second-level cache reached all of its bandwidth,
# eight 94%, sixteen 45%.
if REGISTERS == 32:
    TILES = {
        1: (4, 2, 1), 2: (4, 2, 1), 3: (4, 2, 1), 4: (4, 2, 1),
        6: (4, 2, 1), 8: (2, 1), 12: (2, 1),
    }  # fmt: skip
else:
    TILES = {1: (8, 4, 2, 1), 2: (4, 2, 1), 3: (2, 1), 4: (2, 1), 6: (2, 1)}
FINISH_AT_ONCE = 2048  # numbers: 8 KiB in float32
TALLEST = max(TILES)
WIDEST = tuple(max(TILES.get(rows, (0,))) for rows in range(TALLEST + 1))


def _largest_tile(rows: int) -> int:
    """Return the rows of the next tile, such that no tile of a single row is left over."""
    fits = [r for r in TILES if r <= rows and (rows - r != 1 or rows == 2)]
    return max(fits, default=1)


# Tile for so many remaining rows; more than the last entry take the tallest.
NEXT_TILE = tuple(_largest_tile(rows) if rows else 0 for rows in range(2 * TALLEST + 1))
_LAST = len(NEXT_TILE) - 1


class _Tile:
    """Emits the code of one tile shape."""

    def __init__(self, ops: VectorBuilder, rows: int, vectors: int, mask: Any) -> None:
        self.ops, self.rows, self.vectors, self.mask = ops, rows, vectors, mask
        self.cells = [(r, v) for r in range(rows) for v in range(vectors)]

    def _place(self, base: Any, stride: Any, r: int, v: int) -> Any:
        b = self.ops.builder
        row = b.mul(stride, INT64(r))
        return self.ops.offset(base, b.add(row, INT64(v * self.ops.lanes)))

    def load(self, base: Any, stride: Any) -> list[Any]:
        """Read the tile from memory, the last vector under the mask."""
        return [
            self.ops.masked_load(self._place(base, stride, r, v), self.mask)
            if v == self.vectors - 1
            else self.ops.load(self._place(base, stride, r, v))
            for r, v in self.cells
        ]

    def store(self, values: list[Any], base: Any, stride: Any) -> None:
        """Write the tile to memory, the last vector under the mask."""
        for value, (r, v) in zip(values, self.cells, strict=True):
            place = self._place(base, stride, r, v)
            if v == self.vectors - 1:
                self.ops.masked_store(value, place, self.mask)
            else:
                self.ops.store(value, place)

    def merge(self, *sources: tuple[list[Any], Any]) -> list[Any]:
        """Join the values that come from several (values, block) pairs."""
        phis = []
        for i in range(len(self.cells)):
            phi = self.ops.builder.phi(self.ops.type)
            for values, block in sources:
                phi.add_incoming(values[i], block)
            phis.append(phi)
        return phis

    def multiply(
        self, a: Any, a_row: Any, a_k: Any, depth: Any, panel: Any, panel_step: Any,
        sums: list[Any],
    ) -> list[Any]:  # fmt: skip
        """Add a·panel over k to `sums`."""
        ops, b = self.ops, self.ops.builder
        before = b.block
        body, done = b.append_basic_block("k"), b.append_basic_block("k_done")
        # Four rows, and four panels, share a pointer: their offsets of 0 to 3 strides fit
        # x86's addressing, so twelve rows need three pointers and not twelve registers.
        down = [INT64(0), a_row, b.mul(a_row, INT64(2)), b.mul(a_row, INT64(3))]
        right = [INT64(0), panel_step, b.mul(panel_step, INT64(2)), b.mul(panel_step, INT64(3))]
        row_starts = [ops.offset(a, b.mul(a_row, INT64(r))) for r in range(0, self.rows, 4)]
        starts = [ops.offset(panel, b.mul(panel_step, INT64(v))) for v in range(0, self.vectors, 4)]
        b.cbranch(b.icmp_signed(">", depth, INT64(0)), body, done)
        b.position_at_end(body)

        def running(value: Any) -> Any:
            phi = b.phi(value.type)
            phi.add_incoming(value, before)
            return phi

        left = running(depth)
        groups, columns = [running(p) for p in row_starts], [running(p) for p in starts]
        running_sums = [running(s) for s in sums]
        weights = [ops.load(ops.offset(columns[v // 4], right[v % 4])) for v in range(self.vectors)]
        new = []
        for (r, v), total in zip(self.cells, running_sums, strict=True):
            if v == 0:
                place = ops.offset(groups[r // 4], down[r % 4])
                number = ops.broadcast(ops.load_scalar(place))
            new.append(ops.fma(number, weights[v], total))
        # Without this fence LLVM unrolls by two, hoists the loads and spills the sums:
        # less than half the speed.
        b.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)
        remaining = b.sub(left, INT64(1))
        left.add_incoming(remaining, body)
        for column in columns:
            column.add_incoming(ops.offset(column, INT64(ops.lanes)), body)
        for group in groups:
            group.add_incoming(ops.offset(group, a_k), body)
        for total, value in zip(running_sums, new, strict=True):
            total.add_incoming(value, body)
        b.cbranch(b.icmp_signed(">", remaining, INT64(0)), body, done)
        b.position_at_end(done)
        return self.merge((sums, before), (new, body))


@intrinsic
def _tile(
    typingctx: Any, rows: Any, vectors: Any, a: Any, a_row: Any, a_k: Any, depth: Any,
    panel: Any, panel_step: Any, init: Any, init_row: Any, out: Any, out_row: Any,
    tail: Any, add: Any,
) -> Any:  # fmt: skip
    """Compute one tile; `tail` columns of its last vector count.

    With `add` the product is summed from zero and added to `init` at the end.
    """
    signature = types.void(rows, vectors, a, a_row, a_k, depth, panel, panel_step, init,
                           init_row, out, out_row, tail, add)  # fmt: skip

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        rows, vectors, a, a_row, a_k, depth, panel, step, init, init_row, out, out_row = args[:12]
        tail, add = args[12:]
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[2].dtype)
        a, panel, init, out = (ops.offset(p, INT64(0)) for p in (a, panel, init, out))
        mask = ops.first_lanes(tail)
        adding = builder.icmp_signed("!=", add, INT64(0))
        zero = ir.Constant(ops.type, [0.0] * ops.lanes)
        end = builder.append_basic_block("end")
        # 16 is more than the widest tile.
        key = builder.add(builder.mul(rows, INT64(16)), vectors)
        switch = builder.switch(key, end)
        for r, widths in TILES.items():
            for v in widths:
                block = builder.append_basic_block(f"tile_{r}x{v}")
                switch.add_case(INT64(16 * r + v), block)
                builder.position_at_end(block)
                tile = _Tile(ops, r, v, mask)
                with builder.if_else(adding) as (then, otherwise):
                    with then:
                        from_zero = ([zero] * len(tile.cells), builder.block)
                    with otherwise:
                        from_init = (tile.load(init, init_row), builder.block)
                sums = tile.merge(from_zero, from_init)
                sums = tile.multiply(a, a_row, a_k, depth, panel, step, sums)
                with builder.if_else(adding) as (then, otherwise):
                    with then:
                        old = tile.load(init, init_row)
                        new = [builder.fadd(i, s) for i, s in zip(old, sums, strict=True)]
                        tile.store(new, out, out_row)
                    with otherwise:
                        tile.store(sums, out, out_row)
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature, codegen


@linked("iiipiippipiiipi")
def gemm(
    m: int, n: int, k: int, a: Any, a_row: int, a_k: int, panel: Any, init: Any,
    init_row: int, out: Any, out_row: int, add: int, op: int, aux: Any, aux_row: int,
) -> None:  # fmt: skip
    """Compute out = epilogue(init + a·panel); all strides in elements.

    `a` has strides a_row, a_k; `panel` is packed by `pack`; a row stride of zero in
    `init` repeats one row. With `add`, the product is summed from zero and added to
    `init` last: long sums are cut into blocks that way.
    """
    width = lane_count(out)
    panel_step = k * width
    whole = (n + width - 1) // width
    done = 0
    while done < m:
        rows = NEXT_TILE[min(m - done, _LAST)]
        # Equal tiles share each panel while it is in the cache.
        same = rows
        while same + done < m and NEXT_TILE[min(m - done - same, _LAST)] == rows:
            same += rows
        # One call for what fits in the first-level cache: more vectors side by side hide
        # the latency of the activation (a step of one row of 256 units: 14 to 5 ns each).
        at_once = same * n <= FINISH_AT_ONCE
        vector = 0
        while vector < whole:
            vectors = WIDEST[rows]
            while vectors > whole - vector:
                vectors >>= 1
            column = vector * width
            columns = min(vectors * width, n - column)
            tail = columns - (vectors - 1) * width
            b = offset(panel, vector * panel_step)
            for r in range(done, done + same, rows):
                target = offset(out, r * out_row + column)
                _tile(
                    rows, vectors, offset(a, r * a_row), a_row, a_k, k, b, panel_step,
                    offset(init, r * init_row + column), init_row, target, out_row, tail, add,
                )  # fmt: skip
                if op != 0 and not at_once:
                    beside = offset(aux, r * aux_row + column)
                    call_finish(op, rows, columns, target, out_row, beside, aux_row)
            vector += vectors
        if op != 0 and at_once:
            target, beside = offset(out, done * out_row), offset(aux, done * aux_row)
            call_finish(op, same, n, target, out_row, beside, aux_row)
        done += same


@linked("piiiip")
def pack(source: Any, row: int, column: int, k: int, n: int, panel: Any) -> None:
    """Copy a k × n matrix, of any strides, into panels one vector wide.

    Element (i, j) goes to ``panel[j // width][i][j % width]``; the last panel is
    filled up with zeros. `source` and `panel` are pointers.
    """
    width = lane_count(panel)
    for first in range(0, n, width):
        used = min(width, n - first)
        for i in range(k):
            place = (first * k) + i * width
            start = i * row + first * column
            for j in range(used):
                store(panel, place + j, load(source, start + j * column))
            for j in range(used, width):
                store(panel, place + j, 0.0)


def packed_size(k: int, n: int, dtype: Any) -> int:
    """Return how many numbers `pack` writes for a k × n matrix."""
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    return k * width * (-(-n // width))
