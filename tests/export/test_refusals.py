"""What cannot be expressed in C is refused by name and reason, before anything is written."""

import os

import numpy as np
import pytest

from rnn_engine import Input, Model, Sequential, activations
from rnn_engine.layers import (
    GRU,
    LSTM,
    Activation,
    Add,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Embedding,
    LayerNormalization,
    Masking,
    PReLU,
    ReLU,
    Rescaling,
    SimpleRNN,
    Softmax,
    TimeDistributed,
)


def odd(x):
    return x * x


class Users(Model):
    """A model that may do anything."""


class Mine(Dense):
    """A layer that may do anything."""


LAYERS = {
    "Bidirectional": (lambda: Bidirectional(LSTM(2), name="it"), "no C code"),
    "Masking": (lambda: Masking(name="it"), "no C code"),
    "own layer": (lambda: Mine(2, name="it"), r"\(Mine\).*no C code"),
    "own activation": (lambda: Dense(2, activation=odd, name="it"), "'odd'"),
    "own in cell": (lambda: SimpleRNN(2, activation=odd, name="it"), "'odd'"),
    "softmax in cell": (lambda: GRU(2, recurrent_activation="softmax", name="it"), "'softmax'"),
    "backwards": (lambda: LSTM(2, go_backwards=True, name="it"), "go_backwards"),
    "same": (lambda: Conv1D(2, 3, padding="same", name="it"), 'not "causal"'),
    "valid": (lambda: Conv1D(2, 3, name="it"), 'not "causal"'),
    "strides": (lambda: Conv1D(2, 1, strides=2, name="it"), "strides"),
    "channels": (lambda: Conv1D(2, 1, data_format="channels_first", name="it"), "channels_first"),
    "threshold": (lambda: ReLU(threshold=0.5, name="it"), "'relu' with"),
    "over time": (lambda: Softmax(axis=1, name="it"), "axis 1"),
    "norm": (lambda: LayerNormalization(axis=[1, 2], name="it"), "axis"),
    "batch norm": (lambda: BatchNormalization(axis=1, name="it"), "axis"),
    "alpha": (lambda: PReLU(name="it"), "step to step"),
    "scale": (lambda: Rescaling(np.ones((5, 1)), name="it"), "step to step"),
    "arguments": (
        lambda: Activation(activations.elu.with_arguments(alpha=0.5), name="it"),
        "'elu' with",
    ),
    "float64": (lambda: Dense(2, dtype="float64", name="it"), "float64"),
    "inside": (lambda: TimeDistributed(Dense(2, activation=odd, name="it")), "'odd'"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name, tmp_path):
    layer, reason = LAYERS[name]
    model = Sequential([Input((5, 3)), Dense(3), layer()])
    with pytest.raises(ValueError, match=f"(?s)Layer 'it' .*{reason}"):
        model.export(tmp_path / "net", format="c")
    assert not list(tmp_path.iterdir())


def refused(model, folder, match, error=ValueError, **options):
    with pytest.raises(error, match=match):
        model.export(folder, **{"format": "c", **options})


def test_a_model(tmp_path):
    x, z = Input((None, 2), name="x"), Input((None, 2), name="z")
    h, it = LSTM(2)(x), LSTM(2, name="it")(x)
    refused(Model([x, z], Add()([x, z])), tmp_path / "net", "2 inputs and 1 outputs")
    refused(Model(x, [x, h]), tmp_path / "net", "1 inputs and 2 outputs")
    refused(Model(x, x + Dense(2)(x)), tmp_path / "net", "operation between tensors")
    refused(Model(x, Add()([h, it])), tmp_path / "net", "'(it|lstm.*)' .*another layer")
    refused(Model(x, Add(name="it")([Dense(1)(x), x])), tmp_path / "net", "'it' .*different")
    refused(Model(x, Add(name="it")([x, h])), tmp_path / "net", "'it' .*joins a sequence")
    refused(Model(x, Mine(1, name="it")(x)), tmp_path / "net", "'it' .*no C code")
    refused(Users(x, Dense(1)(x)), tmp_path / "net", "Only a Sequential")
    refused(Sequential([LSTM(2)]), tmp_path / "net", "not built")
    refused(Sequential([Input((4,)), Dense(2)]), tmp_path / "net", "timesteps")
    refused(Sequential([Input((4,)), Embedding(3, 2)]), tmp_path / "net", "timesteps")
    y, *_ = LSTM(2, return_state=True, name="it")(x)
    refused(Model(x, y), tmp_path / "net", "'it' .*return_state")
    states = [Dense(2)(GRU(3)(x))] * 2
    y = LSTM(2, name="it")(x, initial_state=states)
    refused(Model(x, y), tmp_path / "net", "'it' .*(initial_state|several inputs)")
    assert not list(tmp_path.iterdir())


def test_arguments(tmp_path):
    model = Sequential([Input((None, 2)), Dense(1)])
    refused(model, tmp_path / "net", "format='c'", format="onnx")
    with pytest.raises(ValueError, match="got format='tf_saved_model'"):
        model.export(tmp_path / "net")
    refused(model, tmp_path / "net", "x86-64-v3", cpu="i386")
    for name in ("", "1st", "a-b", "é", 3, "a b"):
        refused(model, tmp_path / "net", "names in C", name=name)
    refused(model, tmp_path / "my-net", "names in C.*'my-net'")
    (tmp_path / "file").write_text("mine")
    refused(model, tmp_path / "file", "no folder", NotADirectoryError)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_without_tools(tmp_path, monkeypatch):
    model = Sequential([Input((None, 2)), Dense(1)])
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    refused(model, tmp_path / "net", "cc, ld, ar, nm, objcopy", RuntimeError)
    monkeypatch.undo()
    monkeypatch.setenv("CC", "no-such-compiler")
    refused(model, tmp_path / "net", "no-such-compiler", RuntimeError)
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_fails_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    model = Sequential([Input((None, 2)), Dense(1)])
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    (folder / "net.h").write_text("old")
    monkeypatch.setenv("CC", "false")
    refused(model, folder, "false .*failed", RuntimeError)
    assert (folder / "net.h").read_text() == "old"
    monkeypatch.undo()
    model.export(folder, format="c")
    assert "net_process" in (folder / "net.h").read_text()
    assert (folder / "mine.txt").read_text() == "mine"
    assert "libnet.so" in os.listdir(folder)


def test_half_types(tmp_path):
    for policy in ("mixed_float16", "mixed_bfloat16"):
        model = Sequential([Input((5, 2)), LSTM(2, dtype=policy, name="it")])
        refused(model, tmp_path / "net", "'it' .*float16")


def test_it_is_for_programs():
    assert "export" in dir(Sequential([Dense(1)]))
