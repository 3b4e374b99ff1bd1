"""ConvLSTM layers against Keras: outputs, states, gradients, masks, training, files."""

from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

CASES: list[tuple[int, dict[str, Any]]] = [
    (2, {}),
    (2, {"padding": "same", "return_sequences": True}),
    (2, {"strides": (2, 1), "return_sequences": True, "go_backwards": True}),
    (2, {"dilation_rate": 2, "padding": "same", "unit_forget_bias": False}),
    (2, {"return_state": True, "padding": "same", "use_bias": False}),
    (2, {"activation": "relu", "recurrent_activation": "hard_sigmoid", "padding": "same"}),
    (2, {"activation": "gelu", "recurrent_activation": "softmax", "return_sequences": True}),
    (1, {"padding": "same", "return_sequences": True}),
    (1, {"strides": 2, "return_state": True, "return_sequences": True}),
    (3, {"padding": "same", "return_sequences": True}),
]
SIZES = {1: (7,), 2: (6, 5), 3: (4, 3, 4)}


def pair(rank: int, settings: dict[str, Any]) -> tuple[Any, Any, np.ndarray]:
    """Return Keras's layer and ours with the same weights, and an input."""
    x = np.random.default_rng(0).normal(size=(3, 4, *SIZES[rank], 2)).astype("float32")
    name = f"ConvLSTM{rank}D"
    theirs = getattr(keras.layers, name)(3, 3, **settings)
    ours = getattr(rnn_engine.layers, name)(3, 3, **settings)
    theirs.build(x.shape)
    ours.build(x.shape)
    rng = np.random.default_rng(1)
    weights = [rng.normal(scale=0.3, size=w.shape) for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours, x


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def flat_shapes(shapes: Any) -> list[Any]:
    return list(shapes) if isinstance(shapes[0], tuple) else [shapes]


@pytest.mark.parametrize(("rank", "settings"), CASES)
def test_output_and_gradients(rank: int, settings: dict[str, Any]) -> None:
    theirs, ours, x = pair(rank, settings)
    with tf.GradientTape() as tape:
        x_tf = tf.constant(x)
        tape.watch(x_tf)
        expected = as_list(theirs(x_tf))
        slopes = [np.random.default_rng(2).normal(size=y.shape).astype("float32") for y in expected]
        loss = sum(tf.reduce_sum(y * s) for y, s in zip(expected, slopes, strict=True))
    by_x, *by_weights = tape.gradient(loss, [x_tf, *(w.value for w in theirs.trainable_weights)])
    found, saved = ours.forward(x, keep=True)
    for a, b in zip(expected, as_list(found), strict=True):
        np.testing.assert_allclose(b, a, atol=2e-6)
    shapes = [tuple(shape) for shape in flat_shapes(ours.compute_output_shape(x.shape))]
    assert shapes == [y.shape for y in as_list(found)]
    assert shapes == [tuple(s) for s in flat_shapes(theirs.compute_output_shape(x.shape))]
    dx = ours.backward(tuple(slopes) if len(slopes) > 1 else slopes[0], saved)
    np.testing.assert_allclose(dx, by_x, atol=2e-5)
    for weight, gradient in zip(ours.trainable_weights, by_weights, strict=True):
        np.testing.assert_allclose(weight.grad, gradient, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"return_sequences": True},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"return_sequences": True, "go_backwards": True},
    ],
)
def test_mask_and_initial_state(settings: dict[str, Any]) -> None:
    settings = {"padding": "same", "return_state": True, **settings}
    theirs, ours, x = pair(2, settings)
    mask = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1]], bool)
    states = [np.random.default_rng(s).normal(size=(3, 6, 5, 3)).astype("float32") for s in (3, 4)]
    with tf.GradientTape() as tape:
        given = [tf.constant(value) for value in (x, *states)]
        tape.watch(given)
        expected = theirs(given[0], initial_state=given[1:], mask=tf.constant(mask))
        slopes = [np.random.default_rng(2).normal(size=y.shape).astype("float32") for y in expected]
        loss = sum(tf.reduce_sum(y * s) for y, s in zip(expected, slopes, strict=True))
    gradients = tape.gradient(loss, given)
    found, saved = ours.forward(x, mask=mask, initial_state=states, keep=True)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, atol=2e-6)
    for a, b in zip(gradients, ours.backward(tuple(slopes), saved), strict=True):
        np.testing.assert_allclose(b, a, atol=2e-5)


def test_the_bias_begins_as_keras_has_it() -> None:
    for settings in ({}, {"unit_forget_bias": False}, {"bias_initializer": "ones"}):
        theirs, ours = (p.layers.ConvLSTM1D(2, 3, **settings) for p in (keras, rnn_engine))
        for layer in (theirs, ours):
            layer.build((None, 2, 5, 1))
        np.testing.assert_array_equal(ours.get_weights()[2], theirs.get_weights()[2])


def test_dropping_all_drops_nothing() -> None:
    theirs, ours, x = pair(1, {"dropout": 1.0, "recurrent_dropout": 1.5})
    expected = theirs(x, training=True)
    np.testing.assert_allclose(ours(x, training=True), expected, atol=2e-6)


def test_states_of_channels_first() -> None:
    _, last, x = pair(2, {"padding": "same"})
    turned = np.ascontiguousarray(np.moveaxis(x, -1, 2))
    states = [np.random.default_rng(s).normal(size=(3, 6, 5, 3)).astype("float32") for s in (3, 4)]
    given = [np.moveaxis(state, -1, 1) for state in states]
    expected = np.moveaxis(last(x, initial_state=states), -1, 1)
    for stateful in (False, True):
        settings = {"data_format": "channels_first", "stateful": stateful}
        first = rnn_engine.layers.ConvLSTM2D(3, 3, padding="same", **settings)
        first.build(turned.shape)
        first.set_weights(last.get_weights())
        np.testing.assert_allclose(first(turned, initial_state=given), expected, atol=1e-6)
        for wrong in (states, given[:1]):
            with pytest.raises(ValueError, match=r"must have shape \(3, 3, 6, 5\)|has 2 state"):
                first(turned, initial_state=wrong)
    first.reset_state()
    first(turned[:, :2])
    np.testing.assert_allclose(first(turned[:, 2:]), np.moveaxis(last(x), -1, 1), atol=1e-6)


def test_channels_first_is_channels_last_turned() -> None:
    settings = {"padding": "same", "return_sequences": True, "return_state": True}
    _, last, x = pair(2, settings)
    first = rnn_engine.layers.ConvLSTM2D(3, 3, data_format="channels_first", **settings)
    turned = np.ascontiguousarray(np.moveaxis(x, -1, 2))
    first.build(turned.shape)
    first.set_weights(last.get_weights())
    expected, before = last.forward(x, keep=True)
    found, saved = first.forward(turned, keep=True)
    assert [y.shape for y in found] == [tuple(s) for s in first.compute_output_shape(turned.shape)]
    for a, b, axis in zip(expected, found, (2, 1, 1), strict=True):
        np.testing.assert_array_equal(np.moveaxis(b, axis, -1), a)
    dx = last.backward(expected, before)
    np.testing.assert_allclose(np.moveaxis(first.backward(found, saved), 2, -1), dx, atol=1e-6)


def test_stateful_goes_on() -> None:
    _, whole, x = pair(2, {"padding": "same"})
    parts = rnn_engine.layers.ConvLSTM2D(3, 3, padding="same", stateful=True)
    parts.build(x.shape)
    parts.set_weights(whole.get_weights())
    parts(x[:, :2])
    np.testing.assert_allclose(parts(x[:, 2:]), whole(x), atol=1e-6)
    parts.reset_state()
    np.testing.assert_allclose(parts(x[:, :2]), whole(x[:, :2]), atol=1e-6)
    with pytest.raises(ValueError, match="batch size"):
        parts(x[:2])


def test_dropout_is_each_gates_own_and_goes_back() -> None:
    layer = rnn_engine.layers.ConvLSTM2D(
        2, 3, padding="same", dropout=0.4, recurrent_dropout=0.3, seed=1, dtype="float64"
    )
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 2))
    layer.build(x.shape)
    y, saved = layer.forward(x, training=True)
    assert not np.allclose(y, layer.forward(x)[0])
    assert len(np.unique(saved.x_masks)) == 2
    assert not np.array_equal(saved.x_masks[0], saved.x_masks[1])
    # With the same factors, by differences.
    layer.cell.factors = lambda rate, shape: saved.x_masks if rate == 0.4 else saved.h_masks
    slope = np.random.default_rng(1).normal(size=y.shape)
    dx = layer.backward(slope, saved)
    for weight in layer.trainable_weights:
        place = tuple(n // 2 for n in weight.shape)
        numbers = []
        for step in (1e-5, -1e-5):
            value = weight.numpy()
            value[place] += step
            before = weight.numpy()
            weight.assign(value)
            numbers.append(np.sum(layer.forward(x, training=True)[0] * slope))
            weight.assign(before)
        np.testing.assert_allclose(weight.grad[place], np.diff(numbers)[0] / -2e-5, rtol=1e-5)
    moved = [x.copy(), x.copy()]
    for sign, array in zip((1, -1), moved, strict=True):
        array[1, 1, 2, 2, 1] += sign * 1e-5
    up, down = (np.sum(layer.forward(a, training=True)[0] * slope) for a in moved)
    np.testing.assert_allclose(dx[1, 1, 2, 2, 1], (up - down) / 2e-5, rtol=1e-5)


def test_bidirectional() -> None:
    for settings in ({"return_sequences": True}, {}):
        theirs, ours = (
            p.layers.Bidirectional(p.layers.ConvLSTM2D(2, 3, padding="same", **settings))
            for p in (keras, rnn_engine)
        )
        x = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 1)).astype("float32")
        theirs(x)
        ours(x)
        ours.set_weights(theirs.get_weights())
        with tf.GradientTape() as tape:
            x_tf = tf.constant(x)
            tape.watch(x_tf)
            expected = theirs(x_tf)
            loss = tf.reduce_sum(expected**2)
        y, saved = ours.forward(x, keep=True)
        np.testing.assert_allclose(y, expected, atol=1e-6)
        assert tuple(ours.compute_output_shape(x.shape)) == y.shape
        np.testing.assert_allclose(
            ours.backward(2 * y, saved), tape.gradient(loss, x_tf), atol=1e-5
        )


def video_model(package: Any) -> Any:
    layers = package.layers
    return package.Sequential([
        package.Input((4, 6, 5, 1)),
        layers.ConvLSTM2D(3, (3, 3), padding="same", return_sequences=True),
        layers.BatchNormalization(),
        layers.ConvLSTM2D(2, 2),
        layers.Flatten(),
        layers.Dense(2, activation="softmax"),
    ])  # fmt: skip


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_training_and_files(tmp_path: Any) -> None:
    theirs, ours = video_model(keras), video_model(rnn_engine)
    ours.set_weights(theirs.get_weights())
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 4, 6, 5, 1)).astype("float32"), rng.integers(0, 2, 12)
    losses = []
    for model in (theirs, ours):
        model.compile("adam", "sparse_categorical_crossentropy")
        losses.append(model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history)
    np.testing.assert_allclose(losses[0]["loss"], losses[1]["loss"], rtol=2e-4)
    expected = ours.predict(x, verbose=0)
    np.testing.assert_allclose(expected, theirs.predict(x, verbose=0), atol=2e-4)
    for writer, reader in ((ours, keras), (theirs, rnn_engine), (ours, rnn_engine)):
        writer.save(tmp_path / "m.keras")
        loaded = reader.models.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(
            loaded.predict(x, verbose=0), writer.predict(x, verbose=0), atol=1e-5
        )
    theirs.save_weights(tmp_path / "m.weights.h5")
    ours.load_weights(tmp_path / "m.weights.h5")
    layer = keras.layers.ConvLSTM2D(3, 2, name="a")
    config = rnn_engine.layers.ConvLSTM2D(3, 2, name="a").get_config()
    for name, value in layer.get_config().items():
        if name != "dtype" and not isinstance(value, dict):
            assert config[name] == value, name


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda L: L.ConvLSTM2D(0, 3), "Invalid value for argument `filters`|filters"),
        (lambda L: L.ConvLSTM2D(2, (3, 3, 3)), "The `kernel_size` argument must be a tuple of 2"),
        (lambda L: L.ConvLSTM2D(2, 3, strides=2, dilation_rate=2),
         "Specifying `strides > 1` is not compatible with `dilation_rate > 1`"),
        (lambda L: L.ConvLSTM2D(2, 3, padding="x"), "The `padding` argument must be a list/tuple"),
        (lambda L: L.ConvLSTM2D(2, 3)(np.zeros((1, 2, 5, 5))), "expected ndim=5, found ndim=4"),
        (lambda L: L.ConvLSTM2D(2, 3).build((None, 2, None, 5, 1)),
         "ConvLSTM layers only support static input shapes for the spatial dimension"),
        (lambda L: L.ConvLSTM2D(2, 3).build((None, 2, 5, 5, None)),
         "The channel dimension of the inputs"),
    ],
)  # fmt: skip
def test_words_of_errors(call: Any, words: str) -> None:
    packages = (rnn_engine,) if "filters" in words else (keras, rnn_engine)
    for package in packages:
        with pytest.raises(ValueError, match=words):
            call(package.layers)
