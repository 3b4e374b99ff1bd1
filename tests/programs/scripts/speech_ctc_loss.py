"""Speech to phonemes: convolutions over frames, GRUs, and CTC as the loss of `compile`."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(3)
frames = rng.normal(size=(8, 20, 6)).astype("float32")
phonemes = rng.integers(1, 4, (8, 3)) * (rng.random((8, 3)) < 0.8)
phonemes = -np.sort(-phonemes, axis=1)


def CTCLoss(y_true, y_pred):
    batch_len = tf.cast(tf.shape(y_true)[0], dtype="int64")
    input_length = tf.cast(tf.shape(y_pred)[1], dtype="int64") * tf.ones((batch_len, 1), "int64")
    label_length = tf.math.count_nonzero(y_true, axis=-1, keepdims=True)
    labels = tf.maximum(tf.cast(y_true, "int64") - 1, 0)
    return keras.backend.ctc_batch_cost(labels, y_pred, input_length, label_length)


def build():
    inputs = layers.Input((None, 6), name="input")
    h = layers.Conv1D(8, 5, strides=2, padding="same", use_bias=False)(inputs)
    h = layers.BatchNormalization()(h)
    h = layers.ReLU()(h)
    h = layers.Bidirectional(layers.GRU(6, return_sequences=True), merge_mode="sum")(h)
    h = layers.Dense(4, activation="softmax")(h)
    return keras.Model(inputs, h)


model = build()
model.compile(keras.optimizers.Adam(1e-2), loss=CTCLoss)
losses = model.fit(frames, phonemes, batch_size=4, epochs=3, shuffle=False, verbose=0).history
value = model.evaluate(frames, phonemes, verbose=0)
best = keras.ops.ctc_decode(
    np.log(model.predict(frames, verbose=0) + 1e-7), [10] * 8, strategy="beam_search",
    beam_width=20, top_paths=1, mask_index=3,
)[1]  # fmt: skip
best = np.asarray(best)
