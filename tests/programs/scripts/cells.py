"""RNN over cells, one and several."""

import keras
import numpy as np

x = np.random.default_rng(11).normal(size=(5, 6, 3)).astype("float32")
y = x[:, -1, :1]


def build():
    return keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.RNN(keras.layers.SimpleRNNCell(4), return_sequences=True),
            keras.layers.RNN([keras.layers.SimpleRNNCell(5), keras.layers.SimpleRNNCell(2)]),
            keras.layers.Dense(1),
        ]
    )


model = build()
model.compile(optimizer="adamax", loss="log_cosh")
history = model.fit(x, y, epochs=3, verbose=0)
predictions = model.predict(x, verbose=0)
cell = keras.layers.SimpleRNNCell(4)
rnn = keras.layers.RNN(cell, return_state=True)
shapes = [tuple(part.shape) for part in rnn(x)]
state_size = cell.state_size
