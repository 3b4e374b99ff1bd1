"""Dense: y = act(x·W + b), forward and backward, over rows (N, F) -> (N, U).

dz = dy ⊙ act'(y)    dW = Σ xᵀ·dz    db = Σ dz    dx = dz·Wᵀ

Weights that stay, as in predictions, are packed once. Many weights that are new at every step, as
in training, are packed in strips that are used while they are in the cache: forward with 20,000
units read and wrote three times as much otherwise.
"""

import functools
from typing import Any

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.gemm import BLOCK_K, gemm
from rnn_engine.kernels.options import inlined_kernel, kernel, linked
from rnn_engine.kernels.outer import STRIP, add_outer, scratch_size
from rnn_engine.kernels.panels import pack, packed_size, whole_registers
from rnn_engine.kernels.pointers import address, lane_count, offset, store
from rnn_engine.kernels.pool import share


def weights_size(features: int, units: int, dtype: Any) -> int:
    """Return the length of the packed weights: W panels, bias."""
    return packed_size(features, units, dtype) + units


# What follows from sizes is looked up at each call, which may be a matter of microseconds.

# Registers of a strip of new weights: one tile wide.
_STRIP = 4
# Numbers of W from which on tasks share its columns and not the rows: 256 KiB in float32.
LARGE = 65536


@functools.lru_cache(maxsize=256)
def strip_size(features: int, dtype: Any) -> int:
    """Return the length of the scratch of one task of `forward_new`."""
    return packed_size(features, _STRIP * whole_registers(1, dtype), dtype)


@functools.lru_cache(maxsize=256)
def backward_size(rows: int, features: int, units: int, tasks: int, dtype: Any) -> int:
    """Return the length of backward's work array: for each task zeros, panels, scratch."""
    zeros = whole_registers(max(features, min(units, STRIP * whole_registers(1, dtype))), dtype)
    panels = packed_size(min(BLOCK_K, units), features, dtype)
    return tasks * (zeros + panels + scratch_size(rows, units, dtype))


@kernel
def pack_weights(w: Any, b: Any, weights: Any) -> None:
    """Fill `weights` from W (F, U) and b (U,) or an empty b."""
    f, u = w.shape
    target = address(weights)
    width = lane_count(target)
    pack(address(w), u, 0, f, u, target)
    bias = offset(target, f * ((u + width - 1) // width * width))
    for j in range(u):
        store(bias, j, b[j] if b.size else 0.0)


@kernel
def _pack_panels(w: Any, weights: Any, task: int, tasks: int) -> None:
    f, u = w.shape
    width = lane_count(address(weights))
    panels = (u + width - 1) // width
    first, end = panels * task // tasks * width, panels * (task + 1) // tasks * width
    pack(offset(address(w), first), u, 0, f, min(end, u) - first,
         offset(address(weights), f * first))  # fmt: skip


@kernel
def pack_weights_tasks(w: Any, b: Any, weights: Any, tasks: int) -> None:
    """Do what `pack_weights` does, panels shared out between `tasks` threads."""
    share(_pack_panels, (w, weights), tasks)
    f, u = w.shape
    width = lane_count(address(weights))
    bias = offset(address(weights), f * ((u + width - 1) // width * width))
    for j in range(u):
        store(bias, j, b[j] if b.size else 0.0)


@inlined_kernel
def _share(n: int, u: int, width: int, by_columns: bool, task: int, tasks: int) -> Any:
    """Return the rows and columns (top, bottom, left, right) of a task.

    Where there are enough strips they may be shared out and not the rows.
    """
    strip = _STRIP * width
    strips = (u + strip - 1) // strip
    if by_columns and strips >= tasks:
        return 0, n, strips * task // tasks * strip, min(u, strips * (task + 1) // tasks * strip)
    return n * task // tasks, n * (task + 1) // tasks, 0, u


@kernel
def forward_packed(x: Any, weights: Any, y: Any, z: Any, act: int, task: int, tasks: int) -> None:
    """Fill one task's share of y, and of z (the pre-activations) unless it is empty.

    Tasks take rows, or columns where W is large: else each of them would read all of it.
    """
    (n, f), u = x.shape, y.shape[1]
    w = address(weights)
    width = lane_count(w)
    b = offset(w, f * ((u + width - 1) // width * width))
    top, bottom, left, right = _share(n, u, width, f * u > LARGE, task, tasks)
    target = offset(address(y), top * u + left)
    keep, keep_row = target, 0
    if z.size:
        keep, keep_row = offset(address(z), top * u + left), u
    before = flush_denormals()
    if bottom > top:
        gemm(bottom - top, right - left, f, offset(address(x), top * f), f, 1, offset(w, left * f),
             offset(b, left), 0, target, u, 0, act, keep, keep_row)  # fmt: skip
    restore(before)


@kernel
def forward_packed_tasks(x: Any, weights: Any, y: Any, z: Any, act: int, tasks: int) -> None:
    """Do what `forward_packed` does, shared out between `tasks` threads."""
    share(forward_packed, (x, weights, y, z, act), tasks)


@kernel
def forward_new(
    x: Any, w: Any, b: Any, y: Any, z: Any, act: int, scratch: Any, task: int, tasks: int
) -> None:
    """Fill one task's share of y, and of z unless it is empty, with weights as they lie.

    `scratch` is tasks times `strip_size`. Tasks take columns where there are many, else rows.
    """
    (n, f), u = x.shape, y.shape[1]
    space = offset(address(scratch), scratch.size // tasks * task)
    width = lane_count(space)
    strip = _STRIP * width
    top, bottom, left, right = _share(n, u, width, True, task, tasks)
    before = flush_denormals()
    for column in range(left, right, strip):
        columns = min(strip, right - column)
        pack(offset(address(w), column), u, 0, f, columns, space)
        target = offset(address(y), top * u + column)
        keep, keep_row = target, 0
        if z.size:
            keep, keep_row = offset(address(z), top * u + column), u
        if bottom > top:
            gemm(bottom - top, columns, f, offset(address(x), top * f), f, 1, space,
                 offset(address(b), column), 0, target, u, 0, act, keep, keep_row)  # fmt: skip
    restore(before)


@kernel
def forward_new_tasks(
    x: Any, w: Any, b: Any, y: Any, z: Any, act: int, scratch: Any, tasks: int
) -> None:
    """Do what `forward_new` does, shared out between `tasks` threads."""
    share(forward_new, (x, w, b, y, z, act, scratch), tasks)


@linked
def _input_gradient(
    w: Any, f: int, u: int, dz: Any, rows: int, dx: Any, first: int, end: int, zeros: Any,
    panels: Any,
) -> None:  # fmt: skip
    """Fill the columns first..end of dx (rows, F), a block of units at a time."""
    for k in range(0, u, BLOCK_K):
        depth = min(BLOCK_K, u - k)
        pack(offset(w, first * u + k), u, 1, depth, end - first, panels)
        out = offset(dx, first)
        init, init_row = zeros, 0
        if k:
            init, init_row = out, f
        gemm(rows, end - first, depth, offset(dz, k), u, 1, panels, init, init_row, out, f, 0, 0,
             zeros, 0)  # fmt: skip


@kernel
def backward(
    w: Any, x: Any, dz: Any, dw: Any, db: Any, dx: Any, work: Any, overwrites: bool, task: int,
    tasks: int,
) -> None:  # fmt: skip
    """Add one task's columns of dW and db, fill its part of dx.

    Parameters
    ----------
    w : (F, U)
    x : (N, F)
    dz : (N, U), gradient by the pre-activations, see `elementwise.apply`
    dw, db : (F, U), (U,); added to, dw overwritten if it `overwrites`
    dx : (N, F), overwritten, or empty
    work : (backward_size(...),)
    """
    rows, u = dz.shape
    f = x.shape[1]
    zeros = offset(address(work), work.size // tasks * task)
    width = lane_count(zeros)
    panels = (f + width - 1) // width
    size = max(panels, min(STRIP, (u + width - 1) // width)) * width
    block = offset(zeros, size)
    scratch = offset(block, min(BLOCK_K, u) * panels * width)
    for j in range(size):
        store(zeros, j, 0.0)
    before = flush_denormals()
    add_outer(rows, 1, address(dz), u, u, address(x), f, 0, f, address(dw), zeros, 0, 0, 0, zeros,
              0, u, address(db), scratch, task, tasks, zeros, int(overwrites))  # fmt: skip
    if dx.size:
        top, bottom, first, end = 0, rows, 0, f
        if panels >= tasks:
            first, end = (
                panels * task // tasks * width,
                min(f, panels * (task + 1) // tasks * width),
            )
        else:
            top, bottom = rows * task // tasks, rows * (task + 1) // tasks
        if bottom > top:
            _input_gradient(address(w), f, u, offset(address(dz), top * u), bottom - top,
                            offset(address(dx), top * f), first, end, zeros, block)  # fmt: skip
    restore(before)


@kernel
def backward_tasks(
    w: Any, x: Any, dz: Any, dw: Any, db: Any, dx: Any, work: Any, overwrites: bool, tasks: int
) -> None:
    """Do what `backward` does, shared out between `tasks` threads."""
    share(backward, (w, x, dz, dw, db, dx, work, overwrites), tasks)
