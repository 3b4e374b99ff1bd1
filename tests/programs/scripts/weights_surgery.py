"""Weights by hand: read, changed, counted, moved to a twin."""

import numpy as np
from tensorflow.keras.layers import Dense, SimpleRNN
from tensorflow.keras.models import Sequential


def build():
    return Sequential([SimpleRNN(2, input_shape=(3, 1), activation="linear"), Dense(1)])


model = build()
wx, wh, bh, wy, by = model.get_weights()
shapes = [w.shape for w in (wx, wh, bh, wy, by)]
x = np.array([1, 2, 3])
x_input = np.reshape(x, (1, 3, 1))
y_pred_model = model.predict(x_input, verbose=0)
h = np.zeros(2)
for value in x:
    h = np.dot([value], wx) + np.dot(h, wh) + bh
by_hand = np.dot(h, wy) + by
agree = bool(np.allclose(y_pred_model, by_hand, atol=1e-4))

rnn = model.layers[0]
kernel, recurrent, bias = rnn.get_weights()
rnn.set_weights([np.ones_like(kernel), np.eye(2), np.zeros(2)])
total = model.predict(x_input, verbose=0)
names = [w.name for w in model.weights]
paths = [w.path.split("/", 1)[1] for w in model.weights]
dtypes = [str(w.dtype) for w in model.weights]
trainable = [w.trainable for w in model.weights]
sizes = [int(np.prod(w.shape)) for w in model.trainable_weights]
parameters = (model.count_params(), rnn.count_params())
rnn.trainable = False
counts = (
    len(model.trainable_weights),
    len(model.non_trainable_weights),
    len(model.trainable_variables),
)
model.layers[1].kernel.assign(np.full((2, 1), 0.5))
half = model.predict(x_input, verbose=0)
twin = Sequential([SimpleRNN(2, input_shape=(3, 1), activation="linear"), Dense(1)])
twin.set_weights(model.get_weights())
same = bool(np.allclose(twin.predict(x_input, verbose=0), half))
recurrent_value = np.array(rnn.cell.recurrent_kernel)
cell_units = rnn.cell.units
model.compile("sgd", "mse")
frozen = rnn.get_weights()
history = model.fit(x_input, np.array([[1.0]]), epochs=2, verbose=0)
still = all(np.array_equal(a, b) for a, b in zip(frozen, rnn.get_weights(), strict=True))
