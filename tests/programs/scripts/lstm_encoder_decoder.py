"""Sequence to sequence by hand: what an encoder remembers starts a decoder, step by step."""

import numpy as np
from keras import layers

rng = np.random.default_rng(13)
source = rng.normal(size=(4, 6, 3)).astype("float32")
first = np.zeros((4, 1, 2), "float32")
encoder = layers.LSTM(5, return_state=True)
decoder = layers.LSTM(5, return_sequences=True, return_state=True)
head = layers.Dense(2)
gru_encoder, gru_decoder = layers.GRU(4, return_state=True), layers.GRU(4)

_, state_h, state_c = encoder(source)
head(decoder(first, initial_state=[state_h, state_c])[0])
_, gru_state = gru_encoder(source)
gru_decoder(source, initial_state=gru_state)
for layer, seed in zip((encoder, decoder, head, gru_encoder, gru_decoder), range(5), strict=True):
    generator = np.random.default_rng(seed)
    layer.set_weights([generator.normal(size=w.shape) * 0.4 for w in layer.get_weights()])

_, state_h, state_c = encoder(source)
states, token, decoded = [state_h, state_c], first, []
for _step in range(4):
    output, *states = decoder(token, initial_state=states)
    token = np.array(head(output))
    decoded.append(token)
decoded = np.concatenate(decoded, axis=1)
final = [np.array(state) for state in states]
_, gru_state = gru_encoder(source)
carried = np.array(gru_decoder(source, initial_state=gru_state))
forced, *_ = decoder(decoded, initial_state=[state_h, state_c])
forced = np.array(forced)
names = [encoder.name.split("_")[0], gru_encoder.name.split("_")[0]]
sizes = [encoder.units, list(encoder.cell.state_size)]
