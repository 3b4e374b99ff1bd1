"""Random models with and without masks: written, run by ONNX Runtime, read, and predicted."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine import layers
from rnn_engine.saving import from_onnx, to_onnx
from tests.saving.onnx_files.graphs import run

CELLS = ["SimpleRNN", "LSTM", "GRU"]
# What keeps (batch, time, features), and most of it a mask.
STEPWISE = {
    "Dense": lambda: layers.Dense(3, "tanh"),
    "TimeDistributed": lambda: layers.TimeDistributed(layers.Dense(4, "elu")),
    "LayerNormalization": layers.LayerNormalization,
    "BatchNormalization": layers.BatchNormalization,
    "Dropout": lambda: layers.Dropout(0.5),
    "Activation": lambda: layers.Activation("softsign"),
    "LeakyReLU": layers.LeakyReLU,
    "ReLU": lambda: layers.ReLU(1.5, 0.25, 0.1),
    "Conv1D": lambda: layers.Conv1D(4, 3, padding="same", activation="relu"),
    "Conv1D causal": lambda: layers.Conv1D(3, 2, padding="causal", dilation_rate=2),
    "Masking": layers.Masking,
}
ENDS = {
    "Flatten": layers.Flatten,
    "mean": layers.GlobalAveragePooling1D,
    "max": layers.GlobalMaxPooling1D,
    "steps": lambda: layers.Dense(2),
}
MERGES = ["Add", "Concatenate", "Multiply", "Average", "Maximum", "Subtract"]
TIME = 5


@st.composite
def recurrent(draw, sequences):
    """Return a recurrent layer of any kind."""
    units, kind = draw(st.integers(1, 4)), draw(st.sampled_from([*CELLS, "cells", "both ways"]))
    options = {"return_sequences": sequences, "go_backwards": draw(st.booleans())}
    zero = draw(st.booleans())
    if kind == "cells":
        cells = [getattr(layers, f"{draw(st.sampled_from(CELLS))}Cell")(n) for n in (units, 2)]
        return layers.RNN(cells, zero_output_for_mask=zero, **options)
    if kind == "both ways":
        there, back = (getattr(layers, draw(st.sampled_from(CELLS))) for _ in range(2))
        turned = options["go_backwards"]
        return layers.Bidirectional(
            there(units, **options),
            draw(st.sampled_from(["concat", "sum", "mul", "ave"])),
            backward_layer=back(units, **{**options, "go_backwards": not turned}),
        )
    made = getattr(layers, kind)
    more = {"reset_after": draw(st.booleans())} if kind == "GRU" else {}
    use_bias = draw(st.booleans())
    return made(units, use_bias=use_bias, zero_output_for_mask=zero, **more, **options)


@st.composite
def models(draw):
    """Return a model, and what it takes."""
    begin = draw(st.sampled_from(["plain", "Masking", "Embedding"]))
    time = draw(st.sampled_from([None, TIME]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    if begin == "Embedding":
        inputs = layers.Input((time,), dtype="int32")
        x = layers.Embedding(6, 3, mask_zero=draw(st.booleans()))(inputs)
        data = rng.integers(0, 6, (4, TIME)).astype("i4")
        data[0, 3:], data[1, :2] = 0, 0
    else:
        inputs = layers.Input((time, 3))
        x = layers.Masking()(inputs) if begin == "Masking" else inputs
        data = rng.normal(size=(4, TIME, 3)).astype("f4")
        data[0, 3:], data[1, :2], data[2, 1::2] = 0, 0, 0
    end = draw(st.sampled_from(["last", *ENDS]))
    for kind in draw(st.lists(st.sampled_from(["recurrent", "step", "merge"]), max_size=4)):
        if kind == "recurrent":
            x = draw(recurrent(True))(x)
        elif kind == "step":
            x = STEPWISE[draw(st.sampled_from(list(STEPWISE)))]()(x)
        else:
            width = x.shape[-1]
            parts = [x, layers.GRU(width, return_sequences=True)(x), layers.Dense(width)(x)]
            name = draw(st.sampled_from(MERGES))
            x = getattr(layers, name)()(parts[: 2 if name == "Subtract" else 3])
    if end == "last":
        x = draw(recurrent(False))(x)
    elif end != "Flatten" or time is not None:
        x = ENDS[end]()(x)
    model = rnn_engine.Model(inputs, x)
    for weight in model.weights:
        value = rng.normal(size=weight.shape) * 0.4
        weight.assign(np.abs(value) + 0.1 if "variance" in weight.name else value)
    return model, data


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@given(made=models())
@settings(max_examples=60)
def test_what_is_written_comes_back(made, tmp_path_factory):
    model, data = made
    path = tmp_path_factory.mktemp("m") / "m.onnx"
    to_onnx(model, path)
    expected = model.predict(data, verbose=0)
    name = onnx.load(path).graph.input[0].name
    found = run(path, {name: data})[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    again = from_onnx(path)
    np.testing.assert_allclose(again.predict(data, verbose=0), expected, atol=1e-5)
    # Any batch.
    more = np.tile(data, (3, *[1] * (data.ndim - 1)))
    found = again.predict(more, verbose=0)
    np.testing.assert_allclose(found, model.predict(more, verbose=0), atol=1e-5)
