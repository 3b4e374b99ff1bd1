"""The scalar side of the oracle: activations and losses in float64, with their errors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference import activations
from reference.activations import Function, sigmoid
from reference.running_error import Quantity, joined


@dataclass(frozen=True)
class Activation:
    """A function of one number, its slope, and where the slope jumps.

    `of_result(z, a)` gives the slope from the pre-activation `z` and the result `a`, as an
    engine computes it, so that 1 - a*a of a saturated a carries its cancellation. Without
    it the slope is taken at `z`, with an error of what one step of a sum with 1 may lose.
    """

    function: Function
    slope: Function
    of_result: Callable[[Quantity, Quantity], Quantity] | None = None
    kinks: tuple[float, ...] = ()

    def forward(self, z: Quantity) -> Quantity:
        """Return the function's value."""
        return z.map(self.function, self.slope)

    def backward(self, da: Quantity, z: Quantity, a: Quantity) -> Quantity:
        """Return the gradient of z from that of the value a."""
        if self.of_result is not None:
            return da * self.of_result(z, a)
        near = 1e-4 * (1.0 + np.abs(z.value))
        bend = (self.slope(z.value + near) - self.slope(z.value - near)) / (2 * near)
        slope = np.asarray(self.slope(z.value), np.float64)
        return da * Quantity(slope, joined(bend * z.error, np.maximum(np.abs(slope), 1.0)))

    def margin(self, z: Quantity) -> float:
        """Return how near z comes to a kink, in units of its error."""
        return min((kink_margin(z - at if at else z) for at in self.kinks), default=np.inf)


class Softmax(Activation):
    """Softmax over the last axis, the one activation here that takes several numbers."""

    def __init__(self) -> None:
        super().__init__(np.exp, np.exp)

    def forward(self, z: Quantity) -> Quantity:
        """Return the shares, which sum to one."""
        return softmax(z)

    def backward(self, da: Quantity, z: Quantity, a: Quantity) -> Quantity:
        """Return a (da - sum(da a))."""
        return a * (da - (da * a).sum(-1)[..., None])


def _relu_slope(z: Quantity, a: Quantity) -> Quantity:
    return Quantity(np.where(z.value > 0, 1.0, 0.0))


# The slopes that every engine computes from the result.
_OF_RESULT: dict[str, Callable[[Quantity, Quantity], Quantity]] = {
    "linear": lambda z, a: Quantity(np.ones_like(z.value)),
    "tanh": lambda z, a: 1.0 - a * a,
    "relu": _relu_slope,
    "sigmoid": lambda z, a: a * (1.0 - a),
}

_KINKS: dict[str, tuple[float, ...]] = {
    "relu": (0.0,),
    "relu6": (0.0, 6.0),
    "leaky_relu": (0.0,),
    "selu": (0.0,),
    "soft_shrink": (-0.5, 0.5),
    "hard_shrink": (-0.5, 0.5),
    "hard_tanh": (-1.0, 1.0),
    "hard_sigmoid": (-3.0, 3.0),
    "hard_sigmoid_keras2": (-2.5, 2.5),
    "hard_silu": (-3.0, 3.0),
    "sparse_sigmoid": (-1.0, 1.0),
}

ACTIVATIONS: dict[str, Activation] = {
    name: Activation(value, slope, _OF_RESULT.get(name), _KINKS.get(name, ()))
    for name, (value, slope) in activations.ACTIVATIONS.items()
}
ACTIVATIONS["softmax"] = Softmax()


def activation_of(given: str | Activation | None) -> Activation:
    """Return the activation of a name; one that is given passes, so that tests bring their own.

    Raises
    ------
    KeyError
        If there is none of that name.
    """
    return given if isinstance(given, Activation) else ACTIVATIONS[activation_name(given)]


def activation_name(value: Any) -> str:
    """Return the name in a layer's config: None means linear, as in Keras."""
    return "linear" if value is None else str(value)


# Numbers below the normal range of float32 may be flushed to zero on their way; as
# noise in units of roundoff that is:
_FLUSHED = 2.0**-126 / 2.0**-24


def kink_margin(z: Quantity) -> float:
    """Return the smallest |z| in units of its error, over the z that have one."""
    inexact = (z.error > 0) | (z.value != 0)
    ratio = np.abs(z.value[inexact]) / (z.error[inexact] + _FLUSHED)
    return float(ratio.min()) if ratio.size else np.inf


def softmax(z: Quantity) -> Quantity:
    """Softmax over the last axis, with the error of a shifted evaluation."""
    shifted = np.exp(z.value - z.value.max(-1, keepdims=True))
    p = shifted / shifted.sum(-1, keepdims=True)
    spread = z.error + np.abs(z.value) + 1.0  # the shift rounds relative to |z|
    return Quantity(p, p * (spread + (p * spread).sum(-1, keepdims=True)))


# -- losses ------------------------------------------------------------------
#
# Each returns the loss of every sample and the gradient of their plain sum.

PerSample = tuple[Quantity, Quantity]


def mean_squared_error(y: np.ndarray, p: Quantity) -> PerSample:
    """Mean of (p - y)^2 over the last axis; gradient 2 (p - y) / n."""
    d, n = p - y, p.shape[-1]
    return (d * d).sum(-1) * (1.0 / n), d * (2.0 / n)


def mean_absolute_error(y: np.ndarray, p: Quantity) -> PerSample:
    """Mean of |p - y| over the last axis; gradient sign(p - y) / n."""
    d, n = p - y, p.shape[-1]
    size = Quantity(np.abs(d.value), d.error)
    return size.sum(-1) * (1.0 / n), Quantity(np.sign(d.value) / n)


EPSILON = 1e-7  # what Keras clips probabilities with


def binary_crossentropy(y: np.ndarray, p: Quantity) -> PerSample:
    """-y log p - (1-y) log(1-p) with p clipped to [eps, 1 - eps], mean over the last axis."""
    n = p.shape[-1]
    inside = (p.value >= EPSILON) & (p.value <= 1 - EPSILON)
    q = np.clip(p.value, EPSILON, 1 - EPSILON)
    value = -(y * np.log(q) + (1 - y) * np.log1p(-q))
    slope = np.where(inside, (q - y) / (q * (1 - q)), 0.0)
    # 1 - q rounds relative to 1, and both logarithms see it
    noise = (p.error + 1.0) * np.where(inside, 1 / (q * (1 - q)), 1 / EPSILON)
    loss = Quantity(value, noise * (np.abs(y - q) + q) + np.abs(value))
    return loss.sum(-1) * (1.0 / n), Quantity(slope / n, (np.abs(slope) + noise) * noise / n)


def binary_crossentropy_logits(y: np.ndarray, z: Quantity) -> PerSample:
    """max(z, 0) - z y + log(1 + exp(-|z|)), mean over the last axis; gradient sigmoid(z) - y."""
    n = z.shape[-1]
    value = np.maximum(z.value, 0) - z.value * y + np.log1p(np.exp(-np.abs(z.value)))
    size = np.abs(z.value) * (1 + np.abs(y)) + 1.0
    slope = sigmoid(z.value) - y
    loss = Quantity(value, np.abs(slope) * z.error + size)
    bend = sigmoid(z.value) * sigmoid(-z.value)
    grad = Quantity(slope / n, (bend * z.error + sigmoid(z.value) + np.abs(y)) / n)
    return loss.sum(-1) * (1.0 / n), grad


def categorical_crossentropy_logits(y: np.ndarray, z: Quantity) -> PerSample:
    """-sum y log softmax(z); gradient softmax(z) sum(y) - y."""
    top = z.value.max(-1, keepdims=True)
    log_p = z.value - top - np.log(np.exp(z.value - top).sum(-1, keepdims=True))
    size = z.error + np.abs(z.value) + np.abs(top) + 1.0
    loss = Quantity(-y * log_p, np.abs(y) * size).sum(-1)
    grad = softmax(z) * y.sum(-1, keepdims=True) - y
    return loss, Quantity(grad.value, grad.error + np.abs(y))


def sparse_categorical_crossentropy_logits(y: np.ndarray, z: Quantity) -> PerSample:
    """As categorical, of class numbers."""
    labels = y.reshape(z.shape[:-1]).astype(int)
    return categorical_crossentropy_logits(np.eye(z.shape[-1])[labels], z)


@dataclass(frozen=True)
class Loss:
    """A loss, and its form on logits under the activation that makes the two the same."""

    function: Callable[[np.ndarray, Quantity], PerSample] | None
    logits: Callable[[np.ndarray, Quantity], PerSample] | None = None
    activation: str | None = None


LOSSES: dict[str, Loss] = {
    "mean_squared_error": Loss(mean_squared_error),
    "mean_absolute_error": Loss(mean_absolute_error),
    "binary_crossentropy": Loss(binary_crossentropy, binary_crossentropy_logits, "sigmoid"),
    "categorical_crossentropy": Loss(None, categorical_crossentropy_logits, "softmax"),
    "sparse_categorical_crossentropy": Loss(
        None, sparse_categorical_crossentropy_logits, "softmax"
    ),
}
