"""Letters in pictures by CNN, bidirectional LSTMs and a CTC layer of one's own."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(1)
letters = ["a", "b", "c"]
words = ["".join(rng.choice(letters, 3)) for _ in range(8)]
char_to_num = layers.StringLookup(vocabulary=letters, mask_token=None)
num_to_char = layers.StringLookup(
    vocabulary=char_to_num.get_vocabulary(), mask_token=None, invert=True
)
labels = np.array([np.asarray(char_to_num(list(word))) for word in words])
images = np.zeros((8, 16, 8, 1), "float32")
for image, row in zip(images, labels, strict=True):
    for place, label in enumerate(row):
        image[place * 5 : place * 5 + 4, label * 2 : label * 2 + 2] = 1.0
images += rng.normal(scale=0.1, size=images.shape).astype("float32")


class CTCLayer(layers.Layer):
    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = keras.backend.ctc_batch_cost

    def call(self, y_true, y_pred):
        batch_len = tf.cast(tf.shape(y_true)[0], dtype="int64")
        input_length = tf.cast(tf.shape(y_pred)[1], dtype="int64")
        label_length = tf.cast(tf.shape(y_true)[1], dtype="int64")
        input_length = input_length * tf.ones(shape=(batch_len, 1), dtype="int64")
        label_length = label_length * tf.ones(shape=(batch_len, 1), dtype="int64")
        loss = self.loss_fn(y_true, y_pred, input_length, label_length)
        self.add_loss(loss)
        return y_pred


def build():
    image = layers.Input(shape=(16, 8, 1), name="image")
    label = layers.Input(name="label", shape=(3,), dtype="float32")
    h = layers.Conv2D(4, (3, 3), activation="relu", padding="same", name="conv")(image)
    h = layers.MaxPooling2D((2, 2))(h)
    h = layers.Reshape(target_shape=(8, 16))(h)
    h = layers.Dense(8, activation="relu")(h)
    h = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(h)
    h = layers.Dense(len(char_to_num.get_vocabulary()) + 1, activation="softmax", name="out")(h)
    output = CTCLayer(name="ctc_loss")(label, h)
    return keras.models.Model(inputs=[image, label], outputs=output, name="ocr")


model = build()
model.compile(optimizer=keras.optimizers.Adam(0.01))
history = model.fit(
    {"image": images, "label": labels.astype("float32")},
    epochs=4, batch_size=4, shuffle=False, verbose=0,
).history  # fmt: skip
reader = keras.models.Model(model.get_layer(name="image").output, model.get_layer("out").output)
shares = reader.predict(images, verbose=0)
lengths = np.ones(len(shares)) * shares.shape[1]
found, scores = keras.backend.ctc_decode(shares, input_length=lengths, greedy=True)
found = np.asarray(found[0])[:, :3]
texts = []
for row in found:
    text = tf.strings.reduce_join(num_to_char(np.maximum(row, 0)))
    text = text.numpy().decode("utf-8") if hasattr(text, "numpy") else text
    texts.append(str(text))
