"""SimpleRNN with a mask over time steps, and with dropout of the recurrent state.

    a[t] = h[t-1] ⊙ drop
    h[t] = act(b + x[t]·W + a[t]·R) where mask[t], else h[t-1]

    g[t] = dy[t] + (dz[t+1]·Rᵀ) ⊙ drop + carry[t+1]
    dz[t] = g[t] ⊙ act'(h[t]) where mask[t], else 0
    carry[t] = 0 where mask[t], else g[t]

`drop` holds zeros and 1/(1 - rate), one number a row and unit for all steps. Rows that
a mask closes from some row on (as sorting by length makes them) are not computed, and
the weight gradients and dx are computed of the open steps alone, put side by side. The
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
    bounds: Any,
) -> None:  # fmt: skip
    """Run the whole batch; each thread has the rows between two of `bounds`."""
    for task in prange(bounds.size - 1):
        forward_rows(x, weights, h0, mask, drop, h, z, a, act, bounds[task], bounds[task + 1])


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
        following = offset(address(dz), (t + 1) * step + shift)
        reach = _active(mask, t + 1, first, end) if t < steps - 1 else first
        # Without dropout the sums start from dy, as those of `simple_rnn` do.
        begun = t >= 0 and dy.size > 0 and drop.size == 0
        init, init_row = zeros, 0
        if begun:
            init, init_row = offset(address(dy), t * step + shift), u
        if reach > first:
            gemm(reach - first, u, u, following, u, 1, r, init, init_row, target, u,
                 0, 0, zeros, 0)  # fmt: skip
        out = dz[t] if t >= 0 else dh0
        for i in range(reach, end):
            for j in range(u):
                out[i, j] = dy[t, i, j] if begun else 0.0
        for i in range(first, end):
            for j in range(u):
                g = out[i, j]
                if drop.size:
                    g *= drop[i, j]
                if t >= 0 and not begun:
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
        last = _active(mask, t, first, end)
        if last > first:
            gemm(last - first, u, 0, target, u, 1, r, target, u, target, u, 0, -1 - act,
                 offset(address(s), t * step + shift), u)  # fmt: skip
        if mask.size:
            for i in range(first, end):
                if not mask[t, i]:
                    dz[t, i, :] = 0.0


@kernel
def _gather(
    x: Any, a: Any, h0: Any, dz: Any, shifted: bool, rows: Any, open_x: Any, open_a: Any,
    open_dz: Any, first: int, end: int,
) -> None:  # fmt: skip
    """Copy open steps first..end, which lie at `rows` of the (T·B) of x, a and dz."""
    batch = dz.shape[1]
    for n in range(first, end):
        t, i = rows[n] // batch, rows[n] % batch
        for j in range(x.shape[2]):
            open_x[0, n, j] = x[t, i, j]
        for j in range(dz.shape[2]):
            open_dz[0, n, j] = dz[t, i, j]
        for j in range(dz.shape[2]):
            if shifted:
                open_a[0, n, j] = a[t - 1, i, j] if t else h0[i, j]
            else:
                open_a[0, n, j] = a[t, i, j]


@kernel
def _scatter(open_dx: Any, rows: Any, mask: Any, order: Any, dx: Any, first: int, end: int) -> None:
    """Fill rows first..end of the batch of dx: zeros where `mask` is closed."""
    steps, batch, f = dx.shape
    for t in range(steps):
        for i in range(first, end):
            if not mask[t, i]:
                for j in range(f):
                    dx[t, order[i], j] = 0.0
    for n in range(rows.size):
        t, i = rows[n] // batch, rows[n] % batch
        if first <= i < end:
            for j in range(f):
                dx[t, order[i], j] = open_dx[0, n, j]


@kernel
def backward(
    transposed: Any, x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, order: Any, rows: Any,
    bounds: Any, dy: Any, dlast: Any, carry: Any, dz: Any, open_x: Any, open_a: Any, open_dz: Any,
    open_dx: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any, scratch: Any, act: int,
) -> None:  # fmt: skip
    """Go back through time on one thread.

    As `simple_rnn.backward`; besides, `mask` and `drop` as in forward, `a` (T, B, U)
    what multiplied R at every step, with h0 only standing for a's first step when
    `drop` is empty (a then is h), `carry` (B, U) of zeros. With a mask also `order`
    (B,), the row of dx that each row is; `rows` (N,), the open ones of (T·B); scratch
    of (1, N, F) and (1, N, U) for them; `bounds`, ends included, of each thread's rows.
    """
    steps, batch, u = dz.shape
    zeros, one, w = places(transposed, x.shape[2], u)
    shifted = drop.size == 0
    _chain(transposed, zeros, s, mask, drop, dy, dlast, carry, dz, dh0, act, 0, batch)
    if mask.size:
        _gather(x, a, h0, dz, shifted, rows, open_x, open_a, open_dz, 0, rows.size)
        weight_share(one, open_x, open_a, h0, open_dz, dw, dr, db, scratch, 0, 1, False)
        if dx.size:
            input_share(w, zeros, open_dz, open_dx, 0, rows.size)
            _scatter(open_dx, rows, mask, order, dx, 0, batch)
        return
    weight_share(one, x, a, h0, dz, dw, dr, db, scratch, 0, 1, shifted)
    if dx.size:
        input_share(w, zeros, dz, dx, 0, steps * batch)


@parallel_kernel
def backward_tasks(
    transposed: Any, x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, order: Any, rows: Any,
    bounds: Any, dy: Any, dlast: Any, carry: Any, dz: Any, open_x: Any, open_a: Any, open_dz: Any,
    open_dx: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any, scratch: Any, act: int,
) -> None:  # fmt: skip
    """Do what `backward` does, shared out between threads by `bounds`."""
    steps, batch, u = dz.shape
    zeros, one, w = places(transposed, x.shape[2], u)
    shifted, tasks = drop.size == 0, bounds.size - 1
    for task in prange(tasks):
        _chain(transposed, zeros, s, mask, drop, dy, dlast, carry, dz, dh0, act,
               bounds[task], bounds[task + 1])  # fmt: skip
    if mask.size:
        n = rows.size
        for task in prange(tasks):
            _gather(x, a, h0, dz, shifted, rows, open_x, open_a, open_dz,
                    n * task // tasks, n * (task + 1) // tasks)  # fmt: skip
        for task in prange(tasks):
            weight_share(one, open_x, open_a, h0, open_dz, dw, dr, db, scratch, task, tasks,
                         False)  # fmt: skip
            if dx.size:
                input_share(w, zeros, open_dz, open_dx, n * task // tasks, n * (task + 1) // tasks)
        if dx.size:
            for task in prange(tasks):
                _scatter(open_dx, rows, mask, order, dx, batch * task // tasks,
                         batch * (task + 1) // tasks)  # fmt: skip
    else:
        total = steps * batch
        for task in prange(tasks):
            weight_share(one, x, a, h0, dz, dw, dr, db, scratch, task, tasks, shifted)
            if dx.size:
                input_share(w, zeros, dz, dx, total * task // tasks, total * (task + 1) // tasks)
