"""Values against Keras, gradients against Keras's and central differences in float64."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine import regularizers
from rnn_engine.regularizers import registry

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

ARGUMENTS = {
    "L1": [{}, {"l1": 0.3}, {"l1": None}],
    "L2": [{}, {"l2": 2.0}, {"l2": None}],
    "L1L2": [{}, {"l1": 0.3}, {"l2": 0.7}, {"l1": 0.2, "l2": 0.6}],
    "OrthogonalRegularizer": [{}, {"factor": 3.0}, {"factor": 0.5, "mode": "columns"}],
}
CASES = [(c, a) for c in registry.unique() for a in ARGUMENTS.get(c.__name__, [{}])]


def matrix(shape, seed, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize(("cls", "arguments"), CASES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(rows=st.integers(2, 6), columns=st.integers(2, 6), seed=st.integers(0, 1000))
def test_value_and_gradient_are_keras(cls, arguments, dtype, rows, columns, seed):
    x = matrix((rows, columns), seed, dtype)
    ours = cls(**arguments)
    theirs = getattr(keras.regularizers, cls.__name__)(**arguments)
    if cls is regularizers.OrthogonalRegularizer and dtype == "float64":
        theirs.factor = tf.constant(ours.factor, "float64")  # Keras keeps float32, and fails
    with tf.GradientTape() as tape:
        tensor = tf.constant(x)
        tape.watch(tensor)
        value = theirs(tensor) + 0 * tf.reduce_sum(tensor)
    gradient = tape.gradient(value, tensor).numpy()
    # Keras rounds the factors to float32 even for float64 weights.
    relative = 2e-6
    if dtype == "float32" and cls is regularizers.OrthogonalRegularizer:
        relative = 1e-4  # Keras subtracts in float32 what of a vector lies along itself
    assert ours(x) == pytest.approx(float(value), rel=relative, abs=1e-12)
    dx = ours.gradient(x)
    assert dx.dtype == x.dtype
    np.testing.assert_allclose(
        dx, gradient, rtol=relative, atol=relative * max(np.abs(gradient).max(), 1e-2)
    )


@pytest.mark.parametrize(("cls", "arguments"), CASES, ids=str)
@pytest.mark.parametrize("shape", [(4, 3), (2, 5)])
def test_gradient_is_the_difference_quotient(cls, arguments, shape):
    regularizer = cls(**arguments)
    x = matrix(shape, 7)
    dx = regularizer.gradient(x)
    step = 1e-6
    for index in np.ndindex(shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        quotient = (regularizer(up) - regularizer(down)) / (2 * step)
        assert dx[index] == pytest.approx(quotient, rel=1e-6, abs=1e-9)
    if arguments or cls is not regularizers.L1L2:
        assert (dx != 0).all()


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), ()])
def test_norms_take_any_rank(shape):
    x = matrix(shape, 1)
    regularizer = regularizers.L1L2(0.1, 0.2)
    assert regularizer(x) == pytest.approx(0.1 * np.abs(x).sum() + 0.2 * (x**2).sum())
    np.testing.assert_allclose(regularizer.gradient(x), 0.1 * np.sign(x) + 0.4 * x)


def test_gradient_at_zero():
    zero = np.zeros((2, 2), "float32")
    for cls in registry.unique():
        assert cls()(zero) == 0
        np.testing.assert_array_equal(cls().gradient(zero), zero)


def test_orthogonal_with_a_zero_row_and_a_tiny_row():
    x = matrix((4, 3), 2)
    x[1] = 0
    x[2] *= 1e-9  # shorter than epsilon: Keras caps the factor at 1e7
    ours = regularizers.OrthogonalRegularizer(1.0)
    theirs = keras.regularizers.OrthogonalRegularizer(1.0)
    theirs.factor = tf.constant(1.0, "float64")
    with tf.GradientTape() as tape:
        tensor = tf.constant(x)
        tape.watch(tensor)
        value = theirs(tensor)
    assert ours(x) == pytest.approx(float(value), rel=1e-12)
    gradient = tape.gradient(value, tensor).numpy()
    kept = [0, 2, 3]  # Keras's gradient of the zero row is NaN, ours is 0
    np.testing.assert_allclose(ours.gradient(x)[kept], gradient[kept], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(ours.gradient(x)[1], 0)


def test_orthogonal_of_one_row_and_of_orthogonal_rows():
    assert regularizers.OrthogonalRegularizer()(np.ones((1, 4))) == 0.0
    np.testing.assert_array_equal(
        regularizers.OrthogonalRegularizer().gradient(np.ones((1, 4))), np.zeros((1, 4))
    )
    assert regularizers.OrthogonalRegularizer(mode="columns")(np.eye(5)) == 0.0
    for shape in ((3,), (2, 2, 2)):
        with pytest.raises(ValueError, match="must have rank 2"):
            regularizers.OrthogonalRegularizer()(np.ones(shape))


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), "x", [1]], ids=str)
def test_bad_factors(bad):
    for cls, name in (
        (regularizers.L1, "l1"),
        (regularizers.L2, "l2"),
        (regularizers.L1L2, "l1"),
        (regularizers.L1L2, "l2"),
        (regularizers.OrthogonalRegularizer, "factor"),
    ):
        with pytest.raises(
            ValueError, match=f"Invalid value for argument {name}: expected a non-negative"
        ):
            cls(**{name: bad})
        with pytest.raises(ValueError, match=name):
            getattr(keras.regularizers, cls.__name__)(**{name: bad})
    with pytest.raises(ValueError, match="Invalid value for argument `mode`"):
        regularizers.OrthogonalRegularizer(mode="diagonal")


@pytest.mark.parametrize(("cls", "arguments"), CASES, ids=str)
def test_round_trip(cls, arguments):
    regularizer = cls(**arguments)
    written = json.loads(json.dumps(regularizers.serialize(regularizer)))
    again = regularizers.deserialize(written)
    assert type(again) is cls
    assert again.get_config() == regularizer.get_config()
    theirs = keras.regularizers.serialize(getattr(keras.regularizers, cls.__name__)(**arguments))
    config = regularizers.get(theirs).get_config()
    assert config.keys() == theirs["config"].keys() == regularizer.get_config().keys()
    for key, value in regularizer.get_config().items():
        assert theirs["config"][key] == (
            value if isinstance(value, str) else pytest.approx(value, rel=1e-6)
        )


@pytest.mark.parametrize("name", sorted(registry.entries))
def test_names(name):
    assert type(regularizers.get(name)) is registry.entries[name]
    if name != "l1_l2":  # promised by Keras's documentation only
        assert type(keras.regularizers.get(name)).__name__ == registry.entries[name].__name__


def test_every_name_of_keras_is_here():
    for name in dir(keras.regularizers):
        assert name.startswith("_") or hasattr(regularizers, name), name


@pytest.mark.parametrize("bad", ["l3", 3, {"class_name": "L3", "config": {}}], ids=str)
def test_unknown(bad):
    with pytest.raises(ValueError, match="regularizer"):
        regularizers.get(bad)


def test_functions_are_differentiated():
    cubic = regularizers.get(lambda x: np.sum(np.abs(x) ** 3))
    weight = np.array([[1.0, -2.0]], "float32")
    assert cubic(weight) == 9.0
    np.testing.assert_allclose(cubic.gradient(weight), [[3, -12]])
    with pytest.raises(ValueError, match="no gradient"):
        regularizers.get(lambda x: 0.0).gradient(weight)


def test_a_pair_of_functions():
    own = regularizers.CustomRegularizer(lambda x: (x**4).sum(), lambda x: 4 * x**3, name="quartic")
    assert regularizers.get(own) is own
    x = np.array([1.0, -2.0], "float32")
    assert own(x) == 17.0
    np.testing.assert_array_equal(own.gradient(x), [4, -32])
    assert own.gradient(x).dtype == np.float32
    written = regularizers.serialize(own)
    assert regularizers.deserialize(written, {"quartic": own}) is own
    with pytest.raises(ValueError, match="'quartic' are not in the config"):
        regularizers.deserialize(written)
    wrong = regularizers.CustomRegularizer(lambda x: 0.0, lambda x: np.zeros(3))
    with pytest.raises(ValueError, match="must return the shape"):
        wrong.gradient(x)


def test_custom_classes():
    class Half(regularizers.Regularizer):
        def __call__(self, x):
            return 0.5 * np.sum(x**2)

    half = Half()
    again = regularizers.deserialize(regularizers.serialize(half), {"Half": Half})
    assert type(again) is Half
    np.testing.assert_array_equal(again.gradient(np.arange(3.0)), np.arange(3.0))
