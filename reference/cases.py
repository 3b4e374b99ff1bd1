"""What is compared: named cases, and random ones.

A `Case` is a stack of recurrent and Dense layers with its data, all drawn from one
seed: weights asymmetric and scaled so that the recurrence neither dies nor
explodes, biases never zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reference.compare import FACTOR, knowable, roundoff
from reference.oracle import CELLS, Model, make_model

LayerSpec = tuple[str, Mapping[str, Any]]

ACTIVATIONS = ("tanh", "relu", "linear", "sigmoid")


@dataclass(frozen=True)
class Case:
    """A model and one batch for it.

    `sizes` are batch, time steps and features; `value_scale` multiplies the input,
    `weight_scale` all weights and biases.
    """

    name: str
    layers: Sequence[LayerSpec]
    sizes: tuple[int, int, int]
    loss: str = "mean_squared_error"
    optimizer: str = "adam"
    seed: int = 0
    value_scale: float = 1.0
    weight_scale: float = 1.0
    training_steps: int = 10

    @property
    def batch(self) -> int:
        """Number of samples."""
        return self.sizes[0]

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return self.sizes[1]

    @property
    def features(self) -> int:
        """Number of features of a step."""
        return self.sizes[2]

    @property
    def input_shape(self) -> tuple[int | None, int, int]:
        """Shape of the input with an open batch axis."""
        return (None, self.steps, self.features)

    def weights(self, dtype: str) -> list[np.ndarray]:
        """Return all weights in the order of `get_weights`."""
        rng, width = np.random.default_rng(self.seed), self.features
        arrays: list[np.ndarray] = []
        for class_name, config in self.layers:
            units = config["units"]
            gates = CELLS[class_name].gates if class_name in CELLS else 1
            shapes = [(width, gates * units)]
            if class_name in CELLS:
                shapes.append((units, gates * units))
            arrays += [rng.normal(0, shape[0] ** -0.5, shape) for shape in shapes]
            if config.get("use_bias", True):
                shape = bias_shape(class_name, config, gates * units)
                arrays.append(rng.uniform(0.1, 0.6, shape) * rng.choice([-1.0, 1.0], shape))
            width = units
        return [(a * self.weight_scale).astype(dtype) for a in arrays]

    def data(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs, and targets of the kind that the loss wants."""
        rng = np.random.default_rng(self.seed + 1)
        x = rng.normal(size=(self.batch, self.steps, self.features)) * self.value_scale
        return x.astype(dtype), self._targets(rng, dtype)

    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output, batch included."""
        recurrent = [config for name, config in self.layers if name in CELLS]
        keeps_time = all(config.get("return_sequences", False) for config in recurrent)
        units = self.layers[-1][1]["units"]
        return (self.batch, self.steps, units) if keeps_time else (self.batch, units)

    def oracle(self, dtype: str) -> Model:
        """Return the oracle with the weights that a model of `dtype` has."""
        return make_model(self.layers, self.weights(dtype))

    def comparable(self, dtype: str) -> bool:
        """Whether rounding leaves anything to compare: no kink within reach, no blow-up."""
        result = self.oracle(dtype).gradients(*self.data(dtype), self.loss)
        if result.margin < 2 * FACTOR * roundoff(dtype):
            return False
        return all(knowable(q, dtype) for q in (result.output, *result.parameters, result.inputs))

    def _targets(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
        shape = self.output_shape()
        if self.loss == "sparse_categorical_crossentropy":
            return rng.integers(0, shape[-1], shape[:-1])
        if self.loss == "categorical_crossentropy":
            classes = rng.integers(0, shape[-1], shape[:-1])
            return np.eye(shape[-1], dtype=dtype)[classes]
        if self.loss == "binary_crossentropy":
            return rng.integers(0, 2, shape).astype(dtype)
        return rng.normal(size=shape).astype(dtype)


def bias_shape(class_name: str, config: Mapping[str, Any], width: int) -> tuple[int, ...]:
    """Return the shape of a layer's bias; a GRU that resets after has two."""
    two = class_name == "GRU" and config.get("reset_after", True)
    return (2, width) if two else (width,)


def rnn(units: int, **options: Any) -> LayerSpec:
    """Return the spec of a SimpleRNN."""
    return ("SimpleRNN", {"units": units, **options})


def lstm(units: int, **options: Any) -> LayerSpec:
    """Return the spec of an LSTM."""
    return ("LSTM", {"units": units, **options})


def gru(units: int, **options: Any) -> LayerSpec:
    """Return the spec of a GRU."""
    return ("GRU", {"units": units, **options})


def dense(units: int, **options: Any) -> LayerSpec:
    """Return the spec of a Dense."""
    return ("Dense", {"units": units, **options})


TUTORIAL: tuple[Case, ...] = (
    Case("tutorial: rnn 5, dense 1", [rnn(5), dense(1)], (2, 4, 1), training_steps=53),
    Case("tutorial: rnn 10, dense 1", [rnn(10), dense(1)], (7, 5, 1), seed=1, training_steps=53),
    Case("tutorial: rnn 20, dense 2", [rnn(20), dense(2)], (9, 10, 3), seed=2, training_steps=53),
)


def option_cases() -> Iterator[Case]:
    """Yield a case for each activation and option."""
    for i, activation in enumerate(ACTIVATIONS):
        layers = [rnn(7, activation=activation), dense(3)]
        yield Case(f"activation {activation}", layers, (5, 9, 4), seed=10 + i)
    in_time = [rnn(6, return_sequences=True), dense(2, activation="tanh")]
    backwards = [rnn(6, go_backwards=True, return_sequences=True)]
    no_bias = [rnn(6, use_bias=False), dense(2, use_bias=False)]
    stack = [rnn(9, return_sequences=True), rnn(5, return_sequences=True), rnn(4), dense(2)]
    yield Case("return_sequences, dense in time", in_time, (3, 8, 5), seed=20)
    yield Case("go_backwards", [rnn(6, go_backwards=True), dense(2)], (3, 8, 5), seed=21)
    yield Case("go_backwards, return_sequences", backwards, (3, 8, 5), seed=22)
    yield Case("no bias", no_bias, (4, 6, 3), seed=23)
    yield Case("stack of three", stack, (4, 7, 3), seed=24)
    yield Case("dense only", [dense(6, activation="relu"), dense(3)], (4, 5, 7), seed=34)


def size_cases() -> Iterator[Case]:
    """Yield small, odd and large sizes, and values at the ends of the range."""
    yield Case("one of everything", [rnn(1), dense(1)], (1, 1, 1), seed=25)
    yield Case("one step", [rnn(8), dense(2)], (6, 1, 3), seed=26)
    yield Case("one sample", [rnn(33), dense(1)], (1, 11, 2), seed=27)
    yield Case("odd sizes", [rnn(97), dense(3)], (17, 13, 29), seed=28)
    yield Case("long", [rnn(16), dense(1)], (2, 512, 3), seed=32)
    yield Case("wide batch", [rnn(32), dense(1)], (65, 12, 8), seed=33)
    layers, sizes = [rnn(12), dense(2)], (5, 6, 4)
    # Adam divides by the size of a gradient, so it would show nothing but the noise
    # of those that saturation makes tiny.
    large: dict[str, Any] = {"value_scale": 30.0, "weight_scale": 4.0, "optimizer": "sgd"}
    yield Case("saturated", layers, sizes, seed=29, **large)
    yield Case("small values", layers, sizes, seed=30, value_scale=1e-4)
    yield Case("denormal input", layers, sizes, seed=31, value_scale=1e-40)


def loss_cases() -> Iterator[Case]:
    """Yield a case for each loss, with the optimizers shared out among them."""
    binary = [rnn(6), dense(1, activation="sigmoid")]
    classes = [rnn(6), dense(4, activation="softmax")]
    in_time = [rnn(6, return_sequences=True), dense(4, activation="softmax")]
    cross = "categorical_crossentropy"
    absolute = Case("mean absolute error", [rnn(6), dense(3)], (5, 6, 2), seed=35)
    yield replace(absolute, loss="mean_absolute_error", optimizer="sgd")
    sigmoid = Case("sigmoid", binary, (6, 5, 2), seed=36)
    yield replace(sigmoid, loss="binary_crossentropy", optimizer="rmsprop")
    yield Case("softmax", classes, (6, 5, 2), seed=37, loss=cross)
    yield Case("softmax in time", in_time, (3, 5, 2), seed=38, loss=f"sparse_{cross}")


def fixed_cases() -> list[Case]:
    """Return the named cases of the table, the tutorial's models first."""
    return [*TUTORIAL, *option_cases(), *size_cases(), *loss_cases()]


_ODD_SIZES = (1, 2, 3, 5, 7, 8, 11, 16, 17, 31, 33)


def random_case(rng: np.random.Generator, number: int) -> Case:
    """Draw a stack of one to three layers with random options, sizes and scales."""
    depth = int(rng.integers(1, 4))
    keep_time = bool(rng.integers(2))
    layers: list[LayerSpec] = []
    for position in range(depth):
        last_rnn = position == depth - 1
        layers.append(
            rnn(
                int(rng.choice(_ODD_SIZES)),
                activation=str(rng.choice(ACTIVATIONS, p=[0.5, 0.15, 0.1, 0.25])),
                use_bias=bool(rng.integers(4)),
                go_backwards=bool(rng.integers(2)),
                return_sequences=keep_time or not last_rnn,
            )
        )
    if rng.integers(4):
        activation = str(rng.choice(["linear", "tanh", "sigmoid"]))
        layers.append(dense(int(rng.integers(1, 6)), activation=activation))
    batch, steps, features = (int(n) for n in rng.choice(_ODD_SIZES, 3))
    return Case(
        f"random {number}",
        layers,
        (batch, steps, features),
        optimizer="sgd",
        seed=int(rng.integers(2**31)),
        value_scale=float(10.0 ** rng.uniform(-3, 1.5)),
        weight_scale=float(rng.choice([0.3, 1.0, 1.5])),
        training_steps=3,
    )


def random_cases(count: int, seed: int) -> Iterator[Case]:
    """Draw `count` cases, the same for the same seed."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        yield random_case(rng, number)
