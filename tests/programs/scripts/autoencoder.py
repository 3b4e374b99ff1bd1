"""Anomalies of a signal: a recurrent autoencoder and the distribution of its errors."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers, regularizers

rng = np.random.default_rng(10)
train = np.sin(np.linspace(0, 60, 300)) + 0.1 * rng.normal(size=300)
windows = np.stack([train[i : i + 12] for i in range(0, 280, 4)])[..., None]


def build():
    return keras.Sequential(
        [
            layers.InputLayer(shape=(12, 1)),
            layers.SimpleRNN(6, activation="tanh", kernel_regularizer=regularizers.L2(0.001)),
            layers.RepeatVector(12),
            layers.SimpleRNN(6, return_sequences=True, kernel_initializer="he_normal"),
            layers.LayerNormalization(),
            layers.TimeDistributed(layers.Dense(1)),
        ]
    )


model = build()
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.003), loss="mae")
history = model.fit(
    windows,
    windows,
    epochs=2,
    batch_size=35,
    shuffle=False,
    validation_split=0.1,
    callbacks=[keras.callbacks.EarlyStopping(monitor="val_loss", patience=5, mode="min")],
    verbose=0,
)
reconstructed = model.predict(windows, verbose=0)
errors = np.mean(np.abs(reconstructed - windows), axis=1)
threshold = float(np.max(errors))
flagged = int((errors > threshold * 0.9).sum())
