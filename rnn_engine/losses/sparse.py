"""Categorical cross-entropies with class labels."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.losses import softmax
from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, spread
from rnn_engine.losses.inputs import check_classes
from rnn_engine.losses.wrapper import LossFunctionWrapper

_BLOCK = 1 << 16
"""Samples whose labels are looked at at once, which may lie in a file."""


def _valid(
    labels: np.ndarray, p: np.ndarray, ignore_class: int | None = None, **_: Any
) -> np.ndarray | None:
    return None if ignore_class is None else labels != ignore_class


def _from_probabilities(
    labels: np.ndarray, p: np.ndarray, upstream: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    # Keras takes log(clip(p)) for logits, and so divides by the sum of the clipped p.
    low, high = p.dtype.type(epsilon()), p.dtype.type(1.0 - epsilon())
    clipped = np.clip(p, low, high)
    where = np.expand_dims(labels, -1)
    chosen = np.take_along_axis(clipped, where, -1)
    total = clipped.sum(axis=-1, keepdims=True)
    values = (np.log(total) - np.log(chosen))[..., 0]
    if upstream is None:
        return values, None
    slopes = np.broadcast_to(1 / total, p.shape).copy()
    # 1 / total - 1 / chosen, without its cancellation for a chosen p near 1.
    np.put_along_axis(clipped, where, 0, -1)
    others = clipped.sum(axis=-1, keepdims=True)
    np.put_along_axis(slopes, where, -others / total / chosen, -1)
    slopes[(p < low) | (p > high)] = 0
    slopes *= spread(upstream)
    return values, slopes


def _cross_entropy(
    labels: np.ndarray,
    p: np.ndarray,
    upstream: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> tuple[np.ndarray, Any]:
    valid = _valid(labels, p, ignore_class)
    if valid is not None:
        labels = np.where(valid, labels, 0)
        p = np.where(valid[..., None], p, p.dtype.type(0))
    check_classes(labels, p.shape[-1])
    compute = softmax.from_logits if from_logits else _from_probabilities
    values, gradient = compute(labels, p, upstream)
    if valid is not None:
        values = np.where(valid, values, values.dtype.type(0))
        if gradient is not None:
            gradient[~valid] = 0
    return values, gradient


def _logits(ignore_class: int | None = None, **_: Any) -> bool:
    return ignore_class is None  # Keras loses the logits of a row it has to blank out


_sparse_formula = Formula(_cross_entropy, labels=True, valid=_valid, logits=_logits)


@registry.register()
@_sparse_formula.function
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """Return ``-log p[y_true]``.

    Mirrors `keras.losses.sparse_categorical_crossentropy`. A label outside
    ``0 .. classes - 1`` is an error here, whatever the device.

    Parameters
    ----------
    y_true : array_like
        Class labels: `y_pred`'s shape without the last axis, or with 1 for it.
    y_pred : array_like
        One prediction for each class, on the last axis.
    from_logits : bool
        Whether ``p = softmax(y_pred)``; else p is `y_pred` clipped to
        ``epsilon .. 1 - epsilon`` and divided by its sum, as in Keras on TensorFlow.
    ignore_class : int, optional
        A label (such as -1) whose entries count for nothing.
    axis : int
        Axis of the classes; the last one.

    Raises
    ------
    ValueError
        If a label is out of range (the message gives the first), `axis` is not the
        last one, or the shapes do not fit.

    Examples
    --------
    >>> round(float(sparse_categorical_crossentropy([1], [[0.5, 0.5]])[0]), 4)
    0.6931
    """
    return _sparse_formula.values(
        y_true, y_pred, from_logits=from_logits, ignore_class=ignore_class, axis=axis
    )


@registry.register()
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of class labels. Mirrors `keras.losses.SparseCategoricalCrossentropy`.

    Entries of `ignore_class` are masked: the mean runs over the others. See
    `sparse_categorical_crossentropy` for the options and `Loss` for the other parameters.

    Examples
    --------
    >>> loss = SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    >>> round(float(loss([1, -1], [[0.0, 0.0], [3.0, 1.0]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    def check_targets(self, y_true: np.ndarray, pred_shape: tuple[int, ...]) -> None:
        """Check the labels of whole data, before any batch of them is trained on.

        Shapes that do not fit and labels that are not finite are left to the batches.

        Raises
        ------
        ValueError
            With the first label that is out of range and its index.
        """
        wanted = (len(y_true), *pred_shape[1:-1])
        if y_true.shape not in (wanted, (*wanted, 1)):
            return
        ignored = self._fn_kwargs.get("ignore_class")
        for start in range(0, len(y_true), _BLOCK):
            labels = y_true[start : start + _BLOCK].reshape(-1, *wanted[1:])
            if ignored is not None:
                labels = np.where(labels == ignored, 0, labels)
            if labels.dtype.kind == "f":
                labels = np.where(np.isfinite(labels), labels, 0)
            check_classes(labels, pred_shape[-1], start)
