"""Layers: `keras.layers`."""

from rnn_engine.layers.base import Layer
from rnn_engine.layers.dense import Dense
from rnn_engine.layers.input_layer import Input, InputLayer
from rnn_engine.layers.simple_rnn import SimpleRNN

__all__ = ["Dense", "Input", "InputLayer", "Layer", "SimpleRNN"]
