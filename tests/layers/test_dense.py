"""Dense, layer by itself, on arrays of any rank."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from reference.oracle import Dense as Oracle
from rnn_engine.layers import Dense
from tests import strategies, tolerances

ACTIVATIONS = ("linear", "tanh", "relu", "sigmoid", "softmax")


@dataclass(frozen=True)
class Problem:
    """One Dense layer with its data and the gradient that arrives from above."""

    dtype: str
    activation: str
    weights: list[np.ndarray]
    x: np.ndarray
    dy: np.ndarray
    layout: str

    def oracle(self) -> Oracle:
        wide = [w.astype(np.float64) for w in self.weights]
        return Oracle(wide[0], wide[1] if len(wide) > 1 else None, self.activation)


@st.composite
def problems(draw: Any) -> Problem:
    dtype, kind = draw(strategies.dtypes()), draw(st.sampled_from(strategies.VALUES))
    outer = draw(st.lists(st.sampled_from([1, 2, 3, 5, 8]), min_size=1, max_size=3))
    f, u = draw(st.sampled_from(strategies.FEATURES)), draw(st.sampled_from(strategies.UNITS))
    use_bias = draw(st.booleans())
    rng = np.random.default_rng(draw(strategies.seeds()))
    weights = [rng.normal(0, f**-0.5, (f, u))] + [rng.normal(size=u)] * use_bias
    return Problem(
        dtype,
        draw(st.sampled_from(ACTIVATIONS)),
        [w.astype(dtype) for w in weights],
        strategies.values(rng, (*outer, f), kind, dtype),
        rng.normal(size=(*outer, u)).astype(dtype),
        draw(st.sampled_from(strategies.LAYOUTS)),
    )


def make_layer(problem: Problem) -> Any:
    use_bias = len(problem.weights) > 1
    units = problem.weights[0].shape[1]
    layer = Dense(units, problem.activation, use_bias, dtype=problem.dtype)
    layer.build(problem.x.shape)
    layer.set_weights(problem.weights)
    return layer


def engine_pass(problem: Problem) -> list[np.ndarray]:
    """Return output, dx, and the gradients of the weights."""
    layer = make_layer(problem)
    x = strategies.laid_out(problem.x, problem.layout)
    y, saved = layer.forward(layer.convert(x), True, None)
    output = np.array(y)
    dx = layer.backward(problem.dy, saved)
    return [output, np.array(dx), *(v.grad.copy() for v in layer.trainable_weights)]


def oracle_pass(problem: Problem) -> list[Any]:
    layer = problem.oracle()
    output, grads = layer.forward(problem.x), layer.backward(problem.dy)
    if layer.margin < 2 * tolerances.FACTOR * tolerances.roundoff(problem.dtype):
        reject()  # a relu on its kink
    return [output, grads["x"], *(grads[n] for n in ("kernel", "bias") if n in grads)]


def keras_pass(problem: Problem) -> list[np.ndarray]:
    keras_twin = pytest.importorskip("reference.keras_twin")
    tf = pytest.importorskip("tensorflow")
    config = {"units": problem.weights[0].shape[1], "activation": problem.activation}
    config["use_bias"] = len(problem.weights) > 1
    layer = keras_twin.keras_layer("Dense", config, problem.dtype)
    layer.build(problem.x.shape)
    layer.set_weights(problem.weights)
    x = tf.constant(problem.x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        total = tf.reduce_sum(y * problem.dy)
    grads = tape.gradient(total, [x, *(v.value for v in layer.trainable_variables)])
    return [np.asarray(y), *map(np.asarray, grads)]


def check(found: list[Any], expected: list[Any], sizes: list[Any], dtype: str) -> None:
    rows = int(np.prod(sizes[0].shape[:-1]))
    for value, wanted, size in zip(found, expected, sizes, strict=True):
        error = tolerances.relative_error(value, wanted, dtype, size)
        assert error <= tolerances.tolerance(dtype, rows)


@given(problems())
def test_engine_agrees_with_the_oracle(problem: Problem) -> None:
    expected = oracle_pass(problem)
    check(engine_pass(problem), expected, expected, problem.dtype)


# Keras warns at a softmax over one unit.
@pytest.mark.filterwarnings("ignore:You are using a softmax:UserWarning")
@settings(max_examples=strategies.keras_examples())
@given(problems())
def test_engine_and_oracle_agree_with_keras(problem: Problem) -> None:
    sizes, keras = oracle_pass(problem), keras_pass(problem)
    check(engine_pass(problem), keras, sizes, problem.dtype)
    check(keras, sizes, sizes, problem.dtype)


@given(problems())
def test_layout_makes_no_difference(problem: Problem) -> None:
    plain = Problem(*(*vars(problem).values(),)[:-1], "plain")
    for a, b in zip(engine_pass(problem), engine_pass(plain), strict=True):
        np.testing.assert_array_equal(a, b)


@given(problems(), st.data())
def test_a_row_has_the_same_bits_in_any_batch(problem: Problem, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(problem.x) - 1))
    layer = make_layer(problem)
    np.testing.assert_array_equal(layer(problem.x)[[row]], layer(problem.x[[row]]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_by_finite_differences(activation: str) -> None:
    rng = np.random.default_rng(11)
    weights, x = [rng.normal(size=(3, 4)), rng.normal(size=4)], rng.normal(size=(2, 5, 3))
    problem = Problem("float64", activation, weights, x, rng.normal(size=(2, 5, 4)), "plain")
    _, dx, dw, db = engine_pass(problem)
    d = tolerances.DIFFERENCE_STEP
    for array, grad in ((x, dx), (weights[0], dw), (weights[1], db)):
        assert np.all(np.abs(grad) > 0)
        for index in np.ndindex(array.shape):
            kept, losses = array[index], []
            for step in (d, -d):
                array[index] = kept + step
                losses.append(np.sum(make_layer(problem)(x) * problem.dy))
            array[index] = kept
            slope = (losses[0] - losses[1]) / (2 * d)
            assert slope == pytest.approx(grad[index], abs=tolerances.FINITE_DIFFERENCE * 10)


def test_backward_adds_to_the_gradients() -> None:
    rng = np.random.default_rng(12)
    weights = [rng.normal(size=(3, 4)), rng.normal(size=4)]
    x, dy = rng.normal(size=(6, 3)), rng.normal(size=(6, 4))
    layer = make_layer(Problem("float64", "tanh", weights, x, dy, "plain"))
    _, saved = layer.forward(x, True, None)
    layer.backward(dy, saved)
    once = [v.grad.copy() for v in layer.trainable_weights]
    assert layer.backward(dy, saved, need_dx=False) is None
    for variable, first in zip(layer.trainable_weights, once, strict=True):
        np.testing.assert_allclose(variable.grad, 2 * first, rtol=1e-13)


def test_large_enough_for_blocks_and_threads() -> None:
    rng = np.random.default_rng(13)
    weights = [rng.normal(0, 0.05, (300, 130)), rng.normal(size=130)]
    x, dy = rng.normal(size=(515, 300)), rng.normal(size=(515, 130))
    for dtype in ("float32", "float64"):
        problem = Problem(
            dtype, "tanh", [w.astype(dtype) for w in weights], x.astype(dtype), dy.astype(dtype),
            "plain",
        )  # fmt: skip
        expected = oracle_pass(problem)
        check(engine_pass(problem), expected, expected, dtype)
