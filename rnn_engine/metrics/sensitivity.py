"""The best of one rate where another is at least so good."""

from typing import Any

import numpy as np

from rnn_engine.metrics.confusion import ThresholdMetric
from rnn_engine.metrics.counting import Counts, evenly_spaced
from rnn_engine.metrics.table import metric

# Each rate is part / (part + rest).
_RATES = {
    "sensitivity": ("true_positives", "false_negatives"),
    "recall": ("true_positives", "false_negatives"),
    "specificity": ("true_negatives", "false_positives"),
    "precision": ("true_positives", "false_positives"),
}


class _RateAtRate(ThresholdMetric):
    """Maximum of `_wanted` over the thresholds where `_bounded` is at least `value`."""

    _direction = "up"
    _wanted = ""
    _bounded = ""

    def __init__(
        self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any
    ) -> None:
        if not 0 <= value <= 1:
            raise ValueError(
                f"Argument `{self._bounded}` must be in the range [0, 1]. Received: "
                f"{self._bounded}={value}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                "Argument `num_thresholds` must be an integer > 0. Received: "
                f"num_thresholds={num_thresholds}"
            )
        self.value = value
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        setattr(self, self._bounded, value)
        single = num_thresholds == 1
        thresholds = [0.5] if single else evenly_spaced(num_thresholds)
        super().__init__(Counts._fields, thresholds, not single, name, dtype, class_id=class_id)
        for count, variable in self._counts.items():
            setattr(self, count, variable)

    def result(self) -> Any:
        """Return the best rate so far; 0 where no threshold meets the bound."""
        bounded = self._ratio(*_RATES[self._bounded]).astype(self._dtype)
        wanted = self._ratio(*_RATES[self._wanted])
        met = bounded >= self._scalar_type(self.value)
        return self._scalar_type(np.max(wanted, where=met, initial=0.0))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self._bounded: self.value,
        }


@metric
class SensitivityAtSpecificity(_RateAtRate):
    """Best sensitivity where the specificity is at least `specificity`.

    Mirrors `keras.metrics.SensitivityAtSpecificity`.

    Parameters
    ----------
    specificity : float
        Bound in [0, 1].
    num_thresholds : int
        Number of equally spaced thresholds tried.
    class_id : int, optional
        Count this class alone.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ValueError
        If the bound is not in [0, 1] or `num_thresholds` not positive.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.SensitivityAtSpecificity(0.5)
    >>> m.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> float(m.result())
    0.5
    """

    _wanted, _bounded = "sensitivity", "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


@metric
class SpecificityAtSensitivity(_RateAtRate):
    """Best specificity where the sensitivity is at least `sensitivity`.

    Mirrors `keras.metrics.SpecificityAtSensitivity`.

    Parameters
    ----------
    sensitivity : float
        Bound in [0, 1].
    num_thresholds : int
        Number of equally spaced thresholds tried.
    class_id : int, optional
        Count this class alone.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ValueError
        If the bound is not in [0, 1] or `num_thresholds` not positive.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.SpecificityAtSensitivity(0.5)
    >>> m.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> round(float(m.result()), 6)
    0.666667
    """

    _wanted, _bounded = "specificity", "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


@metric
class PrecisionAtRecall(_RateAtRate):
    """Best precision where the recall is at least `recall`.

    Mirrors `keras.metrics.PrecisionAtRecall`.

    Parameters
    ----------
    recall : float
        Bound in [0, 1].
    num_thresholds : int
        Number of equally spaced thresholds tried.
    class_id : int, optional
        Count this class alone.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ValueError
        If the bound is not in [0, 1] or `num_thresholds` not positive.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.PrecisionAtRecall(0.5)
    >>> m.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> float(m.result())
    0.5
    """

    _wanted, _bounded = "precision", "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


@metric
class RecallAtPrecision(_RateAtRate):
    """Best recall where the precision is at least `precision`.

    Mirrors `keras.metrics.RecallAtPrecision`.

    Parameters
    ----------
    precision : float
        Bound in [0, 1].
    num_thresholds : int
        Number of equally spaced thresholds tried.
    class_id : int, optional
        Count this class alone.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ValueError
        If the bound is not in [0, 1] or `num_thresholds` not positive.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.RecallAtPrecision(0.8)
    >>> m.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    >>> float(m.result())
    0.5
    """

    _wanted, _bounded = "recall", "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
