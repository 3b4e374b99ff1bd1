"""Classes of sequences from logits, with class weights and top-k accuracy."""

import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(1)
x = rng.normal(size=(40, 6, 3)).astype("float32")
y = rng.integers(0, 4, size=(40,))


def build():
    return keras.Sequential(
        [
            layers.Input(shape=(6, 3)),
            layers.SimpleRNN(9, kernel_regularizer=keras.regularizers.l2(1e-2)),
            layers.BatchNormalization(),
            layers.Dense(4, kernel_constraint=keras.constraints.MaxNorm(1.0)),
        ]
    )


model = build()
model.compile(
    optimizer=keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")],
)
history = model.fit(
    x,
    y,
    batch_size=16,
    epochs=3,
    shuffle=False,
    class_weight={0: 1.0, 1: 2.0, 2: 0.5, 3: 1.0},
    validation_split=0.25,
    verbose=0,
)
logits = model.predict(x, batch_size=7, verbose=0)
best = logits.argmax(axis=-1)
results = model.evaluate(x, y, verbose=0, return_dict=True)
penalties = float(sum(model.losses))
