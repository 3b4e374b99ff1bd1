"""What `compile` was given, resolved: the loss, its running average, the metrics."""

from typing import Any

import numpy as np

from rnn_engine import losses
from rnn_engine import metrics as metrics_module
from rnn_engine.metrics.resolve import resolve

_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


class LossTracker:
    """Average of the loss over samples; the entry ``"loss"`` of the logs.

    Stands where Keras has a `Mean` metric; two Python floats cost less to
    update than any array, and a float64 sum does not drift.
    """

    name = "loss"

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0.0

    def update_state(self, value: Any, sample_weight: float = 1.0) -> None:
        """Add the loss of a batch with the number of its samples."""
        self.total += float(value) * sample_weight
        self.count += sample_weight

    def result(self) -> float:
        """Return the average, 0 before any update."""
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        """Forget everything."""
        self.total = self.count = 0.0

    @property
    def variables(self) -> list[Any]:
        """No variables: the state is not an array."""
        return []

    def __repr__(self) -> str:
        return "<LossTracker name=loss>"


def _flatten(metrics: Any, argument: str) -> list[Any]:
    """Return metrics given as a list, nested or by output name, as a flat list."""
    if not metrics:
        return []
    if not isinstance(metrics, list | tuple | dict):
        raise ValueError(
            f"Expected `{argument}` argument to be a list, tuple, or dict. Received instead: "
            f"{argument}={metrics} of type {type(metrics)}"
        )
    flat: list[Any] = []
    for entry in metrics.values() if isinstance(metrics, dict) else metrics:
        if isinstance(entry, list | tuple | dict):
            flat.extend(_flatten(entry, argument))
        elif entry is None:
            raise ValueError(f"{argument} must not hold None, got {metrics}.")
        else:
            flat.append(entry)
    for entry in flat:
        if isinstance(entry, str) and entry.lower() not in _BY_SHAPE:
            metrics_module.get(entry)  # an unknown name is an error of compile, not of fit
        elif not (isinstance(entry, str) or callable(entry) or hasattr(entry, "update_state")):
            metrics_module.get(entry)
    return flat


class CompileMetrics:
    """The metrics of `compile`, made when the shapes of the first batch are known.

    Takes the place of the object of the same name in Keras's ``model.metrics``.

    Raises
    ------
    ValueError
        If `metrics` or `weighted_metrics` is no list, tuple or dict, or an entry
        is unknown.
    """

    name = "compile_metrics"

    def __init__(self, metrics: Any, weighted_metrics: Any, loss: Any = None) -> None:
        self.loss = loss
        self._given = _flatten(metrics, "metrics")
        self._given_weighted = _flatten(weighted_metrics, "weighted_metrics")
        self._plain: list[Any] = []
        self._weighted: list[Any] = []
        self.built = False

    def build(self, y_shape: Any, pred_shape: Any, loss: Any) -> None:
        """Make the metrics; ``"accuracy"`` means what fits the shapes."""

        def make(given: list[Any]) -> list[Any]:
            return [resolve(identifier, y_shape, pred_shape, loss) for identifier in given]

        self._plain, self._weighted = make(self._given), make(self._given_weighted)
        self.built = True

    @property
    def metrics(self) -> list[Any]:
        """The metrics in order, first those without sample weights."""
        return self._plain + self._weighted

    @property
    def variables(self) -> list[Any]:
        """The state of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def update_state(
        self, y: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None, below: Any = None
    ) -> None:
        """Hand a batch to every metric; the first one makes them.

        `below` is the pair of logits and activation of which `y_pred` was made, if they are
        known: Keras computes cross-entropies, those among the metrics too, from the logits.
        """
        if not self.built:
            self.build(y.shape, y_pred.shape, self.loss)
        for metric in self._plain:
            metric.update_masked(y, y_pred, None, mask, below)
        for metric in self._weighted:
            metric.update_masked(y, y_pred, sample_weight, mask, below)

    def reset_state(self) -> None:
        """Reset every metric."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """Return results by name; a name met twice gets Keras's prefix or number."""
        results: dict[str, Any] = {}
        counts: dict[str, int] = {}

        def put(name: str, metric: Any) -> None:
            if name in counts:
                name, counts[name] = f"{name}_{counts[name]}", counts[name] + 1
            else:
                counts[name] = 1
            results[name] = metric.result()

        for metric in self._plain:
            put(metric.name, metric)
        for metric in self._weighted:
            prefix = "weighted_" if metric.name in counts else ""
            put(prefix + metric.name, metric)
        return results

    def __repr__(self) -> str:
        return "<CompileMetrics name=compile_metrics>"


def single(value: Any, argument: str) -> Any:
    """Return the entry of a list or dict of one, or `value`: a model has one output.

    Raises
    ------
    ValueError
        If there are several entries or none.
    """
    if isinstance(value, dict) and "class_name" in value:
        return value
    if isinstance(value, dict | list | tuple):
        entries = list(value.values()) if isinstance(value, dict) else list(value)
        if len(entries) != 1:
            raise ValueError(
                f"{argument} has {len(entries)} entries, but the model has one output."
            )
        return entries[0]
    return value


def find_loss(identifier: Any, y_shape: Any = None, pred_shape: Any = None) -> Any:
    """Return the `Loss` that `identifier` means.

    ``"crossentropy"`` and ``"ce"`` pick by the shapes, as in Keras; without
    shapes they give None.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    by_shape = isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce")
    if by_shape and pred_shape is None:
        return None
    return losses.resolve(identifier, y_shape, pred_shape)


def scalar(value: Any) -> float:
    """Return a loss value as a float, the mean where the reduction left an array."""
    return value if type(value) is float else float(np.mean(value))
