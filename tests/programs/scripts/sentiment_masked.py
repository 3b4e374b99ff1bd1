"""Reviews of different length: padding, an embedding that masks it, a binary answer."""

import keras
import numpy as np
from keras.preprocessing.sequence import pad_sequences

rng = np.random.default_rng(0)
vocabulary, maxlen = 50, 12
reviews = [rng.integers(1, vocabulary, size=n).tolist() for n in rng.integers(2, 20, size=24)]
labels = np.array([sum(r) / len(r) > vocabulary / 2 for r in reviews]).astype("int32")
x = pad_sequences(reviews, maxlen=maxlen, padding="post", truncating="post")


def build():
    return keras.Sequential(
        [
            keras.layers.Input((maxlen,)),
            keras.layers.Embedding(input_dim=vocabulary, output_dim=6, mask_zero=True),
            keras.layers.SimpleRNN(7),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


model = build()
model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy", "auc"])
history = model.fit(x, labels, batch_size=8, epochs=3, shuffle=False, verbose=0)
probabilities = model.predict(x, verbose=0)
classes = (probabilities > 0.5).astype("int32")
scores = model.evaluate(x, labels, verbose=0)
names = list(model.metrics_names)
