"""Gradients of gradients: a critic with a gradient penalty, and an equation of a network."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(4)
real = tf.constant(rng.normal(size=(4, 6, 2)), dtype=tf.float32)
fake = tf.constant(rng.normal(size=(4, 6, 2)), dtype=tf.float32)


def build():
    inputs = keras.Input((6, 2))
    h = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(inputs)
    h = layers.Concatenate()([h, layers.Conv1D(3, 3, padding="same", activation="gelu")(inputs)])
    h = layers.GRU(4, return_sequences=True)(h)
    h = layers.SimpleRNN(3, return_sequences=True)(layers.TimeDistributed(layers.Dense(3))(h))
    h = layers.LeakyReLU()(layers.GlobalAveragePooling1D()(h))
    return keras.Model(inputs, layers.Dense(1)(h))


critic = build()
optimizer = keras.optimizers.SGD(0.02)


def gradient_penalty(real, fake):
    alpha = tf.constant([0.1, 0.4, 0.6, 0.9], shape=(4, 1, 1))
    mixed = alpha * real + (1.0 - alpha) * fake
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        score = critic(mixed, training=True)
    slope = tape.gradient(score, [mixed])[0]
    norm = tf.sqrt(tf.reduce_sum(tf.square(slope), axis=[1, 2]) + 1e-12)
    return tf.reduce_mean((norm - 1.0) ** 2)


losses, norms = [], []
for _ in range(3):
    with tf.GradientTape() as tape:
        penalty = gradient_penalty(real, fake)
        loss = tf.reduce_mean(critic(fake)) - tf.reduce_mean(critic(real)) + 10.0 * penalty
    gradients = tape.gradient(loss, critic.trainable_variables)
    optimizer.apply_gradients(zip(gradients, critic.trainable_variables, strict=True))
    losses.append(float(loss))
    norms.append([float(tf.norm(gradient)) for gradient in gradients])
weights = critic.get_weights()

# Of masked steps, of a loss, and of a cell's step.
net = keras.Sequential(
    [
        keras.Input((5,)),
        layers.Embedding(7, 3, mask_zero=True, embeddings_initializer=keras.initializers.Ones()),
        layers.LSTM(2, kernel_initializer="ones", recurrent_initializer="zeros"),
        layers.Dense(3, activation="softmax", kernel_initializer="ones"),
    ]
)
crossentropy = keras.losses.SparseCategoricalCrossentropy()
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        error = crossentropy(np.array([0, 2]), net(np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]])))
    inner_gradients = inner.gradient(error, net.trainable_variables[1:])
    size = sum(tf.reduce_sum(tf.square(gradient)) for gradient in inner_gradients)
meta = [np.asarray(g) for g in outer.gradient(size, net.trainable_variables[1:])]

# u'' + u = 0, of a small network.
t = tf.constant(np.linspace(0.0, 1.0, 6, dtype="float32")[:, None])
solution = keras.Sequential(
    [
        keras.Input((1,)),
        layers.Dense(4, activation="tanh", kernel_initializer="ones", bias_initializer="ones"),
        layers.Dense(1, kernel_initializer="ones"),
    ]
)
with tf.GradientTape() as tape:
    with tf.GradientTape() as second:
        second.watch(t)
        with tf.GradientTape() as first:
            first.watch(t)
            u = solution(t)
        du = first.gradient(u, t)
    d2u = second.gradient(du, t)
    residual = tf.reduce_mean(tf.square(d2u + u))
curvature = d2u.numpy()
steps = [np.asarray(g) for g in tape.gradient(residual, solution.trainable_variables)]

# One tape that goes on recording while it goes back.
with tf.GradientTape(persistent=True) as tape:
    tape.watch(t)
    u = solution(t)
    du = tape.gradient(u, t)
again = tape.gradient(du, t).numpy()
