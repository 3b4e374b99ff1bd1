"""Windows of a signal squeezed to one vector and unrolled again: RepeatVector, TimeDistributed."""

import numpy as np
from tensorflow.keras.layers import LSTM, Dense, Input, RepeatVector, TimeDistributed
from tensorflow.keras.models import Sequential

rng = np.random.default_rng(16)
signal = np.sin(np.linspace(0, 40, 300)) + 0.05 * rng.normal(size=300)
signal[200:210] += 2
steps = 12
windows = np.array([signal[i : i + steps] for i in range(0, 288, 4)])[..., None]
train = windows[:40]


def build():
    return Sequential(
        [
            Input(shape=(steps, 1)),
            LSTM(8, activation="relu"),
            RepeatVector(steps),
            LSTM(8, activation="relu", return_sequences=True),
            TimeDistributed(Dense(1)),
        ]
    )


autoencoder = build()
autoencoder.compile(optimizer="adam", loss="mse")
history = autoencoder.fit(train, train, epochs=3, batch_size=8, shuffle=False, verbose=0)
rebuilt = autoencoder.predict(windows, verbose=0)
errors = np.mean(np.abs(rebuilt - windows), axis=(1, 2))
strange = int(np.argmax(errors))
backwards = autoencoder.predict(windows[:3, ::-1], verbose=0)
autoencoder.save_weights("autoencoder.weights.h5")
again = build()
again.load_weights("autoencoder.weights.h5")
same = bool(np.allclose(again.predict(windows, verbose=0), rebuilt, atol=1e-6))
