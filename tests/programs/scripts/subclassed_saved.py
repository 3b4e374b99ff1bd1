"""A subclassed model and a layer of one's own, saved as .keras and loaded by their classes."""

import io

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(6)
x = rng.normal(size=(16, 5, 3)).astype("float32")
y = x[:, -1, :1]


class Pooled(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.input_spec = layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), name="w")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", name="b")

    def call(self, inputs):
        return keras.ops.mean(keras.ops.tanh(keras.ops.matmul(inputs, self.w) + self.b), axis=1)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Forecaster(keras.Model):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.lstm = layers.LSTM(units, return_sequences=True)
        self.pooled = Pooled(3)
        self.out = layers.Dense(1)

    def call(self, inputs, training=False):
        return self.out(self.pooled(self.lstm(inputs)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def build():
    model = Forecaster(5, name="forecaster")
    model(x[:1])
    return model


model = build()
model.compile(keras.optimizers.Adam(0.01), "mse")
losses = model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0).history["loss"]
shown = io.StringIO()
model.summary(print_fn=lambda line, **options: shown.write(line + "\n"))
told = [name in shown.getvalue() for name in ("lstm (LSTM)", "pooled (Pooled)", "608", "202")]
expected = model.predict(x, verbose=0)
model.save("forecaster.keras")
classes = {"Forecaster": Forecaster, "Pooled": Pooled}
loaded = keras.models.load_model("forecaster.keras", custom_objects=classes)
same = bool(np.allclose(loaded.predict(x, verbose=0), expected, atol=1e-6))
units = loaded.units
again = loaded.fit(x, y, epochs=1, batch_size=8, shuffle=False, verbose=0).history["loss"]
with keras.utils.custom_object_scope(classes):
    config = keras.utils.serialize_keras_object(loaded.pooled)
    copied = keras.utils.deserialize_keras_object(config)
kind, copied_units = config["class_name"], copied.units
del config
model.save_weights("forecaster.weights.h5")
fresh = build()
fresh.load_weights("forecaster.weights.h5")
weights = bool(np.allclose(fresh.predict(x, verbose=0), expected, atol=1e-6))
