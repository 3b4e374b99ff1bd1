"""Text and numbers in one model: two inputs, a recurrent branch, a dense one, concatenated."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.layers import LSTM, Dense, Embedding, Input, concatenate
from tensorflow.keras.models import Model, load_model

rng = np.random.default_rng(41)
titles = rng.integers(1, 40, size=(64, 12))
numbers = rng.normal(size=(64, 5)).astype("float32")
price = (numbers[:, :1] + 0.1 * (titles[:, -1:] % 7)).astype("float32")


def build():
    title_input = Input(shape=(12,), name="title")
    x = Embedding(input_dim=40, output_dim=8)(title_input)
    x = LSTM(10, dropout=0.0)(x)
    number_input = Input(shape=(5,), name="numbers")
    y = Dense(8, activation="relu")(number_input)
    merged = concatenate([x, y])
    z = Dense(6, activation="relu")(merged)
    z = layers.LayerNormalization()(z)
    output = Dense(1, name="price")(z)
    return Model(inputs=[title_input, number_input], outputs=output, name="shop")


model = build()
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
model.summary()
history = model.fit(
    [titles, numbers], price, epochs=3, batch_size=16, validation_split=0.25, shuffle=False,
    verbose=0,
)  # fmt: skip
losses = history.history
by_list = model.predict([titles[:5], numbers[:5]], verbose=0)
by_name = model.predict({"numbers": numbers[:5], "title": titles[:5]}, verbose=0)
score = model.evaluate({"title": titles, "numbers": numbers}, price, verbose=0)
features = Model(model.input, model.get_layer("concatenate").output)
inner = features.predict([titles[:3], numbers[:3]], verbose=0)
shapes = [tuple(t.shape) for t in model.inputs] + [tuple(model.output.shape)]
names = [layer.name for layer in model.layers]
model.save("shop.keras")
again = load_model("shop.keras").predict([titles[:5], numbers[:5]], verbose=0)
print("same after loading:", np.allclose(by_list, again, atol=1e-6))
try:
    model.predict([titles[:5]], verbose=0)
except ValueError as error:
    refused = type(error).__name__
