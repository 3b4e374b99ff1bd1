"""Embedding: its gradient stays sparse up to the optimizer, and bad indices are refused."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from rnn_engine import Sequential, optimizers
from rnn_engine.kernels import threads
from rnn_engine.layers import Dense, Embedding, Flatten, GlobalAveragePooling1D, Reshape, SimpleRNN
from rnn_engine.optimizers.sparse import SparseGrad
from rnn_engine.variable import MOST_PARTS, Variable
from tests import tolerances


def make_model(optimizer: Any = "sgd", rows: int = 30, **options: Any) -> Sequential:
    model = Sequential([Embedding(rows, 4, **options), SimpleRNN(3), Dense(2)])
    model.compile(optimizer, "mse")
    model.build((None, 5))
    return model


def data(rows: int = 30, batch: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, rows, (batch, 5)), rng.normal(size=(batch, 2)).astype(np.float32)


def gradient_seen(model: Sequential, x: np.ndarray, y: np.ndarray) -> Any:
    """Train one step; return what the optimizer was given for the table."""
    seen = []
    apply = model.optimizer.apply

    def watch(grads: Any, variables: Any) -> None:
        seen.append(grads[0])
        apply(grads, variables)

    model.optimizer.apply = watch
    model.train_on_batch(x, y)
    return seen[0]


def test_the_optimizer_gets_the_rows_of_the_batch() -> None:
    x, y = data()
    model = make_model()
    dense = model.gradients(x, y)[0]
    found = gradient_seen(model, x, y)
    assert isinstance(found, SparseGrad)
    np.testing.assert_array_equal(np.sort(found.indices), np.sort(x.ravel()))
    np.testing.assert_array_equal(found.to_dense(), dense)
    assert np.all(np.abs(dense[np.unique(x)]).sum(axis=1) > 0)


def test_rows_that_are_not_met_keep_their_bits() -> None:
    x, y = data(rows=20)
    model = make_model(optimizers.SGD(0.5))
    table = model.layers[0].embeddings
    before = table.numpy()
    model.fit(x, y, epochs=3, verbose=0)
    changed = np.any(table.value != before, axis=1)
    np.testing.assert_array_equal(np.flatnonzero(changed), np.unique(x))


def test_a_large_vocabulary_costs_what_the_batch_touches() -> None:
    rows = 1_000_000
    x, y = data(rows)
    model = make_model("sgd", rows)
    model.train_on_batch(x, y)
    tracemalloc.start()
    try:
        model.train_on_batch(x, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < model.layers[0].embeddings.value.nbytes / 50
    assert model.layers[0].embeddings._grad is None


def test_a_regularizer_makes_the_gradient_dense() -> None:
    x, y = data()
    model = make_model(embeddings_regularizer="l2")
    grad = gradient_seen(model, x, y)
    assert isinstance(grad, np.ndarray)
    untouched = np.setdiff1d(np.arange(30), x)
    assert untouched.size
    assert np.all(grad[untouched] != 0)


def test_frozen_table_gathers_no_gradient() -> None:
    x, y = data()
    model = make_model(trainable=False)
    table = model.layers[0].embeddings
    before = table.numpy()
    model.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(table.value, before)
    assert table._parts is None
    assert table._grad is None


def test_loss_scale_reaches_sparse_gradients() -> None:
    x, y = data()
    plain = make_model(optimizers.SGD(0.1))
    scaled = make_model(optimizers.SGD(0.1, loss_scale_factor=64.0))
    scaled.set_weights(plain.get_weights())
    for model in (plain, scaled):
        model.train_on_batch(x, y)
    for a, b in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_gradients_of_one_table_add_up() -> None:
    table = Variable(np.zeros((6, 2)), name="table")
    first = SparseGrad([1, 4], np.array([[1.0, 2.0], [3.0, 4.0]]), (6, 2))
    second = SparseGrad([4], np.array([[10.0, 20.0]]), (6, 2))
    table.add_sparse(first)
    assert table.gradient is first
    table.add_sparse(second)
    both = table.gradient
    np.testing.assert_array_equal(both.indices, [1, 4, 4])
    expected = np.zeros((6, 2))
    expected[1], expected[4] = [1, 2], [13, 24]
    np.testing.assert_array_equal(both.to_dense(), expected)
    table.scale_gradient(2.0)
    np.testing.assert_array_equal(table.gradient.to_dense(), 2 * expected)
    np.testing.assert_array_equal(table.grad, 2 * expected)
    table.add_sparse(second)
    np.testing.assert_array_equal(table.gradient[4], [36, 68])
    table.clear_gradient()
    np.testing.assert_array_equal(table.gradient, np.zeros((6, 2)))


def test_gradients_that_nobody_clears_do_not_pile_up() -> None:
    table = Variable(np.zeros((3, 1)), name="table")
    part = SparseGrad([1], np.ones((1, 1)), (3, 1))
    for _ in range(3 * MOST_PARTS + 5):
        table.add_sparse(part)
    assert len(table._parts or ()) <= MOST_PARTS
    assert table.grad[1] == 3 * MOST_PARTS + 5


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "Adagrad", "RMSprop"])
def test_training_agrees_with_keras(optimizer: str) -> None:
    keras_twin = pytest.importorskip("reference.keras_twin")
    x, y = data(rows=12)  # rows occur more than once
    model = make_model(getattr(optimizers, optimizer)(0.05), 12, mask_zero=True)
    twin = keras_twin.twin_of(model)
    twin.compile(keras_twin.keras_optimizer(model.optimizer), "mse")
    for _ in range(5):
        mine, theirs = model.train_on_batch(x, y), twin.train_on_batch(x, y)
        assert mine == pytest.approx(float(theirs), rel=1e-5)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert tolerances.relative_error(a, b, "float32") <= 2 * tolerances.TRAINING["float32"]


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.array([[1, 2], [5, 9]]), r"index 5 at position \(1, 0\)"),
        (np.array([[1, -1], [5, 9]]), r"index -1 at position \(0, 1\)"),
        (np.array([[1.0, 4.9], [0.0, np.nan]]), r"index nan at position \(1, 1\)"),
        (np.array([[1.0, 1e30]]), r"at position \(0, 1\)"),
        (np.array([[-0.5 - 1, 0]]), r"index -1.5 at position \(0, 0\)"),
        (np.array([[2**64 - 1]], np.uint64), r"index 18446744073709551615 at position \(0, 0\)"),
        (np.array([[["a"]]]), "takes indices"),
        (np.zeros((0, 3), int), "empty axis"),
    ],
)
def test_bad_indices_are_refused(x: np.ndarray, text: str) -> None:
    layer = Embedding(5, 2)
    with pytest.raises(ValueError, match=text):
        layer(x)


def test_bad_index_in_fit_changes_nothing() -> None:
    x, y = data()
    model = make_model("adam")
    before = model.get_weights()
    x[3, 1] = 30
    with pytest.raises(ValueError, match=r"index 30 at position \(3, 1\)"):
        model.train_on_batch(x, y)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.optimizer.iterations.value == 0


def test_floats_are_cut_off_and_integers_of_any_kind_taken() -> None:
    layer = Embedding(5, 2)
    expected = layer(np.array([[1, 4, 0]]))
    for x in ([[1, 4, 0]], np.array([[1.9, 4.2, 0.5]]), np.array([[1, 4, 0]], ">i2")):
        np.testing.assert_array_equal(layer(x), expected)
    np.testing.assert_array_equal(layer(np.array([[1, 4, 0]], np.uint8)), expected)


def test_layers_below_need_no_gradient() -> None:
    model = Sequential([Reshape((4,)), Embedding(7, 3), Flatten(), Dense(1)])
    model.compile("sgd", "mse")
    x = np.arange(8).reshape(2, 2, 2) % 7
    model.fit(x, np.ones((2, 1)), verbose=0)
    assert model.gradients(x, np.ones((2, 1)), inputs=True).inputs is None


def test_any_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SERIAL_WORK", 1)
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 50, (17, 13)), rng.normal(size=(17, 2))
    before, results = threads.get_num_threads(), []
    model = Sequential([Embedding(50, 7), GlobalAveragePooling1D(), Dense(2)])
    model.compile("sgd", "mse")
    try:
        for number in (1, 2, 3):
            threads.set_num_threads(number)
            grads = model.gradients(x, y)
            results.append([model(x), *grads.arrays])
    finally:
        threads.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_bad_sizes() -> None:
    for options in ({"input_dim": 0}, {"output_dim": -1}, {"input_dim": 2.0}, {"output_dim": True}):
        with pytest.raises(ValueError, match="must be a positive integer"):
            Embedding(**{"input_dim": 3, "output_dim": 2, **options})
    with pytest.raises(ValueError, match="not compatible"):
        Embedding(3, 2, weights=np.zeros((2, 3)))


def test_the_shape_may_be_left_out_of_build() -> None:
    keras = pytest.importorskip("keras")
    ours, theirs = Embedding(5, 3), keras.layers.Embedding(5, 3)
    for layer in (ours, theirs):
        layer.build()
        layer.set_weights([np.arange(15.0).reshape(5, 3)])
    index = np.array([[0, 4], [2, 1]])
    np.testing.assert_array_equal(ours(index), theirs(index))
