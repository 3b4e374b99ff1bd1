"""What calls add to the loss: listed in `losses`, below a tape, and where the gradient stops."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers, regularizers

x = np.linspace(-1, 1, 30).reshape(2, 5, 3).astype("float32")
target = np.ones((2, 1), "float32")
size = regularizers.L2(0.1)


class Noted(layers.Layer):
    def call(self, inputs):
        self.add_loss(0.1 * tf.reduce_mean(inputs * inputs))
        return inputs


def dense(**settings):
    return layers.Dense(4, kernel_initializer="ones", **settings)


def lstm():
    return layers.LSTM(
        4,
        return_sequences=True,
        kernel_initializer="ones",
        recurrent_initializer="zeros",
        activity_regularizer=size,
    )


def inner(kind):
    if kind == "dense":
        return [dense(activity_regularizer=size)]
    if kind == "lstm":
        return [lstm()]
    if kind == "bidirectional":
        return [layers.Bidirectional(lstm())]
    if kind == "distributed":
        model = keras.Sequential([keras.Input((3,)), dense(activity_regularizer=size)])
        return [layers.TimeDistributed(model)]
    if kind == "sequential":
        return [keras.Sequential([keras.Input((5, 3)), dense(activity_regularizer=size)])]
    if kind == "added":
        return [dense(), Noted()]
    return [dense(), layers.ActivityRegularization(l2=0.1)]


def stop(form, tensor):
    if form == "op":
        return keras.ops.stop_gradient(tensor)
    return layers.Lambda(tf.stop_gradient, output_shape=tensor.shape[1:])(tensor)


def graph(kind, form, fork):
    inputs = keras.Input((5, 3))
    h = inputs
    for layer in inner(kind):
        h = layer(h)
    y = layers.Dense(1, kernel_initializer="ones")(layers.Flatten()(stop(form, h)))
    if fork:
        other = layers.Dense(1, kernel_initializer="ones")(layers.Flatten()(stop(form, h)))
        y = layers.Add()([y, other])
    return keras.Model(inputs, y)


def chain(kind):
    last = [layers.Flatten(), layers.Dense(1, kernel_initializer="ones")]
    stopped = layers.Lambda(tf.stop_gradient, output_shape=lambda shape: shape)
    return keras.Sequential([keras.Input((5, 3)), *inner(kind), stopped, *last])


def norms(gradients):
    # What nothing depends on has no gradient, or one of zeros.
    values = [0.0 if g is None else float(np.abs(np.asarray(g)).sum()) for g in gradients]
    return [round(value, 2) for value in values]


def run(model):
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    trained = model.fit(x, target, epochs=2, verbose=0).history["loss"]
    model(x)
    listed = float(sum(np.asarray(loss) for loss in model.losses))
    with tf.GradientTape(persistent=True) as tape:
        y = model(x, training=True)
        loss = tf.reduce_mean(y)
        total = loss + 3.0 * sum(model.losses)
    variables = model.trainable_variables
    with_penalty = norms(tape.gradient(total, variables))
    without = norms(tape.gradient(loss, variables))
    return trained, listed, float(total), with_penalty, without, model.get_weights()


KINDS = ["dense", "lstm", "bidirectional", "distributed", "sequential", "added", "layer"]
rows = [run(graph(kind, "op", fork=False)) for kind in KINDS]
forks = [run(graph(kind, "op", fork=True)) for kind in KINDS[2:5]]
lambdas = [run(graph(kind, "lambda", fork=False)) for kind in KINDS[2:4]]
chains = [run(chain(kind)) for kind in KINDS]
