"""Layers: `keras.layers`.

Those that a program of recurrent and dense layers can do without are imported when they are
first asked for, by name or by a config.
"""

from importlib import import_module
from typing import Any

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
from rnn_engine.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from rnn_engine.layers.stacked_rnn_cells import StackedRNNCells
from rnn_engine.layers.time_distributed import TimeDistributed
from rnn_engine.layers.wrapper import Wrapper, deserialize
from rnn_engine.lazy import lazily

# Modules and what they hold: layers, other names of them, and functions.
_LATER = {
    "attention": ("AdditiveAttention", "Attention"),
    "concatenation": ("Concatenate", "concatenate"),
    "conv": ("Conv1D", "Conv2D", "Conv3D"),
    "conv_lstm": ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    "conv_transpose": ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    "depthwise_conv": ("DepthwiseConv1D", "DepthwiseConv2D"),
    "dot_product": ("Dot", "dot"),
    "gru": ("GRU", "GRUCell"),
    "group_normalization": ("GroupNormalization", "RMSNormalization"),
    "identity": ("Identity",),
    "lstm": ("LSTM", "LSTMCell"),
    "einsum_dense": ("EinsumDense",),
    "ends": (
        "Cropping1D", "Cropping2D", "Cropping3D",
        "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
    ),
    "global_pooling": (
        "GlobalAveragePooling2D", "GlobalAveragePooling3D",
        "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    ),
    "input_spec": ("InputSpec",),
    "lambda_layer": ("Lambda",),
    "merging": (
        "Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract",
        "add", "average", "maximum", "minimum", "multiply", "subtract",
    ),
    "multi_head_attention": ("MultiHeadAttention",),
    "preprocessing.category_encoding": ("CategoryEncoding",),
    "preprocessing.discretization": ("Discretization",),
    "preprocessing.feature_normalization": ("Normalization",),
    "preprocessing.hashing_layer": ("Hashing",),
    "preprocessing.integer_lookup": ("IntegerLookup",),
    "up_sampling": ("UpSampling1D", "UpSampling2D", "UpSampling3D"),
    "window_pooling": (
        "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
        "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
    ),
    "separable_conv": ("SeparableConv1D", "SeparableConv2D"),
    "spatial_dropout": ("SpatialDropout2D", "SpatialDropout3D"),
    "unit_normalization": ("UnitNormalization",),
}  # fmt: skip
_ALIASES = {
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "Convolution1D": "Conv1D",
    "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2D": "Conv2D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3D": "Conv3D",
    "Convolution3DTranspose": "Conv3DTranspose",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
}
_MODULES = {name: f"{__name__}.{module}" for module, names in _LATER.items() for name in names}
for _name, _module in _MODULES.items():
    if _name[0].isupper() and _name != "InputSpec":  # no layer
        registry.announce(_module, _name)
del _name, _module

serialize = registry.serialize
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D


_find = lazily(__name__, {})


def __getattr__(name: str) -> Any:
    """Import a layer when it is first asked for."""
    if name in _ALIASES:
        return getattr(import_module(__name__), _ALIASES[name])
    if name not in _MODULES:
        return _find(name)
    found = getattr(import_module(_MODULES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_ALIASES})


__all__ = [
    "ELU",
    "GRU",
    "LSTM",
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
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "LSTMCell",
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
    *_MODULES,
    *_ALIASES,
]
