"""Weight gradients: sums of outer products over all rows of a batch and all steps.

    dW[m, c] += Σ_k x[k, m] · dz[k, c]        db[c] += Σ_k dz[k, c]

k runs over B·T rows in blocks of `BLOCK`; each block is summed from zero and then
added, so that the rounding error grows with the block and the number of blocks and
not with their product. Each element has one owner and one order of summation.
"""

from typing import Any

import numpy as np

from rnn_engine.kernels.gemm import gemm, pack
from rnn_engine.kernels.options import linked
from rnn_engine.kernels.pointers import lane_count, offset
from rnn_engine.kernels.vector import REGISTER_BYTES

# 128 rows of a panel two vectors wide are 16 KiB: half of the first-level cache.
BLOCK = 128
_VECTORS = 2


def scratch_size(tasks: int, dtype: Any) -> int:
    """Return how many numbers of scratch `add_outer` needs for so many tasks."""
    return tasks * BLOCK * _VECTORS * REGISTER_BYTES // np.dtype(dtype).itemsize


@linked("ipipippippppii")
def add_outer(
    rows: int, dz: Any, n: int, x: Any, f: int, dw: Any, h: Any, u: int, dr: Any, db: Any,
    one: Any, panel: Any, task: int, tasks: int,
) -> None:  # fmt: skip
    """Add one task's share of dW (f × n), dR (u × n) and db (n) over `rows` rows.

    All arrays are pointers to contiguous rows: dz (rows, n), x (rows, f), h (rows, u).
    f or u of zero leaves that gradient out, as tasks other than the first do for db;
    `one` points to 1.0, `panel` to the task's scratch.
    """
    width = lane_count(dz)
    vectors = (n + width - 1) // width
    # Columns are shared out where there are enough, else the rows of the gradients.
    first, last, f0, f1, u0, u1 = 0, vectors, 0, f, 0, u
    if vectors >= tasks:
        first, last = vectors * task // tasks, vectors * (task + 1) // tasks
    else:
        f0, f1 = f * task // tasks, f * (task + 1) // tasks
        u0, u1 = u * task // tasks, u * (task + 1) // tasks
    for start in range(0, rows, BLOCK):
        depth = min(BLOCK, rows - start)
        for vector in range(first, last, _VECTORS):
            column = vector * width
            columns = min(min(_VECTORS, last - vector) * width, n - column)
            pack(offset(dz, start * n + column), n, 1, depth, columns, panel)
            if f1 > f0:
                target = offset(dw, f0 * n + column)
                gemm(f1 - f0, columns, depth, offset(x, start * f + f0), 1, f, panel,
                     target, n, target, n, 1, 0, target, 0)  # fmt: skip
            if u1 > u0:
                target = offset(dr, u0 * n + column)
                gemm(u1 - u0, columns, depth, offset(h, start * u + u0), 1, u, panel,
                     target, n, target, n, 1, 0, target, 0)  # fmt: skip
            if vectors >= tasks or task == 0:
                target = offset(db, column)
                gemm(1, columns, depth, one, 0, 0, panel,
                     target, n, target, n, 1, 0, target, 0)  # fmt: skip
