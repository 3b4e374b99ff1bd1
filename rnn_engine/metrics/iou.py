"""Intersection over union of classes."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.metrics.arrays import Array, as_array, broadcast_weight
from rnn_engine.metrics.metric import Metric
from rnn_engine.metrics.table import metric


@metric
class IoU(Metric):
    """Mean over classes of ``hits / (true + predicted - hits)``. Mirrors `keras.metrics.IoU`.

    Labels that are no class are left out, as in Keras.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    target_class_ids : sequence of int
        Classes whose scores are averaged; one that never occurred is left out.
    name, dtype
        As in `Metric`; the counts are int64 unless `dtype` is a float type, and
        weights are then cut to integers, with a warning.
    ignore_class : int, optional
        A label whose entries do not count.
    sparse_y_true, sparse_y_pred : bool
        Whether they hold labels; else the class is the argmax over `axis`.
    axis : int
        Axis of the classes, where they are not labels.

    Raises
    ------
    ValueError
        If a target class is out of range.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> m.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(float(m.result()), 5)
    0.33333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype or "int64")
        bad = [i for i in target_class_ids if not -num_classes <= i < num_classes]
        if bad:
            raise ValueError(
                f"Target class id {bad[0]} is out of range, which is [0, {num_classes})."
            )
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self._add_sum("total_confusion_matrix", (num_classes, num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels or class scores; the weights fit the labels.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        y_true = as_array(y_true, "y_true")
        y_pred = as_array(y_pred, "y_pred")
        labels = self._labels(y_true, self.sparse_y_true)
        called = self._labels(y_pred, self.sparse_y_pred)
        if labels.shape != called.shape:
            raise ValueError(
                f"y_true and y_pred do not fit: y_true of shape {y_true.shape} has "
                f"{labels.size} labels, y_pred of shape {y_pred.shape} {called.size}."
            )
        weight = None
        if sample_weight is not None:
            weight = broadcast_weight(self._weight(sample_weight), labels.shape)
        self.total_cm.value += self._confusion(labels, called, weight)
        self.total_cm.touch()

    def _labels(self, array: Array, sparse: bool) -> Array:
        labels = array if sparse else array.argmax(axis=self.axis)
        return labels.reshape(-1).astype(np.int64)

    def _weight(self, sample_weight: Any) -> Array:
        weight = as_array(sample_weight, "sample_weight")
        if weight.dtype.kind == "f" and self._dtype.startswith("int"):
            if isinstance(sample_weight, np.ndarray):
                warnings.warn(
                    "sample_weight is cut to integers, the dtype of this metric; "
                    "give it dtype='float32' to keep fractions.",
                    stacklevel=4,
                )
            weight = weight.astype(np.int64)
        return weight.reshape(-1) if weight.ndim > 1 else weight

    def _confusion(self, labels: Array, called: Array, weight: Array | None) -> Array:
        """Return the matrix of a batch, one row for each true class."""
        classes = self.num_classes
        counts = (labels >= 0) & (labels < classes) & (called >= 0) & (called < classes)
        if self.ignore_class is not None:
            counts &= labels != self.ignore_class
        cell = labels[counts] * classes + called[counts]
        weight = None if weight is None else weight[counts]
        matrix = np.bincount(cell, weight, minlength=classes * classes).reshape(classes, classes)
        return matrix.astype(self.total_cm.value.dtype, copy=False)

    def result(self) -> Any:
        """Return the mean over the target classes that occurred; 0 if none did."""
        matrix = self.total_cm.value
        hits = np.diag(matrix)
        union = (matrix.sum(axis=0) + matrix.sum(axis=1) - hits)[self.target_class_ids]
        seen = union > 1e-9
        score = np.where(seen, hits[self.target_class_ids] / (union + epsilon()), 0.0)
        result = score.sum() / (np.count_nonzero(seen) + epsilon())
        return np.float64(result) if self._dtype == "float64" else np.float32(result)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }


@metric
class BinaryIoU(IoU):
    """Intersection over union of two classes told apart by a threshold.

    Mirrors `keras.metrics.BinaryIoU`.

    Parameters
    ----------
    target_class_ids : sequence of int
        Which of 0 and 1 are averaged.
    threshold : float
        A score of at least this is class 1.
    name, dtype
        As in `IoU`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.BinaryIoU(threshold=0.3)
    >>> m.update_state([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
    >>> round(float(m.result()), 5)
    0.33333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels 0 or 1 and of scores."""
        called = as_array(y_pred, "y_pred", "float32") >= np.float32(self.threshold)
        super().update_state(y_true, called, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "target_class_ids": self.target_class_ids,
            "threshold": self.threshold,
        }


@metric
class MeanIoU(IoU):
    """Mean intersection over union of all classes. Mirrors `keras.metrics.MeanIoU`.

    Parameters
    ----------
    num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        As in `IoU`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.MeanIoU(num_classes=2)
    >>> m.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(float(m.result()), 5)
    0.33333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config = super().get_config()
        del config["target_class_ids"]
        return config


@metric
class OneHotIoU(IoU):
    """Intersection over union for one-hot targets. Mirrors `keras.metrics.OneHotIoU`.

    Parameters
    ----------
    num_classes, target_class_ids, name, dtype, ignore_class, sparse_y_pred, axis
        As in `IoU`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.OneHotIoU(num_classes=3, target_class_ids=[0, 2])
    >>> y_true = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    >>> y_pred = [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.5, 0.3, 0.1], [0.1, 0.4, 0.5]]
    >>> m.update_state(y_true, y_pred)
    >>> round(float(m.result()), 5)
    0.16667
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config = super().get_config()
        del config["sparse_y_true"]
        return config


@metric
class OneHotMeanIoU(MeanIoU):
    """Mean intersection over union for one-hot targets. Mirrors `keras.metrics.OneHotMeanIoU`.

    Parameters
    ----------
    num_classes, name, dtype, ignore_class, sparse_y_pred, axis
        As in `IoU`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.OneHotMeanIoU(num_classes=2)
    >>> m.update_state([[1, 0], [0, 1]], [[0.8, 0.2], [0.6, 0.4]])
    >>> round(float(m.result()), 5)
    0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config = super().get_config()
        del config["sparse_y_true"]
        return config
