"""A program that prints a hash of everything the engine computes, for another CPU's code.

Run by `test_bits` in processes that compile for different machines: every line has to
be the same in all of them.
"""

import hashlib
import inspect
import os
import sys
from collections.abc import Iterator

import numpy as np

import rnn_engine
from rnn_engine import config, initializers, layers, losses, optimizers

# (B, T, F, U): ones, odd numbers, and more than one tile and panel of every width.
SHAPES = [(1, 1, 1, 1), (3, 5, 2, 7), (17, 9, 13, 33), (12, 4, 16, 64), (5, 3, 4, 97),
          (1, 40, 3, 129), (1, 40, 3, 270)]  # fmt: skip
CELLS = [
    ("SimpleRNN", {}),
    ("LSTM", {}),
    ("GRU", {"reset_after": True}),
    ("GRU", {"reset_after": False}),
]
ACTIVATIONS = ["tanh", "relu", "sigmoid", "linear"]


def digest(*arrays: object) -> str:
    """Return a hash of the bytes of arrays."""
    found = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        found.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:24]


def normal(seed: int, *shape: int) -> np.ndarray:
    """Return normally distributed numbers of the current float type."""
    return np.random.default_rng(seed).normal(size=shape).astype(config.floatx())


def passes() -> Iterator[tuple[str, str]]:
    """Forward and every gradient, plain, masked and with dropout."""
    for shape in SHAPES:
        batch, steps, features, units = shape
        for activation in ACTIVATIONS:
            rnn_engine.utils.set_random_seed(3)
            layer = layers.SimpleRNN(units, activation, return_sequences=True)
            x = normal(1, batch, steps, features)
            layer.build(x.shape)
            # ReLU and linear states must not run away.
            layer.recurrent_kernel.assign(normal(2, units, units) / (2 * units))
            layer.bias.assign(normal(4, units))
            for mask in (None, np.random.default_rng(6).random((batch, steps)) < 0.7):
                y, saved = layer.forward(x, training=True, mask=mask)
                dx = layer.backward(normal(5, *y.shape), saved)
                gradients = [v.grad for v in layer.trainable_weights]
                yield f"{shape} {activation} {mask is not None}", digest(y, dx, *gradients)
    for kind, own in CELLS:
        options = {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 7, "go_backwards": True}
        layer = getattr(layers, kind)(19, **options, **own)
        y, saved = layer(normal(1, 6, 5, 3)), None
        y, saved = layer.forward(normal(1, 6, 5, 3), training=True)
        dx = layer.backward(normal(5, *y.shape), saved)
        yield f"dropout {kind} {own}", digest(y, dx, *(v.grad for v in layer.trainable_weights))


def gated() -> Iterator[tuple[str, str]]:
    """The cells with gates, forward and every gradient, plain and masked."""
    for shape in SHAPES:
        batch, steps, features, units = shape
        for kind, own in CELLS[1:]:
            rnn_engine.utils.set_random_seed(3)
            layer = getattr(layers, kind)(units, return_sequences=True, **own)
            x = normal(1, batch, steps, features)
            layer.build(x.shape)
            layer.bias.assign(normal(4, *layer.bias.shape))
            for mask in (None, np.random.default_rng(6).random((batch, steps)) < 0.7):
                y, saved = layer.forward(x, training=True, mask=mask)
                dx = layer.backward(normal(5, *y.shape), saved)
                gradients = [v.grad for v in layer.trainable_weights]
                yield f"{shape} {kind} {own} {mask is not None}", digest(y, dx, *gradients)


def called() -> Iterator[tuple[str, str]]:
    """Activations that a library has no steps of their own for."""
    for activation, gate in (("gelu", "softsign"), ("mish", "tanh"), ("elu", "hard_sigmoid")):
        for kind, own in CELLS:
            gates = {} if kind == "SimpleRNN" else {"recurrent_activation": gate}
            rnn_engine.utils.set_random_seed(3)
            layer = getattr(layers, kind)(19, activation, **gates, **own)
            layer.build((6, 5, 3))
            y, saved = layer.forward(normal(1, 6, 5, 3), training=True)
            dx = layer.backward(normal(5, *y.shape), saved)
            gradients = [v.grad for v in layer.trainable_weights]
            yield f"{kind} {own} {activation} {gate}", digest(y, dx, *gradients)


def drawn() -> Iterator[tuple[str, str]]:
    """Every initializer."""
    for entry in initializers.registry.unique():
        if isinstance(entry, type) and entry is not initializers.Initializer:
            seed = {"seed": 11} if "seed" in inspect.signature(entry).parameters else {}
            yield f"initializer {entry.__name__}", digest(entry(**seed)((9, 9)))


def priced() -> Iterator[tuple[str, str]]:
    """Every loss that takes probabilities or labels."""
    rng = np.random.default_rng(8)
    scores = normal(9, 11, 37)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = rng.integers(0, 37, 11)
    for entry in losses.registry.unique():
        if not (isinstance(entry, type) and issubclass(entry, losses.LossFunctionWrapper)):
            continue
        sparse = entry.__name__ in (
            "SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"
        )  # fmt: skip
        target = labels if sparse else np.eye(37, dtype=scores.dtype)[labels]
        for options in ({}, {"from_logits": True}):
            if options and "from_logits" not in inspect.signature(entry).parameters:
                continue
            given = scores if options else probabilities
            if entry is losses.CTC:  # of sequences: one of 11 steps, which says 37 classes
                target, given = np.maximum(labels[None, :4], 1), scores[None]
            value, gradient = entry(**options).value_and_gradient(target, given)
            yield f"{entry.__name__} {options}", digest(np.float64(value), gradient)


def trained() -> Iterator[tuple[str, str]]:
    """Whole `fit` runs: every optimizer, several losses."""
    x, real = normal(1, 21, 6, 5), normal(2, 21, 3)
    labels = np.random.default_rng(3).integers(0, 3, 21)
    cases = [(name, "mse", None, real) for name in all_optimizers()]
    cases += [
        ("adam", "mae", "tanh", real),
        ("adam", "huber", None, real),
        ("adam", "binary_crossentropy", "sigmoid", (real > 0).astype(real.dtype)),
        ("adam", "categorical_crossentropy", "softmax", np.eye(3)[labels]),
        ("adam", "sparse_categorical_crossentropy", "softmax", labels),
    ]
    for name, loss, activation, y in cases:
        rnn_engine.utils.set_random_seed(5)
        model = rnn_engine.Sequential(
            [
                layers.SimpleRNN(20, return_sequences=True, kernel_regularizer="l2"),
                layers.SimpleRNN(9, recurrent_dropout=0.2),
                layers.Dense(3, activation=activation),
            ]
        )
        model.compile(optimizer=name, loss=loss, metrics=["accuracy"])
        history = model.fit(x, y, batch_size=8, epochs=3, verbose=0).history
        numbers = [np.float64(values) for values in history.values()]
        results = [*model.get_weights(), model.predict(x, verbose=0), *numbers]
        yield f"fit {name} {loss}", digest(*results)


def all_optimizers() -> list[str]:
    """Return the names of the optimizers."""
    return sorted(
        entry.__name__.lower()
        for entry in optimizers.registry.unique()
        if isinstance(entry, type) and entry is not optimizers.Optimizer
    )


def main() -> None:
    """Print one line a quantity, for the float types in `GOLDEN_TYPES`, else for both."""
    for floatx in os.environ.get("GOLDEN_TYPES", "float32 float64").split():
        config.set_floatx(floatx)
        for part in (passes, gated, called, drawn, priced, trained):
            for name, value in part():
                sys.stdout.write(f"{floatx} {name}: {value}\n")


if __name__ == "__main__":
    main()
