"""Models that stream, one for each kind of layer and of row."""

from collections.abc import Callable
from typing import Any

import numpy as np

import rnn_engine
from rnn_engine import layers as k
from rnn_engine.layers import RNNCell

FEATURES = 3


class Leaky(RNNCell):
    """A cell of one's own with two states, which begins elsewhere than at zero."""

    state_size = (4, 2)
    output_size = 3

    def create_weights(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], 4), "glorot_uniform", name="kernel")

    def get_initial_state(self, batch_size: Any = None) -> list[np.ndarray]:
        return [np.full((batch_size or 1, n), 0.5, self.dtype) for n in (4, 2)]

    def forward(self, x: Any, states: Any, training: bool = False) -> Any:
        a, b = states
        a = np.tanh(0.5 * a + x @ self.kernel.value)
        b = 0.9 * b + a[:, :2]
        return np.concatenate([b, a[:, 3:]], axis=1), [a, b], None

    def backward(self, doutput: Any, dstates: Any, saved: Any) -> Any:
        raise NotImplementedError


def _graph(**kw: Any) -> Any:
    x = k.Input((None, FEATURES), **kw)
    inner = rnn_engine.Sequential([k.Input((None, 5), **kw), k.GRU(4, return_sequences=True, **kw)])
    h = k.LSTM(5, return_sequences=True, **kw)(x)
    return rnn_engine.Model(x, k.Dense(2, **kw)(k.LayerNormalization(**kw)(inner(h))))


# Each is given dtype=... for its layers, and is fed with (B, T, FEATURES).
ROWS: dict[str, Callable[..., list[Any]]] = {
    "simple": lambda **kw: [k.SimpleRNN(5, return_sequences=True, **kw)],
    "last of simple": lambda **kw: [k.SimpleRNN(33, activation="relu", **kw), k.Dense(2, **kw)],
    "lstm": lambda **kw: [k.LSTM(17, return_sequences=True, use_bias=False, **kw)],
    "gru": lambda **kw: [k.GRU(16, return_sequences=True, **kw), k.Dense(4, "tanh", **kw)],
    "gru before": lambda **kw: [k.GRU(7, reset_after=False, **kw), k.Dense(1, **kw)],
    "softmax in the cell": lambda **kw: [k.GRU(4, activation="softmax", **kw)],
    "cells": lambda **kw: [k.RNN([k.LSTMCell(4, **kw), k.SimpleRNNCell(3, **kw)], **kw)],
    "own cell": lambda **kw: [k.RNN(Leaky(**kw), return_sequences=True, **kw), k.Dense(2, **kw)],
    "own cell in a stack": lambda **kw: [k.RNN([k.GRUCell(4, **kw), Leaky(**kw)], **kw)],
    "zero for mask": lambda **kw: [
        k.Masking(**kw), k.LSTM(4, return_sequences=True, zero_output_for_mask=True, **kw),
        k.SimpleRNN(3, **kw)],
    "masked": lambda **kw: [
        k.Masking(**kw), k.GRU(4, return_sequences=True, **kw), k.Dense(3, **kw),
        k.RNN([k.LSTMCell(4, **kw), k.SimpleRNNCell(3, **kw)], return_sequences=True, **kw)],
    "dense first": lambda **kw: [
        k.Dense(4, "sigmoid", **kw), k.Dropout(0.5, **kw), k.LSTM(8, **kw)],
    "dense only": lambda **kw: [k.Dense(4, "sigmoid", **kw)],
    "dropout only": lambda **kw: [k.Dropout(0.5, **kw)],
    "convolution": lambda **kw: [
        k.Conv1D(6, 3, padding="causal", activation="relu", **kw), k.SimpleRNN(4, **kw)],
    "dilated": lambda **kw: [
        k.Conv1D(4, 2, padding="causal", dilation_rate=d, activation="tanh", **kw)
        for d in (1, 2, 4)],
    "groups": lambda **kw: [
        k.Conv1D(4, 1, padding="causal", **kw),
        k.Conv1D(4, 5, padding="causal", groups=2, dilation_rate=2, **kw), k.GRU(3, **kw)],
    "normalized": lambda **kw: [
        k.LayerNormalization(**kw), k.SimpleRNN(4, return_sequences=True, **kw),
        k.BatchNormalization(**kw), k.UnitNormalization(**kw), k.LSTM(4, **kw),
        k.BatchNormalization(**kw), k.Dense(3, "softmax", **kw)],
    "activations": lambda **kw: [
        k.SimpleRNN(5, return_sequences=True, **kw), k.Activation("elu"), k.LeakyReLU(),
        k.PReLU(shared_axes=[1], **kw), k.Softmax(**kw), k.ReLU(max_value=0.2)],
    "distributed": lambda **kw: [
        k.TimeDistributed(k.Dense(4, "gelu", **kw), **kw), k.GRU(3, return_sequences=True, **kw),
        k.TimeDistributed(k.Activation(lambda z: z - z.mean(-1, keepdims=True)), **kw)],
    "rows behind the last output": lambda **kw: [
        k.LSTM(6, **kw), k.Reshape((2, 3)), k.Flatten(), k.RepeatVector(2), k.GRU(3, **kw)],
    "stateful": lambda **kw: [k.SimpleRNN(4, stateful=True, **kw), k.Dense(2, **kw)],
    "nested": lambda **kw: [
        rnn_engine.Sequential([k.Dense(3, **kw), k.LSTM(4, return_sequences=True, **kw)]),
        k.GRU(5, **kw)],
    "whole registers": lambda **kw: [
        k.SimpleRNN(48, return_sequences=True, **kw), k.LSTM(32, return_sequences=True, **kw),
        k.GRU(16, use_bias=False, **kw), k.Dense(2, **kw)],
    "too many for a block": lambda **kw: [k.SimpleRNN(272, **kw)],
    "many units": lambda **kw: [k.LSTM(130, return_sequences=True, **kw), k.GRU(70, **kw)],
}  # fmt: skip


def make(name: str, dtype: str = "float32", batch: Any = None, seed: int = 0) -> Any:
    """Return a model with weights that are random and not symmetric, biases not zero."""
    if name == "graph":
        model = _graph(dtype=dtype)
    else:
        rows = ROWS[name](dtype=dtype)
        shape = k.Input(batch_shape=(batch, None, FEATURES), dtype=dtype)
        model = rnn_engine.Sequential([shape, *rows])
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.normal(size=variable.shape) / max(1, variable.shape[0]) ** 0.5
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.path else values)
    return model
