"""Models without a call, inputs by their names, nests from datasets, rows of gradients."""

import numpy as np
import tensorflow as tf
from keras.src.callbacks import EarlyStopping
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(6)
x = rng.normal(size=(8, 5, 2)).astype("float32")
ids = rng.integers(0, 9, (8, 4))


class Autoencoder(keras.Model):
    """Holds two models, and trains them in a step of its own."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((5, 2)), layers.LSTM(3, **ONES)])
        self.decoder = keras.Sequential(
            [keras.Input((3,)), layers.RepeatVector(5), layers.Dense(2, kernel_initializer="ones")]
        )
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(data - self.decoder(self.encoder(data))))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


ONES = {"kernel_initializer": "ones", "recurrent_initializer": "zeros"}
autoencoder = Autoencoder()
autoencoder.compile(keras.optimizers.SGD(0.01))
told = autoencoder.fit(
    x, epochs=2, batch_size=4, shuffle=False, verbose=0, callbacks=[EarlyStopping(monitor="loss")]
).history
codes = autoencoder.encoder.predict(x, verbose=0)
count = len(autoencoder.trainable_weights)


class Score(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, kernel_initializer="ones")

    def call(self, query, values):
        return tf.reduce_sum(self.dense(query)[:, None, :] * self.dense(values), axis=-1)


class Translator(keras.Model):
    """Takes a pair of inputs, and batches of one size only."""

    def __init__(self):
        super().__init__()
        self.state = tf.zeros((4, 3))
        self.embedding = layers.Embedding(9, 3, embeddings_initializer="ones")
        self.gru = layers.GRU(3, return_sequences=True, **ONES)
        self.score = Score()

    def call(self, inputs):
        words, series = inputs
        h = self.gru(self.embedding(words), initial_state=self.state)
        return self.score(values=h, query=layers.Dense(3, **KERNEL)(series[:, -1]))


KERNEL = {"kernel_initializer": "zeros", "bias_initializer": "ones"}
pairs = tf.data.Dataset.from_tensor_slices(((ids, x), np.ones((8, 4), "float32"))).batch(4)
translator = Translator()
translator.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
history = translator.fit(pairs.repeat(), epochs=2, steps_per_epoch=2, verbose=0).history
shapes = [(tuple(a.shape), tuple(b.numpy().shape)) for (a, b), _ in pairs.take(1)]
numbers = [int(n.numpy()) for n in tf.data.Dataset.range(3)]
words = {0: "none", 1: "one", 2: "two"}
chosen = words[tf.argmax(tf.constant([0.1, 0.2, 0.7])).numpy()]

# Rows of a table: clipped by their own norm, added up, read as an array.
table = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Embedding(9, 3, embeddings_initializer="ones"),
        layers.LSTM(2, **ONES),
        layers.Dense(1, kernel_initializer="ones"),
    ]
)
total = [tf.Variable(tf.zeros_like(v)) for v in table.trainable_variables]
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.square(table(ids) - 3.0))
gradients = tape.gradient(loss, table.trainable_variables)
clipped, norm = tf.clip_by_global_norm(gradients, 0.1)
clipped = [np.asarray(tf.convert_to_tensor(g)) for g in clipped]
short = np.asarray(tf.convert_to_tensor(tf.clip_by_norm(gradients[0], 0.1)))
sizes = [float(tf.reduce_sum(tf.abs(tf.convert_to_tensor(g)))) for g in gradients]
for sum_, gradient in zip(total, gradients, strict=True):
    sum_.assign_add(gradient)
sums = [v.numpy() for v in total]
norm = float(norm)

# A graph from its config, by the class of all models.
copy = keras.Model.from_config(keras.Model(table.inputs, table.outputs, name="copy").get_config())
copy.set_weights(table.get_weights())
same = copy.predict(ids, verbose=0)


@keras.utils.register_keras_serializable("programs")
class Feedback(keras.Model):
    """Has a cell by itself, and in a layer."""

    def __init__(self, steps, **kwargs):
        super().__init__(**kwargs)
        self.steps = steps
        self.cell = layers.LSTMCell(3, **ONES)
        self.rnn = layers.RNN(self.cell, return_state=True)
        self.dense = layers.Dense(2, kernel_initializer="ones")

    def call(self, inputs, training=None):
        h, *states = self.rnn(inputs)
        found = [self.dense(h)]
        for _ in range(1, self.steps):
            h, states = self.cell(found[-1], states=states, training=training)
            found.append(self.dense(h))
        return tf.transpose(tf.stack(found), [1, 0, 2])

    def get_config(self):
        return {**super().get_config(), "steps": self.steps}


feedback = Feedback(3)
forecast = feedback(x).numpy()
feedback.save("feedback.keras")
loaded = keras.models.load_model("feedback.keras")
reread = loaded(x).numpy()
