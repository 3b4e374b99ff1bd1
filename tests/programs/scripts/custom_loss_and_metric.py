"""A loss, a metric, an activation and a regularizer that are functions and classes of one's own."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K


def weighted_mse(y_true, y_pred):
    weight = 1.0 + tf.cast(y_true > 0, tf.float32)
    return tf.reduce_mean(weight * tf.square(y_true - y_pred), axis=-1)


def pinball(quantile):
    def loss(y_true, y_pred):
        error = y_true - y_pred
        return keras.ops.mean(keras.ops.maximum(quantile * error, (quantile - 1) * error), axis=-1)

    return loss


def r_squared(y_true, y_pred):
    rest = tf.reduce_sum(tf.square(y_true - y_pred))
    total = tf.reduce_sum(tf.square(y_true - tf.reduce_mean(y_true)))
    return 1 - rest / (total + K.epsilon())


class Within(keras.metrics.Metric):
    def __init__(self, distance=0.5, name="within", **kwargs):
        super().__init__(name=name, **kwargs)
        self.distance = distance
        self.hits = self.add_weight(name="hits", initializer="zeros")
        self.seen = self.add_weight(name="seen", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        hit = keras.ops.cast(keras.ops.abs(y_true - y_pred) < self.distance, "float32")
        self.hits.assign_add(keras.ops.sum(hit))
        self.seen.assign_add(keras.ops.cast(keras.ops.size(hit), "float32"))

    def result(self):
        return self.hits / self.seen


class Cubic(keras.losses.Loss):
    def __init__(self, scale=1.0, name="cubic"):
        super().__init__(name=name)
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 3, axis=-1)


def build():
    return keras.Sequential(
        [
            keras.Input((5, 2)),
            keras.layers.SimpleRNN(6, kernel_regularizer=lambda w: 0.01 * keras.ops.sum(w**4)),
            keras.layers.Dense(4, activation=lambda z: z * keras.ops.sigmoid(1.5 * z)),
            keras.layers.Dense(1),
        ]
    )


rng = np.random.default_rng(5)
x = rng.normal(size=(30, 5, 2)).astype("float32")
y = x.sum(axis=(1, 2))[:, None] / 3
weights = rng.uniform(0.5, 2, size=30).astype("float32")

results = []
for loss in (weighted_mse, pinball(0.8), Cubic(0.5)):
    model = build()
    model.compile(keras.optimizers.SGD(0.05), loss=loss, metrics=[r_squared, Within(0.7), "mae"])
    history = model.fit(
        x, y, epochs=3, batch_size=10, shuffle=False, verbose=0, sample_weight=weights
    )
    results.append((history, model.evaluate(x, y, verbose=0)))
value = float(Cubic()(y[:3], y[:3] * 0))
metric = Within(1.0)
metric.update_state(y, y * 0)
share = float(metric.result().numpy())
