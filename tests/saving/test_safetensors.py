"""`.safetensors`: what the package of that name reads, and costs no more than the weights."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnn_engine
from rnn_engine.saving import load_model
from rnn_engine.saving.archive import size_of
from rnn_engine.saving.budget import Budget
from rnn_engine.saving.safetensors_file import arrays_of
from tests.saving import cases
from tests.saving.cases import assert_same

safetensors = pytest.importorskip("safetensors.numpy")
ROOT = Path(__file__).parents[2]
FIRST = "layers/simple_rnn/cell/vars/0"


@pytest.fixture
def model():
    model = cases.small_model(rnn_engine)
    x, y = cases.data()
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    return model


def rewritten(path, change):
    """Change what a file holds, by the package itself."""
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.offset_keys()}
    change(metadata, arrays)
    safetensors.save_file(arrays, path, metadata)


def test_the_package_reads_it(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    with safetensors.safe_open(tmp_path / "m.safetensors", "np") as file:
        assert json.loads(file.metadata()["config"]) == json.loads(model.to_json())
        np.testing.assert_array_equal(file.get_tensor(FIRST), model.layers[0].kernel.value)
        assert "optimizer/vars/0" in file.keys()  # noqa: SIM118  # it is no dict
    model.save_weights(tmp_path / "w.safetensors")
    with safetensors.safe_open(tmp_path / "w.safetensors", "np") as file:
        assert set(file.metadata()) == {"format", "version", "note"}
    with pytest.raises(ValueError, match=r"w\.safetensors: it holds weights only"):
        load_model(tmp_path / "w.safetensors")


def test_what_the_package_wrote_is_read(model, tmp_path):
    """Other types of numbers too, which are converted to the model's."""
    path = tmp_path / "m.safetensors"
    model.save(path)

    def doubled(metadata, arrays):
        for name in arrays:
            if name.startswith("layers"):
                arrays[name] = (2 * arrays[name]).astype(
                    np.float16 if "dense" in name else np.float64
                )

    rewritten(path, doubled)
    for got, old in zip(load_model(path).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(got, 2 * old, rtol=1e-3)
        assert got.dtype == np.float32


def test_bfloat16(tmp_path):
    values = np.array([[1.5, -2.0], [0.0, 3.0e38]], np.float32)
    halves = (values.view("u4") >> 16).astype("u2").tobytes()
    text = json.dumps({"a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + halves)
    with open(path, "rb") as file:
        _, stored = arrays_of(file, str(path), Budget(size_of(file), str(path)))
        got = stored["a"].read()
    np.testing.assert_array_equal(got, (values.view("u4") & 0xFFFF0000).view("f4"))


CHANGES = {
    "newer": (lambda m, a: m.update(version="2"), "of version 2 .*install a newer rnn_engine"),
    "no version": (lambda m, a: m.pop("version"), "another program"),
    "other format": (lambda m, a: m.update(format="pt"), "another program.*from_torch"),
    "config": (lambda m, a: m.update(config="{"), "damaged config"),
    "missing": (lambda m, a: a.pop(FIRST), r"group 'layers/simple_rnn/cell' has the arrays \[1"),
    "shape": (
        lambda m, a: a.update({FIRST: a[FIRST][:2]}),
        r"has 0 left|shape \(4, 4\) and \(2, 4\)",
    ),
    "more": (lambda m, a: a.update({"layers/x/vars/0": np.ones(2)}), "not in the model"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_wrong_is_told(name, model, tmp_path):
    path = tmp_path / "m.safetensors"
    model.save(path)
    change, text = CHANGES[name]
    rewritten(path, change)
    with pytest.raises(ValueError, match=text) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    before = model.get_weights()
    if name != "config":
        with pytest.raises(ValueError, match=text):
            model.load_weights(path)
    assert_same(model, before)


def test_a_type_that_is_not_known(tmp_path):
    text = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"12")
    with pytest.raises(ValueError, match=r"a in .*a\.safetensors is of type F8_E4M3"):
        load_model(path)


def test_a_file_that_is_replaced_meanwhile(model, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    model.save(path)
    real = safetensors.safe_open

    def replace(*args):
        model.save(path)
        return real(*args)

    import safetensors as package

    monkeypatch.setattr(package, "safe_open", replace)
    with pytest.raises(ValueError, match=r"m\.safetensors was replaced"):
        load_model(path)


def test_without_the_package(model, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (
        lambda: model.save(path),
        lambda: model.save_weights(path),
        lambda: load_model(path),
    ):
        with pytest.raises(ImportError, match=r"pip install 'rnn_engine\[safetensors\]'"):
            call()
    callback = rnn_engine.callbacks.ModelCheckpoint(path)
    with pytest.raises(ImportError, match="safetensors"):
        model.fit(*cases.data(), verbose=0, callbacks=[callback])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


PEAK = """
import resource, sys
import rnn_engine
from rnn_engine.saving import load_model
load_model(sys.argv[1])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
before = peak()
load_model(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_memory(tmp_path):
    """Ten million parameters take what they are, and not the file beside them."""
    layers = rnn_engine.layers
    for name, units in (("small", 4), ("large", 3200)):
        model = rnn_engine.Sequential([layers.Input((units,)), layers.Dense(units)])
        model.save(tmp_path / f"{name}.safetensors")
    command = [
        sys.executable,
        "-c",
        PEAK,
        *(str(tmp_path / f"{n}.safetensors") for n in ("small", "large")),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1.3 * (tmp_path / "large.safetensors").stat().st_size


def test_the_first_version_of_the_format():
    """A file that was written when there was none other keeps loading."""
    path = Path(__file__).parent / "written" / "own-1.safetensors"
    model = load_model(path)
    with np.load(path.with_suffix(".npz")) as expected:
        np.testing.assert_allclose(model(expected["x"]), expected["y"], rtol=1e-6)
    assert int(model.optimizer.iterations) == 1


def test_a_header_whose_length_begins_as_a_zip_archive_does(model, tmp_path):
    """Its first two bytes are PK; what tells is what comes behind them."""
    path = tmp_path / "m.safetensors"
    model.save(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    wanted = int.from_bytes(b"PK\0\0", "little")
    header = content[8 : 8 + length].ljust(wanted)
    path.write_bytes(wanted.to_bytes(8, "little") + header + content[8 + length :])
    assert_same(load_model(path), model)
