"""Numbers too small to be normal count as zero inside the kernels, as in TensorFlow's.

A float32 below 1.2e-38 (a float64 below 2.2e-308) has no leading one left, and x86
computes with such *denormal* numbers by microcode: measured on an Intel Xeon, a backward
pass whose gradient dies out over 256 steps took 802 ms with them and 80 ms without.
Keras on TensorFlow, XLA too, flushes them in every operation.

The mode belongs to a thread and is put back before a kernel returns, so that the
caller's own arithmetic is not touched.
"""

from typing import Any

from rnn_engine.kernels.compiler import binding, cgutils, intrinsic, ir, types
from rnn_engine.kernels.vector import INT32, INT64, POINTER, cpu_features

# Bits of x86's MXCSR register: read denormals as zero, write zero for them.
_DENORMALS_ARE_ZERO, _FLUSH_TO_ZERO = 0x40, 0x8000


def is_x86() -> bool:
    """Whether the code is for a CPU with x86's instructions."""
    triple = binding.get_process_triple()
    # Compiled ahead, it may be for another machine than this one.
    return triple.startswith(("x86_64", "i386", "i686")) and "+neon" not in cpu_features()


def _control(builder: ir.IRBuilder, name: str, slot: Any) -> None:
    """Store the control register to `slot` or load it from there."""
    place = builder.gep(slot, [INT64(0)], source_etype=INT32)
    place.type = POINTER
    signature = ir.FunctionType(ir.VoidType(), [POINTER])
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.x86.sse.{name}")
    builder.call(function, [place])


@intrinsic
def mode(typingctx: Any) -> Any:
    """Return this thread's mode, for `restore`: of denormals and of rounding."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        if not is_x86():
            return INT32(0)
        slot = cgutils.alloca_once(builder, INT32)
        _control(builder, "stmxcsr", slot)
        return builder.load(slot)

    return types.uint32(), codegen


@intrinsic
def flush_denormals(typingctx: Any) -> Any:
    """Have this thread compute without denormals; return what `restore` wants."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        if not is_x86():  # others compute with them at full speed
            return INT32(0)
        slot = cgutils.alloca_once(builder, INT32)
        _control(builder, "stmxcsr", slot)
        before = builder.load(slot)
        builder.store(builder.or_(before, INT32(_DENORMALS_ARE_ZERO | _FLUSH_TO_ZERO)), slot)
        _control(builder, "ldmxcsr", slot)
        return before

    return types.uint32(), codegen


@intrinsic
def restore(typingctx: Any, before: Any) -> Any:
    """Put back the mode that `flush_denormals` found."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        if is_x86():
            slot = cgutils.alloca_once(builder, INT32)
            builder.store(args[0], slot)
            _control(builder, "ldmxcsr", slot)
        return context.get_dummy_value()

    return types.void(types.uint32), codegen
