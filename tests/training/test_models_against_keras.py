"""Training real models against Keras: shared weights, the same order of samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_engine import layers
from rnn_engine.sequential import Sequential
from tests.tolerances import PER_KERAS_PROPERTY, TRAINING

keras = pytest.importorskip("keras")

RTOL = TRAINING["float32"]
# Keras traces every new model: a fifth of what other such properties take.
EXAMPLES = max(4, int(settings.default.max_examples * PER_KERAS_PROPERTY / 5))

STACKS = {
    "last state": lambda kit: [kit.SimpleRNN(5), kit.Dense(2)],
    "every step": lambda kit: [kit.SimpleRNN(4, return_sequences=True), kit.Dense(2)],
    "two": lambda kit: [
        kit.SimpleRNN(3, return_sequences=True),
        kit.SimpleRNN(4, activation="relu"),
        kit.Dense(2, activation="tanh"),
    ],
}


def make_twins(stack, **options):
    """Return our model and Keras's with the same weights, compiled alike."""
    ours = Sequential([layers.Input((4, 3)), *STACKS[stack](layers)])
    theirs = keras.Sequential([keras.layers.Input((4, 3)), *STACKS[stack](keras.layers)])
    ours.compile(**options)
    theirs.compile(**options, run_eagerly=True)
    rng = np.random.default_rng(3)
    weights = [rng.normal(scale=0.5, size=w.shape).astype("float32") for w in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def make_data(stack, n):
    rng = np.random.default_rng(n)
    shape = (n, 4, 2) if stack == "every step" else (n, 2)
    return rng.normal(size=(n, 4, 3)).astype("f4"), rng.normal(size=shape).astype("f4")


def assert_close(got, expected, what):
    got, expected = np.asarray(got), np.asarray(expected)
    scale = np.abs(expected).max() + 1e-6
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=RTOL, err_msg=what)


@settings(max_examples=EXAMPLES)
@given(
    stack=st.sampled_from(sorted(STACKS)),
    n=st.integers(3, 9),
    batch_size=st.integers(1, 5),
    optimizer=st.sampled_from(["sgd", "adam", "rmsprop"]),
    loss=st.sampled_from(["mse", "mae"]),
    weights=st.sampled_from(["none", "sample", "step"]),
    split=st.sampled_from([0.0, 0.4]),
)
def test_fit_agrees(stack, n, batch_size, optimizer, loss, weights, split):
    ours, theirs = make_twins(stack, optimizer=optimizer, loss=loss, weighted_metrics=["mse"])
    x, y = make_data(stack, n)
    options = {
        "batch_size": batch_size,
        "epochs": 2,
        "shuffle": False,
        "validation_split": split,
        "verbose": 0,
    }
    if weights != "none":
        sizes = {"last state": (n,), "two": (n, 1), "every step": (n, 1)}[stack]
        if weights == "step" and stack == "every step":
            sizes = (n, 4)
        options["sample_weight"] = np.linspace(0.5, 2.0, int(np.prod(sizes))).reshape(sizes)
    expected = theirs.fit(x, y, **options).history
    history = ours.fit(x, y, **options).history
    assert list(history) == list(expected)
    for name, values in expected.items():
        assert_close(history[name], values, name)
    for ours_w, theirs_w in zip(ours.weights, theirs.weights, strict=True):
        assert_close(ours_w.value, theirs_w.numpy(), ours_w.path)
    assert_close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), "predictions")


@pytest.mark.parametrize(
    ("activation", "loss", "make_y"),
    [
        ("softmax", "sparse_categorical_crossentropy", lambda rng: rng.integers(0, 3, 9)),
        ("softmax", "categorical_crossentropy", lambda rng: np.eye(3)[rng.integers(0, 3, 9)]),
        ("sigmoid", "binary_crossentropy", lambda rng: rng.integers(0, 2, (9, 3))),
    ],
)
def test_classifiers_agree(activation, loss, make_y):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 4, 3)).astype("f4"), make_y(rng)
    sides = []
    for kit, make in ((layers, Sequential), (keras.layers, keras.Sequential)):
        model = make([kit.Input((4, 3)), kit.SimpleRNN(5), kit.Dense(3, activation=activation)])
        model.compile("adam", loss, metrics=["accuracy"])
        model.set_weights([w + 0.1 for w in (sides[0][0] if sides else model.get_weights())])
        start = [w - 0.1 for w in model.get_weights()]
        options = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0}
        history = model.fit(x, y, class_weight={0: 2.0, 1: 0.5}, **options)
        logs = model.evaluate(x, y, verbose=0, return_dict=True)
        sides.append((start, history.history, model.get_weights(), logs))
    assert list(sides[0][1]) == list(sides[1][1])
    for name in sides[1][1]:
        assert_close(sides[0][1][name], sides[1][1][name], name)
        assert_close(sides[0][3][name], sides[1][3][name], name)
    for got, expected in zip(sides[0][2], sides[1][2], strict=True):
        assert_close(got, expected, "weights")


def test_shuffled_training_is_bitwise_repeatable():
    from rnn_engine import random

    x, y = make_data("two", 40)
    runs = []
    for _ in range(2):
        random.set_global_seed(7)
        model = Sequential([layers.Input((4, 3)), *STACKS["two"](layers)])
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=7, epochs=3, verbose=0)
        runs.append(model.get_weights())
    for got, again in zip(*runs, strict=True):
        np.testing.assert_array_equal(got, again)


def test_gradients_against_finite_differences():
    model = Sequential(
        [
            layers.Input((4, 3)),
            layers.SimpleRNN(5, dtype="float64"),
            layers.Dense(2, dtype="float64"),
        ]
    )
    model.compile("sgd", "mse")
    x, y = (a.astype("float64") for a in make_data("two", 3))
    got = model.gradients(x, y, inputs=True)

    def loss():
        return float(np.square(model.predict(x, verbose=0) - y).mean())

    def slope(array, index, step=1e-6):
        kept = array[index]
        values = []
        for sign in (1, -1):
            array[index] = kept + sign * step
            [v.touch() for v in model.trainable_variables]
            values.append(loss())
        array[index] = kept
        [v.touch() for v in model.trainable_variables]
        return (values[0] - values[1]) / (2 * step)

    assert got.loss == pytest.approx(loss())
    arrays = [v.value for v in model.trainable_variables]
    for array, gradient in zip([*arrays, x], [*got, got.inputs], strict=True):
        assert np.abs(gradient).max() > 0
        for index in np.ndindex(array.shape):
            assert gradient[index] == pytest.approx(slope(array, index), abs=1e-8, rel=1e-6)


def test_windows_are_truncated_backpropagation():
    """Windows of a stateful model train as the same windows fed one after the other do."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 7, 3)).astype("f4"), rng.normal(size=(6, 7, 2)).astype("f4")

    def make():
        model = Sequential(
            [
                layers.Input(batch_shape=(3, None, 3)),
                layers.SimpleRNN(4, return_sequences=True, stateful=True),
                layers.Dense(2),
            ]
        )
        rng = np.random.default_rng(1)
        model.set_weights([rng.normal(size=w.shape) for w in model.weights])
        model.compile("sgd", "mse")
        return model

    model, by_hand = make(), make()
    history = model.fit(x, y, batch_size=3, epochs=2, window=3, shuffle=False, verbose=0)
    for epoch in range(2):
        losses = []
        for start in (0, 3):
            by_hand.reset_state()
            for part in (slice(0, 3), slice(3, 6), slice(6, 7)):
                batch = slice(start, start + 3)
                losses.append(by_hand.train_on_batch(x[batch, part], y[batch, part]))
        assert history.history["loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-6)
    assert history.params["steps"] == 6
    for got, expected in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(ValueError, match="target for every time step"):
        model.fit(x, y[:, 0], batch_size=3, window=3, verbose=0)


def test_a_wrong_feature_count_changes_nothing():
    model = Sequential([layers.Input((4, 3)), layers.SimpleRNN(4), layers.Dense(2)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    for shape in ((5, 4, 2), (5, 4), (5, 0, 3), (5, 4, 3, 1, 1)):
        with pytest.raises(ValueError, match=r"x|inputs|Input"):
            model.fit(np.zeros(shape), np.zeros((5, 2)), verbose=0)
    for kept, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)
