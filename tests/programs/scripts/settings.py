"""The functions around models: backend, config, seeds, sessions, utilities.

Random: one.
"""

import keras
import numpy as np
from keras import backend as K

keras.utils.clear_session()
K.clear_session()
kinds = (K.floatx(), keras.config.floatx(), K.epsilon(), keras.config.epsilon())
keras.config.set_floatx("float64")
wide = keras.layers.Dense(2)
wide.build((None, 3))
dtypes = (str(wide.dtype), str(wide.kernel.dtype), K.floatx())
keras.backend.set_floatx("float32")
keras.backend.set_epsilon(1e-6)
fuzz = keras.config.epsilon()
keras.config.set_epsilon(1e-7)
keras.utils.clear_session()
automatic = [keras.layers.SimpleRNN(2).name, keras.layers.SimpleRNN(2).name]
automatic += [keras.layers.Dense(2).name, keras.Sequential().name, keras.Sequential().name]
keras.utils.clear_session()
automatic += [keras.layers.SimpleRNN(2).name]
keras.utils.set_random_seed(812)
model = keras.Sequential([keras.layers.SimpleRNN(3, input_shape=(2, 1))])
one = model.get_weights()
keras.utils.set_random_seed(812)
model = keras.Sequential([keras.layers.SimpleRNN(3, input_shape=(2, 1))])
repeats = all(np.array_equal(a, b) for a, b in zip(one, model.get_weights(), strict=True))
one_hot = keras.utils.to_categorical([0, 2, 1])
unit = keras.utils.normalize(np.array([[3.0, 4.0], [1.0, 0.0]]))
padded = keras.utils.pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post", value=9)
more = keras.preprocessing.sequence.pad_sequences([[1.5], [2.5, 3.5]], dtype="float32")
order = keras.config.image_data_format()
is_layer = isinstance(model.layers[0], keras.layers.Layer) and isinstance(model, keras.Model)
is_model = isinstance(model, keras.models.Model) and isinstance(model, keras.layers.Layer)
K.clear_session()
keras.config.disable_interactive_logging()
quiet = keras.config.is_interactive_logging_enabled()
keras.config.enable_interactive_logging()
loud = keras.utils.is_interactive_logging_enabled()
