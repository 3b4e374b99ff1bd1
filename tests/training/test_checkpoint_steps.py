"""`compile(checkpoint_steps=...)`: less memory, and the same bits after any training."""

import tracemalloc

import numpy as np
import pytest

import rnn_engine
from rnn_engine import Model, Sequential, layers
from rnn_engine.kernels.checkpoint_steps import checkpoint_steps
from rnn_engine.optimizers import SGD
from tests.kernels.plans import planned
from tests.kernels.recurrent.test_checkpoints import SHORT_CHUNKS
from tests.kernels.test_bits import running_on

CELLS = "SimpleRNN", "LSTM", "GRU"
STEPS = 53


def single(cell, **options):
    return [getattr(layers, cell)(17, **options), layers.Dense(2)]


MODELS = {
    "last": lambda cell: single(cell),
    "sequence": lambda cell: single(cell, return_sequences=True),
    "backwards": lambda cell: single(cell, go_backwards=True, return_sequences=True),
    "dropout": lambda cell: single(cell, dropout=0.3, recurrent_dropout=0.2, seed=1),
    "own activation": lambda cell: single(cell, activation="softmax", recurrent_dropout=0.2),
    "no bias": lambda cell: single(cell, use_bias=False, activation="relu"),
    "masked": lambda cell: [layers.Masking(), *single(cell, return_sequences=True)],
    "zeros for masked": lambda cell: [
        layers.Masking(),
        *single(cell, return_sequences=True, zero_output_for_mask=True, activation="softmax"),
    ],
    "stateful": lambda cell: single(cell, stateful=True),
    "stacked": lambda cell: [
        getattr(layers, cell)(9, return_sequences=True, recurrent_dropout=0.1),
        *single(cell),
    ],
    "bidirectional": lambda cell: [
        layers.Bidirectional(getattr(layers, cell)(9, return_sequences=True)),
        layers.Bidirectional(getattr(layers, cell)(5), merge_mode="sum"),
        layers.Dense(2),
    ],
    "cells": lambda cell: [
        layers.RNN([getattr(layers, f"{cell}Cell")(n, dropout=0.1) for n in (9, 7)]),
        layers.Dense(2),
    ],
}


def trained(make, steps, x, y, sequence, epochs=2):
    """Return all weights, states and losses after two epochs, and the gradients of a batch."""
    rnn_engine.utils.set_random_seed(3)
    model = Sequential([layers.Input(batch_shape=(4, *x.shape[1:])), *make()])
    model.compile(SGD(0.1, clipnorm=1.0), "mse", checkpoint_steps=steps)
    target = y if sequence else y[:, -1]
    history = model.fit(x, target, batch_size=4, epochs=epochs, verbose=0)
    losses = [*history.history["loss"], model.train_on_batch(x[:4], target[:4])]
    gradients = model.gradients(x[:4], target[:4], inputs=True)
    states = [s.numpy() for layer in model.layers for s in getattr(layer, "states", None) or ()]
    return [*model.get_weights(), *states, *map(np.asarray, losses), *gradients, gradients.inputs]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_after_fit(cell, kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, STEPS, 3)).astype(np.float32)
    if "mask" in kind:
        x[1, 20:], x[2], x[5, 30:], x[6, 4:9] = 0, 0, 0, 0
    y = rng.normal(size=(8, STEPS, 2)).astype(np.float32)
    sequence = kind in ("sequence", "backwards", "masked", "zeros for masked")

    def make():
        return MODELS[kind](cell)

    with planned(**SHORT_CHUNKS, GROUP_WORK=0):
        wanted = trained(make, None, x, y, sequence)
        for count, steps in ((1, "auto"), (2, 13)):
            with running_on(count):
                found = trained(make, steps, x, y, sequence)
            assert len(found) == len(wanted)
            for a, b in zip(found, wanted, strict=True):
                assert a.tobytes() == b.tobytes()


def test_initial_states_and_returned_states():
    """An encoder's states begin a decoder: gradients go through both kinds of states."""

    def trained_pair(steps):
        rnn_engine.utils.set_random_seed(4)
        inputs = layers.Input((STEPS, 3)), layers.Input((STEPS, 2))
        _, h, c = layers.LSTM(11, return_state=True)(inputs[0])
        y = layers.LSTM(11, return_sequences=True)(inputs[1], initial_state=[h, c])
        model = Model(list(inputs), layers.Dense(1)(y))
        model.compile("adam", "mse", checkpoint_steps=steps)
        rng = np.random.default_rng(1)
        data = [rng.normal(size=(6, STEPS, n)).astype(np.float32) for n in (3, 2, 1)]
        model.fit(data[:2], data[2], epochs=2, batch_size=3, verbose=0)
        return model.get_weights()

    with planned(**SHORT_CHUNKS, GROUP_WORK=0):
        for a, b in zip(trained_pair(None), trained_pair(10), strict=True):
            assert a.tobytes() == b.tobytes()


def test_in_a_step_of_ones_own():
    """The default `train_step` of a model that overrides `compute_loss` goes through a tape."""
    seen = []

    class Own(Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            seen.append(checkpoint_steps.get())
            return super().compute_loss(x, y, y_pred, sample_weight, training)

    def weights(steps):
        rnn_engine.utils.set_random_seed(5)
        model = Own([layers.Input((STEPS, 3)), layers.GRU(8), layers.Dense(1)])
        model.compile("sgd", "mse", checkpoint_steps=steps)
        rng = np.random.default_rng(2)
        x = rng.normal(size=(4, STEPS, 3)).astype(np.float32)
        model.fit(x, np.ones((4, 1)), epochs=2, verbose=0)
        return model.get_weights()

    with planned(**SHORT_CHUNKS):
        for a, b in zip(weights(None), weights(9), strict=True):
            assert a.tobytes() == b.tobytes()
    assert seen == [None, None, 9, 9]


def peak(steps, cell, make=lambda layer: layer):
    """Return the most memory, in bytes, that a training step takes at once."""
    rnn_engine.utils.set_random_seed(0)
    model = Sequential([layers.Input((None, 1)), make(getattr(layers, cell)(32)), layers.Dense(1)])
    model.compile("sgd", "mse", checkpoint_steps=steps)
    x, y = np.ones((1, 40_001, 1), np.float32), np.ones((1, 1), np.float32)
    model.train_on_batch(x[:, :3000], y)  # what is compiled, and is made once
    tracemalloc.start()
    try:
        model.train_on_batch(x, y)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cell", CELLS)
def test_memory(cell):
    """What is kept grows with √T: of 5 to 31 MB less than 2 are left."""
    everything = 40_001 * 32 * 4 * {"SimpleRNN": 1, "LSTM": 6, "GRU": 5}[cell]
    assert peak(None, cell) > everything
    assert peak("auto", cell) < 2 * 2**20


def test_memory_of_a_cell_of_equations():
    def softmax(layer):
        return layers.LSTM(4, activation="softmax")

    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 900, 1)).astype(np.float32)
    peaks = []
    for steps in (None, "auto"):
        model = Sequential([layers.Input((None, 1)), softmax(None), layers.Dense(1)])
        model.compile("sgd", "mse", checkpoint_steps=steps)
        model.train_on_batch(x[:, :5], np.ones((1, 1)))
        tracemalloc.start()
        model.train_on_batch(x, np.ones((1, 1)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] / 4


def test_a_cell_of_ones_own_goes_each_step_once():
    calls = []

    class Counting(layers.SimpleRNNCell):
        def step(self, x, states, factors):
            calls.append(None)
            return super().step(x, states, factors)

    model = Sequential([layers.Input((20, 1)), layers.RNN(Counting(3, activation="softmax"))])
    model.compile("sgd", "mse", checkpoint_steps=5)
    model.train_on_batch(np.ones((2, 20, 1)), np.ones((2, 3)))
    assert len(calls) == 20


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "checkpoint_steps must be at least 1, got 0"),
        (-3, ValueError, "at least 1, got -3"),
        (2.0, TypeError, "checkpoint_steps must be an int, got the float 2.0"),
        (True, TypeError, "must be an int, got True"),
        ("sqrt", ValueError, "must be 'auto', None or a number of steps, got 'sqrt'"),
        ([4], TypeError, "must be an int"),
    ],
)
def test_wrong_values_change_nothing(value, error, message):
    model = Sequential([layers.Input((9, 1)), layers.SimpleRNN(2)])
    model.compile("sgd", "mse", checkpoint_steps=np.int64(4))
    before = model._compilation
    with pytest.raises(error, match=message):
        model.compile("adam", "mae", checkpoint_steps=value)
    assert model._compilation is before
    assert before.checkpoint_steps == 4
    assert checkpoint_steps.get() is None


def test_files_and_configs_do_not_have_it():
    """Keras's `compile` knows no such argument: it could not read them."""
    model = Sequential([layers.Input((9, 1)), layers.SimpleRNN(2)])
    model.compile("sgd", "mse", checkpoint_steps="auto")
    assert "checkpoint_steps" not in model.get_compile_config()
    model.compile("sgd", "mse")
    assert model._compilation.checkpoint_steps is None


def test_an_error_ends_it():
    model = Sequential([layers.Input((9, 1)), layers.SimpleRNN(2)])
    model.compile("sgd", lambda y, pred: 1 / 0, checkpoint_steps="auto")
    with pytest.raises(ZeroDivisionError):
        model.train_on_batch(np.ones((1, 9, 1)), np.ones((1, 2)))
    assert checkpoint_steps.get() is None
