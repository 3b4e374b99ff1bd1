"""Closing prices scaled to 0..1, windows of the past, a stack with dropout that is off."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau

rng = np.random.default_rng(4)
prices = 100 + np.cumsum(rng.normal(size=160))


class MinMaxScaler:
    def fit_transform(self, values):
        self.low, self.high = values.min(axis=0), values.max(axis=0)
        return (values - self.low) / (self.high - self.low)

    def inverse_transform(self, values):
        return values * (self.high - self.low) + self.low


scaler = MinMaxScaler()
scaled = scaler.fit_transform(prices.reshape(-1, 1))
lookback = 20
X = np.array([scaled[i - lookback : i, 0] for i in range(lookback, len(scaled))])
y = np.array([scaled[i, 0] for i in range(lookback, len(scaled))])
X = X.reshape((X.shape[0], X.shape[1], 1))


def build():
    return keras.Sequential(
        [
            keras.Input(shape=(lookback, 1)),
            layers.SimpleRNN(12, return_sequences=True),
            layers.Dropout(0.0),
            layers.SimpleRNN(8),
            layers.Dropout(0.0),
            layers.Dense(4, activation="relu"),
            layers.Dense(1),
        ],
        name="prices",
    )


model = build()
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.01),
    loss=keras.losses.MeanSquaredError(),
    metrics=[keras.metrics.RootMeanSquaredError(name="rmse"), "mape"],
)
callbacks = [
    EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True),
    ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_lr=1e-5, min_delta=1e-2),
    ModelCheckpoint("best.weights.h5", save_weights_only=True, save_best_only=True),
]
history = model.fit(
    X,
    y,
    epochs=6,
    batch_size=32,
    validation_split=0.2,
    shuffle=False,
    callbacks=callbacks,
    verbose=0,
)
epochs_run = len(history.epoch)
final_rate = float(model.optimizer.learning_rate.numpy())
predicted = scaler.inverse_transform(model.predict(X[-5:], verbose=0))
model.load_weights("best.weights.h5")
best_score = model.evaluate(X, y, verbose=0, return_dict=True)
