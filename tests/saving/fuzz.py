"""Damage files where it is likely to matter, and see that reading ends as it should.

Each run takes a file that loads, ours or one that a version of Keras or PyTorch wrote, changes its
config, its headers or its bytes, and loads, shows, verifies or converts it: that is done, or
refused by a `ValueError` that names the file, within a second and without growing; a refused
conversion leaves nothing behind, refused weights change none. ``make fuzz N=100000`` runs it for
long (`fuzz_pool`); the suite runs some hundred of each format.
"""

import contextlib
import functools
import io
import json
import random
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

import rnn_engine
from rnn_engine.saving import (
    convert,
    from_onnx,
    from_torch,
    load_model,
    model_from_json,
    show,
    verify,
)
from rnn_engine.train import Checkpoint
from tests.saving.fuzz_onnx import OWN_GRAPHS, damaged_onnx, graphs_to_damage

WRITTEN = Path(__file__).parent / "written"

ODD = [
    None, True, False, 0, 1, -1, 5, 10**15, -(10**15), 1e308, float("nan"), float("inf"), 0.5, "",
    "x", "tanh", "Dense", "__lambda__", "function", "a" * 200, [], {}, [[]], [None, 3],
    [1, 2, 3, 4, 5], ["x"], {"class_name": "Dense", "config": {}}, {"class_name": 5},
    {"class_name": None, "config": []}, {"class_name": "function", "config": "mse"},
    {"class_name": "__numpy__", "config": {"value": [1, "x"], "dtype": "object"}},
    {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}},
    {"class_name": "__tuple__", "items": 3}, {"class_name": "__keras_tensor__", "config": {}},
    {"class_name": "Sequential", "config": {"layers": []}, "shared_object_id": [1]},
    {"class_name": "SimpleRNN", "config": {"units": 3}, "shared_object_id": 1},
    {"module": "os", "class_name": "system", "config": {"command": "true"}},
]  # fmt: skip
HEADERS = [
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (4",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (4, 4), }",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -4), }",
    b"{'descr': '<f4', 'fortran_order': True, 'shape': (16,), }",
    b"{'descr': '<f4', 'fortran_order': 3, 'shape': (10**99,), }",
    b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4, 4), }",
    b"{'descr': '<M8[s]', 'fortran_order': False, 'shape': (4, 4), }",
    b"{'shape': (4, 4)}",
    b"(" * 900,
    b"-" * 3000,
]


def model_to_damage():
    """Return a model with a bit of everything, trained for a step."""
    layers = rnn_engine.layers
    model = rnn_engine.Sequential([
        layers.Input((5,), dtype="int32"),
        layers.Embedding(7, 4, mask_zero=True),
        layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(4, "elu", kernel_regularizer="l2")),
        layers.RNN([layers.SimpleRNNCell(3), layers.SimpleRNNCell(2)], return_sequences=True),
        layers.LayerNormalization(),
        layers.Dropout(0.5, seed=3),
        rnn_engine.Sequential([layers.SimpleRNN(2, kernel_constraint="max_norm")]),
        layers.Dense(2, name="last"),
    ])  # fmt: skip
    rate = rnn_engine.optimizers.schedules.ExponentialDecay(0.01, 5, 0.5)
    model.compile(
        rnn_engine.optimizers.Adam(rate),
        rnn_engine.losses.Huber(0.5),
        metrics=["mae", rnn_engine.metrics.MeanSquaredError(name="m")],
    )
    model.fit(np.arange(10).reshape(2, 5) % 7, np.ones((2, 2)), verbose=0)
    return model


def small_model():
    """Return a model of which each byte matters more."""
    layers = rnn_engine.layers
    model = rnn_engine.Sequential(
        [layers.Input((None, 2)), layers.GRU(2, name="g"), layers.Dense(1, name="d")]
    )
    model.compile("sgd", "mse")
    return model


def damaged_json(text, rng):
    """Change some places of a JSON text, or the text itself."""
    kind = rng.random()
    if kind < 0.05:
        cut = rng.randrange(len(text))
        return text[:cut] + rng.choice(["", "{", "[" * 900, '"', "\\", "\x00"]) + text[cut + 1 :]
    try:
        config = json.loads(text)
    except ValueError:  # other damage was first
        return text
    for _ in range(rng.randint(1, 3)):
        places = list(_places(config)) if isinstance(config, dict | list) else []
        if not places:
            break
        holder, key = rng.choice(places)
        how = rng.random()
        if how < 0.15 and isinstance(holder, dict):
            del holder[key]
        elif how < 0.3:
            other, place = rng.choice(places)
            with contextlib.suppress(LookupError, RecursionError):  # gone with what held it
                holder[key] = json.loads(json.dumps(other[place]))
        elif how < 0.33:
            holder[key] = json.loads("[" * 500 + "]" * 500)
        else:
            holder[key] = json.loads(json.dumps(rng.choice(ODD)))
    try:
        return json.dumps(config)
    except RecursionError:  # what is deep was put into what is deep
        return text


def _places(value):
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def damaged_bytes(content, rng):
    """Change, cut or repeat some bytes."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        if not content:
            break
        at = rng.randrange(len(content))
        how = rng.random()
        if how < 0.6:
            content[at] ^= 1 << rng.randrange(8)
        elif how < 0.8:
            size = rng.choice([1, 2, 4, 8])
            content[at : at + size] = rng.choice([b"\xff", b"\x00", b"\x7f"]) * size
        elif how < 0.9:
            del content[at : at + rng.randint(1, 64)]
        else:
            content[at:at] = content[at : at + rng.randint(1, 64)]
    return bytes(content) or b"x"


def damaged_archive(content, rng):
    """Damage a member of a zip archive, its name, or how it is packed."""
    if rng.random() < 0.2:
        return damaged_bytes(content, rng)
    members = _members(content)
    texts = [name for name in members if name.endswith(".json")]
    texts = texts or [name for name in members if name.endswith(".pkl")] or list(members)
    victim = rng.choice(texts) if rng.random() < 0.7 else rng.choice(list(members))
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", compresslevel=1) as new:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in members.items():
            packed = rng.choice([0, 0, 0, 8, 8])
            if name == victim:
                packed = rng.choice([packed, packed, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
                data, name = _damaged_member(name, data, rng)
            if data is not None:
                new.writestr(name, data, packed)
    return out.getvalue()


@functools.cache
def _members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@functools.cache
def _objects(content):
    """Return the names of what lies in an HDF5 file."""
    import h5py

    names = []
    with h5py.File(io.BytesIO(content)) as h5:
        h5.visit(names.append)
    return names


def _damaged_member(name, data, rng):
    how = rng.random()
    if how < 0.05:
        return None, name
    if how < 0.1:
        return data, rng.choice(["config.json", "x", f"../{name}", "layers/vars/0.npy", name * 2])
    if name.endswith(".json"):
        return damaged_json(data.decode(), rng).encode("utf-8", "surrogatepass"), name
    if name.endswith(".npy") and rng.random() < 0.7:
        header = rng.choice(HEADERS)
        return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data[128:], name
    return damaged_bytes(data, rng), name


def damaged_hdf5(content, rng):
    """Damage an HDF5 file by its own means, or its bytes."""
    import h5py

    if rng.random() < 0.3:
        return damaged_bytes(content, rng)
    file = io.BytesIO(content)
    with h5py.File(file, "a") as h5:
        names = _objects(content)
        for _ in range(rng.randint(1, 3)):
            name = rng.choice(names)
            if name in h5:
                _damage_object(h5, name, rng)
        for text in ("model_config", "training_config"):
            if isinstance(h5.attrs.get(text), str) and rng.random() < 0.7:
                damaged = damaged_json(h5.attrs[text], rng).replace("\x00", "")
                h5.attrs[text] = damaged.encode("utf-8", "replace").decode()
    return file.getvalue()


def _damage_object(h5, name, rng):
    import h5py

    item, how = h5[name], rng.random()
    attributes = list(item.attrs)
    if attributes and how < 0.5:
        values = ["x", 5, b"\xff", [1, 2], ["a", "b"], np.zeros(0), np.zeros((2, 2), "S3"), "/"]
        item.attrs[rng.choice(attributes)] = rng.choice(values)
        return
    parent, last = h5[name.rpartition("/")[0] or "/"], name.rpartition("/")[2]
    del parent[last]
    what = rng.randrange(7)
    if what == 1:
        parent[last] = rng.choice([h5py.SoftLink("/"), h5py.ExternalLink("/etc/passwd", "/")])
    elif what == 2:
        parent[last] = rng.choice([1.0, "x", np.zeros(3, "i8"), np.zeros((4, 4, 4), "f2")])
    elif what == 3:
        parent.create_dataset(last, (1 << 40,), "f4", chunks=(1 << 10,))
    elif what == 4:
        parent.create_dataset(last, (4, 4), rng.choice(["f4,i4", "S4", "c8", "?"]))
    elif what == 5:
        with contextlib.suppress(OSError):  # below what was linked to another file before
            parent[last] = h5["/"]
    elif what == 6:
        parent.create_group(f"{last}/vars/7")


def damaged_safetensors(content, rng):
    """Damage the header of a safetensors file, its length, the config in it, or any bytes."""
    how = rng.random()
    if how < 0.2:
        return damaged_bytes(content, rng)
    size = int.from_bytes(content[:8], "little")
    header, rest = json.loads(content[8 : 8 + size]), content[8 + size :]
    if how < 0.6:
        metadata = header["__metadata__"]
        metadata["config"] = damaged_json(metadata["config"], rng)
    elif how < 0.7:
        _damage_entry(header, rng)
    text = damaged_json(json.dumps(header), rng) if how >= 0.7 else json.dumps(header)
    text = text.encode("utf-8", "surrogatepass")
    size = rng.choice([0, 1, 1 << 26, 1 << 63, size]) if how > 0.95 else len(text)
    return size.to_bytes(8, "little") + text + rest


def _damage_entry(header, rng):
    entry = header[rng.choice([name for name in header if name != "__metadata__"])]
    what = rng.randrange(4)
    if what == 0:
        entry["dtype"] = rng.choice(["F16", "F64", "BF16", "F8_E4M3", "BOOL", "O", "C64", "f32"])
    elif what == 1:
        entry["shape"] = rng.choice([[1 << 62, 4], [1 << 32, 1 << 32], [-1], [0], [], [2.5], "x"])
    elif what == 2:
        entry["data_offsets"] = rng.choice(
            [[0, 1 << 62], [8, 0], [-4, 4], [0], [1 << 64, 1], [0, 4]]
        )
    else:
        other = rng.choice(list(header))
        entry["data_offsets"] = header[other].get("data_offsets", [0, 4])


FORMATS = {
    ".safetensors": damaged_safetensors,
    ".pt": damaged_archive,
    ".onnx": lambda content, rng: damaged_onnx(content, rng, damaged_bytes),
    ".npz": damaged_archive,
    # That of Keras 2.12 is HDF5 inside.
    ".keras": lambda content, rng: (damaged_archive if content.startswith(b"PK") else damaged_hdf5)(
        content, rng
    ),
    ".h5": damaged_hdf5,
    ".weights.h5": damaged_hdf5,
    ".legacy.h5": damaged_hdf5,  # weights of Keras 2
    ".ckpt.npz": damaged_archive,
    ".json": lambda content, rng: damaged_json(content.decode(), rng).encode("utf-8", "replace"),
}
OWN = (".safetensors", ".npz", ".keras", ".h5")
# Which formats are read in which way.
WAYS = {
    "load": tuple(FORMATS),
    "weights": OWN,
    "show": (*OWN, ".weights.h5"),
    "verify": OWN,
    "convert": (*OWN, ".onnx", ".pt"),
}
PAIRS = [(ending, way) for way, endings in WAYS.items() for ending in endings]
TARGETS = (".keras", ".npz", ".h5", ".weights.h5", ".safetensors", ".onnx", ".json")
LEGACY = WRITTEN / "2.15-plain-legacyw.h5"


class Fuzzer:
    """Files of all formats, and a count of what became of damaged ones."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.model = model_to_damage()
        self.old = load_model(WRITTEN / "2.15-plain-m.h5")
        self.contents = {ending: self._contents(ending) for ending in FORMATS}
        self.counts = Counter()
        models = {".weights.h5": self.model, ".ckpt.npz": self.model, ".legacy.h5": self.old}
        self._kept = {
            ending: (model, [np.array(v) for v in model.variables])
            for ending, model in models.items()
        }

    def _contents(self, ending):
        """Return files that load, ours first: of whole models a large one and a small one."""
        path = self.folder / f"good{ending}"
        if ending == ".onnx":
            return graphs_to_damage(path)
        if ending == ".pt":
            return [p.read_bytes() for p in sorted((WRITTEN / "torch").glob("*.pt"))]
        if ending == ".legacy.h5":
            return [LEGACY.read_bytes()]
        if ending == ".json":
            model, graph = self.model, load_model(WRITTEN / "2.15-elayers-m.keras")
            texts = [model.to_json(), graph.to_json()]
            texts.append((WRITTEN / "2.15-names-model.json").read_text())
            return [text.encode() for text in texts]
        if ending == ".ckpt.npz":
            self._checkpoint().write(path.with_suffix(""))
        elif ending == ".weights.h5":
            self.model.save_weights(path)
        else:
            self.model.save(path)
        found = [path.read_bytes()]
        if ending in OWN:
            small_model().save(path)
            found.append(path.read_bytes())
        if ending in (".keras", ".h5"):
            found += [p.read_bytes() for p in sorted(WRITTEN.glob(f"*-m{ending}"))]
        if ending in (".npz", ".keras"):
            found += [p.read_bytes() for p in sorted((WRITTEN / "own").glob(f"*{ending}"))]
        return found

    def _checkpoint(self):
        return Checkpoint(model=self.model, optimizer=self.model.optimizer)

    def run(self, ending, seed, way="load"):
        """Read one damaged file; return what is wrong with how that ended, or an empty text."""
        rng = random.Random(seed)
        contents = self.contents[ending]
        # Half of the files are ours, most of those small: so more of them is damaged.
        ours = (
            contents[:OWN_GRAPHS]
            if ending == ".onnx"
            else contents[:2]
            if ending in OWN
            else contents
        )
        content = rng.choice(ours)
        if way == "weights" or rng.random() < 0.15:
            content = contents[0]
        elif rng.random() < 0.6:
            content = rng.choice(contents)
        return self.read(ending, FORMATS[ending](content, rng), way, rng.choice(TARGETS))

    def read(self, ending, content, way="load", target=".npz"):
        """Read a file; return what is wrong with how that ended, or an empty text."""
        path, target = self.folder / f"damaged{ending}", self.folder / f"target{target}"
        path.write_bytes(content)
        begin = time.process_time()  # of this process, as the machine may have others
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._read(ending, path, content, way, target)
            self.counts["read"] += 1
        except ValueError as error:
            self.counts["refused"] += 1
            name = "json_string" if ending == ".json" else path.name
            # What a target cannot hold is told by the layer's name.
            if name not in str(error) and "the config" not in str(error) and way != "convert":
                return f"unnamed: {error!r}"
            if target.exists():
                return f"left {target.name} behind"
            if self._has_changed(ending, way):
                return f"refused, and weights have changed: {error!r}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            took = time.process_time() - begin
            target.unlink(missing_ok=True)
            self._put_back(ending, way)
        return f"took {took:.1f} s" if took > 1 else ""

    def _read(self, ending, path, content, way, target):
        if way == "convert":
            convert(path, target)
        elif way in ("show", "verify"):
            {"show": show, "verify": verify}[way](path)
        elif way == "weights" or ending == ".weights.h5":
            self.model.load_weights(path)
        elif ending == ".legacy.h5":
            self.old.load_weights(path, by_name=len(content) % 2 == 1)
        elif ending == ".json":
            model_from_json(content.decode("utf-8", "replace"))
        elif ending == ".ckpt.npz":
            self._checkpoint().read(path.with_suffix(""))
        elif ending == ".onnx":
            from_onnx(path)
        elif ending == ".pt":
            from_torch(path)
        else:
            load_model(path)

    def _target(self, ending, way):
        return self._kept.get(".weights.h5" if way == "weights" else ending)

    def _has_changed(self, ending, way):
        if not (kept := self._target(ending, way)):
            return False
        model, values = kept
        return any(
            np.asarray(v).tobytes() != value.tobytes()
            for v, value in zip(model.variables, values, strict=True)
        )

    def _put_back(self, ending, way):
        if kept := self._target(ending, way):
            model, values = kept
            for variable, value in zip(model.variables, values, strict=True):
                variable.assign(value)
