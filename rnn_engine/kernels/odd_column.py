"""The column of a product that is left over when its registers are full.

33 units would fill two registers of 16 and a third one for a single column, at the price of 48.
That column is computed as dot products, over k and not over columns:

    p[l] = Σ_i a[m, L·i + l] · column[L·i + l] (+ Σ_i b[m, L·i + l] · b_column[L·i + l])
    out[m] = init[m] + Σ_l p[l],    l = 0 ... L - 1, in pairs L/2 apart, then L/4, ... 1

L is 64 bytes of numbers on every machine and each row is summed alone, so that the bits depend
neither on the CPU nor on the other rows. `odd_column` decides by the number of columns alone: all
products with a matrix agree on it, and it is packed for them. 32 rows of 33 units take 12% less
time forward, 13% less back; two to four rows a thread, which wait for each sum anyway, up to 7%
more: they cannot be an exception, since their bits are those of a larger batch.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnn_engine.kernels.gemm import gemm, opaque
from rnn_engine.kernels.options import inlined_kernel, linked
from rnn_engine.kernels.pointers import offset
from rnn_engine.kernels.vector import (
    INT32,
    INT64,
    POINTER,
    REGISTER_BYTES,
    REGISTERS,
    VectorBuilder,
    allow_widest,
)

_BLOCK_BYTES = 64
# Only matrices of more than two and less than eight whole blocks have one: of 33, 49, ... 113
# columns in float32, of 17, 25, ... 57 in float64. One column of 17 float32 numbers gained
# nothing; two of 34 or 50 gained 3 to 10% with 32 rows, and lost 10 to 30% with up to four; four
# of 36 lost. Beyond, a register counts for little, and `single_row` packs its own way.
_BLOCKS_BELOW, _BLOCKS_ABOVE = 2, 8
# Dot products side by side: as many as have their sums in half of the registers.
_MOST_ROWS = REGISTERS * REGISTER_BYTES // (2 * _BLOCK_BYTES)


@intrinsic
def odd_column(typingctx: Any, n: Any, like: Any) -> Any:
    """Return 1 if the last of n columns, of the type of a pointer, is left over, else 0."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        n, block = args[0], _BLOCK_BYTES * 8 // sig.args[1].dtype.bitwidth
        one = builder.icmp_signed("==", builder.and_(n, INT64(block - 1)), INT64(1))
        large = builder.icmp_signed(">", n, INT64(_BLOCKS_BELOW * block))
        small = builder.icmp_signed("<", n, INT64(_BLOCKS_ABOVE * block))
        return builder.zext(builder.and_(one, builder.and_(large, small)), INT64)

    return types.intp(types.intp, like), codegen


@inlined_kernel
def multiply(
    m: int, n: int, k: int, a: Any, a_row: int, panel: Any, init: Any, init_row: int, out: Any
) -> None:
    """Compute out (m, n) = init + a·panel; a row stride of zero in `init` repeats one row."""
    odd = odd_column(n, out)
    gemm(m, n - odd, k, a, a_row, 1, panel, init, init_row, out, n, 0, 0, init, 0)
    if odd:
        fill_odd(m, n, k, a, a_row, panel, 0, a, 0, panel, init, init_row, out)


@linked
def fill_odd(
    m: int, n: int, k: int, a: Any, a_row: int, panel: Any, b_k: int, b: Any, b_row: int,
    b_panel: Any, init: Any, init_row: int, out: Any,
) -> None:  # fmt: skip
    """Fill the last, odd column of `out` (m, n).

    The arguments are those of `gemm_two`, which fills the others; `panel` and `b_panel` are from
    `panels.pack`. An epilogue then runs over whole rows, which are one piece of memory: over a
    column alone it would take a register for each number.
    """
    c, r = n - 1, 0
    while r < m:
        r += _fill(m - r, k, offset(a, r * a_row), a_row, offset(panel, c * k), b_k,
                   offset(b, r * b_row), b_row, offset(b_panel, c * b_k),
                   offset(init, r * init_row + c), init_row, offset(out, r * n + c),
                   n)  # fmt: skip


@intrinsic
def _fill(
    typingctx: Any, rows: Any, k: Any, a: Any, a_row: Any, column: Any, b_k: Any, b: Any,
    b_row: Any, b_column: Any, init: Any, init_row: Any, out: Any, out_row: Any,
) -> Any:  # fmt: skip
    """Fill the column of some of `rows` rows; return how many."""
    signature = types.intp(rows, k, a, a_row, column, b_k, b, b_row, b_column, init, init_row, out,
                           out_row)  # fmt: skip

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        rows, k, a, a_row, column, b_k, b, b_row, b_column, init, init_row, out, out_row = args
        allow_widest(builder.function)
        dtype = sig.args[2].dtype
        ops = VectorBuilder(builder, dtype, _BLOCK_BYTES * 8 // dtype.bitwidth)
        a, column, b, b_column, init, out = (
            ops.offset(pointer, INT64(0)) for pointer in (a, column, b, b_column, init, out)
        )
        end = builder.append_basic_block("end")
        done = []
        for height in dict.fromkeys((min(_MOST_ROWS, ops.lanes), min(_MOST_ROWS, 4), 1)):
            block = builder.append_basic_block(f"rows_{height}")
            fewer = builder.append_basic_block("fewer")
            builder.cbranch(builder.icmp_signed(">=", rows, INT64(height)), block, fewer)
            builder.position_at_end(block)
            sums = [ir.Constant(ops.type, [0.0] * ops.lanes)] * height
            sums = _add_products(ops, sums, k, a, a_row, column)
            sums = _add_products(ops, sums, b_k, b, b_row, b_column)
            sums = _totals(ops, sums)
            starts = _rows(ops, init, init_row, height), _rows(ops, out, out_row, height)
            for total, begun, place in zip(sums, *starts, strict=True):
                builder.store(builder.fadd(ops.load_scalar(begun), total), place)
            done.append((INT64(height), builder.block))
            builder.branch(end)
            builder.position_at_end(fewer)
        builder.unreachable()  # there is at least one row
        builder.position_at_end(end)
        count = builder.phi(INT64)
        for value, block in done:
            count.add_incoming(value, block)
        return count

    return signature, codegen


def _rows(ops: VectorBuilder, pointer: Any, row: Any, count: int) -> list[Any]:
    """Return where rows begin. Four of them share a pointer that LLVM cannot see, as in `gemm`."""
    b = ops.builder
    down = [INT64(0), row, b.mul(row, INT64(2)), b.mul(row, INT64(3))]
    starts = [ops.offset(pointer, b.mul(row, INT64(r))) for r in range(0, count, 4)]
    starts = [opaque(b, start) for start in starts]
    return [ops.offset(starts[r // 4], down[r % 4]) for r in range(count)]


def _add_products(
    ops: VectorBuilder, totals: list[Any], k: Any, a: Any, a_row: Any, column: Any
) -> list[Any]:
    """Add the products of a row with a column of k >= 0 numbers to each register of sums."""
    b, lanes = ops.builder, INT64(ops.lanes)
    down = [INT64(0), a_row, b.mul(a_row, INT64(2)), b.mul(a_row, INT64(3))]
    groups = [ops.offset(a, b.mul(a_row, INT64(r))) for r in range(0, len(totals), 4)]
    before, some, done = b.block, b.append_basic_block("some"), b.append_basic_block("done")
    b.cbranch(b.icmp_signed(">", k, INT64(0)), some, done)
    b.position_at_end(some)

    def add(pointers: list[Any], values: list[Any]) -> list[Any]:
        *starts, weights = pointers
        starts = [opaque(b, start) for start in starts]
        *sums, left = values
        mask = ops.first_lanes(left)
        weight = ops.masked_load(weights, mask)
        for r, total in enumerate(sums):
            number = ops.masked_load(ops.offset(starts[r // 4], down[r % 4]), mask)
            sums[r] = ops.fma(number, weight, total)
        return [*sums, b.sub(left, lanes)]

    rounds = b.sdiv(b.add(k, INT64(ops.lanes - 1)), lanes)
    places = [(pointer, lanes) for pointer in (*groups, column)]
    *sums, _ = ops.walk(rounds, places, [*totals, k], add)
    after = b.block
    b.branch(done)
    b.position_at_end(done)
    merged = []
    for total, value in zip(totals, sums, strict=True):
        phi = b.phi(ops.type)
        phi.add_incoming(total, before)
        phi.add_incoming(value, after)
        merged.append(phi)
    return merged


def _totals(ops: VectorBuilder, totals: list[Any]) -> list[Any]:
    """Return the sum of the lanes of each register: all of them are added in one tree.

    There are 1, 2, 4 ... registers, at most as many as lanes. Row r ends in lane r · lanes / rows.
    """
    b, lanes, rows = ops.builder, range(ops.lanes), len(totals)
    step = ops.lanes // 2
    while step:
        half = len(totals) // 2
        # The pairs of a second register go where the first one needs no lane any more.
        upper = [lane + ops.lanes * bool(lane & step) for lane in lanes]
        lower = [(lane ^ step) + ops.lanes * bool(lane & step) for lane in lanes]
        pairs = zip(totals[:half], totals[half:], strict=True) if half else [(totals[0],) * 2]
        totals = [
            b.fadd(_shuffle(ops, first, second, upper), _shuffle(ops, first, second, lower))
            for first, second in pairs
        ]
        step //= 2
    if rows < ops.lanes:
        places = [INT32(r * ops.lanes // rows) for r in range(rows)]
        return [b.extract_element(totals[0], place) for place in places]
    with b.goto_entry_block():
        space = b.alloca(ops.type)
    space.type = POINTER
    ops.store(totals[0], space)
    return [ops.load_scalar(ops.offset(space, INT64(r))) for r in range(rows)]


def _shuffle(ops: VectorBuilder, first: Any, second: Any, order: list[int]) -> Any:
    kind = ir.VectorType(INT32, ops.lanes)
    return ops.builder.shuffle_vector(first, second, ir.Constant(kind, order))
