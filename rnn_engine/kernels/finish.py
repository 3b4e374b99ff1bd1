"""Epilogues: what is done with a tile while it is in the first-level cache.

    op = code       out = activation(out), z kept in aux if aux_row is not zero
    op = -1 - code  out = out · activation'(aux)
    op = 0          (linear, forward) nothing

An activation is compiled when it is first wanted, as a C function of its own; `gemm`
finds its address in a table in memory. So a program pays for those it uses only
(0.1 to 0.2 s each), and `gemm` does not grow with the table of formulas.
"""

import ctypes
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.kernels.cache import provides_symbols
from rnn_engine.kernels.compiler import (
    LIBRARY,
    binding,
    global_compiler_lock,
    intrinsic,
    ir,
    types,
)
from rnn_engine.kernels.formulas import TABLE
from rnn_engine.kernels.library import symbol
from rnn_engine.kernels.options import c_function, name_of
from rnn_engine.kernels.vector import INT64, POINTER, Vector, VectorBuilder, allow_widest

# Numbers that stay in the first-level cache between two passes: 8 KiB in float32.
AT_ONCE = 2048


def c_signature(dtype: types.Float) -> Any:
    """Return the signature of an epilogue."""
    p, integer = types.CPointer(dtype), types.intp
    return types.void(integer, integer, integer, p, integer, p, integer)


# --- the table of addresses ---------------------------------------------------

_C_FUNCTION = ctypes.CFUNCTYPE(
    None, *[ctypes.c_ssize_t] * 3, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p,
    ctypes.c_ssize_t,
)  # fmt: skip


def _unwanted(itemsize: int) -> Any:
    """Return the C function that stands for an activation that nobody has wanted."""
    number = ctypes.c_float if itemsize == 4 else ctypes.c_double

    def fail(op: int, rows: int, columns: int, out: int, out_row: int, *aux: int) -> None:
        for row in range(rows):
            place = out + row * out_row * ctypes.sizeof(number)
            (number * columns).from_address(place)[:] = [math.nan] * columns
        code = op if op >= 0 else -1 - op
        raise RuntimeError(
            f"A kernel was told to use activation {code} ({TABLE[code].name!r}) before "
            f"finish.want({code}); its results are NaN."
        )

    return _C_FUNCTION(fail)


def _new_table(itemsize: int) -> Any:
    """Return the table of a float type; linear has no epilogue."""
    unwanted = _UNWANTED[itemsize] = _unwanted(itemsize)
    others = [ctypes.cast(unwanted, ctypes.c_void_p)] * (len(TABLE) - 1)
    return (ctypes.c_void_p * len(TABLE))(None, *others)


# By the name of the float type; kernels keep pointing at them, so they live for ever. A library
# has tables of its own, in which nothing is missing.
_UNWANTED: dict[int, Any] = {}
_ADDRESSES: dict[str, Any] = {}
if LIBRARY is None:
    _ADDRESSES.update(float32=_new_table(4), float64=_new_table(8))
_wanted: set[int] = set()
_provided: set[str] = set()
_compiled: dict[tuple[str, int], Any] = {}


def _symbol(dtype: types.Float) -> str:
    return f"rnn_engine_finish_{dtype.name}"


@provides_symbols
def _provide(dtype: types.Float) -> None:
    """Tell LLVM where the table of a float type is, and compile what is wanted of it."""
    binding.add_symbol(_symbol(dtype), ctypes.addressof(_ADDRESSES[dtype.name]))
    _provided.add(dtype.name)
    _compile_wanted()


def want(code: int) -> None:
    """Have the activation `code` compiled, before a kernel is told to use it.

    For the float types in use, at once; for others, when their first kernel is.
    """
    if LIBRARY is not None:
        return
    with global_compiler_lock:
        _wanted.add(code)
        _compile_wanted()


@functools.cache
def addresses(codes: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return activations for steps that call them, a row of int64 each; compiled if they are new.

    A row is the address of the epilogue, 0 of linear, and whether the derivative needs z.
    """
    if LIBRARY is None:
        _provide(getattr(types, dtype.name))
    for code in codes:
        want(code)
    rows = np.array([(_address(code, dtype), TABLE[code].from_input) for code in codes], np.int64)
    _rows.append(rows)
    return rows


def _address(code: int, dtype: np.dtype) -> int:
    if LIBRARY is not None and code:
        return LIBRARY.address(symbol(name_of(made(code)), dtype))
    return _ADDRESSES[dtype.name][code] or 0 if code else 0


_rows: list[np.ndarray] = []  # plans keep pointing at them, so they live for ever


def _compile_wanted() -> None:
    for name in _provided:
        for code in _wanted:
            if code and (name, code) not in _compiled:
                compiled = c_function(made(code), np.dtype(name))
                _compiled[name, code] = compiled
                _ADDRESSES[name][code] = compiled.address


def made(code: int) -> Callable[..., None]:
    """Return the epilogue of an activation as a function to be compiled."""

    def finish(
        op: int, rows: int, columns: int, out: Any, out_row: int, aux: Any, aux_row: int
    ) -> None:
        _finish(code, op, rows, columns, out, out_row, aux, aux_row)

    # Files of the cache are named after the function.
    finish.__qualname__ = f"finish_{TABLE[code].name}"
    return finish


# --- the call from gemm ---------------------------------------------------------


@intrinsic
def call_finish(
    typingctx: Any, op: Any, rows: Any, columns: Any, out: Any, out_row: Any, aux: Any,
    aux_row: Any,
) -> Any:  # fmt: skip
    """Apply epilogue `op` to rows × columns of `out`; nothing if it is linear."""
    signature = c_signature(out.dtype)
    _provide(out.dtype)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        name = _symbol(sig.args[3].dtype)
        kind = ir.ArrayType(POINTER, len(TABLE))
        table = builder.module.globals.get(name) or ir.GlobalVariable(builder.module, kind, name)
        op = args[0]
        negative = builder.icmp_signed("<", op, INT64(0))
        code = builder.select(negative, builder.sub(INT64(-1), op), op)
        place = builder.gep(table, [INT64(0), code], source_etype=kind)
        function = builder.load(place, typ=POINTER, align=8)
        exists = builder.icmp_unsigned("!=", function, ir.Constant(POINTER, None))
        with builder.if_then(exists):
            kinds = [context.get_value_type(t) for t in sig.args]
            function.type = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
            builder.call(function, args)
        return context.get_dummy_value()

    return signature, codegen


# --- the code of one activation -------------------------------------------------


@intrinsic(prefer_literal=True)
def _finish(
    typingctx: Any, code: Any, op: Any, rows: Any, columns: Any, out: Any, out_row: Any, aux: Any,
    aux_row: Any,
) -> Any:  # fmt: skip
    """Apply the activation `code`, or multiply with its derivative if `op` is negative."""
    if not isinstance(code, types.IntegerLiteral):
        return None
    signature = types.void(code, *c_signature(out.dtype).args)
    row = TABLE[code.literal_value]

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        _, op, rows, columns, out, out_row, aux, aux_row = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[4].dtype)
        out, aux = ops.offset(out, INT64(0)), ops.offset(aux, INT64(0))
        place = rows, columns, out, out_row, aux, aux_row
        with builder.if_else(builder.icmp_signed("<", op, INT64(0))) as (backward, forward):
            with backward:
                _walk(ops, *place, lambda out, aux: out * row.derivative(aux), True)
            with forward:
                with builder.if_then(builder.icmp_signed("!=", aux_row, INT64(0))):
                    keep = aux, aux_row, out, out_row
                    _walk(ops, rows, columns, *keep, lambda aux, out: out, True)
                _walk(ops, *place, lambda out, aux: row.forward(out), False)
        return context.get_dummy_value()

    return signature, codegen


def _walk(
    ops: VectorBuilder, rows: Any, columns: Any, out: Any, out_row: Any, aux: Any, aux_row: Any,
    formula: Callable[[Any, Any], Any], reads_aux: bool,
) -> None:  # fmt: skip
    """Emit ``out = formula(out, aux)`` over rows and vectors, the last one under a mask."""
    b = ops.builder
    whole = b.and_(columns, INT64(-ops.lanes))
    rest = b.sub(columns, whole)
    mask = ops.first_lanes(rest)

    def row(r: Any) -> None:
        target = ops.offset(out, b.mul(r, out_row))
        beside = ops.offset(aux, b.mul(r, aux_row))

        def vector(j: Any) -> None:
            place = ops.offset(target, j)
            other = Vector(ops, ops.load(ops.offset(beside, j))) if reads_aux else None
            ops.store(formula(Vector(ops, ops.load(place)), other).value, place)

        ops.loop(columns, ops.lanes, vector)
        with b.if_then(b.icmp_signed("!=", rest, INT64(0))):
            place, there = ops.offset(target, whole), ops.offset(beside, whole)
            other = Vector(ops, ops.masked_load(there, mask)) if reads_aux else None
            value = formula(Vector(ops, ops.masked_load(place, mask)), other)
            ops.masked_store(value.value, place, mask)

    ops.loop(rows, 1, row)
