"""Batches from a generator and from a PyDataset."""

import math

import numpy as np
from tensorflow import keras

x = np.linspace(-1, 1, 90).reshape(30, 3, 1).astype("float32")
y = x[:, -1] ** 2


def batches(size):
    while True:
        for start in range(0, len(x), size):
            yield x[start : start + size], y[start : start + size]


class Windows(keras.utils.PyDataset):
    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.epochs = 0

    def __len__(self):
        return math.ceil(len(x) / self.size)

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        return x[part], y[part]

    def on_epoch_end(self):
        self.epochs += 1


def build():
    return keras.Sequential(
        [keras.layers.SimpleRNN(4, input_shape=(None, 1)), keras.layers.Dense(1)]
    )


model = build()
model.compile(loss="mse", optimizer="adagrad")
first = model.fit(batches(10), steps_per_epoch=3, epochs=2, verbose=0)
dataset = Windows(8)
second = model.fit(dataset, epochs=2, shuffle=False, verbose=0)
third = model.fit(
    batches(10), steps_per_epoch=2, validation_data=batches(15), validation_steps=1, verbose=0
)
score = model.evaluate(dataset, verbose=0)
predicted = model.predict(Windows(7), verbose=0)
some = model.predict(batches(10), steps=2, verbose=0)
sequence = issubclass(keras.utils.Sequence, keras.utils.PyDataset)
