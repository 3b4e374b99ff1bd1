"""Translation with attention in a loop of its own, with checkpoints that it goes on from."""

import os

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(4)
BATCH, UNITS, WORDS, LENGTH = 4, 6, 9, 5
source = rng.integers(1, WORDS, (8, LENGTH))
target = np.concatenate([np.ones((8, 1), int), WORDS - source[:, ::-1]], axis=1)
dataset = tf.data.Dataset.from_tensor_slices((source, target)).batch(BATCH, drop_remainder=True)


class Encoder(tf.keras.Model):
    def __init__(self, units):
        super().__init__()
        self.units = units
        self.embedding = tf.keras.layers.Embedding(WORDS, 4)
        self.gru = tf.keras.layers.GRU(units, return_sequences=True, return_state=True)

    def call(self, x, hidden):
        return self.gru(self.embedding(x), initial_state=hidden)

    def initialize_hidden_state(self):
        return tf.zeros((BATCH, self.units))


class BahdanauAttention(tf.keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.W1 = tf.keras.layers.Dense(units)
        self.W2 = tf.keras.layers.Dense(units)
        self.V = tf.keras.layers.Dense(1)

    def call(self, query, values):
        query = tf.expand_dims(query, 1)
        score = self.V(tf.nn.tanh(self.W1(query) + self.W2(values)))
        weights = tf.nn.softmax(score, axis=1)
        return tf.reduce_sum(weights * values, axis=1), weights


class Decoder(tf.keras.Model):
    def __init__(self, units):
        super().__init__()
        self.embedding = tf.keras.layers.Embedding(WORDS, 4)
        self.gru = tf.keras.layers.GRU(units, return_sequences=True, return_state=True)
        self.fc = tf.keras.layers.Dense(WORDS)
        self.attention = BahdanauAttention(units)

    def call(self, x, hidden, encoded):
        context, weights = self.attention(hidden, encoded)
        x = tf.concat([tf.expand_dims(context, 1), self.embedding(x)], axis=-1)
        output, state = self.gru(x)
        return self.fc(tf.reshape(output, (-1, output.shape[2]))), state, weights


def build():
    """Return both, built, in one model whose weights can be set."""

    class Both(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = Encoder(UNITS), Decoder(UNITS)

        def call(self, x):
            encoded, hidden = self.encoder(x, self.encoder.initialize_hidden_state())
            return self.decoder(x[:, :1], hidden, encoded)[0]

    both = Both()
    both(tf.constant(source[:BATCH]))
    return both


model = build()
encoder, decoder = model.encoder, model.decoder
optimizer = tf.keras.optimizers.Adam(0.01)
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
checkpoint_prefix = os.path.join("training_checkpoints", "ckpt")
checkpoint = tf.train.Checkpoint(optimizer=optimizer, encoder=encoder, decoder=decoder)


def loss_function(real, pred):
    mask = tf.math.logical_not(tf.math.equal(real, 0))
    loss = loss_object(real, pred)
    loss *= tf.cast(mask, dtype=loss.dtype)
    return tf.reduce_mean(loss)


@tf.function
def train_step(inp, targ, hidden):
    loss = 0.0
    with tf.GradientTape() as tape:
        encoded, hidden = encoder(inp, hidden)
        step_input = tf.expand_dims([1] * BATCH, 1)
        for t in range(1, LENGTH + 1):
            predictions, hidden, _ = decoder(step_input, hidden, encoded)
            loss += loss_function(targ[:, t], predictions)
            step_input = tf.expand_dims(targ[:, t], 1)
    variables = encoder.trainable_variables + decoder.trainable_variables
    gradients = tape.gradient(loss, variables)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return loss / LENGTH


losses = []
for epoch in range(3):
    total = 0.0
    for inp, targ in dataset.take(2):
        total += float(train_step(inp, targ, encoder.initialize_hidden_state()))
    losses.append(total)
    if epoch == 1:
        checkpoint.save(file_prefix=checkpoint_prefix)
latest = tf.train.latest_checkpoint("training_checkpoints")
name = os.path.basename(latest)
checkpoint.restore(latest)
again = float(train_step(source[:BATCH], target[:BATCH], encoder.initialize_hidden_state()))
