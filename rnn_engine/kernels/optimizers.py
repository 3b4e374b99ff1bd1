"""Optimizer updates: one pass over memory a parameter, in place.

Every update kernel is called as ``kernel(w, g, q, *slots, hyper)`` on flat
arrays of one dtype: `w` the parameter, `g` its gradient, `q` an array whose
square is the squared gradient (`g` itself, except where a row of an embedding
has several gradients: see `merge_rows`), then the state of that parameter.

`hyper` holds the scalars, already rounded to the dtype. All kernels read
``hyper[0:4] = scale, limit, decay, rate``: the gradient is multiplied by
`scale` and clipped to [-limit, limit], and `w` shrinks by ``w decay rate``
first. With 1, inf and 0 these change no bit. From 4 on a kernel has its own.

The loops are elementwise, so LLVM vectorizes them and no bit depends on the
width. `q` passed beside `g` costs nothing measurable (the line is in L1 already,
and the division and square root bound the loop); as an optional argument it
would cost 0.3 µs a call and a second compilation.
"""

import math

import numpy as np

from rnn_engine.kernels.options import kernel

SCALE, LIMIT, DECAY, RATE = 0, 1, 2, 3
HYPER_SIZE = 16


@kernel
def sgd(w, g, q, hyper):  # type: ignore[no-untyped-def]
    """``w -= rate g``."""
    scale, limit, decay, rate = hyper[0], hyper[1], hyper[2], hyper[3]
    for i in range(w.size):
        gi = g[i] * scale
        gi = limit if gi > limit else gi
        gi = -limit if gi < -limit else gi
        wi = w[i]
        wi -= wi * decay * rate
        w[i] = wi - gi * rate


@kernel
def sgd_momentum(w, g, q, m, hyper):  # type: ignore[no-untyped-def]
    """``m = momentum m - rate g``, then ``w += along m - across g``.

    `along`, `across` are 1, 0 for plain momentum and momentum, rate for Nesterov's.
    """
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


@kernel
def rmsprop(w, g, q, v, hyper):  # type: ignore[no-untyped-def]
    """``v = rho v + (1 - rho) g²``, ``w -= rate g / sqrt(v + epsilon)``."""
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


@kernel
def rmsprop_general(w, g, q, v, m, a, hyper):  # type: ignore[no-untyped-def]
    """RMSprop with momentum `m` and, where `centered` is 1, the mean gradient `a`.

    ``a = rho a + (1 - rho) g``, ``m = momentum m + rate g / sqrt(v - a² + epsilon)``,
    ``w -= m``.
    """
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


@kernel
def adam(w, g, q, m, v, hyper):  # type: ignore[no-untyped-def]
    """``w -= alpha m / (sqrt(v) + epsilon)``; `alpha` holds the bias correction.

    Before that ``m += (g - m)(1 - beta_1)``, ``v += (g² - v)(1 - beta_2)``.
    """
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


@kernel
def adam_amsgrad(w, g, q, m, v, top, hyper):  # type: ignore[no-untyped-def]
    """Adam dividing by the largest `v` so far, kept in `top`."""
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


@kernel
def moving_average(average, w, momentum):  # type: ignore[no-untyped-def]
    """``average = keep average + fresh w``, with ``momentum = keep, fresh``."""
    keep = momentum[0]
    fresh = momentum[1]
    for i in range(w.size):
        average[i] = keep * average[i] + fresh * w[i]


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
    scale, limit = hyper[0], hyper[1]
    for k in range(place.size):
        row = place[k]
        for j in range(values.shape[1]):
            gk = values[k, j] * scale
            gk = limit if gk > limit else gk
            gk = -limit if gk < -limit else gk
            g[row, j] += gk
            q[row, j] += abs(gk) if absolute else gk * gk
