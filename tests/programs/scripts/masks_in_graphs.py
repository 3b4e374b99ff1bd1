"""Masks that programs make, read off and hand on in functional models."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers, ops

words = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [1, 1, 2, 3, 6]])
series = np.random.default_rng(5).normal(size=(3, 5, 2)).astype("float32")
series[0, 3:] = series[1, 2:] = 0
outputs = []


def build():
    ids = keras.Input((5,), dtype="int32")
    embedding = layers.Embedding(7, 4, mask_zero=True)
    h = embedding(ids)
    mask = embedding.compute_mask(ids)
    seen = ops.not_equal(ids, 0)
    h = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(h, mask=seen)
    h = layers.MultiHeadAttention(2, 2)(h, h, attention_mask=seen[:, None, :])
    a = layers.Attention()([h, h], mask=[mask, mask])
    pooled = layers.GlobalAveragePooling1D()(a, mask=mask)
    shown = ops.cast(ops.expand_dims(mask, -1), "float32")
    mean = ops.sum(h * shown, axis=1) / ops.sum(shown, axis=1)
    return keras.Model(ids, layers.Dense(1)(layers.Concatenate()([pooled, mean])))


model = build()
model.compile("sgd", "mse")
history = model.fit(words, np.ones((3, 1)), epochs=2, verbose=0).history
outputs.append(model.predict(words, verbose=0))


def masked(make):
    inputs = keras.Input((5, 2))
    model = keras.Model(inputs, make(inputs))
    for weight in model.weights:
        weight.assign(np.linspace(-0.5, 0.5, int(np.prod(weight.shape))).reshape(weight.shape))
    return model.predict(series, verbose=0)


def carried(inputs):
    hidden = layers.Dense(3)(layers.Masking()(inputs))
    return layers.GRU(4)(layers.Dense(3)(inputs), mask=hidden._keras_mask)


outputs.append(masked(carried))
outputs.append(masked(lambda x: layers.LSTM(4)(x, mask=layers.Masking().compute_mask(x))))
outputs.append(masked(lambda x: layers.LSTM(4)(x, mask=ops.any(ops.not_equal(x, 0.0), axis=-1))))
no_mask = hasattr(layers.Dense(2)(keras.Input((5, 2))), "_keras_mask")
after_an_op = hasattr(ops.tanh(layers.Masking()(keras.Input((5, 2)))), "_keras_mask")
eager = layers.Masking()(tf.constant(series))._keras_mask.numpy()
