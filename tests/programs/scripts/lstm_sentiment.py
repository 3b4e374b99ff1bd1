"""Reviews of different length to one of three classes: a mask, LSTM layers in both directions."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers
from tensorflow.keras.preprocessing.sequence import pad_sequences

rng = np.random.default_rng(12)
max_features, maxlen, classes = 60, 15, 3
texts = [rng.integers(1, max_features, size=n).tolist() for n in rng.integers(1, 25, size=40)]
labels = np.array([sum(text) % classes for text in texts])
x = pad_sequences(texts, maxlen=maxlen)
x_post = pad_sequences(texts, maxlen=maxlen, padding="post", truncating="post")


def build():
    return tf.keras.Sequential(
        [
            tf.keras.Input(shape=(maxlen,), dtype="int32"),
            layers.Embedding(max_features, 8, mask_zero=True),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(5), merge_mode="ave"),
            layers.Dense(8, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )


model = build()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, labels, batch_size=16, epochs=2, shuffle=False, validation_split=0.25,
                    verbose=0)  # fmt: skip
scores = model.evaluate(x_post, labels, verbose=0)
probabilities = model.predict(x_post, verbose=0)
guesses = probabilities.argmax(axis=-1)
