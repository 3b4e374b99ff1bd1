"""Wrong programs end with the same kind of error as in Keras, or one that says more."""

import re
from typing import Any

import pytest

from tests.programs import runner

pytest.importorskip("keras")

SETUP = """
import numpy as np
import keras
from keras import layers
x = np.zeros((4, 5, 3), dtype="float32")
y = np.zeros((4, 1), dtype="float32")
def made(*given):
    model = keras.Sequential([keras.Input((5, 3)), *given] if given else [
        keras.Input((5, 3)), layers.SimpleRNN(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
"""

# What is wrong: a line, the error in Keras, and the words that ours must have.
WRONG = [
    ("layers.SimpleRNN(0)", ValueError, "units"),
    ("layers.SimpleRNN(-1)", ValueError, "units"),
    ("layers.SimpleRNN()", TypeError, "units"),
    ("layers.SimpleRNN(4, activation='tan')", ValueError, "tan"),
    ("layers.SimpleRNN(4, unitz=3)", ValueError, "unitz"),
    ("layers.SimpleRNN(4, kernel_initializer='glorot')", ValueError, "glorot"),
    ("layers.SimpleRNN(4, kernel_regularizer='l3')", ValueError, "l3"),
    ("layers.SimpleRNN(4, bias_constraint='nonneg')", ValueError, "nonneg"),
    ("layers.Dense(0)", ValueError, "units"),
    ("layers.Dropout(2)", ValueError, "rate"),
    ("layers.SimpleRNN(4)(x[0])", ValueError, "ndim"),
    ("layers.SimpleRNN(4)(np.zeros((2, 3, 4, 5)))", ValueError, "ndim"),
    ("layers.Bidirectional(layers.SimpleRNN(2), merge_mode='max')(x)", ValueError, "max"),
    ("layers.TimeDistributed(3)", ValueError, "layer"),
    ("layers.Reshape((7,))(x)", ValueError, "reshape|shape"),
    ("layers.RepeatVector('2')", TypeError, "integer"),
    ("layers.Permute((1, 3))", ValueError, "dims|permutation"),
    ("layers.RNN(3)", ValueError, "cell"),
    ("keras.Sequential([3])", ValueError, "layer|Layer"),
    ("keras.Sequential([layers.Dense])", ValueError, "layer|Layer"),
    ("keras.Sequential([layers.Dense(1, name='a'), layers.Dense(1, name='a')])", ValueError, "a"),
    ("keras.Sequential([layers.SimpleRNN(2)]).summary(line_length=5)", ValueError, "width"),
    ("keras.Sequential([layers.SimpleRNN(2)]).input_shape", AttributeError, "input"),
    ("keras.Sequential([layers.SimpleRNN(2)]).count_params()", ValueError, "built"),
    ("layers.SimpleRNN(2).count_params()", ValueError, "built"),
    ("made(layers.SimpleRNN(2), layers.SimpleRNN(2))", ValueError, "ndim"),
    ("made().get_layer('missing')", ValueError, "missing"),
    ("made().get_layer()", ValueError, "name"),
    ("made().get_layer(index=9)", ValueError, "9"),
    ("made().predict(x[:, :, :2], verbose=0)", ValueError, "3"),
    ("made().predict(x[:, 0], verbose=0)", ValueError, "ndim|shape"),
    ("made().fit(x, y[:3], verbose=0)", ValueError, "4"),
    ("made().fit(x, verbose=0)", ValueError, "y|target"),
    ("made().fit(x, y, validation_split=0.99, verbose=0)", ValueError, "validation_split"),
    ("made().fit(x, y, sample_weight=np.ones(4), class_weight={0: 1.}, verbose=0)", ValueError,
     "class_weight"),
    ("made().evaluate(x, y, wrong=1)", ValueError, "wrong"),
    ("made().fit(x, y, wrong=1)", TypeError, "wrong"),
    ("made().compile(loss='mse', optimizer='adamm')", ValueError, "adamm"),
    ("m = made(); m.compile(metrics=['acuracy'], loss='mse'); m.fit(x, y, verbose=0)", ValueError,
     "acuracy"),
    ("made().compile(loss='mse', metrics='mae')", ValueError, "list"),
    ("keras.Sequential([layers.Dense(1)]).fit(x, y)", ValueError, "compile"),
    ("keras.Sequential([layers.Dense(1)]).evaluate(x, y)", ValueError, "compile"),
    ("keras.Sequential([layers.Dense(1)]).compile()\nm = keras.Sequential([layers.Dense(1)])\n"
     "m.compile()\nm.fit(x, y, verbose=0)", ValueError, "loss"),
    ("made().set_weights([])", ValueError, "weight"),
    ("made().layers[0].set_weights([np.zeros((2, 2))] * 3)", ValueError, "shape"),
    ("m = made(); w = m.get_weights(); m.set_weights(w[::-1])", ValueError, "shape"),
    ("made(layers.SimpleRNN(2, stateful=True))", ValueError, "batch"),
    ("m = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), layers.SimpleRNN(2, stateful=True"
     ")])\nm.compile('sgd', 'mse')\nm.predict(x, batch_size=4, verbose=0)", ValueError, "batch"),
    ("keras.optimizers.Adam(lr=0.1)", ValueError, "lr"),
    ("keras.optimizers.SGD(momentum=2)", ValueError, "momentum"),
    ("keras.optimizers.SGD(clipnorm=1, clipvalue=1)", ValueError, "clip"),
    ("keras.optimizers.get('nothing')", ValueError, "nothing"),
    ("keras.losses.get('nothing')", ValueError, "nothing"),
    ("keras.metrics.get('nothing')", ValueError, "nothing"),
    ("keras.activations.get('nothing')", ValueError, "nothing"),
    ("keras.initializers.get('nothing')", ValueError, "nothing"),
    ("keras.losses.MeanSquaredError(reduction='average')", ValueError, "average"),
    ("made().fit(x, y, verbose=0,\n"
     " callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 'a')])", ValueError,
     "schedule"),
    ("keras.callbacks.ReduceLROnPlateau(factor=1.5)", ValueError, "factor"),
    ("keras.callbacks.ModelCheckpoint('a', save_freq='day')", ValueError, "save_freq|filepath"),
    ("keras.callbacks.ModelCheckpoint('model.txt')", ValueError, "filepath"),
    ("keras.utils.pad_sequences([1, 2])", ValueError, "sequences"),
    ("keras.utils.pad_sequences([[1]], padding='left')", ValueError, "left"),
    ("keras.utils.set_random_seed('a')", ValueError, "seed"),
    ("keras.models.load_model('missing.keras')", ValueError, "missing"),
    ("made().load_weights('missing.weights.h5')", FileNotFoundError, "missing"),
    ("made().save('model.xyz')", ValueError, "xyz|keras"),
    ("made().save_weights('weights.txt')", ValueError, "weights"),
    ("layers.TextVectorization(output_mode='words')", ValueError, "words"),
    ("layers.Embedding(3, 0)", Exception, "output_dim"),
    ("layers.Input()", ValueError, "shape"),
    ("keras.config.set_floatx('float33')", ValueError, "float33"),
]  # fmt: skip

# Keras takes these, or fails later, or with an error that says less.
SILENT = [
    ("made().fit(x, np.zeros((4, 3)), verbose=0)", "shape"),
    ("made().compile(loss='mean_square', optimizer='adam')", "mean_square"),
    ("keras.utils.to_categorical([0, 3], num_classes=2)", r"3 at index \(1,\)"),
    ("keras.utils.timeseries_dataset_from_array(np.zeros(9), None, 0)", "sequence_length"),
    ("made().fit(x[:0], y[:0], verbose=0)", "sample"),
    ("made().fit(x, y, batch_size=0, verbose=0)", "batch_size"),
    ("made().predict(x.astype('complex64'), verbose=0)", "complex"),
    ("keras.callbacks.ReduceLROnPlateau(factor=float('nan'))", "factor"),
    ("keras.optimizers.Adam(float('nan'))", "learning_rate"),
    ("layers.SimpleRNN(2, dropout=1.5)", "dropout"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words"), SILENT, ids=[case[0][:60] for case in SILENT])
def test_error_where_keras_is_silent(line: str, words: str, tmp_path: Any) -> None:
    ours = runner.run(runner.with_engine(SETUP + line + "\n"), tmp_path)
    assert isinstance(ours.error, ValueError), f"ours: {ours.error!r}"
    assert re.search(words, str(ours.error)), str(ours.error)


@pytest.mark.parametrize(("line", "error", "words"), WRONG, ids=[case[0][:60] for case in WRONG])
def test_wrong_program(line: str, error: type[Exception], words: str, tmp_path: Any) -> None:
    text = SETUP + line + "\n"
    keras = runner.run(text, tmp_path)
    assert isinstance(keras.error, error), f"Keras: {keras.error!r}"
    ours = runner.run(runner.with_engine(text), tmp_path)
    assert isinstance(ours.error, error), f"ours: {ours.error!r}"
    assert re.search(words, str(ours.error)), str(ours.error)
