"""Short videos: the same CNN for every frame, an RNN over what it finds."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(2)
frames, size = 5, 10
videos = np.zeros((16, frames, size, size, 1), "float32")
directions = rng.integers(0, 2, 16)
for video, right in zip(videos, directions, strict=True):
    row, column = rng.integers(1, size - 2), 2 if right else size - 4
    for step in range(frames):
        at = column + (step if right else -step)
        video[step, row : row + 2, at : at + 2] = 1


def build():
    return keras.Sequential(
        [
            keras.Input((frames, size, size, 1)),
            layers.TimeDistributed(layers.Conv2D(4, (3, 3), activation="relu")),
            layers.TimeDistributed(layers.MaxPooling2D((2, 2))),
            layers.TimeDistributed(layers.Conv2D(6, 3, padding="same", activation="relu")),
            layers.TimeDistributed(layers.Flatten()),
            layers.SimpleRNN(8),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


model = build()
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(videos, directions, epochs=3, batch_size=4, shuffle=False, verbose=0)
losses = history.history["loss"]
answers = model.predict(videos, verbose=0)
shapes = [layer.output.shape for layer in model.layers]
