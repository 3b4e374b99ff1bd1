"""One step of training and one of evaluation: the innermost loop of the project.

Everything that does not change from batch to batch is looked up once, when the
step is made; what is left is a handful of calls.
"""

import warnings
from collections.abc import Callable
from typing import Any

from rnn_engine.training.compiled import scalar
from rnn_engine.training.interrupt import InterruptGuard
from rnn_engine.variable import Variable

Step = Callable[[Any, Any, Any], float]


def _penalties_of(model: Any) -> Callable[[Any], float]:
    """Return the model's `regularization`, or no more than a zero if nothing is penalized."""
    if getattr(model, "has_penalties", True):
        return model.regularization
    return lambda saved: 0.0


def make_train_step(model: Any, loss: Any, metrics: Any, guard: InterruptGuard) -> Step:
    """Return ``step(x, y, sample_weight) -> loss``, which updates the weights once.

    The loss includes the penalties of regularizers and is that before the update.
    """
    variables = model.trainable_variables
    forward, backward = model.forward_with_mask, model.backward
    regularization, apply = _penalties_of(model), model.optimizer.apply
    # As Keras does on TensorFlow, a cross-entropy of a softmax or sigmoid is computed from
    # the logits below it: more accurate, and no infinite gradient.
    path = model.logits_path(True)
    of_logits = None if path is None else loss.logits_form(path.activation)
    optimizer = model.optimizer
    moved = _moved_in_forward(model)
    if not variables:
        warnings.warn("The model does not have any trainable weights.", stacklevel=4)

    def step(x: Any, y: Any, weight: Any) -> float:
        for variable in variables:
            variable.clear_gradient()
        before = [variable.numpy() for variable in moved] if moved else ()
        try:
            pred, mask, saved = forward(x, True)
            logits = None if path is None else path.logits_of(saved)
            if of_logits is not None and logits is not None:
                value, dz = of_logits.value_and_gradient(y, logits, weight, mask)
                penalty = regularization(saved)
                path.backward(dz, saved)
            else:
                value, dpred = loss.value_and_gradient(y, pred, weight, mask)
                penalty = regularization(saved)
                backward(dpred, saved)
            scale = getattr(optimizer, "loss_scale_factor", None)
            if scale is not None:  # the optimizer divides by it
                for variable in variables:
                    variable.scale_gradient(scale)
            guard.holding = True
            if variables:
                apply([variable.gradient for variable in variables], variables)
        except BaseException:
            guard.holding = True
            for variable, old in zip(moved, before, strict=True):
                variable.write(old)
            guard.holding = False
            raise
        guard.holding = False
        if guard.pending:
            guard.release()
        if metrics is not None:
            below = None if logits is None else (logits, path.activation)
            metrics.update_state(y, pred, weight, mask, below)
        return scalar(value) + penalty

    return step


def _moved_in_forward(model: Any) -> list[Any]:
    """Return the variables that change before the update: moving averages, states.

    A step that does not reach its end puts them back.
    """
    found: dict[int, Any] = {}
    waiting = list(model.layers)
    while waiting:
        layer = waiting.pop()
        waiting += layer.sublayers
        states = [v for v in getattr(layer, "states", None) or () if isinstance(v, Variable)]
        own = [v for v in layer.weights if not v.trainable]
        found.update((id(v), v) for v in own + states)
    return list(found.values())


def make_test_step(model: Any, loss: Any, metrics: Any) -> Step:
    """Return ``step(x, y, sample_weight) -> loss``, which changes no weight."""
    forward, regularization = model.forward_with_mask, _penalties_of(model)
    path = model.logits_path(False)
    of_logits = None if path is None else loss.logits_form(path.activation)

    def step(x: Any, y: Any, weight: Any) -> float:
        pred, mask, saved = forward(x, False)
        logits = None if path is None else path.logits_of(saved)
        if of_logits is not None and logits is not None:
            value = of_logits(y, logits, weight, mask)
        else:
            value = loss(y, pred, weight, mask)
        if metrics is not None:
            below = None if logits is None else (logits, path.activation)
            metrics.update_state(y, pred, weight, mask, below)
        return scalar(value) + regularization(saved)

    return step
