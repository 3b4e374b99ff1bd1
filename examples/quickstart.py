import numpy as np

import rnn_engine

x = np.array([[[1], [2], [3], [4]], [[4], [3], [2], [1]]], dtype=np.float32)
model = rnn_engine.Sequential([
    rnn_engine.layers.SimpleRNN(5, input_shape=(4, 1)),
    rnn_engine.layers.Dense(1)
])
model.compile(optimizer='adam', loss='mse')
y = np.array([[10], [20]], dtype=np.float32)
history = model.fit(x, y, epochs=3, verbose=0)
predictions = model.predict(x)
print(f"Loss after training: {history.history['loss'][-1]:.4f}")
print(f"Predictions:\n{predictions}")
