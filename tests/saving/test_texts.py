"""Layers of strings in models: first in a row or a graph, in files both ways, trained, served."""

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.models import clone_model, load_model, model_from_json
from tests.saving.cases import assert_same

pytest.importorskip("h5py")
# Keras's own arrays trip over NumPy 2's `copy`; nothing of ours warns so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TEXTS = ["a rose is a rose", "Is it? A rose!", "it is not", "a b c not in it"]
X = np.array(TEXTS, dtype=object)[:, None]
Y = np.array([[0.0], [1.0], [1.0], [0.0]])


def vectorizer(ns, **options):
    layer = ns.TextVectorization(**{"output_sequence_length": 5, **options})
    layer.adapt(TEXTS)
    return layer


def embedded(package, **options):
    """Texts to a recurrent layer."""
    ns = package.layers
    return package.Sequential([
        ns.Input((1,), dtype="string"), vectorizer(ns, **options),
        ns.Embedding(20, 3, mask_zero=True), ns.SimpleRNN(4), ns.Dense(1),
    ])  # fmt: skip


def bags(package, mode):
    ns = package.layers
    layer = vectorizer(ns, output_mode=mode, output_sequence_length=None)
    return package.Sequential([ns.Input((1,), dtype="string"), layer, ns.Dense(1)])


def words(package):
    ns = package.layers
    lookup = ns.StringLookup(num_oov_indices=2)
    lookup.adapt([text.split()[:3] for text in TEXTS])
    return package.Sequential([
        ns.Input((3,), dtype="string"), lookup, ns.Embedding(20, 3), ns.Flatten(), ns.Dense(1),
    ])  # fmt: skip


MODELS = {
    "embedded": (embedded, X),
    "multi_hot": (lambda package: bags(package, "multi_hot"), X),
    "count": (lambda package: bags(package, "count"), X),
    "tf_idf": (lambda package: bags(package, "tf_idf"), X),
    "words": (words, np.array([text.split()[:3] for text in TEXTS], dtype=object)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("ending", [".npz", ".keras", ".h5", ".safetensors"])
def test_files(name, ending, tmp_path):
    make, x = MODELS[name]
    model = make(rnn_engine)
    model.compile("adam", "mse")
    model.fit(x, Y, verbose=0)
    model.save(tmp_path / f"m{ending}")
    again = load_model(tmp_path / f"m{ending}")
    assert_same(again, model)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.layers[0].get_vocabulary() == model.layers[0].get_vocabulary()
    history = model.fit(x, Y, epochs=2, shuffle=False, verbose=0).history
    assert again.fit(x, Y, epochs=2, shuffle=False, verbose=0).history == history


@pytest.mark.parametrize("name", MODELS)
def test_with_keras(name, tmp_path):
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    make, x = MODELS[name]
    theirs = make(keras)
    theirs.save(tmp_path / "k.keras")
    ours = load_model(tmp_path / "k.keras")
    wanted = np.asarray(theirs(tf.constant(x.astype(str))))
    np.testing.assert_allclose(ours.predict(x, verbose=0), wanted, rtol=1e-5, atol=1e-6)
    assert ours.layers[0].get_vocabulary() == theirs.layers[0].get_vocabulary()
    ours.save(tmp_path / "o.keras")
    back = keras.models.load_model(tmp_path / "o.keras")
    got = np.asarray(back(tf.constant(x.astype(str))))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    ours.save_weights(tmp_path / "o.weights.h5")
    theirs.load_weights(tmp_path / "o.weights.h5")
    assert_same(theirs, ours)


def test_as_layers():
    model = embedded(rnn_engine)
    first = model.layers[0]
    assert isinstance(first, layers.Layer)
    assert first.get_weights() == []
    assert first.count_params() == 0
    assert model.output_shape == (None, 1)
    assert first.compute_output_shape((None, 1)) == (None, 5)
    again = layers.deserialize(layers.serialize(first))
    again.set_vocabulary(first.get_vocabulary())
    np.testing.assert_array_equal(again(TEXTS), first(TEXTS))
    lookup = layers.deserialize(layers.serialize(layers.StringLookup(vocabulary=["a", "b"])))
    np.testing.assert_array_equal(lookup(["b", "x"]), [2, 0])
    built = rnn_engine.Sequential([vectorizer(layers), layers.Embedding(20, 3)])
    assert built(TEXTS).shape == (4, 5, 3)


@pytest.mark.parametrize("x", [TEXTS, X, X.astype(str), np.array(TEXTS), [[t] for t in TEXTS]])
def test_what_may_be_given(x):
    """Lists and arrays of texts, with an axis of one or without, in every method."""
    model = embedded(rnn_engine)
    model.compile("sgd", "mse")
    wanted = model(X)
    np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)
    np.testing.assert_array_equal(model.predict_on_batch(np.asarray(x)), wanted)
    loss = model.evaluate(x, Y, verbose=0)
    assert loss == pytest.approx(np.mean((wanted - Y) ** 2), rel=1e-5)
    assert len(model.fit(x, Y, epochs=2, batch_size=3, verbose=0).history["loss"]) == 2
    generated = ((part, part_y) for part, part_y in [(X[:2], Y[:2]), (X[2:], Y[2:])])
    model.fit(generated, verbose=0)


def test_graphs_json_and_clones(tmp_path):
    text = layers.Input((1,), dtype="string")
    out = layers.Dense(1)(layers.SimpleRNN(4)(layers.Embedding(20, 3)(vectorizer(layers)(text))))
    model = rnn_engine.Model(text, out)
    assert model.predict(X, verbose=0).shape == (4, 1)
    row = embedded(rnn_engine)
    for again in (model_from_json(row.to_json()), clone_model(row)):
        with pytest.raises(RuntimeError, match="has no vocabulary"):  # as in Keras
            again.predict(X, verbose=0)
        again.layers[0].set_vocabulary(row.layers[0].get_vocabulary())
        again.set_weights(row.get_weights())
        np.testing.assert_array_equal(again.predict(X, verbose=0), row.predict(X, verbose=0))


def test_given_vocabularies_and_bad_ones(tmp_path):
    given = layers.TextVectorization(vocabulary=["rose", "is"], output_sequence_length=3)
    model = rnn_engine.Sequential([layers.Input((1,), dtype="string"), given])
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(X), model(X))
    broken = layers.StringLookup()
    broken.adapt(["a\nb"])
    odd = rnn_engine.Sequential([layers.Input((1,), dtype="string"), broken])
    with pytest.raises(ValueError, match="no line breaks"):
        odd.save(tmp_path / "odd.keras")
