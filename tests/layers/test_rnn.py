"""RNN over our cells, stacks of them and a user's own cell, against Keras."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine.layers import RNN, SimpleRNNCell, StackedRNNCells
from rnn_engine.layers.cell_loop import CellLoop
from tests import strategies, tolerances
from tests.layers import sides
from tests.layers.sides import OURS, THEIRS, TwoStates

keras_twin = pytest.importorskip("reference.keras_twin")

# What a cell is made of; a list is a stack.
CELLS: dict[str, Any] = {
    "one": 5,
    "lstm": "LSTM",
    "gru": "GRU",
    "gru before": "GRU before",
    "stack": [5, 3],
    "stack of gates": ["LSTM", 3, "GRU"],
    "own between gates": ["GRU before", (3, 4), "LSTM"],
    "stack of one": [4],
    "stack in a stack": [3, [4, 2]],
    "own": (3, 4),
    "own between": [5, (3, 4), 2],
    "softmax": "softmax",
    "softmax in a stack": [4, "softmax", 3],
}


def make_cell(side: Any, form: Any, dtype: str, **options: Any) -> Any:
    """Return a cell of a side."""
    if isinstance(form, list):
        return side.StackedRNNCells(
            [make_cell(side, f, dtype, **options) for f in form], dtype=dtype
        )
    if isinstance(form, tuple):
        return side.TwoStates(form, dtype=dtype)
    if form == "softmax":
        return side.SimpleRNNCell(3, activation="softmax", dtype=dtype)
    if form == "LSTM":
        return side.LSTMCell(3, dtype=dtype, **options)
    if isinstance(form, str):
        return side.GRUCell(4, reset_after=form == "GRU", dtype=dtype, **options)
    return side.SimpleRNNCell(form, dtype=dtype, **options)


@dataclass(frozen=True)
class Problem:
    """An RNN layer with its data."""

    dtype: str
    cell: str
    cell_options: dict[str, Any]
    options: dict[str, Any]
    sizes: tuple[int, int, int]
    mask: str | None
    with_state: bool
    seed: int

    def make(self, side: Any) -> Any:
        cell = make_cell(side, CELLS[self.cell], self.dtype, **self.cell_options)
        options = dict(self.options)
        if side is THEIRS and options.get("go_backwards") and options.get("zero_output_for_mask"):
            options["unroll"] = False  # unrolled, Keras forgets to turn this mask round
        layer = side.RNN(cell, **options, dtype=self.dtype)
        layer.build((self.sizes[0], *self.sizes[1:]))
        return layer

    def data(self, layer: Any) -> tuple[Any, Any, Any, Any]:
        """Return x, gradients by the outputs, initial states and mask."""
        rng = np.random.default_rng(self.seed)
        batch, steps, features = self.sizes
        x = rng.normal(size=(batch, steps, features)).astype(self.dtype)
        shapes = [(batch, n) for n in layer.state_sizes]
        states = [rng.normal(size=s).astype(self.dtype) for s in shapes]
        size = layer.output_size
        outputs = [(batch, steps, size) if layer.return_sequences else (batch, size)]
        if layer.return_state:
            outputs += shapes
        dys = [rng.normal(size=s).astype(self.dtype) for s in outputs]
        mask = strategies.a_mask(rng, self.mask, batch, steps)
        return x, dys, states if self.with_state else None, mask


@st.composite
def problems(draw: Any, cells: Any = tuple(CELLS)) -> Problem:
    cell = draw(st.sampled_from(cells))
    # Keras 3 fails at a mask over a stack of one.
    mask = None if cell == "stack of one" else draw(st.sampled_from(strategies.MASKS))
    flags = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask", "unroll")
    return Problem(
        dtype=draw(strategies.dtypes()),
        cell=cell,
        cell_options={
            "activation": draw(st.sampled_from(["tanh", "relu", "sigmoid", "silu", "linear"])),
            "use_bias": draw(st.booleans()),
        },
        options={flag: draw(st.booleans()) for flag in flags},
        sizes=(
            draw(st.sampled_from((1, 2, 5))),
            draw(st.sampled_from((1, 3, 4, 6))),
            draw(st.sampled_from((1, 3, 7))),
        ),
        mask=mask,
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


@settings(max_examples=10)
@given(problems())
def test_gradients_by_finite_differences(problem: Problem) -> None:
    options = {**problem.cell_options, "activation": "tanh"}
    problem = replace(problem, dtype="float64", cell_options=options)
    layer = problem.make(OURS)
    rng = np.random.default_rng(problem.seed)
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    x, dys, states, mask = problem.data(layer)
    sides.slopes(layer, x, dys, states, mask, problem.seed)


@pytest.mark.parametrize("mask", ["right", "left", "holes", "empty rows"])
@pytest.mark.parametrize("zero_output", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", ["own", "own between"])
def test_slopes_of_a_users_cell_under_masks(
    cell: str, sequences: bool, zero_output: bool, mask: str
) -> None:
    options = {
        "return_sequences": sequences,
        "return_state": True,
        "zero_output_for_mask": zero_output,
    }
    problem = Problem("float64", cell, {}, options, (4, 5, 3), mask, True, 9)
    layer = problem.make(OURS)
    rng = np.random.default_rng(10)
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    x, dys, states, given_mask = problem.data(layer)
    sides.slopes(layer, x, dys, states, given_mask, 11)


@given(problems(), st.booleans())
def test_inference_gives_the_values_of_training(problem: Problem, keep: bool) -> None:
    layer = problem.make(OURS)
    x, _, states, mask = problem.data(layer)
    ours = layer.forward(x, True, mask, initial_state=states)[0]
    other = layer.forward(x, False, mask, initial_state=states, keep=keep)[0]
    for a, b in zip(sides.flat(ours), sides.flat(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("with_state", [False, True])
def test_states_are_nested_as_in_keras(cell: str, with_state: bool) -> None:
    problem = Problem("float32", cell, {}, {"return_state": True}, (2, 3, 4), None, False, 0)
    ours, theirs = problem.make(OURS), problem.make(THEIRS)
    x, _, _, _ = problem.data(ours)
    named = {}
    if with_state:
        size = ours.cell.state_size
        arrays = iter([np.ones((2, n), "float32") for n in ours.state_sizes])
        nest = sides.nested(size, arrays)
        named["initial_state"] = nest if isinstance(nest, list) else [nest]
    assert sides.form(ours(x, **named)) == sides.form(theirs(x, **named))
    assert ours.compute_mask(x, np.ones((2, 3), bool)) == [None] * (len(ours.state_size) + 1)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_are_called_as_in_keras(cell: str) -> None:
    """The counts of automatic names are each side's own."""
    problem = Problem("float32", cell, {}, {}, (2, 3, 4), None, False, 0)
    ours, theirs = problem.make(OURS), problem.make(THEIRS)

    def kinds(layer: Any) -> list[Any]:
        paths = [re.sub(r"_\d+(?=/)", "", v.path) for v in layer.weights]
        shapes = [tuple(v.shape) for v in layer.weights]
        return [(p.replace("keras_two", "two"), s) for p, s in zip(paths, shapes, strict=True)]

    assert kinds(ours) == kinds(theirs)


@pytest.mark.parametrize(
    ("kind", "options"),
    strategies.ALL_CELLS,
    ids=[f"{kind} {own}" if own else kind for kind, own in strategies.ALL_CELLS],
)
def test_a_cell_has_the_bits_of_the_layer(kind: str, options: Any) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 6, 4)).astype("float32")
    layer = getattr(OURS, kind)(5, return_sequences=True, **options)
    plain = layer(x)
    cell = getattr(OURS, f"{kind}Cell")(5, **options)
    wrapped = RNN(cell, return_sequences=True)
    wrapped.build((None, 6, 4))
    wrapped.set_weights(layer.get_weights())
    np.testing.assert_array_equal(wrapped(x), plain)
    states = cell.get_initial_state(3)
    for t in range(6):
        output, states = cell(x[:, t], states)
        np.testing.assert_array_equal(output, plain[:, t])
    # And the loop over time that serves a user's cell goes through the same cell.
    y, _, saved = CellLoop(cell, np.dtype("float32")).forward(x, keep=True)
    np.testing.assert_array_equal(y, plain)
    dy = rng.normal(size=y.shape).astype("float32")
    dx, _ = CellLoop(cell, np.dtype("float32")).backward(dy, [None] * len(states), saved)
    looped = [v.grad.copy() for v in cell.trainable_weights]
    found = sides.our_pass(wrapped, x, [dy])
    for a, b in zip([dx, *looped], [*found.inputs, *found.parameters], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rates", [(0.4, 0.3), (0.4, 0.0)])
@pytest.mark.parametrize(("kind", "own"), strategies.ALL_CELLS)
def test_one_step_of_a_cell_agrees_with_keras(
    kind: str, own: Any, rates: tuple[float, float], training: bool
) -> None:
    """With dropout, from the masks that our cell drew and keeps."""
    rng = np.random.default_rng(2)
    options = {"dropout": rates[0], "recurrent_dropout": rates[1], "dtype": "float64", **own}
    ours, theirs = (getattr(side, f"{kind}Cell")(6, **options) for side in (OURS, THEIRS))
    x = rng.normal(size=(3, 5))
    for cell in (ours, theirs):
        cell.build((3, 5))
    sides.share(ours, theirs, rng)
    given = [rng.normal(size=(3, 6)) for _ in ours.get_initial_state(3)]
    output, states = ours(x, given, training=training)
    kept = ours(x, given, training=training)[0]
    np.testing.assert_array_equal(output, kept)
    masks = ours.get_dropout_mask(x), ours.get_recurrent_dropout_mask(given[0])
    count = getattr(theirs, "dropout_mask_count", None)
    assert [isinstance(mask, list) and len(mask) for mask in masks if mask is not None] == [
        count or False for rate in rates if rate
    ]
    theirs.get_dropout_mask = lambda _: masks[0]
    theirs.get_recurrent_dropout_mask = lambda _: masks[1]
    wanted, last = theirs(x, given, training=training)
    np.testing.assert_allclose(output, wanted, rtol=1e-12, atol=1e-13)
    for a, b in zip(states, last, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    if len(given) == 1:
        single, alone = ours(x, given[0], training=training)
        assert isinstance(alone, np.ndarray)
        np.testing.assert_array_equal(single, output)
    ours.reset_dropout_mask()
    ours.reset_recurrent_dropout_mask()
    again = ours.get_dropout_mask(np.ones((40, 5)))
    assert not np.array_equal(np.shape(again), np.shape(masks[0]))


@pytest.mark.parametrize("activation", ["tanh", "softmax"])
@pytest.mark.parametrize(("kind", "own"), strategies.ALL_CELLS)
def test_a_step_back_has_the_gradients_of_a_sequence_of_one(
    kind: str, own: Any, activation: str
) -> None:
    """In the kernels, and where the cell's own equations are taken."""
    rng = np.random.default_rng(2)
    layer = getattr(OURS, kind)(
        6, activation, dropout=0.4, recurrent_dropout=0.3, return_state=True, dtype="float64",
        seed=3, **own,
    )  # fmt: skip
    layer.build((3, 1, 5))
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    x = rng.normal(size=(3, 1, 5))
    states, dys = ([rng.normal(size=(3, 6)) for _ in range(n)] for n in (3, 3))
    count = len(layer.state_sizes)
    states, dys = states[:count], dys[: count + 1]
    again = type(layer).from_config(layer.get_config())
    again.build((3, 1, 5))
    again.set_weights(layer.get_weights())
    found = sides.our_pass(layer, x, dys, states)
    _, new, saved = again.cell.forward(x[:, 0], states, training=True)
    dx, before = again.cell.backward(dys[0], dys[1:], saved)
    grads = [v.grad for v in again.trainable_weights]
    pairs = zip(
        [*new, dx, *before, *grads],
        [*found.outputs[1:], found.inputs[0][:, 0], *found.states, *found.parameters],
        strict=True,
    )
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        assert np.any(a)


def test_a_stack_of_cells_steps_as_in_keras() -> None:
    rng = np.random.default_rng(3)
    stacks = [make_cell(side, [5, (3, 4), 2], "float64") for side in (OURS, THEIRS)]
    for stack in stacks:
        stack.build((2, 3))
    sides.share(*stacks, rng)
    ours, theirs = stacks
    assert ours.state_size == theirs.state_size
    assert ours.output_size == theirs.output_size
    x = rng.normal(size=(2, 3))
    states = [rng.normal(size=(2, n)) for n in (5, 3, 4, 2)]
    nest = sides.nested(ours.state_size, iter(states))
    found, wanted = ours(x, nest), theirs(x, nest)
    assert sides.form(found) == sides.form(wanted)
    for a, b in zip(sides.flat(found), sides.flat(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    # One step forward and back is a sequence of length one.
    layer = RNN(ours, return_state=True, dtype="float64")
    dys = [rng.normal(size=(2, n)) for n in (2, 5, 3, 4, 2)]
    layer.build((None, 1, 3))
    through = sides.our_pass(layer, x[:, None], dys, states)
    for weight in ours.weights:
        weight.grad.fill(0)
    _, _, saved = ours.forward(x, nest)
    dx, dstates = ours.backward(dys[0], sides.nested(ours.state_size, iter(dys[1:])), saved)
    np.testing.assert_allclose(dx, through.inputs[0][:, 0], rtol=1e-12)
    for a, b in zip(sides.flat(dstates), through.states, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    for weight, b in zip(ours.trainable_weights, through.parameters, strict=True):
        np.testing.assert_allclose(weight.grad, b, rtol=1e-12)


@pytest.mark.parametrize("cell", ["stack", "own between"])
@pytest.mark.parametrize("mask", [None, "holes"])
def test_stateful(cell: str, mask: str | None) -> None:
    """Three batches, a reset, another batch; a wrong batch size is refused."""
    options = {"stateful": True, "return_sequences": True}
    problem = Problem("float64", cell, {}, options, (3, 4, 2), mask, False, 4)
    ours, theirs = problem.make(OURS), problem.make(THEIRS)
    rng = np.random.default_rng(5)
    sides.share(ours, theirs, rng)
    for batch in range(4):
        x = rng.normal(size=(3, 4, 2))
        given = strategies.a_mask(rng, mask, 3, 4)
        if batch == 3:
            ours.reset_state()
            for state in sides.flat(theirs.states):  # its reset_state fails at a stack
                state.assign(np.zeros(state.shape))
        found, wanted = ours(x, mask=given), theirs(x, mask=given)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
        kept = zip(ours.states, sides.flat(theirs.states), strict=True)
        for a, b in kept:
            np.testing.assert_allclose(a.value, np.asarray(b), rtol=1e-9, atol=1e-12)
    before = [s.numpy() for s in ours.states]
    with pytest.raises(ValueError, match=r"(?s)Expected batch size: 3.*Received batch size: 2"):
        ours(x[:2])
    for a, b in zip(before, ours.states, strict=True):
        np.testing.assert_array_equal(a, b.value)
    with pytest.raises(ValueError, match="batch size must be static"):
        RNN(make_cell(OURS, CELLS[cell], "float64"), stateful=True).build((None, 4, 2))


def test_dropout_of_a_stack_is_drawn_once_a_batch() -> None:
    """With the weights below set to pass the input on, the upper dropout shows in the output."""
    cells = [
        SimpleRNNCell(300, activation="linear", dropout=0.5),
        SimpleRNNCell(300, activation="linear", dropout=0.25),
    ]
    layer = RNN(cells, return_sequences=True)
    layer.build((None, 4, 300))
    eye, none = np.eye(300), np.zeros((300, 300))
    layer.set_weights([eye, none, np.zeros(300)] * 2)
    x = np.ones((2, 4, 300), "float32")
    y = layer(x, training=True)
    assert np.array_equal(np.unique(y).round(4), np.float32([0, 2 / 0.75]).round(4))
    assert (y == y[:, :1]).all()
    assert 0.3 < (y[:, 0] > 0).mean() < 0.45  # expected 0.375, five deviations away
    assert not np.array_equal(y[0], y[1])
    assert not np.array_equal(y, layer(x, training=True))
    np.testing.assert_array_equal(layer(x), x)


def test_a_cell_may_begin_elsewhere_than_at_zero() -> None:
    class Counter(rnn_engine.layers.RNNCell):
        state_size = 1

        def get_initial_state(self, batch_size: int | None = None) -> Any:
            return [np.full((batch_size, 1), 10.0, "float32")]

        def forward(self, x: Any, states: Any, training: bool = False) -> Any:
            new = states[0] + x[:, :1]
            return new, [new], None

        def backward(self, doutput: Any, dstates: Any, saved: Any) -> Any:
            return np.repeat(doutput + dstates[0], 2, axis=1), [doutput + dstates[0]]

    x = np.ones((2, 3, 2), "float32")
    layer = RNN(Counter(), return_sequences=True)
    np.testing.assert_array_equal(layer(x)[..., 0], [[11, 12, 13]] * 2)
    zero = np.zeros((2, 1))
    np.testing.assert_array_equal(layer(x, initial_state=zero)[..., 0], [[1, 2, 3]] * 2)
    stateful = RNN(Counter(), stateful=True)
    np.testing.assert_array_equal(stateful(x), [[13]] * 2)
    np.testing.assert_array_equal(stateful(x), [[16]] * 2)
    stateful.reset_state()
    np.testing.assert_array_equal(stateful(x), [[3]] * 2)  # as in Keras, zero after a reset


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_follows_keras(dtype: str) -> None:
    """Regularizers, constraints, a mask and a stack, through fit from the same weights."""
    layers = rnn_engine.layers
    regular = {
        "kernel_regularizer": "l2",
        "recurrent_regularizer": "l1",
        "bias_constraint": "non_neg",
    }
    cells = [SimpleRNNCell(5, dtype=dtype, **regular), SimpleRNNCell(4, dtype=dtype)]
    stack = StackedRNNCells(cells, dtype=dtype)
    model = rnn_engine.Sequential(
        [
            rnn_engine.Input(shape=(6, 3)),
            layers.Masking(dtype=dtype),
            RNN(stack, return_sequences=True, dtype=dtype),
            RNN(SimpleRNNCell(3, dtype=dtype), go_backwards=True, dtype=dtype),
            layers.Dense(2, dtype=dtype),
        ]
    )
    rng = np.random.default_rng(6)
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


def test_a_users_cell_trains_as_in_keras() -> None:
    problem = Problem("float64", "own", {}, {"return_sequences": True}, (4, 5, 3), None, False, 7)
    sides_layers = [problem.make(side) for side in (OURS, THEIRS)]
    rng = np.random.default_rng(8)
    sides.share(*sides_layers, rng)
    x, y = rng.normal(size=(12, 5, 3)), rng.normal(size=(12, 5, 4))
    histories, weights = [], []
    keras = sides.keras
    models = [rnn_engine.Sequential([sides_layers[0]]), keras.Sequential([sides_layers[1]])]
    with keras_twin.floatx("float64"):
        for model in models:
            model.compile(optimizer="sgd", loss="mse")
            fit = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
            histories.append(fit.history["loss"])
            weights.append(model.get_weights())
    np.testing.assert_allclose(*histories, rtol=1e-7)
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    assert histories[0][-1] < histories[0][0]


@pytest.mark.parametrize("cell", CELLS)
def test_config_round_trip(cell: str) -> None:
    options = {"return_state": True, "go_backwards": True, "zero_output_for_mask": True}
    problem = Problem("float64", cell, {"use_bias": True}, options, (2, 3, 4), None, False, 0)
    layer = problem.make(OURS)
    config = layer.get_config()
    json.dumps(config)
    again = RNN.from_config(config, custom_objects={"TwoStates": TwoStates})
    assert again.get_config() == config
    assert [w.shape for w in problem.make(OURS).weights] == [w.shape for w in layer.weights]


class NoBackward:
    state_size = 3

    def forward(self, x: Any, states: Any, training: bool) -> Any:
        return x, states, None


class NoSize:
    def forward(self, x: Any, states: Any, training: bool) -> Any:
        return x, states, None

    def backward(self, doutput: Any, dstates: Any, saved: Any) -> Any:
        return doutput, dstates


class WrongSize(NoSize):
    state_size = 3


@pytest.mark.parametrize(
    ("cell", "message"),
    [(3, "`forward` method"), (NoBackward(), "`backward` method"), (NoSize(), "`state_size`")],
)
def test_what_is_no_cell_is_refused(cell: Any, message: str) -> None:
    for make in (RNN, lambda c: RNN([SimpleRNNCell(2), c]), lambda c: StackedRNNCells([c])):
        with pytest.raises(ValueError, match=message):
            make(cell)


def test_bad_input_is_refused() -> None:
    layer = RNN([SimpleRNNCell(3), SimpleRNNCell(2)])
    x = np.ones((2, 4, 5), "float32")
    layer(x)
    with pytest.raises(ValueError, match=r"2 state\(s\), initial_state has 1"):
        layer(x, initial_state=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"must have shape .* = \(2, 2\), got \(2, 4\)"):
        layer(x, initial_state=[np.ones((2, 3)), np.ones((2, 4))])
    with pytest.raises(ValueError, match=r"mask must have shape .*\(2, 4\), got \(2, 3\)"):
        layer(x, mask=np.ones((2, 3), bool))
    for bad in (x[..., :4], x[:, :0], x[0], x[..., None]):
        with pytest.raises(ValueError, match="incompatible with the layer"):
            layer(bad)
    with pytest.raises(ValueError, match="output of shape"):
        RNN(WrongSize())(x)
    with pytest.raises(ValueError, match="positive integer"):
        SimpleRNNCell(0)
    with pytest.raises(ValueError, match="at least one cell"):
        RNN([])
