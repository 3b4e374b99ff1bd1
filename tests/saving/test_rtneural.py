"""Models for RTNeural: its reader, written here from its C++ sources, gets the same outputs."""

import json

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.saving import to_rtneural, to_torch


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": sigmoid,
    "softmax": lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
}


class Runner:
    """What RTNeural::json_parser makes of a file: layers that take one step at a time."""

    def __init__(self, content):
        assert content["in_shape"][-1] > 0
        self.size = content["in_shape"][-1]
        self.steps = []
        for entry in content["layers"]:
            out = entry["shape"][-1]
            weights = [np.array(w) for w in entry["weights"]]
            step = getattr(self, entry["type"].replace("-", "_"))(entry, weights, self.size, out)
            self.steps.append(step)
            self.size = out

    def __call__(self, x):
        outputs = []
        for row in np.asarray(x, float):
            for step in self.steps:
                row = step(row)
            outputs.append(row)
        return np.stack(outputs)

    def activated(self, entry, step):
        act = ACTIVATIONS[entry["activation"]] if entry["activation"] else (lambda z: z)
        return lambda x: act(step(x))

    def activation(self, entry, weights, size, out):
        assert weights == []
        assert size == out
        return ACTIVATIONS[entry["activation"]]

    def dense(self, entry, weights, size, out):
        kernel, bias = weights
        assert kernel.shape == (size, out)
        assert bias.shape == (out,)
        return self.activated(entry, lambda x: x @ kernel + bias)

    time_distributed_dense = dense

    def conv1d(self, entry, weights, size, out):
        kernel, bias = weights
        width, gap = entry["kernel_size"][-1], entry["dilation"][-1]
        assert kernel.shape == (width, size, out)
        past = np.zeros(((width - 1) * gap + 1, size))

        def step(x):
            past[:-1] = past[1:].copy()
            past[-1] = x
            return sum(past[i * gap] @ kernel[i] for i in range(width)) + bias

        return self.activated(entry, step)

    def gru(self, entry, weights, size, out):
        W, U, b = weights
        assert W.shape == (size, 3 * out)
        assert U.shape == (out, 3 * out)
        assert b.shape == (2, 3 * out)
        h = np.zeros(out)

        def step(x):
            zx, rx, cx = np.split(x @ W + b[0], 3)
            zh, rh, ch = np.split(h @ U + b[1], 3)
            z, r = sigmoid(zx + zh), sigmoid(rx + rh)
            h[:] = (1 - z) * np.tanh(cx + r * ch) + z * h
            return h.copy()

        return step

    def lstm(self, entry, weights, size, out):
        W, U, b = weights
        assert W.shape == (size, 4 * out)
        assert b.shape == (4 * out,)
        h, c = np.zeros(out), np.zeros(out)

        def step(x):
            i, f, g, o = np.split(x @ W + h @ U + b, 4)
            c[:] = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h[:] = sigmoid(o) * np.tanh(c)
            return h.copy()

        return step

    def prelu(self, entry, weights, size, out):
        slopes = weights[0][0]
        assert slopes.shape == (size,)
        return lambda x: np.where(x > 0, x, slopes * x)

    def batchnorm(self, entry, weights, size, out):
        assert {w.shape for w in weights} == {(size,)}
        gamma, beta = weights[:2] if len(weights) == 4 else (1, 0)
        mean, variance = weights[-2:]
        return lambda x: gamma * (x - mean) / np.sqrt(variance + entry["epsilon"]) + beta


MODELS = {
    "gru": lambda: [layers.GRU(5, return_sequences=True), layers.Dense(2, "sigmoid")],
    "lstm": lambda: [
        layers.Dense(3, "tanh"), layers.Dropout(0.5), layers.LSTM(4, return_sequences=True),
        layers.TimeDistributed(layers.Dense(2, "elu")),
    ],
    "without bias": lambda: [
        layers.GRU(3, use_bias=False, return_sequences=True),
        layers.LSTM(2, use_bias=False, return_sequences=True), layers.Dense(2, use_bias=False),
    ],
    "convolutions": lambda: [
        layers.Conv1D(4, 3, dilation_rate=2, padding="causal", activation="relu"),
        layers.BatchNormalization(epsilon=0.01), layers.PReLU(shared_axes=[1]),
        layers.Conv1D(3, 1, use_bias=False), layers.BatchNormalization(scale=False),
        layers.BatchNormalization(scale=False, center=False), layers.PReLU(shared_axes=[1, 2]),
    ],
    "activations": lambda: [
        layers.Dense(3), layers.Activation("tanh"), layers.ReLU(), layers.Dense(3), layers.ELU(),
        layers.Dense(3), layers.Softmax(), rnn_engine.Sequential([layers.Dense(2, "softmax")]),
    ],
}  # fmt: skip


def made(inner, shape=(7, 2)):
    model = rnn_engine.Sequential([layers.Input(shape), *inner])
    rng = np.random.default_rng(3)
    values = [rng.uniform(0.1, 0.9, w.shape) - 0.4 * (w.ndim > 1) for w in model.get_weights()]
    model.set_weights(values)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_the_reader_gets_the_same(name, tmp_path):
    model = made(MODELS[name]())
    to_rtneural(model, tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    assert content["in_shape"] == [None, 7, 2]
    x = np.random.default_rng(4).normal(size=(7, 2)).astype(np.float32)
    wanted = np.asarray(model(x[None]))[0]
    np.testing.assert_allclose(Runner(content)(x), wanted, rtol=1e-5, atol=1e-6)


def test_the_last_step_is_that_of_a_model_without_sequences(tmp_path):
    model = made([layers.GRU(3, return_sequences=True), layers.LSTM(2), layers.Dense(1)])
    to_rtneural(model, tmp_path / "m.json")
    x = np.random.default_rng(4).normal(size=(7, 2)).astype(np.float32)
    got = Runner(json.loads((tmp_path / "m.json").read_text()))(x)[-1]
    np.testing.assert_allclose(got, np.asarray(model(x[None]))[0], rtol=1e-5, atol=1e-6)


REFUSED = {
    "SimpleRNN": ([layers.SimpleRNN(2)], "has none that does the same. Known: Activation"),
    "both ways": ([layers.Bidirectional(layers.GRU(2))], "none that does the same"),
    "GRU before": ([layers.GRU(2, reset_after=False)], "reset_after=False"),
    "gates": ([layers.LSTM(2, recurrent_activation="hard_sigmoid")], "it has tanh and sigmoid"),
    "backwards": ([layers.GRU(2, go_backwards=True)], "go_backwards=True"),
    "activation": ([layers.Dense(2, "gelu")], "'gelu' is none of its own"),
    "padding": ([layers.Conv1D(2, 3)], "padding='valid'"),
    "strides": ([layers.Conv1D(2, 3, strides=2, padding="causal")], r"strides=\(2,\)"),
    "groups": ([layers.Conv1D(2, 3, groups=2, padding="causal")], "groups=2"),
    "axis": ([layers.BatchNormalization(axis=1)], "axis 1"),
    "slopes": ([layers.PReLU()], r"slopes of shape \(7, 2\)"),
    "relu": ([layers.ReLU(6)], "max_value"),
    "elu": ([layers.ELU(0.5)], "alpha=0.5"),
    "mask": ([layers.Masking(), layers.GRU(2)], "Masking"),
    "nothing": ([layers.Dropout(0.5)], "no layer"),
    "softmax": ([layers.Softmax(axis=1)], "axis=1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_does_not_have(name, tmp_path):
    (tmp_path / "m.json").write_text("old")
    inner, text = REFUSED[name]
    with pytest.raises(ValueError, match=text):
        to_rtneural(rnn_engine.Sequential([layers.Input((7, 2)), *inner]), tmp_path / "m.json")
    assert (tmp_path / "m.json").read_text() == "old"


def test_weights_that_are_not_finite_and_models_that_are_not_built(tmp_path):
    model = made([layers.Dense(2)])
    model.set_weights([np.full((2, 2), np.nan), np.zeros(2)])
    with pytest.raises(ValueError, match="not all finite"):
        to_rtneural(model, tmp_path / "m.json")
    with pytest.raises(ValueError, match="has been built"):
        to_rtneural(rnn_engine.Sequential([layers.Dense(2)]), tmp_path / "m.json")
    with pytest.raises(FileNotFoundError):
        to_rtneural(made([layers.Dense(2)]), tmp_path / "nowhere" / "m.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [to_rtneural, to_torch])
def test_ops_between_layers(write, tmp_path):
    x = layers.Input((None, 2))
    model = rnn_engine.Model(x, layers.Dense(2)(rnn_engine.ops.multiply(layers.GRU(2)(x), 2.0)))
    with pytest.raises(ValueError, match="computes with the op 'multiply'"):
        write(model, tmp_path / "m.json") if write is to_rtneural else write(model, True)
    assert not list(tmp_path.iterdir())
