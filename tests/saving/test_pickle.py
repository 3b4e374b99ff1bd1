"""Copies of models that have been used: `copy.deepcopy`, and pickles that another process reads."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers

ROOT = Path(__file__).resolve().parent.parent.parent
READ = """
import pickle, sys
import numpy as np
model = pickle.loads(sys.stdin.buffer.read())
x = np.linspace(-1, 1, 2 * 40 * 3, dtype=np.float32).reshape(2, 40, 3)
print(model.predict(x, verbose=0).tobytes().hex(), model.predict(x[:1], verbose=0).tobytes().hex())
"""


def used(*middle):
    """Return a model that has trained and predicted, a batch and a single row."""
    rnn_engine.utils.set_random_seed(1)
    model = rnn_engine.Sequential([*middle, layers.Dense(2, "sigmoid")])
    model.compile("adam", "mse")
    x = np.linspace(-1, 1, 2 * 40 * 3, dtype=np.float32).reshape(2, 40, 3)
    model.fit(x, np.ones((2, 2), np.float32), verbose=0)
    return model, x, [model.predict(x, verbose=0), model.predict(x[:1], verbose=0)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.SimpleRNN(8),
        lambda: layers.SimpleRNN(256, "gelu"),
        lambda: layers.Bidirectional(layers.SimpleRNN(3)),
        lambda: layers.RNN(layers.SimpleRNNCell(4, "relu")),
        lambda: layers.Bidirectional(layers.LSTM(3, recurrent_dropout=0.2)),
        lambda: layers.GRU(3, "softmax"),
    ],
    ids=["small", "large", "bidirectional", "cell", "lstm", "gru by steps"],
)
def test_copies_of_a_used_model(make):
    model, x, answers = used(make())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for row, wanted in zip((x, x[:1]), answers, strict=True):
            np.testing.assert_array_equal(other.predict(row, verbose=0), wanted)
        other.fit(x, np.ones((2, 2), np.float32), verbose=0)
        np.testing.assert_array_equal(model.predict(x, verbose=0), answers[0])


@pytest.mark.parametrize("units", [8, 256])
def test_a_pickled_model_in_another_process(units):
    """Nobody has wanted its activations there before."""
    model, _, answers = used(layers.SimpleRNN(units, "softplus"))
    done = subprocess.run(
        [sys.executable, "-c", READ], input=pickle.dumps(model), capture_output=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == [answer.tobytes().hex() for answer in answers]


def test_a_pickle_holds_nothing_of_the_data_that_a_layer_has_seen():
    """Arrays for work between are no part of a layer: they are as large as a batch."""
    for layer in (
        layers.Attention(), layers.MultiHeadAttention(1, 8), layers.Dense(8),
        layers.EinsumDense("abc,cd->abd", (None, 8)), layers.Conv1D(8, 2), layers.LSTM(8),
    ):  # fmt: skip
        model = rnn_engine.Sequential([layer])
        sizes = []
        for batch in (1, 64):
            x = np.ones((batch, 40, 16), "f4")
            if isinstance(layer, layers.Attention):
                layer([x, x])
            elif isinstance(layer, layers.MultiHeadAttention):
                layer(x, x)
            else:
                model.compile("sgd", "mse")
                model.predict(x, batch_size=64, verbose=0)
            sizes.append(len(pickle.dumps(layer)))
        assert sizes[1] < sizes[0] + 2000, type(layer).__name__
        assert len(pickle.dumps(copy.deepcopy(layer))) < sizes[0] + 2000
