"""Softmax cross-entropy of logits on any axis: shapes in Python, numbers in the kernel."""

from typing import Any

import numpy as np

from rnn_engine.activations.elementwise import ENTRIES
from rnn_engine.kernels import threads
from rnn_engine.kernels.losses import cross_entropy_rows, cross_entropy_tasks

# Multiply-adds that a logit takes: the exponential, and four passes.
_WORK = 16


def from_logits(
    t: np.ndarray, x: np.ndarray, upstream: Any, axis: int = -1
) -> tuple[np.ndarray, np.ndarray | None]:
    """Values and gradient of logits `x`; `t` holds labels or one target a class."""
    moved = np.moveaxis(x, axis, -1)
    rows = np.ascontiguousarray(moved.reshape(-1, moved.shape[-1]))
    count, classes = rows.shape
    values = np.empty(count, rows.dtype)
    tasks = threads.tasks(rows.size * _WORK, count)
    weights, dx = np.empty(0, rows.dtype), np.empty((0, 0), rows.dtype)
    space = np.empty((tasks, classes if upstream is None else 0), rows.dtype)
    if upstream is not None:
        weights = np.empty(count, rows.dtype)
        weights[:] = upstream.reshape(-1) if isinstance(upstream, np.ndarray) else upstream
        dx = np.empty_like(rows)
    if t.dtype.kind == "i":
        goals = np.ascontiguousarray(t).reshape(-1)
    else:
        goals = np.ascontiguousarray(np.moveaxis(t, axis, -1).reshape(rows.shape))
    args = (rows, goals, weights, ENTRIES["exponential"].code, values, dx)
    if tasks == 1:
        cross_entropy_rows(*args, space[0], 0, count)
    else:
        cross_entropy_tasks(*args, space, tasks)
    values = values.reshape(moved.shape[:-1])
    if upstream is None:
        return values, None
    return values, np.moveaxis(dx.reshape(moved.shape), -1, axis)
