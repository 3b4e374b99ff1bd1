"""Times of a model on this machine."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import rnn_engine


def measure(
    model: Any, *, batch: int, steps: int, units: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """Yield the times of a model, or of one of each cell if it is None.

    Returns
    -------
    dicts
        ``model``, ``shape``, and seconds: ``predict_one``, ``predict_batch``, ``train_batch``; the
        last is None where the model is not compiled.
    """
    if model is not None:
        yield _times(model, model.name, batch, steps, seconds)
        return
    layers = rnn_engine.layers
    for cell in (layers.SimpleRNN, layers.LSTM, layers.GRU):
        model = rnn_engine.Sequential([layers.Input((steps, 8)), cell(units), layers.Dense(1)])
        model.compile("adam", "mse")
        yield _times(model, cell.__name__, batch, steps, seconds)


def _times(model: Any, name: str, batch: int, steps: int, seconds: float) -> dict[str, Any]:
    shapes = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
    rng = np.random.default_rng(0)

    def data(samples: int) -> Any:
        made = [
            rng.normal(size=(samples, *(n or steps for n in s[1:]))).astype("float32")
            for s in shapes
        ]
        return made if len(made) > 1 else made[0]

    one, many = data(1), data(batch)
    found = {
        "model": name,
        "shape": [batch, *(n or steps for n in shapes[0][1:])],
        "predict_one": best(lambda: model.predict_on_batch(one), seconds),
        "predict_batch": best(lambda: model.predict_on_batch(many), seconds),
        "train_batch": None,
    }
    if model.optimizer is not None and model.loss is not None:
        y = model.predict_on_batch(many)
        weights, state = model.get_weights(), [v.value.copy() for v in model.optimizer.variables]
        found["train_batch"] = best(lambda: model.train_on_batch(many, y), seconds)
        model.set_weights(weights)
        for variable, value in zip(model.optimizer.variables, state, strict=False):
            variable.assign(value)
    return found


def best(call: Callable[[], Any], seconds: float) -> float:
    """Return the shortest time of a call within some seconds, after one that may compile."""
    call()
    shortest, end = np.inf, time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        call()
        shortest = min(shortest, time.perf_counter() - begin)
    return float(shortest)
