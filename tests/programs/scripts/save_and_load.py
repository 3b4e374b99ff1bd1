"""Weights and whole models on disk, and back."""

import os

import numpy as np
from tensorflow import keras
from tensorflow.keras.models import load_model

x = np.linspace(0, 1, 40).reshape(8, 5, 1)
y = x.mean(axis=1)


def build():
    return keras.Sequential(
        [keras.layers.SimpleRNN(4, input_shape=(5, 1)), keras.layers.Dense(1)], name="saved"
    )


model = build()
model.compile(optimizer="adam", loss="mse", metrics=["mae"])
model.fit(x, y, epochs=2, batch_size=8, verbose=0)
model.save("model.keras")
model.save_weights("model.weights.h5")
restored = load_model("model.keras")
same = bool(np.allclose(model.predict(x, verbose=0), restored.predict(x, verbose=0)))
scores = (model.evaluate(x, y, verbose=0), restored.evaluate(x, y, verbose=0))
history = restored.fit(x, y, epochs=2, batch_size=8, verbose=0)
other = keras.Sequential(
    [keras.layers.SimpleRNN(4, input_shape=(5, 1)), keras.layers.Dense(1)], name="saved"
)
other.load_weights("model.weights.h5")
loaded = bool(np.allclose(model.get_weights()[0], other.get_weights()[0]))
files = sorted(os.listdir("."))
