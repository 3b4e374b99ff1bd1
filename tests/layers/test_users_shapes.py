"""Classes of the library with a `call` and a `compute_output_shape` of a user's, against Keras."""

from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

X = np.random.default_rng(0).normal(size=(4, 3, 4)).astype("float32")


def made(package: Any, name: str, arguments: Any) -> Any:
    """Return an instance of a class whose output is half of its parent's last axis."""
    parent = getattr(package.layers, name)

    class Half(parent):  # type: ignore[misc, valid-type]  # of one of two packages
        def call(self, inputs: Any) -> Any:
            y = super().call(inputs)
            return y[..., : y.shape[-1] // 2] * 2

        def compute_output_shape(self, input_shape: Any) -> Any:
            shape = super().compute_output_shape(input_shape)
            return (*shape[:-1], shape[-1] // 2)

    return Half(*arguments)


CASES = {
    "Reshape": ((6, 2),), "Permute": ((2, 1),), "Flatten": (), "UpSampling1D": (2,),
    "ZeroPadding1D": (1,), "Cropping1D": (1,), "Conv1D": (4, 2), "DepthwiseConv1D": (2,),
    "SeparableConv1D": (4, 2), "MaxPooling1D": (2,), "Dense": (4,), "LayerNormalization": (),
    "BatchNormalization": (), "GroupNormalization": (2,), "Conv1DTranspose": (4, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_parent_computes_by_its_own_shape(name: str) -> None:
    results = []
    weights = None
    for package in (keras, rnn_engine):
        inputs = package.Input(X.shape[1:])
        layer = made(package, name, CASES[name])
        y = layer(inputs)
        outputs = package.layers.Dense(1)(package.layers.Flatten()(y))
        model = package.Model(inputs, outputs)
        if weights is not None:
            model.set_weights(weights)
        weights = model.get_weights()
        model.compile("sgd", "mse")
        history = model.fit(X, np.ones((4, 1)), epochs=2, verbose=0, shuffle=False).history
        results.append((np.asarray(layer(X)), y.shape, history["loss"]))
    np.testing.assert_allclose(results[1][0], results[0][0], atol=1e-5)
    assert results[1][1] == results[0][1]
    np.testing.assert_allclose(results[1][2], results[0][2], rtol=1e-4)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "Bidirectional", "RNN"])
def test_symbolic_states_beside_an_array(kind: str) -> None:
    """The array is a constant of the graph, as in Keras."""
    found = []
    weights = None
    for package in (keras, rnn_engine):
        layers = package.layers
        layer = {
            "LSTM": lambda layers=layers: layers.LSTM(3),
            "GRU": lambda layers=layers: layers.GRU(3),
            "Bidirectional": lambda layers=layers: layers.Bidirectional(layers.GRU(3)),
            "RNN": lambda layers=layers: layers.RNN(layers.LSTMCell(3)),
        }[kind]()
        states = [package.Input((3,)) for _ in range(1 if kind == "GRU" else 2)]
        model = package.Model(states, layer(X, initial_state=states))
        if weights is not None:
            model.set_weights(weights)
        weights = model.get_weights()
        given = [np.full((4, 3), 0.5 * (i + 1), "float32") for i in range(len(states))]
        found.append(model.predict(given if len(given) > 1 else given[0], verbose=0))
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
