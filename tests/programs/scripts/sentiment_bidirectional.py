"""Reviews read both ways, pooled over time."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

x = keras.utils.pad_sequences([[3, 5, 2], [1], [4, 4, 4, 4, 1], [2, 6]], padding="pre", value=0)
y = np.array([1, 0, 1, 0])


def build():
    model = keras.models.Sequential()
    model.add(layers.Embedding(8, 5, mask_zero=True))
    model.add(layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True)))
    model.add(layers.Bidirectional(layers.SimpleRNN(3), merge_mode="sum"))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.build((None, x.shape[1]))
    return model


model = build()
model.compile("adam", "binary_crossentropy", metrics=[keras.metrics.BinaryAccuracy()])
history = model.fit(x, y, epochs=4, verbose=0)
predictions = model.predict(x, verbose=0)
shapes = [w.shape for layer in model.layers for w in layer.weights]
