"""Area under the ROC, precision-recall and precision-recall-gain curves."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.metrics.arrays import Array, as_array, divide_no_nan
from rnn_engine.metrics.counting import Counts, are_even, count_outcomes, evenly_spaced
from rnn_engine.metrics.metric import Metric
from rnn_engine.metrics.table import metric

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "majoring", "minoring")


def _choice(value: Any, allowed: tuple[str, ...], argument: str) -> str:
    """Return the one of `allowed` that is meant, in any case."""
    given = str(getattr(value, "value", value))
    for name in allowed:
        if given.lower() == name.lower():
            return name
    names = ", ".join(f'"{name}"' for name in allowed)
    raise ValueError(f'Invalid AUC {argument} value: "{value}". Expected values are [{names}]')


def _sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))`` through tanh, which cannot overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


@metric
class AUC(Metric):
    """Area under a curve, by a Riemann sum over thresholds. Mirrors `keras.metrics.AUC`.

    Parameters
    ----------
    num_thresholds : int
        Number of equally spaced thresholds.
    curve : "ROC", "PR" or "PRGAIN"
        Which curve.
    summation_method : "interpolation", "majoring" or "minoring"
        Mid-point sum (for PR the interpolation of Davis and Goadrich, "The
        Relationship Between Precision-Recall and ROC Curves", 2006), or the
        upper or lower sum.
    name, dtype
        As in `Metric`.
    thresholds : list of float, optional
        Inner thresholds in place of `num_thresholds` equal steps.
    multi_label : bool
        Take the area of each entry of the last axis and average them.
    num_labels : int, optional
        Their number, where the state shall exist before the first batch.
    label_weights : list of float, optional
        Weights of that average; without `multi_label`, of the entries themselves.
    from_logits : bool
        The outputs are logits: a sigmoid is applied first.

    Raises
    ------
    ValueError
        If an argument is not one of these.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.AUC(num_thresholds=3)
    >>> m.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    >>> float(m.result())
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        self.curve = _choice(curve, _CURVES, "curve")
        self.summation_method = _choice(summation_method, _SUMMATIONS, "summation method")
        if num_labels and not multi_label:
            raise ValueError("num_labels is needed only when multi_label is True.")
        self._init_from_thresholds = thresholds is not None
        if thresholds is not None:
            inner = sorted(thresholds)
            self._even = are_even([0.0, *inner, 1.0])
        elif num_thresholds <= 1:
            raise ValueError(
                "Argument `num_thresholds` must be an integer > 1. Received: "
                f"num_thresholds={num_thresholds}"
            )
        else:
            inner = evenly_spaced(num_thresholds)[1:-1]
            self._even = True
        self.num_thresholds = len(inner) + 2
        self._thresholds = np.array([0.0 - epsilon(), *inner, 1.0 + epsilon()])
        super().__init__(name=name, dtype=dtype)
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = (
            None if label_weights is None else as_array(label_weights, "label_weights", self._dtype)
        )
        self._from_logits = from_logits
        self._built = False
        if not multi_label:
            self._build(())
        elif num_labels:
            self._build((num_labels,))

    @property
    def thresholds(self) -> list[float]:
        """All thresholds; the outer two lie just outside [0, 1]."""
        return list(self._thresholds)

    def _build(self, labels: tuple[int, ...]) -> None:
        shape = (self.num_thresholds, *labels)
        self.true_positives = self._add_sum("true_positives", shape)
        self.false_positives = self._add_sum("false_positives", shape)
        self.true_negatives = self._add_sum("true_negatives", shape)
        self.false_negatives = self._add_sum("false_negatives", shape)
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true : array
            Targets, 0 or 1.
        y_pred : array
            Scores in [0, 1] of the same shape (any number with `from_logits`).
        sample_weight : array, optional
            ``(samples,)`` or the shape of `y_pred`.

        Raises
        ------
        ValueError
            If the shapes do not fit, or `multi_label` meets another rank than 2.
        """
        y_pred = as_array(y_pred, "y_pred", self._dtype)
        if self.multi_label:
            self._check_labels(y_pred.shape)
        batch = count_outcomes(
            y_true,
            _sigmoid(y_pred) if self._from_logits else y_pred,
            self._thresholds,
            self._dtype,
            sample_weight=sample_weight,
            even=self._even,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )
        if not self._built:
            self._build(y_pred.shape[1:])
        for name in Counts._fields:
            variable = getattr(self, name)
            variable.value += getattr(batch, name)
            variable.touch()

    def _check_labels(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise ValueError(f"y_pred must have rank 2 when multi_label=True, got shape {shape}.")
        if self._built and shape[1] != self.true_positives.shape[1]:
            raise ValueError(
                f"y_pred has {shape[1]} labels, AUC was made for {self.true_positives.shape[1]}."
            )

    def result(self) -> Any:
        """Return the area so far.

        Raises
        ------
        ValueError
            With `multi_label`, before the first batch.
        """
        if not self._built:
            raise ValueError("AUC has no result before its first update_state().")
        tp, fp, tn, fn = (getattr(self, name).value for name in Counts._fields)
        if self.curve == "PR" and self.summation_method == "interpolation":
            terms = _interpolated_pr(tp, fp, fn)
        else:
            x, y = self._points(tp, fp, tn, fn)
            terms = (x[:-1] - x[1:]) * self._heights(y)
        area = terms.sum(axis=0)
        if self.multi_label:
            weights = self.label_weights
            area = (
                area.mean()
                if weights is None
                else divide_no_nan((area * weights).sum(), weights.sum())
            )
        return self._scalar_type(area)

    def _points(self, tp: Array, fp: Array, tn: Array, fn: Array) -> tuple[Array, Array]:
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            return divide_no_nan(fp, fp + tn), recall
        if self.curve == "PR":
            return recall, divide_no_nan(tp, tp + fp)
        # Flach and Kull, "Precision-Recall-Gain Curves", 2015.
        scale = divide_no_nan(tp + fn, tn + fp)
        found = tp != 0
        recall_gain = np.where(found, 1 - scale * divide_no_nan(fn, tp), 0.0)
        precision_gain = np.where(found, 1 - scale * divide_no_nan(fp, tp), 1.0)
        return np.maximum(recall_gain, 0.0), precision_gain

    def _heights(self, y: Array) -> Array:
        if self.summation_method == "interpolation":
            return (y[:-1] + y[1:]) / 2
        choose = np.minimum if self.summation_method == "minoring" else np.maximum
        return choose(y[:-1], y[1:])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        weights = self.label_weights
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else weights.tolist(),
            "from_logits": self._from_logits,
        }
        if self._init_from_thresholds:
            config["thresholds"] = [float(t) for t in self._thresholds[1:-1]]
        return config


def _interpolated_pr(tp: Array, fp: Array, fn: Array) -> Array:
    """Area under PR between neighbouring thresholds, TP linear in the positives called.

    With ``P = TP + FP`` and ``TP = slope P + intercept`` between two thresholds,
    ``∫ TP/P dTP = slope (dTP + intercept log(P_a / P_b))``.
    """
    called = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = divide_no_nan(gained, np.maximum(called[:-1] - called[1:], 0))
    intercept = tp[1:] - slope * called[1:]
    both = (called[:-1] > 0) & (called[1:] > 0)
    ratio = np.divide(called[:-1], called[1:], out=np.ones_like(intercept), where=both)
    area = slope * (gained + intercept * np.log(ratio))
    return divide_no_nan(area, np.maximum(tp[1:] + fn[1:], 0))
