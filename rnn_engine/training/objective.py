"""What is minimized: the losses of the outputs, from predictions to gradients."""

from typing import Any

import numpy as np

from rnn_engine import losses as losses_module
from rnn_engine.graph.inside import with_inner
from rnn_engine.graph.nest import map_structure
from rnn_engine.training.form import DataForm
from rnn_engine.training.tracking import LossTracker


class OutputLoss:
    """The loss of one output.

    Parameters
    ----------
    number : int
        Which output.
    name : str or None
        Its name in the logs.
    given : str, Loss, callable or config
    weight : float
        Its factor in the sum (`loss_weights`).
    """

    def __init__(self, number: int, name: str | None, given: Any, weight: float) -> None:
        self.number, self.name, self.given, self.weight = number, name, given, weight
        self.loss = find_loss(given)
        self.tracker: LossTracker | None = None


class Losses:
    """The losses that `compile` was given, one an output; outputs may have none.

    Raises
    ------
    ValueError
        If they do not match the outputs, or a name is unknown.
    """

    def __init__(self, loss: Any, loss_weights: Any, form: DataForm) -> None:
        self.form = form
        given = _by_output(loss, "loss", form)
        weights = _weights(loss, loss_weights, given, form)
        order = given if isinstance(loss, dict) and form.by_key else range(len(form.outputs))
        self.entries = [
            OutputLoss(i, form.outputs[i], given[i], weights.get(i, 1.0))
            for i in order
            if given.get(i) is not None
        ]
        if len(self.entries) > 1:
            for entry in self.entries:
                entry.tracker = LossTracker(f"{entry.name}_loss")

    @property
    def trackers(self) -> list[LossTracker]:
        """The averages of the single losses; none where there is only one."""
        return [entry.tracker for entry in self.entries if entry.tracker is not None]

    def of_output(self, number: int) -> Any:
        """Return the loss of an output, None if it has none."""
        return next((entry.loss for entry in self.entries if entry.number == number), None)

    def unreached(self, model: Any, variables: list[Any]) -> set[int]:
        """Return the `id` of variables that no loss depends on: those of outputs without one."""
        if not self.entries or len(self.entries) == len(self.form.outputs):
            return set()
        reached = model.weights_behind([entry.number for entry in self.entries])
        return {id(v) for v in variables if id(v) not in reached and v.regularizer is None}

    def resolve(self, ys: list[Any], shapes: Any) -> None:
        """Find the losses whose names mean one that fits the shapes.

        Raises
        ------
        ValueError
            If the targets of an output with a loss are missing.
        """
        for entry in self.entries:
            y = ys[entry.number]
            if y is None:
                of = "" if entry.name is None else f" of output {entry.name!r}"
                raise ValueError(f"The loss{of} needs targets, got y=None.")
            if entry.loss is None:
                entry.loss = find_loss(entry.given, y.shape, shapes()[entry.number])


def _by_output(loss: Any, argument: str, form: DataForm) -> dict[int, Any]:
    """Return what is given for each output by its number."""
    count = len(form.outputs)
    if isinstance(loss, dict) and "class_name" not in loss:
        if count == 1:
            return {0: single(loss, argument)}
        places = {**form.keys, **{str(name): i for i, name in enumerate(form.outputs)}}
        if not (set(loss) <= set(places) if form.by_key else set(loss) == set(form.outputs)):
            raise ValueError(
                f"Expected keys {list(form.outputs)} in {argument} dict, but found "
                f"{argument}.keys()={list(loss)}"
            )
        return {places[name]: entry for name, entry in loss.items()}
    if not isinstance(loss, list | tuple):
        return dict.fromkeys(range(count), loss)
    if count == 1:
        return {0: single(loss, argument)}
    if len(loss) != count:
        raise ValueError(
            f"{argument} has {len(loss)} entries, but the model has {count} outputs: "
            f"{list(form.outputs)}."
        )
    return dict(enumerate(loss))


def _weights(loss: Any, weights: Any, given: dict[int, Any], form: DataForm) -> dict[int, float]:
    """Return the factor of each output's loss by its number."""
    if weights is None:
        return {}
    several = isinstance(loss, list | tuple | dict) and "class_name" not in loss
    if len(form.outputs) == 1 or not several:
        count = len(weights) if isinstance(weights, list | tuple | dict) else 1
        if count != 1:
            raise ValueError(
                f"`loss_weights` must match the number of losses, got 1 losses and {count} weights."
            )
        weights = [single(weights, "loss_weights")] * len(form.outputs)
    found = {}
    for number, value in _by_output(weights, "loss_weights", form).items():
        if value is None and given.get(number) is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise ValueError(
                f"Expected `loss_weights` argument to be a float (single output case) or a list, "
                f"tuple, or dict (multiple output case). Received instead: loss_weights={weights}. "
                f"loss_weights must be numbers, one a loss, got {value!r} in {weights!r}."
            )
        found[number] = float(value)
    return found


class Objective:
    """The loss of a model of one output, forward and back.

    As Keras does on TensorFlow, a cross-entropy of a softmax or sigmoid is computed from
    the logits below it: more accurate, and no infinite gradient.
    """

    def __init__(self, model: Any, losses: Losses, training: bool) -> None:
        (entry,) = losses.entries
        self.loss, self.weight = entry.loss, entry.weight
        self.backward, self.regularization = model.backward, penalties_of(model)
        self.path = path = model.logits_path(training)
        self.of_logits = None if path is None else self.loss.logits_form(path.activation)

    def value(self, y: Any, pred: Any, weight: Any, mask: Any, saved: Any) -> tuple[float, Any]:
        """Return the loss, and what metrics want of the logits."""
        logits = None if self.path is None else self.path.logits_of(saved)
        if self.of_logits is not None and logits is not None:
            value = self.of_logits(y, logits, weight, mask)
        else:
            value = self.loss(y, pred, weight, mask)
        below = None if logits is None else (logits, self.path.activation)
        return scalar(value) * self.weight + self.regularization(saved), (below,)

    def back(
        self, y: Any, pred: Any, weight: Any, mask: Any, saved: Any, need_dx: bool = False
    ) -> tuple[float, Any, Any]:
        """Return the loss, what metrics want of the logits, and the gradient by the input."""
        path = self.path
        logits = None if path is None else path.logits_of(saved)
        below = None if logits is None else (logits, path.activation)
        if self.of_logits is not None and logits is not None:
            value, slope = self.of_logits.value_and_gradient(y, logits, weight, mask)
            go_back = path.backward
        else:
            value, slope = self.loss.value_and_gradient(y, pred, weight, mask)
            go_back = self.backward
        value = scalar(value)
        if self.weight != 1.0:
            value, slope = value * self.weight, slope * slope.dtype.type(self.weight)
        penalty = self.regularization(saved)
        dx = go_back(slope, saved, need_dx=True) if need_dx else go_back(slope, saved)
        return value + penalty, (below,), dx


class Objectives:
    """The losses of several outputs, forward and back: their sum by `loss_weights`."""

    def __init__(self, model: Any, losses: Losses, training: bool) -> None:
        self.model, self.regularization = model, penalties_of(model)
        self.entries = losses.entries
        self.paths = model.logits_paths(training)
        self.forms = [
            None if (path := self.paths[entry.number]) is None
            else entry.loss.logits_form(path.activation)
            for entry in self.entries
        ]  # fmt: skip

    def _below(self, saved: Any) -> list[Any]:
        """Return for each output the pair of logits and activation, if there is one."""
        found: list[Any] = []
        for path in self.paths:
            logits = None if path is None else path.logits_of(saved)
            found.append(None if logits is None else (logits, path.activation))
        return found

    def value(self, y: Any, pred: Any, weight: Any, mask: Any, saved: Any) -> tuple[float, Any]:
        """Return the sum of the losses, and what metrics want of the logits."""
        below, total = self._below(saved), 0.0
        for entry, form in zip(self.entries, self.forms, strict=True):
            i = entry.number
            arguments = y[i], None if weight is None else weight[i], mask[i]
            if form is not None and below[i] is not None:
                value = form(arguments[0], below[i][0], *arguments[1:])
            else:
                value = entry.loss(arguments[0], pred[i], *arguments[1:])
            total += self._tracked(entry, value, len(pred[i]))
        return total + self.regularization(saved), below

    def back(
        self, y: Any, pred: Any, weight: Any, mask: Any, saved: Any, need_dx: bool = False
    ) -> tuple[float, Any, Any]:
        """Return the sum, what metrics want of the logits, and the gradients by the inputs."""
        below, total = self._below(saved), 0.0
        slopes: list[Any] = [None] * len(pred)
        from_logits = []
        for entry, form in zip(self.entries, self.forms, strict=True):
            i = entry.number
            loss, output = entry.loss, pred[i]
            turned = form is not None and below[i] is not None
            if turned:
                loss, output = form, below[i][0]
            weights = None if weight is None else weight[i]
            value, slope = loss.value_and_gradient(y[i], output, weights, mask[i])
            total += self._tracked(entry, value, len(pred[i]))
            if entry.weight != 1.0:
                slope = slope * slope.dtype.type(entry.weight)
            if turned:
                from_logits.append((self.paths[i], slope))
            else:
                slopes[i] = slope
        penalty = self.regularization(saved)
        dx = self.model.backward(slopes, saved, need_dx, from_logits)
        return total + penalty, below, dx

    def _tracked(self, entry: OutputLoss, value: Any, rows: int) -> float:
        number = scalar(value)
        if entry.tracker is not None:
            # Batches count alike, also a short last one, as in Keras: it knows the number of
            # rows only with `run_eagerly`.
            entry.tracker.update_state(number, rows if self.model.run_eagerly else 1.0)
        return number * entry.weight


class OwnLosses:
    """What layers give to `add_loss`, and penalties: all there is, compiled without a loss."""

    def __init__(self, model: Any, losses: Losses) -> None:
        self.model, self.regularization = model, penalties_of(model)
        self.below = [None] * len(losses.form.outputs)

    def value(self, y: Any, pred: Any, weight: Any, mask: Any, saved: Any) -> tuple[float, Any]:
        """Return the sum; metrics are told of no logits."""
        return self.regularization(saved), self.below

    def back(
        self, y: Any, pred: Any, weight: Any, mask: Any, saved: Any, need_dx: bool = False
    ) -> tuple[float, Any, Any]:
        """Return the sum, and the gradient by the input; none comes from the outputs."""
        slopes = map_structure(np.zeros_like, pred)
        return self.regularization(saved), self.below, self.model.backward(slopes, saved, need_dx)


def has_own_losses(model: Any) -> bool:
    """Whether there may be something to make small without a loss of `compile`."""
    if any(v.regularizer is not None for v in model.trainable_variables):
        return True
    layers = with_inner(model.layers)
    return bool(getattr(model, "_traced", False)) or any(
        layer._traced or layer.activity_regularizer is not None for layer in layers
    )


def make_objective(model: Any, losses: Losses, training: bool) -> Any:
    """Return what computes the losses of a model."""
    if not losses.entries:
        return OwnLosses(model, losses)
    several = losses.form.several_outputs
    return (Objectives if several else Objective)(model, losses, training)


def penalties_of(model: Any) -> Any:
    """Return the model's `regularization`, or no more than a zero if nothing is penalized."""
    if getattr(model, "has_penalties", True):
        return model.regularization
    return lambda saved: 0.0


def single(value: Any, argument: str) -> Any:
    """Return the entry of a list or dict of one, or `value`, for a model of one output.

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
    return losses_module.resolve(identifier, y_shape, pred_shape)


def scalar(value: Any) -> float:
    """Return a loss value as a float, the mean where the reduction left an array."""
    return value if type(value) is float else float(np.mean(value))
