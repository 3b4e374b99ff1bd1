"""Every activation and its slope in float64 (or wider), in plain NumPy.

They import nothing from the engine, and are written for accuracy where the definition
itself would cancel.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[[Any], Any]

_ERFC = np.frompyfunc(math.erfc, 1, 1)
_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717
# Taylor coefficients of (x - tanh x)/x³ in x².
_TANH_SHRINK = (
    1 / 3, -2 / 15, 17 / 315, -62 / 2835, 1382 / 155925, -21844 / 6081075, 929569 / 638512875,
    -6404582 / 10854718875, 443861162 / 1856156927625,
)  # fmt: skip


def normal_cdf(z: Any) -> Any:
    """Return the distribution function of the normal distribution."""
    return np.asarray(_ERFC(-np.asarray(z, np.float64) / math.sqrt(2)), np.float64) / 2


def normal_density(z: Any) -> Any:
    """Return the density of the normal distribution."""
    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def sigmoid(z: Any) -> Any:
    """Return 1/(1 + e⁻ᶻ)."""
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def softplus(z: Any) -> Any:
    """Return log(1 + eᶻ)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def tanh_shrink(z: Any) -> Any:
    """Return z - tanh z."""
    small = np.where(np.abs(z) < 0.2, z, 0)
    series = small**3 * np.polynomial.polynomial.polyval(small**2, _TANH_SHRINK)
    return np.where(np.abs(z) < 0.2, series, z - np.tanh(z))


def squareplus(z: Any) -> Any:
    """Return (z + √(z² + 4))/2."""
    root = np.hypot(z, 2)
    return np.where(z < 0, 2 / (root + np.abs(z)), (z + root) / 2)


def _gelu_gate(z: Any) -> tuple[Any, Any]:
    """Return twice the argument of tanh in the approximate gelu, and its slope."""
    c = 2 * math.sqrt(2 / math.pi)
    return c * (z + 0.044715 * z**3), c * (1 + 3 * 0.044715 * z * z)


def _gelu_approximate_slope(z: Any) -> Any:
    u, slope = _gelu_gate(z)
    return sigmoid(u) + z * sigmoid(u) * sigmoid(-u) * slope


def _mish_gate(z: Any) -> Any:
    """Return tanh(softplus(z))."""
    n = np.expm1(2 * softplus(np.minimum(z, 20)))
    return np.where(z > 20, 1.0, n / (n + 2))


def _mish_slope(z: Any) -> Any:
    gate = _mish_gate(z)
    return gate + z * (1 - gate) * (1 + gate) * sigmoid(z)


def _elu(z: Any) -> Any:
    return np.where(z < 0, np.expm1(np.minimum(z, 0)), z)


def _elu_slope(z: Any) -> Any:
    return np.exp(np.minimum(z, 0))


def _tanh_slope(z: Any) -> Any:
    return 4 * sigmoid(2 * z) * sigmoid(-2 * z)


# Name: value and slope as functions of the input.
ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "linear": (lambda z: z, np.ones_like),
    "tanh": (np.tanh, _tanh_slope),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "relu6": (lambda z: np.clip(z, 0, 6), lambda z: ((z > 0) & (z < 6)) * 1.0),
    "leaky_relu": (lambda z: np.where(z < 0, 0.2 * z, z), lambda z: np.where(z > 0, 1, 0.2)),
    "elu": (_elu, _elu_slope),
    "celu": (_elu, _elu_slope),
    "selu": (
        lambda z: _SELU_SCALE * np.where(z < 0, _SELU_ALPHA * _elu(z), z),
        lambda z: _SELU_SCALE * np.where(z < 0, _SELU_ALPHA * _elu_slope(z), 1),
    ),
    "exponential": (np.exp, np.exp),
    "softplus": (softplus, sigmoid),
    "log_sigmoid": (lambda z: -softplus(-z), lambda z: sigmoid(-z)),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    "squareplus": (squareplus, lambda z: squareplus(z) / np.hypot(z, 2)),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_density(z)),
    "gelu_approximate": (lambda z: z * sigmoid(_gelu_gate(z)[0]), _gelu_approximate_slope),
    "mish": (lambda z: z * _mish_gate(z), _mish_slope),
    "tanh_shrink": (tanh_shrink, lambda z: np.tanh(z) ** 2),
    "soft_shrink": (
        lambda z: np.where(np.abs(z) > 0.5, z - np.copysign(0.5, z), 0),
        lambda z: (np.abs(z) > 0.5) * 1.0,
    ),
    "hard_shrink": (
        lambda z: np.where(np.abs(z) > 0.5, z, 0),
        lambda z: (np.abs(z) > 0.5) * 1.0,
    ),
    "hard_tanh": (lambda z: np.clip(z, -1, 1), lambda z: (np.abs(z) <= 1) * 1.0),
    "hard_sigmoid_keras2": (
        lambda z: np.clip(0.2 * z + 0.5, 0, 1),
        lambda z: (np.abs(z) < 2.5) * 0.2,
    ),
    "hard_sigmoid": (lambda z: np.clip(z + 3, 0, 6) / 6, lambda z: (np.abs(z) < 3) / 6),
    "hard_silu": (
        lambda z: z * np.clip(z + 3, 0, 6) / 6,
        lambda z: np.clip(z + 3, 0, 6) / 6 + (np.abs(z) < 3) * z / 6,
    ),
    "sparse_plus": (
        lambda z: np.where(z < 1, np.maximum(z + 1, 0) ** 2 / 4, z),
        lambda z: np.clip((z + 1) / 2, 0, 1),
    ),
    "sparse_sigmoid": (lambda z: np.clip((z + 1) / 2, 0, 1), lambda z: (np.abs(z) < 1) * 0.5),
}
