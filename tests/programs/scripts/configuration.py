"""Models as configs, and back; the attributes that say what a layer is."""

import json

import keras
import numpy as np


def build():
    return keras.Sequential(
        [
            keras.Input((5, 2)),
            keras.layers.SimpleRNN(
                3,
                activation="relu",
                dropout=0.1,
                recurrent_dropout=0.2,
                return_sequences=True,
                seed=7,
                name="rnn",
                bias_regularizer="l2",
            ),
            keras.layers.SimpleRNN(2, use_bias=False, go_backwards=True, name="back"),
            keras.layers.Dense(1, activation="tanh", name="out"),
        ],
        name="model",
    )


model = build()
again = keras.Sequential.from_config(model.get_config())
again.set_weights(model.get_weights())
x = np.linspace(-1, 1, 30).reshape(3, 5, 2)
first, second = model.predict(x, verbose=0), again.predict(x, verbose=0)
rnn = model.get_layer("rnn")
kept = {
    key: value
    for key, value in rnn.get_config().items()
    if isinstance(value, int | float | str | bool) and key not in ("dtype", "seed")
}
twin = keras.layers.SimpleRNN.from_config(rnn.get_config())
sizes = (rnn.units, rnn.use_bias, rnn.dropout, rnn.recurrent_dropout, rnn.return_sequences)
names = [layer.name for layer in model.layers]
shapes = (model.input_shape, model.output_shape)
built = (model.built, rnn.built, twin.built)
flags = (rnn.stateful, rnn.supports_masking, rnn.trainable, model.trainable)
last = model.get_layer(index=-1).name
copy = keras.models.clone_model(model)
copied = [layer.name for layer in copy.layers]
text = json.loads(model.to_json())["class_name"]
from_text = keras.models.model_from_json(model.to_json())
same_shapes = [w.shape for w in from_text.get_weights()]
