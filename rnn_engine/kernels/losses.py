"""The squared error, and softmax cross-entropy, one row of logits at a time.

    m = max x,  e = exp(x - m),  s = Σ e
    value = log s - (x_y - m)          (class label y)
    value = Σ t (log s - (x - m))      (one target t a class)
    dx = upstream (e / s - onehot(y))  or  upstream (e / s - t)

A row stays in cache between its passes. Sums run in 16 lanes that are added in
one fixed order, in float64, so the bits do not depend on the vector width.
`dx` by targets is the slope TensorFlow uses: it takes Σ t for 1.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange
from numba.core import types
from numba.extending import intrinsic

from rnn_engine.kernels.options import kernel, parallel_kernel, scratch_kernel

# e^x = 2^n e^r with |r| <= ln(2)/2: the Taylor series, highest power first, is
# exact to 7e-9 (8 terms, float32) and 5e-18 (14 terms, float64), relative.
_INVERSE_FACTORIALS = tuple(1.0 / float(np.prod(np.arange(1.0, k + 1))) for k in range(14))
# log2 e; the magic number 1.5·2^(mantissa bits) that rounds to an integer when it
# is added and taken away; ln 2 in two parts; where e^x leaves the normal numbers; 0.
_CONSTANTS = {
    np.dtype(np.float32): (1.4426950408889634, 12582912.0, 0.693359375, -2.12194440e-4, -87.3, 0.0),
    np.dtype(np.float64): (
        1.4426950408889634,
        6755399441055744.0,
        6.93147180369123816490e-01,
        1.90821492927058770002e-10,
        -708.3,
        0.0,
    ),
}
_TERMS = {np.dtype(np.float32): 8, np.dtype(np.float64): 14}
_LANES = 16


def exp_tables(dtype: np.dtype) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the polynomial and the constants that the kernels take for `dtype`."""
    series = _INVERSE_FACTORIALS[: _TERMS[dtype]][::-1]
    return tuple(map(dtype.type, series)), tuple(map(dtype.type, _CONSTANTS[dtype]))


@intrinsic
def _power_of_two(typingctx: Any, n: Any) -> Any:
    """2^n for a float that holds an integer within the exponents of normal numbers."""
    if not isinstance(n, types.Float):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits, bias, shift = (32, 127, 23) if n.bitwidth == 32 else (64, 1023, 52)
        word = ir.IntType(bits)
        exponent = builder.add(builder.fptosi(args[0], word), ir.Constant(word, bias))
        return builder.bitcast(builder.shl(exponent, ir.Constant(word, shift)), args[0].type)

    return n(n), codegen


@kernel
def _exp_row(x: Any, top: Any, e: Any, series: Any, constants: Any) -> None:
    """Write exp(x - top) to e: 0 where that is below the normal numbers; NaN stays NaN."""
    log2_e, magic, ln2_high, ln2_low, least, zero = constants
    for j in range(x.shape[0]):
        z = x[j] - top
        inside = z if z >= least else zero
        n = (inside * log2_e + magic) - magic
        r = (z - n * ln2_high) - n * ln2_low
        p = series[0]
        for c in series[1:]:
            p = p * r + c
        value = p * _power_of_two(n)
        e[j] = zero if z < least else value


@kernel
def _max_row(x: Any, lanes: Any) -> Any:
    """Largest entry. NaN may be passed over: it comes back through the sum."""
    lanes[:] = x[0]
    whole = x.shape[0] - x.shape[0] % _LANES
    for j in range(0, whole, _LANES):
        for lane in range(_LANES):
            entry = x[j + lane]
            lanes[lane] = entry if entry > lanes[lane] else lanes[lane]
    top = x[0]
    for j in range(whole, x.shape[0]):
        top = x[j] if x[j] > top else top
    for lane in range(_LANES):
        top = lanes[lane] if lanes[lane] > top else top
    return top


@kernel
def _sum_row(e: Any, lanes: Any) -> Any:
    """Sum in float64, entry j in lane j mod 16."""
    lanes[:] = 0.0
    whole = e.shape[0] - e.shape[0] % _LANES
    for j in range(0, whole, _LANES):
        for lane in range(_LANES):
            lanes[lane] += e[j + lane]
    for j in range(whole, e.shape[0]):
        lanes[j - whole] += e[j]
    total = 0.0
    for lane in range(_LANES):
        total += lanes[lane]
    return total


@scratch_kernel
def cross_entropy_rows(
    x: Any, t: Any, upstream: Any, series: Any, constants: Any, values: Any, dx: Any, space: Any,
    first: int, end: int,
) -> None:  # fmt: skip
    """Fill rows first..end for logits x (N, C) and labels t (N,) or targets t (N, C).

    values (N,); dx (N, C), or with no upstream (N,) no dx: then `space` (C,) is scratch.
    """
    lanes = np.empty(_LANES, np.float64)
    tops = np.empty(_LANES, x.dtype)
    for i in range(first, end):
        e = dx[i] if upstream.size else space
        row = x[i]
        top = _max_row(row, tops)
        _exp_row(row, top, e, series, constants)
        total = _sum_row(e, lanes)
        log_total = np.log(total)
        if t.ndim == 1:  # settled when the kernel is compiled
            y = t[i]
            values[i] = log_total - (np.float64(row[y]) - top)
            if upstream.size:
                rate = upstream[i] / total
                for j in range(e.shape[0]):
                    e[j] = e[j] * rate
                e[y] -= upstream[i]
        else:
            goal = t[i]
            values[i] = _target_value(row, goal, top, log_total, lanes)
            if upstream.size:
                inverse = 1.0 / total
                for j in range(e.shape[0]):
                    e[j] = upstream[i] * (e[j] * inverse - goal[j])


@kernel
def _target_value(row: Any, goal: Any, top: Any, log_total: float, lanes: Any) -> Any:
    """Σ goal (log_total - (row - top)) in float64, entry j in lane j mod 16."""
    lanes[:] = 0.0
    whole = row.shape[0] - row.shape[0] % _LANES
    for j in range(0, whole, _LANES):
        for lane in range(_LANES):
            k = j + lane
            lanes[lane] += goal[k] * (log_total - (np.float64(row[k]) - top))
    for j in range(whole, row.shape[0]):
        lanes[j - whole] += goal[j] * (log_total - (np.float64(row[j]) - top))
    value = 0.0
    for lane in range(_LANES):
        value += lanes[lane]
    return value


@parallel_kernel
def cross_entropy_tasks(
    x: Any, t: Any, upstream: Any, series: Any, constants: Any, values: Any, dx: Any, space: Any,
    tasks: int,
) -> None:  # fmt: skip
    """Do what `cross_entropy_rows` does for all rows on `tasks` threads; space (tasks, C)."""
    n = x.shape[0]
    for task in prange(tasks):
        cross_entropy_rows(x, t, upstream, series, constants, values, dx, space[task],
                           n * task // tasks, n * (task + 1) // tasks)  # fmt: skip


@kernel
def squared_error(t: Any, p: Any, slope: Any) -> float:
    """Return the mean of (p - t)² over all entries; fill `slope` with its gradient by p.

    All three are flat; an empty `slope` is left alone. The sum runs in float64
    and is compensated.
    """
    total = lost = 0.0
    factor = p.dtype.type(2.0 / p.size)
    for j in range(p.size):
        error = p[j] - t[j]
        term = np.float64(error) * np.float64(error)
        # What rounding takes from the sum is kept beside it (Knuth's two-sum).
        new = total + term
        part = new - total
        lost += (total - (new - part)) + (term - part)
        total = new
        if slope.size:
            slope[j] = error * factor
    # Infinity takes infinity away from itself.
    return (total + lost if np.isfinite(total) else total) / p.size
