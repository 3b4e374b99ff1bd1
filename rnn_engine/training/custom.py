"""Steps of one's own: `train_step`, `test_step`, `predict_step`, `compute_loss`, `compute_metrics`.

A model that overrides none of them is trained by the steps of `step`. Otherwise each batch goes
through these methods, as Keras's trainer has them, and what they return are the logs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.graph import flatten, map_structure
from rnn_engine.tensor import Tensor, as_tensor
from rnn_engine.utils.dataset import unpack_x_y_sample_weight


def is_custom(model: Any, kind: str) -> bool:
    """Whether a model overrides what a batch of this kind, "train" or "test", goes through."""
    cls = type(model)
    names = (f"{kind}_step", "compute_loss", "compute_metrics")
    return any(getattr(cls, name, None) is not getattr(CustomSteps, name) for name in names)


def make_custom_step(model: Any, kind: str) -> Callable[[Any, Any, Any], float]:
    """Return ``step(x, y, sample_weight)``, which leaves the logs in the compilation."""
    method = getattr(model, f"{kind}_step")

    def step(x: Any, y: Any, weight: Any) -> float:
        x, y, weight = (map_structure(as_tensor, part) for part in (x, y, weight))
        if weight is not None:
            data: Any = (x, y, weight)
        elif y is not None:
            data = (x, y)
        else:
            data = (x,) if isinstance(x, list | tuple) else x
        logs = method(_as_given(model, data))
        if logs is not None and not isinstance(logs, dict):
            raise ValueError(
                f"`{kind}_step` must return a dict of logs, or nothing. Received: {logs!r}"
            )
        compilation = model._compilation
        compilation.logs = _numbers(logs or {})
        return float(compilation.logs.get("loss", 0.0))

    return step


def own_prediction(model: Any, x: Any) -> Any:
    """Return what a `predict_step` of one's own makes of a batch, as arrays."""
    x = map_structure(as_tensor, x)
    y = model.predict_step(_as_given(model, (x,) if isinstance(x, list | tuple) else x))
    return map_structure(np.asarray, tuple(y) if isinstance(y, list) else y)


def _as_given(model: Any, data: Any) -> Any:
    """Return the data of a batch in the form in which the user gives them."""
    return model.data_of(data) if hasattr(model, "data_of") else data


def _numbers(logs: dict[str, Any]) -> dict[str, Any]:
    """Return logs with numbers for tensors, in dicts within them too."""
    return {
        name: _numbers(value) if isinstance(value, dict) else as_number(value)
        for name, value in logs.items()
    }


def as_number(value: Any) -> Any:
    """Return a tensor of one number as a number, anything else as it is."""
    if isinstance(value, Tensor) or hasattr(value, "_node") or hasattr(value, "assign"):
        array = np.asarray(value)
        return array[()] if array.ndim == 0 else array
    return value


class CustomSteps:
    """What Keras's trainer calls for a batch: a mixin of the model, to be overridden."""

    _compilation: Any
    optimizer: Any
    trainable_variables: Any
    losses: Any

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on one batch ``(x, y)`` or ``(x, y, sample_weight)``; return the logs."""
        from rnn_engine.autodiff.tape import GradientTape

        model: Any = self
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **_training(model, True)
            )
        variables = model.trainable_variables
        self._compilation.tracker.update_state(float(loss), len(flatten(x)[0]))
        model.optimizer.apply(tape.gradient(loss, variables), variables)
        return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate one batch; return the logs."""
        model: Any = self
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = model(x, training=False)
        loss = model.compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **_training(model, False)
        )
        self._compilation.tracker.update_state(float(loss), len(flatten(x)[0]))
        return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """Return the outputs for one batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        model: Any = self
        return model(x, training=False)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss of `compile` and what `losses` holds, added up.

        Raises
        ------
        ValueError
            If there is neither.
        """
        parts: list[Any] = []
        losses = None if self._compilation is None else self._compilation.losses
        if losses is not None:
            ys, preds, weights = _flat(y), _flat(y_pred), _flat(sample_weight)
            losses.resolve(ys, lambda: [tuple(p.shape) for p in preds])
            for entry in losses.entries:
                weight = None
                if weights[0] is not None:
                    weight = weights[entry.number] if len(weights) > 1 else weights[0]
                value = entry.loss(ys[entry.number], preds[entry.number], weight)
                scale = getattr(entry, "weight", 1.0)
                parts.append(value if scale == 1.0 else value * scale)
        parts += list(self.losses)
        if not parts:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Hand a batch to the metrics of `compile`; return the results of all metrics."""
        _update(self._compilation, y, y_pred, sample_weight)
        model: Any = self
        return dict(model.get_metrics_result())

    def compiled_loss(
        self, y: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Any:
        """Return the loss: the old name of `compute_loss`."""
        model: Any = self
        return model.compute_loss(None, y, y_pred, sample_weight)

    @property
    def compiled_metrics(self) -> Any:
        """The metrics of `compile`, with `update_state`: an old name."""
        return _CompiledMetrics(self._compilation)


class _CompiledMetrics:
    def __init__(self, compilation: Any) -> None:
        self.compilation = compilation

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Hand a batch to the metrics."""
        _update(self.compilation, y, y_pred, sample_weight)


def _update(compilation: Any, y: Any, y_pred: Any, sample_weight: Any) -> None:
    if compilation is not None and compilation.metrics is not None:
        compilation.metrics.update_state(y, y_pred, sample_weight)


def _flat(value: Any) -> list[Any]:
    return list(flatten(value)) if isinstance(value, list | tuple | dict) else [value]


def _training(model: Any, training: bool) -> dict[str, bool]:
    """Return the argument `training` for a `compute_loss` that takes it."""
    code = getattr(type(model).compute_loss, "__code__", None)
    takes = (
        code is None or "training" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    )
    return {"training": training} if takes else {}
