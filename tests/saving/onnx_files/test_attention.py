"""Attention as ONNX: what ONNX Runtime computes is what the model predicts, and comes back."""

import itertools

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.layers import Input, Masking, MultiHeadAttention
from tests.saving.onnx_files.test_writing import MASKED, RNG, X, check

VALUES = RNG.normal(size=(4, 6, 5)).astype(np.float32)
VALUES[0, 4:], VALUES[1, :2], VALUES[2, ::2] = 0, 0, 0

SETTINGS = {
    "plain": {},
    "no bias": {"use_bias": False},
    "value_dim": {"value_dim": 5},
    "output_shape": {"output_shape": 6},
    "output_shape of two": {"output_shape": (2, 3)},
    "gate": {"use_gate": True, "value_dim": 2},
    "window": {"sliding_window": 2},
    "dropout": {"dropout": 0.5},
    "one head": {"num_heads": 1},
}


@pytest.mark.parametrize("time", [7, None])
@pytest.mark.parametrize("name", SETTINGS)
def test_attention_to_itself(name, time, tmp_path):
    inputs = Input((time, 4))
    for masked, causal in itertools.product((False, True), repeat=2):
        x = Masking()(inputs) if masked else inputs
        layer = MultiHeadAttention(**{"num_heads": 3, "key_dim": 2, **SETTINGS[name]})
        y = layer(x, x, use_causal_mask=causal)
        check(rnn_engine.Model(inputs, y), MASKED, folder=tmp_path)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("time", [(7, 6), (None, None)])
def test_attention_to_others(time, given, scores, tmp_path):
    """With a key of its own, masks of both sides and one of pairs, and the weights."""
    query, value = Input((time[0], 4), name="q"), Input((time[1], 5), name="v")
    pairs = Input((*time,), dtype="bool", name="pairs")
    parts = [Masking()(query), Masking()(value)] if given else [query, value]
    key = layers.Dense(3)(value) if given else None
    made = MultiHeadAttention(2, 3, value_dim=4)(
        *parts, key, attention_mask=pairs, return_attention_scores=scores
    )
    model = rnn_engine.Model([query, value, pairs], list(made) if scores else made)
    seen = RNG.random((4, 7, 6)) < 0.7
    seen[3, 2] = False
    check(model, MASKED, VALUES, seen, folder=tmp_path)


def test_masks_of_a_call(tmp_path):
    inputs, mask = Input((7, 4)), Input((7,), dtype="bool", name="m")
    y = MultiHeadAttention(2, 3)(inputs, inputs, query_mask=mask, value_mask=mask)
    is_open = (MASKED != 0).any(-1)
    check(rnn_engine.Model([inputs, mask], y), X, is_open, folder=tmp_path)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("axes", [1, 2, (1, 2), (2, 1), None])
def test_attention_over_several_axes(axes, scores, tmp_path):
    inputs = Input((3, 4, 5))
    layer = MultiHeadAttention(2, 3, value_dim=4, attention_axes=axes)
    y = layer(inputs, inputs, return_attention_scores=scores)
    model = rnn_engine.Model(inputs, list(y) if scores else y)
    check(model, RNG.normal(size=(2, 3, 4, 5)).astype(np.float32), folder=tmp_path)


KINDS = {
    "dot": lambda: layers.Attention(),
    "scaled": lambda: layers.Attention(use_scale=True),
    "concat": lambda: layers.Attention(use_scale=True, score_mode="concat"),
    "additive": lambda: layers.AdditiveAttention(),
    "additive, plain": lambda: layers.AdditiveAttention(use_scale=False),
}


@pytest.mark.parametrize("time", [(7, 6), (None, None)])
@pytest.mark.parametrize("name", KINDS)
def test_attention_of_one_head(name, time, tmp_path):
    query, value = Input((time[0], 4), name="q"), Input((time[1], 5), name="v")
    for masked, causal, scores in itertools.product((False, True), repeat=3):
        parts = [query, layers.Dense(4)(value)]
        if masked:
            parts = [Masking()(query), layers.Dense(4)(Masking()(value))]
        third = [layers.Dense(4)(value)] if scores else []
        y = KINDS[name]()([*parts, *third], use_causal_mask=causal, return_attention_scores=scores)
        model = rnn_engine.Model([query, value], list(y) if scores else y)
        check(model, MASKED, VALUES, folder=tmp_path)


def test_a_block_of_a_transformer(tmp_path):
    ids = RNG.integers(0, 9, (4, 7)).astype(np.int32)
    ids[0, 4:], ids[1, 1:] = 0, 0
    inputs = Input((None,), dtype="int32")
    x = layers.Embedding(9, 6, mask_zero=True)(inputs)
    for _ in range(2):
        y = MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
        x = layers.LayerNormalization()(layers.Add()([x, y]))
        y = layers.Dense(6)(layers.Dense(12, "gelu")(x))
        x = layers.LayerNormalization()(layers.Add()([x, y]))
    model = rnn_engine.Model(inputs, layers.Dense(3)(layers.LSTM(4)(x)))
    check(model, ids, folder=tmp_path)
