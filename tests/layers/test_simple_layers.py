"""Every layer without recurrence: against Keras, and by finite differences."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_engine.layers.base import registry
from tests import strategies, tolerances
from tests.layers.samples import RANDOM, SAMPLES, Problem, problems


def engine_pass(problem: Problem, dtype: str) -> list[np.ndarray]:
    """Return output, gradients of the weights, all weights after the call, and dx."""
    layer = problem.make(dtype)
    y, saved = problem.call(layer)
    assert y.dtype == dtype
    output = np.array(y)
    dx = layer.backward(problem.dy.astype(dtype), saved)
    grads = [v.grad.copy() for v in layer.trainable_weights]
    return [output, *grads, *layer.get_weights(), *([] if dx is None else [np.array(dx)])]


def keras_pass(problem: Problem) -> list[np.ndarray]:
    """Return the same of the Keras twin, in float64."""
    keras_twin = pytest.importorskip("reference.keras_twin")
    tf = keras_twin.tf
    config = problem.make("float64").get_config()
    layer = keras_twin.keras_layer(problem.layer, config, "float64")
    x = problem.x if problem.x.dtype.kind == "i" else problem.x.astype(np.float64)
    layer.build((None, *x.shape[1:]))
    layer.set_weights(problem.weights)
    call = {} if problem.mask is None else {"mask": tf.constant(problem.mask)}
    if problem.layer in (*RANDOM, "BatchNormalization"):
        call["training"] = problem.training
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, **call)
        total = tf.reduce_sum(y * tf.constant(problem.dy.astype(np.float64)))
    sources = [v.value for v in layer.trainable_variables]
    sources += [x] if x.dtype.is_floating else []
    grads = [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(total, sources)]
    count = len(layer.trainable_variables)
    return [np.asarray(y), *grads[:count], *layer.get_weights(), *grads[count:]]


def check(problem: Problem, dtype: str, expected: list[np.ndarray]) -> None:
    found = engine_pass(problem, dtype)
    assert len(found) == len(expected)
    # A normalization amplifies rounding errors by up to 1/sqrt(0.001) = 32. The sums of
    # float32 are in float64 here; the float64 reference has such errors of its own.
    allowed = max(4 * tolerances.tolerance(dtype, problem.x.size), tolerances.GRADIENTS_64)
    for value, wanted in zip(found, expected, strict=True):
        size = np.full(wanted.shape, max(1.0, np.abs(wanted[np.isfinite(wanted)]).max(initial=0)))
        assert tolerances.relative_error(value, wanted, dtype, size) <= allowed


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=strategies.keras_examples())
@given(st.data())
def test_agrees_with_keras(name: str, data: st.DataObject) -> None:
    problem = data.draw(problems(name))
    expected = keras_pass(problem)
    for dtype in ("float32", "float64"):
        check(problem, dtype, expected)


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"GlobalMaxPooling1D"}))
@settings(max_examples=6)
@given(st.data())
def test_gradients_by_finite_differences(name: str, data: st.DataObject) -> None:
    problem = data.draw(problems(name))
    layer = problem.make("float64")
    dy, weights = problem.dy.astype(np.float64), layer.trainable_weights
    x = problem.x if problem.x.dtype.kind == "i" else problem.x.astype(np.float64)
    if name == "Masking":
        x[x == problem.options["mask_value"]] += 0.1
    dx = layer.backward(dy, layer.forward(x, problem.training, problem.mask)[1])
    rng, d = np.random.default_rng(0), tolerances.DIFFERENCE_STEP
    pairs = [(v.value, v.grad.copy()) for v in weights]
    if dx is not None:
        pairs.append((x, np.array(dx)))
    for array, grad in pairs:
        for _ in range(4):
            index = tuple(int(rng.integers(size)) for size in array.shape)
            kept, values = array[index], []
            for step in (d, -d):
                array[index] = kept + step
                y = layer.forward(x, problem.training, problem.mask)[0]
                finite = np.isfinite(y)  # the mean of no step is none
                values.append(np.sum(np.where(finite, y, 0) * dy))
            array[index] = kept
            slope = (values[0] - values[1]) / (2 * d)
            size = max(1.0, np.abs(grad).max())
            assert abs(slope - grad[index]) <= 20 * tolerances.FINITE_DIFFERENCE * size


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=5)
@given(st.data())
def test_layout_makes_no_difference(name: str, data: st.DataObject) -> None:
    problem = data.draw(problems(name))
    plain = Problem(*list(vars(problem).values())[:-1], "plain")
    exact = name != "BatchNormalization"  # its rows are added as they lie in memory
    for a, b in zip(engine_pass(problem, "float32"), engine_pass(plain, "float32"), strict=True):
        np.testing.assert_allclose(a, b, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-5)


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=3)
@given(st.data())
def test_config_rebuilds_the_layer(name: str, data: st.DataObject) -> None:
    problem = data.draw(problems(name))
    layer = registry.lookup(name)(**problem.options, name="mine", trainable=False)
    config = json.loads(json.dumps(registry.serialize(layer)))
    again = registry.deserialize(config)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    for key, value in problem.options.items():
        if value is not None:
            assert getattr(again, key) == (tuple(value) if key == "dims" else value)


def settings_of(layer: Any) -> dict[str, Any]:
    return {k: v for k, v in layer.get_config().items() if k not in ("name", "dtype", "trainable")}


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=2)
@given(st.data())
def test_defaults_are_those_of_keras(name: str, data: st.DataObject) -> None:
    keras = pytest.importorskip("keras")
    problem = data.draw(problems(name))
    required = {
        "Dropout": ["rate"], "AlphaDropout": ["rate"], "SpatialDropout1D": ["rate"],
        "GaussianDropout": ["rate"], "GaussianNoise": ["stddev"], "Permute": ["dims"],
        "Embedding": ["input_dim", "output_dim"], "RepeatVector": ["n"], "Rescaling": ["scale"],
        "Reshape": ["target_shape"],
    }.get(name, [])  # fmt: skip
    given = [problem.options[key] for key in required]  # by position, so the order counts
    mine = settings_of(registry.lookup(name)(*given))
    theirs = settings_of(getattr(keras.layers, name)(*given))
    for key, value in mine.items():
        if key.endswith("initializer"):
            assert value["class_name"] == theirs[key]["class_name"]
        else:
            assert value == theirs[key], key
    absent = {
        "renorm", "renorm_clipping", "renorm_momentum", "synchronized", "rms_scaling",
        "quantization_config", "activity_regularizer",
    }  # fmt: skip
    assert set(theirs) - set(mine) <= absent
