"""PyTorch's modules come in and go out with the same outputs."""

import warnings

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.saving import from_torch, to_torch
from tests.saving import torch_cases as cases
from tests.saving.torch_cases import inputs, make, output

torch = pytest.importorskip("torch")
nn = torch.nn


def assert_close(got, wanted):
    """Equal within some units in the last place of the largest number."""
    got = np.asarray(got)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-6 * max(1, np.abs(wanted).max()))


def shape_of(name):
    """What the shape of the input does not show in: steps that Linear and Flatten need."""
    needs = (
        "Linear",
        "LayerNorm",
        "Conv1d and",
        "Flatten",
        "Softmax",
        "LogSoftmax",
        "GLU",
        "PReLU",
    )
    activation = not name.startswith(("RNN", "LSTM", "GRU", "Conv1d", "BatchNorm"))
    return (cases.STEPS, cases.FEATURES) if name.startswith(needs) or activation else None


@pytest.mark.parametrize("name", cases.MODULES)
def test_modules(name):
    module = make(name)
    x = inputs(name)
    wanted = output(module, x)
    model = from_torch(module, input_shape=shape_of(name))
    assert_close(model(x), wanted)
    assert_close(model.predict(x, verbose=0), wanted)
    back = to_torch(model)
    assert_close(output(back, x), wanted)
    assert_close(from_torch(back, input_shape=shape_of(name))(x), wanted)
    arrays = to_torch(model, state_dict=True)
    assert {k: v.shape for k, v in arrays.items()} == {
        k: tuple(v.shape) for k, v in back.state_dict().items()
    }


@pytest.mark.parametrize("name", ["RNN", "LSTM deep", "GRU both ways", "Linear", "Conv1d padded"])
def test_float64(name):
    module = make(name).double()
    x = inputs(name).astype(np.float64)
    model = from_torch(module, input_shape=shape_of(name))
    np.testing.assert_allclose(model(x), output(module, x), rtol=1e-13, atol=1e-13)
    assert to_torch(model)[0].weight_ih_l0.dtype == torch.float64 if name == "RNN" else True


@pytest.mark.parametrize("name", cases.ROWS)
def test_state_dicts(name, tmp_path):
    module = make(name)
    x = inputs(name)
    wanted = output(module, x)
    state = module.state_dict()
    for source in (state, {k: v.numpy() for k, v in state.items()}):
        assert_close(from_torch(source)(x), wanted)
    half = from_torch({k: v.to(torch.bfloat16) for k, v in state.items()})
    np.testing.assert_allclose(half(x), wanted, atol=0.1)
    for kind in (torch.bfloat16, torch.float16, torch.float64):
        torch.save(module.to(kind).state_dict(), tmp_path / "m.pt")
        again = from_torch(tmp_path / "m.pt")
        rounded = module.to(torch.float64)
        x64 = x if x.dtype.kind == "i" else x.astype(np.float64)
        np.testing.assert_allclose(again(x), output(rounded, x64), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="forward is a program.*modules"):
        from_torch(module)


def test_modules_with_a_forward_of_their_own():
    """What runs is said, the settings are those of the modules in it."""
    module = make("tagger")
    module.norm.eps = 0.5
    x = inputs("tagger")
    names = [name for name, _ in module.named_children()]
    model = from_torch(module, {name: {} for name in names})
    assert_close(model(x), output(module, x))
    assert model.get_layer("norm").epsilon == 0.5
    shorter = from_torch(
        module, {"emb": {}, "rnn": "GRU", "act": "Tanh", "norm": None, "head": None}
    )
    with torch.no_grad():
        wanted = torch.tanh(module.rnn(module.emb(torch.from_numpy(x)))[0]).numpy()
    assert_close(shorter(x), wanted)
    for modules, text in (
        ({"emb": {}, "rnn": {}}, r"arrays of \['norm.weight'.*does not name"),
        ({"emb": {}, "rnn": "LSTM", "norm": {}, "head": {}}, "'LSTM'; the module has a GRU"),
        ({"emb": {"kind": "Embedding", "max_norm": 1.0}}, "its own settings"),
        ({"lost": {}}, "names 'lost'"),
        (["emb"], "modules must be a dict, got list"),
    ):
        with pytest.raises(ValueError, match=text):
            from_torch(module, modules)


@pytest.mark.parametrize("ways", [1, 2])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_last_states(kind, ways):
    """return_sequences=False is h_n, both directions side by side."""
    torch.manual_seed(1)
    module = getattr(nn, kind)(4, 3, 2, bidirectional=ways == 2, batch_first=True)
    x = inputs("x")
    out, state = module(torch.from_numpy(x))
    last = (state[0] if kind == "LSTM" else state).detach()
    wanted = torch.cat(tuple(last[-ways:]), -1).numpy()
    model = from_torch(module, return_sequences=False)
    assert_close(model(x), wanted)
    if ways == 1:
        assert_close(model(x), out[:, -1].detach().numpy())
    back = to_torch(model)
    assert_close(output(back, x), wanted)
    assert_close(from_torch(back)(x), wanted), "what goes on is kept"
    assert_close(from_torch(back, return_sequences=True)(x), out.detach().numpy())


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells(kind, bias):
    """A cell becomes the layer that runs it over the steps."""
    torch.manual_seed(2)
    options = {"nonlinearity": "relu"} if kind == "RNNCell" else {}
    cell = getattr(nn, kind)(4, 3, bias=bias, **options)
    x = inputs("x")
    state, outputs = None, []
    for t in range(cases.STEPS):
        state = cell(torch.from_numpy(x[:, t]), state)
        outputs.append((state[0] if isinstance(state, tuple) else state).detach().numpy())
    wanted = np.stack(outputs, 1)
    assert_close(from_torch(cell)(x), wanted)
    nonlinearity = options.get("nonlinearity", "tanh")
    from_state = from_torch(cell.state_dict(), nonlinearity=nonlinearity, return_sequences=False)
    assert_close(from_state(x), wanted[:, -1])
    assert_close(output(to_torch(from_state), x), wanted[:, -1])


def test_batch_first_says_nothing_of_the_weights():
    module = nn.LSTM(4, 3)
    x = inputs("x")
    wanted = module(torch.from_numpy(x).transpose(0, 1))[0].transpose(0, 1).detach().numpy()
    assert_close(from_torch(module)(x), wanted)


def test_channels_last_between_convolutions_and_recurrent_modules():
    torch.manual_seed(3)
    conv, norm, gru = (
        nn.Conv1d(4, 5, 3, padding=1),
        nn.BatchNorm1d(5),
        nn.GRU(5, 3, batch_first=True),
    )
    whole = nn.ModuleDict({"conv": conv, "norm": norm, "gru": gru}).eval()
    norm.running_mean.uniform_()
    x = inputs("x")
    with torch.no_grad():
        y = norm(conv(torch.from_numpy(x).transpose(1, 2))).transpose(1, 2)
        wanted = gru(y)[0].numpy()
    modules = {"conv": {"kind": "Conv1d", "padding": 1}, "norm": {}, "gru": {}}
    model = from_torch(whole.state_dict(), modules, data_format="channels_last")
    assert_close(model(x), wanted)
    back = to_torch(model)
    assert_close(output(back, x), wanted)
    assert_close(from_torch(back)(x), wanted)


def test_dropout_between_layers_only_in_training():
    model = from_torch(nn.LSTM(4, 3, 3, dropout=0.25, batch_first=True))
    assert [type(layer).__name__ for layer in model.layers] == [
        "LSTM", "Dropout", "LSTM", "Dropout", "LSTM",
    ]  # fmt: skip
    assert model.layers[1].rate == 0.25


KERAS_MODELS = {
    "cells": lambda: [
        layers.Input((None, 4)), layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]),
        layers.Dense(2, "gelu"),
    ],
    "both ways": lambda: [
        layers.Input((None, 4)), layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(5, "elu")), layers.Dense(4, "leaky_relu"),
        layers.Bidirectional(layers.SimpleRNN(2, "relu", use_bias=False)),
    ],
    "convolutions": lambda: [
        layers.Input((6, 4)), layers.Conv1D(5, 3, padding="causal", dilation_rate=2),
        layers.BatchNormalization(center=False), layers.PReLU(shared_axes=[1]),
        layers.SpatialDropout1D(0.5), layers.Conv1D(4, 2, padding="same", activation="relu"),
        layers.Flatten(), layers.LayerNormalization(scale=False), layers.Dense(3, "softmax"),
    ],
    "activations": lambda: [
        layers.Input((4,)), layers.Dense(3), layers.ReLU(6), layers.ReLU(), layers.Dense(3),
        layers.ReLU(negative_slope=0.25), layers.LeakyReLU(0.5), layers.ELU(0.5),
        layers.Softmax(), layers.Activation("log_softmax"), layers.Dropout(0.5),
        layers.Dense(4), layers.PReLU(), layers.BatchNormalization(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", KERAS_MODELS)
@pytest.mark.parametrize("functional", [False, True])
def test_models(name, functional):
    model = rnn_engine.Sequential(KERAS_MODELS[name]())
    if functional:
        x = inner = layers.Input(model.input_shape[1:])
        for layer in model.layers:
            x = layer(x)
        model = rnn_engine.Model(inner, x)
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.uniform(0.1, 0.9, w.shape) - 0.3 * (w.ndim > 1) for w in model.get_weights()]
    )
    x = rng.normal(size=(3, *(n or 6 for n in model.input_shape[1:]))).astype(np.float32)
    module = to_torch(model)
    assert not module.training
    assert_close(output(module, x), np.asarray(model(x)))
    assert_close(from_torch(module, input_shape=model.input_shape[1:])(x), np.asarray(model(x)))


def test_a_module_goes_through_files_of_torch(tmp_path):
    """It is saved by torch.save, whole and as weights, and loads into modules of these names."""
    model = rnn_engine.Sequential([layers.Input((None, 4)), layers.LSTM(3, name="a"),
                                   layers.Dense(2, name="b")])  # fmt: skip
    module = to_torch(model)
    torch.save(module, tmp_path / "whole.pt")
    again = torch.load(tmp_path / "whole.pt", weights_only=False)
    x = inputs("x")
    assert_close(output(again, x), np.asarray(model(x)))
    torch.save({"epoch": 3, "model": module.state_dict(), "rates": [0.5]}, tmp_path / "w.pt")
    assert_close(from_torch(tmp_path / "w.pt", return_sequences=False)(x), np.asarray(model(x)))
    with pytest.raises(ValueError, match=r"whole\.pt holds the name '.*Chain'"):
        from_torch(tmp_path / "whole.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch has newer ways, too
        torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "script.pt")
    with pytest.raises(ValueError, match=r"script\.pt"):
        from_torch(tmp_path / "script.pt")
    torch.save(module.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"old\.pt.*save it anew"):
        from_torch(tmp_path / "old.pt")


REFUSED = {
    "proj_size": (lambda: nn.LSTM(4, 3, proj_size=2), "proj_size=2"),
    "max_norm": (lambda: nn.Embedding(4, 3, max_norm=1.0), "max_norm=1.0"),
    "padding_mode": (lambda: nn.Conv1d(4, 3, 3, padding=1, padding_mode="circular"), "circular"),
    "statistics": (lambda: nn.BatchNorm1d(4, track_running_stats=False), "no running_mean"),
    "momentum": (lambda: nn.BatchNorm1d(4, momentum=None), "momentum=None"),
    "axes": (lambda: nn.LayerNorm((4, 3)), r"normalizes the axes \(4, 3\)"),
    "settings": (lambda: nn.Sequential(nn.Linear(4, 3), nn.CELU(0.5)), "'alpha': 0.5"),
    "dim": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Softmax()), "says no dim"),
    "unknown": (lambda: nn.Sequential(nn.Linear(4, 3), nn.MaxPool1d(2)), "'1' of class MaxPool1d"),
    "value": (lambda: nn.Sequential(nn.ConstantPad1d(1, 0.5), nn.Conv1d(4, 3, 2)), "pads with 0.5"),
    "sizes": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(2, 3)), "gives 3 .* takes 2"),
    "no sizes": (lambda: nn.Sequential(nn.ReLU()), "pass input_shape"),
    "weights of their own": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), "parametrized weights"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_modules_that_are_not_to_be_had(name):
    make_module, text = REFUSED[name]
    with pytest.raises(ValueError, match=text):
        from_torch(make_module())


def test_a_forward_of_ones_own_is_not_guessed():
    class Own(nn.Linear):
        def forward(self, x):
            return super().forward(x) + 1

    with pytest.raises(ValueError, match="Own, whose forward is a program"):
        from_torch(nn.Sequential(Own(4, 3)))

    class Renamed(nn.Linear):
        pass

    assert_close(from_torch(module := Renamed(4, 3))(inputs("x")[:, 0]),
                 output(module, inputs("x")[:, 0]))  # fmt: skip


def test_what_runs_beside_a_module_s_class_is_refused():
    hooked = nn.Linear(3, 2)
    hooked.register_forward_hook(lambda module, x, y: 2 * y)
    prune = pytest.importorskip("torch.nn.utils.prune")
    pruned = prune.l1_unstructured(nn.Linear(3, 2), "weight", 2)
    bound = nn.Linear(3, 2)
    bound.forward = lambda x: x
    normed = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    outer = nn.Sequential(nn.Linear(3, 2))
    outer.register_forward_pre_hook(lambda module, x: x)
    for module, told in (
        (hooked, "has hooks"), (pruned, "has hooks"), (bound, "`forward` of its own"),
        (normed, "parametrized weights"), (outer, "has hooks"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=told):
            from_torch(module)
    prune.remove(pruned, "weight")
    assert from_torch(pruned).count_params() == 8
