"""Weather: windows made by timeseries_dataset_from_array, a baseline of common sense."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(6)
raw_data = np.cumsum(rng.normal(size=(200, 3)), axis=0)
temperature = raw_data[:, 1]
num_train = 120
mean = raw_data[:num_train].mean(axis=0)
std = raw_data[:num_train].std(axis=0)
raw_data = (raw_data - mean) / std
sampling_rate, sequence_length, batch_size = 2, 6, 16
delay = sampling_rate * (sequence_length + 3 - 1)


def dataset(start, end):
    return keras.utils.timeseries_dataset_from_array(
        raw_data[:-delay],
        targets=temperature[delay:],
        sampling_rate=sampling_rate,
        sequence_length=sequence_length,
        shuffle=False,
        batch_size=batch_size,
        start_index=start,
        end_index=end,
    )


train_dataset, val_dataset = dataset(0, num_train), dataset(num_train, None)
for samples, targets in train_dataset:
    first = (tuple(samples.shape), tuple(targets.shape))
    break


def evaluate_naive_method(windows):
    total, seen = 0.0, 0
    for samples, targets in windows:
        preds = np.array(samples)[:, -1, 1] * std[1] + mean[1]
        total += np.sum(np.abs(preds - np.array(targets)))
        seen += samples.shape[0]
    return total / seen


naive = evaluate_naive_method(val_dataset)


def build():
    return keras.Sequential(
        [
            keras.Input(shape=(sequence_length, raw_data.shape[-1])),
            layers.SimpleRNN(8, return_sequences=True),
            layers.SimpleRNN(8),
            layers.Dense(1),
        ]
    )


model = build()
model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
history = model.fit(train_dataset, epochs=2, validation_data=val_dataset, verbose=0)
mae = model.evaluate(val_dataset, verbose=0)[1]
again = keras.preprocessing.timeseries_dataset_from_array(
    np.arange(10), None, sequence_length=3, sequence_stride=2, batch_size=2
)
windows = [np.array(batch) for batch in again]
