"""The squared error, and softmax cross-entropy, one row of logits at a time.

    m = max x,  e = exp(x - m),  s = Σ e
    value = log s - (x_y - m)          (class label y)
    value = Σ t (log s - (x - m))      (one target t a class)
    dx = upstream (e / s - onehot(y))  or  upstream (e / s - t)

A row stays in cache between its passes; for its sums see `kernels.rows`.
`dx` by targets is the slope TensorFlow uses: it takes Σ t for 1.
"""

from typing import Any

import numpy as np

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address
from rnn_engine.kernels.pool import share
from rnn_engine.kernels.rows import exponentials, largest, sum_of, target_value


@kernel
def cross_entropy_rows(
    x: Any, t: Any, upstream: Any, exp: int, values: Any, dx: Any, space: Any, first: int,
    end: int,
) -> None:  # fmt: skip
    """Fill rows first..end for logits x (N, C) and labels t (N,) or targets t (N, C).

    values (N,); dx (N, C), or with no upstream (N,) no dx: then `space` (C,) is scratch. `exp` is
    the code of the exponential, which the caller has to want (`kernels.finish`).
    """
    classes = x.shape[1]
    before = flush_denormals()
    for i in range(first, end):
        e = dx[i] if upstream.size else space
        row, logits = x[i], address(x[i])
        top = largest(logits, classes)
        exponentials(logits, classes, top, exp, address(e))
        total = sum_of(address(e), classes)
        log_total = np.log(total)
        if t.ndim == 1:  # settled when the kernel is compiled
            y = t[i]
            values[i] = log_total - (np.float64(row[y]) - top)
            if upstream.size:
                rate = upstream[i] / total
                for j in range(classes):
                    e[j] = e[j] * rate
                e[y] -= upstream[i]
        else:
            goal = t[i]
            values[i] = target_value(np.float64(top), log_total, logits, address(goal), classes)
            if upstream.size:
                inverse = 1.0 / total
                for j in range(classes):
                    e[j] = upstream[i] * (e[j] * inverse - goal[j])
    restore(before)


@kernel
def _cross_entropy_task(
    x: Any, t: Any, upstream: Any, exp: int, values: Any, dx: Any, space: Any, task: int,
    tasks: int,
) -> None:  # fmt: skip
    n = x.shape[0]
    cross_entropy_rows(x, t, upstream, exp, values, dx, space[task], n * task // tasks,
                       n * (task + 1) // tasks)  # fmt: skip


@kernel
def cross_entropy_tasks(
    x: Any, t: Any, upstream: Any, exp: int, values: Any, dx: Any, space: Any, tasks: int
) -> None:  # fmt: skip
    """Do what `cross_entropy_rows` does for all rows on `tasks` threads; space (tasks, C)."""
    share(_cross_entropy_task, (x, t, upstream, exp, values, dx, space), tasks)


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
