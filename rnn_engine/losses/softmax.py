"""Softmax cross-entropy of logits on any axis: shapes in Python, numbers in the kernel."""

from typing import Any

import numpy as np

from rnn_engine.kernels.losses import (
    exp_tables,
    softmax_cross_entropy,
    sparse_softmax_cross_entropy,
)


def from_logits(
    t: np.ndarray, x: np.ndarray, upstream: Any, axis: int = -1
) -> tuple[np.ndarray, np.ndarray | None]:
    """Values and gradient of logits `x`; `t` holds labels or one target a class."""
    moved = np.moveaxis(x, axis, -1)
    rows = np.ascontiguousarray(moved.reshape(-1, moved.shape[-1]))
    count, classes = rows.shape
    values = np.empty(count, rows.dtype)
    if upstream is None:
        weights, dx = values, np.empty((min(count, 1), classes), rows.dtype)
        if count == 1:  # a lone row cannot tell scratch space from a gradient
            weights = np.ones(1, rows.dtype)
    else:
        weights = np.empty(count, rows.dtype)
        weights[:] = upstream.reshape(-1) if isinstance(upstream, np.ndarray) else upstream
        dx = np.empty_like(rows)
    tables = exp_tables(rows.dtype)
    if t.dtype.kind == "i":
        sparse_softmax_cross_entropy(
            rows, np.ascontiguousarray(t).reshape(-1), weights, *tables, values, dx
        )
    else:
        targets = np.ascontiguousarray(np.moveaxis(t, axis, -1).reshape(rows.shape))
        softmax_cross_entropy(rows, targets, weights, *tables, values, dx)
    values = values.reshape(moved.shape[:-1])
    if upstream is None:
        return values, None
    return values, np.moveaxis(dx.reshape(moved.shape), -1, axis)
