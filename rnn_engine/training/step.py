"""One step of training and one of evaluation: the innermost loop of the project.

Everything that does not change from batch to batch is looked up once, when the
step is made; what is left is a handful of calls.
"""

import warnings
from collections.abc import Callable
from typing import Any

from rnn_engine.graph.inside import with_inner
from rnn_engine.training.interrupt import InterruptGuard
from rnn_engine.training.objective import Losses, make_objective
from rnn_engine.training.protocol import Trainable
from rnn_engine.variable import Variable

Step = Callable[[Any, Any, Any], float]


def make_train_step(model: Trainable, losses: Losses, metrics: Any, guard: InterruptGuard) -> Step:
    """Return ``step(x, y, sample_weight) -> loss``, which updates the weights once.

    The loss includes the penalties of regularizers and is that before the update.
    """
    variables = model.trainable_variables
    forward = model.forward_with_mask
    back, update = make_objective(model, losses, True).back, updating(metrics, losses)
    optimizer, apply = model.optimizer, model.optimizer.apply
    moved = moved_in_forward(model)
    unreached = losses.unreached(model, variables)
    if not variables:
        warnings.warn("The model does not have any trainable weights.", stacklevel=4)

    def step(x: Any, y: Any, weight: Any) -> float:
        for variable in variables:
            variable.clear_gradient()
        before = [variable.numpy() for variable in moved] if moved else ()
        try:
            pred, mask, saved = forward(x, True)
            value, below, _ = back(y, pred, weight, mask, saved)
            scale = getattr(optimizer, "loss_scale_factor", None)
            if scale is not None:  # the optimizer divides by it
                for variable in variables:
                    variable.scale_gradient(scale)
            guard.holding = True
            if unreached:  # the optimizer warns of them, and leaves them as they are
                apply([None if id(v) in unreached else v.gradient for v in variables], variables)
            elif variables:
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
        if update is not None:
            update(y, pred, weight, mask, below)
        return float(value)

    return step


def make_test_step(model: Trainable, losses: Losses, metrics: Any) -> Step:
    """Return ``step(x, y, sample_weight) -> loss``, which changes no weight."""
    forward = model.forward_with_mask
    evaluate, update = make_objective(model, losses, False).value, updating(metrics, losses)

    def step(x: Any, y: Any, weight: Any) -> float:
        pred, mask, saved = forward(x, False)
        value, below = evaluate(y, pred, weight, mask, saved)
        if update is not None:
            update(y, pred, weight, mask, below)
        return float(value)

    return step


def updating(metrics: Any, losses: Losses) -> Any:
    """Return what hands a batch to the metrics, None if there are none."""
    if metrics is None:
        return None
    if losses.form.several_outputs:
        nothing = [None] * len(losses.form.outputs)

        def update_all(y: Any, pred: Any, weight: Any, mask: Any, below: Any) -> None:
            metrics.update_state(y, pred, nothing if weight is None else weight, mask, below)

        return update_all

    def update(y: Any, pred: Any, weight: Any, mask: Any, below: Any) -> None:
        metrics.update_state((y,), (pred,), (weight,), (mask,), below)

    return update


def moved_in_forward(model: Trainable) -> list[Any]:
    """Return the variables that change before the update: moving averages, states.

    A step that does not reach its end puts them back.
    """
    found: dict[int, Any] = {}
    for layer in with_inner(model.layers):
        states = [v for v in getattr(layer, "states", None) or () if isinstance(v, Variable)]
        own = [v for v in layer.weights if not v.trainable]
        found.update((id(v), v) for v in own + states)
    return list(found.values())
