"""What fit prints with verbose=2, without its times."""

import keras
import numpy as np

x = np.ones((8, 3, 2), dtype="float32")
y = np.arange(8.0).reshape(8, 1)


def build():
    return keras.Sequential(
        [keras.Input(shape=(3, 2)), keras.layers.SimpleRNN(3), keras.layers.Dense(1)]
    )


model = build()
model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
model.fit(x, y, epochs=2, verbose=2, batch_size=8, validation_data=(x, y))
stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=1e9, verbose=1)
model.fit(x, y, epochs=3, verbose=0, callbacks=[stopping])
stopped = stopping.stopped_epoch
plateau = keras.callbacks.ReduceLROnPlateau(
    monitor="loss", patience=1, min_delta=1e9, factor=0.5, verbose=1
)
model.fit(x, y, epochs=3, verbose=0, callbacks=[plateau])
