"""Series of irregular length: padded with a value that a mask passes over, read by GRU layers."""

import keras
import numpy as np

rng = np.random.default_rng(15)
lengths = rng.integers(2, 14, size=30)
series = [np.sin(np.linspace(0, rng.uniform(1, 6), n)) + 0.1 * rng.normal(size=n) for n in lengths]
target = np.array([s.mean() for s in series], dtype="float32")
maxlen = max(lengths)
padded = np.full((len(series), maxlen, 1), -10.0, dtype="float32")
for row, values in enumerate(series):
    padded[row, : len(values), 0] = values


def build():
    return keras.models.Sequential(
        [
            keras.layers.Input(shape=(None, 1)),
            keras.layers.Masking(mask_value=-10.0),
            keras.layers.GRU(8, return_sequences=True, recurrent_dropout=0.0),
            keras.layers.GRU(6, reset_after=False, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


model = build()
model.compile(loss="mae", optimizer=keras.optimizers.RMSprop(0.01))
history = model.fit(padded, target, epochs=3, batch_size=10, shuffle=False, verbose=0)
predictions = model.predict(padded, verbose=0)
shorter = model.predict(padded[lengths <= 7][:, :7], verbose=0)
unpadded = [float(model.predict(s[None, :, None].astype("float32"), verbose=0)[0, 0])
            for s in series[:4]]  # fmt: skip
biases = [tuple(weight.shape) for weight in model.get_weights() if weight.shape[0] in (2, 18)]
config = {key: model.layers[1].get_config()[key] for key in ("units", "reset_after", "dropout")}
