"""The next character, one-hot on both sides, sampled with a temperature."""

import numpy as np
import tensorflow as tf
from tensorflow.keras.layers import Dense, SimpleRNN
from tensorflow.keras.models import Sequential

text = "hello world, this is a recurrent network. hello again, world."
chars = sorted(set(text))
char_to_index = {c: i for i, c in enumerate(chars)}
maxlen = 8
sentences = [text[i : i + maxlen] for i in range(0, len(text) - maxlen, 2)]
next_chars = [text[i + maxlen] for i in range(0, len(text) - maxlen, 2)]
x = np.zeros((len(sentences), maxlen, len(chars)), dtype=bool)
y = np.zeros((len(sentences), len(chars)), dtype=bool)
for i, sentence in enumerate(sentences):
    for t, char in enumerate(sentence):
        x[i, t, char_to_index[char]] = 1
    y[i, char_to_index[next_chars[i]]] = 1


def build():
    return Sequential(
        [
            SimpleRNN(16, input_shape=(maxlen, len(chars)), activation="relu"),
            Dense(len(chars), activation="softmax"),
        ]
    )


model = build()
optimizer = tf.keras.optimizers.RMSprop(learning_rate=0.01)
model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["acc"])
history = model.fit(x, y, batch_size=128, epochs=4, verbose=0)
model.summary(print_fn=lambda line: None)


def sample(preds, temperature=1.0):
    preds = np.asarray(preds).astype("float64")
    preds = np.log(preds) / temperature
    exp_preds = np.exp(preds)
    return int(np.argmax(exp_preds / np.sum(exp_preds)))


generated = sentences[0]
for _ in range(5):
    row = np.zeros((1, maxlen, len(chars)))
    for t, char in enumerate(generated[-maxlen:]):
        row[0, t, char_to_index[char]] = 1.0
    generated += chars[sample(model.predict(row, verbose=0)[0], 0.5)]
