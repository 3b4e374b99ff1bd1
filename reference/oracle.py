"""The float64 oracle: naive loops in plain NumPy that import nothing from the engine.

Every layer is a class with `forward` and `backward`, one sample and one time
step at a time, as the equations are written in a textbook. Values are
`Quantity`: float64 with a running bound of the rounding error, which tells a
comparison how large a difference may be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.oracle_functions import (
    ACTIVATIONS,
    LOSSES,
    activation_name,
    kink_margin,
    softmax,
)
from reference.running_error import Quantity, exact, zeros


@dataclass
class SimpleRNN:
    """h_t = act(x_t W + b + h_{t-1} R), with every option of the Keras layer.

    `input_mask` (B, F) and `recurrent_mask` (B, U) are the dropout masks of a
    training step, scaled already by 1/(1 - rate). `margin` is, after `forward`,
    the smallest |z| in units of its own error: below a few roundings, a relu
    may fall on either side of its kink in a correct program.
    """

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray | None = None
    activation: str = "tanh"
    return_sequences: bool = False
    go_backwards: bool = False
    zero_output_for_mask: bool = False
    input_mask: np.ndarray | None = None
    recurrent_mask: np.ndarray | None = None
    margin: float = field(default=np.inf, init=False)

    def forward(
        self, x: Any, initial_state: Any = None, mask: np.ndarray | None = None
    ) -> tuple[Quantity, Quantity]:
        """Return the output, (B, T, U) or (B, U), and the last state (B, U)."""
        x = exact(x)
        batch, steps, _ = x.shape
        units = len(self.recurrent_kernel)
        self.x, self.mask = x, mask
        self.pre, self.post = zeros(batch, steps, units), zeros(batch, steps, units)
        self.before = zeros(batch, steps, units)
        first = zeros(batch, units) if initial_state is None else exact(initial_state)
        outputs, states = zeros(batch, steps, units), zeros(batch, units)
        for row in range(batch):
            state, output = first[row], zeros(units)
            for step in range(steps):
                t = self._time(step, steps)
                if self._valid(row, t):
                    state = output = self._step(row, step, t, state)
                elif self.zero_output_for_mask:
                    output = zeros(units)
                outputs[row, step] = output
            states[row] = state
        return (outputs if self.return_sequences else outputs[:, -1]), states

    def _time(self, step: int, steps: int) -> int:
        return steps - 1 - step if self.go_backwards else step

    def _valid(self, row: int, t: int) -> bool:
        return self.mask is None or bool(self.mask[row, t])

    def _step(self, row: int, step: int, t: int, state: Quantity) -> Quantity:
        act = ACTIVATIONS[self.activation]
        z = self._input(row, t) @ self.kernel + self._state(row, state) @ self.recurrent_kernel
        if self.bias is not None:
            z = z + self.bias
        if act.kink:
            self.margin = min(self.margin, kink_margin(z))
        h = z.map(act.function, act.slope)
        self.before[row, step], self.pre[row, step], self.post[row, step] = state, z, h
        return h

    def _input(self, row: int, t: int) -> Quantity:
        x = self.x[row, t]
        return x if self.input_mask is None else x * self.input_mask[row]

    def _state(self, row: int, state: Quantity) -> Quantity:
        return state if self.recurrent_mask is None else state * self.recurrent_mask[row]

    def backward(self, dy: Any, dstate: Any = None) -> dict[str, Quantity]:
        """Return the gradients by name: of the weights, ``x`` and ``initial_state``."""
        dy = exact(dy)
        batch, steps, features = self.x.shape
        units = len(self.recurrent_kernel)
        grads = {
            "kernel": zeros(features, units),
            "recurrent_kernel": zeros(units, units),
            "bias": zeros(units),
            "x": zeros(batch, steps, features),
            "initial_state": zeros(batch, units),
        }
        for row in range(batch):
            dh = zeros(units) if dstate is None else exact(dstate)[row]
            dout = zeros(units)
            for step in reversed(range(steps)):
                t = self._time(step, steps)
                if self.return_sequences:
                    dout = dout + dy[row, step]
                elif step == steps - 1:
                    dout = dout + dy[row]
                if self._valid(row, t):
                    dh = self._step_backward(row, step, t, dout + dh, grads)
                if self._valid(row, t) or self.zero_output_for_mask:
                    dout = zeros(units)
            grads["initial_state"][row] = dh
        if self.bias is None:
            del grads["bias"]
        return grads

    def _step_backward(
        self, row: int, step: int, t: int, dh: Quantity, grads: dict[str, Quantity]
    ) -> Quantity:
        act = ACTIVATIONS[self.activation]
        dz = dh * act.backward(self.pre[row, step], self.post[row, step])
        add_to(grads["kernel"], self._input(row, t).outer(dz))
        add_to(grads["recurrent_kernel"], self._state(row, self.before[row, step]).outer(dz))
        add_to(grads["bias"], dz)
        dx = dz @ self.kernel.T
        grads["x"][row, t] = dx if self.input_mask is None else dx * self.input_mask[row]
        return self._state(row, dz @ self.recurrent_kernel.T)


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
        self.z = z
        if self.activation == "softmax":
            self.y = softmax(z)
            return self.y
        act = ACTIVATIONS[self.activation]
        if act.kink:
            self.margin = kink_margin(z)
        self.y = z.map(act.function, act.slope)
        return self.y

    def backward(self, dy: Any, from_logits: bool = False) -> dict[str, Quantity]:
        """Return the gradients by name; `dy` belongs to the logits if `from_logits`."""
        dy = exact(dy)
        if from_logits:
            dz = dy
        elif self.activation == "softmax":
            inner = (dy * self.y).sum(-1)
            dz = self.y * (dy - inner[..., None])
        else:
            dz = dy * ACTIVATIONS[self.activation].backward(self.z, self.y)
        features, units = self.kernel.shape
        flat_x, flat_dz = flatten(self.x, features), flatten(dz, units)
        grads = {"kernel": flat_x.T @ flat_dz, "x": dz @ self.kernel.T}
        if self.bias is not None:
            grads["bias"] = flat_dz.sum(0)
        return grads


def add_to(total: Quantity, term: Quantity) -> None:
    """Add in place, errors at their worst: those of the steps of one row depend on each other."""
    total.value += term.value
    total.error += term.error


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
) -> SimpleRNN | Dense:
    """Build the oracle of a layer from its Keras class name, config and weights.

    Raises
    ------
    KeyError
        If the oracle does not know the layer.
    """
    arrays = [np.asarray(w, dtype=np.float64) for w in weights]
    use_bias = config.get("use_bias", True)
    if class_name == "SimpleRNN":
        return SimpleRNN(
            arrays[0],
            arrays[1],
            arrays[2] if use_bias else None,
            activation_name(config.get("activation", "tanh")),
            return_sequences=bool(config.get("return_sequences")),
            go_backwards=bool(config.get("go_backwards")),
            zero_output_for_mask=bool(config.get("zero_output_for_mask")),
        )
    if class_name == "Dense":
        bias = arrays[1] if use_bias else None
        return Dense(arrays[0], bias, activation_name(config.get("activation")))
    raise KeyError(class_name)


def make_model(
    layers: Sequence[tuple[str, Mapping[str, Any]]], weights: Sequence[np.ndarray]
) -> "Model":
    """Build the oracle of (class name, config) pairs that share out `weights` in order."""
    remaining, made = list(weights), []
    for name, config in layers:
        count = 1 + (name == "SimpleRNN") + bool(config.get("use_bias", True))
        made.append(make_layer(name, config, remaining[:count]))
        remaining = remaining[count:]
    return Model(made)


def knows(class_name: str, config: Mapping[str, Any]) -> bool:
    """Whether the oracle has this layer with these settings, as used in inference."""
    extras = ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")
    if any(config.get(name) for name in (*extras, "activity_regularizer", "stateful")):
        return False
    activation = activation_name(config.get("activation"))
    known = activation in ACTIVATIONS
    if class_name == "Dense":
        return known or activation == "softmax"
    return class_name == "SimpleRNN" and known


class Model:
    """A chain of oracle layers."""

    def __init__(self, layers: Sequence[SimpleRNN | Dense]) -> None:
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
