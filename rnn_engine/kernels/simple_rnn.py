"""SimpleRNN, forward and back through time.

    h[t] = act(b + x[t]·W + h[t-1]·R),    h[-1] = h0

    dz[t] = (dy[t] + dz[t+1]·Rᵀ) ⊙ act'(h[t])
    dW = Σ x[t]ᵀ·dz[t]    dR = Σ h[t-1]ᵀ·dz[t]    db = Σ dz[t]
    dx[t] = dz[t]·Wᵀ      dh0 = dz[0]·Rᵀ

Everything but a batch-major x is time-major, (T, B, ·): the rows of a step lie
together. Rows are independent through all of time, so a task takes a range of rows
from the first step to the last, without meeting the others. Optional arrays are
passed with no elements. The sum of every h element runs over b, then the features,
then the units, in this order, whoever computes it; that of an odd column as told in
`odd_column`.

Forward does both products of a step in one, or, for few rows, projects the inputs of a chunk
of time at once, x·W, and walks through its steps. Backward walks back through a chunk and
then adds its share of the weight gradients, so that dz is never there for more than a chunk.
A call runs over the steps from `begin` to `stop`, so that a long sequence can be cut into
short calls.
"""

import functools
from typing import Any

import numpy as np
from numba import prange

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.finish import call_finish
from rnn_engine.kernels.gemm import TALLEST, gemm, gemm_two
from rnn_engine.kernels.odd_column import fill_odd, multiply, odd_column
from rnn_engine.kernels.options import inlined_kernel, inner_kernel, kernel, linked, parallel_kernel
from rnn_engine.kernels.outer import BLOCK, add_outer, scratch_size
from rnn_engine.kernels.panels import pack, packed_size, whole_registers
from rnn_engine.kernels.pointers import (
    address,
    copy,
    copy_rows,
    lane_count,
    load,
    offset,
    stack,
    store,
)

# The projected inputs of a chunk of time should stay in the second-level cache until
# the walk reads them: 32 Ki numbers are 128 KiB in float32, and 64 Ki were as fast. But W should
# not pass by for less than so many rows: 1 to 3% of a pass of 512 or 1024 units that is kept.
FORWARD_NUMBERS = 32768
FORWARD_ROWS = 256
# So many rows multiply the inputs and the states in one go instead, and need no pass for the
# inputs: 8% less time for 64 units, 15% for 32, 4% for 256; but W and R, which each step reads,
# should stay in the second-level cache (so many numbers are 1 MiB in float32; beyond, both ways
# are level where nothing else needs that cache). Fewer rows leave the CPU waiting for each sum,
# and for W out of that cache, where a tall product does not: they do so with few features and few
# numbers in W a row (5 units 7% less, 64 units 8 to 14%).
JOINED_ROWS = 4
JOINED_NUMBERS = 262_144
JOINED_FEATURES = 32
JOINED_WEIGHTS = 1024
# So should the dz of a chunk until the weight gradients are added; but each block of rows
# passes over all of dW and dR. Twice as many were as fast, within the noise.
BACKWARD_NUMBERS = 65536
BACKWARD_ROWS = 256
# A batch goes back in so many groups of rows, each with sums of its own. Two threads then
# share nothing but the weights: sharing out the elements of the sums instead had each core
# fetch half of h and dz from the other's cache, 28% of a pass of 64 x 128 x 64 x 128.
GROUPS = 2
# Registers of a step of dx from which on it is a product of its own: one of the largest tiles.
DX_REGISTERS = 2 * TALLEST
# Multiply-adds below which there is one group. It decides about bits: it does not follow
# the threads.
GROUP_WORK = 400_000
# Numbers of a step, inputs and states, that the kernels for small work take. Their scratch is on
# the stack: going forward two steps, 32 KiB in float32, going back as much as one.
BRIEF_NUMBERS = 4096
_BRIEF_SCRATCH = 2 * BRIEF_NUMBERS


# --- sizes --------------------------------------------------------------------------


def forward_steps(timesteps: int, rows: int, units: int) -> int:
    """Return how many steps are projected at once."""
    return min(timesteps, max(FORWARD_NUMBERS // (rows * units), -(-FORWARD_ROWS // rows)))


def groups(timesteps: int, batch: int, features: int, units: int) -> int:
    """Return how many groups of rows go back with sums of their own."""
    work = 2 * batch * timesteps * units * (features + units)
    return 1 if work < GROUP_WORK else min(batch, GROUPS)


def backward_steps(timesteps: int, rows: int, units: int) -> int:
    """Return how many steps of dz are kept at once, for `rows` rows of a group."""
    steps = max(BACKWARD_NUMBERS // (rows * units), -(-BACKWARD_ROWS // rows))
    return min(timesteps, steps)


@functools.lru_cache(maxsize=256)
def weights_size(features: int, units: int, dtype: Any) -> int:
    """Return the length of the packed weights: W panels, R panels, bias."""
    return packed_size(features, units, dtype) + packed_size(units, units, dtype) + units


def forward_size(chunk: int, rows: int, features: int, units: int) -> int:
    """Return the scratch of one task of `forward`: inputs laid out and projected, or two states."""
    return rows * max(chunk * (features + units), 2 * units)


# Where backward's work array holds what, in numbers from its start: Rᵀ panels from 0, Wᵀ
# panels and zeros; `COPY` numbers further those of the next group, or the same ones if it is 0;
# the scratch of each task, dz (chunk + 1, rows, U) of each group, the sums of each group but the
# first; besides, the sizes of one scratch, dz and sums.
W, ZEROS, COPY, SCRATCH, DZ, SUMS, SCRATCH_SIZE, DZ_SIZE, SUMS_SIZE, END = range(10)


def backward_places(
    chunk: int, rows: int, features: int, units: int, groups: int, members: int, dtype: Any,
    copies: bool = False,
) -> np.ndarray:  # fmt: skip
    """Return the places in the work array of `backward`, for groups of up to `rows` rows.

    With `copies` each group has its own copy of the packed weights.
    """
    places = np.zeros(END + 1, np.int64)
    places[SCRATCH_SIZE] = scratch_size(chunk * rows, units, dtype)
    places[DZ_SIZE] = whole_registers((chunk + 1) * rows * units, dtype)
    places[SUMS_SIZE] = (features + units + 1) * units
    places[W] = packed_size(units, units, dtype)
    places[ZEROS] = places[W] + packed_size(units, features, dtype)
    size = places[ZEROS] + whole_registers(max(units, features), dtype)
    places[COPY] = size if copies else 0
    places[SCRATCH] = size * (groups if copies else 1)
    places[DZ] = places[SCRATCH] + groups * members * places[SCRATCH_SIZE]
    places[SUMS] = places[DZ] + groups * places[DZ_SIZE]
    places[END] = places[SUMS] + (groups - 1) * places[SUMS_SIZE]
    return places


# --- forward ------------------------------------------------------------------------


@inlined_kernel
def pack_beside_r(w: Any, b: Any, weights: Any) -> Any:
    """Fill `weights` with W (F, U) and b (U,), or an empty b; return where R lies between them."""
    f, u = w.shape
    target = address(weights)
    width = lane_count(target)
    columns = (u + width - 1) // width * width
    pack(address(w), u, 0, f, u, odd_column(u, target), target)
    bias = offset(target, (f + u) * columns)
    for j in range(u):
        store(bias, j, b[j] if b.size else 0.0)
    return offset(target, f * columns)


@kernel
def pack_weights(w: Any, r: Any, b: Any, weights: Any) -> None:
    """Fill `weights` from W (F, U), R (U, U) and b (U,) or an empty b."""
    u = w.shape[1]
    pack(address(r), u, 0, u, u, odd_column(u, address(w)), pack_beside_r(w, b, weights))


@linked
def lay_out(x: Any, x_row: int, x_step: int, target: Any, rows: int, count: int, f: int) -> None:
    """Copy `count` steps of `rows` rows to contiguous rows of f, step by step."""
    for t in range(count):
        copy_rows(offset(target, t * rows * f), f, offset(x, t * x_step), x_row, rows, f)


@linked
def _walk(
    x: Any, x_row: int, x_step: int, f: int, u: int, rows: int, weights: Any, h0: Any,
    started: int, h: Any, z: Any, step: int, last: Any, scratch: Any, kept: int, act: int,
    chunk: int, begin: int, stop: int,
) -> None:  # fmt: skip
    """Run some rows through the steps begin..stop; everything is a pointer to their first.

    `kept`: 0 if no state is kept, 1 if h is, 2 if z is too; their steps are `step` numbers
    apart. `started`: whether h0 is there.
    """
    before = flush_denormals()
    width = lane_count(weights)
    columns = (u + width - 1) // width * width
    r = offset(weights, f * columns)
    b = offset(r, u * columns)
    numbers, odd = rows * u, odd_column(u, weights)
    even, epilogue = u - odd, 0 if odd else act
    laid, states = scratch, offset(scratch, chunk * rows * f)
    light = f <= JOINED_FEATURES and f * u <= JOINED_WEIGHTS * rows
    joined = light or (rows >= JOINED_ROWS and (f + u) * u <= JOINED_NUMBERS)
    if joined:
        states, chunk = scratch, stop - begin
    previous, depth = last, u
    if begin == 0:
        previous, depth = h0, u * started
    elif kept:
        previous = offset(h, (begin - 1) * step)
    for start in range(begin, stop, chunk):
        count = min(chunk, stop - start)
        inputs = offset(x, start * x_step)
        if not joined:
            a_row = f
            if rows == 1:
                a_row = x_step
            elif x_row != f or x_step != rows * f:
                lay_out(inputs, x_row, x_step, laid, rows, count, f)
                inputs = laid
            gemm(count * rows, even, f, inputs, a_row, 1, weights, b, 0, states, u, 0, 0, b,
                 0)  # fmt: skip
        for t in range(count):
            # What a step begins with, and how many features it still sums. States that nobody
            # keeps take turns in two places.
            init, init_row, features, slot = b, 0, f, t % 2
            if not joined:
                init, init_row, features, slot = offset(states, t * numbers), u, 0, t
            target = offset(states, slot * numbers)
            if kept:
                target = offset(h, (start + t) * step)
            keep, keep_row = target, 0
            if kept == 2:
                keep, keep_row = offset(z, (start + t) * step), u
            if odd:
                fill_odd(rows, u, f, offset(x, (start + t) * x_step), x_row, weights, depth,
                         previous, u, r, b, 0, target)  # fmt: skip
            gemm_two(rows, even, features, offset(inputs, t * x_step), x_row, 1, weights, depth,
                     previous, u, r, init, init_row, target, u, 0, epilogue, keep,
                     keep_row)  # fmt: skip
            if odd:
                call_finish(act, 1, numbers, target, u, keep, keep_row)
            previous, depth = target, u
        copy(last, previous, numbers)
        if not kept:
            previous = last
    restore(before)


@kernel
def forward(
    x: Any, time_major: bool, weights: Any, h0: Any, h: Any, z: Any, last: Any, scratch: Any,
    act: int, chunk: int, begin: int, stop: int, task: int, tasks: int,
) -> None:  # fmt: skip
    """Run one task's rows of the batch through the steps begin..stop.

    Parameters
    ----------
    x : (B, T, F), or (T, B, F) if `time_major`
    weights : from `pack_weights`
    h0 : (B, U) or empty, for zeros
    h : (T, B, U) to keep every state, or empty
    z : (T, B, U) to keep every pre-activation, or empty
    last : (B, U), the state after the last step; the one before `begin` where h is empty
    scratch : tasks times `forward_size`
    act : code of the activation
    chunk : steps projected at once
    """
    batch, u = last.shape
    f = x.shape[2]
    first, end = batch * task // tasks, batch * (task + 1) // tasks
    x_row, x_step = x.shape[1] * f, f
    if time_major:
        x_row, x_step = f, batch * f
    kept = (1 if h.size else 0) + (1 if z.size else 0)
    shift = first * u
    if end > first:
        _walk(offset(address(x), first * x_row), x_row, x_step, f, u, end - first,
              address(weights), offset(address(h0), shift), int(h0.size > 0),
              offset(address(h), shift), offset(address(z), shift), batch * u,
              offset(address(last), shift), offset(address(scratch), scratch.size // tasks * task),
              kept, act, chunk, begin, stop)  # fmt: skip


@parallel_kernel
def forward_tasks(
    x: Any, time_major: bool, weights: Any, h0: Any, h: Any, z: Any, last: Any, scratch: Any,
    act: int, chunk: int, begin: int, stop: int, tasks: int,
) -> None:  # fmt: skip
    """Run the whole batch, its rows shared out between `tasks` threads."""
    for task in prange(tasks):
        forward(x, time_major, weights, h0, h, z, last, scratch, act, chunk, begin, stop, task,
                tasks)  # fmt: skip


@linked
def _walk_briefly(
    x: Any, weights: Any, h: Any, last: Any, batch: int, steps: int, f: int, u: int, kept: int,
    apart: int, act: int, first: int, end: int,
) -> None:  # fmt: skip
    """Run rows first..end of x (B, T, F) through all steps, on scratch of the stack."""
    rows, shift = end - first, first * u
    if rows > 0:
        chunk = min(steps, BRIEF_NUMBERS // (rows * (f + u)))
        states, step, final = offset(h, shift), batch * u, offset(last, shift)
        if apart:
            states, step = offset(h, steps * shift), rows * u
        _walk(offset(x, first * steps * f), steps * f, f, f, u, rows, weights, final, 0, states,
              states, step, final, stack(final, _BRIEF_SCRATCH), kept, act, chunk, 0,
              steps)  # fmt: skip


@kernel
def forward_brief(x: Any, weights: Any, last: Any, act: int) -> None:
    """Do what `forward` does for x (B, T, F) from zeros, on scratch of the stack.

    For small work, where each further argument counts: B·(F + U) is at most
    `BRIEF_NUMBERS`.
    """
    batch, u = last.shape
    final = address(last)
    _walk_briefly(address(x), address(weights), final, final, batch, x.shape[1], x.shape[2], u, 0,
                  0, act, 0, batch)  # fmt: skip


@kernel
def forward_brief_kept(x: Any, weights: Any, h: Any, last: Any, act: int) -> None:
    """Do what `forward_brief` does, and keep every state: h (T, B, U)."""
    steps, batch, u = h.shape
    _walk_briefly(address(x), address(weights), address(h), address(last), batch, steps,
                  x.shape[2], u, 1, 0, act, 0, batch)  # fmt: skip


@parallel_kernel
def forward_brief_tasks(
    x: Any, weights: Any, h: Any, last: Any, act: int, tasks: int, apart: bool
) -> None:
    """Do what `forward_brief_kept` does, or `forward_brief` if h is empty, on `tasks` threads.

    With `apart` h holds all steps of a task's rows, (T, rows, U), task after task. Two cores that
    write neighbouring rows of each step keep fetching what the other one is about to write: 8
    rows of 64 units took a third longer than without keeping any, and one core no longer.
    """
    batch, u = last.shape
    for task in prange(tasks):
        _walk_briefly(address(x), address(weights), address(h), address(last), batch, x.shape[1],
                      x.shape[2], u, int(h.size > 0), int(apart), act, batch * task // tasks,
                      batch * (task + 1) // tasks)  # fmt: skip


# --- backward -----------------------------------------------------------------------


@linked
def pack_transposed(w: Any, r: Any, f: int, u: int, wants_dx: int, transposed: Any) -> None:
    """Fill `transposed` with Rᵀ panels, Wᵀ panels if dx is wanted, and zeros."""
    width = lane_count(w)
    pack(r, u, 1, u, u, odd_column(u, w), transposed)
    start = u * ((u + width - 1) // width * width)
    if wants_dx:
        pack(w, u, 1, u, f, odd_column(f, w), offset(transposed, start))
    start += u * ((f + width - 1) // width * width)
    for j in range(max(u, f)):
        store(transposed, start + j, 0.0)


@linked
def _chain(
    r: Any, zeros: Any, s: Any, dy: Any, step: int, dz: Any, dz_step: int, after: Any, dh0: Any,
    u: int, rows: int, all_steps: int, wants_dh0: int, act: int, start: int, stop: int, steps: int,
) -> None:  # fmt: skip
    """Fill dz for the steps stop..start, backwards, and dh0 if it is wanted and start is 0.

    Pointers stand at a task's first row, s and dy at step 0 (their steps, where there is more
    than one, `step` numbers apart), dz at step `start`. `after` holds dz of step `stop` and gets
    that of `start`. Unless `all_steps`, dy is that of the last step of all.
    """
    odd = odd_column(u, r)
    epilogue = 0 if odd else -1 - act
    for t in range(stop - 1, start - 1, -1):
        target = offset(dz, (t - start) * dz_step)
        following, depth = offset(target, dz_step), u
        if t == stop - 1:
            following = after
        if t == steps - 1:
            depth = 0
        init, init_row = zeros, 0
        if all_steps:
            init, init_row = offset(dy, t * step), u
        elif t == steps - 1:
            init, init_row = dy, u
        if odd:
            fill_odd(rows, u, depth, following, u, r, 0, following, 0, r, init, init_row, target)
        gemm(rows, u - odd, depth, following, u, 1, r, init, init_row, target, u, 0, epilogue,
             offset(s, t * step), u)  # fmt: skip
        if odd:
            call_finish(-1 - act, 1, rows * u, target, u, offset(s, t * step), u)
    copy(after, dz, rows * u)
    if wants_dh0 and start == 0:
        multiply(rows, u, u, dz, u, r, zeros, 0, dh0)


@inner_kernel
def _chain_share(
    s: Any, dy: Any, dh0: Any, work: Any, places: Any, act: int, apart: bool, chunk: int,
    start: int, stop: int, group: int, groups: int, member: int, members: int,
) -> None:  # fmt: skip
    """Go through the chunk start..stop with a member's rows of a group."""
    steps, batch, u = s.shape
    base = address(work)
    r = offset(base, group * places[COPY])
    dz, zeros = offset(base, places[DZ] + group * places[DZ_SIZE]), offset(r, places[ZEROS])
    after = offset(dz, chunk * ((batch + groups - 1) // groups) * u)
    if group and stop == steps and member == 0:
        sums = offset(base, places[SUMS] + (group - 1) * places[SUMS_SIZE])
        for j in range(places[SUMS_SIZE]):
            store(sums, j, 0.0)
    first, end = batch * group // groups, batch * (group + 1) // groups
    rows = end - first
    low, high = rows * member // members, rows * (member + 1) // members
    at, shift = (first + low) * u, low * u
    before = flush_denormals()
    if high > low:
        states, step = offset(address(s), at), batch * u
        if apart:
            states, step = offset(address(s), (steps * first + low) * u), rows * u
        _chain(r, zeros, states, offset(address(dy), at), step, offset(dz, shift), rows * u,
               offset(after, shift), offset(address(dh0), at), u, high - low,
               int(dy.shape[0] == steps), int(dh0.size > 0), act, start, stop,
               steps)  # fmt: skip
    restore(before)


@inner_kernel
def _fill_dx(
    dz: Any, u: int, rows: int, count: int, w: Any, f: int, zeros: Any, dx: Any, dx_step: int,
    scratch: Any, size: int,
) -> None:  # fmt: skip
    """Fill `count` steps of dx, which lie `dx_step` numbers apart; those of dz lie together.

    Where a step is less than a tile, some steps are one product, by way of `scratch`, of `size`
    numbers: 8% off a pass back with 4 rows of 16 features, 3% with 16 of 8.
    """
    width = lane_count(dz)
    together = 1
    if dx_step == rows * f:
        together = max(1, count)
    elif rows * ((f + width - 1) // width) < DX_REGISTERS:
        together = max(1, min(count, size // (rows * f), BLOCK // rows))
    for t in range(0, count, together):
        steps = min(together, count - t)
        target = offset(dx, t * dx_step)
        apart = together > 1 and dx_step != rows * f
        out = scratch if apart else target
        multiply(steps * rows, f, u, offset(dz, t * rows * u), u, w, zeros, 0, out)
        if apart:
            for i in range(steps):
                copy(offset(target, i * dx_step), offset(scratch, i * rows * f), rows * f)


@inner_kernel
def _gradient_share(
    x: Any, time_major: bool, h: Any, h0: Any, dw: Any, dr: Any, db: Any, dx: Any, work: Any,
    places: Any, apart: bool, start: int, stop: int, group: int, groups: int, member: int,
    members: int,
) -> None:  # fmt: skip
    """Add a member's share of a group's weight gradients of the chunk start..stop; fill its dx."""
    steps, batch, u = h.shape
    f = x.shape[2]
    base = address(work)
    packed = offset(base, group * places[COPY])
    w, zeros = offset(packed, places[W]), offset(packed, places[ZEROS])
    dz = offset(base, places[DZ] + group * places[DZ_SIZE])
    scratch = offset(base, places[SCRATCH] + (group * members + member) * places[SCRATCH_SIZE])
    dw_at, dr_at, db_at = address(dw), address(dr), address(db)
    if group:
        sums = offset(base, places[SUMS] + (group - 1) * places[SUMS_SIZE])
        dw_at, dr_at, db_at = sums, offset(sums, f * u), offset(sums, (f + u) * u)
    first, end = batch * group // groups, batch * (group + 1) // groups
    rows, count = end - first, stop - start
    x_row, x_step = steps * f, f
    if time_major:
        x_row, x_step = f, batch * f
    inputs = offset(address(x), first * x_row + start * x_step)
    begun, step = offset(address(h), first * u), batch * u
    if apart:
        begun, step = offset(address(h), steps * first * u), rows * u
    states, skip = offset(begun, (start - 1) * step), 0
    before = flush_denormals()
    if start == 0:
        # The first step multiplied h0, the others the state of the step before.
        states, skip = begun, 1
        add_outer(rows, 1, dz, u, u, inputs, x_row, x_step, f, dw_at,
                  offset(address(h0), first * u), u, 0, u, dr_at, int(h0.size > 0), u, db_at,
                  scratch, member, members, zeros, 0)  # fmt: skip
    add_outer(rows, count - skip, offset(dz, skip * rows * u), u, u, offset(inputs, skip * x_step),
              x_row, x_step, f, dw_at, states, u, step, u, dr_at, 1, u, db_at, scratch, member,
              members, zeros, 0)  # fmt: skip
    if dx.size:
        low, high = count * member // members, count * (member + 1) // members
        _fill_dx(offset(dz, low * rows * u), u, rows, high - low, w, f, zeros,
                 offset(address(dx), ((start + low) * batch + first) * f), batch * f, scratch,
                 places[SCRATCH_SIZE])  # fmt: skip
    restore(before)


@inner_kernel
def add_sums(dw: Any, dr: Any, db: Any, sums: Any, f: int, u: int, groups: int) -> None:
    """Add the sums of all groups but the first to the gradients, in order."""
    for group in range(1, groups):
        part = offset(sums, (group - 1) * (f + u + 1) * u)
        for j in range(f * u):
            store(dw, j, load(dw, j) + load(part, j))
        for j in range(u * u):
            store(dr, j, load(dr, j) + load(part, f * u + j))
        for j in range(u):
            store(db, j, load(db, j) + load(part, (f + u) * u + j))


@kernel
def backward(
    w: Any, r: Any, x: Any, time_major: bool, h: Any, s: Any, h0: Any, dy: Any, dw: Any, dr: Any,
    db: Any, dx: Any, dh0: Any, work: Any, places: Any, act: int, apart: bool, chunk: int,
    begin: int, stop: int, groups: int,
) -> None:  # fmt: skip
    """Go back from step `stop` to `begin` on one thread; all calls from T to 0 are one pass.

    Parameters
    ----------
    w, r : (F, U), (U, U)
    x : (B, T, F), or (T, B, F) if `time_major`
    h : (T, B, U), the states
    s : (T, B, U), what the derivative is a function of: h, or the kept z
    h0 : (B, U) or empty
    dy : (T, B, U), gradient of every output, or (1, B, U), of the last one
    dw, dr, db : (F, U), (U, U), (U,); added to
    dx : (T, B, F), overwritten, or empty
    dh0 : (B, U), overwritten, or empty
    work, places : (places[END],), the same in all calls of a pass; `backward_places`
    act : code of the activation
    apart : whether all steps of a group lie together in h and s, see `forward_brief_tasks`
    chunk : steps whose dz is kept at once; `begin` is a multiple of it
    groups : of rows, see `groups`
    """
    f, u = w.shape
    if stop == h.shape[0]:
        pack_transposed(address(w), address(r), f, u, int(dx.size > 0), address(work))
    for group in range(groups):
        end = stop
        while end > begin:
            start = (end - 1) // chunk * chunk
            _chain_share(s, dy, dh0, work, places, act, apart, chunk, start, end, group, groups, 0,
                         1)  # fmt: skip
            _gradient_share(x, time_major, h, h0, dw, dr, db, dx, work, places, apart, start, end,
                            group, groups, 0, 1)  # fmt: skip
            end = start
    if begin == 0:
        sums = offset(address(work), places[SUMS])
        add_sums(address(dw), address(dr), address(db), sums, f, u, groups)


def is_brief_backward(steps: int, batch: int, features: int, units: int, dtype: Any) -> bool:
    """Return whether `backward_brief` can take the work: its arrays lie on the stack."""
    size = backward_places(steps, batch, features, units, 1, 1, dtype)[END]
    return int(size) <= BRIEF_NUMBERS and groups(steps, batch, features, units) == 1


@kernel
def backward_brief(
    w: Any, r: Any, x: Any, h: Any, dy: Any, dw: Any, dr: Any, db: Any, dx: Any, act: int
) -> None:
    """Do what `backward` does after `forward_brief_kept`, on scratch of the stack."""
    steps, batch, u = h.shape
    f = x.shape[2]
    numbers = batch * u
    width = lane_count(address(w))
    base, states = stack(address(w), BRIEF_NUMBERS), address(h)
    w_t = offset(base, u * ((u + width - 1) // width * width))
    zeros = offset(w_t, u * ((f + width - 1) // width * width))
    dz = offset(zeros, max(u, f))
    after = offset(dz, steps * numbers)
    scratch = offset(after, numbers)
    pack_transposed(address(w), address(r), f, u, int(dx.size > 0), base)
    before = flush_denormals()
    _chain(base, zeros, states, address(dy), numbers, dz, numbers, after, zeros, u, batch,
           int(dy.shape[0] == steps), 0, act, 0, steps, steps)  # fmt: skip
    # h0 is zero: the first step has no share in dR.
    for start, stop, adds_dr in ((0, 1, 0), (1, steps, 1)):
        add_outer(batch, stop - start, offset(dz, start * numbers), u, u,
                  offset(address(x), start * f), steps * f, f, f, address(dw),
                  offset(states, (start - 1) * numbers), u, numbers, u, address(dr), adds_dr, u,
                  address(db), scratch, 0, 1, zeros, 0)  # fmt: skip
    if dx.size:
        multiply(steps * batch, f, u, dz, u, w_t, zeros, 0, address(dx))
    restore(before)


@parallel_kernel
def backward_tasks(
    w: Any, r: Any, x: Any, time_major: bool, h: Any, s: Any, h0: Any, dy: Any, dw: Any, dr: Any,
    db: Any, dx: Any, dh0: Any, work: Any, places: Any, act: int, apart: bool, chunk: int,
    begin: int, stop: int, groups: int, members: int,
) -> None:  # fmt: skip
    """Do what `backward` does on groups · members threads.

    With more threads than groups, the chain of a group is shared out by rows, its weight
    gradients by elements.
    """
    f, u = w.shape
    packs = stop == h.shape[0]
    if packs and not places[COPY]:
        pack_transposed(address(w), address(r), f, u, int(dx.size > 0), address(work))
    if members == 1:
        for group in prange(groups):
            if packs and places[COPY]:
                packed = offset(address(work), group * places[COPY])
                pack_transposed(address(w), address(r), f, u, int(dx.size > 0), packed)
            end = stop
            while end > begin:
                start = (end - 1) // chunk * chunk
                _chain_share(s, dy, dh0, work, places, act, apart, chunk, start, end, group,
                             groups, 0, 1)  # fmt: skip
                _gradient_share(x, time_major, h, h0, dw, dr, db, dx, work, places, apart, start,
                                end, group, groups, 0, 1)  # fmt: skip
                end = start
    else:
        while stop > begin:
            start = (stop - 1) // chunk * chunk
            for task in prange(groups * members):
                _chain_share(s, dy, dh0, work, places, act, apart, chunk, start, stop,
                             task // members, groups, task % members, members)  # fmt: skip
            for task in prange(groups * members):
                _gradient_share(x, time_major, h, h0, dw, dr, db, dx, work, places, apart, start,
                                stop, task // members, groups, task % members,
                                members)  # fmt: skip
            stop = start
    if begin == 0:
        sums = offset(address(work), places[SUMS])
        add_sums(address(dw), address(dr), address(db), sums, f, u, groups)
