"""rnn_engine: recurrent networks on the CPU, in NumPy and Numba, with Keras's names.

A Keras program runs when its import changes::

    import rnn_engine as keras

    model = keras.Sequential([keras.layers.SimpleRNN(5, input_shape=(4, 1)), keras.layers.Dense(1)])
"""

from rnn_engine import (
    activations,
    callbacks,
    config,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from rnn_engine.kernels.threads import get_num_threads, set_num_threads
from rnn_engine.layers import Input, Layer
from rnn_engine.model import Sequential
from rnn_engine.variable import Variable

__version__ = "0.1.0"

__all__ = [
    "Input",
    "Layer",
    "Sequential",
    "Variable",
    "activations",
    "callbacks",
    "config",
    "constraints",
    "get_num_threads",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "set_num_threads",
    "utils",
]
