"""Panels: how a right side lies in memory for `gemm`, and how it comes to lie so.

    panel[j // width][i][j % width] = matrix[i, j],    width: registers of a panel times lanes

A panel holds so many columns, row after row; the last one is as wide as the registers that it
needs, filled up with zeros. Most products take panels of one register.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnn_engine.kernels.options import linked
from rnn_engine.kernels.pointers import lane_count, load, offset, store
from rnn_engine.kernels.vector import INT64, REGISTER_BYTES, VectorBuilder, allow_widest


def whole_registers(count: int, dtype: Any) -> int:
    """Return `count` numbers rounded up to whole vector registers."""
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    return width * -(-count // width)


def packed_size(k: int, n: int, dtype: Any) -> int:
    """Return how many numbers `pack` writes for a k × n matrix."""
    return k * whole_registers(n, dtype)


@intrinsic
def _copy_column(
    typingctx: Any, source: Any, row: Any, k: Any, used: Any, panel: Any, panel_row: Any
) -> Any:
    """Copy the first `used` numbers of k rows of `source` to registers, filled up with zeros."""
    signature = types.void(source, types.intp, types.intp, types.intp, panel, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        source, row, k, used, panel, panel_row = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[0].dtype)
        source, panel = (ops.offset(pointer, INT64(0)) for pointer in (source, panel))
        mask = ops.first_lanes(used)

        def one_row(places: list[Any], _: list[Any]) -> list[Any]:
            at, to = places
            ops.store(ops.masked_load(at, mask), to)
            return []

        ops.walk(k, [(source, row), (panel, panel_row)], [], one_row)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _transpose_square(typingctx: Any, source: Any, row: Any, panel: Any, panel_row: Any) -> Any:
    """Copy a square of whole registers, its rows to columns."""
    signature = types.void(source, types.intp, panel, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        source, row, panel, panel_row = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[0].dtype)
        source, panel = (ops.offset(pointer, INT64(0)) for pointer in (source, panel))
        rows = []
        for _ in range(ops.lanes):
            rows.append(ops.load(source))
            source = ops.offset(source, row)
        for register in ops.transpose(rows):
            ops.store(register, panel)
            panel = ops.offset(panel, panel_row)
        return context.get_dummy_value()

    return signature, codegen


@linked
def _transpose_rows(source: Any, row: int, k: int, used: int, panel: Any, panel_row: int) -> None:
    """Copy the first k numbers of `used` rows to a column of registers, filled up with zeros."""
    width, i = lane_count(panel), 0
    if used == width:
        # Several numbers a cycle, where number by number it is one.
        for i in range(0, k - width + 1, width):
            _transpose_square(offset(source, i), row, offset(panel, i * panel_row), panel_row)
        i = k // width * width
    for t in range(i, k):
        for j in range(used):
            store(panel, t * panel_row + j, load(source, j * row + t))
        for j in range(used, width):
            store(panel, t * panel_row + j, 0.0)


@linked
def pack(
    source: Any, row: int, transposed: int, k: int, n: int, registers: int, panel: Any
) -> None:
    """Copy a k × n matrix to panels of so many registers.

    Rows of `source` lie `row` numbers apart; it is n × k if `transposed`.
    """
    width = lane_count(panel)
    for first in range(0, n, registers * width):
        columns = min(registers * width, n - first)
        panel_row = (columns + width - 1) // width * width
        for j in range(0, columns, width):
            target, used = offset(panel, first * k + j), min(width, columns - j)
            if transposed:
                _transpose_rows(offset(source, (first + j) * row), row, k, used, target, panel_row)
            else:
                _copy_column(offset(source, first + j), row, k, used, target, panel_row)
