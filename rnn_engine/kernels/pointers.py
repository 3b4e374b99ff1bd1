"""Typed pointers inside kernels: take the address of an array, move by elements.

Kernels that work on tiles hand pointers and strides around, as a C kernel would:
an array view costs Numba seven words and a reference count at each call.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnn_engine.kernels.vector import INT64, ir_type, lanes


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
