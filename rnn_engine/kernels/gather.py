"""Gathering the rows of a batch, straight into the layout the recurrent kernels want."""

from typing import Any

from rnn_engine.kernels.options import kernel


@kernel
def gather_time_major(x: Any, rows: Any, out: Any) -> None:
    """Copy samples of `x (N,T,F)` into `out (T,B,F)`.

    ``out[t, b, f] = x[rows[b], t, f]``. Rows are read in their order in memory
    and written with a stride, which is the cheaper way round: a sample is far
    away from its neighbours, the buffer stays in the cache.
    """
    for b in range(rows.shape[0]):
        row = rows[b]
        for t in range(x.shape[1]):
            for f in range(x.shape[2]):
                out[t, b, f] = x[row, t, f]
