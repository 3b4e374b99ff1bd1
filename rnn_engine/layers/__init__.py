"""Layers: `keras.layers`."""

from rnn_engine.layers.activity_regularization import ActivityRegularization
from rnn_engine.layers.base import Layer
from rnn_engine.layers.batch_normalization import BatchNormalization
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
from rnn_engine.layers.simple_rnn import SimpleRNN

GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D

__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "BatchNormalization",
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
    "Masking",
    "Permute",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SimpleRNN",
    "SpatialDropout1D",
    "StringLookup",
    "TextVectorization",
]
