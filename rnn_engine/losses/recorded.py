"""Losses below a `GradientTape`, where predictions, and sometimes targets, are recorded."""

import importlib
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording, steps
from rnn_engine.losses.reduction import Weighting, weigh
from rnn_engine.tensor import mask_of

# Functions of the difference of their arguments: one gradient is the other's negative.
_OF_DIFFERENCES = {"mean_squared_error", "mean_absolute_error", "huber", "log_cosh"}


def on_a_tape(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any, mask: Any) -> Any:
    """Return a reduced loss of recorded values; None where nothing is recorded."""
    mask = mask_of(y_pred) if mask is None else mask
    y_true, y_pred = steps.seen(y_true), steps.seen(y_pred)
    if not (hasattr(y_true, "_node") or hasattr(y_pred, "_node")):
        return None
    if not loss._has_gradient:
        return _users(loss, y_true, y_pred, sample_weight, mask)

    def function(t: Any, p: Any) -> steps.Outputs:
        with recording.silenced():
            value = loss(t, p, sample_weight, mask)

        def back(gradients: list[Any], wanted: list[bool]) -> list[Any]:
            slope = _slope(loss, t, p, sample_weight, mask, gradients[0])
            name = getattr(getattr(loss, "fn", None), "__name__", loss.name)
            return [by_targets(name, slope, t) if wanted[0] else None, slope]

        return [np.asarray(value)], back

    def again(t: Any, p: Any) -> list[Any]:
        name = getattr(getattr(loss, "fn", None), "__name__", loss.name)
        values = _in_ops(name, t, p, getattr(loss, "_fn_kwargs", {}))
        plan = weigh(tuple(values.shape), values.dtype, sample_weight, mask, loss.reduction)
        return [_reduce(importlib.import_module("rnn_engine.ops"), values, plan)]

    return steps.record(function, [y_true, y_pred], again=again)[0]


def _in_ops(name: str, t: Any, p: Any, options: dict[str, Any]) -> Any:
    """Return the values of a loss in ops, for a gradient of its gradient."""
    from rnn_engine.autodiff.in_ops import loss_values

    classes = name.startswith("sparse")
    if not classes and np.ndim(t) < np.ndim(p) and np.shape(p)[-1] == 1:
        t = importlib.import_module("rnn_engine.ops").expand_dims(t, -1)
    return loss_values(name, t if classes else t.astype(p.dtype), p, options)


def _slope(loss: Any, t: Any, p: Any, sample_weight: Any, mask: Any, upstream: Any) -> Any:
    """Return the gradient by the predictions, from that by the loss."""
    if np.ndim(upstream) == 0:
        return loss.value_and_gradient(t, p, sample_weight, mask)[1] * upstream
    true, pred = loss._inputs(t, p)
    shape = np.shape(loss._values(true, pred))
    plan = weigh(shape, pred.dtype, sample_weight, mask, loss.reduction)
    return loss.gradient(
        true, pred, np.broadcast_to(plan.upstream, shape) * upstream.reshape(shape)
    )


def by_targets(name: str, slope: Any, t: Any) -> Any:
    """Return the gradient by the targets, from that by the predictions, as far as it is known."""
    if name not in _OF_DIFFERENCES:
        return recording.load().Missing(
            f"There is no gradient by the targets of the loss {name!r}: hand them over through "
            f"ops.stop_gradient, or write the loss in ops."
        )
    shape = slope.shape if np.ndim(t) == slope.ndim else np.shape(t)
    return recording.load()._unbroadcast(np.asarray(-slope).reshape(shape), t)


def _users(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any, mask: Any) -> Any:
    ops: Any = importlib.import_module("rnn_engine.ops")  # above this package
    values = ops.convert_to_tensor(loss.call(y_true, y_pred))
    plan = weigh(tuple(values.shape), values.dtype, sample_weight, mask, loss.reduction)
    return _reduce(ops, values, plan)


def _reduce(ops: Any, values: Any, plan: Weighting) -> Any:
    if plan.weights is not None:
        values = ops.reshape(values, plan.values_shape) * plan.weights
    if plan.divisor is None:
        return values
    return ops.sum(values) / plan.divisor if plan.divisor else ops.sum(values) * 0.0


def values_on_a_tape(formula: Any, y_true: Any, y_pred: Any, options: Any) -> Any:
    """Return the values of a loss function of recorded arguments; None where none is."""
    y_true, y_pred = steps.seen(y_true), steps.seen(y_pred)
    if not (hasattr(y_true, "_node") or hasattr(y_pred, "_node")):
        return None

    def function(t: Any, p: Any) -> steps.Outputs:
        true, pred = formula.inputs(t, p, options)
        with np.errstate(all="ignore"):
            values = formula.compute(true, pred, None, **options)[0]

        def back(gradients: list[Any], wanted: list[bool]) -> list[Any]:
            upstream = np.asarray(gradients[0])
            with np.errstate(all="ignore"):
                slope = formula.compute(true, pred, upstream, **options)[1].reshape(np.shape(p))
            return [by_targets(formula.name, slope, t) if wanted[0] else None, slope]

        return [np.asarray(values)], back

    def again(t: Any, p: Any) -> list[Any]:
        return [_in_ops(formula.name, t, p, options)]

    return steps.record(function, [y_true, y_pred], again=again)[0]
