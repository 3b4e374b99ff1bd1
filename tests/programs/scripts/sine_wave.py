"""A sine wave, one step ahead: the first program of every course."""

import numpy as np
from tensorflow.keras.layers import Dense, SimpleRNN
from tensorflow.keras.models import Sequential


def create_dataset(series, look_back):
    xs, ys = [], []
    for i in range(len(series) - look_back):
        xs.append(series[i : i + look_back])
        ys.append(series[i + look_back])
    return np.array(xs), np.array(ys)


series = np.sin(np.arange(0, 30, 0.25))
X, Y = create_dataset(series, 10)
X = np.reshape(X, (X.shape[0], X.shape[1], 1))
split = int(0.8 * len(X))
X_train, X_test, Y_train, Y_test = X[:split], X[split:], Y[:split], Y[split:]


def build():
    model = Sequential()
    model.add(SimpleRNN(units=8, activation="tanh", input_shape=(10, 1)))
    model.add(Dense(units=1))
    return model


model = build()
model.compile(optimizer="adam", loss="mean_squared_error", metrics=["mae"])
history = model.fit(
    X_train,
    Y_train,
    epochs=4,
    batch_size=16,
    shuffle=False,
    validation_data=(X_test, Y_test),
    verbose=0,
)
loss, mae = model.evaluate(X_test, Y_test, verbose=0)
print("Test loss:", round(loss, 4))
trained = sorted(history.history)
forecast = model.predict(X_test, verbose=0)
rmse = np.sqrt(np.mean((forecast[:, 0] - Y_test) ** 2))
# Predict further, each forecast fed back as input.
window = X_test[0].reshape(1, 10, 1)
generated = []
for _ in range(5):
    following = model.predict(window, verbose=0)
    generated.append(following[0, 0])
    window = np.append(window[:, 1:, :], following.reshape(1, 1, 1), axis=1)
