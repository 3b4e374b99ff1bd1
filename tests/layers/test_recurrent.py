"""Every cell, a layer by itself: all options crossed, against oracle, Keras and differences."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reference import compare
from reference.oracle import CELLS
from reference.oracle_recurrent import Recurrent
from rnn_engine import layers
from tests import strategies, tolerances
from tests.strategies import ALL_CELLS, RnnProblem

CELL_IDS = [f"{name} {own}" if own else name for name, own in ALL_CELLS]
of_every_cell = pytest.mark.parametrize(("cell", "own"), ALL_CELLS, ids=CELL_IDS)


def rnn_problems(kinds: tuple[str, ...] = strategies.VALUES) -> Any:
    """Draw a problem of any cell."""
    return strategies.rnn_problems(kinds, ALL_CELLS)


def make_layer(problem: RnnProblem) -> Any:
    layer = getattr(layers, problem.cell)(**problem.options, dtype=problem.dtype)
    layer.build((None, *problem.x.shape[1:]))
    layer.set_weights(problem.weights)
    return layer


def forward(layer: Any, problem: RnnProblem, training: bool) -> tuple[Any, Any, Any]:
    """Return output, state (None without return_state) and saved."""
    x = layer.convert(strategies.laid_out(problem.x, problem.layout))
    y, saved = layer.forward(x, training, problem.mask, initial_state=problem.initial_state)
    output, *states = y if problem.options["return_state"] else (y,)
    return np.array(output), in_form([np.array(state) for state in states]), saved


def in_form(states: Any) -> Any:
    """Return None of no states, the state of one, and a list of several."""
    states = list(states)
    return states if len(states) > 1 else (states[0] if states else None)


def as_list(states: Any) -> list[Any]:
    """Undo `in_form`."""
    return [] if states is None else states if isinstance(states, list) else [states]


def per_state(function: Any, states: Any) -> Any:
    """Return what a function makes of each state, in their form."""
    return in_form(map(function, as_list(states)))


def engine_pass(problem: RnnProblem) -> dict[str, Any]:
    """Run the layer forward and back."""
    layer = make_layer(problem)
    output, state, saved = forward(layer, problem, True)
    dy: Any = problem.dy
    if problem.options["return_state"]:
        dy = (dy, *as_list(problem.dstate))
    dx, dstate = layer.backward(dy, saved), None
    if problem.initial_state is not None:
        dx, *before = dx
        dstate = in_form(before)
    return {
        "output": output,
        "state": state,
        "parameters": [v.grad.copy() for v in layer.trainable_weights],
        "inputs": np.array(dx),
        "initial_state": dstate,
    }


def oracle_side(problem: RnnProblem, layer: Recurrent) -> dict[str, Any]:
    """Run an oracle forward and back."""
    output, state = layer.forward(problem.x, problem.initial_state, problem.mask)
    keeps_state = problem.options["return_state"]
    grads = layer.backward(problem.dy, problem.dstate if keeps_state else None)
    return {
        "output": output,
        "state": state if keeps_state else None,
        "parameters": [grads[name] for name in problem.names()],
        "inputs": grads["x"],
        "initial_state": None if problem.initial_state is None else grads["initial_state"],
    }


def oracle_pass(problem: RnnProblem) -> tuple[dict[str, Any], float]:
    """Run the oracle forward and back; return its margin too."""
    layer = problem.oracle()
    return oracle_side(problem, layer), layer.margin


def keras_pass(problem: RnnProblem, mode: str = "eager") -> dict[str, Any]:
    """Run the Keras layer forward and back."""
    keras_twin = pytest.importorskip("reference.keras_twin")
    layer = keras_twin.keras_layer(problem.cell, problem.options, problem.dtype)
    layer.build((None, *problem.x.shape[1:]))
    layer.set_weights(problem.weights)
    return keras_twin.layer_pass(
        layer, problem.x, problem.dy, mode, problem.initial_state, problem.mask, problem.dstate
    )


def flat(found: dict[str, Any]) -> dict[str, Any]:
    """Name every quantity of a pass, without those that it does not have."""
    parts = {key: found[key] for key in ("output", "inputs")}
    for key in ("state", "initial_state"):
        parts.update({f"{key} {i}": state for i, state in enumerate(as_list(found[key]))})
    parts.update({f"gradient {i}": grad for i, grad in enumerate(found["parameters"])})
    return {key: value for key, value in parts.items() if value is not None}


def check(
    found: dict[str, Any], expected: dict[str, Any], sizes: dict[str, Any], dtype: str
) -> None:
    actual, wanted, scale = flat(found), flat(expected), flat(sizes)
    assert actual.keys() == wanted.keys()
    terms = int(np.prod(sizes["inputs"].shape[:2]))
    for key, value in actual.items():
        error = tolerances.relative_error(value, wanted[key], dtype, scale[key])
        assert error <= tolerances.tolerance(dtype, terms), f"{key}: {error}"
        if np.abs(scale[key].value).max() > compare.floor(dtype):
            assert np.any(value), f"{key} is zero"


def solvable(problem: RnnProblem) -> dict[str, Any]:
    """Return what the oracle finds; pass over examples on which rounding decides."""
    found, margin = oracle_pass(problem)
    assume(margin > 2 * tolerances.FACTOR * tolerances.roundoff(problem.dtype))
    assume(all(tolerances.knowable(q, problem.dtype) for q in flat(found).values()))
    return found


@given(rnn_problems())
def test_engine_agrees_with_the_oracle(problem: RnnProblem) -> None:
    expected = solvable(problem)
    check(engine_pass(problem), expected, expected, problem.dtype)


@settings(max_examples=strategies.keras_examples())
@given(rnn_problems())
def test_engine_agrees_with_keras(problem: RnnProblem) -> None:
    sizes = solvable(problem)
    check(engine_pass(problem), keras_pass(problem), sizes, problem.dtype)


def dropout_problem(
    cell: str, own: dict[str, Any], rates: tuple[float, float], **options: Any
) -> RnnProblem:
    """Return a problem with dropout of inputs and states."""
    given = {**own, **options, "dropout": rates[0], "recurrent_dropout": rates[1]}
    problem = large(3, "float64", (4, 6, 3, 5), cell, **given)
    return replace(problem, mask=strategies.a_mask(np.random.default_rng(4), "holes", 4, 6))


@of_every_cell
@pytest.mark.parametrize("rates", [(0.5, 0.2), (0.5, 0.0), (0.0, 0.2)])
@pytest.mark.parametrize("implementation", [1, 2])
def test_dropout(
    cell: str, own: Any, rates: Any, implementation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks are drawn once a batch, for each gate where Keras does, and serve all time steps."""
    if cell != "SimpleRNN":
        own = {**own, "implementation": implementation, "use_cudnn": False}
    problem = dropout_problem(cell, own, rates, go_backwards=implementation == 1)
    gates = CELLS[cell].gates if implementation == 1 or rates[1] else 1
    rng = np.random.default_rng(5)
    # One for each gate at first, so that a mask in the place of another shows.
    masks = [
        None if not rate else (rng.random((gates, 4, n)) > rate) / (1 - rate)
        for n, rate in zip((3, 5), rates, strict=True)
    ]
    drawn = iter([one for mask in masks if mask is not None for one in mask])
    place = "rnn_engine.layers.dropout_cell.dropout_mask"
    monkeypatch.setattr(place, lambda *settings: next(drawn))
    found = engine_pass(problem)
    assert next(drawn, None) is None

    fixed = [None if mask is None else mask[0] if gates == 1 else mask for mask in masks]
    oracle = problem.oracle()
    oracle.input_mask, oracle.recurrent_mask = fixed
    expected = oracle_side(problem, oracle)
    check(found, expected, expected, "float64")

    keras_twin = pytest.importorskip("reference.keras_twin")
    options = {**problem.options, "use_cudnn": False} if cell != "SimpleRNN" else problem.options
    layer = keras_twin.keras_layer(cell, options, "float64")
    layer.build((None, 6, 3))
    layer.set_weights(problem.weights)
    keras_twin.fix_dropout(layer, *fixed)
    theirs = keras_twin.layer_pass(layer, problem.x, problem.dy, mask=problem.mask, training=True)
    check(theirs, expected, expected, "float64")


@of_every_cell
def test_dropout_of_everything_is_as_in_keras(cell: str, own: Any) -> None:
    """The cells with gates let it be, SimpleRNN leaves the bias."""
    problem = dropout_problem(cell, own, (1.0, 1.0))
    keras_twin = pytest.importorskip("reference.keras_twin")
    theirs = keras_twin.keras_layer(cell, problem.options, "float64")
    theirs.build((None, 6, 3))
    theirs.set_weights(problem.weights)
    wanted = theirs(problem.x, mask=problem.mask, training=True)
    found = forward(make_layer(problem), problem, True)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@of_every_cell
def test_no_dropout_in_inference(cell: str, own: Any) -> None:
    problem = dropout_problem(cell, own, (0.5, 0.2))
    output = forward(make_layer(problem), problem, False)[0]
    plain = replace(problem, options={**problem.options, "dropout": 0, "recurrent_dropout": 0})
    np.testing.assert_array_equal(output, forward(make_layer(plain), plain, False)[0])


@settings(max_examples=10)
@given(rnn_problems(kinds=("normal",)), st.data())
def test_gradients_by_finite_differences(problem: RnnProblem, data: st.DataObject) -> None:
    """The slope along a drawn direction of weights, input and state, in float64."""
    assume(problem.dtype == "float64")
    _, margin = oracle_pass(problem)
    d = tolerances.DIFFERENCE_STEP
    assume(margin > 100 * d)
    found = engine_pass(problem)
    rng = np.random.default_rng(data.draw(strategies.seeds()))
    starts = as_list(problem.initial_state)
    arrays = [*problem.weights, problem.x, *starts]
    grads = [*found["parameters"], found["inputs"], *as_list(found["initial_state"])]
    for position, grad in enumerate(grads):
        way = rng.normal(size=grad.shape)

        def loss(step: float, position: int = position, way: np.ndarray = way) -> float:
            moved = [a + step * way if i == position else a for i, a in enumerate(arrays)]
            count = len(problem.weights)
            moved_problem = replace(
                problem,
                weights=moved[:count],
                x=moved[count],
                initial_state=in_form(moved[count + 1 :]),
            )
            output, state, _ = forward(make_layer(moved_problem), moved_problem, False)
            pairs = zip(as_list(state), as_list(problem.dstate), strict=False)
            return float(np.sum(output * problem.dy) + sum(np.sum(a * b) for a, b in pairs))

        slope = (loss(d) - loss(-d)) / (2 * d)
        size = np.sum(np.abs(grad * way)) + 1
        # What the terms of the loss lose to rounding counts by the step: linear ones grow large.
        output, _, _ = forward(make_layer(problem), problem, False)
        lost = 64 * np.finfo(np.float64).eps * np.sum(np.abs(output * problem.dy)) / d
        assert abs(slope - np.sum(grad * way)) <= tolerances.FINITE_DIFFERENCE * size + lost


@given(rnn_problems())
def test_inference_gives_the_bits_of_training(problem: RnnProblem) -> None:
    layer = make_layer(problem)
    one, other = forward(layer, problem, True), forward(layer, problem, False)
    np.testing.assert_array_equal(one[0], other[0])
    for a, b in zip(as_list(one[1]), as_list(other[1]), strict=True):
        np.testing.assert_array_equal(a, b)


@given(rnn_problems())
def test_layout_makes_no_difference(problem: RnnProblem) -> None:
    laid_out, plain = engine_pass(problem), engine_pass(replace(problem, layout="plain"))
    for a, b in zip(flat(laid_out).values(), flat(plain).values(), strict=True):
        np.testing.assert_array_equal(a, b)


@given(rnn_problems(), st.data())
def test_a_row_has_the_same_bits_in_any_batch(problem: RnnProblem, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(problem.x) - 1))
    layer = make_layer(problem)
    whole = forward(layer, problem, False)
    alone = replace(
        problem,
        x=problem.x[row : row + 1],
        initial_state=per_state(lambda state: state[[row]], problem.initial_state),
        mask=None if problem.mask is None else problem.mask[[row]],
    )
    single = forward(layer, alone, False)
    np.testing.assert_array_equal(whole[0][[row]], single[0])
    for a, b in zip(as_list(whole[1]), as_list(single[1]), strict=True):
        np.testing.assert_array_equal(a[[row]], b)


@given(rnn_problems(), st.data())
def test_time_can_be_split_at_any_step(problem: RnnProblem, data: st.DataObject) -> None:
    options = {**problem.options, "go_backwards": False, "return_state": True}
    problem = replace(problem, options=options, mask=None)
    steps = problem.x.shape[1]
    assume(steps > 1)
    cut = data.draw(st.integers(1, steps - 1))
    layer = make_layer(problem)
    output, state, _ = forward(layer, problem, False)
    _, middle, _ = forward(layer, replace(problem, x=problem.x[:, :cut]), False)
    rest = replace(problem, x=problem.x[:, cut:], initial_state=middle)
    tail, last, _ = forward(layer, rest, False)
    for a, b in zip(as_list(state), as_list(last), strict=True):
        np.testing.assert_array_equal(a, b)
    if options["return_sequences"]:
        output = output[:, cut:]
    np.testing.assert_array_equal(output, tail)


@settings(max_examples=10)
@given(rnn_problems(kinds=("normal",)))
def test_backward_adds_to_the_gradients(problem: RnnProblem) -> None:
    problem = replace(problem, mask=None)
    layer = make_layer(problem)
    dy: Any = problem.dy
    if problem.options["return_state"]:
        dy = (dy, *as_list(problem.dstate))
    *_, saved = forward(layer, problem, True)
    layer.backward(dy, saved)
    once = [v.grad.copy() for v in layer.trainable_weights]
    assert layer.backward(dy, saved, need_dx=False) is None or problem.initial_state is not None
    for variable, first in zip(layer.trainable_weights, once, strict=True):
        size = np.abs(first).max() + 1
        np.testing.assert_allclose(variable.grad, 2 * first, rtol=0, atol=1e-5 * size)
        # The first step has no state before it; a relu may be closed everywhere.
        if problem.x.shape[1] > 1 and problem.options["activation"] != "relu":
            assert np.any(first)


def large(
    seed: int,
    dtype: str,
    sizes: tuple[int, int, int, int],
    cell: str = "SimpleRNN",
    **options: Any,
) -> RnnProblem:
    b, t, f, u = sizes
    rng = np.random.default_rng(seed)
    settings = {
        "units": u, "activation": "tanh", "use_bias": True, "return_sequences": False,
        "return_state": False, "go_backwards": False, "zero_output_for_mask": False, **options,
    }  # fmt: skip
    weights = strategies.weights_of(rng, cell, f, settings)
    states = [in_form(rng.normal(size=(b, u)).astype(dtype) for _ in range(CELLS[cell].states))
              for _ in range(2)]  # fmt: skip
    return RnnProblem(
        dtype, settings, [w.astype(dtype) for w in weights],
        rng.normal(size=(b, t, f)).astype(dtype), rng.normal(size=(b, u)).astype(dtype),
        states[0], None, None, "plain", cell,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "sizes", [(70, 9, 40, 96), (17, 73, 13, 97), (3, 400, 5, 33), (1, 60, 64, 130)]
)
@of_every_cell
def test_sizes_that_need_blocks_and_threads(
    cell: str, own: Any, dtype: str, sizes: tuple[int, ...]
) -> None:
    problem = large(5, dtype, sizes, cell, **own)
    expected, _ = oracle_pass(problem)
    check(engine_pass(problem), expected, expected, dtype)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@of_every_cell
def test_agrees_with_compiled_keras(cell: str, own: Any, dtype: str, mode: str) -> None:
    problem = large(6, dtype, (5, 12, 3, 17), cell, go_backwards=True, **own)
    sizes, _ = oracle_pass(problem)
    check(engine_pass(problem), keras_pass(problem, mode), sizes, dtype)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", ["tanh", "relu", "linear", "sigmoid"])
@of_every_cell
def test_nan_and_infinity_stay_in_their_row(
    cell: str, own: Any, activation: str, bad: float
) -> None:
    problem = large(7, "float32", (4, 5, 3, 6), cell, activation=activation, **own)
    clean = forward(make_layer(problem), problem, False)[0]
    problem.x[2, 3, 1] = bad
    output = forward(make_layer(problem), problem, False)[0]
    np.testing.assert_array_equal(np.delete(output, 2, 0), np.delete(clean, 2, 0))
    if cell == "GRU" and np.isinf(bad) and activation in ("relu", "linear"):
        return  # z ⊙ (h - n) + n is NaN where n is infinite, z ⊙ h + (1 - z) ⊙ n is not always
    keras = keras_pass(problem)["output"]
    np.testing.assert_array_equal(np.isnan(output), np.isnan(keras))


@of_every_cell
def test_config_round_trip(cell: str, own: Any) -> None:
    """Keras's keys and values, but for objects, which both write in their own way."""
    options = {
        "activation": "relu", "use_bias": False, "go_backwards": True, "return_state": True,
        "recurrent_dropout": 0.25, "recurrent_initializer": "ones", "bias_constraint": "non_neg",
        "seed": 3, "zero_output_for_mask": True, "name": "tail", **own,
    }  # fmt: skip
    kind = getattr(layers, cell)
    config = kind(3, **options).get_config()
    assert kind.from_config(config).get_config() == config
    wanted = getattr(pytest.importorskip("keras").layers, cell)(3, **options).get_config()
    if cell == "SimpleRNN":
        wanted["seed"] = 3  # Keras forgets it here, and here only
    assert set(config) == set(wanted)
    plain = {key for key, value in wanted.items() if not isinstance(value, dict)}
    assert {key: config[key] for key in plain} == {key: wanted[key] for key in plain}
