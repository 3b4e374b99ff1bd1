"""Topics of short texts: an embedding, convolutions of two kinds and the largest answers."""

import numpy as np
from tensorflow.keras.layers import (
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    GlobalMaxPooling1D,
    MaxPooling1D,
    SeparableConv1D,
)
from tensorflow.keras.models import Sequential

rng = np.random.default_rng(0)
vocabulary, length, topics = 60, 20, 3
x = rng.integers(1, vocabulary, size=(48, length))
y = x[:, :5].sum(axis=1) % topics


def build():
    return Sequential(
        [
            Embedding(vocabulary, 8, input_shape=(length,)),
            Dropout(0.0),
            Conv1D(12, 3, padding="same", activation="relu"),
            MaxPooling1D(2),
            SeparableConv1D(10, 3, activation="relu"),
            GlobalMaxPooling1D(),
            Dense(topics, activation="softmax"),
        ]
    )


model = build()
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=12, epochs=3, validation_split=0.25, shuffle=False, verbose=0)
losses = history.history["loss"]
validation = history.history["val_loss"]
probabilities = model.predict(x[:6], verbose=0)
loss, accuracy = model.evaluate(x, y, verbose=0)
shapes = [layer.output.shape for layer in model.layers]
model.summary()
