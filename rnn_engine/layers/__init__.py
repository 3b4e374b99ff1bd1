"""Layers: `keras.layers`. Each is imported when it is first asked for, by name or by a config."""

from typing import TYPE_CHECKING

from rnn_engine.layers.base import registry
from rnn_engine.lazy import lazily, places_in, show_public

if TYPE_CHECKING:
    from rnn_engine.layers.activation_layers import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
    from rnn_engine.layers.activity_regularization import ActivityRegularization
    from rnn_engine.layers.attention import AdditiveAttention, Attention
    from rnn_engine.layers.base import Layer
    from rnn_engine.layers.batch_normalization import BatchNormalization
    from rnn_engine.layers.bidirectional import Bidirectional
    from rnn_engine.layers.cell import RNNCell
    from rnn_engine.layers.concatenation import Concatenate, concatenate
    from rnn_engine.layers.conv import Conv1D, Conv2D, Conv3D
    from rnn_engine.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
    from rnn_engine.layers.conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
    from rnn_engine.layers.dense import Dense
    from rnn_engine.layers.depthwise_conv import DepthwiseConv1D, DepthwiseConv2D
    from rnn_engine.layers.dot_product import Dot, dot
    from rnn_engine.layers.dropout import AlphaDropout, Dropout, SpatialDropout1D
    from rnn_engine.layers.einsum_dense import EinsumDense
    from rnn_engine.layers.embedding import Embedding
    from rnn_engine.layers.ends import (
        Cropping1D,
        Cropping2D,
        Cropping3D,
        ZeroPadding1D,
        ZeroPadding2D,
        ZeroPadding3D,
    )
    from rnn_engine.layers.gaussian import GaussianDropout, GaussianNoise
    from rnn_engine.layers.global_pooling import (
        GlobalAveragePooling2D,
        GlobalAveragePooling3D,
        GlobalMaxPooling2D,
        GlobalMaxPooling3D,
    )
    from rnn_engine.layers.group_normalization import GroupNormalization, RMSNormalization
    from rnn_engine.layers.gru import GRU, GRUCell
    from rnn_engine.layers.identity import Identity
    from rnn_engine.layers.input_layer import Input, InputLayer
    from rnn_engine.layers.input_spec import InputSpec
    from rnn_engine.layers.lambda_layer import Lambda
    from rnn_engine.layers.layer_normalization import LayerNormalization
    from rnn_engine.layers.lstm import LSTM, LSTMCell
    from rnn_engine.layers.masking import Masking
    from rnn_engine.layers.merging import (
        Add,
        Average,
        Maximum,
        Minimum,
        Multiply,
        Subtract,
        add,
        average,
        maximum,
        minimum,
        multiply,
        subtract,
    )
    from rnn_engine.layers.multi_head_attention import MultiHeadAttention
    from rnn_engine.layers.pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
    from rnn_engine.layers.preprocessing import StringLookup, TextVectorization
    from rnn_engine.layers.preprocessing.category_encoding import CategoryEncoding
    from rnn_engine.layers.preprocessing.discretization import Discretization
    from rnn_engine.layers.preprocessing.feature_normalization import Normalization
    from rnn_engine.layers.preprocessing.hashing_layer import Hashing
    from rnn_engine.layers.preprocessing.integer_lookup import IntegerLookup
    from rnn_engine.layers.rescaling import Rescaling
    from rnn_engine.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
    from rnn_engine.layers.rnn import RNN
    from rnn_engine.layers.separable_conv import SeparableConv1D, SeparableConv2D
    from rnn_engine.layers.simple_rnn import SimpleRNN, SimpleRNNCell
    from rnn_engine.layers.spatial_dropout import SpatialDropout2D, SpatialDropout3D
    from rnn_engine.layers.stacked_rnn_cells import StackedRNNCells
    from rnn_engine.layers.time_distributed import TimeDistributed
    from rnn_engine.layers.unit_normalization import UnitNormalization
    from rnn_engine.layers.up_sampling import UpSampling1D, UpSampling2D, UpSampling3D
    from rnn_engine.layers.window_pooling import (
        AveragePooling1D,
        AveragePooling2D,
        AveragePooling3D,
        MaxPooling1D,
        MaxPooling2D,
        MaxPooling3D,
    )
    from rnn_engine.layers.wrapper import Wrapper, deserialize

    AvgPool1D = AveragePooling1D
    AvgPool2D = AveragePooling2D
    AvgPool3D = AveragePooling3D
    Convolution1D = Conv1D
    Convolution1DTranspose = Conv1DTranspose
    Convolution2D = Conv2D
    Convolution2DTranspose = Conv2DTranspose
    Convolution3D = Conv3D
    Convolution3DTranspose = Conv3DTranspose
    GlobalAvgPool1D = GlobalAveragePooling1D
    GlobalAvgPool2D = GlobalAveragePooling2D
    GlobalAvgPool3D = GlobalAveragePooling3D
    GlobalMaxPool1D = GlobalMaxPooling1D
    GlobalMaxPool2D = GlobalMaxPooling2D
    GlobalMaxPool3D = GlobalMaxPooling3D
    MaxPool1D = MaxPooling1D
    MaxPool2D = MaxPooling2D
    MaxPool3D = MaxPooling3D
    SeparableConvolution1D = SeparableConv1D
    SeparableConvolution2D = SeparableConv2D

# Modules and what they hold: layers, and functions.
_NAMES = {
    "activation_layers": "ELU Activation LeakyReLU PReLU ReLU Softmax",
    "activity_regularization": "ActivityRegularization",
    "attention": "AdditiveAttention Attention",
    "base": "Layer",
    "batch_normalization": "BatchNormalization",
    "bidirectional": "Bidirectional",
    "cell": "RNNCell",
    "concatenation": "Concatenate concatenate",
    "conv": "Conv1D Conv2D Conv3D",
    "conv_lstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    "conv_transpose": "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
    "dense": "Dense",
    "depthwise_conv": "DepthwiseConv1D DepthwiseConv2D",
    "dot_product": "Dot dot",
    "dropout": "AlphaDropout Dropout SpatialDropout1D",
    "einsum_dense": "EinsumDense",
    "embedding": "Embedding",
    "ends": "Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D ZeroPadding3D",
    "gaussian": "GaussianDropout GaussianNoise",
    "global_pooling": (
        "GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling2D GlobalMaxPooling3D"
    ),
    "group_normalization": "GroupNormalization RMSNormalization",
    "gru": "GRU GRUCell",
    "identity": "Identity",
    "input_layer": "Input InputLayer",
    "input_spec": "InputSpec",
    "lambda_layer": "Lambda",
    "layer_normalization": "LayerNormalization",
    "lstm": "LSTM LSTMCell",
    "masking": "Masking",
    "merging": (
        "Add Average Maximum Minimum Multiply Subtract add average maximum minimum multiply "
        "subtract"
    ),
    "multi_head_attention": "MultiHeadAttention",
    "pooling": "GlobalAveragePooling1D GlobalMaxPooling1D",
    "preprocessing": "StringLookup TextVectorization",
    "preprocessing.category_encoding": "CategoryEncoding",
    "preprocessing.discretization": "Discretization",
    "preprocessing.feature_normalization": "Normalization",
    "preprocessing.hashing_layer": "Hashing",
    "preprocessing.integer_lookup": "IntegerLookup",
    "rescaling": "Rescaling",
    "reshaping": "Flatten Permute RepeatVector Reshape",
    "rnn": "RNN",
    "separable_conv": "SeparableConv1D SeparableConv2D",
    "simple_rnn": "SimpleRNN SimpleRNNCell",
    "spatial_dropout": "SpatialDropout2D SpatialDropout3D",
    "stacked_rnn_cells": "StackedRNNCells",
    "time_distributed": "TimeDistributed",
    "unit_normalization": "UnitNormalization",
    "up_sampling": "UpSampling1D UpSampling2D UpSampling3D",
    "window_pooling": (
        "AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D"
    ),
    "wrapper": "Wrapper deserialize",
}
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
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
}
_PLACES = places_in(__name__, _NAMES)
_PLACES |= {alias: _PLACES[name] for alias, name in _ALIASES.items()}
serialize = registry.serialize

# What configs name: layers, and models, which stand above this package.
_NO_ENTRIES = {"Input", "InputSpec", "Layer", "RNNCell", "Wrapper", *_ALIASES}
_NO_ENTRIES -= {"GlobalAvgPool1D", "GlobalMaxPool1D"}
registry.announce(
    {
        **{n: p for n, p in _PLACES.items() if n[0].isupper() and n not in _NO_ENTRIES},
        "Functional": "rnn_engine.functional:Functional",
        "Sequential": "rnn_engine.sequential:Sequential",
        "BatchInside": "rnn_engine.saving.onnx.model:BatchInside",
        "ONNXCell": "rnn_engine.saving.onnx.cell:ONNXCell",
    }
)

__getattr__ = lazily(__name__, _PLACES)
show_public(__name__)

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RNNCell",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "TextVectorization",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]
