"""Layer and batch normalization over rows x (N, C): statistics of a row or of a column.

    y = (x - mean) · inv · gamma + beta        inv = 1 / sqrt(variance + epsilon)

Backward, with x̂ = (x - mean) inv and g = dy gamma:

    row:     dx = inv (g - mean(g) - x̂ mean(g x̂))
    column:  dx = inv gamma dy + (2 dvar (x - mean) + dmean) / n   at the rows that count
    both:    dgamma = Σ dy x̂        dbeta = Σ dy

All sums are in float64 and in one fixed order: those of a row in 16 lanes, those
of a column over blocks of 256 rows, the blocks then one after the other. So the
bits depend neither on the vector width nor on the threads, which share out blocks.
"""

import math
from typing import Any

from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pool import share, share_range

LANES = 16
BLOCK = 256


def block_count(rows: int) -> int:
    """Return the number of blocks that `rows` make."""
    return -(-rows // BLOCK)


@kernel
def _row_sum(values: Any, lanes: Any) -> Any:
    """Return Σ values in lanes, of (LANES,) float64."""
    n = values.shape[0]
    whole = n // LANES * LANES
    lanes[:] = 0.0
    for start in range(0, whole, LANES):
        for k in range(LANES):
            lanes[k] += values[start + k]
    for k in range(n - whole):
        lanes[k] += values[whole + k]
    total = 0.0
    for k in range(LANES):
        total += lanes[k]
    return total


@kernel
def layer_forward(
    x: Any, gamma: Any, beta: Any, epsilon: float, y: Any, stats: Any, scratch: Any,
    first: int, end: int,
) -> None:  # fmt: skip
    """Normalize each row of blocks first..end.

    Parameters
    ----------
    x : (N, C)
    gamma, beta : (C,)
    y : (N, C), overwritten
    stats : (N, 2) of float64, overwritten: mean and inv
    scratch : (C + LANES,) of float64
    """
    rows, columns = x.shape
    work, lanes = scratch[:columns], scratch[columns:]
    for i in range(first * BLOCK, min(end * BLOCK, rows)):
        row, out = x[i], y[i]
        mean = _row_sum(row, lanes) / columns
        for j in range(columns):
            centred = row[j] - mean
            work[j] = centred * centred
        inv = 1.0 / math.sqrt(_row_sum(work, lanes) / columns + epsilon)
        for j in range(columns):
            out[j] = (row[j] - mean) * inv * gamma[j] + beta[j]
        stats[i, 0], stats[i, 1] = mean, inv


@kernel
def _layer_forward_task(
    x: Any, gamma: Any, beta: Any, epsilon: float, y: Any, stats: Any, scratch: Any, blocks: int,
    task: int, tasks: int,
) -> None:  # fmt: skip
    layer_forward(x, gamma, beta, epsilon, y, stats, scratch[task], blocks * task // tasks,
                  blocks * (task + 1) // tasks)  # fmt: skip


@kernel
def layer_forward_tasks(
    x: Any, gamma: Any, beta: Any, epsilon: float, y: Any, stats: Any, scratch: Any,
    blocks: int, tasks: int,
) -> None:  # fmt: skip
    """Do what `layer_forward` does for all blocks; `scratch` has a row a task."""
    share(_layer_forward_task, (x, gamma, beta, epsilon, y, stats, scratch, blocks), tasks)


@kernel
def layer_backward(
    x: Any, dy: Any, gamma: Any, stats: Any, dx: Any, partial: Any, scratch: Any,
    first: int, end: int,
) -> None:  # fmt: skip
    """Go back through blocks first..end.

    Parameters
    ----------
    x, dy : (N, C)
    gamma : (C,)
    stats : from `layer_forward`
    dx : (N, C), overwritten, or (0, C)
    partial : (blocks, 2, C) of float64, overwritten: each block's share of dbeta, dgamma
    scratch : (2 C + LANES,) of float64
    """
    rows, columns = x.shape
    g, gx = scratch[:columns], scratch[columns : 2 * columns]
    lanes = scratch[2 * columns :]
    for block in range(first, end):
        dbeta, dgamma = partial[block, 0], partial[block, 1]
        dbeta[:] = 0.0
        dgamma[:] = 0.0
        for i in range(block * BLOCK, min((block + 1) * BLOCK, rows)):
            row, slope = x[i], dy[i]
            mean, inv = stats[i, 0], stats[i, 1]
            for j in range(columns):
                normal = (row[j] - mean) * inv
                dbeta[j] += slope[j]
                dgamma[j] += slope[j] * normal
                g[j] = slope[j] * gamma[j]
                gx[j] = g[j] * normal
            if dx.shape[0]:
                out = dx[i]
                mean_g = _row_sum(g, lanes) / columns
                mean_gx = _row_sum(gx, lanes) / columns
                for j in range(columns):
                    out[j] = inv * (g[j] - mean_g - (row[j] - mean) * inv * mean_gx)


@kernel
def _layer_backward_task(
    x: Any, dy: Any, gamma: Any, stats: Any, dx: Any, partial: Any, scratch: Any, blocks: int,
    task: int, tasks: int,
) -> None:  # fmt: skip
    layer_backward(x, dy, gamma, stats, dx, partial, scratch[task], blocks * task // tasks,
                   blocks * (task + 1) // tasks)  # fmt: skip


@kernel
def layer_backward_tasks(
    x: Any, dy: Any, gamma: Any, stats: Any, dx: Any, partial: Any, scratch: Any,
    blocks: int, tasks: int,
) -> None:  # fmt: skip
    """Do what `layer_backward` does for all blocks; `scratch` has a row a task."""
    share(_layer_backward_task, (x, dy, gamma, stats, dx, partial, scratch, blocks), tasks)


@kernel
def column_sums(
    x: Any, other: Any, shift: Any, is_open: Any, partial: Any, first: int, end: int
) -> None:
    """Fill blocks first..end of partial with Σ a and Σ a (x - shift) of each column.

    a = `other`, or x - shift where `other` is empty: then these are the sums of the
    deviations and of their squares.

    Parameters
    ----------
    x : (N, C)
    other : (N, C) or (0, C)
    shift : (C,) of float64
    is_open : (N, 1) or (N, C): which rows, or elements, count; (0, 1): all
    partial : (blocks, 2, C) of float64
    """
    rows, columns = x.shape
    each = is_open.shape[1] - 1 if columns > 1 else 0
    for block in range(first, end):
        sums, products = partial[block, 0], partial[block, 1]
        sums[:] = 0.0
        products[:] = 0.0
        for i in range(block * BLOCK, min((block + 1) * BLOCK, rows)):
            row = x[i]
            if is_open.shape[0]:
                for j in range(columns):
                    if is_open[i, j if each else 0]:
                        centred = row[j] - shift[j]
                        sums[j] += centred
                        products[j] += centred * centred
            elif other.shape[0]:
                slope = other[i]
                for j in range(columns):
                    sums[j] += slope[j]
                    products[j] += slope[j] * (row[j] - shift[j])
            else:
                for j in range(columns):
                    centred = row[j] - shift[j]
                    sums[j] += centred
                    products[j] += centred * centred


@kernel
def column_sums_tasks(
    x: Any, other: Any, shift: Any, is_open: Any, partial: Any, blocks: int, tasks: int
) -> None:
    """Do what `column_sums` does for all blocks."""
    share_range(column_sums, (x, other, shift, is_open, partial), blocks, tasks)


@kernel
def add_up(partial: Any, total: Any) -> None:
    """Write the sum of the blocks of `partial (blocks, 2, C)` to `total (2, C)`, in order."""
    total[:] = 0.0
    for block in range(partial.shape[0]):
        for k in range(2):
            for j in range(total.shape[1]):
                total[k, j] += partial[block, k, j]


@kernel
def affine(x: Any, shift: Any, factor: Any, offset: Any, y: Any, first: int, end: int) -> None:
    """Write y = (x - shift) factor + offset, one number a column, in blocks first..end."""
    rows, columns = x.shape
    for i in range(first * BLOCK, min(end * BLOCK, rows)):
        row, out = x[i], y[i]
        for j in range(columns):
            out[j] = (row[j] - shift[j]) * factor[j] + offset[j]


@kernel
def affine_tasks(
    x: Any, shift: Any, factor: Any, offset: Any, y: Any, blocks: int, tasks: int
) -> None:
    """Do what `affine` does for all blocks."""
    share_range(affine, (x, shift, factor, offset, y), blocks, tasks)


@kernel
def batch_dx(
    x: Any, dy: Any, is_open: Any, shift: Any, factor: Any, along: Any, constant: Any, dx: Any,
    first: int, end: int,
) -> None:  # fmt: skip
    """Write dx = factor dy + (along (x - shift) + constant where open) in blocks first..end."""
    rows, columns = x.shape
    each = is_open.shape[1] - 1 if columns > 1 else 0
    masked = is_open.shape[0] > 0
    for i in range(first * BLOCK, min(end * BLOCK, rows)):
        row, slope, out = x[i], dy[i], dx[i]
        if masked:
            for j in range(columns):
                value = factor[j] * slope[j]
                if is_open[i, j if each else 0]:
                    value += along[j] * (row[j] - shift[j]) + constant[j]
                out[j] = value
        else:
            for j in range(columns):
                out[j] = factor[j] * slope[j] + (along[j] * (row[j] - shift[j]) + constant[j])


@kernel
def batch_dx_tasks(
    x: Any, dy: Any, is_open: Any, shift: Any, factor: Any, along: Any, constant: Any, dx: Any,
    blocks: int, tasks: int,
) -> None:  # fmt: skip
    """Do what `batch_dx` does for all blocks."""
    share_range(batch_dx, (x, dy, is_open, shift, factor, along, constant, dx), blocks, tasks)
