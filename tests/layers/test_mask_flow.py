"""What becomes of a mask in every layer, as in Keras; pooling under masks."""

import warnings
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import Sequential, layers
from rnn_engine.layers import Dense, Embedding, GlobalAveragePooling1D, Masking, SimpleRNN

OPTIONS: dict[str, Any] = {
    "ActivityRegularization": {"l2": 0.1},
    "AlphaDropout": {"rate": 0.2},
    "BatchNormalization": {},
    "Dense": {"units": 2},
    "Dropout": {"rate": 0.2},
    "Flatten": {},
    "GaussianDropout": {"rate": 0.2},
    "GaussianNoise": {"stddev": 0.2},
    "GlobalAveragePooling1D": {},
    "GlobalMaxPooling1D": {},
    "LayerNormalization": {},
    "Masking": {"mask_value": 2.0},
    "Permute": {"dims": (2, 1)},
    "Rescaling": {"scale": 2.0},
    "Reshape": {"target_shape": (-1, 1)},
    "SpatialDropout1D": {"rate": 0.2},
}


def sequence() -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    x[0, 3:] = x[1, ::2] = 0
    x[2, 1] = 2
    return x


@pytest.mark.parametrize("name", OPTIONS)
def test_the_mask_goes_where_it_goes_in_keras(name: str) -> None:
    keras = pytest.importorskip("keras")
    x, options = sequence(), OPTIONS[name]
    layer = getattr(layers, name)(**options)
    with warnings.catch_warnings(record=True) as mine:
        warnings.simplefilter("always")
        _, mask, _ = Sequential([Masking(), layer]).forward_with_mask(x)
    twin = getattr(keras.layers, name)(**options)
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        y = twin(keras.layers.Masking()(x))
    expected = getattr(y, "_keras_mask", None)
    if expected is None:
        assert mask is None
    else:
        np.testing.assert_array_equal(mask, np.asarray(expected))
    lost = [[w for w in found if "does not support masking" in str(w.message)]
            for found in (mine, theirs)]  # fmt: skip
    assert len(lost[0]) == len(lost[1])
    assert layer.supports_masking == twin.supports_masking


@pytest.mark.parametrize("name", ["Add", "Concatenate", "Average", "Attention"])
@pytest.mark.parametrize("masked", [(0, 1), (0,), (1,)])
def test_tensors_in_a_list_bring_their_masks(name: str, masked: tuple[int, ...]) -> None:
    """Outside of a model, as in Keras."""
    keras = pytest.importorskip("keras")
    ids = np.array([[1, 2, 0, 2], [2, 0, 0, 0]])
    table = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)

    def give(kit: Any) -> Any:
        inputs = []
        for i in range(2):
            embedding = kit.layers.Embedding(3, 2, mask_zero=i in masked)
            embedding.build((None, 4))
            embedding.set_weights([table])
            inputs.append(embedding(ids[::-1] if i else ids))
        return getattr(kit.layers, name)()(inputs)

    ours, theirs = give(rnn_engine), give(keras)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-6)
    mask, wanted = (getattr(y, "_keras_mask", None) for y in (ours, theirs))
    assert (mask is None) == (wanted is None)
    if wanted is not None:
        np.testing.assert_array_equal(mask, np.asarray(wanted))


@pytest.mark.parametrize("mask_zero", [True, False])
def test_embedding_masks_zeros(mask_zero: bool) -> None:
    x = np.array([[1, 0, 2], [0, 0, 0]])
    layer = Embedding(3, 2, mask_zero=mask_zero)
    layer.build(x.shape)
    _, mask, _ = layer.forward_with_mask(x)
    if mask_zero:
        np.testing.assert_array_equal(mask, x != 0)
    else:
        assert mask is None


def test_masks_reach_loss_and_metrics_as_in_keras() -> None:
    keras_twin = pytest.importorskip("reference.keras_twin")
    rng = np.random.default_rng(2)
    x = rng.integers(0, 4, (6, 7))
    x[1], x[2, 3:] = 0, 0
    y = rng.integers(0, 3, (6, 7))
    model = Sequential([
        Embedding(4, 3, mask_zero=True),
        SimpleRNN(5, return_sequences=True),
        layers.LayerNormalization(),
        Dense(3, "softmax"),
    ])  # fmt: skip
    model.build((None, 7))
    twin = keras_twin.twin_of(model)
    for one in (model, twin):
        one.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(3):
        mine, theirs = model.train_on_batch(x, y), twin.train_on_batch(x, y)
        np.testing.assert_allclose(mine, np.asarray(theirs, float), rtol=1e-5)
    np.testing.assert_allclose(
        model.evaluate(x, y, verbose=0), twin.evaluate(x, y, verbose=0), rtol=1e-5
    )


def test_right_padding_changes_no_bit_of_a_mean() -> None:
    x = np.random.default_rng(3).normal(size=(4, 9, 5)).astype(np.float32)
    long = np.concatenate([x, np.full((4, 30, 5), np.nan, np.float32)], axis=1)
    mask = np.arange(39)[None].repeat(4, 0) < 9
    pool = GlobalAveragePooling1D()
    np.testing.assert_array_equal(pool(long, mask=mask), pool(x))
    np.testing.assert_array_equal(pool(x)[2:3], pool(x[2:3]))


def test_long_means_are_exact_to_the_last_digit() -> None:
    x = (np.random.default_rng(4).normal(size=(2, 4096, 3)) + 100).astype(np.float32)
    expected = x.astype(np.float64).mean(axis=1)
    np.testing.assert_array_equal(GlobalAveragePooling1D()(x), expected.astype(np.float32))


def test_a_row_without_an_open_step() -> None:
    """As in Keras its mean is NaN, and no gradient goes back into it."""
    x = np.ones((2, 3, 2), np.float32)
    mask = np.array([[False] * 3, [True, False, True]])
    pool = GlobalAveragePooling1D()
    y, saved = pool.forward(x, mask=mask)
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1]).all()
    dx = pool.backward(np.ones((2, 2), np.float32), saved)
    np.testing.assert_array_equal(dx[..., 0], [[0, 0, 0], [0.5, 0, 0.5]])


def test_a_largest_value_of_nan_stays_visible() -> None:
    x = np.ones((1, 3, 1), np.float32)
    x[0, 1] = np.nan
    pool = layers.GlobalMaxPooling1D()
    y, saved = pool.forward(x)
    assert np.isnan(y).all()
    assert np.isnan(pool.backward(np.ones((1, 1), np.float32), saved)).any()


def test_bad_arguments() -> None:
    for make in (
        lambda: layers.GlobalMaxPooling1D(data_format="last"),
        lambda: layers.Flatten(data_format="first"),
        lambda: layers.GlobalAveragePooling1D()(np.ones((2, 3))),
        lambda: layers.Reshape((2, -2)),
        lambda: layers.Reshape((-1, -1)),
        lambda: layers.Reshape((4,))(np.ones((2, 3))),
        lambda: layers.Reshape((-1, 2))(np.ones((2, 3))),
        lambda: layers.Permute((0, 1)),
        lambda: layers.Permute((1, 3)),
        lambda: layers.Permute((2, 1))(np.ones((2, 3))),
        lambda: layers.RepeatVector(0),
        lambda: layers.RepeatVector(2)(np.ones((2, 3, 4))),
        lambda: layers.Rescaling([1.0, 2.0])(np.ones((2, 3))),
        lambda: layers.Rescaling(np.ones((2, 3, 4)))(np.ones((3, 4))),
    ):
        with pytest.raises(ValueError, match=r"\S"):
            make()
    with pytest.raises(TypeError, match="integer"):
        layers.RepeatVector(2.0)
