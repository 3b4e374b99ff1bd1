"""Every registered activation: against Keras, by finite differences, and what it accepts."""

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine import activations, ops
from rnn_engine.layers import Dense, SimpleRNN
from tests import tolerances

# Those of ONNX are none of Keras's: tests/saving/onnx_files compares them.
NAMES = sorted(n for n in activations.registry.entries if not n.startswith("onnx_"))
# Needs arguments, so a layer cannot call it.
PLAIN = [name for name in NAMES if name != "threshold"]
ELEMENTWISE = [name for name in PLAIN if activations.get(name).code is not None]

ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "relu": st.fixed_dictionaries(
        {},
        optional={
            "negative_slope": st.sampled_from([0.0, 0.1, 1.5]),
            "max_value": st.sampled_from([None, 0.7, 6.0, 6]),
            "threshold": st.sampled_from([0.0, 0.3, -0.4]),
        },
    ),
    "leaky_relu": st.fixed_dictionaries({"negative_slope": st.sampled_from([0.0, 0.05, 0.3])}),
    "elu": st.fixed_dictionaries({"alpha": st.sampled_from([0.3, 1.0, 2.0])}),
    "celu": st.fixed_dictionaries({"alpha": st.sampled_from([0.3, 1.0, 2.0])}),
    "gelu": st.fixed_dictionaries({"approximate": st.booleans()}),
    "soft_shrink": st.fixed_dictionaries({"threshold": st.sampled_from([0.1, 0.5, 2.0])}),
    "hard_shrink": st.fixed_dictionaries({"threshold": st.sampled_from([0.1, 0.5, 2.0])}),
    "squareplus": st.fixed_dictionaries({"b": st.sampled_from([0.5, 4, 9])}),
    "threshold": st.fixed_dictionaries(
        {"threshold": st.sampled_from([-0.5, 0.2]), "default_value": st.sampled_from([0.0, 7.0])}
    ),
    **dict.fromkeys(
        ["softmax", "log_softmax"],
        st.fixed_dictionaries({}, optional={"axis": st.sampled_from([-1, 0, 1, 2, -2, None])}),
    ),
    **dict.fromkeys(
        ["sparsemax", "glu"],
        st.fixed_dictionaries({}, optional={"axis": st.sampled_from([-1, 0, 1, 2, -2])}),
    ),
}


def bound(name: str, arguments: dict[str, Any]) -> activations.Activation:
    activation = activations.get(name)
    return activation.with_arguments(**arguments) if arguments else activation  # type: ignore[attr-defined]


def away_from_kinks(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Normal numbers, none within 0.01 of a multiple of 0.05: no slope jumps elsewhere."""
    x = np.random.default_rng(seed).normal(size=shape) * 2
    grid = np.round(x / 0.05) * 0.05
    return np.where(np.abs(x - grid) < 0.01, grid + 0.015, x)


def against_keras(name: str, dtype: str, arguments: dict[str, Any]) -> float:
    """Return the tolerance of a comparison with Keras.

    TensorFlow rounds the arguments to float32 also in float64, and the root of 2 in gelu;
    its approximate gelu loses digits to a sum that cancels.
    """
    if dtype == "float32":
        return 3e-5 if name == "gelu" else 3e-6
    return 1e-6 if arguments or name in ("gelu", "leaky_relu") else 3e-14


def saved_by(activation: activations.Activation, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x if activation.from_input else y


def test_every_name_of_keras_is_here() -> None:
    keras = pytest.importorskip("keras")
    theirs = {
        name
        for name in dir(keras.activations)
        if callable(getattr(keras.activations, name)) and not name.startswith("_")
    }
    missing = theirs - {"get", "serialize", "deserialize"} - set(NAMES)
    assert not missing
    assert all(getattr(activations, name) is activations.get(name) for name in theirs & set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_signature_is_that_of_keras(name: str) -> None:
    keras = pytest.importorskip("keras")
    ours = inspect.signature(activations.get(name)).parameters
    theirs = inspect.signature(getattr(keras.activations, name)).parameters
    assert list(ours) == list(theirs)
    assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_value_and_gradient_agree_with_keras(name: str, dtype: str, data: Any) -> None:
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")
    arguments = data.draw(ARGUMENTS.get(name, st.just({})))
    seed = data.draw(st.integers(0, 2**16))
    x = away_from_kinks((2, 4, 6), seed).astype(dtype)
    if name == "sparsemax":
        # One entry above the rest by 10 at least: with more than one in its support Keras
        # 3.15 adds up the wrong sums, and its result does not sum to 1.
        x = 10 * np.random.default_rng(seed).permutation(48).reshape(x.shape).astype(dtype)
    activation = bound(name, arguments)
    y = activation(x)
    dy = np.random.default_rng(seed + 1).normal(size=y.shape).astype(dtype)
    with tf.GradientTape() as tape:
        z = tf.constant(x)
        tape.watch(z)
        expected = getattr(keras.activations, name)(z, **arguments)
    slope = tape.gradient(expected, z, tf.constant(dy))
    limit = against_keras(name, dtype, arguments)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=limit, atol=limit)
    dx = activation.backward(dy, saved_by(activation, x, y))
    assert dx.dtype == dtype
    np.testing.assert_allclose(dx, slope, rtol=limit, atol=limit)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_backward_by_finite_differences(name: str, data: Any) -> None:
    activation = bound(name, data.draw(ARGUMENTS.get(name, st.just({}))))
    x = away_from_kinks((2, 4, 6), data.draw(st.integers(0, 2**16)))
    if name == "sparsemax":  # its kinks lie at differences of two inputs
        x = x + np.arange(48).reshape(x.shape) * 1e-4
    y = activation(x)
    dy = np.random.default_rng(3).normal(size=y.shape)
    dx = activation.backward(dy, saved_by(activation, x, y))
    step = tolerances.DIFFERENCE_STEP
    numeric = np.empty_like(x)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        numeric[place] = ((activation(up) - activation(down)) * dy).sum() / (2 * step)
    np.testing.assert_allclose(dx, numeric, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", PLAIN)
def test_any_layout_gives_the_same(name: str) -> None:
    activation = activations.get(name)
    plain = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    y = activation(plain)
    dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    dx = activation.backward(dy, saved_by(activation, plain, y))
    time_major = np.ascontiguousarray(plain.transpose(1, 0, 2)).transpose(1, 0, 2)
    frozen = plain.copy()
    frozen.flags.writeable = False
    wide = np.repeat(plain, 2, axis=1)[:, ::2]
    for x in (time_major, frozen, wide, plain.astype(">f4")):
        again = activation(x)
        assert again.tobytes() == y.tobytes()
        kept = saved_by(activation, x.astype(np.float32, copy=False), again)
        assert activation.backward(dy[..., :], kept).tobytes() == dx.tobytes()
    if name != "linear":
        assert activation(time_major).strides[:2] == tuple(
            s * y.shape[-1] // 4 for s in time_major.strides[:2]
        )


@pytest.mark.parametrize("name", PLAIN)
def test_empty_scalars_and_integers(name: str) -> None:
    activation = activations.get(name)
    assert activation(np.zeros((0, 4), np.float32)).shape[0] == 0
    assert activation([[1, 2], [3, 4]]).dtype == np.float32
    if name in ELEMENTWISE:
        assert activation(np.float64(0.5)).shape == ()
    with pytest.raises(ValueError, match="real numbers"):
        activation(np.array([["a", "b"]]))


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("mask", [False, True])
def test_works_inside_the_recurrent_and_dense_kernels(name: str, mask: bool) -> None:
    """The layer's gradient by finite differences of its own float64 output."""
    rng = np.random.default_rng(4)
    layers = [
        SimpleRNN(3, name, return_sequences=True, dtype="float64"),
        Dense(3, name, dtype="float64"),
    ]
    x = rng.normal(size=(2, 4, 3))
    steps = np.array([[True, True, False, True], [True, False, True, True]]) if mask else None
    for layer in layers:
        layer.build((None, 4, 3))
        layer.set_weights([rng.normal(size=w.shape) * 0.2 for w in layer.weights])
        y, saved = layer.forward(x, True, steps)
        y = y.copy()
        dy = rng.normal(size=y.shape)
        dx = layer.backward(dy, saved)
        change = rng.normal(size=x.shape)
        step = 1e-6
        ends = [layer.forward(x + s * change, True, steps)[0].copy() for s in (step, -step)]
        numeric = ((ends[0] - ends[1]) * dy).sum() / (2 * step)
        np.testing.assert_allclose((dx * change).sum(), numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
def test_dense_applies_the_others_after_its_kernel(name: str) -> None:
    layer = Dense(4, name, dtype="float64")
    x = np.random.default_rng(0).normal(size=(3, 2))
    y = layer(x)
    np.testing.assert_allclose(
        y, activations.get(name)(x @ layer.kernel.value + layer.bias.value), rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("classes", [1, 15, 16, 17, 20_000])
def test_softmax_of_a_row_has_the_same_bits_in_any_company(name: str, classes: int) -> None:
    x = np.random.default_rng(0).normal(size=(40, classes)).astype(np.float32) * 5
    activation = activations.get(name)
    y = activation(x)
    single = np.concatenate([activation(row[None]) for row in x])
    assert y.tobytes() == single.tobytes()
    dy = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    dx = activation.backward(dy, y)
    rows = [activation.backward(dy[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    assert dx.tobytes() == np.concatenate(rows).tobytes()
    wide = x.astype(float)
    exact = wide - wide.max(-1, keepdims=True)
    exact = exact - np.log(np.exp(exact).sum(-1, keepdims=True))
    expected = exact if name == "log_softmax" else np.exp(exact)
    np.testing.assert_allclose(y, expected, rtol=5e-6, atol=1e-30)


@given(st.integers(0, 2**16), st.floats(0.01, 3.0))
def test_sparsemax_is_the_nearest_point_of_the_simplex(seed: int, scale: float) -> None:
    """By its optimality: x - y is the same number in the support, and no larger elsewhere."""
    x = np.random.default_rng(seed).normal(size=(3, 7)) * scale
    y = activations.sparsemax(x)
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-13)
    for row, point in zip(x, y, strict=True):
        tau = (row - point)[point > 0]
        np.testing.assert_allclose(tau, tau[0], atol=1e-13)
        assert (row[point == 0] <= tau[0] + 1e-13).all()


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_serialized_and_back(name: str, data: Any) -> None:
    arguments = data.draw(ARGUMENTS.get(name, st.just({})))
    activation = bound(name, arguments)
    again = activations.deserialize(activations.serialize(activation))
    x = np.random.default_rng(0).normal(size=(2, 4, 6))
    if activation is activations.threshold:
        assert again is activation
    else:
        np.testing.assert_array_equal(again(x), activation(x))


def test_get() -> None:
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu
    assert activations.get(activations.relu) is activations.relu
    assert activations.serialize(activations.relu) == "relu"
    assert activations.get({"class_name": "function", "config": "tanh"}) is activations.tanh
    mine = activations.CustomActivation(np.sin, np.cos)
    assert activations.deserialize("wave", {"wave": mine}) is mine


@pytest.mark.parametrize("bad", ["nope", 3, {"a": 1}, {"class_name": "x", "config": 1}])
def test_get_refuses(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"activation function"):
        activations.get(bad)


def test_a_function_of_a_user_is_differentiated() -> None:
    wave = activations.get(lambda z: np.sin(z) * z)
    z = np.linspace(-2, 2, 6).astype("float32").reshape(2, 3)
    np.testing.assert_allclose(wave(z), np.sin(z) * z, rtol=1e-6)
    assert wave(z).dtype == np.float32
    slope = np.cos(z) * z + np.sin(z)
    np.testing.assert_allclose(wave.backward(np.full_like(z, 2), z), 2 * slope, rtol=1e-5)
    assert activations.get(ops.tanh) is activations.tanh
    assert activations.get({"class_name": "function", "config": "gelu"}) is activations.gelu


def test_arguments_are_checked() -> None:
    with pytest.raises(TypeError):
        activations.elu(np.ones(2), beta=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        activations.threshold(np.ones(2))
    with pytest.raises(ValueError, match="divisible by 2"):
        activations.glu(np.ones((2, 3)))
    with pytest.raises(ValueError, match="axis 3 of softmax"):
        activations.softmax(np.ones((2, 3)), axis=3)


def test_custom_activation_trains_in_dense() -> None:
    cube = activations.CustomActivation(lambda z: z**3, lambda z: 3 * z**2, name="cube")
    layer = Dense(2, cube, dtype="float64")
    x = np.random.default_rng(0).normal(size=(3, 2))
    layer.build((None, 2))
    y, saved = layer.forward(x, True)
    z = x @ layer.kernel.value + layer.bias.value
    np.testing.assert_allclose(y, z**3)
    dx = layer.backward(np.ones_like(y), saved)
    np.testing.assert_allclose(dx, 3 * z**2 @ layer.kernel.value.T)
