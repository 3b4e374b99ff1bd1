"""Files that would take gigabytes, call functions or lie elsewhere are refused, small or large.

Each is crafted from a file that loads; none may cost more memory than a file of its size is
worth, and each is refused, or loads as if the extra were not there, which is measured.
"""

import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rnn_engine
from rnn_engine.saving import load_model
from tests.saving import cases
from tests.saving.cases import assert_same

h5py = pytest.importorskip("h5py")

ROOT = Path(__file__).parents[2]
LARGE = 320 << 20
KERNEL = "layers/simple_rnn/cell/vars/0"


def saved(folder, ending):
    model = cases.small_model(rnn_engine)
    path = folder / f"good{ending}"
    (model.save_weights if ending == ".weights.h5" else model.save)(path)
    return path


def zeros_into(archive, name, size, compression, claimed=None):
    """Write a member of zeros; `claimed` bytes is what its headers say."""
    info = zipfile.ZipInfo(name)
    info.compress_type, info._compresslevel = compression, 1
    with archive.open(info, "w", force_zip64=True) as member:
        for _ in range(size >> 22):
            member.write(bytes(1 << 22))
    if claimed is not None:
        info.file_size = claimed


def copy(source, target, leave_out=()):
    new = zipfile.ZipFile(target, "w")
    with zipfile.ZipFile(source) as old:
        for name in old.namelist():
            if name not in leave_out:
                new.writestr(name, old.read(name))
    return new


def extra_members(folder, ending, compression):
    """Members that no model needs."""
    target = folder / f"extra{compression}{ending}"
    with copy(saved(folder, ending), target) as new:
        zeros_into(new, "layers/extra/vars/0.npy", LARGE, compression)
    return target


def member_that_lies(folder, ending, name, compression):
    """A member that says it is of 100 bytes, and unpacks to a gigabyte."""
    target = folder / f"lies{compression}{Path(name).name}{ending}"
    with copy(saved(folder, ending), target, [name]) as new:
        zeros_into(new, name, LARGE, compression, 100)
    content = bytearray(target.read_bytes())
    at = content.find(name.encode())  # the member's own header stands before its name
    content[at - 8 : at - 4] = struct.pack("<I", 100)
    target.write_bytes(content)
    return target


def huge_member(folder, ending, name):
    target = folder / f"huge{Path(name).name}{ending}"
    with copy(saved(folder, ending), target, [name]) as new:
        zeros_into(new, name, LARGE, zipfile.ZIP_DEFLATED)
    return target


def huge_config(folder, ending, **changes):
    """A config that asks for a layer larger than the file."""
    target = folder / f"config{'-'.join(changes)}{ending}"
    with copy(source := saved(folder, ending), target, ["config.json"]) as new:
        with zipfile.ZipFile(source) as old:
            config = json.loads(old.read("config.json"))
        for key, value in changes.items():
            config["config"]["layers"][1]["config"][key] = value
        new.writestr("config.json", json.dumps(config))
    return target


def huge_table(folder, ending):
    target = folder / f"table{ending}"
    with copy(source := saved(folder, ending), target, ["config.json"]) as new:
        with zipfile.ZipFile(source) as old:
            config = json.loads(old.read("config.json"))
        auc = {"class_name": "AUC", "config": {"num_thresholds": 10**9}, "module": "keras.metrics"}
        config["compile_config"]["metrics"] = [auc]
        new.writestr("config.json", json.dumps(config))
    return target


def never_written(folder, where):
    target = folder / f"never{where.replace('/', '-')}.weights.h5"
    target.write_bytes(saved(folder, ".weights.h5").read_bytes())
    with h5py.File(target, "a") as file:
        for i in range(3):
            file.create_dataset(f"{where}_{i}/vars/0", (LARGE // 4,), "f4", chunks=(1 << 20,))
            file.create_dataset(f"{where}_{i}/vars/1", (LARGE // 4,), "f4")
    return target


def replaced(folder, kind, **options):
    """The kernel of a layer, in the way of a dataset that is given."""
    target = folder / f"{kind}.weights.h5"
    target.write_bytes(saved(folder, ".weights.h5").read_bytes())
    with h5py.File(target, "a") as file:
        shape = file[KERNEL].shape
        del file[KERNEL]
        file.create_dataset(KERNEL, shape, "f4", **options)
    return target


def header(folder, name, change, more=b""):
    """A safetensors file whose header is changed, and what follows it."""
    target = folder / f"{name}.safetensors"
    content = saved(folder, ".safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + size])
    text = change(entries) or json.dumps(entries).encode()
    target.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :] + more)
    return target


def headers(folder):
    def large_layer(entries):
        config = json.loads(entries["__metadata__"]["config"])
        config["config"]["layers"][1]["config"]["units"] = 20_000
        entries["__metadata__"]["config"] = json.dumps(config)

    def shaped(shape, end):
        return lambda entries: entries[KERNEL].update(shape=shape, data_offsets=[0, end])

    yield header(folder, "config", large_layer)
    yield header(folder, "shape", shaped([1 << 40], 1 << 42))
    yield header(folder, "overflow", shaped([1 << 62, 4], 64))
    yield header(folder, "shared", lambda e: e[KERNEL].update(e["layers/dense/vars/1"]))
    yield header(folder, "longer", lambda e: None, bytes(1000))
    yield header(folder, "deep", lambda e: b"{" + b'"a":{' * 1_000_000 + b"}" * 1_000_001)
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    yield header(folder, "table", lambda e: e.update((f"x{i}", empty) for i in range(20_000)))
    target = folder / "length.safetensors"
    target.write_bytes((99 << 20).to_bytes(8, "little") + b"{" + b" " * 1000)
    yield target


def crafted(folder):
    yield from headers(folder)
    deflated = zipfile.ZIP_DEFLATED
    yield extra_members(folder, ".npz", zipfile.ZIP_BZIP2)
    yield extra_members(folder, ".keras", deflated)
    yield member_that_lies(folder, ".keras", "config.json", zipfile.ZIP_BZIP2)
    yield member_that_lies(folder, ".npz", "config.json", deflated)
    yield member_that_lies(folder, ".keras", "model.weights.h5", deflated)
    yield huge_member(folder, ".npz", "metadata.json")
    yield huge_member(folder, ".keras", "config.json")
    yield huge_member(folder, ".npz", f"{KERNEL}.npy")
    yield huge_member(folder, ".keras", "model.weights.h5")
    for ending in (".npz", ".keras"):
        yield huge_config(folder, ending, units=10**15)
        yield huge_config(folder, ending, units=20_000)
        yield huge_table(folder, ending)
    yield never_written(folder, "layers/extra")
    yield never_written(folder, "extra")
    yield replaced(folder, "lzf", compression="lzf")
    yield replaced(folder, "unwritten", chunks=True)


MEASURE = """
import resource, sys
import rnn_engine
from rnn_engine.saving import load_model
from tests.saving import cases
model = cases.small_model(rnn_engine)
model.fit(*cases.data(), verbose=0)
load_model(sys.argv[1]); model.load_weights(sys.argv[2])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
for path in sys.argv[3:]:
    before = peak()
    for call in (load_model, model.load_weights):
        try:
            call(path)
            said = "loaded"
        except ValueError as error:
            said = "refused" if path in str(error) else "unnamed: " + str(error)
        print(path.rsplit("/", 1)[-1], call.__name__, said, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_small_files_that_would_take_gigabytes(tmp_path):
    paths = list(crafted(tmp_path))
    assert max(path.stat().st_size for path in paths) < 8 << 20
    good = [tmp_path / "good.keras", tmp_path / "good.weights.h5"]
    command = [sys.executable, "-c", MEASURE, *map(str, good + paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert len(lines) == 2 * len(paths)
    for name, call, said in lines:
        verdict, grown = said.rsplit(" ", 1)
        harmless = name.startswith(("extra", "never", "config", "table", "lies", "huge"))
        assert verdict == "refused" or (harmless and verdict == "loaded"), (name, call, said)
        assert int(grown) < 200, (name, call, said)
    refused = {(name, call) for name, call, said in lines if said.startswith("refused")}
    for path in paths:
        if not path.name.startswith(("extra", "never", "table.safetensors")):
            assert (path.name, "load_model") in refused or path.suffix == ".h5"


# --- what HDF5 can do beside holding numbers -----------------------------------------


def test_what_lies_elsewhere_is_not_read(tmp_path):
    """Soft and external links, data in other files, virtual data: refused, not followed."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.full((4, 4), 7.0, "f4")
    (tmp_path / "raw").write_bytes(bytes(64))
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[...] = h5py.VirtualSource(str(secret), "x", (4, 4))
    changes = {
        "soft": lambda g: g.__setitem__("0", h5py.SoftLink("/layers/simple_rnn_1/cell/vars/1")),
        "soft out": lambda g: g.__setitem__("0", h5py.SoftLink("/nowhere")),
        "external": lambda g: g.__setitem__("0", h5py.ExternalLink(str(secret), "/x")),
        "raw": lambda g: g.create_dataset(
            "0", (4, 4), "f4", external=[(str(tmp_path / "raw"), 0, 64)]
        ),
        "virtual": lambda g: g.create_virtual_dataset("0", layout),
        "text": lambda g: g.__setitem__("0", "words"),
        "compound": lambda g: g.create_dataset("0", (4, 4), "f4,f4"),
    }
    for name, change in changes.items():
        for ending in (".weights.h5", ".h5"):
            model = cases.small_model(rnn_engine)
            path = tmp_path / f"m{ending}"
            (model.save_weights if ending == ".weights.h5" else model.save)(path)
            with h5py.File(path, "a") as file:
                if ending == ".weights.h5":
                    group, place = file[KERNEL.rsplit("/", 1)[0]], "0"
                else:
                    first = file["model_weights"].attrs["layer_names"][0].decode()
                    found = file["model_weights"][first]
                    place = found.attrs["weight_names"][0].decode()
                    group = found[place.rsplit("/", 1)[0]]
                del group[place.rsplit("/", 1)[-1]]
                change(group)
                if ending == ".h5":
                    group.move("0", "kernel")
            before = model.get_weights()
            with pytest.raises(ValueError, match="m" + ending.replace(".", r"\.")):
                model.load_weights(path)
            assert_same(model, before), name


@pytest.mark.parametrize("options", [
    {"compression": "gzip"},
    {"compression": "gzip", "shuffle": True, "fletcher32": True},
    {"chunks": (2, 3)},
    {"chunks": (3, 3), "shuffle": True},
    {"fletcher32": True},
])  # fmt: skip
def test_packed_arrays_are_read(options, tmp_path):
    """What is packed with deflate, as some copy tools do, is the same array."""
    model = cases.small_model(rnn_engine)
    model.save_weights(tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        values = file[KERNEL][()]
        del file[KERNEL]
        file.create_dataset(KERNEL, data=values, **options)
    other = cases.small_model(rnn_engine)
    cases.scatter(other, 9)
    other.load_weights(tmp_path / "a.weights.h5")
    assert_same(other, model)


@pytest.mark.parametrize("ending", [".keras", ".npz"])
def test_deflated_archives_are_read(ending, tmp_path):
    source = saved(tmp_path, ending)
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(tmp_path / f"b{ending}", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert_same(load_model(tmp_path / f"b{ending}"), load_model(source))


# --- functions that a user registered -------------------------------------------------


def error_of(call, default):
    """Return what a call says that fails, or `default`."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return default


@pytest.fixture
def danger():
    """Register functions that would do harm if a file could call them."""
    called = []

    def harm(path="x", *args, **kwargs):
        called.append(path)
        return np.zeros(1)

    saving = rnn_engine.saving
    saving.register_keras_serializable("My", "harm")(harm)
    yield called
    del saving.get_custom_objects()["My>harm"]


CALL = {"module": "x", "class_name": "harm", "registered_name": "My>harm",
        "config": {"path": "/tmp/harm"}}  # fmt: skip
PLACES = {
    "kernel_initializer": lambda c: c["config"]["layers"][1]["config"],
    "bias_regularizer": lambda c: c["config"]["layers"][1]["config"],
    "kernel_constraint": lambda c: c["config"]["layers"][1]["config"],
    "activation": lambda c: c["config"]["layers"][1]["config"],
    "activity_regularizer": lambda c: c["config"]["layers"][1]["config"],
    1: lambda c: c["config"]["layers"],
    "loss": lambda c: c["compile_config"],
    "optimizer": lambda c: c["compile_config"],
    "metrics": lambda c: c["compile_config"],
    "learning_rate": lambda c: c["compile_config"]["optimizer"]["config"],
    "class_name": lambda c: c,
}


@pytest.mark.parametrize("ending", [".keras", ".npz", ".h5", ".safetensors"])
@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("name", ["harm", "My>harm"])
def test_files_call_no_registered_function(ending, place, name, danger, tmp_path):
    path = saved(tmp_path, ending)
    call = {**CALL, "class_name": name}

    def change(config):
        if place == "class_name":
            config.update(call)
        else:
            PLACES[place](config)[place] = [call] if place == "metrics" else call
        return json.dumps(config)

    if ending == ".h5":
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            config["compile_config"] = json.loads(file.attrs["training_config"])
            config["compile_config"]["optimizer"] = config["compile_config"]["optimizer_config"]
            config = json.loads(change(config))
            training = config.pop("compile_config", {})
            training["optimizer_config"] = training.pop("optimizer", None)
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["training_config"] = json.dumps(training)
    elif ending == ".safetensors":

        def changed(entries):
            metadata = entries["__metadata__"]
            metadata["config"] = change(json.loads(metadata["config"]))

        path = header(tmp_path, "b", changed)
    else:
        with zipfile.ZipFile(path) as old:
            config = json.loads(old.read("config.json"))
        with copy(path, tmp_path / f"b{ending}", ["config.json"]) as new:
            new.writestr("config.json", change(config))
        path = tmp_path / f"b{ending}"
    assert path.name in error_of(lambda: load_model(path), path.name)
    assert "/tmp/harm" not in danger


def test_a_registered_function_comes_back_uncalled(danger):
    """As in Keras, where it is then called as an initializer is, with a shape."""
    for module in ("initializers", "regularizers", "constraints", "losses", "metrics"):
        found = getattr(rnn_engine, module).deserialize(CALL)
        assert found is rnn_engine.saving.get_registered_object("My>harm")
    assert danger == []


@pytest.mark.parametrize("wrapper", ["MeanMetricWrapper", "LossFunctionWrapper"])
def test_wrappers_take_no_arguments_of_a_file_for_functions(wrapper, danger, tmp_path):
    key = "metrics" if wrapper == "MeanMetricWrapper" else "loss"
    module = "keras.metrics" if key == "metrics" else "keras.losses"
    function = {"module": "builtins", "class_name": "function", "config": "My>harm"}
    wrapped = {"module": module, "class_name": wrapper,
               "config": {"name": "n", "fn": function, "path": "/tmp/harm"}}  # fmt: skip
    path = saved(tmp_path, ".keras")
    with zipfile.ZipFile(path) as old:
        config = json.loads(old.read("config.json"))
    config["compile_config"][key] = [wrapped] if key == "metrics" else wrapped
    with copy(path, tmp_path / "b.keras", ["config.json"]) as new:
        new.writestr("config.json", json.dumps(config))
    with pytest.raises(ValueError, match=r"b\.keras"):
        load_model(tmp_path / "b.keras")
    assert danger == []
