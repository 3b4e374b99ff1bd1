"""HDF5 read by pyfive: what h5py reads, to the bit, and no more than the file is worth."""

import io
import itertools
import random
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import rnn_engine
from rnn_engine.saving import hdf5, keras_h5, load_model, pure_hdf5
from rnn_engine.saving.budget import Budget
from tests.saving import cases, fuzz

pytest.importorskip("pyfive")
if pure_hdf5.pyfive() is None:
    pytest.skip("a version of pyfive that is not used", allow_module_level=True)

WRITTEN = Path(__file__).parent / "written"
FILES = sorted(p for p in WRITTEN.rglob("*") if p.suffix in (".h5", ".keras"))
TEXTS = ("layer_names", "weight_names", "model_config", "training_config", "rnn_engine", "name")


def hdf5_of(path):
    """Return the HDF5 in a file."""
    content = path.read_bytes()
    if content.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            content = archive.read("model.weights.h5")
    return content


def pure(content):
    return pure_hdf5.PureHdf5(io.BytesIO(content), Budget(len(content), "a.h5"))


def everything(file):
    """Return all objects, arrays and texts of a file."""
    arrays = {name: file.array(name) for name in file.names if file.is_array(name)}
    texts = {
        (group, name): file.text(group, name)
        for group in ("", *(name for name in file.names if name not in arrays))
        for name in TEXTS
    }
    return set(file.names), {name: stored.read() for name, stored in arrays.items()}, texts


def assert_alike(content):
    with h5py.File(io.BytesIO(content)) as h5:
        names, arrays, texts = everything(hdf5.Hdf5(h5, Budget(len(content), "a.h5")))
    found = everything(pure(content))
    assert found[0] == names
    assert found[2] == texts
    assert found[1].keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[1][name].dtype == array.dtype
        np.testing.assert_array_equal(found[1][name], array)
    return arrays


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_every_version(path):
    assert assert_alike(hdf5_of(path))


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_ways_to_store(libver):
    """Packed, in pieces, cut at the edges, in place, in other machines' order, long attributes."""
    file = io.BytesIO()
    values = np.random.default_rng(0).normal(size=(37, 11)).astype("f4")
    with h5py.File(file, "w", libver=libver) as h5:
        h5["plain"], h5["number"], h5["none"] = values, np.float64(3), np.zeros((0, 3))
        h5["swapped"] = values.astype(">f8")
        h5.attrs["model_config"] = "é" * 20_000
        h5.attrs["layer_names"] = np.array([b"a", b"bc"])
        h5.create_group("g").attrs["weight_names"] = ["x", "y/z"]
        if libver == "earliest":
            for i, (level, shuffle, check) in enumerate(
                itertools.product((None, 4), (False, True), (False, True))
            ):
                h5.create_dataset(
                    f"packed{i}", data=values, chunks=(8, 4), compression=level,
                    shuffle=shuffle, fletcher32=check,
                )  # fmt: skip
    arrays = assert_alike(file.getvalue())
    assert len(arrays) == (12 if libver == "earliest" else 4)


def test_models_without_h5py(tmp_path, monkeypatch):
    model = cases.small_model(rnn_engine)
    model.fit(*cases.data(), verbose=0)
    for ending in (".keras", ".h5", ".weights.h5"):
        (model.save_weights if ".weights" in ending else model.save)(tmp_path / f"m{ending}")
    monkeypatch.setitem(sys.modules, "h5py", None)
    for ending in (".keras", ".h5"):
        again = load_model(tmp_path / f"m{ending}", verify=True)
        cases.assert_same(again, model)
        cases.assert_same(again.optimizer.variables, model.optimizer.variables)
    again.set_weights([value + 1 for value in again.get_weights()])
    again.load_weights(tmp_path / "m.weights.h5")
    cases.assert_same(again, model)


def refused(content, path):
    """Load what is damaged; return the error and the memory that it took."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=path.name) as error:
            load_model(path)
        return str(error.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def whole(tmp_path, **attributes):
    model = cases.small_model(rnn_engine)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as h5:
        for name, value in attributes.items():
            h5.attrs[name] = value
    return (tmp_path / "m.h5").read_bytes()


def test_counts_of_an_attribute(tmp_path):
    """A count of texts that the file does not hold takes no memory."""
    content = whole(tmp_path, layer_names=["one", "two", "three"] * 11)
    count = (33).to_bytes(8, "little")
    assert content.count(count)
    damaged = content.replace(count, (1 << 40).to_bytes(8, "little"))
    told, memory = refused(damaged, tmp_path / "x.h5")
    assert f"{1 << 40} entries" in told
    assert memory < 1 << 26


def test_headers_that_lead_in_a_circle():
    """A continuation that is its own is read as often as the file is worth."""
    guard = pure_hdf5.Guard(io.BytesIO(bytes(1000)), "a.h5")

    def go_round():
        while True:
            guard.seek(0)
            guard.read(16)

    with pytest.raises(ValueError, match=r"a\.h5 is damaged: its headers lead in a circle"):
        go_round()
    with pytest.raises(ValueError, match=r"a\.h5 is damaged: a header is of 4000 bytes"):
        guard.read(4000)
    with pytest.raises(ValueError, match=r"a\.h5 is damaged: it points to byte 1001"):
        guard.seek(1001)


def test_links_and_numbers_elsewhere(tmp_path):
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5["layers/dense/vars/0"] = np.ones(3)
        h5["layers/dense/soft"] = h5py.SoftLink("/layers/dense/vars/0")
        h5["layers/circle"] = h5["layers"]
        h5.create_dataset("outside", (4,), "f4", external=[(str(tmp_path / "x"), 0, 16)])
        virtual = h5py.VirtualLayout((3,), "f8")
        virtual[:] = h5py.VirtualSource(".", "layers/dense/vars/0", (3,))
        h5.create_virtual_dataset("virtual", virtual)
        h5.create_dataset("unwritten", (1 << 20,), "f4", chunks=(1 << 10,))
    found = pure(file.getvalue())
    assert list(keras_h5.arrays_of(found)) == ["layers/dense"]
    for name, text in {
        "layers/dense/soft": "is a link",
        "layers/circle/dense/vars/0": "is a link",
        "outside": "lies in another file",
        "virtual": "",
        "unwritten": "stored in 0",
    }.items():
        with pytest.raises(ValueError, match=rf"{name} in a\.h5.*{text}"):
            found.array(name)


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    return fuzz.Fuzzer(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("reader", ["pyfive", "h5py"])
@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
def test_damaged_files(ending, reader, fuzzer, monkeypatch):
    """By either reader; the last bytes asked for memory, and had no name."""
    if reader == "h5py":
        monkeypatch.setattr(pure_hdf5, "pyfive", lambda: None)
    wrong = {seed: fuzzer.run(ending, seed) for seed in range(60)}
    (rng := random.Random(5000825)).random()
    content = fuzz.damaged_bytes(fuzzer.contents[ending][0], rng)
    wrong["asked for memory"] = fuzzer.read(ending, content)
    assert not {seed: text for seed, text in wrong.items() if text and "took" not in text}
