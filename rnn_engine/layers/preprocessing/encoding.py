"""Indices to vectors: which are there, or how often."""

from typing import Any

import numpy as np


def encode_indices(
    indices: np.ndarray, mode: str, depth: int, dtype: Any, weights: Any = None
) -> np.ndarray:
    """Return indices as they are, or as vectors of `depth` entries.

    Parameters
    ----------
    indices : array of int
        A scalar counts as one sample.
    mode : {"int", "one_hot", "multi_hot", "count"}
        Vectors stand for each index, or for all along the last axis.
    depth : int
        Indices outside 0..depth - 1 have no entry.
    dtype : dtype
    weights : array, optional
        What an index counts, for ``count``.
    """
    if mode == "int":
        return indices.astype(dtype)
    if indices.ndim == 0:
        indices = indices[None]
    if mode == "one_hot" and indices.ndim > 1 and indices.shape[-1] == 1:
        indices = indices[..., 0]
    hot = indices[..., None] == np.arange(depth)
    if mode == "one_hot":
        return hot.astype(dtype)
    if mode == "multi_hot":
        return hot.any(axis=-2).astype(dtype)
    factors = 1 if weights is None else np.asarray(weights)[..., None]
    return np.asarray((hot * factors).sum(axis=-2), dtype)


def encoded_shape(input_shape: Any, mode: str, depth: int) -> tuple[int | None, ...]:
    """Return the shape of what `encode_indices` returns."""
    shape = tuple(input_shape)
    if mode == "int":
        return shape
    shape = shape or (1,)
    if mode == "one_hot" and (shape[-1] != 1 or len(shape) == 1):
        return (*shape, depth)
    return (*shape[:-1], depth)
