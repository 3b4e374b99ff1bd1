"""CTC against TensorFlow's, against all paths, and through every way that programs take."""

import itertools
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import ops
from rnn_engine.ops.ctc import loss_and_gradient

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

K = rnn_engine.backend
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 7, 4)).astype("float32")
LABELS = np.array([[1, 1, 2], [3, 2, 1], [2, 0, 0], [3, 3, 3], [0, 0, 0]])
LABEL_LENGTHS, LENGTHS = np.array([3, 3, 1, 3, 0]), np.array([7, 5, 3, 7, 6])


def by_paths(labels: Any, logits: np.ndarray, blank: int) -> float:
    """Return the loss by adding up every path."""
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    total = 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        shrunk = [label for label, _ in itertools.groupby(path) if label != blank]
        if shrunk == list(labels):
            total += np.exp(sum(logs[t, label] for t, label in enumerate(path)))
    return float(-np.log(total)) if total else np.inf


@pytest.mark.parametrize("blank", [0, 2, 3])
def test_loss_is_the_sum_over_paths(blank: int) -> None:
    logits = RNG.normal(size=(4, 5, 4))
    rows = [[1, 1], [1], [], [1, 1, 1]]
    if blank == 2:
        rows = [[0, 3], [3, 3], [0], [1, 0, 1]]
    labels = np.zeros((4, 3), int)
    for line, row in zip(labels, rows, strict=True):
        line[: len(row)] = row
    lengths = np.array([5, 4, 5, 4])
    losses, _ = loss_and_gradient(labels, logits, [len(r) for r in rows], lengths, blank)
    expected = [by_paths(r, x[:n], blank) for r, x, n in zip(rows, logits, lengths, strict=True)]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


@pytest.mark.parametrize("blank", [0, -1])
def test_loss_and_gradient_against_tensorflow(blank: int) -> None:
    labels = LABELS if blank == 0 else np.maximum(LABELS - 1, 0)
    slopes = RNG.normal(size=5).astype("float32")
    with tf.GradientTape() as theirs:
        x = tf.constant(LOGITS)
        theirs.watch(x)
        expected = keras.ops.ctc_loss(labels, x, LABEL_LENGTHS, LENGTHS, blank % 4)
        total = tf.reduce_sum(expected * slopes)
    with rnn_engine.GradientTape() as tape:
        logits = ops.convert_to_tensor(LOGITS)
        tape.watch(logits)
        losses = ops.ctc_loss(labels, logits, LABEL_LENGTHS, LENGTHS, blank)
        own = ops.sum(losses * slopes)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert losses.dtype == np.float32
    np.testing.assert_allclose(tape.gradient(own, logits), theirs.gradient(total, x), atol=1e-5)


def test_no_path_is_infinite_and_has_no_gradient() -> None:
    losses, gradient = loss_and_gradient([[1, 1, 2]], LOGITS[:1, :3], [3], [3], 0, np.ones(1))
    assert np.isinf(losses).all()
    assert not gradient.any()


def test_no_steps_say_nothing() -> None:
    losses, gradient = loss_and_gradient([[1], [1]], LOGITS[:2, :3], [1, 0], [0, 0], 0, np.ones(2))
    np.testing.assert_array_equal(losses, [np.inf, 0])
    assert not gradient.any()


def test_paths_that_there_are_not_are_empty_and_impossible() -> None:
    found, scores = ops.ctc_decode(LOGITS[:1, :1], [1], "beam_search", beam_width=9, top_paths=6)
    np.testing.assert_array_equal(np.asarray(found)[4:], -1)
    assert np.isfinite(scores[0, :4]).all()
    np.testing.assert_array_equal(scores[0, 4:], -np.inf)


def test_decoding_against_tensorflow() -> None:
    for strategy, merge in (("greedy", True), ("greedy", False), ("beam_search", True)):
        settings = {"strategy": strategy, "merge_repeated": merge, "beam_width": 50, "top_paths": 3}
        for mask in (0, 2):
            theirs = keras.ops.ctc_decode(LOGITS, LENGTHS, mask_index=mask, **settings)
            found = ops.ctc_decode(LOGITS, LENGTHS, mask_index=mask, **settings)
            np.testing.assert_array_equal(found[0], theirs[0])
            np.testing.assert_allclose(found[1], theirs[1], rtol=2e-5)
            assert found[0].dtype == np.int32


def test_keras_2s_functions() -> None:
    old = tf.keras.backend
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    labels = np.maximum(LABELS - 1, 0).astype("float32")
    lengths = LENGTHS[:4, None], LABEL_LENGTHS[:4, None]
    with tf.GradientTape() as theirs:
        x = tf.constant(shares[:4])
        theirs.watch(x)
        expected = old.ctc_batch_cost(tf.constant(labels[:4]), x, *lengths)
    with rnn_engine.GradientTape() as tape:
        y = ops.convert_to_tensor(shares[:4])
        tape.watch(y)
        found = K.ctc_batch_cost(labels[:4], y, *lengths)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    slopes = theirs.gradient(expected, x)
    np.testing.assert_allclose(tape.gradient(found, y), slopes, rtol=1e-3, atol=1e-4)
    for settings in ({}, {"greedy": False, "beam_width": 50, "top_paths": 2}):
        theirs_found = old.ctc_decode(tf.constant(shares), LENGTHS, **settings)
        ours = K.ctc_decode(shares, LENGTHS, **settings)
        for a, b in zip(theirs_found[0], ours[0], strict=True):
            np.testing.assert_array_equal(b, a)
            assert b.dtype == np.int64
        np.testing.assert_allclose(ours[1], theirs_found[1], rtol=2e-5)
    time_major = np.swapaxes(LOGITS, 0, 1)
    np.testing.assert_allclose(
        rnn_engine.nn.ctc_loss(LABELS, time_major, LABEL_LENGTHS, LENGTHS),
        tf.nn.ctc_loss(LABELS, time_major, LABEL_LENGTHS, LENGTHS, blank_index=0),
        rtol=1e-5,
    )


def test_the_loss_class_trains_as_keras_does() -> None:
    labels = np.array([[1, 2, 0], [3, 0, 0], [2, 2, 1], [1, 0, 0]])
    x = RNG.normal(size=(4, 9, 3)).astype("float32")
    losses, models = [], []
    for package in (keras, rnn_engine):
        layers = package.layers
        models.append(package.Sequential([
            package.Input((9, 3)),
            layers.LSTM(5, return_sequences=True),
            layers.Dense(4),
        ]))  # fmt: skip
    models[1].set_weights(models[0].get_weights())
    for package, model in zip((keras, rnn_engine), models, strict=True):
        model.compile(package.optimizers.Adam(0.01), package.losses.CTC())
        losses.append(model.fit(x, labels, epochs=5, verbose=0, shuffle=False).history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert losses[0][-1] < losses[0][0]
    assert isinstance(rnn_engine.losses.get("ctc"), type(rnn_engine.losses.ctc))
    config = rnn_engine.losses.serialize(rnn_engine.losses.CTC())
    assert isinstance(rnn_engine.losses.deserialize(config), rnn_engine.losses.CTC)


def test_symbolic() -> None:
    logits, labels = rnn_engine.Input((7, 4)), rnn_engine.Input((3,), dtype="int32")
    length, label_length = (rnn_engine.Input((1,), dtype="int32") for _ in range(2))
    y = K.ctc_batch_cost(labels, ops.softmax(logits), length, label_length)
    assert y.shape == (None, 1)
    model = rnn_engine.Model([logits, labels, length, label_length], y)
    given = LOGITS, np.maximum(LABELS - 1, 0), LENGTHS[:, None], LABEL_LENGTHS[:, None]
    expected = K.ctc_batch_cost(given[1], ops.softmax(LOGITS), *given[2:])
    np.testing.assert_allclose(model.predict(list(given), verbose=0), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1], LOGITS, [1], [1]), "takes a target of shape"),
        ((LABELS, LOGITS, [9, 1, 1, 1, 1], LENGTHS), "target_length of ctc_loss must hold 5"),
        ((LABELS, LOGITS, [-1, 1, 1, 1, 1], LENGTHS), "target_length of ctc_loss must hold 5"),
        ((LABELS, LOGITS, LABEL_LENGTHS, [1, 2]), "output_length of ctc_loss must hold 5"),
        ((LABELS, LOGITS, LABEL_LENGTHS, [-1, 1, 1, 1, 1]), "output_length of ctc_loss must"),
        ((LABELS + 5, LOGITS, LABEL_LENGTHS, LENGTHS), "A label of ctc_loss is outside 0..3"),
    ],
)
def test_bad_input(arguments: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ops.ctc_loss(*arguments)


def test_bad_words() -> None:
    for package in (keras, rnn_engine):
        with pytest.raises(ValueError, match="Targets `y_true` are expected to be a tensor of sha"):
            package.losses.CTC()(np.zeros(3), LOGITS)
        with pytest.raises(
            ValueError, match="Logits `y_pred` are expected to be a tensor of shape"
        ):
            package.losses.CTC()(np.zeros((3, 2)), np.zeros((3, 2)))
        with pytest.raises(ValueError, match="Invalid strategy x. Supported values are"):
            package.ops.ctc_decode(LOGITS, LENGTHS, strategy="x")
