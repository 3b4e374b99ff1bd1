"""One crafted file for every published hole of Keras's loaders, and of their kin.

Each file would have run code, or read, written or fetched something, or taken all memory, in a
version of Keras that had the hole. Here none of it happens: an audit hook in a process of its own
(`audited.py`) sees no code, import, socket, process, or file but the one that is loaded.

The table names the holes by their number in the public list of vulnerabilities. Those about
`get_file` are no files of models; they are archives to unpack. All thirteen numbers that were
asked about were found there with a description; what has no number stands under the name of the
change that closed it, or of its kind.
"""

import base64
import io
import json
import marshal
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rnn_engine
from rnn_engine import train
from rnn_engine.saving import clone_model, load_model, to_onnx
from tests.saving import cases
from tests.saving.test_budgets import KERNEL, LARGE, ROOT, copy, zeros_into
from tests.saving.torch_cases import FOLDER

h5py = pytest.importorskip("h5py")

MARK = "would_be_written_by_the_payload"
CODE = base64.b64encode(
    marshal.dumps(compile(f"lambda x: open({MARK!r}, 'w')", "x", "eval").co_consts[0])
).decode()
LAMBDA = {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def lambda_layer(fn, name="x", **settings):
    return {"module": "keras.layers", "class_name": "Lambda", "registered_name": None,
            "build_config": {"input_shape": [None, 2]},
            "config": {"name": name, "function": fn, **settings}}  # fmt: skip


def layer(name, **config):
    return {"module": "keras.layers", "class_name": name, "registered_name": None,
            "config": {"name": "x", **config}}  # fmt: skip


def keras_file(folder, name, change):
    """A `.keras` file whose config `change` has been at."""
    source, target = folder / "good.keras", folder / f"{name}.keras"
    with zipfile.ZipFile(source) as old:
        config = json.loads(old.read("config.json"))
    change(config)
    with copy(source, target, ["config.json"]) as new:
        new.writestr("config.json", json.dumps(config))
    return target


def with_layers(*more):
    return lambda config: config["config"]["layers"].extend(more)


def called_with(entry, *args, **kwargs):
    """A graph in which a layer is called with arguments out of the file."""

    def change(config):
        first = config["config"]["layers"][0]
        name = first["config"]["name"]
        begin = {**first, "name": name, "inbound_nodes": []}
        inner = {**entry, "name": "x", "inbound_nodes": [{"args": list(args), "kwargs": kwargs}]}
        config.update(module="keras.src.models.functional", class_name="Functional", config={
            "name": "m", "trainable": True, "layers": [begin, inner],
            "input_layers": [[name, 0, 0]], "output_layers": [["x", 0, 0]]})  # fmt: skip
        config.pop("build_config", None)
        config.pop("compile_config", None)

    return change


def setting(key, value):
    return lambda config: config["config"]["layers"][1]["config"].update({key: value})


def old_file(folder, name, entry):
    """An `.h5` file as Keras 2 wrote it, with one more layer."""
    target = folder / f"{name}.h5"
    target.write_bytes((folder / "good.h5").read_bytes())
    with h5py.File(target, "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"].append(entry)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    return target


def weights_file(folder, name, **dataset):
    """A `.keras` file with another dataset in the place of a kernel."""
    target, source = folder / f"{name}.keras", folder / "good.keras"
    with zipfile.ZipFile(source) as old:
        content = io.BytesIO(old.read("model.weights.h5"))
    with h5py.File(content, "a") as file:
        shape = file[KERNEL].shape
        del file[KERNEL]
        if "link" in dataset:
            file[KERNEL] = dataset["link"]
        else:
            file.create_dataset(KERNEL, **{"shape": shape, "dtype": "f4", **dataset})
    with copy(source, target, ["model.weights.h5"]) as new:
        new.writestr("model.weights.h5", content.getvalue())
    return target


def archive_with(folder, name, ending, member, content):
    target = folder / f"{name}{ending}"
    with copy(folder / f"good{ending}", target) as new:
        new.writestr(member, content)
    return target


def bomb(folder, name, member):
    """An archive of which a member says and has far more than the file is long."""
    source, target = folder / "good.keras", folder / f"{name}.keras"
    with copy(source, target, [member]) as new:
        zeros_into(new, member, LARGE, zipfile.ZIP_DEFLATED)
    return target


def onnx_file(folder, name, change):
    """An `.onnx` file that `change` has been at."""
    import onnx

    model = onnx.load(folder / "good.onnx")
    change(model, onnx)
    target = folder / f"{name}.onnx"
    target.write_bytes(model.SerializeToString())
    return target


def numbers_at(place):
    """Have the numbers of a graph lie in another file."""

    def change(model, onnx):
        tensor = next(t for t in model.graph.initializer if len(t.dims) == 2)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)

    return change


def of_another_domain(model, onnx):
    """Have a node that a runtime would hand to a library of the user's, or to Python."""
    model.opset_import.add(domain="ai.onnx.contrib", version=1)
    model.graph.node[0].domain, model.graph.node[0].op_type = "ai.onnx.contrib", "PyOp"


def torch_archive(folder, name, content):
    with zipfile.ZipFile(folder / f"{name}.pt", "w") as archive:
        archive.writestr("m/data.pkl", content)
        archive.writestr("m/data/0", bytes(64))
    return folder / f"{name}.pt"


def torch_tar(folder, name):
    """What torch.save wrote before version 0.1.10, which `weights_only` did not guard."""
    with tarfile.open(folder / f"{name}.pt", "w") as tar:
        for member in ("storages", "tensors", "pickle"):
            _add(tar, member, pickled())
    return folder / f"{name}.pt"


def written_as(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


def checkpoint_file(folder, name):
    with copy(folder / "good.ckpt.npz", folder / f"{name}.ckpt.npz", ["model/0.npy"]) as new:
        new.writestr("model/0.npy", object_array())
    return folder / f"{name}.ckpt.npz"


def safetensors_file(folder, name, **changes):
    """A `.safetensors` file whose metadata are others."""
    content = (folder / "good.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    for key, change in changes.items():
        header["__metadata__"][key] = change(header["__metadata__"][key])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    whole = len(text).to_bytes(8, "little") + text + content[8 + size :]
    return written_as(folder, f"{name}.safetensors", whole)


def with_lambda(text):
    config = json.loads(text)
    config["config"]["layers"].append(lambda_layer(LAMBDA))
    return json.dumps(config)


def pickled():
    class Payload:
        def __reduce__(self):
            return open, (MARK, "w")

    return pickle.dumps(Payload())


def object_array():
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], object), allow_pickle=True)
    return out.getvalue()


SAFE_MODE = function("keras.src.backend.common.global_state", "set_global_attribute")
SECRET = "/etc/hostname"
WEB = "http://127.0.0.1:9/secret"

# What each is, what the file is like. A name ends in what tells several files of one hole apart.
HOLES = {
    # Code of a Lambda layer is unmarshalled and run, in the files of Keras 2 and of Keras 3.
    "CVE-2024-3660": lambda f, n: keras_file(f, n, with_layers(lambda_layer(LAMBDA))),
    "CVE-2024-3660-h5": lambda f, n: old_file(f, n, {
        "class_name": "Lambda", "config": {"name": "x", "function": [CODE, None, None],
        "function_type": "lambda", "module": "__main__"}}),
    # Any module is imported, any function of it called: as a layer, an initializer, in a call.
    "CVE-2025-1550": lambda f, n: keras_file(f, n, called_with(
        function("os", "system"), f"touch {MARK}")),
    "CVE-2025-1550-class": lambda f, n: keras_file(f, n, with_layers({
        "module": "subprocess", "class_name": "Popen", "registered_name": None,
        "config": {"args": ["touch", MARK]}})),
    "CVE-2025-1550-initializer": lambda f, n: keras_file(f, n, setting("kernel_initializer", {
        "module": "os", "class_name": "system", "registered_name": None,
        "config": {"command": f"touch {MARK}"}})),
    # A Lambda of a function of Keras's own that does harm: get_file fetches and writes.
    "CVE-2025-8747": lambda f, n: keras_file(f, n, called_with(lambda_layer(
        function("keras.utils", "get_file"), arguments={"origin": WEB, "cache_dir": "."}), MARK)),
    # The same in .h5, where Keras looked at no safe_mode.
    "CVE-2025-9905": lambda f, n: old_file(f, n, {
        "class_name": "Lambda", "config": {"name": "x", "function": LAMBDA}}),
    "CVE-2025-9905-function": lambda f, n: old_file(f, n, {
        "class_name": "Lambda", "config": {"name": "x", "function_type": "function",
        "module": "os", "function": "system", "arguments": {"command": f"touch {MARK}"}}}),
    # The file switches safe_mode off, then has code; or loads another file without it.
    "CVE-2025-9906": lambda f, n: keras_file(f, n, with_layers(
        lambda_layer(function("keras.config", "enable_unsafe_deserialization")),
        lambda_layer(LAMBDA))),
    "CVE-2025-9906-attribute": lambda f, n: keras_file(f, n, called_with(lambda_layer(
        SAFE_MODE, arguments={"value": False}), inputs="safe_mode_saving")),
    "CVE-2025-9906-load_model": lambda f, n: keras_file(f, n, called_with(lambda_layer(
        function("keras.models", "load_model"), arguments={"safe_mode": False}), inputs=SECRET)),
    # The vocabulary is a path, of the disk or the web, and is read.
    "CVE-2025-12058": lambda f, n: keras_file(f, n, with_layers(
        layer("StringLookup", vocabulary=SECRET))),
    "CVE-2025-12058-web": lambda f, n: keras_file(f, n, with_layers(
        layer("TextVectorization", vocabulary=WEB))),
    "CVE-2025-12058-integers": lambda f, n: keras_file(f, n, with_layers(
        layer("IntegerLookup", vocabulary=SECRET))),
    "CVE-2025-12058-h5": lambda f, n: old_file(f, n, layer("StringLookup", vocabulary=SECRET)),
    # A module of PyTorch lies in the config as a pickle.
    "CVE-2025-49655": lambda f, n: keras_file(f, n, with_layers(layer(
        "TorchModuleWrapper", module=base64.b64encode(pickled()).decode()))),
    # A dataset of the weights says that it is of petabytes.
    "CVE-2026-0897": lambda f, n: weights_file(f, n, shape=(1 << 50,), chunks=(1 << 10,)),
    "CVE-2026-0897-packed": lambda f, n: weights_file(
        f, n, shape=(1 << 40,), chunks=(1 << 10,), compression="gzip"),
    # A layer that loads a program of TensorFlow from a path.
    "CVE-2026-1462": lambda f, n: keras_file(f, n, with_layers(layer(
        "TFSMLayer", filepath="/tmp/saved", call_endpoint="serve"))),
    # Weights that lie in another file, in all ways that HDF5 has.
    "CVE-2026-1669": lambda f, n: weights_file(f, n, external=[(SECRET, 0, 64)]),
    "CVE-2026-1669-link": lambda f, n: weights_file(
        f, n, link=h5py.ExternalLink(SECRET, "/x")),
    # Names of layers and of assets climb out of the folder that is written to.
    "CVE-2026-12479": lambda f, n: keras_file(f, n, setting("name", f"../../../{MARK}")),
    "CVE-2026-12479-assets": lambda f, n: archive_with(
        f, n, ".keras", f"assets/../../{MARK}", b"x"),
    # Code of a Lambda where no safe_mode was set: see also the test of clones below.
    "CVE-2026-12481": lambda f, n: keras_file(f, n, with_layers(layer(
        "TimeDistributed", layer=lambda_layer(LAMBDA)))),
    # keras-team/tf-keras, pull request 910, of no number: functions of any module in .h5.
    "tf-keras-910": lambda f, n: old_file(f, n, {
        "class_name": "Lambda", "config": {"name": "x", "function_type": "function",
        "module": "subprocess", "function": "getoutput"}}),
    # keras-team/keras, pull request 23010, of no number: a member of the archive is a bomb.
    "keras-23010": lambda f, n: bomb(f, n, "config.json"),
    "keras-23010-weights": lambda f, n: bomb(f, n, "model.weights.h5"),
    # Numbers of a graph of ONNX lie in files outside of its folder.
    "CVE-2022-25882": lambda f, n: onnx_file(f, n, numbers_at("../../../../../etc/hostname")),
    "CVE-2024-27318": lambda f, n: onnx_file(f, n, numbers_at("a/../../hostname")),
    "CVE-2024-27318-absolute": lambda f, n: onnx_file(f, n, numbers_at(SECRET)),
    "kind-onnx-python": lambda f, n: onnx_file(f, n, of_another_domain),
    # PyTorch's files are pickles; `weights_only` did not guard the oldest form.
    "CVE-2025-32434": torch_tar,
    "kind-pickle-pt": lambda f, n: torch_archive(f, n, pickled()),
    "kind-pickle-pt-old": lambda f, n: written_as(f, f"{n}.pt", pickled()),
    # Of the same kinds, in the library's own formats, and in JSON.
    "kind-pickle-ckpt": lambda f, n: checkpoint_file(f, n),
    "kind-lambda-safetensors": lambda f, n: safetensors_file(f, n, config=with_lambda),
    "kind-lambda-json": lambda f, n: written_as(
        f, f"{n}.json", with_lambda((f / "good.json").read_text()).encode()),
    # Of the same kinds, in the library's own format, and where functions stand in `compile`.
    "kind-pickle-npz": lambda f, n: archive_with(
        f, n, ".npz", "layers/extra/vars/0.npy", object_array()),
    "kind-compile": lambda f, n: keras_file(f, n, lambda c: c["compile_config"].update(
        loss=function("os", "system"), metrics=[function("builtins", "exec")])),
    "kind-module": lambda f, n: keras_file(f, n, lambda c: c.update(
        module="this_module_is_nowhere", class_name="Sequential2", registered_name="x>y")),
    # Memory through a function that the library does have.
    "kind-memory": lambda f, n: keras_file(f, n, with_layers(lambda_layer(
        function("keras.ops", "repeat"), arguments={"repeats": 1 << 40}))),
}  # fmt: skip

# What the model does not ask for is not looked at.
HARMLESS = {"CVE-2026-12479-assets"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each file in the audited process, and the folder."""
    folder = tmp_path_factory.mktemp("holes")
    model = cases.small_model(rnn_engine)
    model.fit(*cases.data(), verbose=0)
    good = [folder / f"good{ending}" for ending in (".keras", ".h5", ".npz", ".safetensors")]
    for path in good:
        model.save(path)
    good += [folder / f"good{ending}" for ending in (".onnx", ".json", ".ckpt.npz", ".pt")]
    to_onnx(model, good[4])
    good[5].write_text(model.to_json())
    train.Checkpoint(model=model).write(folder / "good.ckpt")
    good[7].write_bytes((FOLDER / "plain.pt").read_bytes())
    paths = [craft(folder, name) for name, craft in HOLES.items()]
    command = [sys.executable, "-m", "tests.saving.audited", *map(str, good), "--"]
    done = subprocess.run(
        [*command, *map(str, paths)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert not list(Path(ROOT).rglob(MARK))
    assert not list(folder.rglob(MARK))
    found = {}
    for name, call, said, seen in lines:
        found.setdefault(name.partition(".")[0], {})[call] = said, seen
    return found


@pytest.mark.parametrize("name", HOLES)
def test_files_do_no_harm(name, outcomes):
    calls = outcomes[name]
    assert len(calls) == 5 or calls.keys() & {"from_onnx", "from_torch", "read", "model_from_json"}
    for call, (said, seen) in calls.items():
        assert seen == [], call
        if call in ("load_weights", "show", "verify"):  # which do not look at all of it
            assert said in ("loaded", "refused"), call
        else:
            assert said == ("loaded" if name in HARMLESS else "refused"), call


def test_the_hook_sees(outcomes):
    seen = " ".join(outcomes["control"][""][1])
    assert "open ('/dev/null'" in seen
    assert "exec" in seen
    assert "import ('this_module_is_nowhere'" in seen


def test_a_good_file_loads(outcomes, tmp_path):
    """What the crafted files are made of is fine without the payload."""
    assert "load_model" in outcomes["CVE-2026-12479"]
    model = cases.small_model(rnn_engine)
    model.save(tmp_path / "good.keras")
    load_model(keras_file(tmp_path, "same", lambda config: None))


def test_climbing_names_stay_in_the_folder_when_saved(tmp_path):
    """CVE-2026-12479 the other way: what a file named a layer, a save does not follow."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,), name="up")])
    model.layers[0].name = "../../up"
    for ending in (".keras", ".npz", ".h5", ".weights.h5"):
        path = inner / f"m{ending}"
        (model.save_weights if "weights" in ending else model.save)(path)
    found = {path.name for path in tmp_path.rglob("*")}
    assert found == {"a", "b", "m.keras", "m.npz", "m.h5", "m.weights.h5"}


def test_lambda_code_is_not_run_outside_of_load_model(tmp_path, monkeypatch):
    """CVE-2026-12481: `deserialize`, `from_config` and `clone_model`, where Keras had no guard."""
    monkeypatch.chdir(tmp_path)
    entry = lambda_layer(LAMBDA)
    for make in (
        lambda: rnn_engine.layers.deserialize(entry),
        lambda: rnn_engine.layers.Lambda.from_config(entry["config"]),
        lambda: rnn_engine.Sequential.from_config({"name": "m", "layers": [entry]}),
    ):
        with pytest.raises(ValueError, match=r"Lambda|lambda"):
            make()
    model = rnn_engine.Sequential(
        [rnn_engine.Input((2,)), rnn_engine.layers.Lambda(lambda x: x, name="x")]
    )
    model.layers[0].get_config = lambda: entry["config"]
    with pytest.raises(ValueError, match="lambda"):
        clone_model(model)
    assert list(tmp_path.iterdir()) == []


def test_yaml_is_not_read():
    """CVE-2021-37678: models came out of YAML, which builds any object."""
    with pytest.raises(AttributeError, match="model_from_json"):
        rnn_engine.models.model_from_yaml  # noqa: B018


@pytest.mark.parametrize("kind", ["climbs", "symlink", "hardlink name", "hardlink target", "deep"])
@pytest.mark.parametrize("place", ["here", "/"])
def test_get_file_unpacks_nothing_outside(kind, place, tmp_path, monkeypatch):
    """CVE-2025-12060, CVE-2025-12638, CVE-2024-55459, and Keras's pull request 22973.

    And GHSA-hqp4-2352-xf5r: paths were compared with the folder that the program was started in.
    """
    if place == "/":
        monkeypatch.chdir("/")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "old").write_text("old")
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        _add(tar, "fine", b"fine")
        if kind == "climbs":
            _add(tar, "../../../outside/new", b"new")
        elif kind == "symlink":
            _link(tar, "way", tarfile.SYMTYPE, str(outside))
            _add(tar, "way/new", b"new")
        elif kind == "hardlink name":
            _link(tar, str(outside / "new"), tarfile.LNKTYPE, "fine")
        elif kind == "hardlink target":
            _link(tar, "way", tarfile.LNKTYPE, str(outside / "old"))
            _add(tar, "way", b"new")
        else:  # links so deep that the whole path is longer than a path may be
            place = "d" * 200
            for i in range(20):
                _link(tar, f"{'l' * i}l", tarfile.SYMTYPE, f"{place}/../{'l' * (i - 1)}l/..")
            _add(tar, f"{'l' * 20}/../../../outside/new", b"new")
    with pytest.warns(UserWarning):  # noqa: PT030  # of each member that is left out
        rnn_engine.utils.get_file(
            "a.tar", archive.as_uri(), extract=True, cache_dir=tmp_path / "cache"
        )
    assert {path.name for path in outside.iterdir()} == {"old"}
    assert (outside / "old").read_text() == "old"


def _add(tar, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _link(tar, name, kind, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    tar.addfile(info)
