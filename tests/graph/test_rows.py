"""A graph that is a row of layers gives what the chain of the same layers gives, to the bit."""

from typing import Any

import numpy as np
import pytest

from rnn_engine import Model, Sequential, layers

RNG = np.random.default_rng(4)
REALS = RNG.normal(size=(6, 5, 3)).astype("f4")
REALS[0, 3:] = REALS[1, 2:] = 0
WORDS = RNG.integers(0, 7, (6, 5))

ROWS: dict[str, Any] = {
    "masked": (REALS, lambda: [
        layers.Input((5, 3)), layers.Masking(), layers.SimpleRNN(4, return_sequences=True),
        layers.LSTM(3), layers.Dense(2),
    ]),
    "words": (WORDS, lambda: [
        layers.Input((5,), dtype="int64"), layers.Embedding(7, 4, mask_zero=True), layers.GRU(3),
        layers.Dense(2, "sigmoid"),
    ]),
    "types": (REALS, lambda: [
        layers.Input((5, 3)), layers.Dense(4, "tanh"), layers.LSTM(3, dtype="float64"),
        layers.Dense(2),
    ]),
    "penalties": (REALS, lambda: [
        layers.Input((5, 3)), layers.Dense(4, activity_regularizer="l2"), layers.GRU(3),
        layers.Dense(2, activity_regularizer="l1"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_the_chain(name: str) -> None:
    x, make = ROWS[name]
    chain = Sequential(make())
    row = Model(chain.inputs, chain.outputs)
    assert row.layout.row
    y = (RNG.random((6, 2)) > 0.5).astype("f4")
    loss = "binary_crossentropy" if name == "words" else "mse"
    found = []
    for model in (chain, row):
        model.compile("sgd", loss)
        gradients = model.gradients(x, y, inputs=name != "words")
        last = [] if name == "words" else [gradients.inputs]
        outputs = [model.predict(x, verbose=0), np.asarray(model(x))]
        found.append([np.float64(gradients.loss), *gradients, *last, *outputs])
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
