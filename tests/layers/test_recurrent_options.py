"""Recurrent layers: states from batch to batch, dropout under masks, penalties, constraints."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine import activations, constraints, regularizers
from rnn_engine.layers import GRU, LSTM, RNN, Dense, SimpleRNN, SimpleRNNCell
from rnn_engine.layers import dropout_cell as module
from tests import strategies, tolerances
from tests.layers import sides
from tests.layers.sides import OURS, THEIRS

keras_twin = pytest.importorskip("reference.keras_twin")

ELEMENTWISE = sorted(
    name for name, entry in activations.registry.entries.items() if entry.code is not None
)
# What does not grow: a gate without bounds makes towers of products.
GATES = ("sigmoid", "hard_sigmoid", "tanh", "sparse_sigmoid", "softsign")
# Keras computes these with constants of float32 also in float64.
COARSE = {"gelu", "selu", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu"}


@dataclass(frozen=True)
class Problem:
    """A recurrent layer with dropout, mask and state."""

    cell: str
    dtype: str
    activation: str
    options: dict[str, Any]
    rates: tuple[float, float]
    sizes: tuple[int, int, int, int]
    mask: str | None
    with_state: bool
    seed: int


@st.composite
def problems(draw: Any) -> Problem:
    flags = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask", "use_bias")
    axes = (strategies.BATCHES, (1, 3, 6), strategies.FEATURES, (1, 4, 7, 17))
    rates = st.sampled_from((0.0, 0.3, 0.5))
    cell, own = draw(st.sampled_from(strategies.ALL_CELLS))
    options = {flag: draw(st.booleans()) for flag in flags} | own
    if cell != "SimpleRNN":
        options |= {"recurrent_activation": draw(st.sampled_from(GATES)), "use_cudnn": False}
        options["implementation"] = draw(st.sampled_from((1, 2)))
    return Problem(
        cell,
        draw(strategies.dtypes()),
        draw(st.sampled_from(ELEMENTWISE)),
        options,
        (draw(rates), draw(rates)),
        tuple(draw(st.sampled_from(axis)) for axis in axes),  # type: ignore[arg-type]
        draw(st.sampled_from(strategies.MASKS)),
        draw(st.booleans()),
        draw(strategies.seeds()),
    )


@settings(max_examples=2 * strategies.keras_examples())
@given(problems())
def test_dropout_masks_and_states_agree_with_keras(problem: Problem) -> None:
    """Every activation; with the dropout masks that the engine drew."""
    b, t, f, u = problem.sizes
    if problem.activation == "exponential":
        t = 1  # a tower of powers, in which one rounding decides between 0 and infinity
    options = {**problem.options, "activation": problem.activation, "dtype": problem.dtype}
    options["seed"] = problem.seed
    rates = dict(zip(("dropout", "recurrent_dropout"), problem.rates, strict=True))
    ours, theirs = (getattr(side, problem.cell)(u, **options, **rates) for side in (OURS, THEIRS))
    for layer in (ours, theirs):
        layer.build((b, t, f))
    rng = np.random.default_rng(problem.seed)
    sides.share(ours, theirs, rng)
    x = rng.normal(size=(b, t, f)).astype(problem.dtype)
    count = len(ours.state_sizes)
    starts = [rng.normal(size=(b, u)).astype(problem.dtype) for _ in range(count)]
    states = starts if problem.with_state else None
    mask = strategies.a_mask(rng, problem.mask, b, t)
    shapes = [(b, t, u) if problem.options["return_sequences"] else (b, u)]
    if problem.options["return_state"]:
        shapes += [(b, u)] * count
    dys = [rng.normal(size=s).astype(problem.dtype) for s in shapes]
    drawn: list[np.ndarray] = []
    draw = module.dropout_mask

    def watch(*args: Any) -> np.ndarray:
        drawn.append(draw(*args))
        return drawn[-1]

    module.dropout_mask = watch
    try:
        found = sides.our_pass(ours, x, dys, states, mask)
    finally:
        module.dropout_mask = draw
    per_gate = ours.cell.implementation == 1 and problem.cell != "SimpleRNN"
    masks = ours.cell.gates if per_gate else 1
    assert len(drawn) == masks * sum(rate > 0 for rate in problem.rates)
    fixed: list[Any] = [None, None]
    for i, (rate, n) in enumerate(zip(problem.rates, (f, u), strict=True)):
        if rate:
            factors = np.stack([drawn.pop(0) for _ in range(masks)])
            assert factors.shape == (masks, b, n)
            wanted = {0.0, float(factors.dtype.type(1 / (1 - rate)))}
            assert set(np.unique(factors).tolist()) <= wanted
            fixed[i] = factors if per_gate else factors[0]
    keras_twin.fix_dropout(theirs, *fixed)
    coarse = bool({problem.activation, options.get("recurrent_activation")} & COARSE)
    dtype = "float32" if coarse else problem.dtype
    if coarse:
        found = sides.Pass(*(
            [np.float32(a) for a in part] if isinstance(part, list) else part
            for part in vars(found).values()
        ))  # fmt: skip
    expected = sides.their_pass(theirs, x, dys, states, mask)
    if problem.activation == "exponential":
        parts = (*expected.outputs, *expected.parameters, *expected.inputs, *expected.states)
        # Beyond the largest float32 stands NaN where one side multiplies infinity by zero.
        assume(all(np.isfinite(part).all() for part in parts))
    sides.agree(found, expected, dtype)


def test_gates_have_masks_of_their_own() -> None:
    """With inputs of one and an eye as weights, each gate shows its own factors."""
    for kind, gates in (("LSTM", 4), ("GRU", 3)):
        layer = getattr(rnn_engine.layers, kind)(
            200, dropout=0.5, recurrent_dropout=0.5, seed=3, return_sequences=True
        )
        layer.build((None, 3, 200))
        found = layer.cell.draw_factors(4)
        for factors in (found.x, found.h):
            assert factors.shape == (gates, 4, 200)
            assert 0.4 < (factors > 0).mean() < 0.6
            rows = factors.reshape(-1, 200) > 0
            assert np.abs(np.corrcoef(rows)[~np.eye(len(rows), dtype=bool)]).max() < 0.4
        x = np.ones((4, 3, 200), "float32")
        eye = np.concatenate([np.eye(200, dtype="float32")] * gates, axis=1)
        weights = [eye, eye, np.zeros_like(layer.get_weights()[2])]
        layer.set_weights(weights)
        y = layer(x, training=True)
        # Candidate and each gate are dropped or not, in all combinations.
        assert len(np.unique(y[:, 1].round(4))) >= 2 ** (gates - 1)
        assert not np.array_equal(y, layer(x, training=True))
        np.testing.assert_array_equal(layer(x), layer(x))


def test_shares_of_dropout() -> None:
    """Of many draws; independent between rows, between batches, and of both masks."""
    layer = SimpleRNN(500, activation="linear", dropout=0.2, recurrent_dropout=0.6, seed=3)
    layer.build((None, 2, 500))
    eye, zeros = np.eye(500), np.zeros((500, 500))
    x = np.ones((4, 2, 500), "float32")
    layer.set_weights([eye, zeros, np.zeros(500)])
    first = layer(x, training=True)
    assert 0.76 < (first > 0).mean() < 0.84  # 2000 draws: four deviations are 0.036
    layer.set_weights([zeros, eye, np.zeros(500)])
    state = np.ones((4, 500), "float32")
    second = layer(x[:, :1], initial_state=state, training=True)
    assert 0.35 < (second > 0).mean() < 0.45
    np.testing.assert_allclose(np.unique(second), [0, 2.5])
    both = np.concatenate([first, second]) > 0
    correlation = np.corrcoef(both)[~np.eye(8, dtype=bool)]
    assert np.abs(correlation).max() < 0.25  # 500 draws: five deviations are 0.22
    again = SimpleRNN.from_config(layer.get_config())
    again.build((None, 2, 500))
    again.set_weights([eye, zeros, np.zeros(500)])
    np.testing.assert_array_equal(again(x, training=True), first)
    assert not np.array_equal(again(x, training=True), first)


def test_dropout_of_everything() -> None:
    layer = SimpleRNN(3, dropout=1.0, recurrent_dropout=1.0, bias_initializer="ones")
    y = layer(np.ones((2, 4, 5)), training=True)
    np.testing.assert_allclose(y, np.tanh(1.0), rtol=1e-6)


# --- states from batch to batch --------------------------------------------------


def stateful_pair(dtype: str, deep: bool, kind: Any = SimpleRNN) -> tuple[Any, Any]:
    """Return a model and its twin, from the same weights and zero states."""
    layers = [rnn_engine.Input(batch_shape=(3, 4, 2))]
    if deep:
        layers.append(kind(5, stateful=True, return_sequences=True, dtype=dtype))
        layers.append(kind(4, stateful=True, go_backwards=True, dtype=dtype))
    else:
        layers.append(kind(4, stateful=True, dtype=dtype))
    model = rnn_engine.Sequential([*layers, Dense(2, dtype=dtype)])
    return model, keras_twin.twin_of(model)


def states_of(model: Any) -> list[np.ndarray]:
    return [
        state.numpy()
        for layer in model.layers
        if getattr(layer, "stateful", False)
        for state in sides.flat(list(layer.states))
    ]


@pytest.mark.parametrize(
    ("dtype", "deep", "kind"),
    [
        ("float32", False, SimpleRNN),
        ("float64", True, SimpleRNN),
        ("float32", True, LSTM),
        ("float64", False, LSTM),
        ("float64", True, GRU),
    ],
)
def test_states_through_fit_evaluate_and_predict(dtype: str, deep: bool, kind: Any) -> None:
    """The state runs on from each to the next, until it is reset."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(9, 4, 2)).astype(dtype)
    y = rng.normal(size=(9, 2)).astype(dtype)
    allowed = 10 * tolerances.TRAINING[dtype]
    with keras_twin.floatx(dtype):
        found = []
        for model in stateful_pair(dtype, deep, kind):
            model.compile(optimizer="sgd", loss="mse")
            fitted = model.fit(x, y, batch_size=3, epochs=3, shuffle=False, verbose=0)
            seen = [fitted.history["loss"], *states_of(model)]
            seen.append(model.evaluate(x, y, batch_size=3, verbose=0))
            carried = model.predict(x, batch_size=3, verbose=0)
            seen += [carried, *states_of(model)]
            seen.append(np.asarray(model.train_on_batch(x[:3], y[:3])).ravel()[0])
            for layer in model.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_state()
            assert not any(np.any(state) for state in states_of(model))
            fresh = model.predict(x, batch_size=3, verbose=0)
            assert not np.allclose(carried, fresh)
            found.append([*seen, fresh, *model.get_weights()])
    for i, (a, b) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(a, b, rtol=allowed, atol=allowed, err_msg=str(i))


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "train_on_batch", "call"])
def test_another_batch_size_is_refused(call: str) -> None:
    model, _ = stateful_pair("float32", False)
    model.compile(optimizer="sgd", loss="mse")
    x, y = np.ones((4, 4, 2), "float32"), np.zeros((4, 2), "float32")
    model.predict(x[:3], batch_size=3, verbose=0)
    before = [*model.get_weights(), *states_of(model)]
    runs = {
        "fit": lambda: model.fit(x, y, batch_size=4, verbose=0),
        "evaluate": lambda: model.evaluate(x, y, verbose=0),
        "predict": lambda: model.predict(x, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(x, y),
        "call": lambda: model(x),
    }
    with pytest.raises(ValueError, match=r"(?s)Expected batch size: 3.*Received batch size: 4"):
        runs[call]()
    for a, b in zip(before, [*model.get_weights(), *states_of(model)], strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_first_data_fix_the_batch_size() -> None:
    """Of a model that knew no shape; with an Input without batch size it cannot be built."""
    x, y = np.ones((6, 4, 2), "float32"), np.zeros((6, 3), "float32")
    for make in (
        lambda: SimpleRNN(3, stateful=True),
        lambda: RNN(SimpleRNNCell(3), stateful=True),
        lambda: LSTM(3, stateful=True),
        lambda: GRU(3, stateful=True),
    ):
        model = rnn_engine.Sequential([make()])
        model.compile(optimizer="sgd", loss="mse")
        model.fit(x, y, batch_size=2, verbose=0)
        assert states_of(model)[0].shape == (2, 3)
        model = rnn_engine.Sequential([make()])
        assert model(x).shape == (6, 3)
        assert states_of(model)[0].shape == (6, 3)
        with pytest.raises(ValueError, match="batch size must be static"):
            rnn_engine.Sequential([rnn_engine.Input(shape=(4, 2)), make()])
    model = rnn_engine.Sequential([SimpleRNN(3)])
    model(x)
    assert model.input_shape == (None, 4, 2)


@pytest.mark.parametrize("mask", [None, "right", "left", "holes", "empty rows"])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_a_state_under_a_mask_agrees_with_keras(mask: str | None, kind: str) -> None:
    rng = np.random.default_rng(4)
    options = {"stateful": True, "return_sequences": True, "return_state": True}
    ours, theirs = (getattr(side, kind)(5, **options, dtype="float64") for side in (OURS, THEIRS))
    for layer in (ours, theirs):
        layer.build((3, 6, 2))
    sides.share(ours, theirs, rng)
    for batch in range(4):
        x = rng.normal(size=(3, 6, 2))
        given = strategies.a_mask(rng, mask, 3, 6)
        starts = [rng.normal(size=(3, 5)) for _ in ours.states]
        named = {"initial_state": starts} if batch == 2 else {}
        found, wanted = ours(x, mask=given, **named), theirs(x, mask=given, **named)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
        for state, value in zip(ours.states, found[1:], strict=True):
            np.testing.assert_array_equal(state.value, value)


# --- penalties and constraints -----------------------------------------------------

PENALTIES = [None, "l1", "l2", "l1_l2", "orthogonal_regularizer"]
LIMITS = [None, "non_neg", "unit_norm", "max_norm", "min_max_norm"]


@settings(max_examples=max(1, strategies.keras_examples() // 2))
@given(
    st.tuples(*[st.sampled_from(PENALTIES)] * 2, st.sampled_from(PENALTIES[:4])),
    st.tuples(*[st.sampled_from(LIMITS)] * 3),
    st.sampled_from(["sgd", "adam"]),
    st.sampled_from(strategies.ALL_CELLS),
    strategies.seeds(),
)
def test_penalties_and_constraints_follow_keras(
    penalties: Any, limits: Any, optimizer: str, cell: Any, seed: int
) -> None:
    """On all three weights, through a training run; the loss has the penalties in it."""
    names = ("kernel", "recurrent", "bias")
    options = {f"{n}_regularizer": p for n, p in zip(names, penalties, strict=True)}
    options |= {f"{n}_constraint": c for n, c in zip(names, limits, strict=True)}
    dtype = "float32"  # the only one that Keras's orthogonal penalty takes
    model = rnn_engine.Sequential(
        [rnn_engine.Input(shape=(4, 3)), getattr(OURS, cell[0])(5, **options, **cell[1])]
    )
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0.2, 0.6, w.shape) for w in model.get_weights()])
    x = rng.normal(size=(8, 4, 3)).astype(dtype)
    y = rng.normal(size=(8, 5)).astype(dtype)
    twin = keras_twin.twin_of(model)
    losses = []
    with keras_twin.floatx(dtype):
        for side in (model, twin):
            side.compile(optimizer=optimizer, loss="mse", run_eagerly=True)
            fitted = side.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
            losses.append([*fitted.history["loss"], side.evaluate(x, y, verbose=0)])
    allowed = 10 * tolerances.TRAINING[dtype]
    np.testing.assert_allclose(*losses, rtol=allowed)
    for v, a, b in zip(model.weights, model.get_weights(), twin.get_weights(), strict=True):
        assert tolerances.relative_error(a, b, dtype) <= allowed, v.path


def test_every_penalty_and_constraint_is_tested() -> None:
    known = {type(e).__name__ if not isinstance(e, type) else e.__name__
             for e in regularizers.registry.unique()}  # fmt: skip
    assert known == {type(regularizers.get(p)).__name__ for p in PENALTIES if p}
    known = {e.__name__ for e in constraints.registry.unique()}
    assert known - {"Constraint"} == {type(constraints.get(c)).__name__ for c in LIMITS if c}


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_states_of_an_encoder_begin_a_decoder_as_in_keras(kind: str) -> None:
    """As a graph of layers, trained from the same weights; the states carry gradients back."""

    def build(kit: Any) -> Any:
        side = kit.layers
        given, known = side.Input((5, 3)), side.Input((4, 2))
        _, *states = getattr(side, kind)(6, return_state=True)(given)
        y = getattr(side, kind)(6, return_sequences=True)(known, initial_state=states)
        return kit.Model([given, known], side.TimeDistributed(side.Dense(2))(y))

    rng = np.random.default_rng(0)
    models = [build(rnn_engine), build(sides.keras)]
    weights = [rng.normal(0, 0.4, w.shape) for w in models[0].get_weights()]
    x = [rng.normal(size=shape).astype("float32") for shape in ((8, 5, 3), (8, 4, 2))]
    y = rng.normal(size=(8, 4, 2)).astype("float32")
    losses = []
    for model in models:
        model.set_weights(weights)
        model.compile("adam", "mse")
        fitted = model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
        losses.append(fitted.history["loss"])
    allowed = 10 * tolerances.TRAINING["float32"]
    np.testing.assert_allclose(*losses, rtol=allowed)
    for before, a, b in zip(weights, *(m.get_weights() for m in models), strict=True):
        assert tolerances.relative_error(a, b, "float32") <= allowed
        assert not np.allclose(a, before, atol=1e-5)
