"""Panels: how a right side lies in memory for `gemm`, and how it comes to lie so.

    panel[j // width][i][j % width] = matrix[i, j],    width: the lanes of a register

A panel holds the columns of one register, row after row; the last one is filled up with zeros.
"""

from typing import Any

import numpy as np

from rnn_engine.kernels.compiler import intrinsic, ir, types
from rnn_engine.kernels.options import linked
from rnn_engine.kernels.pointers import lane_count, load, offset, store
from rnn_engine.kernels.vector import INT64, REGISTER_BYTES, VectorBuilder, allow_widest

_TOGETHER = 4


def whole_registers(count: int, dtype: Any) -> int:
    """Return `count` numbers rounded up to whole vector registers."""
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    return width * -(-count // width)


def packed_size(k: int, n: int, dtype: Any) -> int:
    """Return how many numbers `pack` writes for a k × n matrix."""
    return k * whole_registers(n, dtype)


@intrinsic
def _copy_columns(typingctx: Any, source: Any, row: Any, k: Any, columns: Any, panels: Any) -> Any:
    """Copy the first `columns` numbers of k rows to panels, the last one filled up with zeros.

    Four registers of a row at a time: rows of a wide matrix lie on a page each.
    """
    signature = types.void(source, types.intp, types.intp, types.intp, panels)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        source, row, k, columns, panels = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[0].dtype)
        source, panels = (ops.offset(pointer, INT64(0)) for pointer in (source, panels))
        lanes = INT64(ops.lanes)
        size = builder.mul(k, lanes)

        def copy(column: Any, vectors: int) -> None:
            mask = ops.first_lanes(builder.sub(columns, column))

            def one_row(places: list[Any], _: list[Any]) -> list[Any]:
                at, to = places
                for v in range(vectors):
                    here = ops.offset(at, INT64(v * ops.lanes))
                    value = ops.load(here) if vectors > 1 else ops.masked_load(here, mask)
                    ops.store(value, ops.offset(to, builder.mul(size, INT64(v))))
                return []

            start = ops.offset(panels, builder.mul(column, k))
            ops.walk(k, [(ops.offset(source, column), row), (start, lanes)], [], one_row)

        whole = builder.and_(columns, INT64(-_TOGETHER * ops.lanes))
        ops.loop(whole, _TOGETHER * ops.lanes, lambda column: copy(column, _TOGETHER))
        rest = builder.sub(columns, whole)
        filled = builder.and_(builder.add(rest, INT64(ops.lanes - 1)), INT64(-ops.lanes))
        ops.loop(filled, ops.lanes, lambda column: copy(builder.add(whole, column), 1))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _transpose_square(typingctx: Any, source: Any, row: Any, panel: Any) -> Any:
    """Copy a square of whole registers to a panel, its rows to columns."""
    signature = types.void(source, types.intp, panel)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        source, row, panel = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[0].dtype)
        source, panel = (ops.offset(pointer, INT64(0)) for pointer in (source, panel))
        rows = []
        for _ in range(ops.lanes):
            rows.append(ops.load(source))
            source = ops.offset(source, row)
        for register in ops.transpose(rows):
            ops.store(register, panel)
            panel = ops.offset(panel, INT64(ops.lanes))
        return context.get_dummy_value()

    return signature, codegen


@linked
def pack(source: Any, row: int, transposed: int, k: int, n: int, panel: Any) -> None:
    """Copy a matrix of k × n to panels.

    Rows of `source` lie `row` numbers apart; it is n × k if `transposed`.
    """
    width = lane_count(panel)
    if not transposed:
        _copy_columns(source, row, k, n, panel)
        return
    for first in range(0, n, width):
        target, used = offset(panel, first * k), min(width, n - first)
        start = offset(source, first * row)
        squares = k // width if used == width else 0
        # Several numbers a cycle, where number by number it is one.
        for i in range(0, squares * width, width):
            _transpose_square(offset(start, i), row, offset(target, i * width))
        for i in range(squares * width, k):
            for j in range(width):
                value = load(start, j * row + i) if j < used else 0.0
                store(target, i * width + j, value)
