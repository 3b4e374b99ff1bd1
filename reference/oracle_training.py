"""Training in float64 by the oracle: the update rules written out, one parameter at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.oracle import Model
from reference.oracle_recurrent import Recurrent

State = dict[str, Any]
Rule = Callable[[np.ndarray, np.ndarray, State, int], None]

# On TensorFlow the learning rate and the powers of beta pass through float32,
# whatever the dtype of the weights.
_RATE = float(np.float32(0.001))
_BETA_1, _BETA_2 = float(np.float32(0.9)), float(np.float32(0.999))


def sgd(w: np.ndarray, g: np.ndarray, state: State, step: int) -> None:
    """Plain descent, w -= rate * g, with the default rate of 0.01."""
    w -= float(np.float32(0.01)) * g


def rmsprop(w: np.ndarray, g: np.ndarray, state: State, step: int) -> None:
    """RMSprop: v = 0.9 v + 0.1 g^2 and w -= rate * g / sqrt(v + 1e-7)."""
    v = state.setdefault("v", np.zeros_like(w))
    v[...] = 0.9 * v + 0.1 * g * g
    w -= _RATE * g / np.sqrt(v + 1e-7)


def adam(w: np.ndarray, g: np.ndarray, state: State, step: int) -> None:
    """Adam with the bias correction in the rate, so that epsilon stands outside of it."""
    m = state.setdefault("m", np.zeros_like(w))
    v = state.setdefault("v", np.zeros_like(w))
    m[...] = 0.9 * m + 0.1 * g
    v[...] = 0.999 * v + 0.001 * g * g
    rate = _RATE * np.sqrt(1 - _BETA_2**step) / (1 - _BETA_1**step)
    w -= rate * m / (np.sqrt(v) + 1e-7)


RULES: dict[str, Rule] = {"sgd": sgd, "rmsprop": rmsprop, "adam": adam}


def parameters(model: Model) -> list[np.ndarray]:
    """Return the arrays of the oracle's layers, in the order of its gradients."""
    arrays: list[np.ndarray] = []
    for layer in model.layers:
        arrays.append(layer.kernel)
        if isinstance(layer, Recurrent):
            arrays.append(layer.recurrent_kernel)
        if layer.bias is not None:
            arrays.append(layer.bias)
    return arrays


def train(
    model: Model, x: np.ndarray, y: np.ndarray, steps: int, optimizer: str, loss: str, unit: float
) -> tuple[list[float], list[np.ndarray]]:
    """Train in place; return the loss before each step, and how far rounding moves each weight.

    That is how far a weight comes from its true value when every gradient is off by its own
    rounding error, in a format of unit roundoff `unit`. Adam and RMSprop divide by the size of
    a gradient, so it is a share of the step where a gradient all but vanishes.
    """
    weights, losses = parameters(model), []
    nudged = [w.copy() for w in weights]
    states: list[State] = [{} for _ in weights + nudged]
    for step in range(1, steps + 1):
        result = model.gradients(x, y, loss)
        losses.append(float(result.loss.value))
        values = [g.value for g in result.parameters]
        off = [g.value + unit * g.error for g in result.parameters]
        for w, g, state in zip(weights + nudged, values + off, states, strict=True):
            RULES[optimizer](w, g, state, step)
    return losses, [np.abs(a - b) for a, b in zip(weights, nudged, strict=True)]
