"""The one matrix product of the house: a register-blocked microkernel, and its loops.

    out[m, n] = init[m, n] + a[m, k] · panel[k, n] (+ b[m, k] · panel_b[k, n])    then an epilogue

A tile of `rows` × `vectors` registers of sums stays in registers over the whole of k;
each step loads one register of the packed panel a vector and one number of `a` a row.
Every sum starts from `init` and runs over k in one order with fused multiply-add,
whatever the tile, so a row has the same bits in any company (measured with
`benchmarks/run.py`: tiles with 8 registers of sums or more run near the FMA peak).

"""

from typing import Any, NamedTuple

import numpy as np

from rnn_engine.kernels.compiler import intrinsic, ir, types
from rnn_engine.kernels.finish import AT_ONCE, call_finish
from rnn_engine.kernels.options import inlined_kernel, linked
from rnn_engine.kernels.pointers import lane_count, offset
from rnn_engine.kernels.vector import (
    INT64,
    REGISTERS,
    VectorBuilder,
    allow_widest,
)

# Shapes of tiles, rows by width in vectors: all sums, one panel a vector and one number of
# `a` have to fit the registers; each width has tiles of one row. Tall tiles two vectors wide
# load least for what they multiply; few rows need wide tiles to have enough sums under way to
# hide the latency of FMA: with six vectors side by side one row of 96 units took a step in two
# thirds of the time, two rows in four fifths. Beyond eight a single row waits for its panels:
# four streams from the second-level cache reached all of its bandwidth, eight 94%, sixteen 45%.
if REGISTERS == 32:
    TILES = {
        8: (1,),
        6: (1, 2),
        5: (1, 2),
        4: (1, 2, 3, 4, 6),
        3: (1, 2, 3, 4, 5, 8),
        2: (1, 2, 3, 4, 5, 6, 8, 12),
        1: (1, 2, 3, 4, 6, 8, 12),
    }
else:
    TILES = {8: (1,), 6: (1,), 4: (1, 2), 3: (1, 2, 3, 4), 2: (1, 2, 3, 4, 5, 6), 1: (1, 2, 4, 6)}
# k is cut where panels of a tile would outgrow the first-level cache: 256 steps of two
# float32 vectors are 32 KiB. Measured on 64 x 1024 by 1024 x 1024: 82% of peak uncut.
BLOCK_K = 256
WIDEST = max(TILES)
TALLEST = max(max(heights) for heights in TILES.values())
_MOST_ROWS = 2 * TALLEST  # what the tables below reach to; longer runs begin with the tallest


def _cost(rows: int, vectors: int) -> float:
    """Return the cycles of one step of k: the longest of FMAs, loads and latency.

    Two FMAs and two loads a cycle, four cycles until a sum can be added to again.
    """
    return max(rows * vectors / 2, (rows + vectors) / 2, 4.0) + 0.5


def _cheapest(most: int, costs: dict[int, float]) -> list[int]:
    """Return the first step of the cheapest way to 0, 1, ... `most`.

    `costs` has the steps there are, 1 among them. Of equal ways the one with the largest first.
    """
    best, first = [0.0], [0]
    for total in range(1, most + 1):
        ways = [(best[total - step] + cost, -step) for step, cost in costs.items() if step <= total]
        price, negative = min(ways)
        best.append(price)
        first.append(-negative)
    return first


_ROWS = {
    width: _cheapest(_MOST_ROWS, {rows: _cost(rows, width) for rows in heights})
    for width, heights in TILES.items()
}


def _column_cost(width: int, rows: int) -> float:
    """Return the cycles of the tiles of one width that cover so many rows."""
    total = 0.0
    while rows:
        height = _ROWS[width][rows]
        total += _cost(height, width)
        rows -= height
    return total


# [width][remaining rows]: the rows of the next tile.
_NONE = [0] * (_MOST_ROWS + 1)
NEXT_ROWS = np.array([_ROWS.get(width, _NONE) for width in range(WIDEST + 1)], np.int64)
# [rows][remaining vectors]: the width of the next tiles.
_MOST_VECTORS = 2 * WIDEST
NEXT_WIDTH = np.array(
    [
        _cheapest(_MOST_VECTORS, {width: _column_cost(width, rows) for width in TILES})
        for rows in range(_MOST_ROWS + 1)
    ],
    np.int64,
)


class Product(NamedTuple):
    """Both sides of a product in LLVM values.

    The left one with its strides, k, and the right one with its strides for a vector and for k.
    """

    a: Any
    a_row: Any
    a_k: Any
    depth: Any
    panel: Any
    panel_step: Any
    panel_k: Any


class Tile:
    """Emits the code of one tile shape."""

    def __init__(self, ops: VectorBuilder, rows: int, vectors: int, mask: Any) -> None:
        self.ops, self.rows, self.vectors, self.mask = ops, rows, vectors, mask
        self.cells = [(r, v) for r in range(rows) for v in range(vectors)]

    def places(self, base: Any, stride: Any) -> list[Any]:
        """Return where the vectors of the tile lie in memory."""
        b, ops = self.ops.builder, self.ops
        starts = [ops.offset(base, b.mul(stride, INT64(r))) for r in range(self.rows)]
        return [ops.offset(starts[r], INT64(v * ops.lanes)) for r, v in self.cells]

    def load(self, base: Any, stride: Any) -> list[Any]:
        """Read the tile from memory, the last vector under the mask."""
        return [
            self.ops.masked_load(place, self.mask)
            if v == self.vectors - 1
            else self.ops.load(place)
            for place, (_, v) in zip(self.places(base, stride), self.cells, strict=True)
        ]

    def store(self, values: list[Any], base: Any, stride: Any) -> None:
        """Write the tile to memory, the last vector under the mask."""
        places = self.places(base, stride)
        for value, place, (_, v) in zip(values, places, self.cells, strict=True):
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
        self, first: "Product", second: "Product", sums: list[Any], split: Any, out: Any,
        out_row: Any,
    ) -> list[Any]:  # fmt: skip
        """Add two products to `sums`, the second one only if it has a depth.

        One loop over both, so that the code for k is there once. If it is `split`, what came
        of the first one goes to `out`, and the second one is summed from zero.
        """
        b = self.ops.builder
        before, loop = b.block, b.append_basic_block("product")
        done = b.append_basic_block("products_done")
        b.branch(loop)
        b.position_at_end(loop)
        following, cut = b.phi(INT64), b.phi(split.type)
        # All but the last, which is the same for both.
        phis = [b.phi(value.type) for value in first[:-1]]
        product = Product._make([*phis, first.panel_k])
        running = [b.phi(value.type) for value in sums]
        new = self.add_product(product, running)
        unchanged = b.block
        aside = b.append_basic_block("aside")
        joined = b.append_basic_block("joined")
        b.cbranch(cut, aside, joined)
        b.position_at_end(aside)
        self.store(new, out, out_row)
        b.branch(joined)
        b.position_at_end(joined)
        zero = [ir.Constant(self.ops.type, [0.0] * self.ops.lanes)] * len(new)
        new = self.merge((new, unchanged), (zero, aside))
        for phi, now, later in zip(
            [following, cut, *phis, *running],
            [second.depth, split, *first[:-1], *sums],
            [INT64(0), ir.Constant(split.type, 0), *second[:-1], *new],
            strict=True,
        ):
            phi.add_incoming(now, before)
            phi.add_incoming(later, b.block)
        b.cbranch(b.icmp_signed(">", following, INT64(0)), loop, done)
        b.position_at_end(done)
        return new

    def add_product(self, product: "Product", sums: list[Any]) -> list[Any]:
        """Add a·panel over k to `sums`."""
        ops, b = self.ops, self.ops.builder
        a, a_row, a_k, depth, panel, panel_step, panel_k = product
        before = b.block
        body, done = b.append_basic_block("k"), b.append_basic_block("k_done")
        # Four rows, and four panels, share a pointer: their offsets of 0 to 3 strides fit
        # x86's addressing, so twelve rows need three pointers and not twelve registers. Left to
        # itself LLVM makes one pointer of the three, and of the rows twelve additions that wait
        # for each other: twelve cycles, as many as the FMAs of a tile of two vectors need, and
        # twice those of one vector (95 GFLOP/s, 144 with pointers it cannot see through).
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
            column.add_incoming(opaque(b, ops.offset(column, panel_k)), body)
        for group in groups:
            group.add_incoming(opaque(b, ops.offset(group, a_k)), body)
        for total, value in zip(running_sums, new, strict=True):
            total.add_incoming(value, body)
        b.cbranch(b.icmp_signed(">", remaining, INT64(0)), body, done)
        b.position_at_end(done)
        return self.merge((sums, before), (new, body))


def opaque(builder: Any, value: Any) -> Any:
    """Return an integer or a pointer in a way that LLVM cannot see through."""
    return builder.asm(ir.FunctionType(value.type, [value.type]), "", "=r,0", [value], True)


@intrinsic
def _tile(
    typingctx: Any, rows: Any, vectors: Any, a: Any, a_row: Any, a_k: Any, depth: Any,
    panel: Any, panel_step: Any, b: Any, b_row: Any, b_depth: Any, b_panel: Any,
    b_panel_step: Any, init: Any, init_row: Any, out: Any, out_row: Any, tail: Any, add: Any,
) -> Any:  # fmt: skip
    """Compute one tile; `tail` columns of its last vector count.

    With `add` 1 the product is summed from zero and added to `init` at the end, with 2 the second
    product is, and the first one begins with `init`.
    """
    signature = types.void(rows, vectors, a, a_row, a_k, depth, panel, panel_step, b, b_row,
                           b_depth, b_panel, b_panel_step, init, init_row, out, out_row, tail,
                           add)  # fmt: skip

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        rows, vectors, a, a_row, a_k, depth, panel, panel_step = args[:8]
        b, b_row, b_depth, b_panel, b_panel_step = args[8:13]
        init, init_step, out, out_step, tail, add = args[13:]
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[2].dtype)
        a, panel, b, b_panel, init, out = (
            ops.offset(pointer, INT64(0)) for pointer in (a, panel, b, b_panel, init, out)
        )
        lanes = INT64(ops.lanes)
        first = Product(a, a_row, a_k, depth, panel, panel_step, lanes)
        second = Product(b, b_row, INT64(1), b_depth, b_panel, b_panel_step, lanes)
        mask = ops.first_lanes(tail)
        adding = builder.icmp_signed("==", add, INT64(1))
        split = builder.icmp_signed("==", add, INT64(2))
        either = builder.icmp_signed("!=", add, INT64(0))
        zero = ir.Constant(ops.type, [0.0] * ops.lanes)
        end = builder.append_basic_block("end")
        # 16 is more than the widest tile.
        key = builder.add(builder.mul(rows, INT64(16)), vectors)
        switch = builder.switch(key, end)
        for v, heights in TILES.items():
            for r in heights:
                block = builder.append_basic_block(f"tile_{r}x{v}")
                switch.add_case(INT64(16 * r + v), block)
                builder.position_at_end(block)
                tile = Tile(ops, r, v, mask)
                # Their multiples are computed here, not for all tiles at once at the beginning
                # of `gemm`, which is often called for a single one.
                init_row, out_row = opaque(builder, init_step), opaque(builder, out_step)
                with builder.if_else(adding) as (then, otherwise):
                    with then:
                        # What the sums are added to is asked for before they run: a gradient of
                        # 512 units comes out of the second-level cache or from behind it.
                        for place in tile.places(init, init_row):
                            ops.prefetch(place)
                        from_zero = ([zero] * len(tile.cells), builder.block)
                    with otherwise:
                        from_init = (tile.load(init, init_row), builder.block)
                sums = tile.merge(from_zero, from_init)
                sums = tile.multiply(first, second, sums, split, out, out_row)
                with builder.if_else(either) as (then, otherwise):
                    with then:
                        base = builder.select(split, out, init)
                        old = tile.load(base, builder.select(split, out_row, init_row))
                        new = [builder.fadd(i, s) for i, s in zip(old, sums, strict=True)]
                        added = (new, builder.block)
                    with otherwise:
                        complete = (sums, builder.block)
                tile.store(tile.merge(added, complete), out, out_row)
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature, codegen


@linked
def gemm_two(
    m: int, n: int, k: int, a: Any, a_row: int, a_k: int, panel: Any, b_k: int, b: Any,
    b_row: int, b_panel: Any, init: Any, init_row: int, out: Any, out_row: int, add: int, op: int,
    aux: Any, aux_row: int,
) -> None:  # fmt: skip
    """Compute out = epilogue(init + a·panel + b·b_panel) as `gemm` does.

    b (m, b_k) has neighbours in its rows. k counts on from a to b. With `add` 2 the sum of a·panel
    begins with `init` and that of b·b_panel with zero, and both are added.
    """
    width = lane_count(out)
    panel_step, b_step = k * width, b_k * width
    whole = (n + width - 1) // width
    # One call for what fits in the first-level cache: more vectors side by side hide
    # the latency of the activation (a step of one row of 256 units: 14 to 5 ns each).
    at_once = m * n <= AT_ONCE
    k0 = 0
    while True:
        depth = max(0, min(k - k0, BLOCK_K))
        b_k0 = max(0, k0 - k)
        b_depth = min(b_k - b_k0, BLOCK_K - depth)
        mode = add
        if add == 2:
            # Where b is cut does not follow a. Both share a tile if they are one block.
            if depth and k + b_k > BLOCK_K:
                b_depth, mode = 0, 0
            elif depth == 0:
                mode = 1
        last = k0 + depth + b_depth >= k + b_k
        left, panels = offset(a, k0 * a_k), offset(panel, k0 * width)
        b_left, b_panels = offset(b, b_k0), offset(b_panel, b_k0 * width)
        vector = 0
        while vector < whole:
            vectors = NEXT_WIDTH[min(m, _MOST_ROWS), min(whole - vector, _MOST_VECTORS)]
            column = vector * width
            columns = min(vectors * width, n - column)
            tail = columns - (vectors - 1) * width
            right, b_right = offset(panels, vector * panel_step), offset(b_panels, vector * b_step)
            r = 0
            while r < m:
                rows = NEXT_ROWS[vectors, min(m - r, _MOST_ROWS)]
                target = offset(out, r * out_row + column)
                begun, begun_row = target, out_row
                if k0 == 0:
                    begun, begun_row = offset(init, r * init_row + column), init_row
                _tile(rows, vectors, offset(left, r * a_row), a_row, a_k, depth, right, panel_step,
                      offset(b_left, r * b_row), b_row, b_depth, b_right, b_step, begun, begun_row,
                      target, out_row, tail, mode)  # fmt: skip
                if last and op != 0 and not at_once:
                    beside = offset(aux, r * aux_row + column)
                    call_finish(op, rows, columns, target, out_row, beside, aux_row)
                r += rows
            vector += vectors
        k0 += depth + b_depth
        if last:
            break
    if op != 0 and at_once:
        if out_row == n and (aux_row == n or aux_row == 0):
            # Rows without gaps are one long row: 16 x 33 numbers are 33 registers, not 48.
            call_finish(op, 1, m * n, out, out_row, aux, aux_row)
        else:
            call_finish(op, m, n, out, out_row, aux, aux_row)


@inlined_kernel
def gemm(
    m: int, n: int, k: int, a: Any, a_row: int, a_k: int, panel: Any, init: Any,
    init_row: int, out: Any, out_row: int, add: int, op: int, aux: Any, aux_row: int,
) -> None:  # fmt: skip
    """Compute out = epilogue(init + a·panel); all strides in elements.

    `a` has strides a_row, a_k; `panel` is packed by `panels.pack`; a row stride of zero in
    `init` repeats one row. With `add`, the product is summed from zero and added to
    `init` last: long sums are cut into blocks that way.
    """
    gemm_two(m, n, k, a, a_row, a_k, panel, 0, a, 0, panel, init, init_row, out, out_row, add, op,
             aux, aux_row)  # fmt: skip
