"""Layers that draw random numbers: distribution, seeds, gradients, inference."""

from typing import Any

import numpy as np
import pytest

from rnn_engine import Sequential
from rnn_engine.layers import (
    AlphaDropout,
    Dense,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
)
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.utils import set_random_seed

LAYERS = [
    lambda **k: Dropout(0.4, **k),
    lambda **k: SpatialDropout1D(0.4, **k),
    lambda **k: AlphaDropout(0.4, **k),
    lambda **k: GaussianDropout(0.4, **k),
    lambda **k: GaussianNoise(0.4, **k),
]


def numbers(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("make", LAYERS)
def test_inference_returns_the_input(make: Any) -> None:
    x = numbers(3, 4, 5)
    np.testing.assert_array_equal(make()(x), x)
    np.testing.assert_array_equal(make()(x, training=False), x)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_seed_gives_the_same_numbers_in_any_layout(make: Any, dtype: str) -> None:
    x = numbers(4, 6, 3, dtype=dtype)
    time_major = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    first = make(seed=5, dtype=dtype)
    y = first(x, training=True)
    assert y.dtype == dtype
    np.testing.assert_array_equal(make(seed=5, dtype=dtype)(time_major, training=True), y)
    assert np.any(first(x, training=True) != y), "the second call draws anew"
    assert np.any(make(seed=6, dtype=dtype)(x, training=True) != y)
    again = type(first).from_config(first.get_config())
    np.testing.assert_array_equal(again(x, training=True), y)


@pytest.mark.parametrize("make", LAYERS)
def test_without_a_seed_the_global_one_counts(make: Any) -> None:
    x, found = numbers(4, 6, 3), []
    for _ in range(2):
        set_random_seed(3)
        found.append(make()(x, training=True))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("make", LAYERS)
def test_gradient_is_that_of_the_numbers_drawn(make: Any) -> None:
    x, dy = numbers(4, 6, 3, dtype="float64"), numbers(4, 6, 3, dtype="float64")[::-1]
    layer = make(seed=1, dtype="float64")
    y, saved = layer.forward(x, True)
    dx = layer.backward(dy, saved)
    moved = make(seed=1, dtype="float64").forward(x + 1e-4, True)[0]  # each is linear in x
    np.testing.assert_allclose(dx, dy * (moved - y) / 1e-4, rtol=1e-9, atol=1e-9)
    assert np.any(dx != 0)
    assert layer.backward(dy, saved, need_dx=False) is None


def test_dropout_drops_the_share_and_keeps_the_mean() -> None:
    y = Dropout(0.3, seed=1)(np.ones((200, 500)), training=True)
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.01)
    assert y.mean() == pytest.approx(1, abs=0.01)


def test_edges_of_the_rate() -> None:
    x = numbers(3, 4)
    np.testing.assert_array_equal(Dropout(0)(x, training=True), x)
    np.testing.assert_array_equal(Dropout(1)(x, training=True), np.zeros_like(x))
    np.testing.assert_array_equal(AlphaDropout(1)(x, training=True), np.zeros_like(x))
    np.testing.assert_array_equal(GaussianNoise(0)(x, training=True), x)
    with pytest.raises(ValueError, match="infinite"):
        GaussianDropout(1.0)(x, training=True)


@pytest.mark.parametrize("make", [Dropout, AlphaDropout])
def test_noise_shape_shares_numbers(make: Any) -> None:
    x = np.ones((5, 7, 40), np.float32)
    y = make(0.5, noise_shape=(None, 1, 40), seed=1)(x, training=True)
    assert np.all(y == y[:, :1])
    assert np.any(y != y[:1])
    y = make(0.5, noise_shape=[1, 7, 1], seed=1)(x, training=True)
    assert np.all(y == y[:1, :, :1])
    assert len(np.unique(y)) == 2


def test_noise_shape_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Dropout(0.5, noise_shape=(2, 1))(numbers(5, 7, 3), training=True)
    with pytest.raises(ValueError, match="does not fit"):
        Dropout(0.5, noise_shape=(4, 1, 1))(numbers(5, 7, 3), training=True)
    for bad in ("ab", 3, (0, 1), (1.5,)):
        with pytest.raises(ValueError, match="noise_shape"):
            Dropout(0.5, noise_shape=bad)


def test_spatial_dropout_wants_a_sequence() -> None:
    y = SpatialDropout1D(0.5, seed=2)(np.ones((6, 9, 30)), training=True)
    assert np.all(y == y[:, :1])
    assert 0.3 < np.mean(y[:, 0] == 0) < 0.7
    with pytest.raises(ValueError, match="ndim=3"):
        SpatialDropout1D(0.5)(np.ones((6, 9)))


def test_gaussian_moments() -> None:
    x = np.full((300, 400), 2.0)
    y = GaussianNoise(0.7, seed=1)(x, training=True)
    assert (y.mean(), y.std()) == pytest.approx((2, 0.7), abs=0.01)
    y = GaussianDropout(0.2, seed=1)(x, training=True)
    assert (y.mean(), y.std()) == pytest.approx((2, 2 * 0.5), abs=0.015)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(1).normal(size=(300, 400))
    y = AlphaDropout(0.3, seed=1)(x, training=True)
    assert (y.mean(), y.std()) == pytest.approx((0, 1), abs=0.02)
    values, counts = np.unique(y, return_counts=True)
    assert counts.max() / y.size == pytest.approx(0.3, abs=0.01)
    lowest, a = -1.7580993408473766, (0.7 * (1 + 0.3 * 1.7580993408473766**2)) ** -0.5
    assert values[counts.argmax()] == pytest.approx(a * lowest - a * lowest * 0.3, rel=1e-5)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "half", True])
def test_amounts_outside_are_refused(value: Any) -> None:
    for make in (Dropout, SpatialDropout1D, AlphaDropout, GaussianDropout, GaussianNoise):
        with pytest.raises(ValueError, match="between 0 and 1"):
            make(value)


def test_training_in_a_model_is_reproducible() -> None:
    x, y = numbers(20, 6), numbers(20, 1)
    results = []
    for _ in range(2):
        set_random_seed(11)
        model = Sequential([Dense(8, "tanh"), Dropout(0.5), GaussianNoise(0.1), Dense(1)])
        model.compile("adam", "mse")
        model.fit(x, y, epochs=3, batch_size=8, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_factors_are_independent_by_place_and_by_draw() -> None:
    """Normalized sums of what should be independent have a deviation of one."""
    generator, n, draws = np.random.default_rng(7), 1 << 14, 60
    dropped = [dropout_mask(generator, 0.5, (n,), np.float32) == 0 for _ in range(draws)]
    z = np.stack(dropped) * 2.0 - 1
    pairs = (z @ z.T / np.sqrt(n))[np.triu_indices(draws, 1)]
    assert pairs.std() == pytest.approx(1, abs=0.1)
    assert (z.mean(axis=1) * np.sqrt(n)).std() == pytest.approx(1, abs=0.35)
    assert (z.mean(axis=0) * np.sqrt(draws)).std() == pytest.approx(1, abs=0.05)
    for lag in (1, 2, 64, 128, 1000):
        products = (z[:, :-lag] * z[:, lag:]).mean(axis=1) * np.sqrt(n - lag)
        assert products.std() == pytest.approx(1, abs=0.35)
        assert abs(products.mean()) * np.sqrt(draws) < 4


@pytest.mark.parametrize("rate", [0.001, 0.25, 0.9, 0.999])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shares_of_dropped_factors(rate: float, dtype: str) -> None:
    factors = dropout_mask(np.random.default_rng(1), rate, (400, 500), dtype)
    assert factors.dtype == dtype
    np.testing.assert_array_equal(np.unique(factors), np.array([0, 1 / (1 - rate)], dtype))
    deviation = np.sqrt(rate * (1 - rate) / factors.size)
    assert abs(np.mean(factors == 0) - rate) < 5 * deviation
