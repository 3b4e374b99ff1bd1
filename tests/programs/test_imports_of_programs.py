"""The ways in which programs import Keras have their like here."""

import sys

import pytest

import rnn_engine

STYLES = [
    "import rnn_engine as keras; keras.Sequential; keras.layers.SimpleRNN; keras.Input",
    "import rnn_engine as tf; tf.keras.Sequential; tf.keras.layers.SimpleRNN",
    "from rnn_engine import keras; keras.models.Sequential; keras.utils.to_categorical",
    "from rnn_engine import layers, models, optimizers, losses, callbacks, utils, backend",
    "from rnn_engine.models import Sequential, load_model",
    "from rnn_engine.layers import SimpleRNN, Dense, Embedding, TextVectorization",
    "from rnn_engine.keras import layers, Sequential",
    "from rnn_engine.keras.layers import SimpleRNN",
    "from rnn_engine.keras.preprocessing.sequence import pad_sequences",
    "from rnn_engine.keras.optimizers.schedules import ExponentialDecay",
    "import rnn_engine.keras as keras; keras.layers.Dense",
    "import rnn_engine.keras.backend as K; K.clear_session()",
    "from rnn_engine.optimizers import Adam, schedules",
    "from rnn_engine.callbacks import EarlyStopping, ModelCheckpoint",
    "from rnn_engine.utils import to_categorical, pad_sequences, timeseries_dataset_from_array",
    "from rnn_engine.preprocessing import sequence, timeseries_dataset_from_array",
    "from rnn_engine.saving import load_model, register_keras_serializable",
    "from rnn_engine.regularizers import l1, l2, L1L2",
    "from rnn_engine.initializers import GlorotUniform, glorot_uniform",
    "from rnn_engine.constraints import MaxNorm, max_norm",
    "from rnn_engine.metrics import RootMeanSquaredError, MeanAbsoluteError",
    "from rnn_engine.losses import MeanSquaredError, mean_squared_error, Huber",
    "from rnn_engine.activations import relu, tanh",
    "from rnn_engine import *; Sequential; SimpleRNN = layers.SimpleRNN",
]


@pytest.mark.parametrize("text", STYLES)
def test_import(text: str) -> None:
    exec(text.replace("; ", "\n"), {})


def test_keras_is_the_package_itself() -> None:
    assert rnn_engine.keras is rnn_engine
    assert sys.modules["rnn_engine.keras"] is rnn_engine
    # A module loaded twice would register its classes twice.
    for name, module in list(sys.modules.items()):
        if name.startswith("rnn_engine.keras."):
            assert module is sys.modules[name.replace("rnn_engine.keras", "rnn_engine", 1)], name
