"""Typed pointers inside kernels: take the address of an array, move by elements.

Kernels that work on tiles hand pointers and strides around, as a C kernel would:
an array view costs Numba seven words and a reference count at each call.
"""

from typing import Any

from rnn_engine.kernels.compiler import intrinsic, ir, types
from rnn_engine.kernels.vector import INT64, POINTER, VectorBuilder, allow_widest, ir_type, lanes


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Return the pointer to the first element of a contiguous array."""
    if not isinstance(array, types.Array):
        return None
    signature = types.CPointer(array.dtype)(array)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return signature, codegen


@intrinsic
def offset(typingctx: Any, pointer: Any, elements: Any) -> Any:
    """Return `pointer` moved by a number of elements."""
    if not isinstance(pointer, types.CPointer) or not isinstance(elements, types.Integer):
        return None
    signature = pointer(pointer, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        element = ir_type(sig.args[0].dtype)
        return builder.gep(args[0], [args[1]], source_etype=element)

    return signature, codegen


@intrinsic
def load(typingctx: Any, pointer: Any, index: Any) -> Any:
    """Return ``pointer[index]``."""
    if not isinstance(pointer, types.CPointer) or not isinstance(index, types.Integer):
        return None
    signature = pointer.dtype(pointer, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        element = ir_type(sig.args[0].dtype)
        place = builder.gep(args[0], [args[1]], source_etype=element)
        return builder.load(place, typ=element, align=sig.args[0].dtype.bitwidth // 8)

    return signature, codegen


@intrinsic
def store(typingctx: Any, pointer: Any, index: Any, value: Any) -> Any:
    """Write ``pointer[index] = value``."""
    if not isinstance(pointer, types.CPointer) or not isinstance(index, types.Integer):
        return None
    signature = types.void(pointer, types.intp, pointer.dtype)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        element = ir_type(sig.args[0].dtype)
        place = builder.gep(args[0], [args[1]], source_etype=element)
        builder.store(args[2], place, align=sig.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def lane_count(typingctx: Any, pointer: Any) -> Any:
    """Return how many numbers of the pointer's type one vector register holds."""
    if not isinstance(pointer, types.CPointer):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return INT64(lanes(sig.args[0].dtype))

    return types.intp(pointer), codegen


@intrinsic(prefer_literal=True)
def stack(typingctx: Any, pointer: Any, numbers: Any) -> Any:
    """Return a pointer to `numbers` (a constant) numbers on the stack, of the pointer's type.

    They begin with a cache line.
    """
    if not isinstance(pointer, types.CPointer) or not isinstance(numbers, types.IntegerLiteral):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        kind = ir.ArrayType(ir_type(sig.args[0].dtype), sig.args[1].literal_value)
        # Numba's own helper would fill it with zeros.
        with builder.goto_entry_block():
            space = builder.alloca(kind)
            space.align = 64
        place = builder.gep(space, [INT64(0), INT64(0)], source_etype=kind)
        place.type = POINTER
        return place

    return pointer(pointer, numbers), codegen


@intrinsic
def copy(typingctx: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy `count` numbers, register by register.

    LLVM does not know that the two do not overlap, and the C library's function costs a
    call where most rows are a few registers.
    """
    if not isinstance(target, types.CPointer) or target != source:
        return None
    signature = types.void(target, source, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[0].dtype)
        target, source = (ops.offset(pointer, INT64(0)) for pointer in args[:2])
        whole = builder.and_(args[2], INT64(-ops.lanes))

        def step(i: Any) -> None:
            ops.store(ops.load(ops.offset(source, i)), ops.offset(target, i))

        ops.loop(whole, ops.lanes, step)
        left = builder.sub(args[2], whole)
        with builder.if_then(builder.icmp_signed("!=", left, INT64(0))):
            mask = ops.first_lanes(left)
            rest = ops.masked_load(ops.offset(source, whole), mask)
            ops.masked_store(rest, ops.offset(target, whole), mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_rows(
    typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, rows: Any,
    columns: Any,
) -> Any:  # fmt: skip
    """Copy `columns` numbers of each of `rows` >= 1 rows that lie some numbers apart.

    Some registers of a row at a time, row after row: a loop of its own for each row would cost
    more than what a row of a few registers holds.
    """
    if not isinstance(target, types.CPointer) or target != source:
        return None
    signature = types.void(target, types.intp, source, types.intp, types.intp, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        target, target_row, source, source_row, rows, columns = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[0].dtype)
        target, source = (ops.offset(pointer, INT64(0)) for pointer in (target, source))

        def copy_vectors(column: Any, vectors: int, mask: Any = None) -> None:
            def one_row(places: list[Any], _: list[Any]) -> list[Any]:
                to, at = places
                for v in range(vectors):
                    here = INT64(v * ops.lanes)
                    if mask is None:
                        ops.store(ops.load(ops.offset(at, here)), ops.offset(to, here))
                    else:
                        ops.masked_store(ops.masked_load(at, mask), to, mask)
                return []

            places = (
                (ops.offset(target, column), target_row),
                (ops.offset(source, column), source_row),
            )
            ops.walk(rows, places, [], one_row)

        whole = builder.and_(columns, INT64(-4 * ops.lanes))
        ops.loop(whole, 4 * ops.lanes, lambda column: copy_vectors(column, 4))
        for vectors in (2, 1):
            some = builder.and_(columns, INT64(vectors * ops.lanes))
            with builder.if_then(builder.icmp_signed("!=", some, INT64(0))):
                copy_vectors(whole, vectors)
            whole = builder.add(whole, some)
        left = builder.sub(columns, whole)
        with builder.if_then(builder.icmp_signed("!=", left, INT64(0))):
            copy_vectors(whole, 1, ops.first_lanes(left))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def array_at(typingctx: Any, table: Any, index: Any, like: Any, size: Any) -> Any:
    """Return the flat array of `size` numbers, of the type of `like`, at an address in a table.

    `table` is a flat array of int64. Nothing keeps the memory alive but its owner.
    """
    if not isinstance(table, types.Array) or not isinstance(like, types.Array):
        return None
    kind = types.Array(like.dtype, 1, "C")

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        from numba.np.arrayobj import populate_array  # 30 ms of an import, for a first compilation

        addresses = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.gep(addresses, [args[1]], source_etype=INT64)
        made = context.make_array(kind)(context, builder)
        itemsize = kind.dtype.bitwidth // 8
        populate_array(
            made,
            data=builder.load(place, typ=made.data.type, align=8),
            shape=[args[3]],
            strides=[INT64(itemsize)],
            itemsize=INT64(itemsize),
            meminfo=None,
        )
        return made._getvalue()

    return kind(table, types.intp, like, types.intp), codegen
