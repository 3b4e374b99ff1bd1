"""What holds of convolutions beyond agreeing with Keras: bits, threads, long calls, layouts."""

from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.kernels import threads

LARGE: dict[str, tuple[Any, tuple[int, ...]]] = {
    "Conv1D": (lambda: layers.Conv1D(24, 5, padding="same", activation="tanh"), (300, 18)),
    "causal": (lambda: layers.Conv1D(24, 3, padding="causal", dilation_rate=4), (300, 18)),
    "strided": (lambda: layers.Conv1D(40, 4, strides=3), (500, 18)),
    "grouped": (lambda: layers.Conv1D(24, 5, groups=3), (300, 18)),
    "Conv2D": (lambda: layers.Conv2D(20, 3, padding="same"), (24, 31, 9)),
    "Conv1DTranspose": (lambda: layers.Conv1DTranspose(24, 4, strides=3), (200, 18)),
    "SeparableConv1D": (lambda: layers.SeparableConv1D(30, 5), (300, 18)),
    "MaxPooling1D": (lambda: layers.MaxPooling1D(3, 2), (900, 70)),
    "AveragePooling2D": (lambda: layers.AveragePooling2D(3, 1, "same"), (40, 50, 33)),
    "MultiHeadAttention": (lambda: layers.MultiHeadAttention(4, 24), (96, 64)),
}


def run(name: str, tasks: int, batch: int = 6) -> list[np.ndarray]:
    """Return outputs and every gradient of a layer on so many threads."""
    make, shape = LARGE[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, *shape)).astype(np.float32)
    inputs = [x, x[:, ::-1].copy()] if name == "MultiHeadAttention" else x
    layer = make()
    layer.build([a.shape for a in inputs] if isinstance(inputs, list) else x.shape)
    layer.set_weights([rng.normal(0, 0.1, w.shape) for w in layer.get_weights()])
    before = rnn_engine.get_num_threads()
    try:
        rnn_engine.set_num_threads(tasks)
        y, saved = layer.forward(inputs, True)
        dx = layer.backward(rng.normal(size=y.shape).astype(np.float32), saved)
    finally:
        rnn_engine.set_num_threads(before)
    grads = [v.grad.copy() for v in layer.trainable_weights]
    return [np.array(y), *(dx if isinstance(dx, list) else [dx]), *grads]


@pytest.mark.parametrize("name", LARGE)
def test_threads_change_no_bit(name: str) -> None:
    alone = run(name, 1)
    for tasks in (2, 5):
        for a, b in zip(alone, run(name, tasks), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["Conv1D", "Conv2D", "Conv1DTranspose", "MultiHeadAttention"])
def test_short_calls_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(name, 2)
    monkeypatch.setattr(threads, "LONGEST_CALL", 100_000)
    for a, b in zip(whole, run(name, 2), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(a).max())


def test_many_parts_of_the_weight_gradient() -> None:
    """Sums over many samples and places are as exact as float32 lets them be."""
    rng = np.random.default_rng(1)
    x, dy = rng.normal(size=(9, 700, 8)), rng.normal(size=(9, 698, 24))
    layer = layers.Conv1D(24, 3)
    layer.build(x.shape)
    _, saved = layer.forward(x.astype(np.float32), True)
    layer.backward(dy.astype(np.float32), saved)
    for j in range(3):
        expected = np.einsum("btc,btu->cu", x[:, j : j + 698], dy)
        error = np.abs(layer.kernel.grad[j] - expected).max() / np.abs(expected).max()
        assert error < 2e-6
    np.testing.assert_allclose(layer.bias.grad, dy.sum(axis=(0, 1)), rtol=0, atol=1e-3)


def test_a_time_major_sequence_is_taken_as_it_lies() -> None:
    x = np.random.default_rng(2).normal(size=(5, 40, 16)).astype(np.float32)
    lying = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    layer = layers.Conv1D(8, 3, padding="same")
    np.testing.assert_array_equal(layer(lying), layer(x))


def test_backward_adds_to_the_gradients() -> None:
    layer = layers.Conv1D(8, 3)
    layer.build((None, 9, 3))
    x = np.random.default_rng(3).normal(size=(2, 9, 3)).astype(np.float32)
    y, saved = layer.forward(x, True)
    layer.backward(y, saved)
    once = [v.grad.copy() for v in layer.trainable_weights]
    assert layer.backward(y, saved, need_dx=False) is None
    for variable, first in zip(layer.trainable_weights, once, strict=True):
        np.testing.assert_allclose(variable.grad, 2 * first, rtol=1e-5)


@pytest.mark.parametrize("kind", [layers.Conv1D, layers.Conv1DTranspose, layers.SeparableConv1D])
def test_new_weights_are_used_both_ways(kind: Any) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 9, 3)).astype(np.float32)
    used, new = kind(8, 3), kind(8, 3)
    used.build(x.shape)
    y, saved = used.forward(x, True)
    used.backward(y, saved)  # packs the weights for both ways
    new.build(x.shape)
    weights = [rng.normal(size=w.shape) for w in new.get_weights()]
    found = []
    for layer in (used, new):
        layer.set_weights(weights)
        again, saved = layer.forward(x, True)
        found.append((np.array(again), layer.backward(y, saved)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
