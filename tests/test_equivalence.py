"""Whole models on three sides: engine, Keras, oracle; and against the goldens."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings

from reference import compare, engine, goldens
from reference.case import Case, dense, rnn
from reference.cases import fixed_cases
from reference.oracle import Result, make_model
from tests import strategies, tolerances

DTYPES = ("float32", "float64")
FIXED = [case for case in fixed_cases() if case.batch * case.steps <= 512]


def oracle_sides(result: Result) -> dict[str, Any]:
    return {
        "output": result.output,
        "loss": result.loss,
        "parameters": result.parameters,
        "inputs": result.inputs,
    }


def check(
    found: dict[str, Any], expected: dict[str, Any], sizes: dict[str, Any], dtype: str, terms: int
) -> None:
    allowed = tolerances.tolerance(dtype, terms)
    for key in ("output", "loss", "inputs"):
        assert tolerances.relative_error(found[key], expected[key], dtype, sizes[key]) <= allowed, (
            key
        )
    every = zip(found["parameters"], expected["parameters"], sizes["parameters"], strict=True)
    for index, (value, wanted, size) in enumerate(every):
        error = tolerances.relative_error(value, wanted, dtype, size)
        assert error <= allowed, f"gradient {index}: {error}"
        if np.abs(size.value).max() > compare.floor(dtype):
            assert np.any(value), f"gradient {index} is zero"


def engine_side(case: Case, dtype: str) -> dict[str, Any]:
    return engine.gradients(engine.model_of(case, dtype), *case.data(dtype), case.loss)


def keras_side(case: Case, dtype: str, mode: str) -> dict[str, Any]:
    keras_twin = pytest.importorskip("reference.keras_twin")
    twin = keras_twin.twin_of(engine.model_of(case, dtype), dtype)
    loss = keras_twin.keras_loss(case.loss, dtype)
    return keras_twin.gradients(twin, *case.data(dtype), loss, mode)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", FIXED, ids=lambda case: case.name)
def test_three_sides_of_a_named_case(case: Case, dtype: str) -> None:
    terms = case.batch * case.steps
    oracle = oracle_sides(case.oracle(dtype).gradients(*case.data(dtype), case.loss))
    ours, keras = engine_side(case, dtype), keras_side(case, dtype, "eager")
    check(ours, oracle, oracle, dtype, terms)
    check(keras, oracle, oracle, dtype, terms)
    check(ours, keras, oracle, dtype, terms)
    if dtype == "float64":
        for a, b in zip(ours["parameters"], keras["parameters"], strict=True):
            assert np.abs(a - b).max() <= tolerances.GRADIENTS_64 * np.abs(b).max()


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "case", [c for c in FIXED if c.name in ("odd sizes", "stack of three", "softmax")],
    ids=lambda case: case.name,
)  # fmt: skip
def test_compiled_keras(case: Case, dtype: str, mode: str) -> None:
    sizes = oracle_sides(case.oracle(dtype).gradients(*case.data(dtype), case.loss))
    keras = keras_side(case, dtype, mode)
    check(engine_side(case, dtype), keras, sizes, dtype, case.batch * case.steps)


@given(strategies.cases(), strategies.dtypes())
def test_drawn_models_agree_with_the_oracle(case: Case, dtype: str) -> None:
    assume(case.comparable(dtype))
    oracle = oracle_sides(case.oracle(dtype).gradients(*case.data(dtype), case.loss))
    check(engine_side(case, dtype), oracle, oracle, dtype, case.batch * case.steps)


@settings(max_examples=strategies.keras_examples())
@given(strategies.cases(), strategies.dtypes())
def test_drawn_models_agree_with_keras(case: Case, dtype: str) -> None:
    assume(case.comparable(dtype))
    sizes = oracle_sides(case.oracle(dtype).gradients(*case.data(dtype), case.loss))
    keras = keras_side(case, dtype, "eager")
    check(engine_side(case, dtype), keras, sizes, dtype, case.batch * case.steps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sample_weights(dtype: str) -> None:
    case = Case("weighted", [rnn(5), dense(2)], (6, 4, 3), seed=50)
    x, y = case.data(dtype)
    weight = np.array([0.5, 0.0, 2.0, 1.0, 3.0, 0.25], dtype)
    oracle = oracle_sides(case.oracle(dtype).gradients(x, y, case.loss, weight))
    ours = engine.gradients(engine.model_of(case, dtype), x, y, case.loss, weight)
    check(ours, oracle, oracle, dtype, 24)
    keras_twin = pytest.importorskip("reference.keras_twin")
    twin = keras_twin.twin_of(engine.model_of(case, dtype))
    loss = keras_twin.keras_loss(case.loss, dtype)
    check(ours, keras_twin.gradients(twin, x, y, loss, "eager", weight), oracle, dtype, 24)


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_go_both_ways(dtype: str) -> None:
    keras_twin = pytest.importorskip("reference.keras_twin")
    case = FIXED[0]
    ours = engine.model_of(case, dtype)
    twin = keras_twin.twin_of(ours)
    x, y = case.data(dtype)
    keras_twin.train(twin, x, y, 3, "adam", case.loss)
    before = ours.get_weights()
    keras_twin.copy_weights(twin, ours)
    for a, b, old in zip(ours.get_weights(), twin.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, old)
    assert [v.path.split("/")[-1] for v in ours.weights] == [
        v.path.split("/")[-1] for v in twin.weights
    ]


GOLDENS = sorted(goldens.FOLDER.glob("*.npz"))


def test_goldens_are_there() -> None:
    expected = {goldens.file_name(c, d) for c in goldens.golden_cases() for d in DTYPES}
    assert {path.name for path in GOLDENS} == expected


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    """What Keras computed once: forward, gradients, training. Needs no TensorFlow."""
    golden = goldens.load(path)
    assert {"seed", "keras", "tensorflow", "numpy"} <= golden.made_with.keys()
    x, y, weights = golden.arrays["x"], golden.arrays["y"], golden.many("weight")
    model = engine.engine_model(golden.layers, golden.input_shape, golden.dtype, weights)
    sizes = oracle_sides(make_model(golden.layers, weights).gradients(x, y, golden.loss))
    expected = {key: golden.arrays[key] for key in ("output", "loss", "inputs")}
    expected["parameters"] = golden.many("gradient")
    found = engine.gradients(model, x, y, golden.loss)
    check(found, expected, sizes, golden.dtype, int(np.prod(x.shape[:2])))

    model.compile(optimizer=golden.optimizer, loss=golden.loss)
    losses = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(golden.training_steps)]
    allowed = tolerances.TRAINING[golden.dtype]
    assert compare.relative_error(losses, golden.arrays["losses"], golden.dtype) <= allowed
    for ours, theirs in zip(model.get_weights(), golden.many("trained"), strict=True):
        assert compare.relative_error(ours, theirs, golden.dtype) <= allowed
