"""What a session looks at next: item numbers by IntegerLookup, shops by Hashing, a GRU."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(5)
items = rng.choice([1007, 1011, 2048, 31, 77], (24, 6))
shops = rng.choice([3, 14, 15], (24, 6))
lookup = layers.IntegerLookup()
lookup.adapt(items)
back = layers.IntegerLookup(vocabulary=lookup.get_vocabulary(), invert=True)
known = [int(item) for item in lookup.get_vocabulary()]
indices = np.asarray(lookup(items))
hours = layers.Discretization(bin_boundaries=[6.0, 12.0, 18.0])(rng.uniform(0, 24, (24, 5)))
hours = np.asarray(hours)
shop_bins = np.asarray(layers.Hashing(num_bins=4)(shops))


def build():
    seen = keras.Input((5,), dtype="int64", name="seen")
    shop = keras.Input((5,), dtype="int64", name="shop")
    hour = keras.Input((5,), dtype="int64", name="hour")
    h = layers.Concatenate()([
        layers.Embedding(len(known), 4)(seen),
        layers.Embedding(4, 2)(shop),
        layers.CategoryEncoding(num_tokens=4, output_mode="one_hot")(hour),
    ])  # fmt: skip
    h = layers.GRU(8)(h)
    return keras.Model([seen, shop, hour], layers.Dense(len(known), activation="softmax")(h))


model = build()
model.compile(
    keras.optimizers.Adam(0.01),
    "sparse_categorical_crossentropy",
    metrics=[keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")],
)
data = {"seen": indices[:, :-1], "shop": shop_bins[:, :-1], "hour": hours}
history = model.fit(data, indices[:, -1], epochs=3, batch_size=8, shuffle=False, verbose=0).history
best = model.predict(data, verbose=0)
suggested = np.asarray(back(best.argmax(-1)))
