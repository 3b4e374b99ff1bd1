"""Layers of different float types in one model: each casts its input, as in Keras."""

import numpy as np
import pytest

import rnn_engine
from rnn_engine import Sequential, layers

keras = pytest.importorskip("keras")

X = np.random.default_rng(0).standard_normal((6, 3, 2)).astype("float32")
WIDE = {"dtype": "float64"}

STACKS = {
    "up": lambda kit: [kit.layers.SimpleRNN(3), kit.layers.Dense(1, **WIDE)],
    "down": lambda kit: [kit.layers.SimpleRNN(3, **WIDE), kit.layers.Dense(1)],
    "in Bidirectional": lambda kit: [
        kit.layers.Dense(2),
        kit.layers.Bidirectional(kit.layers.SimpleRNN(3, return_sequences=True, **WIDE)),
        kit.layers.Bidirectional(kit.layers.SimpleRNN(3, **WIDE), merge_mode="mul"),
        kit.layers.Dense(1),
    ],
    "around Bidirectional": lambda kit: [
        kit.layers.Dense(2),
        kit.layers.Bidirectional(kit.layers.SimpleRNN(3, return_sequences=True), **WIDE),
        kit.layers.SimpleRNN(1),
    ],
    "in TimeDistributed": lambda kit: [
        kit.layers.Dense(2),
        kit.layers.TimeDistributed(kit.layers.Dense(3, **WIDE)),
        kit.layers.SimpleRNN(1),
    ],
    "around TimeDistributed": lambda kit: [
        kit.layers.Dense(2, **WIDE),
        kit.layers.TimeDistributed(kit.layers.Dense(3), **WIDE),
        kit.layers.SimpleRNN(1, **WIDE),
    ],
    "without weights": lambda kit: [
        kit.layers.Dense(3),
        kit.layers.ReLU(**WIDE),
        kit.layers.Flatten(),
        kit.layers.Dense(3, **WIDE),
        kit.layers.Softmax(),
        kit.layers.Dropout(0.0, **WIDE),
        kit.layers.Dense(1),
    ],
    "in a model": lambda kit: [
        kit.layers.Dense(3, **WIDE),
        kit.Sequential([kit.layers.SimpleRNN(3), kit.layers.Dense(2, **WIDE)]),
        kit.layers.Dense(1),
    ],
    "in RNN": lambda kit: [
        kit.layers.Dense(2),
        kit.layers.RNN(kit.layers.SimpleRNNCell(3, **WIDE)),
        kit.layers.Dense(1, **WIDE),
    ],
    "under a mask": lambda kit: [
        kit.layers.Masking(**WIDE),
        kit.layers.SimpleRNN(3),
        kit.layers.LayerNormalization(**WIDE),
        kit.layers.Dense(1),
    ],
}


@pytest.mark.parametrize("name", STACKS)
def test_models_of_both_types(name):
    models = [
        kit.Sequential([kit.Input((3, 2)), *STACKS[name](kit)]) for kit in (rnn_engine, keras)
    ]
    ours, theirs = models
    ours.set_weights(theirs.get_weights())
    results = []
    for model in models:
        model.compile("sgd", "mse")
        before = model.predict(X, verbose=0)
        y = np.ones((len(X), 1), "float32")
        losses = model.fit(X, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append([before, losses, *model.get_weights(), model.evaluate(X, y, verbose=0)])
    for got, wanted in zip(*results, strict=True):
        assert np.asarray(got).dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_the_wide_layer_computes_in_its_own_type():
    model = Sequential([layers.Input((3, 2)), layers.SimpleRNN(3), layers.Dense(1, **WIDE)])
    below, dense = model.layers
    kernel, bias = dense.get_weights()
    wanted = below(X).astype("float64") @ kernel + bias
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-14)


@pytest.mark.parametrize("wrap", [
    lambda kit: kit.Bidirectional(kit.SimpleRNN(3, **WIDE)),
    lambda kit: kit.TimeDistributed(kit.Dense(3, **WIDE)),
])  # fmt: skip
def test_wrappers_take_and_give_back_their_own_type(wrap):
    layer = wrap(layers)
    assert layer(X).dtype == wrap(keras.layers)(X).dtype
    y, saved = layer.forward(X, True)
    assert layer.backward(np.ones_like(y), saved).dtype == np.float32


@pytest.mark.parametrize("make", [
    lambda: layers.Dropout(0.5),
    lambda: layers.Masking(),
    lambda: layers.Flatten(),
    lambda: layers.Reshape((2, 3)),
    lambda: layers.Permute((2, 1)),
    lambda: layers.GaussianNoise(0.1),
    lambda: Sequential([layers.ActivityRegularization()]),
])  # fmt: skip
def test_predictions_share_no_memory_with_the_input(make):
    model = Sequential([layers.Input((3, 2)), make()])
    x = X.copy()
    for predict in (model, model.predict_on_batch, lambda x: model.predict(x, verbose=0)):
        y = predict(x)
        y[...] = 7
        np.testing.assert_array_equal(x, X)
