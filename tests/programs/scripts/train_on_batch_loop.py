"""A training loop of one's own, batch by batch."""

import keras
import numpy as np

rng = np.random.default_rng(3)
x = rng.normal(size=(24, 5, 2)).astype("float32")
y = (x.sum(axis=(1, 2)) > 0).astype("float32")


def build():
    model = keras.Sequential(name="loop")
    model.add(keras.layers.SimpleRNN(4, input_shape=(5, 2)))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    return model


model = build()
model.compile(optimizer="nadam", loss="binary_crossentropy", metrics=["accuracy"])
log = []
for _ in range(2):
    for start in range(0, len(x), 8):
        loss, accuracy = model.train_on_batch(x[start : start + 8], y[start : start + 8])
        log.append((float(loss), float(accuracy)))
as_dict = model.train_on_batch(x, y, return_dict=True)
weighted = model.train_on_batch(x, y, class_weight={0: 1.0, 1: 3.0})
tested = model.test_on_batch(x, y, sample_weight=np.linspace(0, 1, 24))
outputs = model.predict_on_batch(x[:3])
called = np.array(model(x[:3]))
trained = np.array(model(x[:3], training=True))
model.reset_metrics()
metric = keras.metrics.BinaryAccuracy(threshold=0.5)
metric.update_state(y, model.predict(x, verbose=0)[:, 0])
accuracy_by_hand = float(metric.result())
everything = model.predict(x, verbose=0)[:, 0]
loss_by_hand = float(keras.losses.binary_crossentropy(y, everything))
squared = float(keras.losses.MeanSquaredError()(y, everything))
