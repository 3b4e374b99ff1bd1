"""A `Case`: a stack of recurrent and Dense layers with its data, all drawn from one seed.

Weights are asymmetric and scaled so that the recurrence neither dies nor explodes, biases
never zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.compare import FACTOR, knowable, roundoff
from reference.oracle import CELLS, Model, make_model

LayerSpec = tuple[str, Mapping[str, Any]]


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
