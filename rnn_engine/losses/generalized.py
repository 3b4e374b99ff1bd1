"""Generalized cross-entropy of class labels, robust to labels that are wrong."""

from typing import Any

import numpy as np

from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, spread
from rnn_engine.losses.inputs import check_classes
from rnn_engine.losses.wrapper import LossFunctionWrapper


def _generalized(
    labels: np.ndarray, p: np.ndarray, upstream: Any, q: float
) -> tuple[np.ndarray, Any]:
    check_classes(labels, p.shape[-1])
    where = np.expand_dims(labels, -1)
    chosen = np.take_along_axis(p, where, -1)
    values = ((1 - chosen**q) / q)[..., 0]
    if upstream is None:
        return values, None
    slopes = np.zeros_like(p)
    np.put_along_axis(slopes, where, -(chosen ** (q - 1)) * spread(upstream), -1)
    return values, slopes


_generalized_formula = Formula(_generalized, labels=True)


@registry.register()
@_generalized_formula.function
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """Return ``(1 - p[y_true]**q) / q``.

    Mirrors `keras.losses.categorical_generalized_cross_entropy`. It lies between
    cross-entropy (q towards 0) and absolute error (q = 1). A label outside
    ``0 .. classes - 1`` is an error here. Source: Zhang and Sabuncu, 2018.

    Parameters
    ----------
    y_true : array_like
        Class labels: `y_pred`'s shape without the last axis, or with 1 for it.
    y_pred : array_like
        Probabilities, one for each class, on the last axis.
    q : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If a label is out of range (the message gives the first) or the shapes do not fit.

    Examples
    --------
    >>> float(categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5)[0])
    1.0
    """
    return _generalized_formula.values(y_true, y_pred, q=q)


@registry.register()
class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """Generalized cross-entropy. Mirrors `keras.losses.CategoricalGeneralizedCrossEntropy`.

    See `categorical_generalized_cross_entropy` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> float(CategoricalGeneralizedCrossEntropy(q=0.5)([1], [[0.75, 0.25]]))
    1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"q must be in the interval (0, 1), got {q!r}.")
        super().__init__(
            categorical_generalized_cross_entropy,
            reduction,
            name,
            dtype,
            q=q,
        )
