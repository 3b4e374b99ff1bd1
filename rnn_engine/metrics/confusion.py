"""Counts of outcomes, precision and recall."""

from typing import Any

from rnn_engine.metrics.arrays import divide_no_nan
from rnn_engine.metrics.counting import NEVER, are_even, count_outcomes, parse_thresholds
from rnn_engine.metrics.metric import Metric
from rnn_engine.metrics.table import metric
from rnn_engine.variable import Variable


class ThresholdMetric(Metric):
    """State and update shared by the metrics that count outcomes.

    Parameters
    ----------
    counts : tuple of str
        Names of the counts to keep: those of `Counts`.
    thresholds : list of float
        Where a score becomes a positive.
    even : bool
        Whether they run from 0 to 1 in equal steps.
    **options
        Further arguments of `count_outcomes`.
    """

    def __init__(
        self,
        counts: tuple[str, ...],
        thresholds: list[float],
        even: bool,
        name: str | None,
        dtype: Any,
        **options: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.thresholds = thresholds
        self._even = even
        self._options = options
        self._counts: dict[str, Variable] = {
            count: self._add_sum(count, (len(thresholds),)) for count in counts
        }

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true : array
            Targets, 0 or 1.
        y_pred : array
            Scores of the same shape.
        sample_weight : array, optional
            ``(samples,)`` or the shape of `y_pred`.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        batch = count_outcomes(
            y_true,
            y_pred,
            self.thresholds,
            self._dtype,
            sample_weight=sample_weight,
            even=self._even,
            **self._options,
        )
        for name, variable in self._counts.items():
            variable.value += getattr(batch, name)
            variable.touch()

    def _ratio(self, part: str, rest: str) -> Any:
        """Return ``part / (part + rest)`` at every threshold; 0 where both are 0."""
        share = self._counts[part].value
        return divide_no_nan(share, share + self._counts[rest].value)

    def _per_threshold(self, values: Any) -> Any:
        """Return one number where there is one threshold, else an array."""
        return self._scalar_type(values[0]) if len(values) == 1 else values.astype(self._dtype)


class _OutcomeCount(ThresholdMetric):
    _count = ""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self.init_thresholds = thresholds
        parsed = parse_thresholds(thresholds, 0.5)
        super().__init__((self._count,), parsed, are_even(parsed), name, dtype)
        self.accumulator = self._counts[self._count]

    def result(self) -> Any:
        """Return the count at each threshold, one number for a single threshold."""
        return self._per_threshold(self.accumulator.value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


@metric
class TruePositives(_OutcomeCount):
    """Number of positives found. Mirrors `keras.metrics.TruePositives`.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Scores above it are positive; 0.5 if None.
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.TruePositives()
    >>> m.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> float(m.result())
    2.0
    """

    _count = "true_positives"


@metric
class FalsePositives(_OutcomeCount):
    """Number of negatives taken for positives. Mirrors `keras.metrics.FalsePositives`.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Scores above it are positive; 0.5 if None.
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.FalsePositives()
    >>> m.update_state([0, 1, 0, 0], [0, 0, 1, 1])
    >>> float(m.result())
    2.0
    """

    _count = "false_positives"


@metric
class TrueNegatives(_OutcomeCount):
    """Number of negatives found. Mirrors `keras.metrics.TrueNegatives`.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Scores above it are positive; 0.5 if None.
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.TrueNegatives()
    >>> m.update_state([0, 1, 0, 0], [1, 1, 0, 0])
    >>> float(m.result())
    2.0
    """

    _count = "true_negatives"


@metric
class FalseNegatives(_OutcomeCount):
    """Number of positives missed. Mirrors `keras.metrics.FalseNegatives`.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Scores above it are positive; 0.5 if None.
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.FalseNegatives()
    >>> m.update_state([0, 1, 1, 1], [0, 1, 0, 0])
    >>> float(m.result())
    2.0
    """

    _count = "false_negatives"


class _PositiveRate(ThresholdMetric):
    """Share of the true positives; what else counts is the subclass's matter."""

    _direction = "up"
    _rest = ""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        parsed = parse_thresholds(thresholds, 0.5 if top_k is None else NEVER)
        super().__init__(
            ("true_positives", self._rest),
            parsed,
            are_even(parsed),
            name,
            dtype,
            top_k=top_k,
            class_id=class_id,
        )
        self.true_positives = self._counts["true_positives"]
        setattr(self, self._rest, self._counts[self._rest])

    def result(self) -> Any:
        """Return the share at each threshold, one number for a single threshold."""
        return self._per_threshold(self._ratio("true_positives", self._rest))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


@metric
class Precision(_PositiveRate):
    """Share of the positives called that are so. Mirrors `keras.metrics.Precision`.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Scores above it are positive; 0.5 if None (with `top_k`: any score).
    top_k : int, optional
        Only the `k` best scores of a row can be positive.
    class_id : int, optional
        Count this class alone.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ValueError
        If a threshold is not in [0, 1].

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.Precision()
    >>> m.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(float(m.result()), 6)
    0.666667
    """

    _rest = "false_positives"
    false_positives: Variable


@metric
class Recall(_PositiveRate):
    """Share of the positives that are found. Mirrors `keras.metrics.Recall`.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Scores above it are positive; 0.5 if None (with `top_k`: any score).
    top_k : int, optional
        Only the `k` best scores of a row can be positive.
    class_id : int, optional
        Count this class alone.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ValueError
        If a threshold is not in [0, 1].

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.Recall()
    >>> m.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(float(m.result()), 6)
    0.666667
    """

    _rest = "false_negatives"
    false_negatives: Variable
