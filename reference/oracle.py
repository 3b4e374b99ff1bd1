"""The float64 oracle: naive loops in plain NumPy that import nothing from the engine.

Every layer is a class with `forward` and `backward`, one time step at a time, as the
equations are written in a textbook: Dense here, SimpleRNN, LSTM and GRU in
`reference.oracle_cells`. Values are `Quantity`: float64 with a running bound of the
rounding error, which tells a comparison how large a difference may be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.oracle_cells import CELLS, GRU, LSTM, SimpleRNN
from reference.oracle_functions import (
    ACTIVATIONS,
    LOSSES,
    activation_name,
    activation_of,
    kink_margin,
)
from reference.oracle_recurrent import Recurrent
from reference.running_error import Quantity, exact

__all__ = ["CELLS", "GRU", "LSTM", "Dense", "Model", "Result", "SimpleRNN", "knows"]


@dataclass
class Dense:
    """y = act(x W + b) on the last axis of an array of any rank."""

    kernel: np.ndarray
    bias: np.ndarray | None = None
    activation: str = "linear"
    margin: float = field(default=np.inf, init=False)

    def forward(self, x: Any) -> Quantity:
        """Return the output; its shape is that of `x` with the units last."""
        self.x = exact(x)
        z = self.x @ self.kernel
        if self.bias is not None:
            z = z + self.bias
        act = activation_of(self.activation)
        self.z, self.y, self.margin = z, act.forward(z), act.margin(z)
        return self.y

    def backward(self, dy: Any, from_logits: bool = False) -> dict[str, Quantity]:
        """Return the gradients by name; `dy` belongs to the logits if `from_logits`."""
        dy = exact(dy)
        act = activation_of(self.activation)
        dz = dy if from_logits else act.backward(dy, self.z, self.y)
        features, units = self.kernel.shape
        flat_x, flat_dz = flatten(self.x, features), flatten(dz, units)
        grads = {"kernel": flat_x.T @ flat_dz, "x": dz @ self.kernel.T}
        if self.bias is not None:
            grads["bias"] = flat_dz.sum(0)
        return grads


def flatten(x: Quantity, width: int) -> Quantity:
    """Return the rows of `x` along all axes but the last."""
    return Quantity(x.value.reshape(-1, width), x.error.reshape(-1, width))


@dataclass
class Result:
    """What one forward and backward pass of a model gives."""

    output: Quantity
    loss: Quantity
    parameters: list[Quantity]
    inputs: Quantity
    margin: float


def make_layer(
    class_name: str, config: Mapping[str, Any], weights: Sequence[np.ndarray]
) -> Recurrent | Dense:
    """Build the oracle of a layer from its Keras class name, config and weights.

    Raises
    ------
    KeyError
        If the oracle does not know the layer.
    """
    arrays = [np.asarray(w, dtype=np.float64) for w in weights]
    use_bias = config.get("use_bias", True)
    if class_name == "Dense":
        bias = arrays[1] if use_bias else None
        return Dense(arrays[0], bias, activation_name(config.get("activation")))
    return CELLS[class_name](
        arrays[0],
        arrays[1],
        arrays[2] if use_bias else None,
        activation_name(config.get("activation", "tanh")),
        **recurrent_options(class_name, config),
    )


def recurrent_options(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the oracle's recurrent layer takes out of a layer's config, by name."""
    flags = ("return_sequences", "go_backwards", "zero_output_for_mask")
    options: dict[str, Any] = {flag: bool(config.get(flag)) for flag in flags}
    if class_name != "SimpleRNN":
        options["recurrent_activation"] = activation_name(
            config.get("recurrent_activation", "sigmoid")
        )
    if class_name == "GRU":
        options["reset_after"] = bool(config.get("reset_after", True))
    return options


def make_model(
    layers: Sequence[tuple[str, Mapping[str, Any]]], weights: Sequence[np.ndarray]
) -> "Model":
    """Build the oracle of (class name, config) pairs that share out `weights` in order."""
    remaining, made = list(weights), []
    for name, config in layers:
        count = 1 + (name in CELLS) + bool(config.get("use_bias", True))
        made.append(make_layer(name, config, remaining[:count]))
        remaining = remaining[count:]
    return Model(made)


def knows(class_name: str, config: Mapping[str, Any]) -> bool:
    """Whether the oracle has this layer with these settings, as used in inference."""
    extras = ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")
    if any(config.get(name) for name in (*extras, "activity_regularizer", "stateful")):
        return False
    functions = [config.get("activation"), config.get("recurrent_activation")]
    known = all(activation_name(function) in ACTIVATIONS for function in functions)
    return known and (class_name == "Dense" or class_name in CELLS)


class Model:
    """A chain of oracle layers."""

    def __init__(self, layers: Sequence[Recurrent | Dense]) -> None:
        self.layers = list(layers)

    def forward(self, x: Any) -> Quantity:
        """Return the output of the last layer."""
        for layer in self.layers:
            y = layer.forward(x)
            x = y[0] if isinstance(y, tuple) else y
        return x

    def gradients(
        self, x: Any, y: Any, loss: str = "mean_squared_error", sample_weight: Any = None
    ) -> Result:
        """Return output, loss, and the gradients of all weights and of the input.

        The loss is the mean over samples and time steps, weighted by
        `sample_weight`, which has the shape of the loss before it is averaged.
        """
        output = self.forward(x)
        value, grad, from_logits = self._loss(np.asarray(y, np.float64), output, loss)
        weight = np.ones(value.shape) if sample_weight is None else np.asarray(sample_weight)
        weight = weight.astype(np.float64) / value.value.size
        total, dy = (value * weight).sum(), grad * weight[..., None]
        collected: list[Quantity] = []
        for layer in reversed(self.layers):
            if from_logits and layer is self.layers[-1]:
                grads = layer.backward(dy, from_logits=True)  # type: ignore[call-arg]
            else:
                grads = layer.backward(dy)
            names = [n for n in ("kernel", "recurrent_kernel", "bias") if n in grads]
            collected = [grads[n] for n in names] + collected
            dy = grads["x"]
        margin = min(layer.margin for layer in self.layers)
        if loss == "mean_absolute_error":
            margin = min(margin, kink_margin(output - np.reshape(y, output.shape)))
        return Result(output, total, collected, dy, margin)

    def _loss(self, y: np.ndarray, output: Quantity, name: str) -> tuple[Quantity, Quantity, bool]:
        entry, last = LOSSES[name], self.layers[-1]
        if y.ndim == output.value.ndim - 1 and name != "sparse_categorical_crossentropy":
            y = y[..., None]
        if isinstance(last, Dense) and last.activation == entry.activation and entry.logits:
            return *entry.logits(y, last.z), True
        if entry.function is None:
            raise KeyError(f"the oracle has {name} under {entry.activation} only")
        return *entry.function(y, output), False
