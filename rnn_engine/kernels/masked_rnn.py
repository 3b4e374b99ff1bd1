"""SimpleRNN with a mask over time steps, and with dropout of the recurrent state.

    a[t] = h[t-1] ⊙ drop
    h[t] = act(b + x[t]·W + a[t]·R) where mask[t], else h[t-1]

    g[t] = dy[t] + (dz[t+1]·Rᵀ) ⊙ drop + carry[t+1]
    dz[t] = g[t] ⊙ act'(h[t]) where mask[t], else 0
    carry[t] = 0 where mask[t], else g[t]

`drop` holds zeros and 1/(1 - rate), one number a row and unit for all steps. Rows that
a mask closes from some row on (as sorting by length makes them) are not computed, and
the weight gradients and dx are computed of the open steps alone, put side by side. The
sums run as in `simple_rnn`, so a row under an open mask has the bits it has there. Time
is cut into chunks and into calls as it is there, too.
"""

from typing import Any

import numpy as np
from numba import prange

from rnn_engine.kernels import simple_rnn
from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.gemm import gemm
from rnn_engine.kernels.options import inner_kernel, kernel, parallel_kernel
from rnn_engine.kernels.outer import add_outer
from rnn_engine.kernels.pointers import address, copy, lane_count, load, offset, store
from rnn_engine.kernels.simple_rnn import (
    DZ,
    END,
    SCRATCH,
    SCRATCH_SIZE,
    ZEROS,
    W,
    pack_transposed,
)  # fmt: skip

# Behind what `simple_rnn` keeps in the work array: the open steps of a chunk side by side.
A, OPEN_DZ, X, DX, LAST = range(END, END + 5)


def backward_places(
    chunk: int, batch: int, features: int, units: int, tasks: int, dtype: Any
) -> np.ndarray:
    """Return the places in the work array of `backward`."""
    places = simple_rnn.backward_places(chunk, batch, features, units, 1, tasks, dtype)
    width = np.array([units, units, features, features])
    return np.concatenate([places, places[END] + chunk * batch * np.cumsum(width)])


@inner_kernel
def _active(mask: Any, t: int, first: int, end: int) -> int:
    """Return the row behind the last one, of first..end, whose mask is open at step t."""
    if mask.size:
        while end > first and not mask[t, end - 1]:
            end -= 1
    return end


@kernel
def forward(
    x: Any, weights: Any, h0: Any, mask: Any, drop: Any, h: Any, z: Any, a: Any, act: int,
    begin: int, stop: int, first: int, end: int,
) -> None:  # fmt: skip
    """Run rows first..end of the batch through the steps begin..stop.

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
    _, batch, u = h.shape
    f = x.shape[2]
    before = flush_denormals()
    w = address(weights)
    width = lane_count(w)
    columns = (u + width - 1) // width * width
    r = offset(w, f * columns)
    b = offset(r, u * columns)
    step, shift = batch * u, first * u
    for t in range(begin, stop):
        last = _active(mask, t, first, end)
        target = offset(address(h), t * step + shift)
        previous = offset(target, -step) if t else offset(address(h0), shift)
        if last > first:
            rows = last - first
            inputs = offset(address(x), (t * batch + first) * f)
            gemm(rows, u, f, inputs, f, 1, w, b, 0, target, u, 0, 0, b, 0)
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
    restore(before)


@parallel_kernel
def forward_tasks(
    x: Any, weights: Any, h0: Any, mask: Any, drop: Any, h: Any, z: Any, a: Any, act: int,
    begin: int, stop: int, bounds: Any,
) -> None:  # fmt: skip
    """Run the whole batch; each thread has the rows between two of `bounds`."""
    for task in prange(bounds.size - 1):
        forward(x, weights, h0, mask, drop, h, z, a, act, begin, stop, bounds[task],
                bounds[task + 1])  # fmt: skip


@inner_kernel
def _chain(
    s: Any, mask: Any, drop: Any, dy: Any, carry: Any, dh0: Any, work: Any, places: Any, act: int,
    chunk: int, start: int, stop: int, first: int, end: int,
) -> None:  # fmt: skip
    """Fill dz of the chunk start..stop for rows first..end, backwards, and dh0 at its end.

    `carry` (B, U) comes as zeros.
    """
    steps, batch, u = s.shape
    step, shift = batch * u, first * u
    r = address(work)
    dz, zeros = offset(r, places[DZ] + shift), offset(r, places[ZEROS])
    after = offset(dz, chunk * step)
    # Without dropout the sums start from dy, as those of `simple_rnn` do.
    every = dy.shape[0] == steps
    before = flush_denormals()
    for t in range(stop - 1, start - 1 if start else -2, -1):
        # Step -1 is the initial state: the same sum, without an activation.
        out = offset(dz, (t - start) * step) if t >= 0 else offset(address(dh0), shift)
        following = offset(dz, (t + 1 - start) * step) if t < stop - 1 else after
        reach = _active(mask, t + 1, first, end) if t < steps - 1 else first
        begun = t >= 0 and every and drop.size == 0
        init, init_row = zeros, 0
        if begun:
            init, init_row = offset(address(dy), t * step + shift), u
        if reach > first:
            gemm(reach - first, u, u, following, u, 1, r, init, init_row, out, u,
                 0, 0, zeros, 0)  # fmt: skip
        for i in range(first, end):
            row = offset(out, (i - first) * u)
            closed = mask.size and t >= 0 and not mask[t, i]
            for j in range(u):
                g = load(row, j)
                if i >= reach:
                    g = dy[t, i, j] if begun else 0.0
                if drop.size:
                    g *= drop[i, j]
                if t >= 0 and not begun:
                    if every:
                        g += dy[t, i, j]
                    elif t == steps - 1:
                        g += dy[0, i, j]
                g += carry[i, j]
                if t >= 0:
                    carry[i, j] = g if closed else 0.0
                store(row, j, g)
        if t < 0:
            break
        last = _active(mask, t, first, end)
        if last > first:
            gemm(last - first, u, 0, out, u, 1, r, out, u, out, u, 0, -1 - act,
                 offset(address(s), t * step + shift), u)  # fmt: skip
        if mask.size:
            for i in range(first, end):
                if not mask[t, i]:
                    for j in range(u):
                        store(out, (i - first) * u + j, 0.0)
    copy(after, dz, (end - first) * u)
    restore(before)


@inner_kernel
def _gather(
    x: Any, a: Any, h0: Any, drop: Any, rows: Any, work: Any, places: Any, start: int, first: int,
    end: int, begun: int,
) -> None:  # fmt: skip
    """Copy the open steps first..end, which lie at `rows` of the (T·B) of x and a, from `begun`.

    R was multiplied with a[t] at step t under dropout, else with a[t - 1].
    """
    _, batch, u = a.shape
    f = x.shape[2]
    base = address(work)
    slots, open_dz = offset(base, places[DZ]), offset(base, places[OPEN_DZ])
    open_a, open_x = offset(base, places[A]), offset(base, places[X])
    for n in range(first, end):
        t, i = rows[n] // batch, rows[n] % batch
        to = n - begun
        for j in range(f):
            store(open_x, to * f + j, x[t, i, j])
        for j in range(u):
            store(open_dz, to * u + j, load(slots, ((t - start) * batch + i) * u + j))
        for j in range(u):
            if drop.size:
                store(open_a, to * u + j, a[t, i, j])
            else:
                store(open_a, to * u + j, a[t - 1, i, j] if t else h0[i, j])


@inner_kernel
def _scatter(
    rows: Any, mask: Any, order: Any, dx: Any, work: Any, places: Any, start: int, stop: int,
    begun: int, end: int, task: int, tasks: int,
) -> None:  # fmt: skip
    """Fill a task's rows of the batch of dx, steps start..stop: zeros where `mask` is closed."""
    batch, f = dx.shape[1], dx.shape[2]
    open_dx = offset(address(work), places[DX])
    low, high = batch * task // tasks, batch * (task + 1) // tasks
    for t in range(start, stop):
        for i in range(low, high):
            if not mask[t, i]:
                for j in range(f):
                    dx[t, order[i], j] = 0.0
    for n in range(begun, end):
        t, i = rows[n] // batch, rows[n] % batch
        if low <= i < high:
            for j in range(f):
                dx[t, order[i], j] = load(open_dx, (n - begun) * f + j)


@inner_kernel
def _gradient_share(
    x: Any, a: Any, h0: Any, mask: Any, drop: Any, rows: Any, dw: Any, dr: Any, db: Any, dx: Any,
    work: Any, places: Any, start: int, stop: int, begun: int, ended: int, task: int, tasks: int,
) -> None:  # fmt: skip
    """Add a task's share of the weight gradients of the chunk start..stop; fill its dx.

    Of the open steps begun..ended, put side by side, or without a mask of all.
    """
    _, batch, u = a.shape
    f = x.shape[2]
    base = address(work)
    w, zeros, dz = offset(base, places[W]), offset(base, places[ZEROS]), offset(base, places[DZ])
    scratch = offset(base, places[SCRATCH] + task * places[SCRATCH_SIZE])
    inputs, states = offset(address(x), start * batch * f), offset(address(a), start * batch * u)
    count, out = (stop - start) * batch, offset(address(dx), start * batch * f)
    skip = 0
    before = flush_denormals()
    if mask.size:
        states, dz = offset(base, places[A]), offset(base, places[OPEN_DZ])
        inputs, out = offset(base, places[X]), offset(base, places[DX])
        count = ended - begun
    elif not drop.size:
        # As in `simple_rnn`: the first step multiplied h0, the others the state before.
        states = offset(states, -batch * u)
        if start == 0:
            skip, states = batch, address(a)
            add_outer(batch, 1, dz, u, inputs, f, 0, f, address(dw), address(h0), u, 0, u,
                      address(dr), 1, address(db), scratch, task, tasks)  # fmt: skip
    add_outer(count - skip, 1, offset(dz, skip * u), u, offset(inputs, skip * f), f, 0, f,
              address(dw), states, u, 0, u, address(dr), 1, address(db), scratch, task,
              tasks)  # fmt: skip
    if dx.size:
        first, end = count * task // tasks, count * (task + 1) // tasks
        gemm(end - first, f, u, offset(dz, first * u), u, 1, w, zeros, 0,
             offset(out, first * f), f, 0, 0, zeros, 0)  # fmt: skip
    restore(before)


@kernel
def backward(
    w: Any, r: Any, x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, order: Any, rows: Any,
    starts: Any, bounds: Any, dy: Any, carry: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any,
    work: Any, places: Any, act: int, chunk: int, begin: int, stop: int,
) -> None:  # fmt: skip
    """Go back from step `stop` to `begin` on one thread; all calls from T to 0 are one pass.

    As `simple_rnn.backward`; besides, `mask` and `drop` as in forward, one of them there;
    `a` (T, B, U) what multiplied R at every step, or h if `drop` is empty; `carry` (B, U) of
    zeros. With a mask also `order` (B,), the row of dx that each row is; `rows` (N,), the open
    ones of (T·B), and `starts` (T + 1,), the first of each step; `bounds`, ends included, of
    each thread's rows.
    """
    f, u = w.shape
    batch = s.shape[1]
    if stop == s.shape[0]:
        pack_transposed(address(w), address(r), f, u, address(work))
    start = (stop - 1) // chunk * chunk
    while start >= begin:
        _chain(s, mask, drop, dy, carry, dh0, work, places, act, chunk, start, stop, 0, batch)
        first, end = starts[start], starts[stop]
        if mask.size:
            _gather(x, a, h0, drop, rows, work, places, start, first, end, first)
        _gradient_share(x, a, h0, mask, drop, rows, dw, dr, db, dx, work, places, start, stop,
                        first, end, 0, 1)  # fmt: skip
        if mask.size and dx.size:
            _scatter(rows, mask, order, dx, work, places, start, stop, first, end, 0, 1)
        stop, start = start, start - chunk


@parallel_kernel
def backward_tasks(
    w: Any, r: Any, x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, order: Any, rows: Any,
    starts: Any, bounds: Any, dy: Any, carry: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any,
    work: Any, places: Any, act: int, chunk: int, begin: int, stop: int,
) -> None:  # fmt: skip
    """Do what `backward` does, shared out between threads by `bounds`."""
    f, u = w.shape
    tasks = bounds.size - 1
    if stop == s.shape[0]:
        pack_transposed(address(w), address(r), f, u, address(work))
    start = (stop - 1) // chunk * chunk
    while start >= begin:
        for task in prange(tasks):
            _chain(s, mask, drop, dy, carry, dh0, work, places, act, chunk, start, stop,
                   bounds[task], bounds[task + 1])  # fmt: skip
        first, end = starts[start], starts[stop]
        if mask.size:
            for task in prange(tasks):
                low = first + (end - first) * task // tasks
                high = first + (end - first) * (task + 1) // tasks
                _gather(x, a, h0, drop, rows, work, places, start, low, high, first)
        for task in prange(tasks):
            _gradient_share(x, a, h0, mask, drop, rows, dw, dr, db, dx, work, places, start, stop,
                            first, end, task, tasks)  # fmt: skip
        if mask.size and dx.size:
            for task in prange(tasks):
                _scatter(rows, mask, order, dx, work, places, start, stop, first, end, task,
                         tasks)  # fmt: skip
        stop, start = start, start - chunk
