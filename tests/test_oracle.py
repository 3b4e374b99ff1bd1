"""The oracle's cells by themselves: against Keras's layers, and against finite differences."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings

from reference.oracle_functions import ACTIVATIONS
from tests import strategies, tolerances
from tests.strategies import ALL_CELLS, RnnProblem, rnn_problems

CELL_NAMES = [name + "".join(f", {k} {v}" for k, v in own.items()) for name, own in ALL_CELLS]
NOT_IN_KERAS = ("gelu_approximate", "hard_sigmoid_keras2")
CHECKED = tuple(name for name in ACTIVATIONS if name not in NOT_IN_KERAS)


def oracle_pass(problem: RnnProblem, dropped: Any = (None, None)) -> tuple[dict[str, Any], float]:
    """Return every quantity by name, and the margin."""
    layer = problem.oracle()
    layer.input_mask, layer.recurrent_mask = dropped
    output, state = layer.forward(problem.x, problem.initial_state, problem.mask)
    keeps_state = problem.options["return_state"]
    grads = layer.backward(problem.dy, problem.dstate if keeps_state else None)
    found = {"output": output, "x": grads["x"], **{name: grads[name] for name in problem.names()}}
    found.update(numbered("state", state if keeps_state else None))
    found.update(
        numbered("gradient of state", grads["initial_state"], problem.initial_state is None)
    )
    return found, layer.margin


def numbered(label: str, states: Any, absent: bool = False) -> dict[str, Any]:
    """Name the states of a layer by their numbers."""
    if states is None or absent:
        return {}
    states = states if isinstance(states, list) else [states]
    return {f"{label} {i}": state for i, state in enumerate(states)}


def keras_pass(
    problem: RnnProblem, mode: str = "eager", dropped: Any = (None, None)
) -> dict[str, Any]:
    """Return what Keras's layer finds, by the same names."""
    keras_twin = pytest.importorskip("reference.keras_twin")
    layer = keras_twin.keras_layer(problem.cell, problem.options, problem.dtype)
    layer.build((None, *problem.x.shape[1:]))
    layer.set_weights(problem.weights)
    keras_twin.fix_dropout(layer, *dropped)
    found = keras_twin.layer_pass(
        layer, problem.x, problem.dy, mode, problem.initial_state, problem.mask,
        problem.dstate, training=dropped[0] is not None or dropped[1] is not None,
    )  # fmt: skip
    return {
        "output": found["output"],
        "x": found["inputs"],
        **dict(zip(problem.names(), found["parameters"], strict=True)),
        **numbered("state", found["state"]),
        **numbered("gradient of state", found["initial_state"]),
    }


def check(found: dict[str, Any], expected: dict[str, Any], problem: RnnProblem) -> None:
    assert found.keys() == expected.keys()
    allowed = tolerances.tolerance(problem.dtype, int(np.prod(problem.x.shape[:2])))
    for name, value in found.items():
        error = tolerances.relative_error(value, expected[name], problem.dtype)
        assert error <= allowed, f"{name}: {error}"


def a_problem(
    cell: tuple[str, dict[str, Any]], seed: int, dtype: str = "float64", **options: Any
) -> RnnProblem:
    """Return a problem with a state, holes in its mask and sequences, of fixed sizes."""
    name, own = cell
    (b, t, f, u), rng = (4, 6, 3, 5), np.random.default_rng(seed)
    options = {
        "units": u, "activation": "tanh", "use_bias": True, "return_sequences": True,
        "return_state": True, "go_backwards": False, "zero_output_for_mask": False,
        **own, **options,
    }  # fmt: skip
    weights = strategies.weights_of(rng, name, f, options)
    count = 2 if name == "LSTM" else 1
    states = [[rng.normal(size=(b, u)).astype(dtype) for _ in range(count)] for _ in range(2)]
    start, dstate = (s if count > 1 else s[0] for s in states)
    return RnnProblem(
        dtype=dtype, options=options, weights=[w.astype(dtype) for w in weights],
        x=rng.normal(size=(b, t, f)).astype(dtype), dy=rng.normal(size=(b, t, u)).astype(dtype),
        dstate=dstate, initial_state=start, mask=strategies.a_mask(rng, "holes", b, t),
        layout="plain", cell=name,
    )  # fmt: skip


@settings(max_examples=2 * strategies.keras_examples())
@given(rnn_problems(cells=ALL_CELLS))
def test_drawn_layers_agree_with_keras(problem: RnnProblem) -> None:
    expected, margin = oracle_pass(problem)
    assume(margin > 2 * tolerances.FACTOR * tolerances.roundoff(problem.dtype))
    assume(all(tolerances.knowable(q, problem.dtype) for q in expected.values()))
    check(keras_pass(problem), expected, problem)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ALL_CELLS, ids=CELL_NAMES)
def test_agrees_with_compiled_keras(cell: Any, dtype: str, mode: str) -> None:
    problem = a_problem(cell, 1, dtype, go_backwards=True)
    check(keras_pass(problem, mode), oracle_pass(problem)[0], problem)


@pytest.mark.parametrize("which", ["activation", "recurrent_activation"])
@pytest.mark.parametrize("activation", CHECKED)
def test_every_activation(activation: str, which: str) -> None:
    """In a GRU that resets before, which has every kind of product.

    TensorFlow keeps the constants of two activations in float32, whatever their input.
    """
    dtype = "float32" if activation in ("leaky_relu", "gelu") else "float64"
    problem = a_problem(ALL_CELLS[3], 2, dtype, **{which: activation})
    # Some grow without bound; with weights this small their sums do not.
    problem = replace(problem, weights=[w / 4 for w in problem.weights])
    expected, margin = oracle_pass(problem)
    assert margin > 2 * tolerances.FACTOR * tolerances.roundoff(dtype)
    check(keras_pass(problem), expected, problem)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cell", ALL_CELLS, ids=CELL_NAMES)
def test_dropout_masks(cell: Any, go_backwards: bool) -> None:
    """With recurrent dropout, Keras has a mask a gate, for the input as well."""
    problem = a_problem(cell, 3, go_backwards=go_backwards)
    options = {**problem.options, "dropout": 0.5, "recurrent_dropout": 0.2}
    problem = replace(problem, options=options)
    gates = problem.weights[0].shape[1] // problem.options["units"]
    rng, one = np.random.default_rng(4), problem.cell == "SimpleRNN"
    shapes = [(4, n) if one else (gates, 4, n) for n in (3, 5)]
    dropped = tuple(
        (rng.random(shape) > rate) / (1 - rate)
        for shape, rate in zip(shapes, (0.5, 0.2), strict=True)
    )
    expected, _ = oracle_pass(problem, dropped)
    check(keras_pass(problem, dropped=dropped), expected, problem)
    plain, _ = oracle_pass(problem)
    for name, quantity in expected.items():
        assert not np.allclose(quantity.value, plain[name].value), name


@pytest.mark.parametrize("cell", ALL_CELLS[1:], ids=CELL_NAMES[1:])
def test_dropout_of_the_input_alone(cell: Any) -> None:
    """One mask for all gates."""
    problem = a_problem(cell, 5)
    problem = replace(problem, options={**problem.options, "dropout": 0.5})
    mask = (np.random.default_rng(6).random((4, 3)) > 0.5) * 2.0
    expected, _ = oracle_pass(problem, (mask, None))
    check(keras_pass(problem, dropped=(mask, None)), expected, problem)


@settings(max_examples=15)
@given(rnn_problems(kinds=("normal",), cells=ALL_CELLS))
def test_gradients_by_finite_differences(problem: RnnProblem) -> None:
    """The slope along a direction of weights, input and states, in float64."""
    # Some grow without bound, and bend within the step; with weights this small they do not.
    problem = replace(problem, dtype="float64", weights=[w / 4 for w in problem.weights])
    d = tolerances.DIFFERENCE_STEP
    found, margin = oracle_pass(problem)
    assume(margin > 100 * d)
    start = problem.initial_state
    states = start if isinstance(start, list) else [] if start is None else [start]
    arrays = [np.float64(a) for a in (*problem.weights, problem.x, *states)]
    names = [*problem.names(), "x", *(f"gradient of state {i}" for i in range(len(states)))]
    rng, count = np.random.default_rng(0), len(problem.weights)

    def loss(moved: list[np.ndarray]) -> float:
        rest = moved[count + 1 :]
        given = (rest if len(rest) > 1 else rest[0]) if rest else None
        other = replace(problem, weights=moved[:count], x=moved[count], initial_state=given)
        ends, _ = oracle_pass(other)
        total = float(np.sum(ends["output"].value * problem.dy))
        if problem.options["return_state"]:
            last = problem.dstate if isinstance(problem.dstate, list) else [problem.dstate]
            total += sum(float(np.sum(ends[f"state {i}"].value * g)) for i, g in enumerate(last))
        return total

    for position, name in enumerate(names):
        grad = found[name].value
        way = rng.normal(size=grad.shape)
        ends = [
            loss([a + step * way if i == position else a for i, a in enumerate(arrays)])
            for step in (d, -d)
        ]
        slope, size = (ends[0] - ends[1]) / (2 * d), np.sum(np.abs(grad * way)) + 1
        assert abs(slope - np.sum(grad * way)) <= tolerances.FINITE_DIFFERENCE * size, name
