"""Long-running programs do not grow: neither by `fit` nor by `predict`.

`make soak` takes the numbers of calls of the promise, 10,000 and 100,000.
"""

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import rnn_engine

FITS = int(os.environ.get("SOAK_FITS", "400"))
PREDICTS = int(os.environ.get("SOAK_PREDICTS", "3000"))
# Objects that calls may leave behind: a leak is one a call at least. Python's free lists
# go on filling up for a while, by some hundred objects in all.
LEFT, FREE_LISTS = 0.1, 300


@pytest.fixture(scope="module")
def model():
    model = rnn_engine.Sequential(
        [
            rnn_engine.layers.SimpleRNN(5, return_sequences=True, dropout=0.1, input_shape=(4, 2)),
            rnn_engine.layers.SimpleRNN(4),
            rnn_engine.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X = np.random.default_rng(0).normal(size=(6, 4, 2)).astype(np.float32)
Y = np.arange(6) % 3


def resident():
    """Return the memory of this process in bytes, or 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def growth(call, times):
    """Return the Python objects, and the bytes of the process, that calls leave behind."""
    for _ in range(min(times, 1000)):
        call()
    gc.collect()
    blocks, memory = sys.getallocatedblocks(), resident()
    for _ in range(times):
        call()
    gc.collect()
    return sys.getallocatedblocks() - blocks, resident() - memory


CALLS = {
    "fit": (FITS, lambda m: m.fit(X, Y, batch_size=4, epochs=2, validation_split=0.3, verbose=0)),
    "train_on_batch": (PREDICTS, lambda m: m.train_on_batch(X, Y)),
    "evaluate": (FITS, lambda m: m.evaluate(X, Y, verbose=0)),
    "predict": (PREDICTS, lambda m: m.predict(X, verbose=0)),
    "predict_on_batch": (PREDICTS, lambda m: m.predict_on_batch(X)),
    "call": (PREDICTS, lambda m: m(X)),
    "gradients": (FITS, lambda m: m.gradients(X, Y, inputs=True)),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_leave_nothing_behind(model, name):
    times, call = CALLS[name]
    objects, process = growth(lambda: call(model), times)
    if os.environ.get("SOAK_FITS"):
        print(f"\n{name}: {times} calls, {objects:+d} objects, {process / 2**20:+.2f} MiB")
    assert objects < FREE_LISTS + LEFT * times
    # Pages come and go in the allocator; a leak of one small array a call would show.
    assert process < 2**21 + 100 * times


def test_new_models_leave_nothing_behind():
    """A model that is made, trained and dropped is gone, with its kernels' scratch."""

    def life():
        model = rnn_engine.Sequential(
            [rnn_engine.layers.SimpleRNN(3, name="rnn"), rnn_engine.layers.Dense(3, name="dense")],
            name="model",
        )
        model.compile(rnn_engine.optimizers.Adam(name="adam"), "mse")
        model.fit(X, np.eye(3)[Y], verbose=0)

    assert growth(life, FITS)[0] < FREE_LISTS + LEFT * FITS
