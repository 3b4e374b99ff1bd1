"""Atomic operations on tables of int64, for what several threads write.

All of them are sequentially consistent: no thread sees two writes in another order than any
other thread does.
"""

from typing import Any

from rnn_engine.kernels.compiler import cgutils, intrinsic, ir, types
from rnn_engine.kernels.denormals import is_x86
from rnn_engine.kernels.tables import TABLE, index_of, place_in
from rnn_engine.kernels.vector import INT64

_ORDER = "seq_cst"


def _place(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    index = index_of(context, builder, args[1], sig.args[1])
    where = place_in(builder, args[0], index)
    where.type = INT64.as_pointer()
    return where


@intrinsic
def read(typingctx: Any, table: Any, place: Any) -> Any:
    """Return the number at a place."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        where = _place(context, builder, sig, args)
        return builder.load_atomic(where, _ORDER, 8, typ=INT64)

    return types.intp(TABLE, place), codegen


@intrinsic
def write(typingctx: Any, table: Any, place: Any, value: Any) -> Any:
    """Write a number to a place."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        where = _place(context, builder, sig, args)
        builder.store_atomic(args[2], where, _ORDER, 8)
        return context.get_dummy_value()

    return types.void(TABLE, place, types.intp), codegen


@intrinsic
def add(typingctx: Any, table: Any, place: Any, value: Any) -> Any:
    """Add to the number at a place; return what it was before."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        where = _place(context, builder, sig, args)
        return builder.atomic_rmw("add", where, args[2], _ORDER)

    return types.intp(TABLE, place, types.intp), codegen


@intrinsic
def replace(typingctx: Any, table: Any, place: Any, expected: Any, value: Any) -> Any:
    """Write a number to a place if another one is there; return whether it was."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        where = _place(context, builder, sig, args)
        found = builder.cmpxchg(where, args[2], args[3], _ORDER, _ORDER)
        return builder.extract_value(found, 1)

    return types.boolean(TABLE, place, types.intp, types.intp), codegen


@intrinsic
def pause(typingctx: Any) -> Any:
    """Let the other thread of this core run for a moment."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        if is_x86():
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(
                cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), []
            )
        return context.get_dummy_value()

    return types.void(), codegen
