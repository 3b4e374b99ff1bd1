"""True and false positives and negatives at many thresholds at once.

Every prediction passes the thresholds below it. A histogram of how many it
passes, summed from the top, gives the positives at every threshold in one go:
N + T steps where comparing each with each takes N * T.
"""

from typing import Any, NamedTuple

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.losses.reduction import align
from rnn_engine.metrics.arrays import Array, as_array, broadcast_weight

# What top_k puts in place of the scores that are not among the k best, and the
# default threshold there: lower than any score in use.
NEVER = -1e10


class Counts(NamedTuple):
    """Weighted counts, one for each threshold (and label, where those are kept apart)."""

    true_positives: Array
    false_positives: Array
    true_negatives: Array
    false_negatives: Array


def parse_thresholds(thresholds: Any, default: float) -> list[float]:
    """Return the thresholds of a metric as a list.

    Raises
    ------
    ValueError
        If one is not in [0, 1].
    """
    if thresholds is None:
        return [default]
    given = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    bad = [t for t in given if t is None or not 0 <= t <= 1]
    if bad:
        raise ValueError(f"Threshold values must be in [0, 1]. Received: {bad}")
    return given


def evenly_spaced(count: int) -> list[float]:
    """Return `count` thresholds from 0 to 1."""
    return [0.0, *((i + 1) / (count - 1) for i in range(count - 2)), 1.0]


def are_even(thresholds: Any) -> bool:
    """Return whether thresholds run from 0 to 1 in equal steps (at least three of them)."""
    count = len(thresholds)
    if count < 3:
        return False
    even = np.arange(count, dtype=np.float32) / (count - 1)
    return bool(np.allclose(thresholds, even, atol=epsilon()))


def count_outcomes(
    y_true: Any,
    y_pred: Any,
    thresholds: Any,
    dtype: str,
    *,
    sample_weight: Any = None,
    even: bool = False,
    top_k: int | None = None,
    class_id: int | None = None,
    label_weights: Array | None = None,
    multi_label: bool = False,
) -> Counts:
    """Count a batch.

    Parameters
    ----------
    y_true, y_pred : array
        Targets (anything but zero is positive) and scores, of one shape.
    thresholds : sequence of float
        A score above the threshold is a positive.
    dtype : str
        Type in which scores and thresholds are compared.
    sample_weight : array, optional
        ``(samples,)`` or the shape of `y_pred`.
    even : bool
        The thresholds are equally spaced from 0 to 1: scores are clipped to that
        range and sorted into bins by a product, rounded as Keras does.
    top_k : int, optional
        Only the `k` best scores of a row can be positive.
    class_id : int, optional
        Count this entry of the last axis alone.
    label_weights : array, optional
        A weight for each entry of the last axis.
    multi_label : bool
        Count each entry of the last axis by itself.

    Raises
    ------
    ValueError
        If shapes do not fit, or `class_id` is given without a class axis.
    """
    y_true, y_pred = _lined_up(as_array(y_true, "y_true"), as_array(y_pred, "y_pred", dtype))
    weight = None
    if sample_weight is not None:
        weight = _weight_of_rank(as_array(sample_weight, "sample_weight"), y_true.ndim)
    if top_k is not None:
        y_pred = _only_top_k(y_pred, top_k)
    if class_id is not None:
        y_true, y_pred = (_one_class(a, class_id) for a in (y_true, y_pred))
    if weight is not None:
        weight = broadcast_weight(weight, y_pred.shape)
    if label_weights is not None:
        shared = broadcast_weight(label_weights, y_pred.shape)
        weight = shared if weight is None else weight * shared

    limits = np.asarray(thresholds, dtype)
    if len(limits) == 1 and weight is None and not multi_label:
        return _count_at(limits[0], y_true.astype(bool), y_pred)
    below_zero = bool(thresholds[0] < 0.0 or thresholds[-1] > 1.0)
    passed = _passed_even(y_pred, len(limits), below_zero) if even else _passed(y_pred, limits)
    positive = y_true.astype(bool)
    labels = y_pred.shape[-1] if multi_label else None
    tp, positives = _from_top(passed, positive, weight, len(limits), labels)
    fp, negatives = _from_top(passed, ~positive, weight, len(limits), labels)
    if not even:  # the histogram counted the sorted thresholds
        back = np.argsort(np.argsort(limits, kind="stable"), kind="stable")
        tp, fp = tp[back], fp[back]
    return Counts(tp, fp, negatives - fp, positives - tp)


def _count_at(limit: Any, positive: Array, scores: Array) -> Counts:
    """Count at one threshold without weights, the common case, in few calls."""
    called = scores > limit
    positives, calls = int(np.count_nonzero(positive)), int(np.count_nonzero(called))
    hits = int(np.count_nonzero(positive & called))
    rest = scores.size - positives - (calls - hits)
    return Counts(*(np.array([float(n)]) for n in (hits, calls - hits, rest, positives - hits)))


def _lined_up(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    true_shape, pred_shape = align(y_true.shape, y_pred.shape)
    if true_shape != pred_shape:
        raise ValueError(
            f"y_true and y_pred must have the same shape: "
            f"got y_true {y_true.shape} and y_pred {y_pred.shape}."
        )
    return y_true.reshape(true_shape), y_pred.reshape(pred_shape)


def _weight_of_rank(weight: Array, rank: int) -> Array:
    """Add the axes that the weights leave out at the end.

    Weights (samples,) are the samples' for scores of any rank; beyond rank 2
    Keras lines them up with the steps, or fails.
    """
    return weight.reshape(weight.shape + (1,) * (rank - weight.ndim))


def _only_top_k(scores: Array, k: int) -> Array:
    best = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
    kept = np.full_like(scores, NEVER)
    np.put_along_axis(kept, best, np.take_along_axis(scores, best, axis=-1), axis=-1)
    return kept


def _one_class(array: Array, class_id: int) -> Array:
    if array.ndim == 1:
        raise ValueError(
            "When class_id is provided, y_pred must be a 2D array with shape (num_samples, "
            f"num_classes), found shape: {array.shape}"
        )
    if not -array.shape[-1] <= class_id < array.shape[-1]:
        raise ValueError(f"class_id {class_id} is outside the {array.shape[-1]} classes.")
    return array[..., class_id, None]


def _passed(scores: Array, limits: Array) -> Array:
    """Return how many thresholds lie below each score; none below NaN."""
    if len(limits) == 1:
        return (scores > limits[0]).astype(np.intp)
    passed = np.searchsorted(np.sort(limits), scores, side="left")
    passed[np.isnan(scores)] = 0
    return passed


def _passed_even(scores: Array, count: int, below_zero: bool) -> Array:
    """Return the same for `count` even thresholds.

    With `below_zero` the first threshold is a little under 0, so a score of 0 passes it.
    """
    steps = np.ceil(np.clip(scores, 0, 1) * scores.dtype.type(count - 1))
    if below_zero:
        steps = np.maximum(steps, 1)
    return np.where(np.isnan(scores), 0, steps).astype(np.intp)


def _from_top(
    passed: Array, chosen: Array, weight: Array | None, count: int, labels: int | None
) -> tuple[Array, Array]:
    """Return the weight of chosen scores above each sorted threshold, and of all chosen."""
    bins = passed
    if labels is not None:
        bins = passed * labels + np.arange(labels)
    weights = None if weight is None else weight[chosen]
    histogram = np.bincount(bins[chosen], weights, minlength=(count + 1) * (labels or 1))
    if labels is not None:
        histogram = histogram.reshape(count + 1, labels)
    from_top = np.cumsum(histogram[::-1], axis=0)[::-1].astype(np.float64, copy=False)
    return from_top[1:], from_top[0]
