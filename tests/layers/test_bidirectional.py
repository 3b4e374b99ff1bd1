"""Bidirectional, every option crossed, against Keras."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine.layers import GRU, LSTM, RNN, Bidirectional, Dense, SimpleRNN, SimpleRNNCell
from tests import strategies, tolerances
from tests.layers import sides
from tests.layers.sides import OURS, THEIRS

keras_twin = pytest.importorskip("reference.keras_twin")

# Recurrent layers, and of which kind the way back is where it is one of its own.
KINDS = {"SimpleRNN": "SimpleRNN", "LSTM": "GRU", "GRU": "LSTM"}
MERGE_MODES = ("concat", "sum", "mul", "ave", None)


@dataclass(frozen=True)
class Problem:
    """A Bidirectional layer with its data."""

    dtype: str
    inner: str
    options: dict[str, Any]
    merge_mode: str | None
    own_way_back: bool
    sizes: tuple[int, int, int]
    mask: str | None
    with_state: bool
    seed: int

    def inner_layer(self, side: Any, **more: Any) -> Any:
        options = {**self.options, **more, "dtype": self.dtype}
        if self.inner in KINDS:
            return getattr(side, more.get("kind", self.inner))(
                4, **{key: value for key, value in options.items() if key != "kind"}
            )
        cells = [side.SimpleRNNCell(n, dtype=self.dtype) for n in (5, 4)]
        return side.RNN(side.StackedRNNCells(cells, dtype=self.dtype), **options)

    def make(self, side: Any) -> Any:
        back = None
        if self.own_way_back:
            if self.inner in KINDS:
                back = self.inner_layer(
                    side, kind=KINDS[self.inner], activation="sigmoid", go_backwards=True
                )
            else:
                back = self.inner_layer(side, go_backwards=True)
        layer = side.Bidirectional(
            self.inner_layer(side), self.merge_mode, backward_layer=back, dtype=self.dtype
        )
        layer.build(self.sizes)
        return layer

    def data(self, layer: Any) -> tuple[Any, Any, Any, Any]:
        """Return x, gradients by the outputs, initial states and mask."""
        rng = np.random.default_rng(self.seed)
        batch, steps, _ = self.sizes
        x = rng.normal(size=self.sizes).astype(self.dtype)
        shapes = [(batch, n) for inner in layer.sublayers for n in inner.state_sizes]
        states = [rng.normal(size=s).astype(self.dtype) for s in shapes]
        units = 8 if self.merge_mode == "concat" else 4
        outputs = [(batch, steps, units) if layer.return_sequences else (batch, units)]
        if self.merge_mode is None:
            outputs *= 2
        if layer.return_state:
            outputs += shapes
        dys = [rng.normal(size=s).astype(self.dtype) for s in outputs]
        mask = strategies.a_mask(rng, self.mask, batch, steps)
        # Keras hands each direction half of the states, also where one has more of them.
        halves = len(shapes) == 2 * len(layer.forward_layer.state_sizes)
        return x, dys, states if self.with_state and halves else None, mask


@st.composite
def problems(draw: Any) -> Problem:
    flags = ("return_sequences", "return_state", "zero_output_for_mask")
    return Problem(
        dtype=draw(strategies.dtypes()),
        inner=draw(st.sampled_from([*KINDS, "RNN"])),
        options={flag: draw(st.booleans()) for flag in flags},
        merge_mode=draw(st.sampled_from(MERGE_MODES)),
        own_way_back=draw(st.booleans()),
        sizes=(
            draw(st.sampled_from((1, 2, 5))),
            draw(st.sampled_from((1, 3, 6))),
            draw(st.sampled_from((1, 3, 7))),
        ),
        mask=draw(st.sampled_from(strategies.MASKS)),
        with_state=draw(st.booleans()),
        seed=draw(strategies.seeds()),
    )


@settings(max_examples=2 * strategies.keras_examples())
@given(problems())
def test_agrees_with_keras(problem: Problem) -> None:
    ours, theirs = problem.make(OURS), problem.make(THEIRS)
    sides.share(ours, theirs, np.random.default_rng(problem.seed + 1))
    x, dys, states, mask = problem.data(ours)
    found = sides.our_pass(ours, x, dys, states, mask)
    sides.agree(found, sides.their_pass(theirs, x, dys, states, mask), problem.dtype)
    shape = ours.compute_output_shape(problem.sizes)
    wanted = found.form if isinstance(found.form, list) else [found.form]
    assert [tuple(s) for s in (shape if isinstance(found.form, list) else [shape])] == wanted
    named = {} if states is None else {"initial_state": states}
    if problem.inner in KINDS:
        assert sides.form(ours(x, mask=mask, **named)) == sides.form(theirs(x, mask=mask, **named))


@settings(max_examples=10)
@given(problems())
def test_gradients_by_finite_differences(problem: Problem) -> None:
    problem = replace(problem, dtype="float64")
    layer = problem.make(OURS)
    rng = np.random.default_rng(problem.seed)
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    x, dys, states, mask = problem.data(layer)
    sides.slopes(layer, x, dys, states, mask, problem.seed)


def test_directions_of_other_kinds_and_units() -> None:
    """Their states and outputs are each direction's own."""
    back = GRU(2, go_backwards=True, return_sequences=True, return_state=True)
    layer = Bidirectional(LSTM(3, return_sequences=True, return_state=True), backward_layer=back)
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    states = [np.full((2, n), 0.5, "float32") for n in (3, 3, 2)]
    y, *last = layer(x, initial_state=states)
    there = layer.forward_layer(x, initial_state=states[:2])
    again = layer.backward_layer(x, initial_state=states[2:])
    np.testing.assert_array_equal(y, np.concatenate([there[0], again[0][:, ::-1]], axis=2))
    for a, b in zip(last, [*there[1:], *again[1:]], strict=True):
        np.testing.assert_array_equal(a, b)
    assert layer.compute_output_shape((2, 4, 5)) == ((2, 4, 5), (2, 3), (2, 3), (2, 2))


@pytest.mark.parametrize("merge_mode", MERGE_MODES)
def test_gradients_of_another_shape_are_refused(merge_mode: str | None) -> None:
    layer = Bidirectional(LSTM(3, return_state=True), merge_mode)
    layer.build((None, 5, 2))
    y, saved = layer.forward(np.ones((4, 5, 2), "float32"), True)
    for position in range(len(y)):
        dys = [np.ones_like(part) for part in y]
        dys[position] = dys[position][:1]
        with pytest.raises(ValueError, match="must have"):
            layer.backward(tuple(dys), saved)


def test_the_layer_given_stays_as_it_is() -> None:
    layer = SimpleRNN(3, return_sequences=True, name="inner")
    both = Bidirectional(layer)
    both(np.ones((1, 2, 4)))
    assert not layer.built
    assert both.forward_layer.name == "forward_inner"
    assert both.backward_layer.name == "backward_inner"
    assert both.forward_layer.zero_output_for_mask
    assert not layer.zero_output_for_mask
    back = SimpleRNN(3, return_sequences=True, go_backwards=True, name="mine")
    assert Bidirectional(layer, backward_layer=back).backward_layer is back


def test_weights_are_called_as_in_keras() -> None:
    for inner in (*KINDS, "RNN"):
        problem = Problem("float32", inner, {}, "sum", False, (2, 3, 4), None, False, 0)
        ours, theirs = problem.make(OURS), problem.make(THEIRS)

        def kinds(layer: Any) -> list[Any]:
            paths = [v.path.split("/") for v in layer.weights]
            named = [
                ["".join(c for c in part if not c.isdigit()).rstrip("_") for part in p]
                for p in paths
            ]
            return list(zip(named, [tuple(v.shape) for v in layer.weights], strict=True))

        assert kinds(ours) == kinds(theirs)


def test_initial_weights() -> None:
    """Keras 3 takes the argument and forgets it; here it is used."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s).astype("float32") for s in [(2, 3), (3, 3), (3,)] * 2]
    layer = Bidirectional(SimpleRNN(3), weights=weights)
    layer.build((None, 4, 2))
    for a, b in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("merge_mode", "kind"), [("concat", "LSTM"), ("mul", "SimpleRNN")])
def test_stateful(merge_mode: str, kind: str) -> None:
    options = {"stateful": True, "return_sequences": True}
    problem = Problem("float64", kind, options, merge_mode, False, (3, 4, 2), None, False, 1)
    ours, theirs = problem.make(OURS), problem.make(THEIRS)
    rng = np.random.default_rng(2)
    sides.share(ours, theirs, rng)
    assert [s.shape for s in ours.states] == [s.shape for s in theirs.states]
    for batch in range(4):
        if batch == 3:
            ours.reset_state()
            theirs.reset_state()
        x, mask = rng.normal(size=(3, 4, 2)), strategies.a_mask(rng, "holes", 3, 4)
        np.testing.assert_allclose(ours(x, mask=mask), theirs(x, mask=mask), rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="batch size"):
        ours(x[:1])
    with pytest.raises(AttributeError, match="must be stateful"):
        Bidirectional(SimpleRNN(2)).reset_state()
    rnn_engine.Sequential([Bidirectional(SimpleRNN(2))]).reset_states()


@pytest.mark.parametrize(
    ("dtype", "kind"), [("float32", LSTM), ("float32", SimpleRNN), ("float64", SimpleRNN)]
)
def test_training_follows_keras(dtype: str, kind: Any) -> None:
    """Masked, two deep, with a penalty on activities and on weights."""
    layers = rnn_engine.layers
    model = rnn_engine.Sequential(
        [
            rnn_engine.Input(shape=(6, 3)),
            layers.Masking(dtype=dtype),
            Bidirectional(
                kind(5, return_sequences=True, kernel_regularizer="l2", dtype=dtype),
                activity_regularizer="l2",
                dtype=dtype,
            ),
            Bidirectional(kind(3, dtype=dtype), merge_mode="mul", dtype=dtype),
            Dense(2, dtype=dtype),
        ]
    )
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(10, 6, 3)), rng.normal(size=(10, 2))
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


def test_penalties_of_the_inner_layers_count() -> None:
    model = rnn_engine.Sequential([Bidirectional(RNN(SimpleRNNCell(3), activity_regularizer="l2"))])
    x = np.random.default_rng(4).normal(size=(5, 4, 2)).astype("float32")
    _, _, saved = model.forward_with_mask(x, True)
    halves = np.split(np.asarray(model.predict(x, verbose=0)), 2, axis=1)
    wanted = sum(0.01 * np.sum(half**2) / 5 for half in halves)
    assert model.regularization(saved) == pytest.approx(wanted, rel=1e-5)
    theirs = sides.keras.layers.Bidirectional(
        sides.keras.layers.RNN(sides.keras.layers.SimpleRNNCell(3), activity_regularizer="l2")
    )
    theirs.build(x.shape)
    theirs.set_weights(model.get_weights())
    theirs(x)
    assert float(sum(theirs.losses)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("merge_mode", MERGE_MODES)
def test_config_round_trip(merge_mode: str | None) -> None:
    options = {"return_state": True, "return_sequences": True}
    problem = Problem("float64", "RNN", options, merge_mode, True, (2, 3, 4), None, False, 0)
    layer = problem.make(OURS)
    config = layer.get_config()
    json.dumps(config)
    again = Bidirectional.from_config(config)
    assert again.get_config() == config
    again.build((2, 3, 4))
    again.set_weights(layer.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    for a, b in zip(sides.flat(layer(x)), sides.flat(again(x)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_users_cell_goes_both_ways() -> None:
    layer = Bidirectional(RNN(sides.TwoStates((3, 2)), return_sequences=True))
    assert layer(np.ones((2, 4, 3))).shape == (2, 4, 4)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="Please initialize `Bidirectional`"):
        Bidirectional(3)
    with pytest.raises(TypeError, match="recurrent"):
        Bidirectional(Dense(2))
    with pytest.raises(ValueError, match="Invalid merge mode"):
        Bidirectional(SimpleRNN(2), merge_mode="max")
    with pytest.raises(ValueError, match="different `go_backwards`"):
        Bidirectional(SimpleRNN(2), backward_layer=SimpleRNN(2))
    back = SimpleRNN(2, go_backwards=True, return_sequences=True)
    with pytest.raises(ValueError, match='same value for attribute "return_sequences"'):
        Bidirectional(SimpleRNN(2), backward_layer=back)
    for mode in ("sum", "mul", "ave"):
        with pytest.raises(ValueError, match=r"same units. Received: 2 .* 3 of backward layer"):
            Bidirectional(SimpleRNN(2), mode, backward_layer=LSTM(3, go_backwards=True))
    x = np.ones((1, 2, 3))
    with pytest.raises(ValueError, match="list of 3 states, 2 of the forward layer"):
        Bidirectional(LSTM(2), backward_layer=GRU(2, go_backwards=True))(
            x, initial_state=[np.ones((1, 2))] * 4
        )
    with pytest.raises(ValueError, match="initial_state"):
        Bidirectional(SimpleRNN(2))(x, initial_state=[np.ones((1, 2))])
    with pytest.raises(ValueError, match="batch size must be static"):
        Bidirectional(SimpleRNN(2, stateful=True)).build((None, 2, 3))
