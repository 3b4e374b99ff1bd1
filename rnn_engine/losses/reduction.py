"""From one value per sample to one number: weights, masks and `reduction`.

A reduced loss is linear in the values: ``loss = sum(c * values)``. The
coefficients `c` follow from shapes, weights and mask alone, so they are known
before the values are; the gradient kernels take them as `upstream`.
"""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from rnn_engine.checks import as_bools, as_numbers

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def standardize_reduction(reduction: str | None) -> str | None:
    """Return `reduction` if it is one of Keras's, else raise ValueError."""
    if reduction not in REDUCTIONS:
        raise ValueError(
            "Invalid value for argument `reduction`. Expected one of "
            f"{', '.join(map(repr, REDUCTIONS))}. Received: reduction={reduction}"
        )
    return reduction


class Weighting(NamedTuple):
    """How values of one shape are summed.

    Attributes
    ----------
    weights : array or None
        Sample weights with the mask folded in; they broadcast against
        `values_shape`.
    values_shape : tuple of int
        Shape the values take before they are weighted (a trailing 1 may come or go).
    divisor : float or None
        What the sum is divided by; None where nothing is summed.
    upstream : float or array
        Derivative of the reduced loss by each value; an array has the values' shape.
    """

    weights: np.ndarray | None
    values_shape: tuple[int, ...]
    divisor: float | None
    upstream: float | np.ndarray


def align(
    first: tuple[int, ...], second: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Drop or add a trailing axis of one where two ranks differ by one.

    The rule of Keras: rank 1 against ``(n, 1)`` is expanded, every other
    trailing 1 is dropped.

    >>> align((8,), (8, 1))
    ((8, 1), (8, 1))
    >>> align((8, 3), (8, 3, 1))
    ((8, 3), (8, 3))
    """
    if len(first) == len(second) + 1 and first[-1] == 1:
        return (first, (*second, 1)) if len(second) == 1 else (first[:-1], second)
    if len(second) == len(first) + 1 and second[-1] == 1:
        return ((*first, 1), second) if len(first) == 1 else (first, second[:-1])
    return first, second


def weigh(
    shape: tuple[int, ...],
    dtype: np.dtype,
    sample_weight: Any,
    mask: Any,
    reduction: str | None,
) -> Weighting:
    """Plan the reduction of values of `shape`.

    A mask enters as in Keras: under the two plain means a valid entry weighs
    ``total / valid``, so that the mean runs over the valid entries.

    Raises
    ------
    ValueError
        If `sample_weight` or `mask` does not fit the values.
    """
    weights = fold_mask(sample_weight, mask, dtype, reduction)
    divisor: float | None
    if weights is None:
        if reduction in (None, "none") or shape in ((), (0,)):
            return Weighting(None, shape, None, 1.0)
        divisor = 1.0 if reduction == "sum" else float(prod(shape))
        return Weighting(None, shape, divisor, 1.0 / divisor if divisor else 0.0)

    values_shape, weights_shape = align(shape, weights.shape)
    total = _common_shape(values_shape, weights_shape, shape, weights.shape, "sample_weight")
    weights = weights.reshape(weights_shape)
    divisor = None
    upstream = weights
    if not (reduction in (None, "none") or total in ((), (0,))):
        if reduction == "sum":
            divisor = 1.0
        elif reduction == "mean_with_sample_weight":
            divisor = float(weights.sum())
        else:
            divisor = float(prod(total))
        upstream = weights / dtype.type(divisor) if divisor else np.zeros_like(weights)
    upstream = _sum_to(np.broadcast_to(upstream, total), values_shape).reshape(shape)
    return Weighting(weights, values_shape, divisor, upstream)


def reduce(values: np.ndarray, plan: Weighting) -> Any:
    """Weigh and sum `values` as planned; a NumPy scalar, or an array without a sum."""
    if plan.weights is not None:
        values = values.reshape(plan.values_shape) * plan.weights
    if plan.divisor is None:
        return values if values.ndim else values[()]
    total = np.add.reduce(values, axis=None)
    # Where every weight is zero, the mean of nothing is 0, as in Keras.
    return total / plan.divisor if plan.divisor else total.dtype.type(0)


def fold_mask(
    sample_weight: Any, mask: Any, dtype: np.dtype, reduction: str | None
) -> np.ndarray | None:
    """Return the sample weights with the mask in them, None where all values weigh one."""
    weights = None if sample_weight is None else _as_weights(sample_weight, dtype)
    if mask is None:
        return weights
    mask = as_bools(mask)
    factors = mask.astype(dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        valid = np.count_nonzero(mask)
        factors *= dtype.type(mask.size / valid if valid else 0.0)
    if weights is None:
        return factors
    mask_shape, weights_shape = align(factors.shape, weights.shape)
    _common_shape(mask_shape, weights_shape, mask.shape, weights.shape, "sample_weight")
    return factors.reshape(mask_shape) * weights.reshape(weights_shape)


def _as_weights(sample_weight: Any, dtype: np.dtype) -> np.ndarray:
    return as_numbers(sample_weight, "sample_weight").astype(dtype, copy=False)


def _common_shape(
    first: tuple[int, ...],
    second: tuple[int, ...],
    given_first: tuple[int, ...],
    given_second: tuple[int, ...],
    argument: str,
) -> tuple[int, ...]:
    """Broadcast two aligned shapes; ranks must agree, except for a single number."""
    ranks_fit = len(first) == len(second) or not first or not second
    if ranks_fit and all(a == b or 1 in (a, b) for a, b in zip(first, second, strict=False)):
        return np.broadcast_shapes(first, second)
    raise ValueError(
        f"{argument} of shape {given_second} does not fit losses of shape {given_first}: "
        f"expected the same shape, or 1 on the axes that share a weight."
    )


def _sum_to(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo a broadcast: sum over the axes that `shape` does not have."""
    if not shape:
        return np.asarray(array.sum(), dtype=array.dtype)
    axes = tuple(i for i, (a, b) in enumerate(zip(array.shape, shape, strict=True)) if a != b)
    return array.sum(axis=axes, keepdims=True) if axes else array
