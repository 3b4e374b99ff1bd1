"""`multiply`: many small matrix products at once, for attention and `Dot`."""

import numpy as np

from rnn_engine.kernels import products as kernels
from rnn_engine.kernels import threads
from rnn_engine.kernels.buffers import BufferPool


def multiply(a: np.ndarray, b: np.ndarray, buffers: BufferPool | None = None) -> np.ndarray:
    """Return the products a·b over the last two axes, as `numpy.matmul` does.

    Parameters
    ----------
    a : (outer, inner, M, K), with any strides
    b : (outer, inner, K, N), of the same type
    buffers : BufferPool, optional
        Where the result comes from.
    """
    outer, inner, m, k = a.shape
    n = b.shape[3]
    empty = np.empty if buffers is None else buffers.empty
    out = empty((outer, inner, m, n), a.dtype)
    if not (a.flags.aligned and a.flags.writeable):
        a = a.copy()
    size = a.itemsize
    lies, turned = b.strides[3] == size or n == 1, b.strides[2] == size or k == 1
    if not (b.flags.aligned and b.flags.writeable and (lies or turned)):
        b, lies = b.copy(), True
    b_row = b.strides[2] if lies else b.strides[3]
    work = outer * inner * m * n * k
    calls = threads.calls(outer, 1, work)
    tasks = threads.tasks(work // len(calls), max(m, outer * inner))
    scratch = np.empty(tasks * kernels.scratch_size(n, k, a.dtype), a.dtype)
    strides = (*a.strides, *b.strides[:2], b_row, size * (not lies), *out.strides[:3])
    for begin, stop in calls:
        plan = np.array((stop - begin, inner, m, n, k, *(s // size for s in strides), 0))
        starts = (array[begin, 0, 0, :1] for array in (a, b, out))
        if tasks == 1:
            kernels.products(*starts, plan, scratch, 0, 1)
        else:
            kernels.products_tasks(*starts, plan, scratch, tasks)
    return out
