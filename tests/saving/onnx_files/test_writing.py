"""What `to_onnx` writes gives in ONNX Runtime what the model predicts, and comes back."""

import itertools

import numpy as np
import onnx
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.layers import GRU, LSTM, Bidirectional, Dense, Input, Masking, SimpleRNN
from rnn_engine.saving import from_onnx, to_onnx
from tests.saving.onnx_files.graphs import run

RNG = np.random.default_rng(11)
X = RNG.normal(size=(4, 7, 4)).astype(np.float32)
MASKED = X.copy()
MASKED[0, 5:] = 0  # behind
MASKED[1, :2] = 0  # in front
MASKED[2, [0, 3, 6]] = 0  # between
MASKED[3] = 0  # all
CELLS = {
    "SimpleRNN": SimpleRNN,
    "LSTM": LSTM,
    "GRU": GRU,
    "GRU before": lambda *args, **kwargs: GRU(*args, reset_after=False, **kwargs),
}


def scattered(model):
    """Give a model asymmetric weights."""
    for weight in model.weights:
        value = RNG.normal(size=weight.shape) * 0.4
        weight.assign(np.abs(value) + 0.1 if "variance" in weight.name else value)
    return model


def check(model, *xs, folder):
    """Write a model, run it, and compare; read it again, and compare that."""
    scattered(model)
    path = folder / "model.onnx"
    to_onnx(model, path)
    given = list(xs) if len(xs) > 1 else xs[0]
    expected = model.predict(given, verbose=0)
    expected = expected if isinstance(expected, list | tuple) else [expected]
    names = [port.name for port in onnx.load(path).graph.input]
    found = run(path, dict(zip(names, xs, strict=True)))
    again = from_onnx(path)(given)
    for result in (found, list(again) if isinstance(again, list | tuple) else [again]):
        for mine, theirs in zip(result, expected, strict=True):
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
    return path


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent(cell, tmp_path):
    for sequences, turned in itertools.product((False, True), repeat=2):
        settings = {"return_sequences": sequences, "go_backwards": turned}
        model = rnn_engine.Sequential(
            [Input((None, 4)), CELLS[cell](5, **settings), Dense(2, "softmax")]
        )
        check(model, X, folder=tmp_path)
        for zero in (False, True):
            layer = CELLS[cell](5, zero_output_for_mask=zero, **settings)
            masked = rnn_engine.Sequential([Input((None, 4)), Masking(), layer])
            check(masked, MASKED, folder=tmp_path)


@pytest.mark.parametrize("mode", ["sum", "mul", "ave", "concat", None])
@pytest.mark.parametrize("cell", CELLS)
def test_both_directions(cell, mode, tmp_path):
    for sequences, mask in itertools.product((False, True), repeat=2):
        inputs = Input((None, 4))
        x = Masking()(inputs) if mask else inputs
        y = Bidirectional(CELLS[cell](3, return_sequences=sequences), merge_mode=mode)(x)
        model = rnn_engine.Model(inputs, list(y) if mode is None else y)
        check(model, MASKED if mask else X, folder=tmp_path)


def test_directions_of_two_kinds(tmp_path):
    inputs = Input((None, 4))
    back = SimpleRNN(2, return_sequences=True, go_backwards=True)
    y = Bidirectional(GRU(3, return_sequences=True), backward_layer=back)(Masking()(inputs))
    check(rnn_engine.Model(inputs, y), MASKED, folder=tmp_path)


SETTINGS = {
    "no bias, relu": lambda: SimpleRNN(5, "relu", use_bias=False),
    "hard sigmoid": lambda: LSTM(5, "softsign", "hard_sigmoid"),
    "elu": lambda: GRU(5, "elu", "hard_sigmoid"),
    "linear": lambda: SimpleRNN(5, "linear"),
    "leaky": lambda: LSTM(5, "leaky_relu"),
    "stack of cells": lambda: layers.RNN(
        [layers.LSTMCell(3), layers.GRUCell(4), layers.SimpleRNNCell(2)], return_sequences=True
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_recurrent_layers(name, tmp_path):
    model = rnn_engine.Sequential([Input((None, 4)), SETTINGS[name]()])
    check(model, X, folder=tmp_path)


def test_stack_of_cells_under_a_mask_from_the_end(tmp_path):
    cells = [layers.LSTMCell(3), layers.GRUCell(4)]
    layer = layers.RNN(cells, return_sequences=True, go_backwards=True)
    model = rnn_engine.Sequential([Input((None, 4)), Masking(), layer])
    check(model, MASKED, folder=tmp_path)


def test_states_in_and_out(tmp_path):
    inputs, h, c, mask = Input((None, 4)), Input((5,)), Input((5,)), Input((None,), dtype="bool")
    start = [RNG.normal(size=(4, 5)).astype(np.float32) for _ in range(2)]
    outputs = LSTM(5, return_sequences=True, return_state=True)(inputs, initial_state=[h, c])
    check(rnn_engine.Model([inputs, h, c], list(outputs)), X, *start, folder=tmp_path)
    both = Bidirectional(GRU(5, return_state=True))(inputs, initial_state=[h, c])
    check(rnn_engine.Model([inputs, h, c], list(both)), X, *start, folder=tmp_path)
    masked = LSTM(5, return_sequences=True, return_state=True)(
        inputs, initial_state=[h, c], mask=mask
    )
    is_open = (MASKED != 0).any(-1)
    check(rnn_engine.Model([inputs, h, c, mask], list(masked)), X, *start, is_open,
          folder=tmp_path)  # fmt: skip


def test_embedding_with_a_mask(tmp_path):
    ids = RNG.integers(1, 9, (4, 7)).astype(np.int32)
    ids[0, 4:], ids[1, :3], ids[2, 2], ids[3] = 0, 0, 0, 0
    model = rnn_engine.Sequential([
        layers.Embedding(9, 4, mask_zero=True, input_shape=(None,)),
        LSTM(3, return_sequences=True),
        layers.Dropout(0.5),
        Bidirectional(GRU(3)),
        Dense(2, "softmax"),
    ])  # fmt: skip
    path = check(model, ids, folder=tmp_path)
    # Any batch, any length.
    found = run(path, {onnx.load(path).graph.input[0].name: np.tile(ids, (2, 3))})[0]
    expected = model.predict(np.tile(ids, (2, 3)), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_encoder_and_decoder(tmp_path):
    model = rnn_engine.Sequential([
        Input((None, 4)), LSTM(5), layers.RepeatVector(6), GRU(4, return_sequences=True),
        layers.TimeDistributed(Dense(2, "relu")),
    ])  # fmt: skip
    check(model, X, folder=tmp_path)


def test_layers_within_time_distributed(tmp_path):
    clips = np.stack([X, X * 2, X - 1], axis=1)
    model = rnn_engine.Sequential(
        [Input((3, None, 4)), layers.TimeDistributed(LSTM(3)), GRU(2, return_sequences=True)]
    )
    check(model, clips, folder=tmp_path)
    model = rnn_engine.Sequential(
        [Input((3, 7, 4)), layers.TimeDistributed(layers.Conv1D(3, 2)), layers.Flatten()]
    )
    check(model, clips, folder=tmp_path)


LAYERS = {
    "Conv1D": lambda: layers.Conv1D(6, 3, activation="relu"),
    "Conv1D same": lambda: layers.Conv1D(6, 4, padding="same"),
    "Conv1D same, strides": lambda: layers.Conv1D(6, 3, padding="same", strides=2),
    "Conv1D causal": lambda: layers.Conv1D(6, 3, padding="causal", dilation_rate=2),
    "Conv1D groups": lambda: layers.Conv1D(6, 3, groups=2, use_bias=False),
    "MaxPooling1D": lambda: layers.MaxPooling1D(3, 2, padding="same"),
    "AveragePooling1D": lambda: layers.AveragePooling1D(3, 1, padding="same"),
    "AveragePooling1D valid": lambda: layers.AveragePooling1D(2),
    "GlobalAveragePooling1D": lambda: layers.GlobalAveragePooling1D(keepdims=True),
    "GlobalMaxPooling1D": lambda: layers.GlobalMaxPooling1D(),
    "BatchNormalization": lambda: layers.BatchNormalization(),
    "BatchNormalization axis": lambda: layers.BatchNormalization(axis=1),
    "LayerNormalization": lambda: layers.LayerNormalization(),
    "LayerNormalization axes": lambda: layers.LayerNormalization(axis=[1, 2]),
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "RMSNormalization": lambda: layers.RMSNormalization(),
    "UnitNormalization": lambda: layers.UnitNormalization(),
    "Rescaling": lambda: layers.Rescaling(2.0, 1.0),
    "PReLU": lambda: layers.PReLU(shared_axes=[1]),
    "ReLU": lambda: layers.ReLU(1.5, 0.25, 0.1),
    "LeakyReLU": lambda: layers.LeakyReLU(0.3),
    "ELU": lambda: layers.ELU(0.5),
    "Softmax": lambda: layers.Softmax(axis=1),
    "Permute": lambda: layers.Permute((2, 1)),
    "Flatten": lambda: layers.Flatten(),
    "Reshape": lambda: layers.Reshape((4, 7)),
    "Reshape open": lambda: layers.Reshape((-1, 2)),
    "ZeroPadding1D": lambda: layers.ZeroPadding1D((1, 2)),
    "Cropping1D": lambda: layers.Cropping1D((1, 2)),
    "UpSampling1D": lambda: layers.UpSampling1D(2),
    "GaussianNoise": lambda: layers.GaussianNoise(0.5),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, tmp_path):
    model = rnn_engine.Sequential([Input((7, 4)), LAYERS[name]()])
    check(model, X, folder=tmp_path)


ACTIVATIONS = """
    relu tanh sigmoid softplus softsign elu selu exponential hard_sigmoid leaky_relu relu6 silu
    gelu mish softmax log_softmax hard_silu celu tanh_shrink log_sigmoid hard_tanh squareplus
"""


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_activation(name, tmp_path):
    check(rnn_engine.Sequential([Input((None, 4)), Dense(3, name)]), X, folder=tmp_path)


MERGES = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate"]


@pytest.mark.parametrize("name", MERGES)
def test_merge(name, tmp_path):
    one, two = Input((None, 4), name="one"), Input((None, 4), name="two")
    model = rnn_engine.Model([one, two], getattr(layers, name)()([one, two]))
    check(model, X, X[::-1].copy(), folder=tmp_path)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("name", MERGES)
def test_merge_under_masks(name, both, tmp_path):
    """Closed steps are one in products, and do not decide what is largest."""
    one, two = Input((None, 4), name="one"), Input((None, 4), name="two")
    parts = [Masking()(one), Masking(0.5)(two) if both else two]
    y = getattr(layers, name)()(parts)
    model = rnn_engine.Model([one, two], [y, GRU(3, return_sequences=True)(y)])
    other = X[::-1].copy()
    other[0, 5:], other[1, 3:], other[2, :2] = 0.5, 0.5, 0.5
    check(model, MASKED, other, folder=tmp_path)


def test_graphs(tmp_path):
    """Shared layers, models within, several outputs, ops, an output that is an input."""
    one, two = Input((None, 4), name="one"), Input((None, 4), name="two")
    shared = Dense(3)
    inner = Input((None, 4))
    nested = rnn_engine.Model(inner, [GRU(3)(inner), Dense(2)(inner)])
    first, second = nested(one)
    outputs = [shared(one), layers.Add()([shared(one), shared(two)]), first, second,
               (one * 2.0 + 1.0)[:, -1], two]  # fmt: skip
    path = check(rnn_engine.Model([one, two], outputs), X, X[::-1].copy(), folder=tmp_path)
    kernels = [c for c in onnx.load(path).graph.initializer if c.dims == [4, 3]]
    assert len(kernels) == 1


ops = rnn_engine.ops
WHOLE = np.array([[0, 1, 2], [-3, 0, 5]], np.int32)
OF_OTHER_TYPES = {
    "logical_not": lambda x: ops.logical_not(x),
    "logical_and": lambda x: ops.logical_and(x, x > 1),
    "logical_or": lambda x: ops.logical_or(x, x > 1),
    "logical_xor": lambda x: ops.logical_xor(x, x > 1),
    "where": lambda x: ops.where(x, x, -x),
    "angles": lambda x: ops.sin(x) * ops.cos(x) + ops.arctan(x) - ops.arcsinh(x),
    "rounded": lambda x: ops.round(x / 2),
    "times a truth": lambda x: ops.multiply(x, ops.logical_not(x > 0)),
    "truths compared": lambda x: ops.less(x > 0, x > 1),
    "whole and not": lambda x: ops.multiply(x, ops.cast(x, "float32")),
    "divided": lambda x: ops.divide(x, ops.abs(x) + 2),
    "root": lambda x: ops.sqrt(ops.abs(x)),
    "activation": lambda x: ops.sigmoid(x),
    "square": lambda x: ops.square(x > 0),
    "side by side": lambda x: ops.concatenate([x, ops.cast(x, "float32")], axis=1),
}


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("name", OF_OTHER_TYPES)
def test_ops_of_types_that_those_of_onnx_do_not_take(name, dtype, tmp_path):
    inputs = Input((3,), dtype=dtype)
    model = rnn_engine.Model(inputs, OF_OTHER_TYPES[name](inputs))
    x = WHOLE.astype(dtype)
    expected = model(x)
    to_onnx(model, tmp_path / "m.onnx")
    port = onnx.load(tmp_path / "m.onnx").graph.input[0].name
    (found,) = run(tmp_path / "m.onnx", {port: x})
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_names_that_meet(tmp_path):
    """Two layers may come to one name, which ONNX has once."""
    inputs = Input((3,), name="x")
    first, second = Dense(2, name="d")(inputs), Dense(2, name="D")(inputs)
    third = Dense(2, name="d_1")(first)
    model = rnn_engine.Model(inputs, [first, second, third, first, third])
    check(model, WHOLE.astype("float32"), folder=tmp_path)


def test_mean_under_a_mask(tmp_path):
    model = rnn_engine.Sequential([Input((None, 4)), Masking(), layers.GlobalAveragePooling1D()])
    check(model, MASKED[:3], folder=tmp_path)


def test_what_is_written_names_its_axes(tmp_path):
    model = rnn_engine.Sequential([Input((None, 4), name="x"), LSTM(2, return_sequences=True)])
    to_onnx(model, tmp_path / "m.onnx")
    made = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert [port.name for port in made.graph.input] == ["x"]
    shape = made.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in shape] == ["batch", "x_1", 4]


class Own(layers.Layer):
    def call(self, x):
        return x


def stateful():
    return rnn_engine.Sequential([Input(batch_shape=(2, 3, 4)), LSTM(2, stateful=True)])


REFUSED = {
    "stateful": (stateful, "is stateful|it is stateful"),
    "own layer": (lambda: rnn_engine.Sequential([Input((3,)), Own(name="mine")]), "'mine'"),
    "mixed": (
        lambda: rnn_engine.Sequential([Input((3,)), Dense(2, dtype="mixed_float16")]), "float16"
    ),
    "activation": (
        lambda: rnn_engine.Sequential([Input((None, 4)), LSTM(2, "gelu")]), "no activation 'gelu'"
    ),
    "float64": (
        lambda: rnn_engine.Sequential(
            [Input((None, 4), dtype="float64"), LSTM(2, dtype="float64")]
        ),
        "float64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_the_file_is_touched(name, tmp_path):
    make, reason = REFUSED[name]
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match=reason):
        to_onnx(make(), path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_models_that_are_not_built(tmp_path):
    with pytest.raises(ValueError, match="built model"):
        to_onnx(rnn_engine.Sequential([Dense(2)]), tmp_path / "m.onnx")
