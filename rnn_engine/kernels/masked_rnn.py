"""SimpleRNN with a mask over time steps, and with dropout of the recurrent state.

    a[t] = h[t-1] ⊙ drop
    h[t] = act(b + x[t]·W + a[t]·R) where mask[t], else h[t-1]

    g[t] = dy[t] + (dz[t+1]·Rᵀ) ⊙ drop + carry[t+1]
    dz[t] = g[t] ⊙ act'(h[t]) where mask[t], else 0
    carry[t] = 0 where mask[t], else g[t]

`drop` holds zeros and 1/(1 - rate), one number a row and unit for all steps. Rows that
a mask closes from some row on (as sorting by length makes them) are not computed. The
sums run as in `simple_rnn`, so a row under an open mask has the bits it has there.
"""

from typing import Any

from numba import prange

from rnn_engine.kernels.gemm import gemm
from rnn_engine.kernels.options import kernel, parallel_kernel
from rnn_engine.kernels.pointers import address, offset
from rnn_engine.kernels.simple_rnn import input_share, places, project, weight_panels, weight_share


@kernel
def _active(mask: Any, t: int, first: int, end: int) -> int:
    """Return the row behind the last one, of first..end, whose mask is open at step t."""
    if mask.size:
        while end > first and not mask[t, end - 1]:
            end -= 1
    return end


@kernel
def forward_rows(
    x: Any, weights: Any, h0: Any, mask: Any, drop: Any, h: Any, z: Any, a: Any, act: int,
    first: int, end: int,
) -> None:  # fmt: skip
    """Run rows first..end of the batch through all steps.

    Parameters
    ----------
    x : (T, B, F)
    weights : from `simple_rnn.pack_weights`
    h0 : (B, U)
    mask : (T, B) of bool, or empty
    drop : (B, U) or empty
    h : (T, B, U), every state
    z : (T, B, U), every pre-activation, or empty
    a : (T, B, U), what multiplies R, or empty without `drop`
    """
    steps, batch, u = h.shape
    f = x.shape[2]
    w, r, b = weight_panels(weights, f, u)
    step, shift = batch * u, first * u
    for t in range(steps):
        last = _active(mask, t, first, end)
        target = offset(address(h), t * step + shift)
        previous = offset(target, -step) if t else offset(address(h0), shift)
        if last > first:
            rows = last - first
            project(x, True, w, b, f, u, t, 1, first, last, target, step)
            source = previous
            if drop.size:
                for i in range(first, last):
                    for j in range(u):
                        a[t, i, j] = (h[t - 1, i, j] if t else h0[i, j]) * drop[i, j]
                source = offset(address(a), t * step + shift)
            keep, keep_row = target, 0
            if z.size:
                keep, keep_row = offset(address(z), t * step + shift), u
            gemm(rows, u, u, source, u, 1, r, target, u, target, u, 0, act, keep, keep_row)
        if mask.size:
            for i in range(first, end):
                if not mask[t, i]:
                    for j in range(u):
                        h[t, i, j] = h[t - 1, i, j] if t else h0[i, j]
                    if z.size:
                        z[t, i, :] = 0.0
                    if drop.size:
                        a[t, i, :] = 0.0


@parallel_kernel
def forward_tasks(
    x: Any, weights: Any, h0: Any, mask: Any, drop: Any, h: Any, z: Any, a: Any, act: int,
    tasks: int,
) -> None:  # fmt: skip
    """Run the whole batch, its rows shared out between `tasks` threads."""
    batch = h.shape[1]
    for task in prange(tasks):
        forward_rows(x, weights, h0, mask, drop, h, z, a, act,
                     batch * task // tasks, batch * (task + 1) // tasks)  # fmt: skip


@kernel
def _chain(
    transposed: Any, zeros: Any, s: Any, mask: Any, drop: Any, dy: Any, dlast: Any, carry: Any,
    dz: Any, dh0: Any, act: int, first: int, end: int,
) -> None:  # fmt: skip
    """Fill dz and dh0 for rows first..end, from the last step to the first.

    `carry` (B, U) comes as zeros.
    """
    steps, batch, u = dz.shape
    step, shift = batch * u, first * u
    r = address(transposed)
    for t in range(steps - 1, -2, -1):
        # Step -1 is the initial state: the same sum, without an activation.
        target = offset(address(dz), t * step + shift) if t >= 0 else offset(address(dh0), shift)
        depth = u if t < steps - 1 else 0
        following = offset(address(dz), (t + 1) * step + shift)
        gemm(end - first, u, depth, following, u, 1, r, zeros, 0, target, u, 0, 0, zeros, 0)
        out = dz[t] if t >= 0 else dh0
        for i in range(first, end):
            for j in range(u):
                g = out[i, j]
                if drop.size:
                    g *= drop[i, j]
                if t >= 0:
                    if dy.size:
                        g += dy[t, i, j]
                    elif t == steps - 1:
                        g += dlast[i, j]
                out[i, j] = g + carry[i, j]
        if t < 0:
            break
        for i in range(first, end):
            closed = mask.size and not mask[t, i]
            for j in range(u):
                carry[i, j] = out[i, j] if closed else 0.0
        gemm(end - first, u, 0, target, u, 1, r, target, u, target, u, 0, -1 - act,
             offset(address(s), t * step + shift), u)  # fmt: skip
        if mask.size:
            for i in range(first, end):
                if not mask[t, i]:
                    dz[t, i, :] = 0.0


@kernel
def backward(
    transposed: Any, x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, dy: Any, dlast: Any,
    carry: Any, dz: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any, scratch: Any, act: int,
    tasks: int,
) -> None:  # fmt: skip
    """Go back through time on one thread.

    As `simple_rnn.backward`; besides, `mask` and `drop` as in forward, `a` (T, B, U)
    what multiplied R at every step, with h0 only standing for a's first step when
    `drop` is empty (a then is h), `carry` (B, U) of zeros.
    """
    steps, batch, u = dz.shape
    zeros, one, w = places(transposed, x.shape[2], u)
    _chain(transposed, zeros, s, mask, drop, dy, dlast, carry, dz, dh0, act, 0, batch)
    weight_share(one, x, a, h0, dz, dw, dr, db, scratch, 0, 1, drop.size == 0)
    if dx.size:
        input_share(w, zeros, dz, dx, 0, steps * batch)


@parallel_kernel
def backward_tasks(
    transposed: Any, x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, dy: Any, dlast: Any,
    carry: Any, dz: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any, scratch: Any, act: int,
    tasks: int,
) -> None:  # fmt: skip
    """Do what `backward` does, shared out between `tasks` threads."""
    steps, batch, u = dz.shape
    zeros, one, w = places(transposed, x.shape[2], u)
    for task in prange(tasks):
        _chain(transposed, zeros, s, mask, drop, dy, dlast, carry, dz, dh0, act,
               batch * task // tasks, batch * (task + 1) // tasks)  # fmt: skip
    for task in prange(tasks):
        weight_share(one, x, a, h0, dz, dw, dr, db, scratch, task, tasks, drop.size == 0)
        if dx.size:
            total = steps * batch
            input_share(w, zeros, dz, dx, total * task // tasks, total * (task + 1) // tasks)
