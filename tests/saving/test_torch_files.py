"""What PyTorch wrote is read without PyTorch, and what it is shows in names and shapes."""

import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.saving import from_torch, load_model, to_torch
from rnn_engine.saving.pytorch.to_parts import parts_of_model
from tests.saving.torch_cases import FOLDER, GOLDENS, inputs

OUTPUTS = np.load(FOLDER / "outputs.npz")
ROOT = Path(__file__).parents[2]
OPTIONS = {
    "RNN relu": {"nonlinearity": "relu"},
    "Flatten": {
        "modules": {"0": {}, "1": "Flatten", "2": {}, "3": {}, "4": {"kind": "Softmax", "dim": 1}},
        "input_shape": (6, 4),
    },
}


def assert_close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-6 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens(name):
    """The numbers are PyTorch's, from its own file, and go out as they came in."""
    path = FOLDER / f"{name.replace(' ', '_')}.pt"
    model = from_torch(path, **OPTIONS.get(name, {}))
    x = inputs(name)
    assert_close(model(x), OUTPUTS[name])
    if name != "Flatten":
        again = from_torch(to_torch(model, state_dict=True), nonlinearity=OPTIONS.get(name, {}).get(
            "nonlinearity", "tanh"))  # fmt: skip
        assert_close(again(x), OUTPUTS[name])


def test_goldens_of_safetensors():
    """The order of the modules is not in the file; their sizes tell it."""
    pytest.importorskip("safetensors")
    assert_close(from_torch(FOLDER / "tagger.safetensors")(inputs("tagger")), OUTPUTS["tagger"])
    with pytest.raises(ValueError, match="another program.*from_torch"):
        load_model(FOLDER / "tagger.safetensors")
    with pytest.raises(ValueError, match=r"tagger\.pt is read by saving\.from_torch"):
        load_model(FOLDER / "tagger.pt")


def test_torch_is_not_imported():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from rnn_engine.saving import from_torch, to_torch\n"
        f"model = from_torch({str(FOLDER / 'tagger.pt')!r})\n"
        "print(len(to_torch(model, state_dict=True)))\n"
        "try: to_torch(model)\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("13\n"), done.stdout
    assert "pip install torch" in done.stdout


# --- what modules are ------------------------------------------------------------------


def arrays(**shapes):
    rng = np.random.default_rng(0)
    return {name.replace("__", "."): rng.normal(size=shape) for name, shape in shapes.items()}


LSTM = {"rnn__weight_ih_l0": (8, 3), "rnn__weight_hh_l0": (8, 2)}


def kinds(source, **options):
    return [type(layer).__name__ for layer in from_torch(source, **options).layers]


def test_kinds_show_in_shapes():
    for gates, kind in ((1, "SimpleRNN"), (3, "GRU"), (4, "LSTM")):
        cell = arrays(weight_ih_l0=(2 * gates, 3), weight_hh_l0=(2 * gates, 2))
        assert kinds(cell) == [kind]
        assert kinds(arrays(a__weight_ih=(2 * gates, 3), a__weight_hh=(2 * gates, 2))) == ["RNN"]
    chain = arrays(e__weight=(9, 3), **LSTM, norm__weight=2, norm__bias=2, out__weight=(5, 2))
    assert kinds(chain) == ["Embedding", "LSTM", "LayerNormalization", "Dense"]
    assert kinds(arrays(a__weight=(3, 9), **LSTM)) == ["Dense", "LSTM"]
    assert kinds(arrays(emb__weight=(3, 3), **LSTM)) == ["Embedding", "LSTM"]
    three = {"e": {}, "rnn": {}, "out": {}}
    assert kinds(chain, modules={**three, "norm": None}) == ["Embedding", "LSTM", "Dense"]
    assert kinds(arrays(a__weight=(4, 3, 2), b__weight=4, b__bias=4, b__running_mean=4,
                        b__running_var=4), data_format="channels_last") == [
        "Conv1D", "BatchNormalization"]  # fmt: skip


def test_modules_say_what_runs():
    state = arrays(**LSTM, aux__weight=(7, 2), head__weight=(5, 2), head__bias=5)
    model = from_torch(state, {"rnn": {}, "act": "ReLU", "drop": {"kind": "Dropout", "p": 0.25},
                               "head": "Linear", "aux": None})  # fmt: skip
    assert [layer.name for layer in model.layers] == ["rnn", "act", "drop", "head"]
    assert model.layers[2].rate == 0.25
    assert model.layers[0].return_sequences
    x = np.random.default_rng(1).normal(size=(2, 4, 3))
    wanted = (
        np.maximum(from_torch(arrays(**LSTM))(x), 0) @ state["head.weight"].T + state["head.bias"]
    )
    np.testing.assert_allclose(model(x), wanted, rtol=1e-12)


WRONG = {
    "not there": ({"rnn": {}, "lost": {}}, {}, "names 'lost'"),
    "left over": ({}, {}, r"arrays of \['rnn'\], which modules does not name"),
    "unknown": ({"rnn": "Transformer"}, {}, "name of a class of torch.nn.*'Transformer'"),
    "number": ({"rnn": 3}, {}, "got 3"),
    "setting": ({"rnn": {"kind": "LSTM", "units": 3}}, {}, r"settings \['units'\]"),
    "rows": ({"rnn": "GRU"}, {}, r"weight_ih_l0 must have shape \(6, 3\), got \(8, 3\)"),
    "way": ({"rnn": {"bidirectional": True}}, {}, None),
    "bias": ({"rnn": {}}, {"rnn__bias_ih_l0": 8}, "must have the arrays.*bias_hh_l0"),
    "layer": ({"rnn": {}}, {"rnn__weight_ih_l2": (8, 2)}, "must have the arrays.*weight_hh_l1"),
    "projection": ({"rnn": {}}, {"rnn__weight_hr_l0": (1, 2)}, "proj_size=1"),
    "unknown array": ({"rnn": {}}, {"rnn__alpha": 3}, "alpha"),
    "type": ({"rnn": {}, "drop": {"kind": "Dropout", "p": "x"}}, {}, "'drop'|could not convert"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_modules_that_do_not_fit(case):
    modules, more, text = WRONG[case]
    if text is None:
        assert kinds(arrays(**LSTM), modules=modules) == ["LSTM"], "the names of arrays tell"
        return
    with pytest.raises(ValueError, match=text):
        from_torch(arrays(**LSTM, **more), modules)


def test_what_cannot_be_told(tmp_path):
    with pytest.raises(ValueError, match="'a' .*cannot be told"):
        from_torch(arrays(a__weight=3))
    with pytest.raises(ValueError, match="Linear or an Embedding"):
        from_torch(arrays(a__weight=(3, 3), **LSTM))
    with pytest.raises(ValueError, match="gives 2 features.*takes 4"):
        from_torch(arrays(**LSTM, head__weight=(1, 4), head__bias=1))
    with pytest.raises(ValueError, match=r"must be a state_dict.*got \['a', 'b'\]"):
        from_torch({"a": {"x": np.zeros(2)}, "b": {"x": np.zeros(2)}})
    with pytest.raises(ValueError, match="nonlinearity"):
        from_torch(arrays(**LSTM), nonlinearity="gelu")
    with pytest.raises(ValueError, match="data_format"):
        from_torch(arrays(**LSTM), data_format="NCL")
    with pytest.raises(ValueError, match="no recurrent module"):
        from_torch(arrays(a__weight=(3, 4), a__bias=3), return_sequences=False)
    with pytest.raises(ValueError, match="Module, a state_dict or the name of a file, got int"):
        from_torch(3)
    with pytest.raises(ValueError, match="array of numbers"):
        from_torch({"a.weight": np.array([["x"]]), "a.bias": np.zeros(1)})
    with pytest.raises(FileNotFoundError):
        from_torch("nowhere.pt")
    safetensors = pytest.importorskip("safetensors.numpy")
    square = arrays(a__weight=(3, 3), a__bias=3, b__weight=(3, 3), b__bias=3)
    path = tmp_path / "square.safetensors"
    safetensors.save_file(square, path)
    with pytest.raises(ValueError, match=r"square\.safetensors.*several orders.*modules"):
        from_torch(path)
    assert kinds(path, modules={"b": {}, "a": {}}) == ["Dense", "Dense"]
    renamed = {k.replace("a.", "10.").replace("b.", "9."): v for k, v in square.items()}
    safetensors.save_file(renamed, path)
    assert [layer.name for layer in from_torch(path).layers] == ["linear_9", "linear_10"]


# --- layers that PyTorch does not have ---------------------------------------------------

REFUSED = {
    "GRU before": ([layers.GRU(2, reset_after=False)], "reset_after=False"),
    "activation": ([layers.SimpleRNN(2, "sigmoid")], "torch.nn.RNN has tanh and relu"),
    "gates": ([layers.LSTM(2, recurrent_activation="hard_sigmoid")], "'hard_sigmoid'"),
    "backwards": ([layers.LSTM(2, go_backwards=True)], "go_backwards=True"),
    "dropout": ([layers.LSTM(2, recurrent_dropout=0.5)], "recurrent_dropout=0.5"),
    "sum": ([layers.Bidirectional(layers.LSTM(2), merge_mode="sum")], "merge_mode='sum'"),
    "two kinds": (
        [layers.Bidirectional(layers.LSTM(2), backward_layer=layers.GRU(2, go_backwards=True))],
        "different kinds",
    ),
    "mask": ([layers.Masking(), layers.LSTM(2)], "'masking.*there is none"),
    "noise": ([layers.GaussianNoise(0.5)], "there is none"),
    "axis": ([layers.LayerNormalization(axis=1)], r"axes \[1\]"),
    "activation of dense": ([layers.Dense(2, "exponential")], "'exponential'"),
    "same with strides": ([layers.Conv1D(2, 3, strides=2, padding="same")], "'same' with strides"),
    "relu": ([layers.ReLU(max_value=3)], "max_value"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_layers_that_torch_does_not_have(name):
    inner, text = REFUSED[name]
    model = rnn_engine.Sequential([layers.Input((4, 3)), *inner])
    for state_dict in (True, False):
        with pytest.raises(ValueError, match=text):
            to_torch(model, state_dict=state_dict)


def test_models_that_torch_does_not_have():
    x = layers.Input((3,))
    y = layers.Dense(3)(x)
    branches = rnn_engine.Model(x, layers.Add()([x, y]))
    for model, text in (
        (branches, "branches"),
        (rnn_engine.Model(x, [y, layers.Dense(2)(y)]), "branches"),
        (rnn_engine.Sequential([layers.Dense(2)]), "has been built"),
        (
            rnn_engine.Sequential([layers.Input((4,)), layers.Embedding(3, 2, mask_zero=True)]),
            "mask_zero",
        ),
        (
            rnn_engine.Sequential([layers.Input((4,)), layers.Dense(2, dtype="mixed_float16")]),
            "mixed",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            to_torch(model, state_dict=True)


# --- files that would do harm --------------------------------------------------------------


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def number(value):
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(shape=(4, 4), strides=(4, 1), offset=0, count=16, kind=b"FloatStorage", key=b"0"):
    """Return the instructions that make a tensor, as torch.save writes them."""
    storage = b"(" + text(b"storage") + b"ctorch\n" + kind + b"\n" + text(key) + text(b"cpu")
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(count) + b"tQ" + number(offset)
        + numbers(shape) + numbers(strides) + b"\x89)tR"
    )  # fmt: skip


def state(value):
    return b"\x80\x02}" + text(b"a.weight") + value + b"s}" + text(b"x") + b"K\x01sb."


def torch_file(path, program, content=bytes(range(64))):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", program)
        archive.writestr("m/byteorder", b"little")
        archive.writestr("m/data/0", content)
    return path


def test_tensors_are_parts_of_storages(tmp_path):
    """Any strides within a storage, also big-endian and transposed ones."""
    values = np.arange(16, dtype="<f4")
    for shape, strides, offset in (((4, 4), (4, 1), 0), ((3, 2), (1, 3), 2), ((2, 8), (8, 1), 0)):
        program = state(tensor(shape, strides, offset))
        path = torch_file(tmp_path / "a.pt", program, values.tobytes())
        wanted = np.lib.stride_tricks.as_strided(values[offset:], shape, [4 * s for s in strides])
        layer = from_torch(path, {"a": "Linear"}).layers[0]
        np.testing.assert_array_equal(layer.kernel, wanted.T)
    program = state(tensor(count=8, shape=(2, 4), kind=b"DoubleStorage"))
    halves = np.arange(8.0).tobytes()
    kernel = from_torch(
        torch_file(tmp_path / "a.pt", program, halves), {"a": "Linear"}
    ).get_weights()[0]
    np.testing.assert_array_equal(kernel, np.arange(8.0).reshape(2, 4).T)
    assert kernel.dtype == np.float64


def test_what_checkpoints_hold_beside_weights(tmp_path):
    """Sizes, devices and types, as torch.save writes them."""
    others = (
        text(b"size") + b"ctorch\nSize\n" + numbers((4, 4)) + b"\x85Rs"
        + text(b"device") + b"ctorch\ndevice\n" + text(b"cuda") + b"K\x00\x86Rs"
        + text(b"dtype") + b"ctorch\nfloat32\ns"
    )  # fmt: skip
    weights = b"}" + text(b"a.weight") + tensor() + b"s"
    program = b"\x80\x02}" + others + text(b"model") + weights + b"s."
    path = torch_file(tmp_path / "a.pt", program, np.arange(16, dtype="<f4").tobytes())
    kernel = from_torch(path, {"a": "Linear"}).get_weights()[0]
    np.testing.assert_array_equal(kernel, np.arange(16.0).reshape(4, 4).T)


HARMFUL = {
    "global": b"\x80\x02cos\nsystem\n" + text(b"touch harm") + b"\x85R.",
    "eval": b"\x80\x02cbuiltins\neval\n" + text(b"open('harm', 'w')") + b"\x85R.",
    "stack global": b"\x80\x04" + text(b"os") + text(b"system") + b"\x93" + text(b"x") + b"\x85R.",
    "torch's own": b"\x80\x02ctorch\nload\n" + text(b"x") + b"\x85R.",
    "inst": b"(" + text(b"touch harm") + b"ios\nsystem\n.",
    "obj": b"(cos\nsystem\n" + text(b"touch harm") + b"o.",
    "new": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "extension": b"\x80\x02\x82\x01.",
    "named twice": b"\x80\x02ccollections\nOrderedDict\nccollections\nOrderedDict\n\x85R.",
    "dict of pairs": b"\x80\x02ccollections\nOrderedDict\n]\x85R.",
    "state of a name": b"\x80\x02ccollections\nOrderedDict\n}b.",
    "class as tensor": state(b"ctorch._utils\n_rebuild_tensor_v2\n"),
    "parameter of none": state(b"ctorch._utils\n_rebuild_parameter\n(NN)tR"),
    "storage of another kind": state(tensor(kind=b"nn.Module")),
    "storage elsewhere": state(tensor(key=b"../../../etc/passwd")),
    "storage of a function": state(tensor(kind=b"OrderedDict")),
    "list as key": b"\x80\x02}]K\x01s.",
    "protocol 0": b"cos\nsystem\n(S'touch harm'\ntR.",
    "too short": state(tensor(count=17)),
    "beyond": state(tensor(offset=1)),
    "before": state(tensor(offset=-1)),
    "negative": state(tensor(shape=(-4, -4))),
    "backwards": state(tensor(strides=(-4, -1), offset=15)),
    "expanded": state(tensor(shape=(1 << 20, 1 << 20), strides=(0, 0))),
    "large": state(tensor(shape=(1 << 62, 1 << 62), strides=(1, 1))),
    "larger": state(tensor(shape=(1 << 2000,) * 3, strides=(1, 1, 1))),
    "axes": state(tensor(shape=(1,) * 100, strides=(1,) * 100)),
    "lost": state(tensor(shape=(2, 2, 2), strides=(1, 1))),
    "no end": state(tensor())[:-1],
    "no tensor": b"\x80\x02K\x05.",
    "nothing": b"",
    "empty stack": b"\x80\x02tR.",
    "far memo": b"\x80\x02}r\xff\xff\xff\x7fh\x05.",
    "long text": b"\x80\x02\x8d" + struct.pack("<Q", 1 << 60) + b"x.",
    "deep": b"\x80\x02)" + b"\x85" * 200_000 + b".",
    "laughs": b"\x80\x02)" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(90)) + b"Q.",
    "laughs as shape": state(
        b"ctorch._utils\n_rebuild_tensor_v2\n(N" + number(0) + b")"
        + b"".join(b"q%ch%c\x86" % (i, i) for i in range(90)) + b"h\x50\x89)tR"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_programs_that_are_not_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = torch_file(tmp_path / "evil.pt", HARMFUL[name])
    asked = []

    def watch(event, arguments):
        if watching and event in ("exec", "import", "os.system", "subprocess.Popen", "compile"):
            asked.append((event, arguments[:1]))

    watching = False
    sys.addaudithook(watch)
    watching = True
    with pytest.raises(ValueError, match=r"evil\.pt"):
        from_torch(path, {"a": "Linear"})
    watching = False
    assert asked == []
    assert os.listdir(tmp_path) == ["evil.pt"]


def test_archives_that_are_none(tmp_path):
    path = torch_file(tmp_path / "a.pt", state(tensor()))
    content = bytearray(path.read_bytes())
    content[content.find(bytes(range(64)))] ^= 1
    (tmp_path / "b.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.pt.*checksum"):
        from_torch(tmp_path / "b.pt", {"a": "Linear"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("n/data.pkl", state(tensor()))
    with pytest.raises(ValueError, match=r"a\.pt has 2 members data\.pkl"):
        from_torch(path)
    (tmp_path / "c.pt").write_bytes(pickle.dumps({"a": 1}, 2))
    with pytest.raises(ValueError, match=r"c\.pt is neither.*is a pickle, which is not read"):
        from_torch(tmp_path / "c.pt")


def test_the_momentum_of_a_running_mean_is_what_the_other_one_keeps():
    state = {name: np.ones(3) for name in ("weight", "bias", "running_mean", "running_var")}
    told = {"bn": {"kind": "BatchNorm1d", "momentum": 0.3}}
    named = {f"bn.{name}": array for name, array in state.items()}
    model = from_torch(named, told, input_shape=(3,))
    np.testing.assert_allclose(model.layers[-1].momentum, 0.7)
    (part,) = parts_of_model(model)
    np.testing.assert_allclose(part["momentum"], 0.3)
