"""`Compiled`: the half of the trainer that is about `compile` and its results."""

import warnings
from typing import Any

import numpy as np

from rnn_engine import losses, optimizers
from rnn_engine import metrics as metrics_module
from rnn_engine.callbacks.callback_list import sort_logs
from rnn_engine.config import floatx
from rnn_engine.tensor import Tensor
from rnn_engine.training.arguments import check_count
from rnn_engine.training.arrays import STRINGS, convert
from rnn_engine.training.compiled import CompileMetrics, LossTracker, find_loss, single
from rnn_engine.training.interrupt import InterruptGuard
from rnn_engine.training.step import Step, make_test_step, make_train_step


class Compiled:
    """`compile`, the state it sets up, and the logs made of it.

    A mixin: the model brings `layers`, `trainable_variables`, `build_from_data`,
    `forward_with_mask`, `backward` and `regularization`.
    """

    compiled = False
    optimizer: Any = None
    loss: Any = None
    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    training_interrupted = False
    history: Any = None
    run_eagerly = False
    jit_compile: Any = False
    steps_per_execution = 1
    _loss: Any = None
    _loss_scale = 1.0
    _loss_tracker: LossTracker
    _compile_metrics: CompileMetrics | None = None
    _compile_config: dict[str, Any] | None = None
    _initial_epoch: int | None = None
    _guard: InterruptGuard
    _steps: dict[str, tuple[Any, Step]]

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose optimizer, loss and metrics. Mirrors `keras.Model.compile`.

        Parameters
        ----------
        optimizer, loss : str, config, class or instance
        loss_weights : list or dict of one number, optional
            Factor of the loss.
        metrics, weighted_metrics : list, optional
            Names, functions or instances; only the latter see sample weights.
            ``"accuracy"`` picks by the shapes, as in Keras.
        run_eagerly, jit_compile
            Accepted: the kernels are compiled in any case.
        steps_per_execution : int
            Batch hooks of callbacks run once in so many batches.
        auto_scale_loss : bool
            Whether a model of the policy "mixed_float16" has its optimizer wrapped in a
            `LossScaleOptimizer`.

        Raises
        ------
        ValueError
            If a name is unknown or an argument out of range; the model stays as
            it was compiled before.
        """
        new_optimizer = optimizers.get(optimizer)
        if auto_scale_loss and getattr(self, "_policy", None) == "mixed_float16":
            new_optimizer = optimizers.with_loss_scale(new_optimizer)
        identifier = single(loss, "loss")
        new_loss = find_loss(identifier)
        scale = _loss_scale(loss_weights)
        new_metrics = None
        if metrics or weighted_metrics:
            new_metrics = CompileMetrics(metrics, weighted_metrics, new_loss)
        if jit_compile not in ("auto", True, False, None):
            raise ValueError(f"jit_compile must be 'auto' or a bool, got {jit_compile!r}.")
        every = check_count(steps_per_execution, "steps_per_execution")
        if run_eagerly and jit_compile is True:
            warnings.warn(
                "If `run_eagerly` is True, then `jit_compile` cannot also be True. "
                "Disabling `jit_compile`.",
                stacklevel=2,
            )
            jit_compile = False
        self.optimizer = new_optimizer
        self.loss = loss
        self._loss, self._loss_scale = new_loss, scale
        self._compile_metrics = new_metrics
        self._loss_tracker = LossTracker()
        self.run_eagerly = bool(run_eagerly)
        self.jit_compile = False if jit_compile == "auto" else jit_compile
        self.steps_per_execution = every
        self.stop_training = False
        self.compiled = True
        self._guard = InterruptGuard()
        self._steps = {}
        self._compile_config = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    def get_compile_config(self) -> dict[str, Any]:
        """Return what `compile` was given, ready for JSON; empty if it was not called."""
        if self._compile_config is None:
            return {}
        config = dict(self._compile_config)
        given = config["optimizer"]
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        wrapped = inner is not self.optimizer and given is not self.optimizer
        config["optimizer"] = optimizers.serialize(inner if wrapped else self.optimizer)
        config["loss"] = _map_nested(losses.serialize, config["loss"])
        for name in ("metrics", "weighted_metrics"):
            config[name] = _map_nested(metrics_module.serialize, config[name])
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        settings = dict(config)
        settings["optimizer"] = optimizers.get(settings["optimizer"])
        settings["loss"] = _map_nested(_read_loss, settings.get("loss"))
        for name in ("metrics", "weighted_metrics"):
            settings[name] = _map_nested(_read_metric, settings.get(name))
        self.compile(**settings)

    def __getstate__(self) -> dict[str, Any]:
        # A step holds on to this model's own parts: a copy makes steps of its own.
        return {**vars(self), "_steps": {}}

    @property
    def metrics(self) -> list[Any]:
        """The loss tracker, the metrics of `compile` in one object, those of layers."""
        found: list[Any] = []
        if self.compiled:
            found.append(self._loss_tracker)
            if self._compile_metrics is not None:
                found.append(self._compile_metrics)
        model: Any = self
        for layer in model.layers:
            if not isinstance(layer, Compiled):
                found.extend(getattr(layer, "metrics", ()))
        return found

    @property
    def metrics_names(self) -> list[str]:
        """Names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Reset the state of the loss tracker and of every metric."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the running average of the loss and the results of the metrics."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            result = metric.result()
            if isinstance(result, dict):
                results.update(result)
            else:
                results[metric.name] = result
        return sort_logs({name: number(value) for name, value in results.items()})

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """Return logs as Keras lists them: the loss, the metrics, then the rest by name."""
        names: list[str] = []
        for metric in self.metrics:
            inner = metric.metrics if isinstance(metric, CompileMetrics) else [metric]
            names.extend(entry.name for entry in inner)
        values = [logs[name] for name in names if name in logs]
        values += [logs[name] for name in sorted(logs) if name not in names]
        return values[0] if len(values) == 1 else values

    def _require_compiled(self) -> None:
        if not self.compiled:
            raise ValueError("You must call `compile()` before using the model.")

    def _data_policy(self) -> tuple[Any, Any]:
        """Return the engine's float type and whether integer inputs, or strings, stay so."""
        dtype = getattr(self, "kernel_dtype", None) or floatx()
        if getattr(self, "takes_strings", False):
            return np.dtype(dtype), STRINGS
        return np.dtype(dtype), bool(getattr(self, "takes_integers", False))

    def _convert_batch(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        dtype, integer_x = self._data_policy()
        return (
            convert(x, "x", dtype, integer_x),
            None if y is None else convert(y, "y", dtype, True),
            None if sample_weight is None else convert(sample_weight, "sample_weight", dtype),
        )

    def _loss_for(self, x: Any, y: Any) -> Any:
        """Return the loss object, picked by the shapes where its name asks for that.

        Raises
        ------
        ValueError
            If there is no loss or no target.
        """
        if self.loss is None:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        if y is None:
            raise ValueError("The loss needs targets, got y=None.")
        if self._loss is None:
            model: Any = self
            shape = model.compute_output_shape(x.shape)
            self._loss = find_loss(single(self.loss, "loss"), y.shape, shape)
            if self._compile_metrics is not None:
                self._compile_metrics.loss = self._loss
        if self._loss_scale != 1.0:
            return ScaledLoss(self._loss, self._loss_scale)
        return self._loss

    def _step(self, kind: str, x: Any, y: Any) -> Step:
        """Return the training or test step, made anew when the layers have changed.

        As in Keras, `trainable` counts as it was when the step was made: compile
        again after changing it.
        """
        model: Any = self
        key = tuple(map(id, model.layers))
        found = self._steps.get(kind)
        if found is not None and found[0] == key and y is not None:
            return found[1]
        loss = self._loss_for(x, y)
        if kind == "train":
            if not self.optimizer.built:
                self._guard.holding = True  # half of an optimizer would be taken for all of it
                self.optimizer.build(model.trainable_variables)
                self._guard.holding = False
                self._guard.release()
                self.optimizer.compile_kernels()
            step = make_train_step(self, loss, self._compile_metrics, self._guard)
        else:
            step = make_test_step(self, loss, self._compile_metrics)
        self._steps[kind] = (key, step)
        return step


def number(value: Any) -> Any:
    """Return a tensor of one number as NumPy's number, anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    return value.numpy()[()]


class ScaledLoss:
    """A loss times a factor (`loss_weights`)."""

    def __init__(self, loss: Any, scale: float) -> None:
        self.loss = loss
        self.scale = scale

    def logits_form(self, activation: Any) -> "ScaledLoss | None":
        """Return the scaled loss of logits; see `Loss.logits_form`."""
        form = self.loss.logits_form(activation)
        return None if form is None else ScaledLoss(form, self.scale)

    def __call__(self, *args: Any) -> Any:
        """Return the scaled value."""
        return self.loss(*args) * self.scale

    def value_and_gradient(self, *args: Any) -> tuple[Any, Any]:
        """Return value and gradient, both scaled."""
        value, gradient = self.loss.value_and_gradient(*args)
        return value * self.scale, gradient * gradient.dtype.type(self.scale)


def _loss_scale(loss_weights: Any) -> float:
    if loss_weights is None:
        return 1.0
    value = single(loss_weights, "loss_weights")
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ValueError(f"loss_weights must be a list of one number, got {loss_weights!r}.")
    return float(value)


def _map_nested(function: Any, value: Any) -> Any:
    """Apply `function` to the entries of lists and of dicts that are no configs."""
    if isinstance(value, list | tuple):
        return [_map_nested(function, entry) for entry in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _map_nested(function, entry) for key, entry in value.items()}
    return function(value)


def _read_loss(value: Any) -> Any:
    return losses.deserialize(value) if isinstance(value, dict) else value


def _read_metric(value: Any) -> Any:
    return metrics_module.deserialize(value) if isinstance(value, dict) else value
