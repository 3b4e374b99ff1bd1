"""Cells of one's own: a minimal one, one with two states, one around a cell of the library."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers, ops


class MinimalRNNCell(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units), initializer="uniform", name="recurrent_kernel"
        )

    def call(self, inputs, states):
        prev_output = states[0]
        h = ops.matmul(inputs, self.kernel)
        output = h + ops.matmul(prev_output, self.recurrent_kernel)
        return output, [output]


class Leaky(layers.Layer):
    def __init__(self, units, leak=0.3, **kwargs):
        super().__init__(**kwargs)
        self.units, self.leak = units, leak
        self.state_size = [units, units]
        self.output_size = units
        self.inner = layers.Dense(units)

    def build(self, input_shape):
        self.inner.build((input_shape[0], input_shape[-1] + self.units))

    def get_initial_state(self, batch_size=None):
        return [ops.ones((batch_size, self.units)), ops.zeros((batch_size, self.units))]

    def call(self, inputs, states, training=None):
        h, slow = states
        new = ops.tanh(self.inner(ops.concatenate([inputs, h], axis=-1)))
        slow = (1 - self.leak) * slow + self.leak * new
        return new + slow, [new, slow]


class Around(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.cell = layers.LSTMCell(units)
        self.state_size = self.cell.state_size
        self.output_size = units

    def build(self, input_shape):
        self.gain = self.add_weight(shape=(self.output_size,), initializer="ones", name="gain")
        self.cell.build(input_shape)

    def call(self, inputs, states):
        output, new_states = self.cell(inputs, states)
        return output * self.gain, new_states


def build():
    return keras.Sequential(
        [
            keras.Input((6, 3)),
            layers.Masking(),
            layers.RNN(Leaky(5), return_sequences=True),
            layers.RNN([MinimalRNNCell(4), layers.SimpleRNNCell(3)], return_sequences=True),
            layers.RNN(Around(3), go_backwards=True),
            layers.Dense(1),
        ]
    )


rng = np.random.default_rng(2)
x = rng.normal(size=(12, 6, 3)).astype("float32")
x[::4, 4:] = 0
y = x[:, :3, 0].sum(axis=1, keepdims=True)
model = build()
model.compile("adam", "mse")
history = model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
predictions = model.predict(x, verbose=0)
loss = model.evaluate(x, y, verbose=0)
shapes = [list(w.shape) for w in model.weights]
layer = layers.RNN(Leaky(2), return_state=True, go_backwards=True)
states = [list(part.shape) for part in layer(x)]
