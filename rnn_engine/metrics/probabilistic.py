"""Metrics of probabilities: the cross-entropies, KL divergence, Poisson."""

from typing import Any

import numpy as np

from rnn_engine import losses
from rnn_engine.metrics.arrays import as_array
from rnn_engine.metrics.reduction import MeanMetricWrapper, masked_weight
from rnn_engine.metrics.table import metric


@metric
class KLDivergence(MeanMetricWrapper):
    """Mean of ``sum(y_true log(y_true / y_pred))``. Mirrors `keras.metrics.KLDivergence`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.KLDivergence()
    >>> m.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(m.result()), 4)
    0.4581
    """

    _direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.kl_divergence, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class Poisson(MeanMetricWrapper):
    """Mean of ``y_pred - y_true log(y_pred)``. Mirrors `keras.metrics.Poisson`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.Poisson()
    >>> m.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> round(float(m.result()), 4)
    0.5
    """

    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.poisson, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype}


@metric
class BinaryCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of 0/1 targets. Mirrors `keras.metrics.BinaryCrossentropy`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    from_logits : bool
        The outputs are logits, not probabilities.
    label_smoothing : float
        Targets are drawn towards 0.5 by this share.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.BinaryCrossentropy()
    >>> m.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(m.result()), 4)
    0.8149
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            losses.binary_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype, **self._fn_kwargs}


@metric
class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of one-hot targets. Mirrors `keras.metrics.CategoricalCrossentropy`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    from_logits : bool
        The outputs are logits, not probabilities.
    label_smoothing : float
        Targets are drawn towards the uniform distribution by this share.
    axis : int
        Axis of the classes.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.CategoricalCrossentropy()
    >>> m.update_state([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
    >>> round(float(m.result()), 4)
    1.1769
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.categorical_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype, **self._fn_kwargs}


@metric
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of integer labels.

    Mirrors `keras.metrics.SparseCategoricalCrossentropy`. A label that is no
    class is an error, except `ignore_class`.

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    from_logits : bool
        The outputs are logits, not probabilities.
    ignore_class : int, optional
        A label whose entries have the value zero. As in Keras their weight is
        zero too where weights are given; without weights they are counted.
    axis : int
        Axis of the classes.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> m = metrics.SparseCategoricalCrossentropy()
    >>> m.update_state([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
    >>> round(float(m.result()), 4)
    1.1769
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def update_state(  # type: ignore[override]  # Mean takes values, this one a pair
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch; see `ignore_class` for what weights do to ignored labels."""
        if sample_weight is not None and self.ignore_class is not None:
            labels = as_array(y_true, "y_true")
            if labels.ndim == np.ndim(y_pred):
                labels = labels.reshape(labels.shape[:-1])
            sample_weight = masked_weight(sample_weight, labels != self.ignore_class, self._dtype)
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"name": self.name, "dtype": self.dtype, **self._fn_kwargs}
