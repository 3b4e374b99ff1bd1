"""Cosine similarity, negated so that smaller is better."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, spread
from rnn_engine.losses.wrapper import LossFunctionWrapper


def _inverse_norm(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 / |x|, at most 1 / epsilon, and where that limit did not act."""
    inverse = 1 / np.sqrt((x * x).sum(axis=axis, keepdims=True))
    most = x.dtype.type(1.0 / epsilon())
    return np.minimum(inverse, most), inverse <= most


def _cosine(t: np.ndarray, p: np.ndarray, upstream: Any, axis: int = -1) -> tuple[np.ndarray, Any]:
    unit_t = t * _inverse_norm(t, axis)[0]
    inverse, free = _inverse_norm(p, axis)
    unit_p = p * inverse
    product = (unit_t * unit_p).sum(axis=axis, keepdims=True)
    values = -np.squeeze(product, axis)
    if upstream is None:
        return values, None
    # The part of the target across the prediction; a norm at its limit does not turn.
    across = np.where(free, product, 0) * unit_p - unit_t
    return values, across * inverse * spread(upstream, axis)


_cosine_formula = Formula(_cosine)


@registry.register()
@_cosine_formula.function
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Return minus the cosine of the angle between `y_true` and `y_pred` along `axis`.

    Mirrors `keras.losses.cosine_similarity`. The gradient at a prediction of zero
    length is finite; Keras on TensorFlow gives NaN there.

    Examples
    --------
    >>> float(cosine_similarity([3.0, 0.0], [1.0, 0.0]))
    -1.0
    """
    return _cosine_formula.values(y_true, y_pred, axis=axis)


@registry.register()
class CosineSimilarity(LossFunctionWrapper):
    """Cosine of the angle, negated. Mirrors `keras.losses.CosineSimilarity`.

    See `cosine_similarity` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> float(CosineSimilarity()([[3.0, 0.0]], [[1.0, 0.0]]))
    -1.0
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            cosine_similarity,
            reduction,
            name,
            dtype,
            axis=axis,
        )
