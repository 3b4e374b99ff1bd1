"""A callback that writes down everything it hears, and one that ends the training."""

import keras
import numpy as np

x = np.linspace(0, 1, 48).reshape(12, 4, 1)
y = x.sum(axis=(1, 2))


class Diary(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.lines = []

    def on_train_begin(self, logs=None):
        self.lines.append(f"train begins {sorted(logs or {})} {sorted(self.params)}")

    def on_epoch_begin(self, epoch, logs=None):
        self.lines.append(f"epoch {epoch}")

    def on_train_batch_end(self, batch, logs=None):
        self.lines.append(f"batch {batch} {sorted(logs)}")

    def on_test_batch_end(self, batch, logs=None):
        self.lines.append(f"test batch {batch} {sorted(logs)}")

    def on_test_begin(self, logs=None):
        self.lines.append("test begins")

    def on_epoch_end(self, epoch, logs=None):
        self.lines.append(f"epoch {epoch} ends {sorted(logs)}")
        if epoch == 2:
            self.model.stop_training = True

    def on_predict_batch_end(self, batch, logs=None):
        self.lines.append(f"predicted {batch} {logs['outputs'].shape}")

    def on_train_end(self, logs=None):
        self.lines.append(f"train ends {sorted(logs)}")


def build():
    return keras.Sequential([keras.Input((4, 1)), keras.layers.SimpleRNN(3), keras.layers.Dense(1)])


model = build()
model.compile("adam", "mse", metrics=["mae"])
diary = Diary()
rates = []
history = model.fit(
    x,
    y,
    epochs=5,
    batch_size=5,
    shuffle=False,
    validation_data=(x[:4], y[:4]),
    callbacks=[
        diary,
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(logs["loss"])),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.CSVLogger("log.csv"),
    ],
    verbose=0,
)
model.predict(x, batch_size=8, callbacks=[diary], verbose=0)
lines = diary.lines
print(*lines, sep="\n")
with open("log.csv") as file:
    header = file.readline().strip()
