"""TimeDistributed around every kind of layer, against Keras."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine.layers import Dense, SimpleRNN, TimeDistributed
from tests import strategies, tolerances
from tests.layers import sides
from tests.layers.sides import OURS, THEIRS

keras_twin = pytest.importorskip("reference.keras_twin")

# Inner layers, and the axes of a step that they take.
INNER: dict[str, tuple[Any, int]] = {
    "dense": (lambda side, dtype: side.Dense(4, activation="tanh", dtype=dtype), 1),
    "softmax": (lambda side, dtype: side.Dense(4, activation="softmax", dtype=dtype), 1),
    "dense on two axes": (lambda side, dtype: side.Dense(4, dtype=dtype), 2),
    "rnn": (lambda side, dtype: side.SimpleRNN(4, return_sequences=True, dtype=dtype), 2),
    "last of rnn": (lambda side, dtype: side.SimpleRNN(4, dtype=dtype), 2),
    "lstm": (lambda side, dtype: side.LSTM(3, return_sequences=True, dtype=dtype), 2),
    "last of gru": (lambda side, dtype: side.GRU(3, reset_after=False, dtype=dtype), 2),
    "both ways": (lambda side, dtype: side.Bidirectional(
        side.SimpleRNN(4, dtype=dtype), dtype=dtype), 2),
    "flatten": (lambda side, dtype: side.Flatten(dtype=dtype), 2),
    "batch normalization": (lambda side, dtype: side.BatchNormalization(dtype=dtype), 1),
    "layer normalization": (lambda side, dtype: side.LayerNormalization(dtype=dtype), 1),
    "nested": (lambda side, dtype: side.TimeDistributed(
        side.Dense(3, dtype=dtype), dtype=dtype), 2),
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A wrapped layer with its data."""

    inner: str
    dtype: str
    batch: int
    steps: int
    with_mask: bool
    time_major: bool
    seed: int

    def make(self, side: Any) -> Any:
        layer = side.TimeDistributed(INNER[self.inner][0](side, self.dtype), dtype=self.dtype)
        layer.build(self.shape)
        return layer

    @property
    def shape(self) -> tuple[int, ...]:
        axes = INNER[self.inner][1]
        return (self.batch, self.steps, *((5,) if axes == 2 else ()), 3)

    def data(self, layer: Any) -> tuple[np.ndarray, list[np.ndarray], Any]:
        rng = np.random.default_rng(self.seed)
        x = rng.normal(size=self.shape).astype(self.dtype)
        if self.time_major:
            x = np.ascontiguousarray(np.swapaxes(x, 0, 1)).swapaxes(0, 1)
        dy = rng.normal(size=layer.compute_output_shape(self.shape)).astype(self.dtype)
        mask = None
        if self.with_mask:
            mask = rng.random(self.shape[: INNER[self.inner][1] + 1]) > 0.4
        return x, [dy], mask


@st.composite
def problems(draw: Any) -> Problem:
    inner = draw(st.sampled_from(list(INNER)))
    # Only these layers look at a mask of their steps.
    looks = inner in ("rnn", "last of rnn", "both ways", "dense")
    return Problem(
        inner,
        draw(strategies.dtypes()),
        # The variance of one row is zero, its gradient noise.
        draw(st.sampled_from((3, 6) if "batch" in inner else (1, 2, 5))),
        draw(st.sampled_from((1, 3, 4))),
        looks and draw(st.booleans()),
        draw(st.booleans()),
        draw(strategies.seeds()),
    )


@settings(max_examples=2 * strategies.keras_examples())
@given(problems(), st.booleans())
def test_agrees_with_keras(problem: Problem, training: bool) -> None:
    ours, theirs = problem.make(OURS), problem.make(THEIRS)
    rng = np.random.default_rng(problem.seed + 1)
    sides.share(ours, theirs, rng)
    if "batch" in problem.inner:  # a moving variance is positive
        weights = [np.abs(w) for w in ours.get_weights()]
        ours.set_weights(weights)
        theirs.set_weights(weights)
    x, dys, mask = problem.data(ours)
    found = sides.our_pass(ours, x, dys, mask=mask, training=training)
    wanted = sides.their_pass(theirs, x, dys, mask=mask, training=training)
    sides.agree(found, wanted, problem.dtype)
    rtol = 1e-5 if problem.dtype == "float32" else 1e-7
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)  # the moving averages
    assert found.outputs[0].shape == ours.compute_output_shape(problem.shape)


@settings(max_examples=10)
@given(problems())
def test_gradients_by_finite_differences(problem: Problem) -> None:
    # The slope of this one in training is not that of inference, which `slopes` takes.
    assume(problem.inner != "batch normalization")
    problem = replace(problem, dtype="float64")
    layer = problem.make(OURS)
    rng = np.random.default_rng(problem.seed)
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    x, dys, mask = problem.data(layer)
    sides.slopes(layer, x, dys, None, mask, problem.seed)


@given(problems())
def test_folding_gives_the_values_of_going_step_by_step(problem: Problem) -> None:
    layer = problem.make(OURS)
    x, _, mask = problem.data(layer)
    whole = layer.forward(x, False, mask)[0]
    for t in range(problem.steps):
        inner_mask = None if mask is None or mask.ndim == 2 else mask[:, t]
        y = layer.layer.forward(np.ascontiguousarray(x[:, t]), False, inner_mask)[0]
        np.testing.assert_array_equal(whole[:, t], y)


def test_embedding_and_weights_paths() -> None:
    rng = np.random.default_rng(0)
    layer = TimeDistributed(rnn_engine.layers.Embedding(7, 3, name="table"), name="wrap")
    x = rng.integers(0, 7, (2, 4, 5))
    assert layer(x).shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(layer(x), layer.get_weights()[0][x])
    assert [v.path for v in layer.weights] == ["wrap/table/embeddings"]
    dense = TimeDistributed(Dense(2, name="inner"), name="outer")
    model = rnn_engine.Sequential([rnn_engine.Input(shape=(3, 4)), dense], name="model")
    paths = ["model/outer/inner/kernel", "model/outer/inner/bias"]
    assert [v.path for v in model.weights] == paths
    dense.trainable = False
    assert not model.trainable_weights


def test_dropout_differs_from_step_to_step() -> None:
    layer = TimeDistributed(rnn_engine.layers.Dropout(0.5))
    y = layer(np.ones((3, 4, 200)), training=True)
    rows = y.reshape(12, 200)
    assert len(np.unique(rows, axis=0)) == 12
    assert 0.42 < (y > 0).mean() < 0.58  # 2400 draws: four deviations are 0.04
    shared = TimeDistributed(rnn_engine.layers.Dropout(0.5, noise_shape=(1, None)))
    y = shared(np.ones((3, 4, 200)), training=True)
    assert (y == y[:1]).all()
    assert not np.array_equal(y[:, 0], y[:, 1])


def test_a_stateful_layer_goes_step_by_step() -> None:
    """Its state goes on from each step to the next, as in Keras."""
    rng = np.random.default_rng(1)
    layers = [
        side.TimeDistributed(side.SimpleRNN(3, stateful=True, dtype="float64"), dtype="float64")
        for side in (OURS, THEIRS)
    ]
    x = rng.normal(size=(2, 4, 5, 3))
    for layer in layers:
        layer.build(x.shape)
    sides.share(*layers, rng)
    ours, theirs = layers
    for _ in range(2):
        np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-10)
    y, saved = ours.forward(x, True)
    assert ours.backward(np.ones_like(y), saved).shape == x.shape
    ours.reset_state()
    assert not np.any(ours.layer.states[0].value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_follows_keras(dtype: str) -> None:
    """A mask runs over the steps to the next layer and to the loss."""
    layers = rnn_engine.layers
    model = rnn_engine.Sequential(
        [
            rnn_engine.Input(shape=(6, 3)),
            layers.Masking(dtype=dtype),
            TimeDistributed(Dense(4, activation="tanh", kernel_regularizer="l2", dtype=dtype),
                            activity_regularizer="l2", dtype=dtype),
            SimpleRNN(5, return_sequences=True, dtype=dtype),
            TimeDistributed(Dense(2, activity_regularizer="l1", dtype=dtype), dtype=dtype),
        ]
    )  # fmt: skip
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(10, 6, 3)), rng.normal(size=(10, 6, 2))
    x[rng.random((10, 6)) < 0.3] = 0
    x, y = x.astype(dtype), y.astype(dtype)
    twin = keras_twin.twin_of(model)
    with keras_twin.floatx(dtype):
        losses = []
        for side in (model, twin):
            side.compile(optimizer="adam", loss="mse")
            fitted = side.fit(x, y, batch_size=4, epochs=4, shuffle=False, verbose=0)
            losses.append(fitted.history["loss"])
        np.testing.assert_allclose(*losses, rtol=10 * tolerances.TRAINING[dtype])
        for v, a, b in zip(model.weights, model.get_weights(), twin.get_weights(), strict=True):
            error = tolerances.relative_error(a, b, dtype)
            assert error <= 10 * tolerances.TRAINING[dtype], v.path


def test_a_model_inside() -> None:
    """A nested Sequential, out of training too, with the penalty on an activity inside."""
    inner = rnn_engine.Sequential([SimpleRNN(3), Dense(2, activity_regularizer="l2")])
    model = rnn_engine.Sequential([TimeDistributed(inner)])
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    y = model.predict(x, verbose=0)
    for t in range(4):
        np.testing.assert_array_equal(y[:, t], inner.predict(x[:, t], verbose=0))
    _, _, saved = model.forward_with_mask(x, True)
    assert model.regularization(saved) > 0
    model.compile(optimizer="sgd", loss="mse")
    found = model.gradients(x, np.zeros_like(y), training=False)
    assert all(np.any(g) for g in found)


def test_config_round_trip() -> None:
    layer = TimeDistributed(Dense(2, activation="relu"), name="outer")
    config = layer.get_config()
    json.dumps(config)
    again = TimeDistributed.from_config(config)
    assert again.get_config() == config
    assert isinstance(again.layer, Dense)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="Please initialize `TimeDistributed`"):
        TimeDistributed("dense")
    with pytest.raises(ValueError, match="at least 3 dimensions"):
        TimeDistributed(Dense(2))(np.ones((2, 3)))
    layer, x = TimeDistributed(Dense(2)), np.ones((2, 3, 4))
    for mask in (np.ones(2, bool), np.ones((3, 2), bool), np.ones((2, 4), bool)):
        with pytest.raises(ValueError, match="The `mask` passed"):
            layer(x, mask=mask)
    inner = TimeDistributed(SimpleRNN(2))
    with pytest.raises(ValueError, match="inner timesteps"):
        inner(np.ones((2, 3, 4, 5)), mask=np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="one output"):
        TimeDistributed(SimpleRNN(2, return_state=True))(np.ones((2, 3, 4, 5)))
