"""One series, two answers: losses, weights and metrics of several outputs, by name."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import Input, Model
from tensorflow.keras.layers import GRU, Bidirectional, Dense, Dropout

rng = np.random.default_rng(43)
series = rng.normal(size=(60, 10, 3)).astype("float32")
following = series[:, -1, :1] * 0.5 + series[:, -2, 1:2]
kind = (series[:, :, 0].mean(axis=1) > 0).astype("int64") + (series[:, 0, 1] > 1)


def build():
    inputs = Input(shape=(10, 3), name="series")
    h = Bidirectional(GRU(6, return_sequences=True))(inputs)
    h = Dropout(0.0)(h)
    last = GRU(8)(h)
    value = Dense(1, name="value")(last)
    group = Dense(3, activation="softmax", name="group")(last)
    return Model(inputs, {"value": value, "group": group})


model = build()
model.compile(
    optimizer="rmsprop",
    loss={"value": "mse", "group": "sparse_categorical_crossentropy"},
    loss_weights={"value": 1.0, "group": 0.3},
    metrics={"value": ["mae"], "group": ["accuracy"]},
)
stop = keras.callbacks.EarlyStopping(monitor="val_group_loss", mode="min", patience=5)
history = model.fit(
    series[:48], {"value": following[:48], "group": kind[:48]},
    validation_data=(series[48:], {"value": following[48:], "group": kind[48:]}),
    epochs=3, batch_size=16, shuffle=False, callbacks=[stop], verbose=0,
)  # fmt: skip
curves = history.history
answers = model.predict(series[:4], verbose=0)
scores = model.evaluate(
    series, {"value": following, "group": kind}, return_dict=True,
    verbose=0,
)  # fmt: skip
as_list = model.evaluate(series, {"value": following, "group": kind}, verbose=0)
weights = np.linspace(0.5, 1.5, 60).astype("float32")
batch = model.train_on_batch(
    series, {"value": following, "group": kind},
    sample_weight={"value": weights, "group": weights[::-1].copy()}, return_dict=True,
)  # fmt: skip
names = sorted(curves)
best = {name: float(min(values)) for name, values in curves.items() if name.endswith("loss")}
for name, value in sorted(best.items()):
    print(f"{name}: {value:.4f}")
model.summary()
