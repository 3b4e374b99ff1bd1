"""The losses in ops: the values of each sample, which `reduction` then adds up."""

import importlib
import math
from typing import Any

import numpy as np

ops: Any = importlib.import_module("rnn_engine.ops")


def _probabilities(p: Any) -> Any:
    return ops.clip(p, 1e-7, 1 - 1e-7)


def _binary(t: Any, p: Any, from_logits: bool = False, **options: Any) -> Any:
    if from_logits:
        values = ops.maximum(p, 0) - p * t + ops.log1p(ops.exp(-ops.abs(p)))
    else:
        p = _probabilities(p)
        values = -(t * ops.log(p) + (1.0 - t) * ops.log(1.0 - p))
    return ops.mean(values, axis=-1)


def _log_of_classes(p: Any, from_logits: bool) -> Any:
    if from_logits:
        return p - ops.logsumexp(p, axis=-1, keepdims=True)
    return ops.log(_probabilities(p / ops.sum(p, axis=-1, keepdims=True)))


def _categorical(t: Any, p: Any, from_logits: bool = False, **options: Any) -> Any:
    return -ops.sum(t * _log_of_classes(p, from_logits), axis=-1)


def _sparse(t: Any, p: Any, from_logits: bool = False, **options: Any) -> Any:
    t = np.asarray(t).astype("int64")
    if t.ndim == len(p.shape) and t.shape[-1] == 1:
        t = t[..., 0]
    hot = (t[..., None] == np.arange(p.shape[-1])).astype(p.dtype)
    return -ops.sum(hot * _log_of_classes(p, from_logits), axis=-1)


def _huber(t: Any, p: Any, delta: float = 1.0) -> Any:
    error = ops.abs(t - p)
    near = 0.5 * ops.square(error)
    return ops.mean(ops.where(error <= delta, near, delta * error - 0.5 * delta**2), axis=-1)


FORMULAS: dict[str, Any] = {
    "binary_crossentropy": _binary,
    "categorical_crossentropy": _categorical,
    "hinge": lambda t, p: ops.mean(
        ops.maximum(1.0 - ops.where(ops.equal(t, 0), -ops.ones_like(t), t) * p, 0), axis=-1
    ),
    "huber": _huber,
    "kl_divergence": lambda t, p: ops.sum(
        ops.clip(t, 1e-7, 1) * ops.log(ops.clip(t, 1e-7, 1) / ops.clip(p, 1e-7, 1)), axis=-1
    ),
    "log_cosh": lambda t, p: ops.mean(
        (p - t) + ops.log1p(ops.exp(-2.0 * (p - t))) - math.log(2.0), axis=-1
    ),
    "mean_absolute_error": lambda t, p: ops.mean(ops.abs(p - t), axis=-1),
    "poisson": lambda t, p: ops.mean(p - t * ops.log(p + 1e-7), axis=-1),
    "mean_squared_error": lambda t, p: ops.mean(ops.square(p - t), axis=-1),
    "sparse_categorical_crossentropy": _sparse,
}
# What a formula leaves out, at the value that changes nothing.
_PLAIN = {"label_smoothing": 0.0, "axis": -1, "ignore_class": None}


def loss_values(name: str, t: Any, p: Any, options: dict[str, Any]) -> Any:
    """Return the values of a loss, in ops.

    Raises
    ------
    NotImplementedError
        If it is none of the table, or not with these options.
    """
    settings = {k: v for k, v in options.items() if not (k in _PLAIN and v == _PLAIN[k])}
    if name not in FORMULAS or settings.keys() & _PLAIN.keys():
        raise NotImplementedError(
            f"There is no gradient of a gradient of the loss {name!r} with {settings}; write it in "
            f"ops."
        )
    return FORMULAS[name](t, p, **settings)
