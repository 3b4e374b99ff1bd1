"""Convolutions of one to three axes, as matrix products of windows that overlap.

    y[o] = act(b + Σ_j x[(o·s + j·d - p) / e] · W[j])        s stride, d dilation, p padding

over every tap j whose place is whole and inside the input; `e` spreads the input out, which is
what the way back through a stride does (s = 1 then, and W turned around).

Windows are not written out one by one. Along the last axis they overlap in memory: row o of
the left side of `gemm` begins s·K numbers behind row o - 1, K the numbers of one place. For
the axes before it the taps of a place are gathered side by side first, so that a 3 × 3 window
costs three copies of a line of the input, in the first-level cache, and not nine. A dilation
makes d interleaved convolutions without one, a spread input e of them with some of the taps.

Every sum runs over the taps and channels in one order, whatever the batch, place or threads.
"""

from typing import Any

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.gemm import gemm
from rnn_engine.kernels.options import inlined_kernel, kernel, linked
from rnn_engine.kernels.outer import STRIP, add_outer
from rnn_engine.kernels.outer import scratch_size as outer_scratch_size
from rnn_engine.kernels.panels import pack, packed_size, whole_registers
from rnn_engine.kernels.pointers import address, copy_rows, lane_count, offset, store
from rnn_engine.kernels.pool import share

# Entries of `sizes`: lines and chunks of a line in the output, length of a line of the input,
# distances in it, length of a line of the output, channels of a group and of its output, sets of
# taps of a line, numbers of a gathered line, how many lines `weight_products` gathers, and where
# its zeros and its scratch begin.
(OUTER, CHUNKS, LENGTH, X_BATCH, X_STEP, OUT_LENGTH, IN, GROUPS, OUT, SETS, LINE, GATHERS, ZEROS,
 SCRATCH, SIZES) = range(15)  # fmt: skip
# Of a line of `chunks`: outputs from FIRST on, PITCH apart, COUNT of them; the first one's first
# place in the input and the distance of places, the stride of windows, taps, set of taps.
FIRST, PITCH, COUNT, START, STEP, STRIDE, TAPS, SET = range(8)


def panels_size(k: int, columns: int, dtype: Any) -> int:
    """Return how many numbers the packed weights of a group take."""
    return packed_size(k, columns, dtype)


def lay_out_scratch(sizes: Any, rows: int, dtype: Any) -> int:
    """Say in `sizes` where the scratch of `weight_products` begins; return its length."""
    columns, register = int(sizes[OUT]), whole_registers(1, dtype)
    sizes[ZEROS] = whole_registers(int(sizes[LINE] * sizes[GATHERS]), dtype)
    sizes[SCRATCH] = sizes[ZEROS] + whole_registers(min(columns, STRIP * register), dtype)
    return int(sizes[SCRATCH]) + outer_scratch_size(rows, columns, dtype)


@kernel
def pack_matrices(matrices: Any, panels: Any) -> None:
    """Pack each of (N, K, columns) behind the other."""
    count, k, columns = matrices.shape
    source, target = address(matrices), address(panels)
    width = lane_count(target)
    size = k * ((columns + width - 1) // width * width)
    for i in range(count):
        pack(offset(source, i * k * columns), columns, 0, k, columns, offset(target, i * size))


@linked
def _gather(
    source: Any, place: int, first: int, step: int, length: int, rows: int, columns: int, out: Any,
    out_row: int,
) -> None:  # fmt: skip
    """Copy places first, first + step, ... of a line of `length` places; zeros outside of it."""
    low = 0
    if first < 0:
        low = min(rows, (step - 1 - first) // step)
    high = max(low, min(rows, (length - first + step - 1) // step))
    for i in range(rows):
        if i < low or i >= high:
            for j in range(columns):
                store(out, i * out_row + j, 0.0)
    if high > low:
        copy_rows(offset(out, low * out_row), out_row,
                  offset(source, (first + low * step) * place), step * place, high - low,
                  columns)  # fmt: skip


@inlined_kernel
def _windows(
    x: Any, sizes: Any, outer: Any, chunk: Any, batch: int, line: int, group: int, copies: bool,
    out: Any,
) -> Any:  # fmt: skip
    """Return where the windows of a chunk lie: in `x` itself, or gathered to `out`."""
    columns, taps = sizes[IN], outer[line, 1]
    start, step, place = chunk[START], chunk[STEP], sizes[X_STEP]
    rows = (chunk[COUNT] - 1) * chunk[STRIDE] + chunk[TAPS]
    base = offset(address(x), batch * sizes[X_BATCH] + group * columns)
    inside = start >= 0 and start + rows <= sizes[LENGTH]
    found = out
    if (
        not copies
        and taps == 1
        and step == 1
        and place == columns
        and inside
        and outer[line, 2] >= 0
    ):
        found = offset(base, outer[line, 2] + start * place)
    else:
        for i in range(taps):
            source, length = outer[line, 2 + i], sizes[LENGTH]
            if source < 0:
                source, length = 0, 0
            _gather(offset(base, source), place, start, step, length, rows, columns,
                    offset(out, i * columns), taps * columns)  # fmt: skip
    return found


@kernel
def convolve(
    x: Any, panels: Any, sets: Any, bias: Any, y: Any, z: Any, act: int, sizes: Any, outer: Any,
    chunks: Any, scratch: Any, begin: int, stop: int, task: int, tasks: int,
) -> None:  # fmt: skip
    """Fill one task's share of the pieces begin..stop of y, and of z unless it is empty.

    A piece is a chunk of a line of the output; there are batch x lines x chunks.

    Parameters
    ----------
    x : where the input begins
    panels, sets : the packed weights, and where those of each set of taps begin
    bias : (groups * OUT,)
    y, z : (batch, OUTER, OUT_LENGTH, groups * OUT), flat
    sizes, chunks : see the constants
    outer : (OUTER, 2 + most taps): set, number of taps, where the line of each begins or -1
    scratch : (tasks * LINE,)
    """
    space = offset(address(scratch), task * sizes[LINE])
    width = lane_count(space)
    columns, groups = sizes[OUT], sizes[GROUPS]
    padded, row = (columns + width - 1) // width * width, columns * groups
    before = flush_denormals()
    for piece in range(begin + (stop - begin) * task // tasks,
                       begin + (stop - begin) * (task + 1) // tasks):  # fmt: skip
        chunk = chunks[piece % sizes[CHUNKS]]
        place = piece // sizes[CHUNKS]
        line = place % sizes[OUTER]
        taps = outer[line, 1]
        k = chunk[TAPS] * taps * sizes[IN]
        weights = offset(address(panels), sets[outer[line, 0] * sizes[SETS] + chunk[SET]])
        start = (place * sizes[OUT_LENGTH] + chunk[FIRST]) * row
        pitch = chunk[PITCH] * row
        for g in range(groups):
            left = _windows(x, sizes, outer, chunk, place // sizes[OUTER], line, g, False,
                            space)  # fmt: skip
            target = offset(address(y), start + g * columns)
            keep, keep_row = target, 0
            if z.size:
                keep, keep_row = offset(address(z), start + g * columns), pitch
            gemm(chunk[COUNT], columns, k, left, chunk[STRIDE] * taps * sizes[IN], 1,
                 offset(weights, g * k * padded), offset(address(bias), g * columns), 0, target,
                 pitch, 0, act, keep, keep_row)  # fmt: skip
    restore(before)


@kernel
def convolve_tasks(
    x: Any, panels: Any, sets: Any, bias: Any, y: Any, z: Any, act: int, sizes: Any, outer: Any,
    chunks: Any, scratch: Any, begin: int, stop: int, tasks: int,
) -> None:  # fmt: skip
    """Do what `convolve` does, shared out between `tasks` threads."""
    share(convolve, (x, panels, sets, bias, y, z, act, sizes, outer, chunks, scratch, begin, stop),
          tasks)  # fmt: skip


@kernel
def weight_products(
    x: Any, dz: Any, dw: Any, db: Any, sizes: Any, outer: Any, chunks: Any, scratch: Any,
    pieces: int, call: int, calls: int, part: int,
) -> None:  # fmt: skip
    """Add one call's share of one part of dW = Σ xᵀ·dz, x in windows, and of db = Σ dz.

    Each part sums its pieces of the batch by itself, in order; which these are does not depend
    on the threads. The first piece overwrites.

    Parameters
    ----------
    x, sizes, outer, chunks : as in `convolve`; all taps in one set
    dz : (batch, OUTER, OUT_LENGTH, groups * OUT), flat
    dw, db : (parts, groups, K, OUT), (parts, groups * OUT)
    scratch : the task's own
    pieces : batch * OUTER * CHUNKS, at least as many as parts
    """
    parts, groups, k, columns = dw.shape
    space = address(scratch)
    zeros = offset(space, sizes[ZEROS])
    for j in range(sizes[SCRATCH] - sizes[ZEROS]):
        store(zeros, j, 0.0)
    row, taps, sums = columns * groups, outer[0, 1], address(db[part])
    first, end = pieces * part // parts, pieces * (part + 1) // parts
    piece, stop = first + (end - first) * call // calls, first + (end - first) * (call + 1) // calls
    before = flush_denormals()
    while piece < stop:
        # Lines no longer than a chunk lie behind each other: several of them at a time.
        some = min(sizes[GATHERS], stop - piece)
        chunk = chunks[piece % sizes[CHUNKS]]
        count, pitch = chunk[COUNT], chunk[PITCH]
        start = (piece // sizes[CHUNKS] * sizes[OUT_LENGTH] + chunk[FIRST]) * row
        if piece == first:
            for j in range(row):
                store(sums, j, 0.0)
        for g in range(groups):
            left = space
            for i in range(some):
                place = (piece + i) // sizes[CHUNKS]
                left = _windows(x, sizes, outer, chunk, place // sizes[OUTER],
                                place % sizes[OUTER], g, some > 1,
                                offset(space, i * sizes[LINE]))  # fmt: skip
            if some > 1:
                left = space
            slopes = offset(address(dz), start + g * columns)
            add_outer(count, some, slopes, pitch * row, columns, left,
                      chunk[STRIDE] * taps * sizes[IN], sizes[LINE], k, address(dw[part, g]), left,
                      0, 0, 0, zeros, 0, columns, offset(sums, g * columns),
                      offset(space, sizes[SCRATCH]), 0, 1, zeros, int(piece == first))  # fmt: skip
        piece += some
    restore(before)


@kernel
def _some_weight_products(
    x: Any, dz: Any, dw: Any, db: Any, sizes: Any, outer: Any, chunks: Any, scratch: Any,
    pieces: int, call: int, calls: int, task: int, tasks: int,
) -> None:  # fmt: skip
    parts = dw.shape[0]
    for part in range(parts * task // tasks, parts * (task + 1) // tasks):
        weight_products(x, dz, dw, db, sizes, outer, chunks, scratch[task], pieces, call, calls,
                        part)  # fmt: skip


@kernel
def weight_products_tasks(
    x: Any, dz: Any, dw: Any, db: Any, sizes: Any, outer: Any, chunks: Any, scratch: Any,
    pieces: int, call: int, calls: int, tasks: int,
) -> None:  # fmt: skip
    """Do what `weight_products` does for all parts; `scratch` has a row a task."""
    share(_some_weight_products,
          (x, dz, dw, db, sizes, outer, chunks, scratch, pieces, call, calls), tasks)  # fmt: skip
