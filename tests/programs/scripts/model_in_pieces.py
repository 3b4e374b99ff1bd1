"""Models grown and cut: add, pop, nested models, shared layers, lazy building."""

import keras
import numpy as np
from keras import layers

x = np.linspace(-1, 1, 24).reshape(4, 3, 2).astype("float32")
lazy = keras.Sequential()
lazy.add(layers.SimpleRNN(3))
before = (lazy.built, len(lazy.weights))
lazy.add(layers.Dense(2))
lazy.build(input_shape=(None, 3, 2))
after = (lazy.built, len(lazy.weights), lazy.output_shape)
popped = lazy.pop() is not None
remaining = (len(lazy.layers), lazy.output_shape)


def build():
    features = keras.Sequential([layers.SimpleRNN(4, return_sequences=True)], name="features")
    return keras.Sequential(
        [layers.Input((3, 2)), features, layers.SimpleRNN(2), layers.Dense(1)], name="outer"
    )


model = build()
model.compile("adam", "mse")
history = model.fit(x, x.sum(axis=(1, 2)), epochs=3, verbose=0)
predictions = model.predict(x, verbose=0)
inner = model.get_layer("features")
extracted = np.array(inner(x))
names = [inner.name, model.layers[0].name]
inner.trainable = False
counts = (len(model.trainable_weights), len(model.weights))
model.compile("adam", "mse")
frozen = inner.get_weights()
tuned = model.fit(x, x.sum(axis=(1, 2)), epochs=2, verbose=0)
kept = all(np.array_equal(a, b) for a, b in zip(frozen, inner.get_weights(), strict=True))
