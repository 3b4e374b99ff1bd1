"""Training, testing and differentiating on one batch."""

from typing import Any

import numpy as np

from rnn_engine.callbacks.callback_list import sort_logs
from rnn_engine.graph import map_structure
from rnn_engine.kernels.checkpoint_steps import keeping_states
from rnn_engine.training import arguments as check
from rnn_engine.training.compilation import in_order, results_of
from rnn_engine.training.data import weights_of_classes
from rnn_engine.training.gradients import Gradients
from rnn_engine.training.objective import make_objective
from rnn_engine.training.passes import admit
from rnn_engine.training.predicting import packed, predict_batch
from rnn_engine.training.protocol import Trainable
from rnn_engine.training.source import rows_of

Given = tuple[Any, Any, Any]


def holds(x: Any, batch_size: int | None) -> bool:
    """Whether an array is no more than one batch: a sample or a few, served at once."""
    return type(x) is np.ndarray and x.ndim > 0 and 0 < len(x) <= (batch_size or 32)


def require_compiled(model: Trainable) -> None:
    """Raise ValueError if a model is not compiled."""
    if not model.compiled:
        raise ValueError("You must call `compile()` before using the model.")


def sample_weights(model: Trainable, y: Any, sample_weight: Any, class_weight: Any) -> Any:
    """Return the weights of the samples, those of their classes where these are given.

    Raises
    ------
    ValueError
        If both are given.
    """
    weights = check.check_class_weight(class_weight)
    if weights is None:
        return sample_weight
    if sample_weight is not None:
        raise ValueError(
            "Arguments `sample_weight` and `class_weight` cannot be specified at the same time."
        )
    return weights_of_classes(y, weights, model.data_form())


def run(model: Trainable, kind: str, given: Given, return_dict: bool) -> Any:
    """Train ("train") or test ("test") on one batch; return as `Model.evaluate`."""
    x, y, weight = checked(model, given, kind)
    compilation, metrics = model._compilation, model.metrics
    for metric in metrics:
        metric.reset_state()
    if kind == "train":
        with compilation.guard:
            value = compilation.step(model, kind, x, y)(x, y, weight)
    else:
        value = compilation.step(model, kind, x, y)(x, y, weight)
    if compilation.logs is not None:
        logs, compilation.logs = sort_logs(compilation.logs), None
        return logs if return_dict else in_order(metrics, logs)
    compilation.tracker.update_state(value, rows_of(x))
    if len(metrics) == 1 and not return_dict:  # the loss is all there is
        return compilation.tracker.result()
    logs = results_of(metrics)
    return logs if return_dict else in_order(metrics, logs)


def predict(model: Trainable, x: Any) -> Any:
    """Return the outputs of one batch."""
    batch, _, _ = checked(model, (x, None, None), "predict")
    return packed(model, predict_batch(model, batch))


def checked(model: Trainable, given: Given, kind: str) -> Given:
    """Return a batch in the engine's types that the model can take."""
    if (see := getattr(model, "see_data", None)) is not None:
        see(given[0])
    batch: Given = model.data_form().convert(*given)
    admit(model, *batch, kind)
    return batch


def gradients(model: Trainable, given: Given, inputs: bool, training: bool) -> Gradients:
    """Do the work of `Model.gradients`."""
    x, y, weight = checked(model, given, "train")
    losses = model._compilation.losses_for(model, x, y if type(y) is list else [y])
    variables = model.trainable_variables
    for variable in variables:
        variable.clear_gradient()
    with keeping_states(model._compilation.checkpoint_steps):
        pred, mask, saved = model.forward_with_mask(x, training, keep=True)
    objective = make_objective(model, losses, training)
    value, _, dx = objective.back(y, pred, weight, mask, saved, inputs)
    arrays = [variable.grad.copy() for variable in variables]
    dx = map_structure(lambda part: None if part is None else np.array(part), dx)
    return Gradients(value, list(variables), arrays, dx if inputs else None)
