"""Models with a call of their own, trained by fit and by a train_step of their own."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


class Classifier(keras.Model):
    def __init__(self, units, classes, **kwargs):
        super().__init__(**kwargs)
        self.embedding = layers.Embedding(11, 5, mask_zero=True)
        self.rnn = layers.LSTM(units, return_sequences=True)
        self.blocks = [layers.Dense(units, activation="relu") for _ in range(2)]
        self.pool = layers.GlobalAveragePooling1D()
        self.out = layers.Dense(classes, activation="softmax")
        self.dropout = layers.Dropout(0.0)

    def call(self, inputs, training=False):
        x = self.embedding(inputs)
        x = self.rnn(x)
        for block in self.blocks:
            x = block(x)
        x = self.dropout(self.pool(x), training=training)
        return self.out(x)


class Regressor(keras.Model):
    def __init__(self):
        super().__init__()
        self.gru = layers.GRU(4, return_state=True)
        self.dense = layers.Dense(1, kernel_regularizer="l2")
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.mae = keras.metrics.MeanAbsoluteError(name="mae")

    def call(self, inputs):
        series, extra = inputs
        h, _ = self.gru(series)
        return self.dense(tf.concat([h, extra], axis=-1))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = tf.reduce_mean(tf.square(y - y_pred)) + sum(self.losses)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.loss_tracker.update_state(loss)
        self.mae.update_state(y, y_pred)
        return {"loss": self.loss_tracker.result(), "mae": self.mae.result()}

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        self.loss_tracker.update_state(tf.reduce_mean(tf.square(y - y_pred)))
        self.mae.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}

    @property
    def metrics(self):
        return [self.loss_tracker, self.mae]


class Weighted(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        trainable = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, trainable), trainable)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


rng = np.random.default_rng(4)
ids = rng.integers(1, 11, size=(20, 6)).astype("int32")
ids[::3, 4:] = 0
labels = (ids.sum(axis=1) % 3).astype("int32")
series = rng.normal(size=(20, 5, 2)).astype("float32")
extra = rng.normal(size=(20, 3)).astype("float32")
target = series.sum(axis=(1, 2))[:, None]


def build():
    model = Classifier(4, 3)
    model(ids[:1])
    return model


model = build()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    ids, labels, epochs=3, batch_size=5, shuffle=False, verbose=0, validation_data=(ids, labels)
)
scores = model.evaluate(ids, labels, verbose=0)
predictions = model.predict(ids, verbose=0)
names = [w.path.split("/")[-1] for w in model.weights]
model.save_weights("classifier.weights.h5")
again = Classifier(4, 3)
again(ids[:1])
again.load_weights("classifier.weights.h5")
same = np.allclose(again.predict(ids, verbose=0), predictions)
count = model.count_params()
direct = model(ids[:2], training=False).numpy()

_build = build


def build():
    model = Regressor()
    model([series[:1], extra[:1]])
    return model


second = build()
second.compile(keras.optimizers.SGD(0.05))
steps = second.fit([series, extra], target, epochs=3, batch_size=5, shuffle=False, verbose=0)
tested = second.evaluate([series, extra], target, verbose=0, return_dict=True)
outputs = second.predict([series, extra], verbose=0)


def build():
    inputs = keras.Input((5, 2))
    outputs = layers.Dense(1)(layers.SimpleRNN(4)(inputs))
    return Weighted(inputs, outputs)


third = build()
third.compile(optimizer="adam", loss="mse", metrics=["mae"])
logs = third.fit(series, target, epochs=3, batch_size=5, shuffle=False, verbose=0)
