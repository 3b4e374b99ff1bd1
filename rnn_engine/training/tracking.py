"""What is averaged over batches: losses, and the metrics of `compile`."""

from typing import Any

import numpy as np

from rnn_engine import metrics as metrics_module
from rnn_engine.graph import flatten
from rnn_engine.metrics.resolve import resolve
from rnn_engine.training.form import DataForm

_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


class LossTracker:
    """Average of a loss over samples; the entry ``"loss"``, or ``"NAME_loss"``, of the logs.

    Stands where Keras has a `Mean` metric; two Python floats cost less to
    update than any array, and a float64 sum does not drift.
    """

    def __init__(self, name: str = "loss") -> None:
        self.name = name
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
        return f"<LossTracker name={self.name}>"


def _arrays(value: Any) -> list[Any]:
    """Return the leaves of a nest of tensors as arrays."""
    leaves = flatten(value) if isinstance(value, list | tuple | dict) else [value]
    return [None if leaf is None else np.asarray(leaf) for leaf in leaves]


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


def _by_output(metrics: Any, argument: str, form: DataForm) -> list[list[Any]]:
    """Return the metrics of each output, in the order of the model's flat outputs.

    Raises
    ------
    ValueError
        If they do not match the outputs.
    """
    _flatten(metrics, argument)
    count = len(form.outputs)
    if count == 1 or not metrics:
        return [_flatten(metrics, argument)] + [[]] * (count - 1)
    names = {**form.keys, **{str(name): i for i, name in enumerate(form.outputs)}}
    given: list[Any] = [None] * count
    if isinstance(metrics, dict) and set(metrics) <= set(names):
        for name, entry in metrics.items():
            given[names[name]] = entry
    elif isinstance(metrics, list | tuple) and len(metrics) == count:
        given = list(metrics)
    else:
        raise ValueError(
            f"Invalid `{argument}`. `{argument}` should contain metrics objects and either be a "
            f"dict or a list matching the output names of the functional model "
            f"{list(form.outputs)}.\nReceived: {argument}={metrics}"
        )
    entries = [e if isinstance(e, list | tuple | dict) else [e] for e in given]
    return [
        [] if given[i] is None else _flatten(entry, argument) for i, entry in enumerate(entries)
    ]


class OutputMetrics:
    """The metrics of one output: those that see no sample weights, and those that do."""

    def __init__(self, name: str | None, plain: list[Any], weighted: list[Any]) -> None:
        self.name = name
        self.given = plain, weighted
        self.plain: list[Any] = []
        self.weighted: list[Any] = []

    def build(self, y_shape: Any, pred_shape: Any, loss: Any) -> None:
        """Make the metrics; ``"accuracy"`` means what fits the shapes."""
        self.plain, self.weighted = (
            [resolve(identifier, y_shape, pred_shape, loss) for identifier in given]
            for given in self.given
        )

    def named(self, metric: Any, weighted: bool = False) -> str:
        """Return the name under which a metric stands in the logs."""
        name = f"weighted_{metric.name}" if weighted else metric.name
        return name if self.name is None else f"{self.name}_{name}"


class CompileMetrics:
    """The metrics of `compile`, made when the shapes of the first batch are known.

    Takes the place of the object of the same name in Keras's ``model.metrics``.

    Parameters
    ----------
    metrics, weighted_metrics : list or dict
        By output where there are several.
    form : DataForm
    losses : list of Loss, optional
        Those of the outputs.

    Raises
    ------
    ValueError
        If `metrics` or `weighted_metrics` is no list, tuple or dict, or an entry
        is unknown, or they do not match the outputs.
    """

    name = "compile_metrics"

    def __init__(
        self, metrics: Any, weighted_metrics: Any, form: DataForm, losses: Any = None
    ) -> None:
        plain = _by_output(metrics, "metrics", form)
        weighted = _by_output(weighted_metrics, "weighted_metrics", form)
        self.losses = losses
        self.outputs = [
            OutputMetrics(*entry) for entry in zip(form.outputs, plain, weighted, strict=True)
        ]
        self.built = False
        self.shapes: Any = None  # of targets and outputs, with which it was built
        self._to_come: Any = None  # sums of a training that was interrupted

    def take(self, values: Any) -> None:
        """Take over the state that `variables` had, once the metrics are there."""
        if not self.built:
            self._to_come = values
            return
        self._to_come = None
        for variable, value in zip(self.variables, values, strict=True):
            variable.write(np.asarray(value, variable.dtype))

    def build(self, ys: Any, preds: Any) -> None:
        """Make the metrics for targets and outputs of such shapes."""
        for number, output in enumerate(self.outputs):
            loss = None if self.losses is None else self.losses.of_output(number)
            y = ys[number]
            if y is not None:
                output.build(y.shape, preds[number].shape, loss)
            elif any(output.given):
                raise ValueError(f"The metrics of output {output.name!r} need targets.")
        self.shapes = [[y if y is None else y.shape for y in ys], [pred.shape for pred in preds]]
        self.built = True
        if self._to_come is not None:
            self.take(self._to_come)

    @property
    def metrics(self) -> list[Any]:
        """The metrics in order, first those without sample weights."""
        plain = [metric for output in self.outputs for metric in output.plain]
        return plain + [metric for output in self.outputs for metric in output.weighted]

    @property
    def variables(self) -> list[Any]:
        """The state of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def update_state(
        self, ys: Any, preds: Any, weights: Any = None, masks: Any = None, below: Any = None
    ) -> None:
        """Hand a batch, an entry an output, to every metric; the first one makes them.

        `below` has for each output the pair of logits and activation of which it was made,
        if they are known: Keras computes cross-entropies, those among the metrics too, from
        the logits. Without masks it is a call of the user's, of tensors or nests of them.
        """
        if masks is None:
            ys, preds, weights = (_arrays(value) for value in (ys, preds, weights))
            weights = weights * len(ys) if len(weights) < len(ys) else weights
            masks = below = [None] * len(ys)
        if not self.built:
            self.build(ys, preds)
        for i, output in enumerate(self.outputs):
            for metric in output.plain:
                metric.update_masked(ys[i], preds[i], None, masks[i], below[i])
            for metric in output.weighted:
                metric.update_masked(ys[i], preds[i], weights[i], masks[i], below[i])

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

        for output in self.outputs:
            for metric in output.plain:
                put(output.named(metric), metric)
        for output in self.outputs:
            for metric in output.weighted:
                put(output.named(metric, output.named(metric) in counts), metric)
        return results

    def __repr__(self) -> str:
        return "<CompileMetrics name=compile_metrics>"
