"""SimpleRNN, layer by itself: every option crossed, against oracle, Keras and differences."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reference import compare
from rnn_engine.layers import SimpleRNN
from tests import strategies, tolerances
from tests.strategies import RnnProblem, rnn_problems


def make_layer(problem: RnnProblem) -> Any:
    layer = SimpleRNN(**problem.options, dtype=problem.dtype)
    layer.build((None, *problem.x.shape[1:]))
    layer.set_weights(problem.weights)
    return layer


def forward(layer: Any, problem: RnnProblem, training: bool) -> tuple[Any, Any, Any]:
    """Return output, state (None without return_state) and saved."""
    x = layer.convert(strategies.laid_out(problem.x, problem.layout))
    y, saved = layer.forward(x, training, problem.mask, initial_state=problem.initial_state)
    output, state = y if problem.options["return_state"] else (y, None)
    return np.array(output), None if state is None else np.array(state), saved


def engine_pass(problem: RnnProblem) -> dict[str, Any]:
    """Run the layer forward and back."""
    layer = make_layer(problem)
    output, state, saved = forward(layer, problem, True)
    dy: Any = problem.dy
    if problem.options["return_state"]:
        dy = (dy, problem.dstate)
    dx, dstate = layer.backward(dy, saved), None
    if problem.initial_state is not None:
        dx, dstate = dx
    return {
        "output": output,
        "state": state,
        "parameters": [v.grad.copy() for v in layer.trainable_weights],
        "inputs": np.array(dx),
        "initial_state": dstate,
    }


def oracle_pass(problem: RnnProblem) -> tuple[dict[str, Any], float]:
    """Run the oracle forward and back; return its margin too."""
    layer = problem.oracle()
    output, state = layer.forward(problem.x, problem.initial_state, problem.mask)
    keeps_state = problem.options["return_state"]
    grads = layer.backward(problem.dy, problem.dstate if keeps_state else None)
    return {
        "output": output,
        "state": state if keeps_state else None,
        "parameters": [grads[name] for name in problem.names()],
        "inputs": grads["x"],
        "initial_state": None if problem.initial_state is None else grads["initial_state"],
    }, layer.margin


def keras_pass(problem: RnnProblem, mode: str = "eager") -> dict[str, Any]:
    """Run the Keras layer forward and back."""
    keras_twin = pytest.importorskip("reference.keras_twin")
    layer = keras_twin.keras_layer("SimpleRNN", problem.options, problem.dtype)
    layer.build((None, *problem.x.shape[1:]))
    layer.set_weights(problem.weights)
    return keras_twin.layer_pass(
        layer, problem.x, problem.dy, mode, problem.initial_state, problem.mask, problem.dstate
    )


def flat(found: dict[str, Any]) -> dict[str, Any]:
    """Name every quantity of a pass, without those that it does not have."""
    parts = {key: found[key] for key in ("output", "state", "inputs", "initial_state")}
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


@settings(max_examples=strategies.keras_examples())
@given(rnn_problems())
def test_oracle_agrees_with_keras(problem: RnnProblem) -> None:
    expected = solvable(problem)
    check(keras_pass(problem), expected, expected, problem.dtype)


def dropout_problem(activation: str, go_backwards: bool) -> tuple[RnnProblem, list[np.ndarray]]:
    """Return a problem, and dropout masks of rates 0.5 and 0.2 for input and state."""
    problem = large(3, "float64", (4, 6, 3, 5), activation=activation, go_backwards=go_backwards)
    rng = np.random.default_rng(4)
    mask = strategies.a_mask(rng, "holes", 4, 6)
    dropped = [(rng.random((4, n)) > rate) / (1 - rate) for n, rate in ((3, 0.5), (5, 0.2))]
    options = {**problem.options, "dropout": 0.5, "recurrent_dropout": 0.2}
    return replace(problem, options=options, mask=mask), dropped


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu", "linear", "sigmoid"])
def test_dropout(activation: str, go_backwards: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both dropout masks are drawn once a batch and shared by all time steps."""
    problem, dropped = dropout_problem(activation, go_backwards)
    oracle = problem.oracle()
    oracle.input_mask, oracle.recurrent_mask = dropped
    output, _ = oracle.forward(problem.x, None, problem.mask)
    grads = oracle.backward(problem.dy)
    expected = {
        "output": output, "state": None, "inputs": grads["x"], "initial_state": None,
        "parameters": [grads[name] for name in problem.names()],
    }  # fmt: skip
    drawn = iter(dropped)
    place = "rnn_engine.layers.masked_pass.dropout_mask"
    monkeypatch.setattr(place, lambda *settings: next(drawn))
    check(engine_pass(problem), expected, expected, "float64")

    keras_twin = pytest.importorskip("reference.keras_twin")
    layer = keras_twin.keras_layer("SimpleRNN", problem.options, "float64")
    layer.build((None, 6, 3))
    layer.set_weights(problem.weights)
    keras_twin.fix_dropout(layer, *dropped)
    found = keras_twin.layer_pass(layer, problem.x, problem.dy, mask=problem.mask, training=True)
    check(found, expected, expected, "float64")


def test_no_dropout_in_inference() -> None:
    problem, _ = dropout_problem("tanh", False)
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
    arrays = [*problem.weights, problem.x]
    grads = [*found["parameters"], found["inputs"]]
    if problem.initial_state is not None:
        arrays.append(problem.initial_state)
        grads.append(found["initial_state"])
    for position, grad in enumerate(grads):
        way = rng.normal(size=grad.shape)

        def loss(step: float, position: int = position, way: np.ndarray = way) -> float:
            moved = [a + step * way if i == position else a for i, a in enumerate(arrays)]
            count = len(problem.weights)
            state = moved[count + 1] if problem.initial_state is not None else None
            moved_problem = replace(
                problem, weights=moved[:count], x=moved[count], initial_state=state
            )
            output, state, _ = forward(make_layer(moved_problem), moved_problem, False)
            total = np.sum(output * problem.dy)
            return total + (0.0 if state is None else np.sum(state * problem.dstate))

        slope = (loss(d) - loss(-d)) / (2 * d)
        size = np.sum(np.abs(grad * way)) + 1
        assert abs(slope - np.sum(grad * way)) <= tolerances.FINITE_DIFFERENCE * size


@given(rnn_problems())
def test_inference_gives_the_bits_of_training(problem: RnnProblem) -> None:
    layer = make_layer(problem)
    for a, b in zip(
        forward(layer, problem, True)[:2], forward(layer, problem, False)[:2], strict=True
    ):
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
        initial_state=None if problem.initial_state is None else problem.initial_state[[row]],
        mask=None if problem.mask is None else problem.mask[[row]],
    )
    single = forward(layer, alone, False)
    np.testing.assert_array_equal(whole[0][[row]], single[0])
    if single[1] is not None:
        np.testing.assert_array_equal(whole[1][[row]], single[1])


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
    np.testing.assert_array_equal(state, last)
    if options["return_sequences"]:
        output = output[:, cut:]
    np.testing.assert_array_equal(output, tail)


@settings(max_examples=10)
@given(rnn_problems(kinds=("normal",)))
def test_backward_adds_to_the_gradients(problem: RnnProblem) -> None:
    problem = replace(problem, mask=None)
    layer = make_layer(problem)
    dy: Any = (problem.dy, problem.dstate) if problem.options["return_state"] else problem.dy
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


def large(seed: int, dtype: str, sizes: tuple[int, int, int, int], **options: Any) -> RnnProblem:
    b, t, f, u = sizes
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, n**-0.5, (n, u)) for n in (f, u)] + [rng.normal(size=u)]
    defaults = {
        "units": u, "activation": "tanh", "use_bias": True, "return_sequences": False,
        "return_state": False, "go_backwards": False, "zero_output_for_mask": False,
    }  # fmt: skip
    return RnnProblem(
        dtype, {**defaults, **options}, [w.astype(dtype) for w in weights],
        rng.normal(size=(b, t, f)).astype(dtype), rng.normal(size=(b, u)).astype(dtype),
        rng.normal(size=(b, u)).astype(dtype), None, None, "plain",
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "sizes", [(70, 9, 40, 96), (17, 73, 13, 97), (3, 400, 5, 33), (1, 60, 64, 130)]
)
def test_sizes_that_need_blocks_and_threads(dtype: str, sizes: tuple[int, ...]) -> None:
    problem = large(5, dtype, sizes)
    expected, _ = oracle_pass(problem)
    check(engine_pass(problem), expected, expected, dtype)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_compiled_keras(dtype: str, mode: str) -> None:
    problem = large(6, dtype, (5, 12, 3, 17), go_backwards=True)
    sizes, _ = oracle_pass(problem)
    check(engine_pass(problem), keras_pass(problem, mode), sizes, dtype)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", ["tanh", "relu", "linear", "sigmoid"])
def test_nan_and_infinity_stay_in_their_row(activation: str, bad: float) -> None:
    problem = large(7, "float32", (4, 5, 3, 6), activation=activation)
    clean = forward(make_layer(problem), problem, False)[0]
    problem.x[2, 3, 1] = bad
    output = forward(make_layer(problem), problem, False)[0]
    np.testing.assert_array_equal(np.delete(output, 2, 0), np.delete(clean, 2, 0))
    keras = keras_pass(problem)["output"]
    np.testing.assert_array_equal(np.isnan(output), np.isnan(keras))


def test_config_round_trip() -> None:
    layer = SimpleRNN(
        3, activation="relu", use_bias=False, go_backwards=True, return_state=True, name="tail"
    )
    assert SimpleRNN.from_config(layer.get_config()).get_config() == layer.get_config()
