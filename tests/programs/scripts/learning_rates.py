"""Rates that change: schedules, LearningRateScheduler, assignment by hand."""

import math

import numpy as np
import tensorflow as tf

x = np.linspace(-1, 1, 64).reshape(16, 4, 1)
y = np.cos(x).sum(axis=1)


def build():
    return tf.keras.Sequential(
        [tf.keras.layers.SimpleRNN(4, input_shape=(4, 1)), tf.keras.layers.Dense(1)]
    )


schedule = tf.keras.optimizers.schedules.ExponentialDecay(
    initial_learning_rate=1e-2, decay_steps=3, decay_rate=0.9, staircase=True
)
model = build()
model.compile(optimizer=tf.keras.optimizers.Adam(schedule, clipnorm=1.0), loss="huber")
decayed = model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
steps = int(model.optimizer.iterations.numpy())


def scheduler(epoch, lr):
    return lr if epoch < 2 else lr * math.exp(-0.1)


second = build()
second.compile(tf.keras.optimizers.SGD(learning_rate=0.01), loss="mse")
scheduled = second.fit(
    x,
    y,
    epochs=4,
    callbacks=[tf.keras.callbacks.LearningRateScheduler(scheduler)],
    verbose=0,
)
rate = round(float(second.optimizer.learning_rate.numpy()), 5)
second.optimizer.learning_rate = 0.001
assigned = float(second.optimizer.learning_rate.numpy())
second.optimizer.learning_rate.assign(0.002)
further = second.fit(x, y, epochs=6, initial_epoch=4, verbose=0)
epochs = further.epoch
cosine = [
    float(tf.keras.optimizers.schedules.CosineDecay(0.1, 10)(step)) for step in (0, 5, 10, 20)
]
