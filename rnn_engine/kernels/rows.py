"""What softmax and its cross-entropy do with a row of numbers: largest entry, exponentials, sums.

Largest and sums go over the row in 16 lanes, entry j in lane j mod 16, whatever the width of a
register: LLVM cuts or joins them. A sum runs in float64, and its lanes are added in order, so its
bits depend on nothing but the row. (As loops over an array of lanes, which LLVM kept in memory,
they took three times as long.)
"""

from collections.abc import Callable, Sequence
from typing import Any

from rnn_engine.kernels.compiler import intrinsic, ir, types
from rnn_engine.kernels.finish import AT_ONCE, call_finish
from rnn_engine.kernels.options import inner_kernel
from rnn_engine.kernels.pointers import load, offset, store
from rnn_engine.kernels.vector import INT32, INT64, VectorBuilder, allow_widest

_LANES = 16


def _fold(
    ops: VectorBuilder, pointers: Sequence[Any], count: Any, start: Any, step: Callable[..., Any],
    rest: Any = None,
) -> Any:  # fmt: skip
    """Return ``step(... step(start, *first 16), ...)``; what the last 16 lack is `rest`, or 0."""
    b = ops.builder
    allow_widest(b.function)
    whole = b.and_(count, INT64(-_LANES))
    before, loop = b.block, b.append_basic_block("fold")
    done = b.append_basic_block("folded")
    b.cbranch(b.icmp_signed(">", whole, INT64(0)), loop, done)
    b.position_at_end(loop)
    i, running = b.phi(INT64), b.phi(start.type)
    new = step(running, *(ops.load(ops.offset(pointer, i)) for pointer in pointers))
    following = b.add(i, INT64(_LANES))
    for phi, first, later in ((i, INT64(0), following), (running, start, new)):
        phi.add_incoming(first, before)
        phi.add_incoming(later, b.block)
    end = b.block
    b.cbranch(b.icmp_signed("<", following, whole), loop, done)
    b.position_at_end(done)
    total = b.phi(start.type)
    total.add_incoming(start, before)
    total.add_incoming(new, end)
    mask = ops.first_lanes(b.sub(count, whole))
    last = [ops.masked_load(ops.offset(pointer, whole), mask) for pointer in pointers]
    if rest is not None:
        last = [b.select(mask, entries, rest) for entries in last]
    return step(total, *last)


def _join(builder: ir.IRBuilder, lanes: Any, step: Callable[[Any, Any], Any]) -> Any:
    """Return what `step` makes of the lanes, one after the other."""
    total = builder.extract_element(lanes, INT32(0))
    for lane in range(1, _LANES):
        total = step(total, builder.extract_element(lanes, INT32(lane)))
    return total


@intrinsic
def largest(typingctx: Any, pointer: Any, count: Any) -> Any:
    """Return the largest of `count` >= 1 numbers. A NaN may be passed over."""
    if not isinstance(pointer, types.CPointer):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        ops = VectorBuilder(builder, sig.args[0].dtype, _LANES)
        first = ops.broadcast(ops.load_scalar(ops.offset(args[0], INT64(0))))

        def larger(top: Any, entry: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", entry, top), entry, top)

        lanes = _fold(ops, args[:1], args[1], first, larger, first)
        return _join(builder, lanes, larger)

    return pointer.dtype(pointer, types.intp), codegen


def _sum(context: Any, builder: ir.IRBuilder, sig: Any, args: Any, term: Any) -> Any:
    """Return the sum of ``term(*entries)`` over rows that `args` ends with the length of."""
    *pointers, count = args
    ops = VectorBuilder(builder, sig.args[-2].dtype, _LANES)
    double = ir.VectorType(ir.DoubleType(), _LANES)
    zero = ir.Constant(double, [0.0] * _LANES)

    def add(total: Any, *entries: Any) -> Any:
        wide = [e if e.type == double else builder.fpext(e, double) for e in entries]
        return builder.fadd(total, term(*wide))

    lanes = _fold(ops, pointers, count, zero, add)
    return _join(builder, lanes, builder.fadd)


@intrinsic
def sum_of(typingctx: Any, row: Any, count: Any) -> Any:
    """Return the sum of `count` numbers in float64."""
    if not isinstance(row, types.CPointer):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return _sum(context, builder, sig, args, lambda entry: entry)

    return types.float64(row, types.intp), codegen


@intrinsic
def target_value(typingctx: Any, top: Any, log_total: Any, row: Any, goal: Any, count: Any) -> Any:
    """Return Σ goal (log_total - (row - top)) in float64."""
    if not isinstance(row, types.CPointer) or row != goal:
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        doubles = VectorBuilder(builder, types.float64, _LANES)
        top, log_total = (doubles.broadcast(value) for value in args[:2])

        def term(entry: Any, goal: Any) -> Any:
            return builder.fmul(goal, builder.fsub(log_total, builder.fsub(entry, top)))

        return _sum(context, builder, sig, args[2:], term)

    return types.float64(types.float64, types.float64, row, goal, types.intp), codegen


@inner_kernel
def exponentials(row: Any, count: int, top: Any, exp: int, out: Any) -> None:
    """Write exp(row - top), by the activation `exp`, a part at a time in the first-level cache."""
    for begin in range(0, count, AT_ONCE):
        some, part = min(AT_ONCE, count - begin), offset(out, begin)
        for j in range(some):
            store(part, j, load(row, begin + j) - top)
        call_finish(exp, 1, some, part, some, part, 0)
