"""As accurate as Keras? ``make accuracy`` prints the table: RMS errors against the oracle.

For sizes and cells, with the last output and with sequences: the root mean square of the error
of the output and of every gradient in float32, relative to the largest value of the quantity,
for the engine, and for Keras as a TensorFlow graph and compiled by XLA. The last column is ours
over the larger of Keras's two. The exit status is 1 where the mean of a quantity is above 1, or a
single case above 1.25.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

import rnn_engine
from reference import keras_twin, oracle
from reference.case import LayerSpec
from reference.cases import CELLS

# Batch, time steps, features, units.
SIZES = ((4, 12, 3, 8), (16, 30, 64, 128), (32, 20, 16, 33), (8, 100, 8, 32), (8, 10, 256, 256))
QUICK = SIZES[:2]
MEAN, MOST = 1.0, 1.25
SEEDS = 3


@dataclass(frozen=True)
class Line:
    """The RMS errors of one quantity of one case: ours, Keras's graph and XLA."""

    cell: str
    sizes: tuple[int, int, int, int]
    sequences: bool
    quantity: str
    engine: float
    graph: float
    xla: float

    @property
    def ratio(self) -> float:
        """Ours over the larger of Keras's."""
        return self.engine / max(self.graph, self.xla, 1e-30)


def weights_of(
    spec: LayerSpec, features: int, units: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw the weights of a layer."""
    name, config = spec
    width = oracle.CELLS[name].gates * units
    two = name == "GRU" and config.get("reset_after", True)
    shapes = [(features, width), (units, width), (2, width) if two else (width,)]
    scales = (features**-0.5, units**-0.5, 0.3)
    arrays = zip(shapes, scales, strict=True)
    return [rng.normal(0, scale, shape).astype("float32") for shape, scale in arrays]


def engine_pass(
    spec: LayerSpec, weights: list[np.ndarray], x: np.ndarray, dy: np.ndarray
) -> list[np.ndarray]:
    """Return output, dx and the gradients of the weights of our layer."""
    name, config = spec
    layer = getattr(rnn_engine.layers, name)(**config)
    layer.build((None, *x.shape[1:]))
    layer.set_weights(weights)
    y, saved = layer.forward(x, True)
    y = np.array(y)
    dx = np.array(layer.backward(dy, saved))
    return [y, dx, *(variable.grad.copy() for variable in layer.trainable_weights)]


def keras_pass(
    spec: LayerSpec, weights: list[np.ndarray], x: np.ndarray, dy: np.ndarray, mode: str
) -> list[np.ndarray]:
    """Return the same of Keras's layer."""
    layer = keras_twin.keras_layer(*spec, "float32")
    layer.build((None, *x.shape[1:]))
    layer.set_weights(weights)
    found = keras_twin.layer_pass(layer, x, dy, mode, training=True)
    return [found["output"], found["inputs"], *found["parameters"]]


def oracle_pass(
    spec: LayerSpec, weights: list[np.ndarray], x: np.ndarray, dy: np.ndarray
) -> list[np.ndarray]:
    """Return the true values."""
    layer: Any = oracle.make_layer(*spec, weights)
    y, _ = layer.forward(x)
    grads = layer.backward(dy)
    names = ("x", "kernel", "recurrent_kernel", "bias")
    return [y.value, *(grads[name].value for name in names)]


def rms(found: np.ndarray, true: np.ndarray) -> float:
    """Return the root mean square error by the largest true value."""
    return float(np.sqrt(np.mean((found - true) ** 2)) / np.abs(true).max())


def measure(cell: str, sizes: tuple[int, int, int, int], sequences: bool) -> Iterator[Line]:
    """Yield the lines of one case, each the mean over some seeds."""
    batch, steps, features, units = sizes
    spec = CELLS[cell](units, return_sequences=sequences)
    sums = np.zeros((3, 5))
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        weights = weights_of(spec, features, units, rng)
        x = rng.normal(size=(batch, steps, features)).astype("float32")
        shape = (batch, steps, units) if sequences else (batch, units)
        dy = rng.normal(size=shape).astype("float32")
        true = oracle_pass(spec, weights, x, dy)
        sides = [engine_pass(spec, weights, x, dy)]
        sides += [keras_pass(spec, weights, x, dy, mode) for mode in ("graph", "xla")]
        sums += [[rms(*pair) for pair in zip(side, true, strict=True)] for side in sides]
    for quantity, errors in zip(("output", "dx", "dW", "dR", "db"), sums.T / SEEDS, strict=True):
        yield Line(cell, sizes, sequences, quantity, *map(float, errors))


def summary(lines: Sequence[Line]) -> tuple[list[str], bool]:
    """Return a line for each cell and quantity, and whether all is as accurate as Keras."""
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        groups[line.cell, line.quantity].append(line)
    text, good = ["", f"{'cell':<12}{'quantity':<10}{'mean ratio':>11}{'largest':>9}"], True
    for (cell, quantity), group in groups.items():
        ratios = [line.ratio for line in group]
        mean, most = float(np.mean(ratios)), max(ratios)
        good &= mean <= MEAN and most <= MOST
        verdict = "" if mean <= MEAN and most <= MOST else "  MISS"
        text.append(f"{cell:<12}{quantity:<10}{mean:>11.2f}{most:>9.2f}{verdict}")
    return text, good


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m reference.accuracy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two sizes")
    parser.add_argument("--cell", choices=tuple(CELLS), help="one cell")
    options = parser.parse_args(arguments)
    tf.get_logger().setLevel("ERROR")
    heading = f"{'cell':<12}{'B × T × F × U':<22}{'':<10}{'quantity':<10}"
    print(heading + f"{'ours':>9}{'graph':>9}{'XLA':>9}{'ratio':>7}")
    lines = []
    for cell in [options.cell] if options.cell else CELLS:
        for sizes in QUICK if options.quick else SIZES:
            for sequences in (False, True):
                for line in measure(cell, sizes, sequences):
                    lines.append(line)
                    place = f"{line.cell:<12}{' × '.join(map(str, line.sizes)):<22}"
                    kind = "sequences" if line.sequences else "last"
                    errors = f"{line.engine:>9.1e}{line.graph:>9.1e}{line.xla:>9.1e}"
                    print(f"{place}{kind:<10}{line.quantity:<10}{errors}{line.ratio:>7.2f}",
                          flush=True)  # fmt: skip
    text, good = summary(lines)
    print(*text, sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
