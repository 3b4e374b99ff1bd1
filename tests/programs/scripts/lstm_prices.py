"""The next closing price from the last sixty: stacked LSTM layers with dropout between them."""

import numpy as np
from tensorflow.keras.layers import LSTM, Dense, Dropout
from tensorflow.keras.models import Sequential

rng = np.random.default_rng(11)
prices = 50 + np.cumsum(rng.normal(0.05, 1, size=130))
low, high = prices[:100].min(), prices[:100].max()
scaled = (prices - low) / (high - low)
lookback = 20
x_train = np.array([scaled[i - lookback : i] for i in range(lookback, 100)])[..., np.newaxis]
y_train = scaled[lookback:100]
x_test = np.array([scaled[i - lookback : i] for i in range(100, 130)])[..., np.newaxis]


def build():
    regressor = Sequential()
    regressor.add(LSTM(units=8, return_sequences=True, input_shape=(x_train.shape[1], 1)))
    regressor.add(Dropout(0.0))
    regressor.add(LSTM(units=8, return_sequences=True))
    regressor.add(Dropout(0.0))
    regressor.add(LSTM(units=6))
    regressor.add(Dropout(0.2))
    regressor.add(Dense(units=1))
    return regressor


regressor = build()
regressor.layers[-2].rate = 0.0
regressor.compile(optimizer="adam", loss="mean_squared_error")
history = regressor.fit(x_train, y_train, epochs=3, batch_size=32, shuffle=False, verbose=0)
predicted = regressor.predict(x_test, verbose=0) * (high - low) + low
rmse = float(np.sqrt(np.mean((predicted[:, 0] - prices[100:]) ** 2)))
parameters = regressor.count_params()
shapes = [tuple(weight.shape) for weight in regressor.get_weights()]
