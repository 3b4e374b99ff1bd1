"""Tables of int64: how numbers and addresses reach the functions of a recurrence.

A *plan* says what a pass does, a *frame* what a step of it does; places in both are members of
an `IntEnum` (`places.py`), on either side of the compiler. Addresses are stored and loaded as
pointers, so that LLVM never sees one made of an integer.
"""

from typing import Any

from rnn_engine.kernels.compiler import intrinsic, ir, types
from rnn_engine.kernels.vector import INT64, POINTER

TABLE = types.CPointer(types.int64)
_PLACES = (types.Integer, types.IntEnumMember)


def place_in(builder: ir.IRBuilder, table: Any, place: Any) -> Any:
    """Return the address of a table's place, as LLVM values."""
    where = builder.gep(table, [place], source_etype=INT64)
    where.type = POINTER
    return where


def index_of(context: Any, builder: ir.IRBuilder, value: Any, kind: Any) -> Any:
    """Return a place, a number or a member of an `IntEnum`, as LLVM value."""
    if isinstance(kind, types.IntEnumMember):
        kind = kind.dtype
    return context.cast(builder, value, kind, types.intp)


@intrinsic
def number(typingctx: Any, table: Any, place: Any) -> Any:
    """Return the integer at a place."""
    if not isinstance(place, _PLACES):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        index = index_of(context, builder, args[1], sig.args[1])
        return builder.load(place_in(builder, args[0], index), typ=INT64, align=8)

    return types.intp(TABLE, place), codegen


@intrinsic
def pointer(typingctx: Any, table: Any, place: Any, like: Any) -> Any:
    """Return the address at a place as a pointer of the type of `like`."""
    if not isinstance(place, _PLACES):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        index = index_of(context, builder, args[1], sig.args[1])
        kind = context.get_value_type(sig.return_type)
        return builder.load(place_in(builder, args[0], index), typ=kind, align=8)

    return like(TABLE, place, like), codegen


@intrinsic
def put(typingctx: Any, table: Any, place: Any, value: Any) -> Any:
    """Write an integer or a pointer to a place."""
    if not isinstance(place, _PLACES):
        return None
    kind = value if isinstance(value, types.CPointer) else types.intp

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        index = index_of(context, builder, args[1], sig.args[1])
        builder.store(args[2], place_in(builder, args[0], index), align=8)
        return context.get_dummy_value()

    return types.void(TABLE, place, kind), codegen


@intrinsic
def byte(typingctx: Any, table: Any, place: Any, index: Any) -> Any:
    """Return a byte of the array whose address is at a place."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        at = index_of(context, builder, args[1], sig.args[1])
        kind = ir.IntType(8)
        array = builder.load(place_in(builder, args[0], at), typ=POINTER, align=8)
        where = builder.gep(array, [args[2]], source_etype=kind)
        return builder.zext(builder.load(where, typ=kind, align=1), INT64)

    return types.intp(TABLE, place, types.intp), codegen


@intrinsic
def word(typingctx: Any, table: Any, place: Any, index: Any) -> Any:
    """Return a number of the array of int64 whose address is at a place."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        at = index_of(context, builder, args[1], sig.args[1])
        array = builder.load(place_in(builder, args[0], at), typ=POINTER, align=8)
        return builder.load(place_in(builder, array, args[2]), typ=INT64, align=8)

    return types.intp(TABLE, place, types.intp), codegen


@intrinsic(prefer_literal=True)
def new_table(typingctx: Any, size: Any) -> Any:
    """Return a table of `size` (a constant) places on the stack, with whatever lies there."""
    if not isinstance(size, types.IntegerLiteral):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        kind = ir.ArrayType(INT64, sig.args[0].literal_value)
        with builder.goto_entry_block():
            space = builder.alloca(kind)
            space.align = 64
        table = builder.gep(space, [INT64(0), INT64(0)], source_etype=kind)
        table.type = context.get_value_type(TABLE)
        return table

    return TABLE(size), codegen


@intrinsic
def table_of(typingctx: Any, array: Any) -> Any:
    """Return a flat array of int64 as a table."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return TABLE(array), codegen


@intrinsic
def like_of(typingctx: Any, array: Any) -> Any:
    """Return a null pointer to the numbers of an array: it tells a body their type."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return ir.Constant(context.get_value_type(sig.return_type), None)

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def call_body(typingctx: Any, table: Any, place: Any, like: Any, task: Any) -> Any:
    """Call the body whose address is at a place of a plan: body(plan, like, task)."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        index = index_of(context, builder, args[1], sig.args[1])
        body = builder.load(place_in(builder, args[0], index), typ=POINTER, align=8)
        kinds = [context.get_value_type(kind) for kind in (TABLE, sig.args[2], types.intp)]
        body.type = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        builder.call(body, [args[0], args[2], args[3]])
        return context.get_dummy_value()

    return types.void(TABLE, place, like, types.intp), codegen


@intrinsic
def call_step(
    typingctx: Any, plan: Any, place: Any, frame: Any, like: Any, low: Any, high: Any
) -> Any:
    """Call a step of a cell whose address is at a place of a plan: step(frame, like, low, high)."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        index = index_of(context, builder, args[1], sig.args[1])
        step = builder.load(place_in(builder, args[0], index), typ=POINTER, align=8)
        kinds = [context.get_value_type(kind) for kind in sig.args[2:]]
        step.type = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        builder.call(step, args[2:])
        return context.get_dummy_value()

    return types.void(TABLE, place, TABLE, like, types.intp, types.intp), codegen


@intrinsic
def call_part(typingctx: Any, plan: Any, place: Any, frame: Any, like: Any, stage: Any) -> Any:
    """Call what a pass has chosen, at a place of its plan: part(plan, frame, like, stage)."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        index = index_of(context, builder, args[1], sig.args[1])
        part = builder.load(place_in(builder, args[0], index), typ=POINTER, align=8)
        kinds = [context.get_value_type(kind) for kind in (TABLE, *sig.args[2:])]
        part.type = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        builder.call(part, [args[0], *args[2:]])
        return context.get_dummy_value()

    return types.void(TABLE, place, TABLE, like, types.intp), codegen
