"""Several steps at once: an encoder, RepeatVector, a decoder, a Dense for every step."""

import numpy as np
from tensorflow.keras.layers import Dense, RepeatVector, SimpleRNN, TimeDistributed
from tensorflow.keras.models import Sequential

t = np.linspace(0, 20, 120)
series = np.stack([np.sin(t), np.cos(t / 2)], axis=-1)
n_in, n_out = 9, 4
X = np.stack([series[i : i + n_in] for i in range(90)])
y = np.stack([series[i + n_in : i + n_in + n_out, :1] for i in range(90)])


def build():
    model = Sequential()
    model.add(SimpleRNN(10, activation="relu", input_shape=(n_in, 2)))
    model.add(RepeatVector(n_out))
    model.add(SimpleRNN(10, activation="relu", return_sequences=True))
    model.add(TimeDistributed(Dense(5, activation="relu")))
    model.add(TimeDistributed(Dense(1)))
    return model


model = build()
model.compile(loss="mae", optimizer="adam", metrics=["mse"])
history = model.fit(X, y, epochs=2, batch_size=15, verbose=0, shuffle=False)
yhat = model.predict(X[:3], verbose=0)
print(yhat.shape)
