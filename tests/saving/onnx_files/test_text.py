"""Layers of strings as ONNX: what ONNX Runtime gives for texts is what the model predicts."""

import numpy as np
import onnxruntime
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.saving import from_onnx, to_onnx

TERMS = ["a", "b", "é", "Zug"]
WORDS = np.array([["a", "b", "x"], ["é", "", "a"], ["Zug", "zug", "[UNK]"]], dtype=object)
TEXTS = np.array(
    [["a b  x a"], [" é\tZug\n b "], [""], ["x\x0by\x0ca b\ra"], ["a b é Zug a b é"]], dtype=object
)
NUMBERS = np.array([[12, 36, 5], [-7, 0, 12], [1138, 1 << 40, 36]])
MODES = ["int", "one_hot", "multi_hot", "count", "tf_idf"]


def check(model, x, folder):
    path = folder / "m.onnx"
    to_onnx(model, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x})[0]
    expected = model.predict(x, verbose=0)
    assert found.dtype.kind == expected.dtype.kind or found.dtype == object
    np.testing.assert_array_equal(found.shape, expected.shape)
    if found.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        np.testing.assert_allclose(found, expected, atol=1e-6)
    again = from_onnx(path).predict(x, verbose=0)
    if found.dtype == object:
        assert again.tolist() == expected.tolist()
    else:
        assert again.dtype.kind == expected.dtype.kind
        np.testing.assert_allclose(again, expected, atol=1e-6)


def model_of(layer, shape=(3,), dtype="string", behind=()):
    x = inputs = layers.Input(shape, dtype=dtype)
    for one in (layer, *behind):
        x = one(x)
    return rnn_engine.Model(inputs, x)


def settings_of(mode):
    return {"output_mode": mode, **({"idf_weights": [0.5, 1, 2, 3]} if mode == "tf_idf" else {})}


@pytest.mark.parametrize("mask_token", [None, ""])
@pytest.mark.parametrize("mode", MODES)
def test_string_lookup(mode, mask_token, tmp_path):
    layer = layers.StringLookup(vocabulary=TERMS, mask_token=mask_token, **settings_of(mode))
    check(model_of(layer), WORDS, tmp_path)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("buckets", [1, 3])
@pytest.mark.parametrize("mask_token", [None, 0])
def test_integer_lookup(mode, buckets, mask_token, tmp_path):
    layer = layers.IntegerLookup(
        vocabulary=[12, 36, 1138, -7], num_oov_indices=buckets, mask_token=mask_token,
        **settings_of(mode),
    )  # fmt: skip
    check(model_of(layer, dtype="int64"), NUMBERS, tmp_path)


@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup"])
def test_back_to_terms(kind, tmp_path):
    terms = TERMS if kind == "StringLookup" else [12, 36, 1138, -7]
    layer = getattr(layers, kind)(vocabulary=terms, invert=True)
    indices = np.array([[0, 1, 2], [4, 9, 3]])
    check(model_of(layer, dtype="int64"), indices, tmp_path)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("split", ["whitespace", None])
def test_text_vectorization(mode, split, tmp_path):
    for length in (None, 3, 9) if mode == "int" else (None,):
        layer = layers.TextVectorization(
            standardize=None, split=split, output_sequence_length=length, vocabulary=TERMS,
            **settings_of(mode),
        )  # fmt: skip
        check(model_of(layer, (1,)), TEXTS, tmp_path)


def test_a_model_of_texts(tmp_path):
    texts = layers.TextVectorization(standardize=None, output_sequence_length=6)
    texts.adapt(["a b c d a", "b c e"])
    behind = (layers.Embedding(8, 4, mask_zero=True), layers.LSTM(3), layers.Dense(2))
    check(model_of(texts, (1,), behind=behind), TEXTS, tmp_path)


REFUSED = {
    "cleans texts": lambda: layers.TextVectorization(vocabulary=TERMS),
    "cleans texts .standardize='lower'.": lambda: layers.TextVectorization(
        standardize="lower", vocabulary=TERMS
    ),
    "otherwise than at blanks": lambda: layers.TextVectorization(
        standardize=None, split="character", vocabulary=TERMS
    ),
    "n-grams": lambda: layers.TextVectorization(standardize=None, ngrams=2, vocabulary=TERMS),
    "are hashed": lambda: layers.StringLookup(vocabulary=TERMS, num_oov_indices=2),
    "are an error": lambda: layers.StringLookup(vocabulary=TERMS, num_oov_indices=0),
    "no vocabulary yet": lambda: layers.StringLookup(),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_onnx_has_not(reason, tmp_path):
    model = model_of(REFUSED[reason](), (1,))
    with pytest.raises(ValueError, match=f"cannot be written as ONNX.*{reason}"):
        to_onnx(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
