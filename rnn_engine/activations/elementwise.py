"""The elementwise activations: those of the table, and those that take arguments.

What stands here in NumPy runs only with other arguments than Keras's defaults. The
slope at a kink is the one Keras has on TensorFlow.
"""

from typing import Any

import numpy as np

from rnn_engine.activations.base import Activation, Parametrised, registry
from rnn_engine.kernels.formulas import TABLE

Array = np.ndarray


def relu(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    """Return x above `threshold`, at most `max_value`; below, negative_slope·(x - threshold).

    Mirrors `keras.activations.relu`, which keeps integers where this gives floats.

    Examples
    --------
    >>> from rnn_engine import activations
    >>> activations.relu([-2.0, 0.5, 3.0], negative_slope=0.5, max_value=1.0)
    array([-1. ,  0.5,  1. ], dtype=float32)
    """
    y = np.where(x > threshold, x, 0) if threshold else np.maximum(x, 0)
    if max_value is not None:
        y = np.clip(y, 0, max_value)
    return y - negative_slope * np.maximum(threshold - x, 0) if negative_slope else y


def _relu_slope(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    if not threshold and max_value is None:
        return np.where(x > 0, 1.0, negative_slope)
    slope = x > threshold
    if max_value is not None:
        strict = max_value == 6 and not threshold
        slope = slope & (x >= 0) & ((x < max_value) if strict else (x <= max_value))
    return slope + negative_slope * (x < threshold)


def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """Return x above zero and negative_slope·x below. Mirrors `keras.activations.leaky_relu`."""
    return np.where(x > 0, x, negative_slope * x)


def _leaky_relu_slope(x: Array, negative_slope: float = 0.2) -> Array:
    return np.where(x > 0, 1.0, negative_slope)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x above zero and alpha·(eˣ - 1) below. Mirrors `keras.activations.elu`."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_slope(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0)))


def celu(x: Array, alpha: float = 1.0) -> Array:
    """Return x above zero and alpha·(exp(x/alpha) - 1) below.

    Mirrors `keras.activations.celu`; its slope at zero is 1, where Keras's gradient is 2.
    """
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)


def _celu_slope(x: Array, alpha: float = 1.0) -> Array:
    return np.exp(np.minimum(x, 0) / alpha)


def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """Return x moved by `threshold` towards zero, and zero within it.

    Mirrors `keras.activations.soft_shrink`; a NaN stays, where Keras gives 0.
    """
    return np.where(x > threshold, x - threshold, np.where(x < -threshold, x + threshold, x - x))


def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """Return x, and zero within `threshold` of zero.

    Mirrors `keras.activations.hard_shrink`; a NaN stays, where Keras gives 0.
    """
    return np.where(np.abs(x) > threshold, x, x - x)


def _shrink_slope(x: Array, threshold: float = 0.5) -> Array:
    return (np.abs(x) > threshold) * 1.0


def squareplus(x: Array, b: float = 4) -> Array:
    """Return (x + √(x² + b))/2. Mirrors `keras.activations.squareplus`."""
    return (x + np.sqrt(x * x + b)) / 2


def _squareplus_slope(x: Array, b: float = 4) -> Array:
    return (1 + x / np.sqrt(x * x + b)) / 2


def threshold(x: Array, threshold: float, default_value: float) -> Array:
    """Return x above `threshold`, and `default_value` elsewhere.

    Mirrors `keras.activations.threshold`.
    """
    return np.where(x > threshold, x, default_value)


def _threshold_slope(x: Array, threshold: float, default_value: float) -> Array:
    return (x > threshold) * 1.0


def gelu(x: Array, approximate: bool = False) -> Array:
    """Return x·Φ(x), or x·(1 + tanh(√(2/π)(x + 0.044715x³)))/2 if `approximate`.

    Mirrors `keras.activations.gelu`; for x far below zero more accurate.
    """
    return (_gelu_approximate if approximate else ENTRIES["gelu"])(x)


class _Gelu(Parametrised):
    """Both forms stand in the table."""

    def _bind(self, arguments: dict[str, Any]) -> Activation:
        return _gelu_approximate if arguments["approximate"] else self


class _GeluApproximate(Activation):
    def __init__(self) -> None:
        super().__init__("gelu_approximate")
        self.registered_name = "gelu"

    def get_config(self) -> dict[str, Any]:
        """Return the argument of `gelu` that makes it."""
        return {"approximate": True}


_gelu_approximate = _GeluApproximate()

_WITH_ARGUMENTS = (
    Parametrised(relu, _relu_slope),
    Parametrised(leaky_relu, _leaky_relu_slope),
    Parametrised(elu, _elu_slope),
    Parametrised(celu, _celu_slope),
    Parametrised(soft_shrink, _shrink_slope),
    Parametrised(hard_shrink, _shrink_slope),
    Parametrised(squareplus, _squareplus_slope),
    Parametrised(threshold, _threshold_slope),
    _Gelu(gelu, gelu),
)

# Every elementwise activation by its name.
ENTRIES: dict[str, Activation] = {
    row.name: Activation(row.name)
    for row in TABLE
    if row.name not in ("gelu_approximate", "hard_sigmoid_keras2")
}
# Only files ask for it, by its name.
HARD_SIGMOID_KERAS2 = Activation("hard_sigmoid_keras2")
ENTRIES.update({activation.name: activation for activation in _WITH_ARGUMENTS})
_ALIASES = {"silu": "swish", "hard_silu": "hard_swish"}
for _name, _entry in ENTRIES.items():
    registry.register(*filter(None, (_name, _ALIASES.get(_name))))(_entry)
