"""`Normalization`, `CategoryEncoding` and `Discretization` against Keras's."""

from typing import Any

import keras as real
import numpy as np
import pytest

import rnn_engine as ours

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (12, 5, 3)).astype("f4")


# --- Normalization --------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 1, None, (1, 2), [2]], ids=str)
@pytest.mark.parametrize("invert", [False, True])
def test_learned(axis: Any, invert: bool) -> None:
    layers = [package.layers.Normalization(axis=axis, invert=invert) for package in (ours, real)]
    for layer in layers:
        layer.adapt(X)
    mine, theirs = layers
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
        assert a.dtype == b.dtype
    np.testing.assert_allclose(mine(X), theirs(X), rtol=1e-5, atol=1e-6)
    assert [w.name for w in mine.weights] == [w.name for w in theirs.weights]
    again = ours.layers.deserialize(ours.layers.serialize(mine))
    again.build(X.shape)
    again.set_weights(mine.get_weights())
    np.testing.assert_array_equal(again(X), mine(X))
    dy = RNG.normal(size=X.shape).astype("f4")
    y, saved = mine.forward(X)
    step = 1e-2
    numeric = ((mine(X + step) - mine(X - step)) / (2 * step)).mean()
    assert abs(mine.backward(np.ones_like(dy), saved).mean() - numeric) < 1e-3 * abs(numeric)
    assert y.shape == X.shape


@pytest.mark.parametrize(
    "kind", ["batches", "pairs", "dataset", "generator", "PyDataset", "one array in parts"]
)
def test_batches(kind: str) -> None:
    parts = [X[:5], X[5:6], X[6:]]

    class Parts(ours.utils.PyDataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return parts[index], np.zeros(len(parts[index]))

    data = {
        "batches": parts,
        "pairs": [(part, part) for part in parts],
        "dataset": ours.data.Dataset.from_tensor_slices(X).batch(5),
        "generator": (part for part in parts),
        "PyDataset": Parts(),
        "one array in parts": [X],
    }[kind]
    layer, whole = ours.layers.Normalization(), ours.layers.Normalization()
    layer.adapt(data)
    whole.adapt(X)
    for a, b in zip(layer.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    ("axis", "mean", "variance"),
    [(-1, 2.0, 4.0), (-1, [1.0, 2.0, 3.0], [1.0, 4.0, 0.0]), ((1, 2), [1.0, 2, 3], [4.0, 1, 1])],
)
def test_given(axis: Any, mean: Any, variance: Any) -> None:
    mine, theirs = (
        package.layers.Normalization(axis=axis, mean=mean, variance=variance)
        for package in (ours, real)
    )
    np.testing.assert_allclose(mine(X), theirs(X), rtol=1e-5)
    assert mine.get_weights() == []
    again = ours.layers.deserialize(ours.layers.serialize(mine))
    np.testing.assert_array_equal(again(X), mine(X))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_in_a_model_and_its_files(tmp_path: Any) -> None:
    layer = ours.layers.Normalization()
    layer.adapt(X)
    model = ours.Sequential([ours.Input((5, 3)), layer, ours.layers.SimpleRNN(4)])
    model.compile("sgd", "mse")
    model.fit(X, RNG.normal(size=(12, 4)), verbose=0)
    for name in ("m.keras", "m.npz", "m.safetensors"):
        model.save(tmp_path / name)
        again = ours.models.load_model(tmp_path / name)
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    theirs = real.models.load_model(tmp_path / "m.keras")
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(theirs.predict(X, verbose=0), expected, rtol=1e-5, atol=1e-6)
    theirs.save(tmp_path / "k.keras")
    back = ours.models.load_model(tmp_path / "k.keras")
    np.testing.assert_array_equal(back.predict(X, verbose=0), expected)


def test_wrong_normalizations() -> None:
    for options in (
        {"mean": 1.0},
        {"mean": [1.0, 2.0], "variance": 1.0},
        {"mean": [[1.0]], "variance": [[1.0]]},
    ):
        for package in (ours, real):
            with pytest.raises(ValueError, match="mean"):
                package.layers.Normalization(**options)
    for package in (ours, real):
        with pytest.raises(ValueError, match="axis"):
            package.layers.Normalization(axis=3).build((2, 3))
        with pytest.raises(ValueError, match="known shape"):
            package.layers.Normalization().build((2, None))
        with pytest.raises(ValueError, match="empty iterable"):
            package.layers.Normalization().adapt([])
        with pytest.raises(TypeError):
            package.layers.Normalization().adapt(3)
    layer = ours.layers.Normalization()
    layer.adapt(X)
    with pytest.raises(ValueError, match="incompatible shape"):
        layer.adapt(X[:, :, :2])
    with pytest.raises(ValueError, match="places along axis"):
        layer(X[:, :, :2])
    with pytest.raises(TypeError, match="numbers"):
        layer.adapt(np.array([["a"]]))


# --- CategoryEncoding and Discretization ------------------------------------------


@pytest.mark.parametrize("mode", ["multi_hot", "one_hot", "count", "binary"])
@pytest.mark.parametrize("shape", [(), (3,), (4, 3), (4, 1)], ids=str)
def test_categories(mode: str, shape: Any) -> None:
    indices = RNG.integers(0, 5, shape)
    mine, theirs = (
        package.layers.CategoryEncoding(num_tokens=5, output_mode=mode) for package in (ours, real)
    )
    expected = np.asarray(theirs(indices))
    np.testing.assert_array_equal(mine(indices), expected)
    assert mine(indices).dtype == expected.dtype
    assert mine.compute_output_shape(shape) == expected.shape
    assert mine.get_config()["output_mode"] == theirs.get_config()["output_mode"]


def test_weighted_counts() -> None:
    indices, weights = np.array([[0, 1, 1]]), np.array([[0.5, 2.0, 3.0]])
    layers = [package.layers.CategoryEncoding(3, output_mode="count") for package in (ours, real)]
    mine, theirs = (layer(indices, count_weights=weights) for layer in layers)
    np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="count_weights"):
        ours.layers.CategoryEncoding(3)(indices, count_weights=weights)


def test_wrong_categories() -> None:
    for options in ({}, {"num_tokens": 0}, {"num_tokens": 3, "output_mode": "other"}):
        for package in (ours, real):
            with pytest.raises(ValueError, match=r"."):
                package.layers.CategoryEncoding(**options)
    layer = ours.layers.CategoryEncoding(3)
    for bad in ([[0, 3]], [[-1]], [[np.nan]], [["a"]]):
        with pytest.raises(ValueError, match=r"index|whole"):
            layer(np.array(bad))


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
def test_bins(mode: str) -> None:
    numbers = np.array([[-1.5, 0.0, 0.2], [0.5, 3.0, 1.0]], "f4")
    mine, theirs = (
        package.layers.Discretization([0.0, 0.5, 1.0], output_mode=mode) for package in (ours, real)
    )
    expected = np.asarray(theirs(numbers))
    np.testing.assert_array_equal(mine(numbers), expected)
    assert mine(numbers).dtype == expected.dtype
    assert mine.compute_output_shape((2, 3)) == expected.shape


@pytest.mark.parametrize("parts", [1, 4])
def test_bins_are_found(parts: int) -> None:
    data = RNG.gamma(2, 1, (400, 2)).astype("f4")
    layers = [package.layers.Discretization(num_bins=7) for package in (ours, real)]
    for layer in layers:
        layer.adapt(data if parts == 1 else np.split(data, parts))
    mine, theirs = layers
    np.testing.assert_array_equal(mine.bin_boundaries, theirs.bin_boundaries)
    again = ours.layers.deserialize(ours.layers.serialize(mine))
    np.testing.assert_array_equal(again(data), theirs(data))
    counts = np.bincount(np.asarray(mine(data)).ravel(), minlength=7)
    assert counts.min() > 80


def test_wrong_bins() -> None:
    for options in (
        {},
        {"bin_boundaries": [1.0], "num_bins": 2},
        {"num_bins": -1},
        {"num_bins": 2, "output_mode": "other"},
    ):
        for package in (ours, real):
            with pytest.raises(ValueError, match=r"."):
                package.layers.Discretization(**options)
    with pytest.raises(ValueError, match="sorted"):
        ours.layers.Discretization([1.0, 0.0])
    with pytest.raises(ValueError, match="adapt"):
        ours.layers.Discretization(num_bins=2)(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="Cannot adapt"):
        ours.layers.Discretization([1.0]).adapt(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="no numbers"):
        ours.layers.Discretization(num_bins=2).adapt([])
