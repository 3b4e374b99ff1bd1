"""Models that are compiled without a loss train on what their layers give to `add_loss`."""

from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

X = np.random.default_rng(0).normal(size=(8, 4, 3)).astype("float32")


def autoencoder(package: Any, outputs: int) -> Any:
    """Return a model whose last layer compares its two inputs."""

    class Compared(package.layers.Layer):  # type: ignore[misc]  # of one of two packages
        def call(self, inputs: Any) -> Any:
            first, second = inputs
            self.add_loss(package.ops.mean(package.ops.square(first - second)))
            return second

    inputs = package.Input((4, 3))
    h = package.layers.GRU(5, return_sequences=True)(inputs)
    h = package.layers.Dense(3, kernel_regularizer="l2")(h)
    y = Compared(name="compared")([inputs, h])
    return package.Model(inputs, [y, h] if outputs == 2 else y)


@pytest.mark.parametrize("outputs", [1, 2])
def test_add_loss_is_all_there_is(outputs: int) -> None:
    found = []
    weights = None
    for package in (keras, rnn_engine):
        model = autoencoder(package, outputs)
        if weights is not None:
            model.set_weights(weights)
        weights = model.get_weights()
        model.compile(package.optimizers.Adam(0.01))
        losses = model.fit(X, epochs=3, batch_size=4, shuffle=False, verbose=0).history["loss"]
        losses.append(float(np.asarray(model.evaluate(X, verbose=0))))
        losses.append(float(np.asarray(model.train_on_batch(X[:4]))))
        found.append((losses, model.get_weights()))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-4)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(b, a, atol=1e-3)


def test_nothing_to_make_small_is_an_error() -> None:
    for package in (keras, rnn_engine):
        model = package.Sequential([package.Input((4, 3)), package.layers.GRU(2)])
        model.compile("sgd")
        with pytest.raises(ValueError, match="No loss to compute. Provide a `loss` argument in"):
            model.fit(X, np.zeros((8, 2)), verbose=0)
