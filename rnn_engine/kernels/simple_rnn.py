"""SimpleRNN, forward and back through time.

    h[t] = act(b + x[t]·W + h[t-1]·R),    h[-1] = h0

    dz[t] = (dy[t] + dz[t+1]·Rᵀ) ⊙ act'(h[t])
    dW = Σ x[t]ᵀ·dz[t]    dR = Σ h[t-1]ᵀ·dz[t]    db = Σ dz[t]
    dx[t] = dz[t]·Wᵀ      dh0 = dz[0]·Rᵀ

Everything but a batch-major x is time-major, (T, B, ·): the rows of a step lie
together. Rows are independent through all of time, so a task takes a range of rows
from the first step to the last, without meeting the others. Optional arrays are
passed with no elements. The sum of every h element runs over b, then the features,
then the units, in this order, whoever computes it.
"""

from typing import Any

from numba import prange

from rnn_engine.kernels.gemm import gemm, pack, packed_size
from rnn_engine.kernels.options import kernel, parallel_kernel
from rnn_engine.kernels.outer import add_outer
from rnn_engine.kernels.pointers import address, lane_count, offset

# The projected inputs of a chunk of time should stay in the second-level cache until
# the chain reads them: 64 Ki numbers are 256 KiB in float32.
CHUNK_NUMBERS = 65536


def chunk_steps(timesteps: int, rows: int, units: int) -> int:
    """Return how many steps are projected at once."""
    return max(1, min(timesteps, CHUNK_NUMBERS // max(1, rows * units)))


def weights_size(features: int, units: int, dtype: Any) -> int:
    """Return the length of the packed weights: W panels, R panels, bias."""
    return packed_size(features, units, dtype) + packed_size(units, units, dtype) + units


def transposed_size(features: int, units: int, dtype: Any) -> int:
    """Return the length of what backward packs: Rᵀ panels, Wᵀ panels, zeros, a one."""
    return (
        packed_size(units, units, dtype)
        + packed_size(units, features, dtype)
        + (max(units, features) + 1)
    )


@kernel
def pack_weights(w: Any, r: Any, b: Any, weights: Any) -> None:
    """Fill `weights` from W (F, U), R (U, U) and b (U,) or an empty b."""
    f, u = w.shape
    target = address(weights)
    width = lane_count(target)
    columns = (u + width - 1) // width * width
    pack(address(w), u, 1, f, u, target)
    pack(address(r), u, 1, u, u, offset(target, f * columns))
    start = (f + u) * columns
    for j in range(u):
        weights[start + j] = b[j] if b.size else 0.0


@kernel
def weight_panels(weights: Any, f: int, u: int) -> Any:
    """Return pointers to the W panels, the R panels and the bias in `weights`."""
    w = address(weights)
    width = lane_count(w)
    columns = (u + width - 1) // width * width
    r = offset(w, f * columns)
    return w, r, offset(r, u * columns)


@kernel
def project(
    x: Any, time_major: bool, w: Any, b: Any, f: int, u: int, begin: int, count: int, first: int,
    end: int, target: Any, step: int,
) -> None:  # fmt: skip
    """Write b + x[t]·W for `count` steps from `begin` and rows first..end to `target`.

    Steps of `target` are `step` numbers apart, rows u. Tiles of several rows may be
    taken over the batch or over time, whichever has more.
    """
    batch = x.shape[1] if time_major else x.shape[0]
    steps = x.shape[0] if time_major else x.shape[1]
    x_row = f if time_major else steps * f
    x_step = batch * f if time_major else f
    rows = end - first
    inputs = offset(address(x), begin * x_step + first * x_row)
    if time_major and rows == batch and step == batch * u:
        gemm(count * rows, u, f, inputs, f, 1, w, b, 0, target, u, 0, 0, b, 0)
    elif rows >= count or rows >= 12:
        for t in range(count):
            gemm(rows, u, f, offset(inputs, t * x_step), x_row, 1, w, b, 0,
                 offset(target, t * step), u, 0, 0, b, 0)  # fmt: skip
    else:
        for row in range(rows):
            gemm(count, u, f, offset(inputs, row * x_row), x_step, 1, w, b, 0,
                 offset(target, row * u), step, 0, 0, b, 0)  # fmt: skip


@kernel
def forward_rows(
    x: Any, time_major: bool, weights: Any, h0: Any, h: Any, z: Any, last: Any, act: int,
    chunk: int, first: int, end: int,
) -> None:  # fmt: skip
    """Run rows first..end of the batch through all steps.

    Parameters
    ----------
    x : (B, T, F), or (T, B, F) if `time_major`
    weights : from `pack_weights`
    h0 : (B, U) or empty, for zeros
    h : (T, B, U) to keep every state, or (chunk, B, U) as scratch
    z : (T, B, U) to keep every pre-activation, or empty
    last : (B, U), the state after the last step
    act : code of the activation
    chunk : steps projected at once
    """
    batch, u = last.shape
    f = x.shape[2]
    steps = x.shape[0] if time_major else x.shape[1]
    rows = end - first
    kept = h.shape[0] == steps
    step = batch * u
    w, r, b = weight_panels(weights, f, u)
    last_at = offset(address(last), first * u)
    for begin in range(0, steps, chunk):
        count = min(chunk, steps - begin)
        base = begin if kept else 0
        block = offset(address(h), base * step + first * u)
        project(x, time_major, w, b, f, u, begin, count, first, end, block, step)
        for t in range(count):
            target = offset(block, t * step)
            depth = u
            previous = offset(target, -step)
            if begin + t == 0:
                if h0.size:
                    previous = offset(address(h0), first * u)
                else:
                    depth = 0
            elif t == 0 and not kept:
                previous = last_at
            keep, keep_row = target, 0
            if z.size:
                keep, keep_row = offset(address(z), (begin + t) * step + first * u), u
            gemm(rows, u, depth, previous, u, 1, r, target, u, target, u, 0, act,
                 keep, keep_row)  # fmt: skip
        for row in range(first, end):
            for j in range(u):
                last[row, j] = h[base + count - 1, row, j]


@parallel_kernel
def forward_tasks(
    x: Any, time_major: bool, weights: Any, h0: Any, h: Any, z: Any, last: Any, act: int,
    chunk: int, tasks: int,
) -> None:  # fmt: skip
    """Run the whole batch, its rows shared out between `tasks` threads."""
    batch = last.shape[0]
    for task in prange(tasks):
        forward_rows(x, time_major, weights, h0, h, z, last, act, chunk,
                     batch * task // tasks, batch * (task + 1) // tasks)  # fmt: skip


@kernel
def pack_transposed(w: Any, r: Any, transposed: Any) -> None:
    """Fill `transposed` from W (F, U) and R (U, U)."""
    f, u = w.shape
    target = address(transposed)
    width = lane_count(target)
    pack(address(r), 1, u, u, u, target)
    start = u * ((u + width - 1) // width * width)
    pack(address(w), 1, u, u, f, offset(target, start))
    start += u * ((f + width - 1) // width * width)
    for j in range(max(u, f)):
        transposed[start + j] = 0.0
    transposed[start + max(u, f)] = 1.0


@kernel
def _chain(
    transposed: Any, zeros: Any, s: Any, dy: Any, dlast: Any, dz: Any, dh0: Any, act: int,
    first: int, end: int,
) -> None:  # fmt: skip
    """Fill dz, and dh0 if wanted, for rows first..end, from the last step to the first."""
    steps, batch, u = dz.shape
    step, rows, shift = batch * u, end - first, first * u
    r = address(transposed)
    dz_at = offset(address(dz), shift)
    for t in range(steps - 1, -1, -1):
        init, init_row = zeros, 0
        if dy.size:
            init, init_row = offset(address(dy), t * step + shift), u
        elif t == steps - 1:
            init, init_row = offset(address(dlast), shift), u
        target = offset(dz_at, t * step)
        depth = u if t < steps - 1 else 0
        gemm(rows, u, depth, offset(target, step), u, 1, r, init, init_row, target, u,
             0, -1 - act, offset(address(s), t * step + shift), u)  # fmt: skip
    if dh0.size:
        gemm(rows, u, u, dz_at, u, 1, r, zeros, 0, offset(address(dh0), shift), u,
             0, 0, zeros, 0)  # fmt: skip


@kernel
def weight_share(
    one: Any, x: Any, h: Any, h0: Any, dz: Any, dw: Any, dr: Any, db: Any, scratch: Any,
    task: int, tasks: int, shifted: bool,
) -> None:  # fmt: skip
    """Add one task's share of the weight gradients.

    R was multiplied with ``h[t - 1]`` at step t, or with ``h[t]`` unless `shifted`.
    """
    steps, batch, u = dz.shape
    f = x.shape[2]
    panel = offset(address(scratch), scratch.size // tasks * task)
    if not shifted:
        add_outer(steps * batch, address(dz), u, address(x), f, address(dw), address(h), u,
                  address(dr), address(db), one, panel, task, tasks)  # fmt: skip
        return
    # The first step multiplied h0, the others the state of the step before.
    add_outer(batch, address(dz), u, address(x), f, address(dw), address(h0),
              u if h0.size else 0, address(dr), address(db), one, panel, task, tasks)  # fmt: skip
    add_outer((steps - 1) * batch, offset(address(dz), batch * u), u,
              offset(address(x), batch * f), f, address(dw), address(h), u, address(dr),
              address(db), one, panel, task, tasks)  # fmt: skip


@kernel
def input_share(w: Any, zeros: Any, dz: Any, dx: Any, first: int, end: int) -> None:
    """Fill rows first..end of dx, seen as (T·B, F)."""
    u, f = dz.shape[2], dx.shape[2]
    gemm(end - first, f, u, offset(address(dz), first * u), u, 1, w, zeros, 0,
         offset(address(dx), first * f), f, 0, 0, zeros, 0)  # fmt: skip


@kernel
def backward(
    transposed: Any, x: Any, h: Any, s: Any, h0: Any, dy: Any, dlast: Any, dz: Any, dw: Any,
    dr: Any, db: Any, dx: Any, dh0: Any, scratch: Any, act: int, tasks: int,
) -> None:  # fmt: skip
    """Go back through time on one thread.

    Parameters
    ----------
    transposed : from `pack_transposed`
    x : (T, B, F)
    h : (T, B, U), the states
    s : (T, B, U), what the derivative is a function of: h, or the kept z
    h0 : (B, U) or empty
    dy : (T, B, U), gradient of every output, or empty
    dlast : (B, U), gradient of the last state; read if `dy` is empty
    dz : (T, B, U), overwritten
    dw, dr, db : (F, U), (U, U), (U,); added to
    dx : (T, B, F), overwritten, or empty
    dh0 : (B, U), overwritten, or empty
    scratch : (outer.scratch_size(tasks),)
    act, tasks : code of the activation; 1
    """
    steps, batch, u = dz.shape
    zeros, one, w = places(transposed, x.shape[2], u)
    _chain(transposed, zeros, s, dy, dlast, dz, dh0, act, 0, batch)
    weight_share(one, x, h, h0, dz, dw, dr, db, scratch, 0, 1, True)
    if dx.size:
        input_share(w, zeros, dz, dx, 0, steps * batch)


@parallel_kernel
def backward_tasks(
    transposed: Any, x: Any, h: Any, s: Any, h0: Any, dy: Any, dlast: Any, dz: Any, dw: Any,
    dr: Any, db: Any, dx: Any, dh0: Any, scratch: Any, act: int, tasks: int,
) -> None:  # fmt: skip
    """Do what `backward` does, shared out between `tasks` threads.

    The chain and dx are shared out by rows, the weight gradients by columns.
    """
    steps, batch, u = dz.shape
    zeros, one, w = places(transposed, x.shape[2], u)
    for task in prange(tasks):
        _chain(transposed, zeros, s, dy, dlast, dz, dh0, act,
               batch * task // tasks, batch * (task + 1) // tasks)  # fmt: skip
    for task in prange(tasks):
        weight_share(one, x, h, h0, dz, dw, dr, db, scratch, task, tasks, True)
        if dx.size:
            total = steps * batch
            input_share(w, zeros, dz, dx, total * task // tasks, total * (task + 1) // tasks)


@kernel
def places(transposed: Any, f: int, u: int) -> Any:
    """Return pointers to the zeros, the one and the Wᵀ panels in `transposed`."""
    start = address(transposed)
    width = lane_count(start)
    w = offset(start, u * ((u + width - 1) // width * width))
    zeros = offset(w, u * ((f + width - 1) // width * width))
    return zeros, offset(zeros, max(u, f)), w
