"""Softmax and its logarithm, forward and back, one row at a time.

    m = max x,  e = exp(x - m),  s = Σ e
    softmax: y = e / s                 dx = y ⊙ (dy - Σ dy·y)
    logarithm: y = x - m - log s       dx = dy - exp(y)·Σ dy

m comes as `tops` (N,): NumPy finds it faster, and a maximum has no order of summation.
`exp` is the code of the exponential, which the caller has to want (`kernels.finish`).

A row stays in cache between its passes; its sums run in a fixed order in float64, see
`kernels.losses`, so its bits depend on nothing but the row.
"""

from typing import Any

import numpy as np
from numba import prange

from rnn_engine.kernels.elementwise import apply
from rnn_engine.kernels.losses import _LANES, _sum_row
from rnn_engine.kernels.options import parallel_kernel, scratch_kernel


@scratch_kernel
def forward_rows(
    x: Any, tops: Any, exp: int, logarithm: bool, y: Any, first: int, end: int
) -> None:
    """Fill rows first..end of y (N, C), the softmax or its logarithm of x (N, C)."""
    lanes = np.empty(_LANES, np.float64)
    for i in range(first, end):
        row, out = x[i], y[i]
        top = tops[i]
        for j in range(row.shape[0]):
            out[j] = row[j] - top
        apply(exp, out, out, out)
        total = _sum_row(out, lanes)
        if logarithm:
            log_total = np.log(total)
            for j in range(row.shape[0]):
                out[j] = (np.float64(row[j]) - top) - log_total
        else:
            inverse = 1.0 / total
            for j in range(row.shape[0]):
                out[j] = out[j] * inverse


@scratch_kernel
def backward_rows(
    dy: Any, y: Any, exp: int, logarithm: bool, dx: Any, first: int, end: int
) -> None:
    """Fill rows first..end of dx (N, C)."""
    lanes = np.empty(_LANES, np.float64)
    for i in range(first, end):
        out = dx[i]
        if logarithm:
            total = _sum_row(dy[i], lanes)
            apply(exp, y[i], out, out)
            for j in range(out.shape[0]):
                out[j] = dy[i, j] - out[j] * total
        else:
            for j in range(out.shape[0]):
                out[j] = dy[i, j] * y[i, j]
            total = _sum_row(out, lanes)
            for j in range(out.shape[0]):
                out[j] = y[i, j] * (dy[i, j] - total)


@parallel_kernel
def forward_tasks(x: Any, tops: Any, exp: int, logarithm: bool, y: Any, tasks: int) -> None:
    """Fill all rows of y, shared out between `tasks` threads."""
    n = x.shape[0]
    for task in prange(tasks):
        forward_rows(x, tops, exp, logarithm, y, n * task // tasks, n * (task + 1) // tasks)


@parallel_kernel
def backward_tasks(dy: Any, y: Any, exp: int, logarithm: bool, dx: Any, tasks: int) -> None:
    """Fill all rows of dx, shared out between `tasks` threads."""
    n = y.shape[0]
    for task in prange(tasks):
        first, end = n * task // tasks, n * (task + 1) // tasks
        backward_rows(dy, y, exp, logarithm, dx, first, end)
