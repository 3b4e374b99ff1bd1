"""Layers called one by one: the states of an encoder start a decoder."""

import keras
import numpy as np

rng = np.random.default_rng(8)
source = rng.normal(size=(3, 5, 2)).astype("float32")
target = rng.normal(size=(3, 4, 2)).astype("float32")
encoder = keras.layers.SimpleRNN(6, return_state=True)
decoder = keras.layers.SimpleRNN(6, return_sequences=True, return_state=True)
head = keras.layers.Dense(2)
output, state = encoder(source)
sequence, last = decoder(target, initial_state=[state])
answer = head(sequence)

for layer, seed in ((encoder, 1), (decoder, 2), (head, 3)):
    generator = np.random.default_rng(seed)
    layer.set_weights([generator.normal(size=w.shape) * 0.3 for w in layer.get_weights()])
output, state = encoder(source)
sequence, last = decoder(target, initial_state=state)
answer = np.array(head(sequence))
backwards = keras.layers.SimpleRNN(2, go_backwards=True, kernel_initializer="ones",
                                   recurrent_initializer="ones")  # fmt: skip
reversed_output = np.array(backwards(source))
mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], dtype=bool)
masked = np.array(encoder(source, mask=mask)[0])
cell = keras.layers.SimpleRNNCell(6)
names = [encoder.name.split("_")[0], type(cell).__name__]
shapes = [tuple(np.array(output).shape), tuple(np.array(state).shape), decoder.units]
