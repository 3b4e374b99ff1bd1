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
from rnn_engine.kernels.finish import call_finish
from rnn_engine.kernels.gemm import gemm, gemm_two
from rnn_engine.kernels.odd_column import fill_odd, multiply, odd_column
from rnn_engine.kernels.options import inner_kernel, kernel, parallel_kernel
from rnn_engine.kernels.outer import add_outer, scratch_size
from rnn_engine.kernels.pointers import address, copy, lane_count, load, offset, store
from rnn_engine.kernels.simple_rnn import (
    DZ,
    END,
    SCRATCH,
    SCRATCH_SIZE,
    SUMS,
    SUMS_SIZE,
    ZEROS,
    W,
    add_sums,
    pack_transposed,
)  # fmt: skip

# Behind what `simple_rnn` keeps in the work array: the open steps of a chunk side by side.
# Here a group's part of dz, (chunk + 1, rows, U), begins where its rows do, as do its parts of
# the others: groups of equal work have different numbers of rows.
A, OPEN_DZ, X, DX = range(END, END + 4)


def backward_places(
    chunk: int, batch: int, features: int, units: int, groups: int, members: int, dtype: Any
) -> np.ndarray:
    """Return the places in the work array of `backward`, and its length as the last."""
    rows = -(-batch // groups)
    places = simple_rnn.backward_places(chunk, rows, features, units, groups, members, dtype)
    places[SCRATCH_SIZE] = scratch_size(chunk * batch, units, dtype)
    places[DZ] = places[SCRATCH] + groups * members * places[SCRATCH_SIZE]
    places[SUMS] = places[DZ] + (chunk + 1) * batch * units
    places[END] = places[SUMS] + (groups - 1) * places[SUMS_SIZE]
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
    odd = odd_column(u, w)
    epilogue = 0 if odd else act
    for t in range(begin, stop):
        last = _active(mask, t, first, end)
        target = offset(address(h), t * step + shift)
        previous = offset(target, -step) if t else offset(address(h0), shift)
        if last > first:
            rows = last - first
            inputs = offset(address(x), (t * batch + first) * f)
            source = previous
            if drop.size:
                for i in range(first, last):
                    for j in range(u):
                        a[t, i, j] = (h[t - 1, i, j] if t else h0[i, j]) * drop[i, j]
                source = offset(address(a), t * step + shift)
            keep, keep_row = target, 0
            if z.size:
                keep, keep_row = offset(address(z), t * step + shift), u
            if odd:
                fill_odd(rows, u, f, inputs, f, w, u, source, u, r, b, 0, target)
            gemm_two(rows, u - odd, f, inputs, f, 1, w, u, source, u, r, b, 0, target, u, 0,
                     epilogue, keep, keep_row)  # fmt: skip
            if odd:
                call_finish(act, 1, rows * u, target, u, keep, keep_row)
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
    chunk: int, start: int, stop: int, bounds: Any, group: int, member: int, members: int,
) -> None:  # fmt: skip
    """Fill dz of the chunk start..stop for a member's rows of a group, backwards, and dh0.

    `carry` (B, U) comes as zeros.
    """
    steps, batch, u = s.shape
    begin, first = bounds[group * members], bounds[group * members + member]
    rows, end = bounds[(group + 1) * members] - begin, bounds[group * members + member + 1]
    step, shift = batch * u, first * u
    r = address(work)
    zeros = offset(r, places[ZEROS])
    dz = offset(r, places[DZ] + (chunk + 1) * begin * u + (first - begin) * u)
    after, dz_step = offset(dz, chunk * rows * u), rows * u
    sums_at = places[SUMS] + (group - 1) * places[SUMS_SIZE]
    if group and stop == steps and member == 0:
        for j in range(places[SUMS_SIZE]):
            work[sums_at + j] = 0.0
    # Without dropout the sums start from dy, as those of `simple_rnn` do.
    every = dy.shape[0] == steps
    plain = mask.size > 0 and drop.size == 0
    before = flush_denormals()
    for t in range(stop - 1, start - 1 if start else -2, -1):
        # Step -1 is the initial state: the same sum, without an activation.
        out = offset(dz, (t - start) * dz_step) if t >= 0 else offset(address(dh0), shift)
        following = offset(dz, (t + 1 - start) * dz_step) if t < stop - 1 else after
        reach = _active(mask, t + 1, first, end) if t < steps - 1 else first
        begun = t >= 0 and every and drop.size == 0
        init, init_row = zeros, 0
        if begun:
            init, init_row = offset(address(dy), t * step + shift), u
        if reach > first:
            multiply(reach - first, u, u, following, u, r, init, init_row, out)
        for i in range(first, end):
            row = offset(out, (i - first) * u)
            closed = mask.size and t >= 0 and not mask[t, i]
            if plain and t < steps - 1:
                # Most rows have nothing to add: behind an open step the carry is zero, and
                # between two closed ones without a dy it stays what it is.
                if mask[t + 1, i]:
                    if closed:
                        copy(offset(address(carry), i * u), row, u)
                    continue
                if closed and not every:
                    continue
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
    x: Any, a: Any, h0: Any, drop: Any, rows: Any, starts: Any, work: Any, places: Any, chunk: int,
    start: int, stop: int, bounds: Any, group: int, member: int, members: int,
) -> None:  # fmt: skip
    """Copy a member's share of a group's open steps of the chunk start..stop side by side.

    R was multiplied with a[t] at step t under dropout, else with a[t - 1].
    """
    _, batch, u = a.shape
    f = x.shape[2]
    begin, end = bounds[group * members], bounds[(group + 1) * members]
    base, at = address(work), chunk * begin
    slots = offset(base, places[DZ] + (chunk + 1) * begin * u)
    open_a = offset(base, places[A] + at * u)
    open_dz, open_x = offset(base, places[OPEN_DZ] + at * u), offset(base, places[X] + at * f)
    low, high = starts[group, start], starts[group, stop]
    count = high - low
    for n in range(low + count * member // members, low + count * (member + 1) // members):
        t, i = rows[n] // batch, rows[n] % batch
        to = n - low
        copy(offset(open_x, to * f), offset(address(x), rows[n] * f), f)
        place = ((t - start) * (end - begin) + i - begin) * u
        copy(offset(open_dz, to * u), offset(slots, place), u)
        source = offset(address(a), rows[n] * u)
        if drop.size == 0:
            source = offset(source, -batch * u) if t else offset(address(h0), i * u)
        copy(offset(open_a, to * u), source, u)


@inner_kernel
def _scatter(
    rows: Any, starts: Any, mask: Any, order: Any, dx: Any, work: Any, places: Any, chunk: int,
    start: int, stop: int, bounds: Any, group: int, member: int, members: int,
) -> None:  # fmt: skip
    """Fill a member's rows of dx, steps start..stop: zeros where `mask` is closed."""
    batch, f = dx.shape[1], dx.shape[2]
    open_dx = offset(address(work), places[DX] + chunk * bounds[group * members] * f)
    low, high = bounds[group * members + member], bounds[group * members + member + 1]
    for t in range(start, stop):
        for i in range(low, high):
            if not mask[t, i]:
                for j in range(f):
                    dx[t, order[i], j] = 0.0
    begun = starts[group, start]
    for n in range(begun, starts[group, stop]):
        t, i = rows[n] // batch, rows[n] % batch
        if low <= i < high:
            target = offset(address(dx), (t * batch + order[i]) * f)
            copy(target, offset(open_dx, (n - begun) * f), f)


@inner_kernel
def _gradient_share(
    x: Any, a: Any, h0: Any, mask: Any, drop: Any, starts: Any, dw: Any, dr: Any, db: Any, dx: Any,
    work: Any, places: Any, chunk: int, start: int, stop: int, bounds: Any, group: int,
    member: int, members: int,
) -> None:  # fmt: skip
    """Add a member's share of a group's weight gradients of the chunk start..stop; fill its dx.

    Of the open steps, put side by side, or without a mask of all.
    """
    _, batch, u = a.shape
    f = x.shape[2]
    base = address(work)
    w, zeros = offset(base, places[W]), offset(base, places[ZEROS])
    scratch = offset(base, places[SCRATCH] + (group * members + member) * places[SCRATCH_SIZE])
    dw_at, dr_at, db_at = address(dw), address(dr), address(db)
    if group:
        sums = offset(base, places[SUMS] + (group - 1) * places[SUMS_SIZE])
        dw_at, dr_at, db_at = sums, offset(sums, f * u), offset(sums, (f + u) * u)
    first, end = bounds[group * members], bounds[(group + 1) * members]
    before = flush_denormals()
    if mask.size:
        count, at = starts[group, stop] - starts[group, start], chunk * first
        states, dz = offset(base, places[A] + at * u), offset(base, places[OPEN_DZ] + at * u)
        inputs, out = offset(base, places[X] + at * f), offset(base, places[DX] + at * f)
        add_outer(count, 1, dz, u, u, inputs, f, 0, f, dw_at, states, u, 0, u, dr_at, 1, u, db_at,
                  scratch, member, members, zeros, 0)  # fmt: skip
        if dx.size:
            low, high = count * member // members, count * (member + 1) // members
            multiply(high - low, f, u, offset(dz, low * u), u, w, zeros, 0, offset(out, low * f))
    else:
        rows, count, skip = end - first, stop - start, 0
        x_step, a_step = batch * f, batch * u
        inputs = offset(address(x), start * x_step + first * f)
        states = offset(address(a), start * a_step + first * u)
        dz = offset(base, places[DZ] + (chunk + 1) * first * u)
        if drop.size == 0:
            # As in `simple_rnn`: the first step multiplied h0, the others the state before.
            states = offset(states, -a_step)
            if start == 0:
                skip, states = 1, offset(address(a), first * u)
                add_outer(rows, 1, dz, u, u, inputs, f, x_step, f, dw_at,
                          offset(address(h0), first * u), u, a_step, u, dr_at, 1, u, db_at, scratch,
                          member, members, zeros, 0)  # fmt: skip
        add_outer(rows, count - skip, offset(dz, skip * rows * u), u, u,
                  offset(inputs, skip * x_step), f, x_step, f, dw_at, states, u, a_step, u, dr_at,
                  1, u, db_at, scratch, member, members, zeros, 0)  # fmt: skip
        if dx.size:
            for t in range(count * member // members, count * (member + 1) // members):
                out = offset(address(dx), (start + t) * x_step + first * f)
                multiply(rows, f, u, offset(dz, t * rows * u), u, w, zeros, 0, out)
    restore(before)


@kernel
def backward(
    w: Any, r: Any, x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, order: Any, rows: Any,
    starts: Any, bounds: Any, dy: Any, carry: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any,
    work: Any, places: Any, act: int, chunk: int, begin: int, stop: int, members: int,
) -> None:  # fmt: skip
    """Go back from step `stop` to `begin` on one thread; all calls from T to 0 are one pass.

    As `simple_rnn.backward`; besides, `mask` and `drop` as in forward, one of them there;
    `a` (T, B, U) what multiplied R at every step, or h if `drop` is empty; `carry` (B, U) of
    zeros. With a mask also `order` (B,), the row of dx that each row is; `rows` (N,), the open
    ones of (T·B), group by group, and `starts` (groups, T + 1), where each step's begin;
    `bounds`, ends included, of each group's and each member's rows. `members` is 1.
    """
    f, u = w.shape
    groups = bounds.size - 1
    if stop == s.shape[0]:
        pack_transposed(address(w), address(r), f, u, int(dx.size > 0), address(work))
    for group in range(groups):
        _one_group(x, a, s, h0, mask, drop, order, rows, starts, bounds, dy, carry, dw, dr, db, dx,
                   dh0, work, places, act, chunk, begin, stop, group)  # fmt: skip
    if begin == 0:
        sums = offset(address(work), places[SUMS])
        add_sums(address(dw), address(dr), address(db), sums, f, u, groups)


@inner_kernel
def _one_group(
    x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, order: Any, rows: Any, starts: Any,
    bounds: Any, dy: Any, carry: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any, work: Any,
    places: Any, act: int, chunk: int, begin: int, stop: int, group: int,
) -> None:  # fmt: skip
    """Go back with one group, without waiting for another."""
    while stop > begin:
        start = (stop - 1) // chunk * chunk
        _chain(s, mask, drop, dy, carry, dh0, work, places, act, chunk, start, stop, bounds, group,
               0, 1)  # fmt: skip
        if mask.size:
            _gather(x, a, h0, drop, rows, starts, work, places, chunk, start, stop, bounds, group,
                    0, 1)  # fmt: skip
        _gradient_share(x, a, h0, mask, drop, starts, dw, dr, db, dx, work, places, chunk, start,
                        stop, bounds, group, 0, 1)  # fmt: skip
        if mask.size and dx.size:
            _scatter(rows, starts, mask, order, dx, work, places, chunk, start, stop, bounds,
                     group, 0, 1)  # fmt: skip
        stop = start


@parallel_kernel
def backward_tasks(
    w: Any, r: Any, x: Any, a: Any, s: Any, h0: Any, mask: Any, drop: Any, order: Any, rows: Any,
    starts: Any, bounds: Any, dy: Any, carry: Any, dw: Any, dr: Any, db: Any, dx: Any, dh0: Any,
    work: Any, places: Any, act: int, chunk: int, begin: int, stop: int, members: int,
) -> None:  # fmt: skip
    """Do what `backward` does on groups · members threads."""
    f, u = w.shape
    tasks = bounds.size - 1
    groups = tasks // members
    if stop == s.shape[0]:
        pack_transposed(address(w), address(r), f, u, int(dx.size > 0), address(work))
    if members == 1:
        for group in prange(groups):
            _one_group(x, a, s, h0, mask, drop, order, rows, starts, bounds, dy, carry, dw, dr, db,
                       dx, dh0, work, places, act, chunk, begin, stop, group)  # fmt: skip
    else:
        while stop > begin:
            start = (stop - 1) // chunk * chunk
            for task in prange(tasks):
                _chain(s, mask, drop, dy, carry, dh0, work, places, act, chunk, start, stop,
                       bounds, task // members, task % members, members)  # fmt: skip
            if mask.size:
                for task in prange(tasks):
                    _gather(x, a, h0, drop, rows, starts, work, places, chunk, start, stop,
                            bounds, task // members, task % members, members)  # fmt: skip
            for task in prange(tasks):
                _gradient_share(x, a, h0, mask, drop, starts, dw, dr, db, dx, work, places, chunk,
                                start, stop, bounds, task // members, task % members,
                                members)  # fmt: skip
            if mask.size and dx.size:
                for task in prange(tasks):
                    _scatter(rows, starts, mask, order, dx, work, places, chunk, start, stop,
                             bounds, task // members, task % members, members)  # fmt: skip
            stop = start
    if begin == 0:
        sums = offset(address(work), places[SUMS])
        add_sums(address(dw), address(dr), address(db), sums, f, u, groups)
