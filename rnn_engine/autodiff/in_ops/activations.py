"""The activations in ops."""

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

ops: Any = importlib.import_module("rnn_engine.ops")


def _sigmoid(x: Any) -> Any:
    return 0.5 * (ops.tanh(0.5 * x) + 1.0)


def _softplus(x: Any) -> Any:
    return ops.logaddexp(x, ops.zeros_like(x))


def _relu(x: Any, negative_slope: Any = 0.0, max_value: Any = None, threshold: Any = 0.0) -> Any:
    above = x if max_value is None else ops.minimum(x, max_value)
    below = negative_slope * (x - threshold) if negative_slope else ops.zeros_like(x)
    return ops.where(ops.greater(x, threshold), above, below)


def _elu(x: Any, alpha: Any = 1.0) -> Any:
    return ops.where(ops.greater(x, 0), x, alpha * (ops.exp(ops.minimum(x, 0)) - 1.0))


def _selu(x: Any) -> Any:
    return 1.0507009873554805 * _elu(x, 1.6732632423543772)


def _clipped(x: Any, low: float, high: float) -> Any:
    inside = ops.logical_and(ops.greater(x, low), ops.less(x, high))
    return ops.where(inside, x, np.clip(np.asarray(ops.stop_gradient(x)), low, high))


def _softmax(x: Any, axis: Any = -1) -> Any:
    e = ops.exp(x - ops.stop_gradient(ops.max(x, axis=axis, keepdims=True)))
    return e / ops.sum(e, axis=axis, keepdims=True)


def _gelu(x: Any, approximate: bool = False) -> Any:
    if approximate:
        return 0.5 * x * (1.0 + ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))


FORMULAS: dict[str, Callable[..., Any]] = {
    "celu": lambda x, alpha=1.0: ops.where(
        ops.greater(x, 0), x, alpha * (ops.exp(ops.minimum(x, 0) / alpha) - 1.0)
    ),
    "elu": _elu,
    "exponential": ops.exp,
    "gelu": _gelu,
    "gelu_approximate": lambda x: _gelu(x, True),
    "hard_sigmoid": lambda x: _clipped(x / 6.0 + 0.5, 0.0, 1.0),
    "hard_silu": lambda x: x * _clipped(x / 6.0 + 0.5, 0.0, 1.0),
    "hard_tanh": lambda x: _clipped(x, -1.0, 1.0),
    "leaky_relu": lambda x, negative_slope=0.2: _relu(x, negative_slope),
    "linear": lambda x: x,
    "log_sigmoid": lambda x: -_softplus(-x),
    "log_softmax": lambda x, axis=-1: x - ops.logsumexp(x, axis=axis, keepdims=True),
    "mish": lambda x: x * ops.tanh(_softplus(x)),
    "relu": _relu,
    "relu6": lambda x: _clipped(x, 0.0, 6.0),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "softmax": _softmax,
    "softplus": _softplus,
    "softsign": lambda x: x / (1.0 + ops.abs(x)),
    "tanh": ops.tanh,
    "tanh_shrink": lambda x: x - ops.tanh(x),
}


def activated(activation: Any, x: Any) -> Any:
    """Return an activation of a tensor, in ops.

    Raises
    ------
    NotImplementedError
        If it is none of the table.
    """
    if hasattr(activation, "wrapped"):  # a user's function
        return activation.wrapped(x)
    formula = FORMULAS.get(activation.name)
    if formula is None:
        raise NotImplementedError(
            f"There is no gradient of a gradient of the activation {activation.name!r}; write it "
            f"in ops."
        )
    return formula(x, **getattr(activation, "arguments", {}))
