"""Accuracies: how often the prediction is the target.

Each private function tells the hits as booleans, which the metric counts; the
public ones give them as `floatx`, as `keras.metrics.*_accuracy` do.
"""

from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.metrics.arrays import Array, as_array, as_pair
from rnn_engine.metrics.reduction import MeanMetricWrapper
from rnn_engine.metrics.table import metric, metric_function


def _equal(y_true: Any, y_pred: Any) -> Array:
    y_true, y_pred = as_pair(y_true, y_pred)
    return y_true.astype(y_pred.dtype, copy=False) == y_pred


def _equal_above(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    y_true, y_pred = as_pair(y_true, y_pred)
    return y_true == (y_pred > threshold)


def _same_argmax(y_true: Any, y_pred: Any) -> Array:
    y_pred = as_array(y_pred, "y_pred")
    labels = as_array(y_true, "y_true").argmax(axis=-1)
    return _equal_labels(labels, y_pred.argmax(axis=-1), "y_true without its last axis")


def _label_is_argmax(y_true: Any, y_pred: Any) -> Array:
    y_pred = as_array(y_pred, "y_pred")
    labels = as_array(y_true, "y_true")
    return _equal_labels(labels, y_pred.argmax(axis=-1), "y_true")


def _equal_labels(labels: Array, best: Array, what: str) -> Array:
    """Compare classes; a last axis of one on the labels' side is dropped."""
    if labels.ndim == best.ndim + 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.shape != best.shape:
        raise ValueError(
            f"y_true and y_pred do not fit: {what} has shape {labels.shape}, "
            f"y_pred without its last axis {best.shape}."
        )
    return labels == best


def _label_in_top_k(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Array:
    """Tell whether fewer than `k` classes score higher than the label's.

    As in TensorFlow a tie at the border counts as a hit, and a row with a score
    that is not finite, or a label that is no class, as a miss.
    """
    y_pred = as_array(y_pred, "y_pred")
    y_true = as_array(y_true, "y_true")
    labels = y_true.reshape(-1).astype(y_pred.dtype if from_sorted_ids else np.int64)
    scores = y_pred.reshape(-1, y_pred.shape[-1])
    if len(labels) != len(scores):
        raise ValueError(
            f"y_true and y_pred do not fit: y_true has {len(labels)} labels (shape "
            f"{y_true.shape}), y_pred {len(scores)} rows (shape {y_pred.shape})."
        )
    if from_sorted_ids:
        hits = (labels[:, None] == scores[:, :k]).any(axis=1)
    else:
        known = (labels >= 0) & (labels < scores.shape[1])
        own = scores[np.arange(len(labels)), np.where(known, labels, 0)]
        hits = np.count_nonzero(scores > own[:, None], axis=1) < k
        hits &= known & np.isfinite(scores).all(axis=1)
    return hits.reshape(y_true.shape)


def _argmax_in_top_k(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    return _label_in_top_k(as_array(y_true, "y_true").argmax(axis=-1), y_pred, k)


@metric_function
def accuracy(y_true: Any, y_pred: Any) -> Array:
    """Return 1 where `y_pred` equals `y_true`, else 0."""
    return _equal(y_true, y_pred).astype(floatx())


@metric_function
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """Return 1 where ``y_pred > threshold`` equals `y_true`.

    Mirrors `keras.metrics.binary_accuracy`.

    Examples
    --------
    >>> binary_accuracy([[1.0], [0.0]], [[0.7], [0.6]])
    array([[1.],
           [0.]], dtype=float32)
    """
    return _equal_above(y_true, y_pred, threshold).astype(floatx())


@metric_function
def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Return 1 where the largest entry of one-hot `y_true` and `y_pred` is the same.

    Mirrors `keras.metrics.categorical_accuracy`.
    """
    return _same_argmax(y_true, y_pred).astype(floatx())


@metric_function
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Return 1 where the label `y_true` is the class of the largest `y_pred`.

    Mirrors `keras.metrics.sparse_categorical_accuracy`.
    """
    hits = _label_is_argmax(y_true, y_pred).astype(floatx())
    return hits[..., 0] if hits.ndim > 1 and hits.shape[-1] == 1 else hits


@metric_function
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Return 1 where the class of one-hot `y_true` is among the `k` best of `y_pred`.

    Mirrors `keras.metrics.top_k_categorical_accuracy`.
    """
    return _argmax_in_top_k(y_true, y_pred, k).astype(floatx())


@metric_function
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Array:
    """Return 1 where the label `y_true` is among the `k` best of `y_pred`.

    Mirrors `keras.metrics.sparse_top_k_categorical_accuracy`. With
    `from_sorted_ids` the rows of `y_pred` hold class ids, best first.
    """
    return _label_in_top_k(y_true, y_pred, k, from_sorted_ids).astype(floatx())


@metric
class Accuracy(MeanMetricWrapper):
    """How often `y_pred` equals `y_true`. Mirrors `keras.metrics.Accuracy`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.Accuracy()
    >>> m.update_state([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    >>> float(m.result())
    0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(_equal, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class BinaryAccuracy(MeanMetricWrapper):
    """How often ``y_pred > threshold`` equals the label. Mirrors `keras.metrics.BinaryAccuracy`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    threshold : float
        Predictions above it are 1, else 0.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.BinaryAccuracy()
    >>> m.update_state([[1], [1], [0], [0]], [[0.98], [1.0], [0.0], [0.6]])
    >>> float(m.result())
    0.75
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(_equal_above, name=name, dtype=dtype, threshold=threshold)
        self.threshold = threshold

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


@metric
class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output is the one-hot class.

    Mirrors `keras.metrics.CategoricalAccuracy`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.CategoricalAccuracy()
    >>> m.update_state([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    >>> float(m.result())
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(_same_argmax, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output is the class of an integer label.

    Mirrors `keras.metrics.SparseCategoricalAccuracy`. A label that is no class
    never matches (padding is often labelled -1), so it is no error here.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.SparseCategoricalAccuracy()
    >>> m.update_state([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]], sample_weight=[0.7, 0.3])
    >>> round(float(m.result()), 6)
    0.3
    """

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(_label_is_argmax, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot class is among the `k` largest outputs.

    Mirrors `keras.metrics.TopKCategoricalAccuracy`.

    Parameters
    ----------
    k : int
        How many outputs count as a hit.
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.TopKCategoricalAccuracy(k=2)
    >>> m.update_state([[0, 0, 1], [0, 0, 1]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    >>> float(m.result())
    0.5
    """

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(_argmax_in_top_k, name=name, dtype=dtype, k=k)
        self.k = k

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype, "k": self.k}


@metric
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the integer label is among the `k` largest outputs.

    Mirrors `keras.metrics.SparseTopKCategoricalAccuracy`.

    Parameters
    ----------
    k : int
        How many outputs count as a hit.
    name, dtype
        As in `Metric`.
    from_sorted_ids : bool
        The outputs are class ids, best first, instead of a score for each class.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.SparseTopKCategoricalAccuracy(k=1, from_sorted_ids=True)
    >>> m.update_state([2, 1], [[1, 0, 3], [1, 2, 3]])
    >>> float(m.result())
    0.5
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(
            _label_in_top_k, name=name, dtype=dtype, k=k, from_sorted_ids=from_sorted_ids
        )
        self.k = k
        self.from_sorted_ids = from_sorted_ids

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; `from_sorted_ids` only where it is set, as Keras does."""
        config = {"name": self.name, "dtype": self.dtype, "k": self.k}
        return {**config, "from_sorted_ids": True} if self.from_sorted_ids else config
