"""`Compilation`: what `compile` was given, as it is in force, and the steps made of it."""

import warnings
from typing import Any

from rnn_engine import losses as losses_module
from rnn_engine import metrics as metrics_module
from rnn_engine import optimizers
from rnn_engine.callbacks.callback_list import sort_logs
from rnn_engine.kernels.checkpoint_steps import CheckpointSteps, keeping_states
from rnn_engine.tensor import Tensor
from rnn_engine.training.arguments import check_checkpoint_steps, check_count
from rnn_engine.training.custom import is_custom, make_custom_step
from rnn_engine.training.interrupt import InterruptGuard
from rnn_engine.training.objective import Losses, has_own_losses
from rnn_engine.training.protocol import Trainable
from rnn_engine.training.step import Step, make_test_step, make_train_step
from rnn_engine.training.tracking import CompileMetrics, LossTracker


class Compilation:
    """The parts of a compiled model that change while it is trained.

    Attributes
    ----------
    losses : Losses or None
    metrics : CompileMetrics or None
    tracker : LossTracker
        Average of the whole loss.
    guard : InterruptGuard
    settings : dict
        What is in force, by the names of the arguments of `compile`.
    checkpoint_steps : int, "auto" or None
        Steps between the states that recurrent layers keep.
    """

    checkpoint_steps: CheckpointSteps = None

    def __init__(
        self, losses: Losses | None, metrics: CompileMetrics | None, settings: dict[str, Any]
    ) -> None:
        self.losses, self.metrics, self.settings = losses, metrics, settings
        self.tracker = LossTracker()
        self.logs: dict[str, Any] | None = None  # of a step of one's own
        self.guard = InterruptGuard()
        self.parallel: Any = None  # of a `fit` over several ranks
        self._steps: dict[str, tuple[Any, Step]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A step holds on to a model's own parts: a copy makes steps of its own.
        return {**vars(self), "_steps": {}, "parallel": None}

    @property
    def trackers(self) -> list[Any]:
        """What is averaged: the loss, the metrics, the losses of several outputs."""
        found: list[Any] = [self.tracker]
        if self.metrics is not None:
            found.append(self.metrics)
        return found if self.losses is None else found + self.losses.trackers

    def losses_for(self, model: Trainable, x: Any, ys: list[Any]) -> Losses:
        """Return the losses, picked by the shapes where a name asks for that.

        Raises
        ------
        ValueError
            If there is no loss or a target is missing.
        """
        if self.losses is None:
            if not has_own_losses(model):
                raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
            return Losses(None, None, model.data_form())

        def shapes() -> list[Any]:
            if type(x) is not list:
                return [model.compute_output_shape(x.shape)]
            return list(model.compute_output_shape([part.shape for part in x]))

        self.losses.resolve(ys, shapes)
        return self.losses

    def step(self, model: Trainable, kind: str, x: Any, y: Any) -> Step:
        """Return the training or test step, made anew when the layers have changed.

        As in Keras, `trainable` counts as it was when the step was made: compile
        again after changing it.
        """
        step = self._step(model, kind, x, y)
        if kind == "train" and self.checkpoint_steps is not None:
            return _keeping_states(step, self.checkpoint_steps)
        return step

    def _step(self, model: Trainable, kind: str, x: Any, y: Any) -> Step:
        key = tuple(map(id, model.layers))
        if self.parallel is not None and self.parallel.divides(x):  # else a callback evaluates
            return self.parallel.step(self.losses, self.metrics, kind, key)
        found = self._steps.get(kind)
        if found is not None and found[0] == key and y is not None:
            return found[1]
        if is_custom(model, kind):
            custom = make_custom_step(model, kind)
            self._steps[kind] = (key, custom)
            return custom
        losses = self.losses_for(model, x, y if type(y) is list else [y])
        if kind == "train":
            optimizer = model.optimizer
            if not optimizer.built:
                self.guard.holding = True  # half of an optimizer would be taken for all of it
                optimizer.build(model.trainable_variables)
                self.guard.holding = False
                self.guard.release()
                optimizer.compile_kernels()
            step = make_train_step(model, losses, self.metrics, self.guard)
        else:
            step = make_test_step(model, losses, self.metrics)
        self._steps[kind] = (key, step)
        return step


def _keeping_states(step: Step, steps: CheckpointSteps) -> Step:
    """Return a step in which recurrent layers keep their states once in so many steps."""

    def run(x: Any, y: Any, weight: Any) -> float:
        with keeping_states(steps):
            return step(x, y, weight)

    return run


def compile_model(
    model: Trainable,
    *,
    optimizer: Any,
    loss: Any,
    loss_weights: Any,
    metrics: Any,
    weighted_metrics: Any,
    run_eagerly: bool,
    steps_per_execution: int,
    jit_compile: Any,
    auto_scale_loss: bool,
    checkpoint_steps: Any,
) -> None:
    """Do the work of `Model.compile`; nothing changes where an argument is wrong."""
    before: Compilation | None = model._compilation
    form = model.data_form()
    new_optimizer = optimizers.get(optimizer)
    if auto_scale_loss and getattr(model, "_policy", None) == "mixed_float16":
        new_optimizer = optimizers.with_loss_scale(new_optimizer)
    # Where they are not given, Keras keeps the loss, with its weights, and the metrics.
    kept = before.settings if before is not None else {}
    losses = before.losses if before is not None else None
    if loss is not None:
        losses = Losses(loss, loss_weights, form)
        kept = {**kept, "loss": loss, "loss_weights": loss_weights}
    made = before.metrics if before is not None else None
    if metrics is not None or weighted_metrics is not None:
        kept = {**kept, "metrics": metrics, "weighted_metrics": weighted_metrics}
        made = CompileMetrics(metrics, weighted_metrics, form, losses)
    if jit_compile not in ("auto", True, False, None):
        raise ValueError(f"jit_compile must be 'auto' or a bool, got {jit_compile!r}.")
    every = check_count(steps_per_execution, "steps_per_execution")
    checkpoint_steps = check_checkpoint_steps(checkpoint_steps)
    if run_eagerly and jit_compile is True:
        warnings.warn(
            "If `run_eagerly` is True, then `jit_compile` cannot also be True. "
            "Disabling `jit_compile`.",
            stacklevel=3,
        )
        jit_compile = False
    model.optimizer = new_optimizer
    model.loss = kept.get("loss")
    model.run_eagerly = bool(run_eagerly)
    model.jit_compile = False if jit_compile == "auto" else jit_compile
    model.steps_per_execution = every
    model.stop_training = False
    settings = {
        "optimizer": optimizer,
        "loss": None,
        "loss_weights": None,
        "metrics": None,
        "weighted_metrics": None,
        **{name: value for name, value in kept.items() if name != "optimizer"},
        "run_eagerly": run_eagerly,
        "steps_per_execution": steps_per_execution,
        "jit_compile": model.jit_compile,
    }
    model._compilation = Compilation(losses, made, settings)
    model._compilation.checkpoint_steps = checkpoint_steps
    model.compiled = True


def compile_config(model: Trainable) -> dict[str, Any]:
    """Return what `compile` was given, ready for JSON; empty if it was not called."""
    if model._compilation is None:
        return {}
    config = dict(model._compilation.settings)
    given, used = config["optimizer"], model.optimizer
    inner = getattr(used, "inner_optimizer", used)
    wrapped = inner is not used and given is not used
    config["optimizer"] = optimizers.serialize(inner if wrapped else used)
    config["loss"] = _map_nested(losses_module.serialize, config["loss"])
    for name in ("metrics", "weighted_metrics"):
        given = config[name]
        if not isinstance(given, list | tuple | dict):
            given = given or None  # `compile` takes False, too, as none
        config[name] = _map_nested(metrics_module.serialize, given)
    return config


def read_compile_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `compile` in what `compile_config` returned."""
    settings = dict(config)
    # Some versions of Keras write none for an optimizer that they cannot write; theirs is this.
    settings["optimizer"] = optimizers.get(settings.get("optimizer") or "rmsprop")
    settings["loss"] = _map_nested(_read_loss, settings.get("loss"))
    for name in ("metrics", "weighted_metrics"):
        settings[name] = _map_nested(_read_metric, settings.get(name))
    return settings


def results_of(metrics: list[Any]) -> dict[str, Any]:
    """Return the results of metrics by their names, in Keras's order."""
    results: dict[str, Any] = {}
    for metric in metrics:
        result = metric.result()
        if isinstance(result, dict):
            results.update(result)
        else:
            results[metric.name] = result
    return sort_logs({name: number(value) for name, value in results.items()})


def number(value: Any) -> Any:
    """Return a tensor of one number as NumPy's number, anything else as it is."""
    return value.numpy()[()] if isinstance(value, Tensor) else value


def in_order(metrics: list[Any], logs: dict[str, Any]) -> Any:
    """Return logs as Keras lists them: the loss, the metrics, then the rest by name."""
    names: list[str] = []
    for metric in metrics:
        inner = metric.metrics if isinstance(metric, CompileMetrics) else [metric]
        names.extend(entry.name for entry in inner)
    values = [logs[name] for name in names if name in logs]
    values += [logs[name] for name in sorted(logs) if name not in names]
    return values[0] if len(values) == 1 else values


def _map_nested(function: Any, value: Any) -> Any:
    """Apply `function` to the entries of lists and of dicts that are no configs."""
    if isinstance(value, list | tuple):
        return [_map_nested(function, entry) for entry in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _map_nested(function, entry) for key, entry in value.items()}
    return function(value)


def _read_loss(value: Any) -> Any:
    return losses_module.deserialize(value) if isinstance(value, dict) else value


def _read_metric(value: Any) -> Any:
    return metrics_module.deserialize(value) if isinstance(value, dict) else value
