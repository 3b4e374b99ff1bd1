"""F-scores: the weighted harmonic mean of precision and recall."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.metrics.arrays import Array, as_array
from rnn_engine.metrics.metric import Metric
from rnn_engine.metrics.table import metric

_AVERAGES = (None, "micro", "macro", "weighted")


@metric
class FBetaScore(Metric):
    """``(1 + beta²) precision recall / (beta² precision + recall)``.

    Mirrors `keras.metrics.FBetaScore`.

    Parameters
    ----------
    average : None, "micro", "macro" or "weighted"
        Score of each class; of all counts together; their mean; their mean
        weighted by how often each class occurs.
    beta : float
        Weight of recall against precision.
    threshold : float, optional
        Scores above it are positive; the largest of a row if None.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ValueError
        If an argument is not one of these.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> y_true = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    >>> m.update_state(y_true, [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> m.result().round(4)
    array([0.3846, 0.9091, 0.8333], dtype=float32)
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if average not in _AVERAGES:
            raise ValueError(
                f"Invalid `average` argument value. Expected one of: {_AVERAGES}. Received: "
                f"average={average}"
            )
        if not isinstance(beta, float) or not beta > 0:
            raise ValueError(
                "Invalid `beta` argument value. It should be a Python float, above 0. Received: "
                f"beta={beta} of type '{type(beta)}'"
            )
        if threshold is not None and not (isinstance(threshold, float) and 0 < threshold <= 1):
            raise ValueError(
                "Invalid `threshold` argument value. It should be a Python float, above 0 and at "
                f"most 1. Received: threshold={threshold} of type '{type(threshold)}'"
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._axis = None if average == "micro" else 0
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        self.true_positives = self._add_sum("true_positives", shape)
        self.false_positives = self._add_sum("false_positives", shape)
        self.false_negatives = self._add_sum("false_negatives", shape)
        self.intermediate_weights = self._add_sum("intermediate_weights", shape)
        self._classes = classes
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of shape ``(samples, classes)``, with weights ``(samples,)``.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        y_true = as_array(y_true, "y_true", self._dtype)
        y_pred = as_array(y_pred, "y_pred", self._dtype)
        self._check(y_true.shape, y_pred.shape)
        weight: Any = 1.0
        if sample_weight is not None:
            weight = as_array(sample_weight, "sample_weight", "float64")
            if weight.shape != (len(y_pred),):
                raise ValueError(
                    f"sample_weight must have shape ({len(y_pred)},), got {weight.shape}."
                )
            weight = weight[:, None]
        if not self._built:
            self._build(y_pred.shape[1])
        called = self._called(y_pred).astype(np.float64)
        for variable, hits in (
            (self.true_positives, called * y_true),
            (self.false_positives, called * (1 - y_true)),
            (self.false_negatives, (1 - called) * y_true),
            (self.intermediate_weights, y_true.astype(np.float64)),
        ):
            variable.assign_add((hits * weight).sum(axis=self._axis))

    def _check(self, true_shape: tuple[int, ...], pred_shape: tuple[int, ...]) -> None:
        if len(pred_shape) != 2 or true_shape != pred_shape:
            raise ValueError(
                "FBetaScore expects 2D inputs with shape (batch_size, output_dim). "
                f"Received input shapes: y_pred.shape={pred_shape} and y_true.shape={true_shape}."
            )
        if self._built and pred_shape[1] != self._classes:
            raise ValueError(
                f"y_pred has {pred_shape[1]} classes, earlier batches {self._classes}."
            )

    def _called(self, y_pred: Array) -> Array:
        """Return which scores are called positive."""
        if self.threshold is not None:
            return y_pred > self.threshold
        largest = y_pred.max(axis=-1, keepdims=True)
        # A row of zeros calls nothing, as in Keras.
        return (y_pred >= largest) & (np.abs(y_pred) > 1e-9)

    def result(self) -> Any:
        """Return the score so far, for each class if `average` is None.

        Raises
        ------
        ValueError
            Before the first batch.
        """
        if not self._built:
            raise ValueError(
                f"{type(self).__name__} has no result before its first update_state()."
            )
        tp, fuzz = self.true_positives.value, epsilon()
        precision = tp / (tp + self.false_positives.value + fuzz)
        recall = tp / (tp + self.false_negatives.value + fuzz)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + fuzz)
        if self.average == "weighted":
            share = self.intermediate_weights.value
            score = (score * share).sum() / (share.sum() + fuzz)
        elif self.average is not None:
            score = np.mean(score)
        return score.astype(self._dtype) if score.ndim else self._scalar_type(score)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


@metric
class F1Score(FBetaScore):
    """Harmonic mean of precision and recall. Mirrors `keras.metrics.F1Score`.

    Parameters
    ----------
    average, threshold, name, dtype
        As in `FBetaScore`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.F1Score(threshold=0.5)
    >>> y_true = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    >>> m.update_state(y_true, [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> m.result().round(4)
    array([0.5   , 0.8   , 0.6667], dtype=float32)
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; `beta` is none of them."""
        config = super().get_config()
        del config["beta"]
        return config
