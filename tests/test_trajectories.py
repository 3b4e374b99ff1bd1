"""Training from the same weights: the loss of every epoch, predictions, all weights."""

from typing import Any

import numpy as np
import pytest

import rnn_engine
from reference import engine
from reference.case import Case, dense, rnn
from reference.cases import CELLS, TUTORIAL, cell_cases, mixed_case
from tests import tolerances

keras_twin = pytest.importorskip("reference.keras_twin")

DTYPES = ("float32", "float64")


def both(case: Case, dtype: str) -> tuple[Any, Any]:
    ours = engine.model_of(case, dtype)
    return ours, keras_twin.twin_of(ours)


def agree(ours: Any, twin: Any, x: np.ndarray, dtype: str) -> None:
    """Compare all weights and the predictions."""
    allowed = tolerances.TRAINING[dtype]
    for variable, a, b in zip(ours.weights, ours.get_weights(), twin.get_weights(), strict=True):
        assert tolerances.relative_error(a, b, dtype) <= allowed, variable.path
    theirs = twin.predict(x, verbose=0)
    error = tolerances.relative_error(ours.predict(x, verbose=0), theirs, dtype)
    assert error <= tolerances.PREDICTIONS[dtype]


# The tutorial's models, one of each gated cell, and one of all.
GATED = [
    next(cell_cases(name, 600 + 10 * number))
    for number, name in enumerate(CELLS)
    if name != "SimpleRNN"
]
MODELS = [
    *((case, name) for case in TUTORIAL for name in ("adam", "sgd", "rmsprop")),
    *((case, name) for case, name in zip(GATED, ("adam", "sgd", "rmsprop"), strict=True)),
    (mixed_case(), "sgd"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("case", "optimizer"), MODELS, ids=[f"{case.name}, {name}" for case, name in MODELS]
)
def test_whole_models(case: Case, optimizer: str, dtype: str) -> None:
    """Three epochs of fit, then fifty steps of train_on_batch."""
    x, y = case.data(dtype)
    with keras_twin.floatx(dtype):
        sides = both(case, dtype)
        losses = []
        for model in sides:
            model.compile(optimizer=optimizer, loss="mse")
            losses.append(model.fit(x, y, epochs=3, verbose=0).history["loss"])
        assert len(losses[0]) == 3
        assert tolerances.relative_error(*losses, dtype) <= tolerances.TRAINING[dtype]
        agree(*sides, x, dtype)
        steps = [[float(np.ravel(m.train_on_batch(x, y))[0]) for _ in range(50)] for m in sides]
        assert tolerances.relative_error(*steps, dtype) <= tolerances.TRAINING[dtype]
        agree(*sides, x, dtype)
    assert steps[0][-1] < losses[0][0]


def test_the_seeds_program() -> None:
    """The first program of the readme, on both sides, from the same weights."""
    x = np.array([[[1], [2], [3], [4]], [[4], [3], [2], [1]]], dtype=np.float32)
    y = np.array([[10], [20]], dtype=np.float32)
    layers = rnn_engine.layers
    # Weights that saturate no unit: the slope of a saturated one, 1 - h², has few digits left
    # in float32, on either side, and Adam makes a step of whatever size of it.
    rnn_engine.utils.set_random_seed(7)
    model = rnn_engine.Sequential([layers.SimpleRNN(5, input_shape=(4, 1)), layers.Dense(1)])
    twin = keras_twin.twin_of(model)
    histories = []
    for side in (model, twin):
        side.compile(optimizer="adam", loss="mse")
        histories.append(side.fit(x, y, epochs=3, verbose=0).history["loss"])
    assert tolerances.relative_error(*histories, "float32") <= tolerances.TRAINING["float32"]
    agree(model, twin, x, "float32")
    assert model.predict(x, verbose=0).shape == (2, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("batch_size", "split", "cell"),
    [
        (None, 0.0, "SimpleRNN"), (4, 0.0, "SimpleRNN"), (3, 0.3, "SimpleRNN"),
        (1, 0.25, "SimpleRNN"), (3, 0.3, "LSTM"), (4, 0.0, "GRU"), (1, 0.25, "GRU before"),
    ],
)  # fmt: skip
def test_batches_of_fit(batch_size: int | None, split: float, cell: str, dtype: str) -> None:
    """A short last batch and a split-off tail, in the order given."""
    case = Case("batches", [CELLS[cell](6), dense(2)], (10, 5, 3), seed=60)
    x, y = case.data(dtype)
    with keras_twin.floatx(dtype):
        sides = both(case, dtype)
        histories = []
        for model in sides:
            model.compile(optimizer="adam", loss="mse", metrics=["mae"])
            histories.append(
                model.fit(
                    x, y, batch_size, epochs=4, verbose=0, shuffle=False, validation_split=split
                ).history
            )
        assert histories[0].keys() == histories[1].keys()
        for key, theirs in histories[1].items():
            error = tolerances.relative_error(histories[0][key], theirs, dtype)
            assert error <= tolerances.TRAINING[dtype], key
        agree(*sides, x, dtype)
        for a, b in zip(*(np.ravel(m.evaluate(x, y, 4, verbose=0)) for m in sides), strict=True):
            assert a == pytest.approx(b, rel=10 * tolerances.TRAINING[dtype])


def test_shuffled_batches_follow_the_order_of_the_samples() -> None:
    """The order that a shuffled epoch took, replayed through Keras batch by batch."""
    case = Case("shuffled", [rnn(6), dense(2)], (11, 5, 3), seed=61)
    x, y = case.data("float32")
    ours, twin = both(case, "float32")
    seen: list[np.ndarray] = []
    compute = ours.forward_with_mask

    def watch(batch: np.ndarray, *rest: Any, **named: Any) -> Any:
        seen.append(np.array(batch))
        return compute(batch, *rest, **named)

    ours.forward_with_mask = watch
    ours.compile(optimizer="adam", loss="mse")
    ours.fit(x, y, batch_size=4, epochs=2, shuffle=True, verbose=0)
    assert [len(batch) for batch in seen] == [4, 4, 3] * 2
    order = [int(np.flatnonzero((x == row).all((1, 2)))[0]) for batch in seen for row in batch]
    assert sorted(order[:11]) == sorted(order[11:]) == list(range(11))
    assert order[:11] != list(range(11)) or order[11:] != list(range(11))
    twin.compile(optimizer="adam", loss="mse")
    for epoch in (order[:11], order[11:]):
        for start in (0, 4, 8):
            rows = epoch[start : start + 4]
            twin.train_on_batch(x[rows], y[rows])
    for a, b in zip(ours.get_weights(), twin.get_weights(), strict=True):
        assert tolerances.relative_error(a, b, "float32") <= tolerances.TRAINING["float32"]
