"""Attention over the outputs of a recurrent layer, as a layer of one's own."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers, ops


class Attention(layers.Layer):
    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.supports_masking = True

    def build(self, input_shape):
        self.W = self.add_weight(
            name="W",
            shape=(input_shape[-1], self.units),
            initializer="glorot_uniform",
            trainable=True,
        )
        self.b = self.add_weight(name="b", shape=(self.units,), initializer="zeros")
        self.u = self.add_weight(
            name="u", shape=(self.units, 1), initializer="glorot_uniform", regularizer="l2"
        )
        super().build(input_shape)

    def call(self, x, mask=None):
        e = ops.tanh(ops.matmul(x, self.W) + self.b)
        e = ops.squeeze(e @ self.u, axis=-1)
        if mask is not None:
            e = ops.where(mask, e, -1e9)
        a = ops.softmax(e, axis=-1)
        return ops.sum(x * ops.expand_dims(a, -1), axis=1)

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def build():
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True),
            layers.SimpleRNN(5, return_sequences=True),
            Attention(3),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model


rng = np.random.default_rng(3)
x = rng.integers(1, 9, size=(24, 6)).astype("int32")
x[::3, 4:] = 0
y = (x.sum(axis=1) % 2).astype("float32")[:, None]

model = build()
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0)
loss, accuracy = model.evaluate(x, y, verbose=0)
predictions = model.predict(x[:4], verbose=0)
model.summary()
config = model.layers[2].get_config()["units"]
names = [w.path.split("/")[-1] for w in model.weights]
model.save_weights("attention.weights.h5")
again = keras.models.clone_model(model)
again.load_weights("attention.weights.h5")
same = np.allclose(again.predict(x, verbose=0), model.predict(x, verbose=0))
