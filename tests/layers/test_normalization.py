"""Layer and batch normalization beyond their formulae: statistics, freezing, bits."""

from typing import Any

import numpy as np
import pytest

from rnn_engine import Sequential
from rnn_engine.kernels import normalization as kernels
from rnn_engine.kernels import threads
from rnn_engine.layers import BatchNormalization, Dense, LayerNormalization
from tests import tolerances


def numbers(*shape: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * 3 + 1).astype(dtype)


def randomize(layer: Any, shape: tuple[int, ...]) -> Any:
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(9)
    layer.set_weights([rng.uniform(0.5, 2, v.shape) for v in layer.weights])
    return layer


def run(layer: Any, x: np.ndarray, dy: np.ndarray, mask: Any = None) -> list[np.ndarray]:
    for v in layer.trainable_weights:
        v.clear_gradient()
    y, saved = layer.forward(x, True, mask)
    dx = layer.backward(dy, saved)
    return [np.array(y), np.array(dx), *(v.grad.copy() for v in layer.trainable_weights)]


@pytest.mark.parametrize("cls", [LayerNormalization, BatchNormalization])
@pytest.mark.parametrize("shape", [(37, 41, 19), (1500, 7)])
def test_threads_change_no_bit(
    cls: Any, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "SERIAL_WORK", 1)
    x, dy = numbers(*shape), numbers(*shape, seed=1)
    before, results = threads.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            threads.set_num_threads(number)
            results.append(run(randomize(cls(), shape), x, dy))
    finally:
        threads.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cls", [LayerNormalization, BatchNormalization])
def test_a_row_has_the_same_bits_in_any_batch(cls: Any) -> None:
    x = numbers(300, 4, 37)
    layer = randomize(cls(), x.shape)
    whole = layer(x)
    for rows in (slice(7, 8), slice(100, 290)):
        np.testing.assert_array_equal(layer(x[rows]), whole[rows])


@pytest.mark.parametrize("columns", [1, 15, 16, 33, 200])
def test_more_rows_than_a_block(columns: int) -> None:
    """Sums over several blocks of rows, against plain NumPy in float64."""
    rows = 2 * kernels.BLOCK + 5
    x, dy = numbers(rows, columns), numbers(rows, columns, seed=1)
    wide, slope = x.astype(np.float64), dy.astype(np.float64)
    for cls, axis in ((LayerNormalization, 1), (BatchNormalization, 0)):
        if columns == 1 and cls is LayerNormalization:
            continue  # the deviation of one number is zero
        layer = randomize(cls(), x.shape)
        gamma, beta = (v.value.astype(np.float64) for v in layer.trainable_weights)
        y, _, dgamma, dbeta = run(layer, x, dy)
        inv = 1 / np.sqrt(wide.var(axis=axis, keepdims=True) + 1e-3)
        normal = (wide - wide.mean(axis=axis, keepdims=True)) * inv
        for value, wanted in (
            (y, normal * gamma + beta),
            (dgamma, (slope * normal).sum(axis=0)),
            (dbeta, slope.sum(axis=0)),
        ):
            error = tolerances.relative_error(value, wanted, "float32")
            assert error <= tolerances.tolerance("float32")


def test_large_means_are_no_loss() -> None:
    """Deviations are taken before they are scaled: 1e4 ± 1 keeps its digits."""
    x = (np.random.default_rng(0).normal(size=(64, 32)) + 1e4).astype(np.float32)
    wide = x.astype(np.float64)
    for layer, axis in ((LayerNormalization(), 1), (BatchNormalization(), 0)):
        layer.build(x.shape)
        y = layer.forward(x, True)[0]
        inv = 1 / np.sqrt(wide.var(axis=axis, keepdims=True) + 1e-3)
        wanted = (wide - wide.mean(axis=axis, keepdims=True)) * inv
        assert np.abs(y - wanted).max() < 1e-6


def test_moving_statistics() -> None:
    layer = BatchNormalization(momentum=0.9)
    x = numbers(50, 6, 3)
    layer(x, training=True)
    flat = x.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(layer.moving_mean.value, 0.1 * flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.value, 0.9 + 0.1 * flat.var(axis=0), rtol=1e-5)
    kept = layer.get_weights()
    layer(x)
    for a, b in zip(kept, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_masked_steps_do_not_count() -> None:
    x, mask = numbers(5, 7, 3), np.random.default_rng(1).random((5, 7)) > 0.4
    other = np.where(mask[..., None], x, np.float32(99))
    one, two = BatchNormalization(), BatchNormalization()
    y = one(x, training=True, mask=mask)
    np.testing.assert_array_equal(two(other, training=True, mask=mask)[mask], y[mask])
    np.testing.assert_array_equal(one.moving_mean.value, two.moving_mean.value)
    np.testing.assert_allclose(y[mask].mean(axis=0), 0, atol=1e-5)
    with pytest.raises(ValueError, match="one dimension less"):
        one(x, mask=mask[..., None])


def test_frozen_batch_normalization_is_in_inference_mode() -> None:
    x = numbers(30, 4)
    model = Sequential([Dense(5), BatchNormalization(), Dense(1)])
    model.build(x.shape)
    frozen = randomize(model.layers[1], (None, 5))
    frozen.trainable = False
    assert [v.name for v in frozen.non_trainable_weights] == [
        "gamma", "beta", "moving_mean", "moving_variance",
    ]  # fmt: skip
    np.testing.assert_array_equal(model(x, training=True), model(x))
    before = frozen.get_weights()
    model.compile("adam", "mse")
    model.fit(x, numbers(30, 1), epochs=2, verbose=0)
    for a, b in zip(before, frozen.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    frozen.trainable = True
    assert np.any(model(x, training=True) != model(x))


@pytest.mark.parametrize("whole_model", [True, False])
def test_frozen_training_agrees_with_keras(whole_model: bool) -> None:
    keras_twin = pytest.importorskip("reference.keras_twin")
    x, y = numbers(12, 4), numbers(12, 2)
    inner = Sequential([BatchNormalization(), Dense(4, "tanh"), LayerNormalization()])
    model = Sequential([Dense(4), inner, BatchNormalization(trainable=whole_model), Dense(2)])
    model.build(x.shape)
    inner.trainable = False
    twin = keras_twin.twin_of(model)
    twin.layers[1].trainable = False
    for one in (model, twin):
        one.compile("sgd", "mse")
    for _ in range(3):
        assert model.train_on_batch(x, y) == pytest.approx(float(twin.train_on_batch(x, y)))
    assert len(model.trainable_variables) == len(twin.trainable_variables)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert tolerances.relative_error(a, b, "float32") <= tolerances.TRAINING["float32"]


def test_wrong_shapes_are_refused() -> None:
    for cls in (LayerNormalization, BatchNormalization):
        layer = cls()
        layer.build((None, 4, 3))
        for shape in ((2, 3), (2, 4, 5), (0, 4, 3)):
            with pytest.raises(ValueError, match="incompatible"):
                layer(np.ones(shape))
        with pytest.raises(ValueError, match="out of bounds"):
            cls(axis=3).build((None, 4, 3))
        with pytest.raises(ValueError, match="must be known"):
            cls().build((2, None))
    with pytest.raises(TypeError, match="list/tuple"):
        LayerNormalization(axis="last")
