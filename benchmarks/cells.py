"""LSTM and GRU beside Keras and PyTorch: ``python -m benchmarks.cells``.

Forward (last output) and forward with all gradients, two threads for every side, interleaved;
the sides have the same weights and are compared before they are timed. Prints medians.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = (
    (2, 4, 1, 5), (1, 100, 8, 32), (32, 100, 32, 64), (64, 128, 64, 128), (64, 64, 128, 256),
    (32, 64, 512, 512),
)  # fmt: skip
ROUNDS = 7


def engine(cell: str, weights: list[Any], x: np.ndarray, dh: np.ndarray) -> list[Any]:
    """Return forward and forward with gradients of this library, and the output."""
    from rnn_engine import layers

    layer = getattr(layers, cell)(dh.shape[1])
    layer.build(x.shape)
    layer.set_weights(weights)

    def train() -> Any:
        _, saved = layer.forward(x, True)
        return layer.backward(dh, saved)

    return [lambda: layer(x), train, np.asarray(layer(x))]


def keras(cell: str, weights: list[Any], x: np.ndarray, dh: np.ndarray) -> list[Any]:
    """Return the same of Keras in a graph of TensorFlow's."""
    import keras as package
    import tensorflow as tf

    layer = getattr(package.layers, cell)(dh.shape[1])
    layer.build(x.shape)
    layer.set_weights(weights)
    given, slope = tf.constant(x), tf.constant(dh)

    @tf.function
    def forward() -> Any:
        return layer(given)

    @tf.function
    def train() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = tf.reduce_sum(layer(given) * slope)
        return tape.gradient(loss, [given, *[v.value for v in layer.trainable_variables]])

    return [lambda: forward().numpy(), lambda: train()[0].numpy(), forward().numpy()]


def torch(cell: str, weights: list[Any], x: np.ndarray, dh: np.ndarray) -> list[Any]:
    """Return the same of PyTorch."""
    import torch as package

    package.set_num_threads(2)
    units = dh.shape[1]
    layer = getattr(package.nn, cell)(x.shape[2], units, batch_first=True)
    w, r, b = weights
    order = [0, 1, 2, 3] if cell == "LSTM" else [1, 0, 2]  # PyTorch's GRU has r before z

    def moved(array: np.ndarray) -> Any:
        parts = np.split(array, len(order), axis=-1)
        joined = np.concatenate([parts[k] for k in order], axis=-1)
        return package.from_numpy(np.ascontiguousarray(joined.T))

    with package.no_grad():
        layer.weight_ih_l0.copy_(moved(w))
        layer.weight_hh_l0.copy_(moved(r))
        layer.bias_ih_l0.copy_(moved(b if b.ndim == 1 else b[0]))
        layer.bias_hh_l0.copy_(moved(np.zeros_like(b) if b.ndim == 1 else b[1]))
    given, slope = package.from_numpy(x), package.from_numpy(dh)
    watched = package.from_numpy(x.copy()).requires_grad_()

    def forward() -> Any:
        with package.no_grad():
            return layer(given)[0][:, -1].numpy()

    def train() -> Any:
        layer.zero_grad(set_to_none=True)
        watched.grad = None
        (layer(watched)[0][:, -1] * slope).sum().backward()
        return watched.grad

    return [forward, train, forward()]


def median_times(calls: list[Callable[[], Any]]) -> list[float]:
    """Return the median time of each call in microseconds, taken in turns."""
    counts: list[int] = []
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
        begun = time.perf_counter()
        call()
        counts.append(max(1, int(0.03 / max(time.perf_counter() - begun, 1e-7))))
    for _ in range(ROUNDS):
        for found, call, count in zip(times, calls, counts, strict=True):
            begun = time.perf_counter()
            for _ in range(count):
                call()
            found.append((time.perf_counter() - begun) / count * 1e6)
    return [statistics.median(found) for found in times]


def main() -> None:
    """Print a row a cell, size and kind of work."""
    rng = np.random.default_rng(0)
    print("| cell | B × T × F × U | work | rnn_engine µs | Keras ÷ ours | PyTorch ÷ ours |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for cell, gates in (("LSTM", 4), ("GRU", 3)):
        for batch, steps, features, units in SIZES:
            shapes: list[tuple[int, ...]] = [(features, gates * units), (units, gates * units)]
            shapes.append((gates * units,) if cell == "LSTM" else (2, gates * units))
            weights = [
                (rng.standard_normal(s) / np.sqrt(s[0] + units)).astype("f4") for s in shapes
            ]
            x = rng.standard_normal((batch, steps, features)).astype("f4")
            dh = rng.standard_normal((batch, units)).astype("f4")
            sides = [make(cell, weights, x, dh) for make in (engine, keras, torch)]
            for side in sides[1:]:
                np.testing.assert_allclose(side[2], sides[0][2], atol=2e-5)
            for kind, work in enumerate(("forward", "with gradients")):
                ours, *others = median_times([side[kind] for side in sides])
                ratios = " | ".join(f"{other / ours:.2f}×" for other in others)
                size = f"{batch} × {steps} × {features} × {units}"
                print(f"| {cell} | {size} | {work} | {ours:.1f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
