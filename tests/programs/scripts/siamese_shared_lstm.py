"""Are two sentences alike? A siamese network: one LSTM reads both, a distance compares them."""

import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(42)
left = rng.integers(1, 30, size=(48, 9))
right = np.where(rng.random((48, 1)) < 0.5, left, rng.integers(1, 30, size=(48, 9)))
alike = (left == right).all(axis=1).astype("float32")
left[::3, 6:] = 0  # shorter sentences, filled up
right[::4, 5:] = 0


def build():
    first = keras.Input(shape=(9,), dtype="int32", name="left")
    second = keras.Input(shape=(9,), dtype="int32", name="right")
    embed = layers.Embedding(30, 6, mask_zero=True, name="words")
    shared = layers.LSTM(8, name="reader")
    a, b = shared(embed(first)), shared(embed(second))
    difference = layers.Subtract()([a, b])
    product = layers.Multiply()([a, b])
    cosine = layers.Dot(axes=1, normalize=True)([a, b])
    merged = layers.Concatenate()([difference, product, cosine])
    hidden = layers.Dense(8, activation="tanh")(merged)
    return keras.Model([first, second], layers.Dense(1, activation="sigmoid")(hidden))


model = build()
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(
    {"left": left, "right": right}, alike, epochs=3, batch_size=12, shuffle=False, verbose=0
).history
probability = model.predict([left, right], verbose=0)
swapped = model.predict([right, left], verbose=0)
score = model.evaluate([left, right], alike, verbose=0, return_dict=True)
count = model.count_params()
shared_once = [tuple(w.shape) for w in model.trainable_weights]
layer_names = [entry["name"] for entry in model.get_config()["layers"]][:3]
copy = keras.models.clone_model(model)
copy.set_weights(model.get_weights())
difference = float(np.abs(copy.predict([left, right], verbose=0) - probability).max())
print("parameters:", count)
print("copy is the same:", difference < 1e-6)
