"""The next frames of a video, and what it shows, by stacked ConvLSTM2D layers."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(0)
movies = np.zeros((12, 6, 8, 8, 1), "float32")
for movie in movies:
    row, column = rng.integers(1, 7, 2)
    down, right = rng.integers(-1, 2, 2)
    for t in range(6):
        movie[t, (row + t * down) % 8, (column + t * right) % 8, 0] = 1.0
x, y = movies[:, :-1], movies[:, 1:]


def build():
    inputs = layers.Input(shape=(None, *x.shape[2:]))
    h = layers.ConvLSTM2D(
        filters=6, kernel_size=(5, 5), padding="same", return_sequences=True, activation="relu"
    )(inputs)
    h = layers.BatchNormalization()(h)
    h = layers.ConvLSTM2D(filters=4, kernel_size=3, padding="same", return_sequences=True)(h)
    frames = layers.Conv3D(1, (3, 3, 3), activation="sigmoid", padding="same", name="frames")(h)
    h = layers.ConvLSTM2D(2, (2, 2), strides=(2, 2), recurrent_activation="hard_sigmoid")(h)
    moved = layers.Dense(1, name="moved")(layers.Flatten()(h))
    return keras.Model(inputs, [frames, moved])


model = build()
model.compile("adam", loss=["binary_crossentropy", "mse"], loss_weights=[1.0, 0.1])
history = model.fit(
    x, [y, y.sum((1, 2, 3))], batch_size=4, epochs=2, shuffle=False, verbose=0
).history
frames, moved = model.predict(x[:2], verbose=0)

# Frame after frame from the model's own answers.
series = x[:1, :2]
for _ in range(3):
    following = model.predict(series, verbose=0)[0]
    series = np.concatenate([series, following[:, -1:]], axis=1)
model.summary()
