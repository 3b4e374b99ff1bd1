"""Products of a cell's own step, with factors of dropout for each gate."""

from typing import Any

import numpy as np

from rnn_engine.checks import compact
from rnn_engine.kernels import dense


def product(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, factors: Any = None) -> np.ndarray:
    """Return x·W + b, where each block of W's columns meets x times factors of its own.

    Parameters
    ----------
    x : (B, N)
    w : (N, M)
    b : (M,), or None
    factors : (blocks, B, N), or None
    """
    bias = np.empty(0, w.dtype) if b is None else b
    if factors is None or len(factors) == 1:
        return _affine(x if factors is None else x * factors[0], w, bias)
    biases = np.split(bias, len(factors)) if bias.size else [bias] * len(factors)
    blocks = zip(factors, np.split(w, len(factors), axis=1), biases, strict=True)
    return np.concatenate([_affine(x * factor, *parts) for factor, *parts in blocks], axis=1)


def product_back(
    dz: np.ndarray, x: np.ndarray, w: np.ndarray, gradients: tuple[Any, Any], factors: Any = None
) -> np.ndarray:
    """Add to the gradients of W, and of b unless it is None; return that of x."""
    dw, db = gradients
    count = 1 if factors is None else len(factors)
    width, dx = w.shape[1] // count, np.zeros(x.shape, x.dtype)
    for i in range(count):
        block = slice(i * width, (i + 1) * width)
        seen = x if factors is None else x * factors[i]
        part, dw_part, db_part = _affine_back(dz[:, block], seen, w[:, block])
        dw[:, block] += dw_part
        if db is not None:
            db[block] += db_part
        dx += part if factors is None else part * factors[i]
    return dx


def _affine(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    features, units = w.shape
    w, y = compact(w), np.empty((len(x), units), w.dtype)
    packed = np.empty(dense.weights_size(features, units, w.dtype), w.dtype)
    dense.pack_weights(w, compact(b), packed)
    dense.forward_packed(compact(x), packed, y, np.empty((0, 0), w.dtype), 0, 0, 1)
    return y


def _affine_back(
    dz: np.ndarray, x: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (rows, features), units, dtype = x.shape, w.shape[1], w.dtype
    dw, db = np.zeros(w.shape, dtype), np.zeros(units, dtype)
    dx = np.empty(x.shape, dtype)
    space = np.empty(dense.backward_size(rows, features, units, 1, dtype), dtype)
    dense.backward(compact(w), compact(x), compact(dz), dw, db, dx, space, False, 0, 1)
    return dx, dw, db
