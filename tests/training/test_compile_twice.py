"""Compiling twice keeps and forgets what Keras keeps and forgets."""

from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

FIRST = {
    "all": {"loss": "mse", "loss_weights": [0.5], "metrics": ["mae"], "weighted_metrics": ["mse"]},
    "a loss": {"loss": "mae"},
    "metrics": {"loss": "mse", "metrics": ["mae", "mse"]},
    "nothing": {},
}
SECOND = {
    "nothing": {},
    "another loss": {"loss": "mae"},
    "other weights": {"loss_weights": [3.0]},
    "other metrics": {"metrics": ["mse"]},
    "no metrics": {"metrics": []},
    "weighted ones": {"weighted_metrics": ["mae"]},
    "all": {"loss": "mae", "loss_weights": [2.0], "metrics": ["mse"], "weighted_metrics": []},
}


def outcome(kit: Any, first: Any, second: Any, trained: bool) -> Any:
    """Return what a model does that was compiled twice, trained in between or not."""
    kit.utils.clear_session()
    model = kit.Sequential([kit.Input((3,)), kit.layers.Dense(2, name="d")])
    model.set_weights([np.arange(6.0).reshape(3, 2) / 6, np.ones(2)])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)).astype("f4"), rng.normal(size=(6, 2)).astype("f4")
    weight = np.linspace(0.5, 2, 6).astype("f4")
    model.compile("sgd", run_eagerly=True, **first)
    if trained:
        model.train_on_batch(x, y, weight)
    before = model.optimizer
    model.compile(kit.optimizers.SGD(0.125), run_eagerly=True, **second)
    assert model.optimizer is not before
    try:
        logs = model.train_on_batch(x, y, weight, return_dict=True)
        again = model.evaluate(x, y, sample_weight=weight, verbose=0)
    except ValueError as error:
        return str(error)[:18], model.loss
    numbers = {name: round(float(value), 4) for name, value in logs.items()}
    again = [round(float(value), 4) for value in np.atleast_1d(again)]
    return numbers, again, model.metrics_names, model.loss


PAIRS = [
    (first, second, trained)
    for first in FIRST
    for second in SECOND
    for trained in (False, True)
    if FIRST[first] or not trained  # without a loss nothing can be trained
]


@pytest.mark.parametrize(("first", "second", "trained"), PAIRS)
def test_every_pair(first: str, second: str, trained: bool) -> None:
    ours, theirs = (
        outcome(kit, FIRST[first], SECOND[second], trained) for kit in (rnn_engine, keras)
    )
    assert ours == theirs


def test_the_config_tells_what_is_in_force() -> None:
    model = rnn_engine.Sequential([rnn_engine.Input((3,)), rnn_engine.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    model.compile("adam")
    config = model.get_compile_config()
    assert config["optimizer"]["class_name"] == "Adam"
    assert (config["loss"], config["metrics"]) == ("mse", ["mae"])
