"""Training loops with GradientTape, as guides show them."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(9)
x = rng.normal(size=(32, 6, 3)).astype("float32")
y = (x[:, -1, 0] > 0).astype("int32")


def build():
    inputs = keras.Input((6, 3))
    h = layers.LSTM(5, return_sequences=True)(inputs)
    h = layers.BatchNormalization()(h)
    h = layers.GRU(4)(h)
    return keras.Model(inputs, layers.Dense(2)(h))


model = build()
optimizer = keras.optimizers.Adam(0.01)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
accuracy = keras.metrics.SparseCategoricalAccuracy()


@tf.function
def train_step(batch, labels):
    with tf.GradientTape() as tape:
        logits = model(batch, training=True)
        loss = loss_fn(labels, logits)
    grads = tape.gradient(loss, model.trainable_weights)
    grads, _ = tf.clip_by_global_norm(grads, 1.0)
    optimizer.apply_gradients(zip(grads, model.trainable_weights, strict=True))
    accuracy.update_state(labels, logits)
    return loss


losses, shares = [], []
for _ in range(3):
    for start in range(0, 32, 8):
        loss = train_step(x[start : start + 8], y[start : start + 8])
    losses.append(float(loss))
    shares.append(float(accuracy.result().numpy()))
    accuracy.reset_state()
print(f"last loss {float(loss):.3f}")

# Gradients by the input, and several from one tape.
sample = tf.convert_to_tensor(x[:4])
with tf.GradientTape(persistent=True) as tape:
    tape.watch(sample)
    logits = model(sample, training=False)
    score = logits[:, 1]
    penalty = tf.reduce_sum(tf.square(logits))
saliency = tape.gradient(score, sample).numpy()
first = tape.gradient(penalty, model.trainable_variables[0]).numpy()
nothing = tape.gradient(score, tf.Variable(1.0))
del tape

# Variables by themselves.
w = tf.Variable([[0.5, -1.0]], name="w")
b = tf.Variable(0.1)
for _ in range(5):
    with tf.GradientTape() as tape:
        prediction = tf.matmul(x[:, 0, :2], w, transpose_b=True) + b
        error = tf.reduce_mean((prediction - 1.0) ** 2)
    dw, db = tape.gradient(error, [w, b])
    w.assign_sub(0.1 * dw)
    b.assign_sub(0.1 * db)
final = w.numpy(), float(b.numpy()), float(error)

# A second derivative.
z = tf.constant([1.0, 2.0, 3.0])
with tf.GradientTape() as outer:
    outer.watch(z)
    with tf.GradientTape() as inner:
        inner.watch(z)
        cube = tf.reduce_sum(z**3 * tf.sin(z))
    slope = inner.gradient(cube, z)
curvature = outer.gradient(slope, z).numpy()
