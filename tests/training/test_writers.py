"""Predictions while another thread writes weights: each is of one whole set."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnn_engine import Model, Sequential, layers

RNG = np.random.default_rng(3)


def model_and_sets() -> tuple[Any, list[list[np.ndarray]]]:
    model = Sequential(
        [
            layers.SimpleRNN(24, return_sequences=True, input_shape=(6, 8)),
            layers.LayerNormalization(),
            layers.TimeDistributed(layers.Dense(40, "relu")),
            layers.SimpleRNN(32),
            layers.Dense(300, "tanh"),
            layers.Dense(4),
        ]
    )
    shapes = [weight.shape for weight in model.get_weights()]
    return model, [[0.2 * RNG.normal(size=s).astype("f4") for s in shapes] for _ in range(2)]


@pytest.mark.parametrize(
    "predict",
    [
        lambda model, x: model.predict(x, verbose=0),
        lambda model, x: model.predict(x, batch_size=5, verbose=0),
        lambda model, x: model.predict_on_batch(x),
        lambda model, x: model(x),
    ],
    ids=["predict", "several batches", "predict_on_batch", "call"],
)
@pytest.mark.parametrize("graph", [False, True])
def test_an_output_is_of_one_set_of_weights(predict: Callable[..., Any], graph: bool) -> None:
    model, sets = model_and_sets()
    if graph:
        model = Model(model.inputs, model.outputs)
    x = RNG.normal(size=(20, 6, 8)).astype("f4")
    wanted = []
    for weights in sets:
        model.set_weights(weights)
        wanted.append(predict(model, x))
    enough = threading.Event()

    def write() -> None:
        turn = 0
        while not enough.is_set():
            model.set_weights(sets[turn % 2])
            turn += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        outputs = [predict(model, x) for _ in range(150)]
    finally:
        enough.set()
        writer.join()
    strange = [y for y in outputs if not any(np.array_equal(y, one) for one in wanted)]
    assert not strange


def test_a_callback_of_predict_may_write() -> None:
    model, sets = model_and_sets()
    x = RNG.normal(size=(4, 6, 8)).astype("f4")
    model.set_weights(sets[1])
    second = model.predict(x[2:], verbose=0)
    model.set_weights(sets[0])
    first = model.predict(x[:2], verbose=0)
    from rnn_engine.callbacks import LambdaCallback

    class Swap(LambdaCallback):
        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            model.set_weights(sets[1])

    y = model.predict(x, batch_size=2, verbose=0, callbacks=[Swap()])
    np.testing.assert_array_equal(y, np.concatenate([first, second]))
