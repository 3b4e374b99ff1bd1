"""Rows of a table (V, D): fetched by index, and added to.

forward: y[n] = E[index[n]]; backward: dE[index[n]] += dy[n].
"""

from typing import Any

from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pool import share_range


@kernel
def first_outside(index: Any, rows: int) -> int:
    """Return the first position n with index[n] outside 0..rows-1, or -1."""
    for n in range(index.size):
        if index[n] < 0 or index[n] >= rows:
            return n
    return -1


@kernel
def gather(index: Any, table: Any, out: Any, first: int, end: int) -> None:
    """Fill rows first..end of `out (N,D)`; every index has been checked."""
    for n in range(first, end):
        row = index[n]
        for d in range(table.shape[1]):
            out[n, d] = table[row, d]


@kernel
def gather_tasks(index: Any, table: Any, out: Any, tasks: int) -> None:
    """Do what `gather` does for all rows, shared out between `tasks` threads."""
    share_range(gather, (index, table, out), index.size, tasks)


@kernel
def scatter_add(index: Any, values: Any, table: Any) -> None:
    """Add row n of `values (N,D)` to row index[n] of `table (V,D)`, in the order of n.

    On one thread: an index may occur twice, and the order of its sum is the promise.
    """
    for n in range(index.size):
        row = index[n]
        for d in range(table.shape[1]):
            table[row, d] += values[n, d]
