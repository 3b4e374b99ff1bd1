"""Layers that draw: their shapes, and that they are off outside of training.

Random: history, noisy.
"""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

x = np.random.default_rng(5).normal(size=(32, 6, 4)).astype("float32")
y = np.random.default_rng(6).integers(0, 2, size=(32, 1))


def build():
    return keras.Sequential(
        [
            keras.Input((6, 4)),
            layers.GaussianNoise(0.1),
            layers.SpatialDropout1D(0.2),
            layers.SimpleRNN(8, dropout=0.2, recurrent_dropout=0.2, return_sequences=True),
            layers.Dropout(0.3, seed=1),
            layers.SimpleRNN(4),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


model = build()
before = model.predict(x, verbose=0)
repeated = np.array_equal(before, model.predict(x, verbose=0))
noisy = np.array(model(x, training=True))
differs = not np.allclose(before, noisy)
model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.Recall()])
history = model.fit(x, y, epochs=2, validation_split=0.25, verbose=0)
