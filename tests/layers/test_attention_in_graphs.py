"""Attention in graphs, beside Keras: masks beside a mask of pairs, and weights as outputs."""

import keras
import numpy as np
import pytest

import rnn_engine

RNG = np.random.default_rng(4)
X = RNG.normal(size=(2, 5, 4)).astype("f4")
X[0, 3:], X[1, :2] = 0, 0
PAIRS = RNG.random((2, 5, 5)) < 0.7


def model_of(engine, kind, scores):
    inputs = engine.layers.Input((5, 4))
    pairs = engine.layers.Input((5, 5), dtype="bool")
    x = engine.layers.Masking()(inputs)
    if kind == "MultiHeadAttention":
        layer = engine.layers.MultiHeadAttention(2, 3)
        y = layer(x, x, attention_mask=pairs, return_attention_scores=scores)
    else:
        y = getattr(engine.layers, kind)()([x, x], return_attention_scores=scores)
    return engine.Model([inputs, pairs], list(y) if scores else y)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("kind", ["MultiHeadAttention", "Attention", "AdditiveAttention"])
def test_as_in_keras(kind, scores):
    theirs, ours = model_of(keras, kind, scores), model_of(rnn_engine, kind, scores)
    ours.set_weights(theirs.get_weights())
    expected = theirs.predict([X, PAIRS], verbose=0)
    for found in (ours.predict([X, PAIRS], verbose=0), ours([X, PAIRS])):
        pairs = zip(found, expected, strict=True) if scores else [(found, expected)]
        for mine, wanted in pairs:
            np.testing.assert_allclose(mine, wanted, atol=1e-6)
