"""GradientTape, layers with a call, and what holds without the package that differentiates."""

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import GradientTape, Variable, layers, ops
from rnn_engine.graph.nest import flatten
from rnn_engine.layers.base import registry
from tests.layers.catalogue import CASES


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_without_autograd_one_error_names_the_extra() -> None:
    program = """
import sys
sys.modules["autograd"] = None
import numpy as np, rnn_engine as keras
from rnn_engine import ops
x = np.ones((4, 3), "float32")
print(float(ops.mean(ops.tanh(x))) > 0)
double = keras.layers.Lambda(lambda t: t * 2)
model = keras.Sequential([keras.Input((3,)), double, keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.predict(x, verbose=0), model.evaluate(x, x[:, :1], verbose=0)
for use in (lambda: keras.GradientTape(), lambda: model.fit(x, x[:, :1], verbose=0)):
    try:
        use()
    except ImportError as error:
        print("rnn_engine[autograd]" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True", "True"], done.stderr


def test_a_tape_is_used_once_unless_persistent() -> None:
    w = Variable(2.0)
    with GradientTape() as tape:
        y = w * w
    assert float(tape.gradient(y, w)) == 4
    with pytest.raises(RuntimeError, match="non-persistent"):
        tape.gradient(y, w)
    with GradientTape(persistent=True) as tape:
        y = w * w
    assert [float(tape.gradient(y, w)) for _ in range(2)] == [4, 4]


def test_what_is_unconnected_has_none_or_zeros() -> None:
    w, v = Variable(2.0), Variable([1.0, 2.0])
    frozen = Variable(3.0, trainable=False)
    with GradientTape(persistent=True) as tape:
        y = w * frozen
    assert tape.gradient(y, [v, frozen]) == [None, None]
    zero = tape.gradient(y, {"v": v}, unconnected_gradients="zero")["v"]
    np.testing.assert_array_equal(zero, [0, 0])
    assert tape.watched_variables() == (w,)


def test_only_what_is_watched() -> None:
    w, x = Variable(2.0), ops.convert_to_tensor([1.0, 3.0])
    with GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(x)
        y = ops.sum(w * x**2)
    assert tape.gradient(y, w) is None
    np.testing.assert_array_equal(tape.gradient(y, x), [4, 12])
    with pytest.raises(ValueError, match="convert_to_tensor"):
        tape.watch(np.ones(2))


def test_the_values_are_those_of_the_time_of_reading() -> None:
    w = Variable(3.0)
    with GradientTape() as tape:
        y = w * w
    w.assign(100.0)
    assert float(tape.gradient(y, w)) == 6


def test_two_tapes_side_by_side() -> None:
    first, second = layers.Dense(2), layers.Dense(1)
    x = array(4, 3)
    with GradientTape() as a, GradientTape() as b:
        y = ops.sum(second(first(x)) ** 2)
    weights = first.trainable_variables, second.trainable_variables
    ours = a.gradient(y, weights[0]), b.gradient(y, weights[1])
    h = x @ first.kernel.value + first.bias.value
    dy = 2 * (h @ second.kernel.value + second.bias.value)
    np.testing.assert_allclose(ours[1][0], h.T @ dy, rtol=1e-5)
    np.testing.assert_allclose(ours[0][0], x.T @ (dy @ second.kernel.value.T), rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        layers.SeparableConv1D(2, 2),
        layers.LSTM(2, stateful=True),
        layers.GRU(2, dropout=0.5),
        layers.Dense(2, activation="sparsemax"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_second_derivative_that_nobody_wrote_is_refused(layer: Any) -> None:
    x = ops.convert_to_tensor(array(2, 4, 3))
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(x)
            y = ops.sum(layer(x, training=True) ** 2)
        with pytest.raises(NotImplementedError, match="gradient of a gradient"):
            inner.gradient(y, x)
        with outer.stop_recording():
            assert np.any(np.asarray(inner_gradient(layer, x)))


def inner_gradient(layer: Any, x: Any) -> Any:
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(layer(x, training=True) ** 2)
    return tape.gradient(y, x)


@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization(),
        layers.BatchNormalization(),
        layers.Conv1D(3, 2, activation="gelu"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_second_derivative_is_the_slope_of_the_first(layer: Any) -> None:
    # By differences: TensorFlow's own is off by some percent through a normalization.
    below, above = layers.Dense(4, "tanh", dtype="float64"), layers.Dense(1, dtype="float64")
    layer = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    x = ops.convert_to_tensor(array(3, 5, 3).astype("float64"))
    above(layer(below(x)))
    weights = [below.kernel, layer.trainable_weights[0]]

    def penalty() -> Any:
        with GradientTape() as inner:
            inner.watch(x)
            y = above(layer(below(x), training=True))
        return ops.sum(ops.square(inner.gradient(y, x)))

    with GradientTape() as outer:
        size = penalty()
    for weight, gradient in zip(weights, outer.gradient(size, weights), strict=True):
        before = weight.numpy()
        step = np.zeros_like(before)
        step.flat[1] = 1e-5
        sides = []
        for sign in (1, -1):
            weight.assign(before + sign * step)
            sides.append(float(penalty()))
        weight.assign(before)
        assert np.asarray(gradient).flat[1] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    "own", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}], ids=str
)
def test_what_is_computed_again_knows_the_mask(kind: str, own: Any, sequences: bool) -> None:
    """Beside another tape a gradient comes from formulas in ops: the numbers are the kernels'."""
    layer = getattr(layers, kind)(3, return_sequences=sequences, **own)
    mask = np.array([[1, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0]], bool)
    x = ops.convert_to_tensor(array(3, 4, 2))

    def gradient() -> Any:
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(layer(x, mask=mask) ** 2)
        return np.asarray(tape.gradient(y, x))

    wanted = gradient()
    with GradientTape() as outer:
        outer.watch(x)
        found = gradient()
    assert np.any(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_second_derivative_of_two_dense_layers_by_hand() -> None:
    first, second = layers.Dense(4, activation="tanh"), layers.Dense(1)
    x = ops.convert_to_tensor(array(2, 3))
    with GradientTape() as outer:
        with GradientTape() as inner:
            inner.watch(x)
            y = second(first(x))
        penalty = ops.sum(ops.square(inner.gradient(y, x)))
    ours = outer.gradient(penalty, second.kernel)
    h = np.tanh(np.asarray(x) @ first.kernel.value + first.bias.value)
    weights, out = first.kernel.value, second.kernel.value[:, 0]
    # dy/dx = W ((1 - h²) v), so d|dy/dx|²/dv = 2 (1 - h²) Wᵀ dy/dx.
    slope = ((1 - h**2) * out) @ weights.T
    expected = (2 * (1 - h**2) * (slope @ weights)).sum(axis=0)
    np.testing.assert_allclose(np.asarray(ours)[:, 0], expected, rtol=1e-4, atol=1e-6)


def test_a_layer_of_the_library_below_a_tape_leaves_gradients_alone() -> None:
    layer = layers.LSTM(3)
    x = array(2, 4, 5)
    layer(x)
    for variable in layer.weights:
        variable.grad[...] = 7
    with GradientTape() as tape:
        y = ops.sum(layer(x))
    gradients = tape.gradient(y, layer.trainable_weights)
    assert all(np.any(np.asarray(g)) for g in gradients)
    assert all((v.grad == 7).all() for v in layer.weights)


class Scaled(layers.Dense):
    def call(self, inputs: Any, training: Any = None) -> Any:
        return super().call(inputs) * (2.0 if training else 1.0)


def test_super_call_and_training() -> None:
    layer, x = Scaled(3), array(4, 2)
    plain = np.asarray(layer(x))
    np.testing.assert_allclose(plain, x @ layer.kernel.value, rtol=1e-5)
    np.testing.assert_allclose(layer(x, training=True), 2 * plain, rtol=1e-6)
    model = rnn_engine.Sequential([rnn_engine.Input((2,)), layer])
    model.compile("sgd", "mse")
    found = model.gradients(x, np.zeros((4, 3)))
    expected = x.T @ (2 * 2 * plain * 2) / 12
    np.testing.assert_allclose(found.arrays[0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [n for n, of in CASES.items() if not of[0].spread])
def test_super_call_is_what_the_class_below_does(name: str) -> None:
    case, cls = CASES[name][0], registry.lookup(name)

    class Own(cls):  # type: ignore[misc, valid-type]  # of each class of the catalogue
        def call(self, inputs: Any) -> Any:
            return super().call(inputs)

    given = [*case.inputs("float32")] if case.several else case.inputs("float32")[0]
    shapes = [(3, *shape) for shape in case.shapes]
    sides = [cls(**case.options), Own(**case.options)]
    found = []
    for layer in sides:
        layer(given)
        layer.set_weights(sides[0].get_weights())
        inputs = (
            [ops.convert_to_tensor(x) for x in given]
            if case.several
            else ops.convert_to_tensor(given)
        )
        with GradientTape() as tape:
            tape.watch(inputs)
            y = layer(inputs)
            total = ops.sum(ops.square(y))
        gradients = tape.gradient(total, [inputs, layer.trainable_weights])
        shape = layer.compute_output_shape(shapes if case.several else shapes[0])
        found.append((y, flatten(gradients), shape))
    (y, gradients, shape), (own_y, own_gradients, own_shape) = found
    np.testing.assert_array_equal(own_y, y)
    assert own_shape == shape == y.shape
    assert len(own_gradients) == len(gradients) > 0
    for own, gradient in zip(own_gradients, gradients, strict=True):
        assert (own is None) == (gradient is None)
        if gradient is not None:
            np.testing.assert_array_equal(own, gradient)


def test_masks_travel_with_tensors() -> None:
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    embedding, rnn = layers.Embedding(5, 3, mask_zero=True), layers.SimpleRNN(2)
    embedded = embedding(ids)
    masked = rnn(np.asarray(embedded), mask=ids != 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(rnn(embedded), masked)


def test_results_are_arrays_with_numpy() -> None:
    y = layers.Dense(2)(array(3, 2))
    assert isinstance(y, np.ndarray)
    assert type(y.numpy()) is np.ndarray
    assert repr(y).startswith("array(")
    assert float(y.sum().numpy()) == pytest.approx(float(np.sum(y)))
