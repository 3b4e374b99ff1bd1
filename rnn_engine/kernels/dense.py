"""Dense: y = act(x·W + b), forward and backward, over rows (N, F) -> (N, U).

dz = dy ⊙ act'(y)    dW = Σ xᵀ·dz    db = Σ dz    dx = dz·Wᵀ
"""

from typing import Any

from numba import prange

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.gemm import gemm, pack, packed_size, whole_registers
from rnn_engine.kernels.options import inner_kernel, kernel, linked, parallel_kernel
from rnn_engine.kernels.outer import add_outer, scratch_size
from rnn_engine.kernels.pointers import address, lane_count, offset, store


def weights_size(features: int, units: int, dtype: Any) -> int:
    """Return the length of the packed weights: W panels, bias."""
    return packed_size(features, units, dtype) + units


def backward_size(rows: int, features: int, units: int, tasks: int, dtype: Any) -> int:
    """Return the length of backward's work array: Wᵀ panels, zeros, each task's scratch."""
    shared = packed_size(units, features, dtype) + whole_registers(features, dtype)
    return shared + tasks * scratch_size(rows, features, 0, dtype)


@kernel
def pack_weights(w: Any, b: Any, weights: Any) -> None:
    """Fill `weights` from W (F, U) and b (U,) or an empty b."""
    f, u = w.shape
    target = address(weights)
    width = lane_count(target)
    pack(address(w), u, 1, f, u, target)
    start = f * ((u + width - 1) // width * width)
    for j in range(u):
        weights[start + j] = b[j] if b.size else 0.0


@parallel_kernel
def pack_weights_tasks(w: Any, b: Any, weights: Any, tasks: int) -> None:
    """Do what `pack_weights` does, panels shared out between `tasks` threads."""
    f, u = w.shape
    width = lane_count(address(weights))
    panels = (u + width - 1) // width
    for task in prange(tasks):
        first, end = panels * task // tasks * width, panels * (task + 1) // tasks * width
        pack(offset(address(w), first), u, 1, f, min(end, u) - first,
             offset(address(weights), f * first))  # fmt: skip
    start = f * panels * width
    for j in range(u):
        weights[start + j] = b[j] if b.size else 0.0


@kernel
def forward_rows(x: Any, weights: Any, y: Any, z: Any, act: int, first: int, end: int) -> None:
    """Fill rows first..end of y, and of z (the pre-activations) unless it is empty."""
    f, u = x.shape[1], y.shape[1]
    w = address(weights)
    width = lane_count(w)
    b = offset(w, f * ((u + width - 1) // width * width))
    target = offset(address(y), first * u)
    keep, keep_row = target, 0
    if z.size:
        keep, keep_row = offset(address(z), first * u), u
    before = flush_denormals()
    gemm(end - first, u, f, offset(address(x), first * f), f, 1, w, b, 0, target, u,
         0, act, keep, keep_row)  # fmt: skip
    restore(before)


@parallel_kernel
def forward_tasks(x: Any, weights: Any, y: Any, z: Any, act: int, tasks: int) -> None:
    """Do what `forward_rows` does for all rows, shared out between `tasks` threads."""
    rows = y.shape[0]
    for task in prange(tasks):
        forward_rows(x, weights, y, z, act, rows * task // tasks, rows * (task + 1) // tasks)


@linked
def _pack_transposed(w: Any, f: int, u: int, target: Any, task: int, tasks: int) -> None:
    """Fill a task's panels of Wᵀ, and the zeros behind them, from W (F, U)."""
    width = lane_count(target)
    panels = (f + width - 1) // width
    first, end = panels * task // tasks * width, panels * (task + 1) // tasks * width
    pack(offset(w, first * u), 1, u, u, min(end, f) - first, offset(target, u * first))
    for j in range(first, end):
        store(target, u * panels * width + j, 0.0)


@inner_kernel
def _share(x: Any, dz: Any, dw: Any, db: Any, dx: Any, work: Any, task: int, tasks: int) -> None:
    """Add one task's columns of dW and db, fill its rows of dx."""
    rows, u = dz.shape
    f = x.shape[1]
    w = address(work)
    width = lane_count(w)
    columns = (f + width - 1) // width * width
    zeros = offset(w, u * columns)
    scratch = offset(zeros, columns + (work.size - (u + 1) * columns) // tasks * task)
    before = flush_denormals()
    add_outer(rows, 1, address(dz), u, address(x), f, 0, f, address(dw), zeros, 0, 0, 0, zeros, 0,
              address(db), scratch, task, tasks)  # fmt: skip
    if dx.size:
        first, end = rows * task // tasks, rows * (task + 1) // tasks
        gemm(end - first, f, u, offset(address(dz), first * u), u, 1, w, zeros, 0,
             offset(address(dx), first * f), f, 0, 0, zeros, 0)  # fmt: skip
    restore(before)


@kernel
def backward(w: Any, x: Any, dz: Any, dw: Any, db: Any, dx: Any, work: Any, tasks: int) -> None:
    """Go back on one thread.

    Parameters
    ----------
    w : (F, U)
    x : (N, F)
    dz : (N, U), gradient by the pre-activations, see `elementwise.apply`
    dw, db : (F, U), (U,); added to
    dx : (N, F), overwritten, or empty
    work : (backward_size(...),)
    tasks : 1
    """
    if dx.size:
        _pack_transposed(address(w), w.shape[0], w.shape[1], address(work), 0, 1)
    _share(x, dz, dw, db, dx, work, 0, 1)


@parallel_kernel
def backward_tasks(
    w: Any, x: Any, dz: Any, dw: Any, db: Any, dx: Any, work: Any, tasks: int
) -> None:
    """Do what `backward` does, shared out between `tasks` threads."""
    if dx.size:
        for task in prange(tasks):
            _pack_transposed(address(w), w.shape[0], w.shape[1], address(work), task, tasks)
    for task in prange(tasks):
        _share(x, dz, dw, db, dx, work, task, tasks)
