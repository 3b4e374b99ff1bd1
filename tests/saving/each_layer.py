"""A layer of each class with settings of its own, made of any package with Keras's names."""

from collections.abc import Callable
from typing import Any

STEPS, FEATURES = 5, 4


class Many(list):
    """Several layers."""


# By class name: the layer, made of a namespace of layers (ours or Keras's). The input is
# a sequence unless the name is in INPUTS.
LAYERS: dict[str, Callable[[Any], Any]] = {
    "Activation": lambda ns: ns.Activation("gelu"),
    "ActivityRegularization": lambda ns: ns.ActivityRegularization(l1=0.5),
    "AlphaDropout": lambda ns: ns.AlphaDropout(0.25, seed=3),
    "BatchNormalization": lambda ns: ns.BatchNormalization(momentum=0.5),
    "Bidirectional": lambda ns: ns.Bidirectional(
        ns.SimpleRNN(3, return_sequences=True, use_bias=False), merge_mode="sum"
    ),
    "CategoryEncoding": lambda ns: ns.CategoryEncoding(11, output_mode="count"),
    "ConvLSTM1D": lambda ns: ns.ConvLSTM1D(2, 3, padding="same", dropout=0.25, seed=7),
    "ConvLSTM2D": lambda ns: ns.ConvLSTM2D(
        2, 2, strides=2, return_sequences=True, recurrent_activation="sigmoid"
    ),
    "ConvLSTM3D": lambda ns: ns.ConvLSTM3D(2, 2, recurrent_activation="hard_sigmoid"),
    "Dense": lambda ns: ns.Dense(
        2, "elu", kernel_regularizer="l2", kernel_constraint="unit_norm", name="own_name"
    ),
    "Discretization": lambda ns: ns.Discretization([-0.5, 0.5], output_mode="one_hot"),
    "Dropout": lambda ns: ns.Dropout(0.25, seed=3),
    "ELU": lambda ns: ns.ELU(0.5),
    "Embedding": lambda ns: ns.Embedding(11, 3, mask_zero=True),
    "Flatten": lambda ns: ns.Flatten(),
    "GaussianDropout": lambda ns: ns.GaussianDropout(0.25),
    "GaussianNoise": lambda ns: ns.GaussianNoise(0.25),
    "GlobalAveragePooling1D": lambda ns: ns.GlobalAveragePooling1D(keepdims=True),
    "GlobalMaxPooling1D": lambda ns: ns.GlobalMaxPooling1D(),
    "GRU": lambda ns: ns.GRU(
        3, "relu", "hard_sigmoid", recurrent_regularizer="l2", dropout=0.25, reset_after=False
    ),
    "GRU twice": lambda ns: Many(
        [ns.GRU(2, return_sequences=True), ns.Bidirectional(ns.GRU(2, use_bias=False))]
    ),
    "GRUCell": lambda ns: ns.RNN(ns.GRUCell(3, bias_initializer="ones"), go_backwards=True),
    "Hashing": lambda ns: ns.Hashing(5),
    "IntegerLookup": lambda ns: ns.IntegerLookup(vocabulary=[1, 3, 5], num_oov_indices=2),
    "LSTM": lambda ns: ns.LSTM(
        3, unit_forget_bias=False, recurrent_dropout=0.25, kernel_constraint="max_norm", seed=7
    ),
    "LSTM both ways": lambda ns: ns.Bidirectional(
        ns.LSTM(3, return_sequences=True),
        backward_layer=ns.GRU(2, return_sequences=True, go_backwards=True),
    ),
    "LSTMCell": lambda ns: ns.RNN([ns.LSTMCell(3), ns.GRUCell(2), ns.SimpleRNNCell(2)]),
    "LayerNormalization": lambda ns: ns.LayerNormalization(epsilon=0.125),
    "LeakyReLU": lambda ns: ns.LeakyReLU(0.25),
    "Masking": lambda ns: ns.Masking(0.5),
    "Normalization": lambda ns: ns.Normalization(mean=0.25, variance=4.0, invert=True),
    "PReLU": lambda ns: ns.PReLU(shared_axes=[1]),
    "Permute": lambda ns: ns.Permute((2, 1)),
    "RNN": lambda ns: ns.RNN(
        [ns.SimpleRNNCell(3, activation="relu"), ns.SimpleRNNCell(2)], return_sequences=True
    ),
    "ReLU": lambda ns: ns.ReLU(max_value=1.5, negative_slope=0.25),
    "RepeatVector": lambda ns: ns.RepeatVector(3),
    "Rescaling": lambda ns: ns.Rescaling(2.0, offset=0.5),
    "Reshape": lambda ns: ns.Reshape((FEATURES, STEPS)),
    "SimpleRNN": lambda ns: ns.SimpleRNN(
        3,
        recurrent_initializer="identity",
        recurrent_regularizer="l1",
        dropout=0.25,
        go_backwards=True,
        seed=7,
    ),
    "SimpleRNNCell": lambda ns: ns.RNN(ns.SimpleRNNCell(3, recurrent_constraint="max_norm")),
    "Softmax": lambda ns: ns.Softmax(axis=1),
    "SpatialDropout1D": lambda ns: ns.SpatialDropout1D(0.25),
    "StackedRNNCells": lambda ns: ns.RNN(
        ns.StackedRNNCells([ns.SimpleRNNCell(2), ns.SimpleRNNCell(3)]), go_backwards=True
    ),
    "TimeDistributed": lambda ns: ns.TimeDistributed(ns.Dense(3)),
    # Groups are counted by class.
    "many": lambda ns: Many(
        [
            ns.Dense(FEATURES),
            ns.Dense(FEATURES),
            ns.Sequential([ns.SimpleRNN(FEATURES, return_sequences=True), ns.Dense(FEATURES)]),
            ns.SimpleRNN(2),
            ns.Dense(2),
        ]
    ),
}

OF_INDICES = {"CategoryEncoding", "Embedding", "Hashing", "IntegerLookup"}
INPUTS = {
    **dict.fromkeys(OF_INDICES, (STEPS,)),
    "ConvLSTM1D": (STEPS, 5, FEATURES),
    "ConvLSTM2D": (STEPS, 4, 4, FEATURES),
    "ConvLSTM3D": (STEPS, 3, 3, 3, FEATURES),
    "RepeatVector": (FEATURES,),
}
