"""Steps of a sequence that hold one value in every feature."""

from typing import Any

from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address, copy, offset, store


@kernel
def find_open(x: Any, value: Any, is_open: Any) -> int:
    """Fill `is_open` (N,) with which rows of x (N, F) hold another value; return how many do.

    A NaN is another value.
    """
    count = 0
    for i in range(x.shape[0]):
        found = False
        for j in range(x.shape[1]):
            if x[i, j] != value:
                found = True
                break
        is_open[i] = found
        count += found
    return count


@kernel
def clear_closed(x: Any, is_open: Any, out: Any) -> None:
    """Copy the open rows of x (N, F) to `out`; the others become zero."""
    f = x.shape[1]
    for i in range(x.shape[0]):
        row = offset(address(out), i * f)
        if is_open[i]:
            copy(row, offset(address(x), i * f), f)
        else:
            for j in range(f):
                store(row, j, 0.0)
