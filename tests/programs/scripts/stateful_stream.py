"""A stream in pieces: a stateful layer, trained by hand, epoch by epoch."""

import numpy as np
import tensorflow as tf

batch_size, steps = 2, 4
stream = np.sin(np.linspace(0, 12, 2 * 24 + 1))
x = stream[:-1].reshape(batch_size, 6, steps, 1).transpose(1, 0, 2, 3).reshape(-1, steps, 1)
y = stream[1:].reshape(batch_size, 6, steps, 1).transpose(1, 0, 2, 3).reshape(-1, steps, 1)


def build():
    model = tf.keras.models.Sequential()
    model.add(tf.keras.Input(batch_shape=(batch_size, steps, 1)))
    model.add(tf.keras.layers.SimpleRNN(5, stateful=True, return_sequences=True))
    model.add(tf.keras.layers.Dense(1))
    return model


model = build()
model.compile(loss="mse", optimizer="sgd")
losses = []
for _epoch in range(3):
    history = model.fit(x, y, epochs=1, batch_size=batch_size, shuffle=False, verbose=0)
    losses.append(history.history["loss"][0])
    for layer in model.layers:
        if hasattr(layer, "reset_state"):
            layer.reset_state()
first = model.predict(x[:2], batch_size=batch_size, verbose=0)
second = model.predict(x[:2], batch_size=batch_size, verbose=0)
model.layers[0].reset_states()
third = model.predict(x[:2], batch_size=batch_size, verbose=0)
carried = not np.allclose(first, second)
fresh = np.allclose(first, third)
state = np.array(model.layers[0].states[0])
