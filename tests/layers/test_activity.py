"""Penalties on activities: their part in the loss, their gradient, and Keras."""

from typing import Any

import numpy as np
import pytest

from rnn_engine import Sequential, config, layers, regularizers
from rnn_engine.layers import ActivityRegularization, Dense, Embedding, Masking, SimpleRNN
from tests import tolerances

MODELS: dict[str, Any] = {
    "last layer": lambda: [SimpleRNN(3), Dense(2, activity_regularizer="l2")],
    "recurrent, every step": lambda: [
        SimpleRNN(3, return_sequences=True, activity_regularizer=regularizers.L1L2(0.02, 0.03)),
        SimpleRNN(2, activity_regularizer="l1"),
    ],
    "layer of its own": lambda: [
        ActivityRegularization(0.1, 0.2), SimpleRNN(3), ActivityRegularization(l2=0.05), Dense(2),
    ],
    "nested": lambda: [
        SimpleRNN(3),
        Sequential([Dense(3, activity_regularizer="l2"), ActivityRegularization(0.1)]),
        Dense(2, kernel_regularizer="l2"),
    ],
    "masked": lambda: [
        Masking(activity_regularizer="l2"), SimpleRNN(3, activity_regularizer="l2"), Dense(2),
    ],
    "softmax from logits": lambda: [
        SimpleRNN(3, activity_regularizer="l2"), Dense(2, "softmax"),
    ],
    "penalized softmax": lambda: [SimpleRNN(3), Dense(2, "softmax", activity_regularizer="l2")],
    "normalized": lambda: [
        layers.LayerNormalization(activity_regularizer="l1"),
        layers.BatchNormalization(activity_regularizer="l2"),
        layers.GlobalAveragePooling1D(activity_regularizer="l2"),
        Dense(2),
    ],
}  # fmt: skip


def make(name: str, dtype: str = "float64") -> tuple[Sequential, np.ndarray, np.ndarray, str]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(6, 5, 4)).astype(dtype)
    x[2, 3:] = 0
    y = rng.normal(size=(6, 2)).astype(dtype)
    loss = "mse"
    if "softmax" in name:
        y, loss = np.abs(y) / np.abs(y).sum(axis=1, keepdims=True), "categorical_crossentropy"
    before = config.floatx()
    config.set_floatx(dtype)
    try:
        model = Sequential(MODELS[name]())
    finally:
        config.set_floatx(before)
    model.build(x.shape)
    for v in model.trainable_variables:
        v.assign(rng.normal(size=v.shape) * 0.5 + 0.2)
    model.compile("sgd", loss)
    return model, x, y, loss


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_the_reported_loss(name: str) -> None:
    model, x, y, _ = make(name)
    grads = model.gradients(x, y, inputs=True)
    d = tolerances.DIFFERENCE_STEP
    arrays = [v.value for v in model.trainable_variables]
    pairs = [*zip(arrays, grads.arrays, strict=True), (x, grads.inputs)]
    rng = np.random.default_rng(0)
    for array, grad in pairs:
        for _ in range(3):
            index = tuple(int(rng.integers(size)) for size in array.shape)
            kept, values = array[index], []
            if name == "masked" and array is x and kept == 0:
                continue
            for step in (d, -d):
                array[index] = kept + step
                for v in model.trainable_variables:
                    v.touch()
                values.append(model.gradients(x, y).loss)
            array[index] = kept
            for v in model.trainable_variables:
                v.touch()
            slope = (values[0] - values[1]) / (2 * d)
            assert slope == pytest.approx(grad[index], abs=20 * tolerances.FINITE_DIFFERENCE)


@pytest.mark.parametrize("name", MODELS)
def test_training_agrees_with_keras(name: str) -> None:
    keras_twin = pytest.importorskip("reference.keras_twin")
    model, x, y, loss = make(name, "float32")
    twin = keras_twin.twin_of(model)
    twin.compile("sgd", loss)
    for _ in range(4):
        mine, theirs = model.train_on_batch(x, y), twin.train_on_batch(x, y)
        assert mine == pytest.approx(float(theirs), rel=2e-6)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(
        twin.evaluate(x, y, verbose=0), rel=2e-6
    )
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert tolerances.relative_error(a, b, "float32") <= tolerances.TRAINING["float32"]


def test_the_penalty_is_per_sample() -> None:
    x = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    layer = Dense(2, activity_regularizer=regularizers.L2(0.5))
    layer.build(x.shape)
    y, mask, saved = layer.forward_with_mask(x)
    assert mask is None
    assert layer.penalties(saved) == pytest.approx(0.5 * np.sum(np.square(y)) / 4, rel=1e-6)
    dx = layer.backward_with_penalty(np.zeros_like(y), saved)
    np.testing.assert_allclose(dx, (2 * 0.5 * y / 4) @ layer.kernel.value.T, rtol=1e-5)


def test_layers_without_a_penalty_save_what_they_saved() -> None:
    x = np.ones((2, 3), np.float32)
    layer = Dense(2)
    layer.build(x.shape)
    _, _, saved = layer.forward_with_mask(x, True)
    assert type(saved) is type(layer.forward(x, True)[1])
    assert layer.penalties(saved) == 0


def test_a_penalty_behind_indices() -> None:
    keras_twin = pytest.importorskip("reference.keras_twin")
    x = np.random.default_rng(2).integers(0, 6, (5, 4))
    y = np.ones((5, 1), np.float32)
    model = Sequential([Embedding(6, 3, activity_regularizer="l2"), SimpleRNN(2), Dense(1)])
    model.build(x.shape)
    twin = keras_twin.twin_of(model)
    for one in (model, twin):
        one.compile("adam", "mse")
    for _ in range(3):
        assert model.train_on_batch(x, y) == pytest.approx(float(twin.train_on_batch(x, y)))


def test_both_outputs_of_a_layer_are_penalized() -> None:
    x = np.random.default_rng(3).normal(size=(2, 4, 3))
    layer = SimpleRNN(2, return_sequences=True, return_state=True, activity_regularizer="l2",
                      dtype="float64")  # fmt: skip
    layer.build(x.shape)
    (y, state), _, saved = layer.forward_with_mask(x, True)
    expected = 0.01 * (np.sum(y**2) + np.sum(state**2)) / 2
    assert layer.penalties(saved) == pytest.approx(expected)
    dx = layer.backward_with_penalty((np.zeros_like(y), None), saved)
    d, moved = 1e-6, x.copy()
    moved[1, 2, 0] += d
    change = layer.penalties(layer.forward_with_mask(moved, True)[2]) - layer.penalties(saved)
    assert change / d == pytest.approx(dx[1, 2, 0], rel=1e-4)
