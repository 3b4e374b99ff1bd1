"""A CNN-LSTM on a sensor's signal: convolutions find patterns, the LSTM their order."""

import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(1)
t = np.arange(400) / 10
signal = np.sin(t) + 0.3 * np.sin(7 * t) + 0.05 * rng.standard_normal(len(t))
window, ahead = 32, 1
x = np.stack([signal[i : i + window] for i in range(0, 320, 4)])[..., None].astype("float32")
y = np.array([signal[i + window + ahead] for i in range(0, 320, 4)], "float32")


def build():
    inputs = keras.Input(shape=(window, 1))
    h = layers.Conv1D(8, 5, strides=1, padding="causal", activation="relu")(inputs)
    h = layers.BatchNormalization()(h)
    h = layers.AveragePooling1D(pool_size=2)(h)
    h = layers.Conv1D(8, 3, padding="same", dilation_rate=2, activation="tanh")(h)
    h = layers.LSTM(10, return_sequences=True)(h)
    last = layers.LSTM(6)(h)
    mean = layers.GlobalAveragePooling1D()(h)
    merged = layers.concatenate([last, mean])
    return keras.Model(inputs, layers.Dense(1)(merged), name="cnn_lstm")


model = build()
model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mse", metrics=["mae"])
history = model.fit(x, y, epochs=4, batch_size=16, shuffle=False, verbose=0).history
forecast = model.predict(x[-5:], verbose=0)
error = model.evaluate(x, y, verbose=0)
count = model.count_params()
