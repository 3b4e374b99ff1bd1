"""Softmax and its logarithm, forward and back, one row at a time.

    m = max x,  e = exp(x - m),  s = Σ e
    softmax: y = e / s                 dx = y ⊙ (dy - Σ dy·y)
    logarithm: y = x - m - log s       dx = dy - exp(y)·Σ dy

`exp` is the code of the exponential, which the caller has to want (`kernels.finish`). A row stays
in cache between its passes; for its sums see `kernels.rows`.
"""

from typing import Any

import numpy as np

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.elementwise import apply
from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address
from rnn_engine.kernels.pool import share_range
from rnn_engine.kernels.rows import exponentials, largest, sum_of


@kernel
def forward_rows(x: Any, exp: int, logarithm: bool, y: Any, first: int, end: int) -> None:
    """Fill rows first..end of y (N, C), the softmax or its logarithm of x (N, C)."""
    classes = x.shape[1]
    before = flush_denormals()
    for i in range(first, end):
        row, out = x[i], y[i]
        top = largest(address(row), classes)
        exponentials(address(row), classes, top, exp, address(out))
        total = sum_of(address(out), classes)
        if logarithm:
            log_total = np.log(total)
            for j in range(classes):
                out[j] = (np.float64(row[j]) - top) - log_total
        else:
            inverse = 1.0 / total
            for j in range(classes):
                out[j] = out[j] * inverse
    restore(before)


@kernel
def backward_rows(
    dy: Any, y: Any, exp: int, logarithm: bool, dx: Any, first: int, end: int
) -> None:
    """Fill rows first..end of dx (N, C)."""
    classes = y.shape[1]
    before = flush_denormals()
    for i in range(first, end):
        out = dx[i]
        if logarithm:
            total = sum_of(address(dy[i]), classes)
            apply(exp, y[i], out, out)
            for j in range(classes):
                out[j] = dy[i, j] - out[j] * total
        else:
            for j in range(classes):
                out[j] = dy[i, j] * y[i, j]
            total = sum_of(address(out), classes)
            for j in range(classes):
                out[j] = y[i, j] * (dy[i, j] - total)
    restore(before)


@kernel
def forward_tasks(x: Any, exp: int, logarithm: bool, y: Any, tasks: int) -> None:
    """Fill all rows of y, shared out between `tasks` threads."""
    share_range(forward_rows, (x, exp, logarithm, y), len(x), tasks)


@kernel
def backward_tasks(dy: Any, y: Any, exp: int, logarithm: bool, dx: Any, tasks: int) -> None:
    """Fill all rows of dx, shared out between `tasks` threads."""
    share_range(backward_rows, (dy, y, exp, logarithm, dx), len(y), tasks)
