"""A tag for every step of padded sequences; the padding counts nowhere."""

import numpy as np
from tensorflow import keras
from tensorflow.keras.layers import Dense, Masking, SimpleRNN, TimeDistributed

rng = np.random.default_rng(2)
lengths = [5, 3, 7, 1, 4, 7]
X = np.full((6, 7, 2), -1.0, dtype="float32")
Y = np.zeros((6, 7), dtype="int64")
for row, length in enumerate(lengths):
    X[row, :length] = rng.normal(size=(length, 2))
    Y[row, :length] = rng.integers(0, 3, size=length)


def build():
    model = keras.Sequential()
    model.add(Masking(mask_value=-1.0, input_shape=(7, 2)))
    model.add(SimpleRNN(6, return_sequences=True))
    model.add(TimeDistributed(Dense(3, activation="softmax")))
    return model


model = build()
model.compile(
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    metrics=["accuracy"],
    weighted_metrics=["accuracy"],
)
history = model.fit(X, Y, epochs=3, batch_size=3, shuffle=False, verbose=0)
weights = np.array([1.0, 2.0, 1.0, 0.5, 1.0, 0.0])[:, None] * np.ones(7)
weighted = model.fit(X, Y, sample_weight=weights, epochs=2, batch_size=6, verbose=0)
tags = model.predict(X, verbose=0)
