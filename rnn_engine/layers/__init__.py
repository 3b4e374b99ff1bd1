"""Layers: `keras.layers`."""

from rnn_engine.layers.activation_layers import (
    ELU,
    Activation,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)
from rnn_engine.layers.activity_regularization import ActivityRegularization
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.batch_normalization import BatchNormalization
from rnn_engine.layers.bidirectional import Bidirectional
from rnn_engine.layers.cell import RNNCell
from rnn_engine.layers.dense import Dense
from rnn_engine.layers.dropout import AlphaDropout, Dropout, SpatialDropout1D
from rnn_engine.layers.embedding import Embedding
from rnn_engine.layers.gaussian import GaussianDropout, GaussianNoise
from rnn_engine.layers.input_layer import Input, InputLayer
from rnn_engine.layers.layer_normalization import LayerNormalization
from rnn_engine.layers.masking import Masking
from rnn_engine.layers.pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from rnn_engine.layers.preprocessing import StringLookup, TextVectorization
from rnn_engine.layers.rescaling import Rescaling
from rnn_engine.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from rnn_engine.layers.rnn import RNN
from rnn_engine.layers.simple_rnn import SimpleRNN
from rnn_engine.layers.simple_rnn_cell import SimpleRNNCell
from rnn_engine.layers.stacked_rnn_cells import StackedRNNCells
from rnn_engine.layers.time_distributed import TimeDistributed
from rnn_engine.layers.wrapper import Wrapper
from rnn_engine.layers.wrapper import deserialize_layer as deserialize

serialize = registry.serialize
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D

__all__ = [
    "ELU",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "BatchNormalization",
    "Bidirectional",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "PReLU",
    "Permute",
    "RNNCell",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNNCells",
    "StringLookup",
    "TextVectorization",
    "TimeDistributed",
    "Wrapper",
    "deserialize",
    "serialize",
]
