"""Files are whole or not there, and a bad one is an error that changes nothing."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnn_engine
from rnn_engine.saving import api, load_model, pure_hdf5
from tests.saving import cases
from tests.saving.cases import assert_same

h5py = pytest.importorskip("h5py")

ROOT = Path(__file__).parents[2]
ARCHIVES = [".npz", ".keras"]
MODELS = [*ARCHIVES, ".safetensors"]
WEIGHTS = [".npz", ".weights.h5", ".safetensors"]


@pytest.fixture(scope="module")
def trained():
    """Return a model with a state of its optimizer; tests do not change it."""
    model = cases.small_model(rnn_engine)
    x, y = cases.data()
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    return model


def state(model):
    return [v.numpy() for v in [*model.weights, *model.optimizer.variables]]


@pytest.fixture(scope="module")
def contents(trained, tmp_path_factory):
    """Return the bytes of the model's files, by their ending."""
    folder = tmp_path_factory.mktemp("files")
    for ending in MODELS:
        trained.save(folder / f"m{ending}")
    trained.save_weights(folder / "m.weights.h5")
    return {e: (folder / f"m{e}").read_bytes() for e in [*MODELS, ".weights.h5"]}


# --- damage -----------------------------------------------------------------------


def assert_refused_or_right(trained, path):
    """Assert that reading a damaged file fails by its name, or that the damage did not matter."""
    model = cases.small_model(rnn_engine)
    model.optimizer.build(model.trainable_variables)
    cases.scatter(model, 9)
    before = state(model)
    refused = error_of(lambda: model.load_weights(path))
    assert refused is None or str(path) in refused
    assert_same(state(model), state(trained) if refused is None else before)
    if path.suffix != ".h5":
        refused = error_of(lambda: assert_same(state(load_model(path)), state(trained)))
        assert refused is None or str(path) in refused


def error_of(call):
    """Return the text of the error that a call ends in, or None."""
    try:
        call()
    except (OSError, ValueError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("ending", [*MODELS, ".weights.h5"])
@given(data=st.data())
def test_truncated_files(ending, data, trained, contents, tmp_path_factory):
    content = contents[ending]
    path = tmp_path_factory.getbasetemp() / f"truncated{ending}"
    cut = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:cut])
    with pytest.raises((OSError, ValueError)) as caught:
        cases.small_model(rnn_engine).load_weights(path)
    assert str(path) in str(caught.value)
    assert_refused_or_right(trained, path)


@pytest.mark.parametrize("ending", ARCHIVES)
@given(data=st.data())
def test_flipped_bits(ending, data, trained, contents, tmp_path_factory):
    """Archives have checksums; HDF5 and safetensors have none."""
    content = bytearray(contents[ending])
    path = tmp_path_factory.getbasetemp() / f"flipped{ending}"
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert_refused_or_right(trained, path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_model(content, tmp_path, trained):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(content)
    with pytest.raises((OSError, ValueError)) as caught:
        trained.load_weights(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ValueError, match="File not found"):  # as Keras
        load_model(tmp_path / "none.keras")
    with pytest.raises(FileNotFoundError):
        trained.load_weights(tmp_path / "none.weights.h5")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValueError, match=r"other\.npz has no metadata\.json"):
        load_model(tmp_path / "other.npz")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.ones(3)
    with pytest.raises(ValueError, match="holds no weights"):
        trained.load_weights(tmp_path / "other.h5")
    trained.save_weights(tmp_path / "w.npz")
    with pytest.raises(ValueError, match="weights only"):
        load_model(tmp_path / "w.npz")


# --- no code ------------------------------------------------------------------------


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def rewritten(source, target, **members):
    """Copy an archive with other content of the members named by their file name."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, members.get(name.split("/")[-1].split(".")[0], old.read(name)))


def test_pickles_are_not_read(tmp_path, trained):
    trained.save(tmp_path / "a.npz")
    harm = tmp_path / "harm"
    np.save(tmp_path / "evil.npy", np.array([Evil(harm)], object), allow_pickle=True)
    evil = {"0": (tmp_path / "evil.npy").read_bytes()}
    rewritten(tmp_path / "a.npz", tmp_path / "b.npz", **evil)
    with pytest.raises(ValueError, match=r"b\.npz must be an array of numbers"):
        load_model(tmp_path / "b.npz")
    rewritten(tmp_path / "a.npz", tmp_path / "c.npz", **{"0": pickle.dumps(Evil(harm))})
    with pytest.raises(ValueError, match="damaged"):
        load_model(tmp_path / "c.npz")
    assert not harm.exists()


@pytest.mark.parametrize("ending", ARCHIVES)
def test_modules_are_not_imported(ending, tmp_path, trained):
    """The module in a config is not looked at, only the name of the class."""
    trained.save(tmp_path / f"a{ending}")
    harm = tmp_path / "harm"
    call = {"module": "os", "class_name": "mkdir", "config": {"path": str(harm)}}
    config = json.loads(trained.to_json())
    config["config"]["layers"][1]["config"]["kernel_initializer"] = call
    first = {"config": json.dumps(config)}
    config = json.loads(trained.to_json())
    config["config"]["layers"].append({**call, "registered_name": "mkdir"})
    second = {"config": json.dumps(config)}
    for change in (first, second):
        rewritten(tmp_path / f"a{ending}", tmp_path / f"b{ending}", **change)
        with pytest.raises(ValueError, match="mkdir"):
            load_model(tmp_path / f"b{ending}")
    assert not harm.exists()


@pytest.mark.parametrize("ending", ARCHIVES)
@pytest.mark.parametrize("text", [b"{", b"[]", b"{}", b'{"config": {"layers": 3}}', b"\xff"])
def test_damaged_configs(ending, text, tmp_path, trained):
    trained.save(tmp_path / f"a{ending}")
    rewritten(tmp_path / f"a{ending}", tmp_path / f"b{ending}", config=text)
    with pytest.raises(ValueError, match=r"b\.(npz|keras)"):
        load_model(tmp_path / f"b{ending}")


def test_links_and_bombs_in_hdf5(tmp_path, trained):
    path, secret = tmp_path / "a.weights.h5", tmp_path / "secret.h5"
    first = trained.layers[0].kernel
    with h5py.File(secret, "w") as file:
        file["x"] = np.full(first.shape, 7.0)
    name = "layers/simple_rnn/cell/vars/0"

    def external(group):
        group["0"] = h5py.ExternalLink(secret, "/x")

    def raw(group):
        group.create_dataset("0", first.shape, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])

    def bomb(group):
        group.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(64, 64))

    def text(group):
        group["0"] = "not a number"

    before = state(trained)
    for spoil in (external, raw, bomb, text):
        trained.save_weights(path)
        with h5py.File(path, "a") as file:
            del file[name]
            spoil(file[name.rsplit("/", 1)[0]])
        with pytest.raises((OSError, ValueError)) as caught:
            trained.load_weights(path)
        assert str(path) in str(caught.value)
        assert_same(state(trained), before)


def test_bombs_in_archives(tmp_path, trained):
    trained.save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in members.items():
            if name != "layers/dense/vars/1.npy":
                new.writestr(name, content)
        with new.open("layers/dense/vars/1.npy", "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    with pytest.raises(ValueError, match=r"vars/1\.npy in .*b\.npz"):
        load_model(tmp_path / "b.npz")
    header = np.lib.format.magic(1, 0)
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}".ljust(117) + b"\n"
    huge = header + len(text).to_bytes(2, "little") + text
    rewritten(tmp_path / "a.npz", tmp_path / "c.npz", **{"0": huge})
    with pytest.raises(ValueError, match="damaged"):
        load_model(tmp_path / "c.npz")


# --- what does not fit --------------------------------------------------------------


def model_of(*units, features=4):
    layers = [rnn_engine.layers.Dense(n) for n in units]
    return rnn_engine.Sequential([rnn_engine.layers.Input((features,)), *layers])


@pytest.mark.parametrize("ending", WEIGHTS)
@pytest.mark.parametrize(
    ("other", "text"),
    [
        (lambda: model_of(3, 5), r"'layers/dense_1' .*\(3, 5\) and \(3, 2\)"),
        (lambda: model_of(3), "'layers/dense_1' has 2 arrays .* not in the model"),
        (lambda: model_of(3, 2, 2), "'layers/dense_2' .* has 2 variables and 0"),
        (lambda: model_of(3, 2, features=5), r"'layers/dense' .*\(5, 3\) and \(4, 3\)"),
    ],
)
def test_weights_that_do_not_fit(ending, other, text, tmp_path):
    path = tmp_path / f"m{ending}"
    source = model_of(3, 2)
    source.save_weights(path)
    model = other()
    before = model.get_weights()
    with pytest.raises(ValueError, match=text) as caught:
        model.load_weights(path)
    assert str(path) in str(caught.value)
    assert_same(model, before)
    with pytest.warns(UserWarning, match="Left out"):
        model.load_weights(path, skip_mismatch=True)
    for layer, saved, old in zip(model.layers, source.layers, range(0, 99, 2), strict=False):
        fits = layer.kernel.shape == saved.kernel.shape
        wanted = saved.kernel.value if fits else before[old]
        np.testing.assert_array_equal(layer.kernel.value, wanted)


def test_unbuilt_models_and_endings(tmp_path):
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(2)])
    for call in (model.save_weights, model.load_weights):
        with pytest.raises(ValueError, match="not yet been built"):
            call(tmp_path / "a.weights.h5")
    for ending in MODELS:
        with pytest.warns(UserWarning, match="not yet been built"):
            model.save(tmp_path / f"a{ending}")
        assert not load_model(tmp_path / f"a{ending}").built
    with pytest.raises(ValueError, match=r"a \.keras, \.h5, \.npz or \.safetensors file"):
        model.save(tmp_path / "a.txt")
    with pytest.raises(ValueError, match=r"must end in `\.weights\.h5`"):
        model_of(1).save_weights(tmp_path / "a.h5")


# --- whole or not there -------------------------------------------------------------

KILLED = """
import os, sys, numpy as np
import rnn_engine
from rnn_engine.saving import load_model
path, place, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = load_model(path)
model.set_weights([w + 1 for w in model.get_weights()])
calls = 0
def kill(*args, **kwargs):
    global calls
    calls += 1
    if calls > count:
        os._exit(7)
    return real(*args, **kwargs)
owner, name = (np.lib.format, "write_array") if place == "array" else (os, place)
if place == "header":
    import safetensors.numpy as owner
    name = "save"
if place == "hdf5":
    import h5py
    owner, name = h5py.Group, "create_group"
real = getattr(owner, name)
setattr(owner, name, kill)
model.save(path)
"""


@pytest.mark.parametrize(
    ("ending", "place", "count"),
    [
        (".npz", "array", 0),
        (".npz", "array", 5),
        (".npz", "fsync", 0),
        (".npz", "replace", 0),
        (".keras", "hdf5", 3),
        (".keras", "fsync", 0),
        (".keras", "replace", 0),
        (".safetensors", "header", 0),
        (".safetensors", "fsync", 0),
        (".safetensors", "replace", 0),
    ],
)
def test_killed_while_saving(ending, place, count, trained, tmp_path):
    """The old file is there, to the byte; a second attempt replaces it."""
    path = tmp_path / f"m{ending}"
    trained.save(path)
    before = path.read_bytes()
    command = [sys.executable, "-c", KILLED, str(path), place, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    assert path.read_bytes() == before
    assert_same(state(load_model(path)), state(trained))
    other = load_model(path)
    other.set_weights([w + 1 for w in other.get_weights()])
    other.save(path)
    assert_same(load_model(path), [w + 1 for w in trained.get_weights()])


@pytest.mark.parametrize("ending", MODELS)
def test_errors_while_saving_leave_no_trace(ending, trained, tmp_path, monkeypatch):
    path = tmp_path / f"m{ending}"
    trained.save(path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        trained.save(path)
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_bytes() == before


def test_names_rights_and_links(trained, tmp_path):
    old = os.umask(0o027)
    try:
        trained.save(tmp_path / "a.npz")
    finally:
        os.umask(old)
    assert (tmp_path / "a.npz").stat().st_mode & 0o777 == 0o640
    os.chmod(tmp_path / "a.npz", 0o600)
    os.symlink(tmp_path / "a.npz", tmp_path / "link.npz")
    trained.save(tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    assert (tmp_path / "a.npz").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "link.npz"]
    with pytest.raises(FileNotFoundError, match=r"folder.*does not exist.*/missing'$"):
        trained.save(tmp_path / "missing" / "a.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(IsADirectoryError, match="saved as a file"):
        trained.save(tmp_path / "folder.npz")


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False), (None, None)])
def test_overwrite_false_asks(answer, written, trained, tmp_path, monkeypatch):
    def ask(prompt):
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", ask)
    for save, name in ((trained.save, "a.npz"), (trained.save_weights, "a.weights.h5")):
        path = tmp_path / name
        save(path, overwrite=False)  # nothing there, no question
        path.write_bytes(b"old")
        if written is None:
            with pytest.raises(FileExistsError, match="overwrite=True"):
                save(path, overwrite=False)
        else:
            save(path, overwrite=False)
            assert (path.read_bytes() != b"old") == written


def test_without_h5py(trained, tmp_path, monkeypatch):
    trained.save(tmp_path / "a.keras")
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setattr(pure_hdf5, "pyfive", lambda: None)
    for call in (
        lambda: trained.save(tmp_path / "b.keras"),
        lambda: trained.save_weights(tmp_path / "b.weights.h5"),
        lambda: load_model(tmp_path / "a.keras"),
    ):
        with pytest.raises(ImportError, match="pip install h5py"):
            call()
    assert sorted(os.listdir(tmp_path)) == ["a.keras"]
    trained.save(tmp_path / "a.npz")
    assert_same(state(api.load_model(tmp_path / "a.npz")), state(trained))
