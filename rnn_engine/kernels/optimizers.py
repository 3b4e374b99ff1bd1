"""Optimizer updates: one pass over memory a parameter, in place.

Every update kernel is called as ``kernel(w, g, q, *slots, hyper)`` on flat
arrays of one dtype: `w` the parameter, `g` its gradient, `q` an array whose
square is the squared gradient (`g` itself, except where a row of an embedding
has several gradients: see `merge_rows`), then the state of that parameter.

`hyper` holds the scalars, already rounded to the dtype. All kernels read
``hyper[0:4] = scale, limit, decay, rate``: the gradient is multiplied by
`scale` and clipped to [-limit, limit], and `w` shrinks by ``w decay rate``
first. With 1, inf and 0 these change no bit. From 4 on a kernel has its own.

Denormal numbers count as zero (`kernels.denormals`): a moment that dies out would else
stay one for ever, and make each later step slow.

The loops are elementwise, so LLVM vectorizes them and no bit depends on the
width. `q` passed beside `g` costs nothing measurable (the line is in L1 already,
and the division and square root bound the loop); as an optional argument it
would cost 0.3 µs a call and a second compilation. Large variables are shared out between
threads: one core of an Intel Xeon reads 16 GB/s from memory, two 32. (On an AMD EPYC two
gained 4%.)
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import array_at
from rnn_engine.kernels.pool import share

SCALE, LIMIT, DECAY, RATE = 0, 1, 2, 3
HYPER_SIZE = 16
# A variable is cut into parts of so many numbers, which threads share: a pass of Adam over
# them and their moments is 7 MB of memory.
PART_NUMBERS = 1 << 18


# --- all variables in one call ---------------------------------------------------


@functools.cache
def for_all(update: Any, slots: int, parallel: bool) -> Any:
    """Return ``kernel(table, hyper, tasks)``, which runs `update` on every row of a table.

    A row is 4 + slots numbers of the flat `table` of int64: a size and the addresses of the
    parameter, its gradient, `q` and its slots, see `table_of`. One call instead of one a
    variable: of a model of a few hundred weights the calls are most of the time.
    """
    width = 4 + slots

    def rows(table: Any, hyper: Any, task: int, tasks: int) -> None:
        for at in range(task * width, table.size, tasks * width):
            size = table[at]
            w, g = array_at(table, at + 1, hyper, size), array_at(table, at + 2, hyper, size)
            q = array_at(table, at + 3, hyper, size)
            if slots == 0:
                update(w, g, q, hyper)
            elif slots == 1:
                update(w, g, q, array_at(table, at + 4, hyper, size), hyper)
            elif slots == 2:
                update(w, g, q, array_at(table, at + 4, hyper, size),
                       array_at(table, at + 5, hyper, size), hyper)  # fmt: skip
            elif slots == 3:
                update(w, g, q, array_at(table, at + 4, hyper, size),
                       array_at(table, at + 5, hyper, size),
                       array_at(table, at + 6, hyper, size), hyper)  # fmt: skip

    def run(table: Any, hyper: Any, tasks: int) -> None:
        if parallel:
            share(each, (table, hyper), tasks)
        else:
            each(table, hyper, 0, 1)

    # Each has a name of its own, in the cache and in the library.
    name = f"{getattr(update, 'py_func', update).__name__.rpartition('.')[2]}_{slots}"
    rows.__qualname__ = f"rows_{name}"
    run.__qualname__ = f"{'parallel' if parallel else 'serial'}_{name}"
    each = kernel(rows)
    return kernel(run)


def table_of(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return the table of `for_all` for rows of flat arrays; whoever uses it keeps them alive."""
    table = [[arrays[0].size, *(array.ctypes.data for array in arrays)] for arrays in rows]
    return np.array(table, np.int64).reshape(-1)


def in_parts(update: Any, arrays: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """Cut the arrays of one variable into rows that may be updated side by side.

    Large ones only, and not where an update needs the whole variable, as LAMB's norms do.
    """
    size = arrays[0].size
    parts = 1 if update is lamb else max(1, size // PART_NUMBERS)
    bounds = [size * part // parts for part in range(parts + 1)]
    return [[array[a:b] for array in arrays] for a, b in itertools.pairwise(bounds)]


@kernel
def sgd(w, g, q, hyper):  # type: ignore[no-untyped-def]
    """``w -= rate g``."""
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        wi = w[i]
        wi -= wi * decay * rate
        w[i] = wi - gi * rate
    restore(before)


@kernel
def sgd_momentum(w, g, q, m, hyper):  # type: ignore[no-untyped-def]
    """``m = momentum m - rate g``, then ``w += along m - across g``.

    `along`, `across` are 1, 0 for plain momentum and momentum, rate for Nesterov's.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    momentum, along, across = hyper[4], hyper[5], hyper[6]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        wi = w[i]
        wi -= wi * decay * rate
        mi = m[i] * momentum - gi * rate
        m[i] = mi
        w[i] = wi + (mi * along - gi * across)
    restore(before)


@kernel
def rmsprop(w, g, q, v, hyper):  # type: ignore[no-untyped-def]
    """``v = rho v + (1 - rho) g²``, ``w -= rate g / sqrt(v + epsilon)``."""
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    rho, fresh, epsilon = hyper[4], hyper[5], hyper[6]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        vi = rho * v[i] + fresh * (qi * qi)
        v[i] = vi
        w[i] = wi - rate * gi / math.sqrt(vi + epsilon)
    restore(before)


@kernel
def rmsprop_general(w, g, q, v, m, a, hyper):  # type: ignore[no-untyped-def]
    """RMSprop with momentum `m` and, where `centered` is 1, the mean gradient `a`.

    ``a = rho a + (1 - rho) g``, ``m = momentum m + rate g / sqrt(v - a² + epsilon)``,
    ``w -= m``.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    rho, fresh, epsilon, momentum, centered = hyper[4], hyper[5], hyper[6], hyper[7], hyper[8]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        vi = rho * v[i] + fresh * (qi * qi)
        v[i] = vi
        ai = centered * (rho * a[i] + fresh * gi)
        a[i] = ai
        mi = momentum * m[i] + rate * gi / math.sqrt(vi - ai * ai + epsilon)
        m[i] = mi
        w[i] = wi - mi
    restore(before)


@kernel
def adam(w, g, q, m, v, hyper):  # type: ignore[no-untyped-def]
    """``w -= alpha m / (sqrt(v) + epsilon)``; `alpha` holds the bias correction.

    Before that ``m += (g - m)(1 - beta_1)``, ``v += (g² - v)(1 - beta_2)``.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    alpha, fresh_1, fresh_2, epsilon = hyper[4], hyper[5], hyper[6], hyper[7]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        mi = m[i]
        mi += (gi - mi) * fresh_1
        m[i] = mi
        vi = v[i]
        vi += (qi * qi - vi) * fresh_2
        v[i] = vi
        w[i] = wi - mi * alpha / (math.sqrt(vi) + epsilon)
    restore(before)


@kernel
def adam_amsgrad(w, g, q, m, v, top, hyper):  # type: ignore[no-untyped-def]
    """Adam dividing by the largest `v` so far, kept in `top`."""
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    alpha, fresh_1, fresh_2, epsilon = hyper[4], hyper[5], hyper[6], hyper[7]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        mi = m[i]
        mi += (gi - mi) * fresh_1
        m[i] = mi
        vi = v[i]
        vi += (qi * qi - vi) * fresh_2
        v[i] = vi
        # Written so that a NaN in v stays in the maximum.
        ti = top[i]
        ti = ti if ti > vi else vi
        top[i] = ti
        w[i] = wi - mi * alpha / (math.sqrt(ti) + epsilon)
    restore(before)


@kernel
def moving_average(average, w, momentum):  # type: ignore[no-untyped-def]
    """``average = keep average + fresh w``, with ``momentum = keep, fresh``."""
    before = flush_denormals()
    keep = momentum[0]
    fresh = momentum[1]
    for i in range(w.size):
        average[i] = keep * average[i] + fresh * w[i]
    restore(before)


@kernel
def sum_of_squares(x):  # type: ignore[no-untyped-def]
    """Sum of ``x²`` in float64, over eight interleaved partial sums in a fixed order."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    blocks = x.size // 8 * 8
    for i in range(0, blocks, 8):
        s0 += np.float64(x[i]) * np.float64(x[i])
        s1 += np.float64(x[i + 1]) * np.float64(x[i + 1])
        s2 += np.float64(x[i + 2]) * np.float64(x[i + 2])
        s3 += np.float64(x[i + 3]) * np.float64(x[i + 3])
        s4 += np.float64(x[i + 4]) * np.float64(x[i + 4])
        s5 += np.float64(x[i + 5]) * np.float64(x[i + 5])
        s6 += np.float64(x[i + 6]) * np.float64(x[i + 6])
        s7 += np.float64(x[i + 7]) * np.float64(x[i + 7])
    for i in range(blocks, x.size):
        s0 += np.float64(x[i]) * np.float64(x[i])
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@kernel
def merge_rows(place, values, g, q, absolute, hyper):  # type: ignore[no-untyped-def]
    """Add row k of `values`, scaled and clipped, to row ``place[k]`` of `g`.

    `q` collects the squares of what is added, or its magnitudes if `absolute`:
    where a row occurs more than once, Keras on TensorFlow squares each occurrence
    before it sums them, and a run of Keras's is only met by doing the same.
    """
    before = flush_denormals()
    scale, limit = hyper[0], hyper[1]
    for k in range(place.size):
        row = place[k]
        for j in range(values.shape[1]):
            gk = values[k, j] * scale
            gk = limit if gk > limit else gk
            gk = -limit if gk < -limit else gk
            g[row, j] += gk
            q[row, j] += abs(gk) if absolute else gk * gk
    restore(before)


@kernel
def adamax(w, g, q, m, u, hyper):  # type: ignore[no-untyped-def]
    """``w -= rate m / ((1 - beta_1^t)(u + epsilon))``.

    Before that ``m += (g - m)(1 - beta_1)``, ``u = max(beta_2 u, |g|)``.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    fresh, beta_2, correction, epsilon = hyper[4], hyper[5], hyper[6], hyper[7]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        mi = m[i]
        mi += (gi - mi) * fresh
        m[i] = mi
        ui = beta_2 * u[i]
        size = abs(qi)
        ui = ui if ui > size else size
        u[i] = ui
        w[i] = wi - rate * mi / (correction * (ui + epsilon))
    restore(before)


@kernel
def nadam(w, g, q, m, v, hyper):  # type: ignore[no-untyped-def]
    """Adam looking ahead: ``w -= rate m̂ / (sqrt(v / (1 - beta_2^t)) + epsilon)``.

    ``m̂ = ahead m / rest_ahead + now g / rest_now``: `ahead` is the momentum of
    the next step, `now` one less that of this one, the rests one less the
    products of the momenta so far.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    fresh_1, fresh_2, epsilon, correction = hyper[4], hyper[5], hyper[6], hyper[7]
    ahead, rest_ahead, now, rest_now = hyper[8], hyper[9], hyper[10], hyper[11]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        mi = m[i]
        mi += (gi - mi) * fresh_1
        m[i] = mi
        vi = v[i]
        vi += (qi * qi - vi) * fresh_2
        v[i] = vi
        hat = ahead * mi / rest_ahead + now * gi / rest_now
        w[i] = wi - hat * rate / (math.sqrt(vi / correction) + epsilon)
    restore(before)


@kernel
def adagrad(w, g, q, a, hyper):  # type: ignore[no-untyped-def]
    """``w -= rate g / sqrt(a + epsilon)``, after ``a += g²``."""
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    epsilon = hyper[4]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        ai = a[i] + qi * qi
        a[i] = ai
        w[i] = wi - rate * gi / math.sqrt(ai + epsilon)
    restore(before)


@kernel
def adadelta(w, g, q, a, d, hyper):  # type: ignore[no-untyped-def]
    """``step = g sqrt(d + epsilon) / sqrt(a + epsilon)``, ``w -= rate step``.

    Before it ``a = rho a + (1 - rho) g²``, after it ``d = rho d + (1 - rho) step²``.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    rho, fresh, epsilon = hyper[4], hyper[5], hyper[6]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        ai = rho * a[i] + fresh * (qi * qi)
        a[i] = ai
        di = d[i]
        top = math.sqrt(di + epsilon)
        bottom = math.sqrt(ai + epsilon)
        squared = top * qi / bottom
        d[i] = rho * di + fresh * (squared * squared)
        w[i] = wi - rate * (top * gi / bottom)
    restore(before)


@kernel
def ftrl(w, g, q, a, z, hyper):  # type: ignore[no-untyped-def]
    """Follow the regularized leader: the new `w` is read off `a` and `z` alone.

    ``n = a + g²``, ``z += g + twice_shrink w - (n^power - a^power) / rate w``,
    ``w = (clip(z, -l1, l1) - z) / (n^power / rate + twice_l2)``, ``a = n``.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    power, l1, twice_l2, twice_shrink = hyper[4], hyper[5], hyper[6], hyper[7]
    # The default, -0.5: a square root vectorizes, a power is a call an element.
    root = power * 2 == 1
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        wi -= wi * decay * rate
        old = a[i]
        new = old + qi * qi
        a[i] = new
        new_power = math.sqrt(new) if root else new**power
        old_power = math.sqrt(old) if root else old**power
        zi = z[i] + ((gi + twice_shrink * wi) - (new_power - old_power) / rate * wi)
        z[i] = zi
        clipped = l1 if zi > l1 else zi
        clipped = -l1 if clipped < -l1 else clipped
        w[i] = (clipped - zi) / (new_power / rate + twice_l2)
    restore(before)


@kernel
def lion(w, g, q, m, hyper):  # type: ignore[no-untyped-def]
    """``w -= rate sign(beta_1 m + (1 - beta_1) g)``, ``m = beta_2 m + (1 - beta_2) g``."""
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    beta_1, fresh_1, beta_2, fresh_2 = hyper[4], hyper[5], hyper[6], hyper[7]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        wi = w[i]
        wi -= wi * decay * rate
        mi = m[i]
        m[i] = mi * beta_2 + gi * fresh_2
        blend = mi * beta_1 + gi * fresh_1
        step = rate if blend > 0 else blend * 0
        step = -rate if blend < 0 else step
        w[i] = wi - step
    restore(before)


@kernel
def lamb(w, g, q, m, v, u, hyper):  # type: ignore[no-untyped-def]
    """``w -= |w| / |u| rate u`` with Adam's direction `u`, kept between the two passes.

    ``u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)``. Norms are
    summed in float64, in a fixed order.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    fresh_1, fresh_2, epsilon = hyper[4], hyper[5], hyper[6]
    correction_1, correction_2 = hyper[7], hyper[8]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        qi = q[i] * scale
        qi = limit if qi > limit else qi
        qi = -limit if qi < -limit else qi
        wi = w[i]
        w[i] = wi - wi * decay * rate
        mi = m[i]
        mi += (gi - mi) * fresh_1
        m[i] = mi
        vi = v[i]
        vi += (qi * qi - vi) * fresh_2
        v[i] = vi
        u[i] = (mi / correction_1) / (math.sqrt(vi / correction_2) + epsilon)
    w_norm = math.sqrt(sum_of_squares(w))
    u_norm = math.sqrt(sum_of_squares(u))
    ratio = rate
    if w_norm > 0 and u_norm > 0:
        ratio = w.dtype.type(w_norm / u_norm) * rate
    for i in range(w.size):
        w[i] -= ratio * u[i]
    restore(before)


@kernel
def adafactor_vector(w, g, q, v, hyper):  # type: ignore[no-untyped-def]
    """Adafactor without factors: ``v = beta v + (1 - beta)(g² + epsilon_1)``.

    Then ``w -= max(epsilon_2, rms(w)) rate' u / max(1, rms(u) / threshold)`` with
    ``u = g / sqrt(v)``; means are taken in float64.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    beta, fresh, epsilon_1, epsilon_2 = hyper[4], hyper[5], hyper[6], hyper[7]
    pace, threshold = hyper[8], hyper[9]
    w_sum = 0.0
    u_sum = 0.0
    for i in range(w.size):
        qi = min(max(q[i] * scale, -limit), limit)
        wi = w[i]
        wi -= wi * decay * rate
        w[i] = wi
        w_sum += np.float64(wi) * np.float64(wi)
        vi = beta * v[i] + fresh * (qi * qi + epsilon_1)
        v[i] = vi
        ui = np.float64(qi / math.sqrt(vi))
        u_sum += ui * ui
    step = _adafactor_step(w, w_sum, u_sum, epsilon_2, pace, threshold)
    for i in range(w.size):
        gi = min(max(g[i] * scale, -limit), limit)
        w[i] -= step * (gi / math.sqrt(v[i]))
    restore(before)


@kernel
def adafactor(w, g, q, r, c, v, sums, hyper):  # type: ignore[no-untyped-def]
    """Adafactor: `v` as the outer product of row and column means over ``g² + epsilon_1``.

    ``r (N,R)`` and ``c (N,C)`` are running means over columns and rows of the last
    two axes, ``v = r / mean(r) c``; `w`, `g`, `q`, `v` are flat (N,R,C), `sums` (C,)
    is room for the column sums in float64. The step is that of `adafactor_vector`.
    """
    before = flush_denormals()
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    beta, fresh, epsilon_1, epsilon_2 = hyper[4], hyper[5], hyper[6], hyper[7]
    pace, threshold = hyper[8], hyper[9]
    rows, columns = r.shape[1], c.shape[1]
    number = w.dtype.type
    w_sum = 0.0
    u_sum = 0.0
    for n in range(r.shape[0]):
        sums[:] = 0.0
        r_sum = 0.0
        for i in range(rows):
            at = (n * rows + i) * columns
            row_sum = 0.0
            for j in range(columns):
                qi = min(max(q[at + j] * scale, -limit), limit)
                square = np.float64(qi * qi + epsilon_1)
                row_sum += square
                sums[j] += square
                wi = w[at + j]
                wi -= wi * decay * rate
                w[at + j] = wi
                w_sum += np.float64(wi) * np.float64(wi)
            ri = beta * r[n, i] + fresh * number(row_sum / columns)
            r[n, i] = ri
            r_sum += ri
        for j in range(columns):
            c[n, j] = beta * c[n, j] + fresh * number(sums[j] / rows)
        r_mean = number(r_sum / rows)
        for i in range(rows):
            at = (n * rows + i) * columns
            share = r[n, i] / r_mean
            for j in range(columns):
                vi = share * c[n, j]
                v[at + j] = vi
                qi = min(max(q[at + j] * scale, -limit), limit)
                ui = np.float64(qi / math.sqrt(vi))
                u_sum += ui * ui
    step = _adafactor_step(w, w_sum, u_sum, epsilon_2, pace, threshold)
    for i in range(w.size):
        gi = min(max(g[i] * scale, -limit), limit)
        w[i] -= step * (gi / math.sqrt(v[i]))
    restore(before)


@kernel
def _adafactor_step(w, w_sum, u_sum, epsilon_2, pace, threshold):  # type: ignore[no-untyped-def]
    """Return the factor of ``g / sqrt(v)``, in the dtype of `w`."""
    number = w.dtype.type
    w_rms = number(math.sqrt(w_sum / w.size))
    u_rms = number(math.sqrt(u_sum / w.size))
    alpha = (w_rms if w_rms > epsilon_2 else epsilon_2) * pace
    excess = u_rms / threshold
    return alpha / excess if excess > 1 else alpha
