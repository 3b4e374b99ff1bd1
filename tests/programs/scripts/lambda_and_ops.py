"""Lambda layers, ops on symbolic tensors, and a block that holds other layers."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers, ops


class Residual(layers.Layer):
    def __init__(self, units, rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.inner = [layers.Dense(units, activation="relu"), layers.Dense(units)]
        self.norm = layers.LayerNormalization()
        self.drop = layers.Dropout(rate)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x, training=None):
        y = x
        for layer in self.inner:
            y = layer(y)
        y = self.drop(y, training=training)
        self.add_loss(0.01 * ops.mean(ops.square(y)))
        return self.norm(x + self.scale * y)


def build():
    inputs = keras.Input((7, 4))
    h = layers.SimpleRNN(6, return_sequences=True)(inputs)
    h = Residual(6)(h)
    last = h[:, -1]
    mean = ops.mean(h, axis=1)
    both = layers.Concatenate()([last, 0.5 * mean + 1.0])
    scaled = layers.Lambda(lambda t, factor: t * factor, arguments={"factor": 2.0})(both)
    squared = layers.Lambda(ops.square)(scaled)
    return keras.Model(inputs, layers.Dense(2)(squared))


rng = np.random.default_rng(7)
x = rng.normal(size=(20, 7, 4)).astype("float32")
y = x[:, -1, :2] * 0.5
model = build()
model.compile("rmsprop", "mse")
history = model.fit(x, y, epochs=3, batch_size=5, shuffle=False, verbose=0)
loss = model.evaluate(x, y, verbose=0)
predictions = model.predict(x[:3], verbose=0)
shapes = [list(w.shape) for w in model.weights]
direct = model(x[:2]).numpy()
