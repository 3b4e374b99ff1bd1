"""Whatever is wrong with a file, reading it ends in one kind of error that names it."""

import json
import zipfile

import numpy as np
import pytest

import rnn_engine
from rnn_engine.saving import load_model, model_from_json
from tests.saving import cases, fuzz
from tests.saving.test_budgets import header

pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    return fuzz.Fuzzer(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize(("ending", "way"), fuzz.PAIRS)
def test_damaged_files(ending, way, fuzzer):
    """Some of each format and way to read; `make fuzz` runs more."""
    count = 100 if way == "load" else 40
    wrong = {seed: fuzzer.run(ending, seed, way) for seed in range(count)}
    assert not {seed: text for seed, text in wrong.items() if text and "took" not in text}


# What was found once, each a config that ended in another error than the promised one.
CONFIGS = {
    "build_config that is a list": lambda c: c.update(build_config=[1]),
    "compile_config that is a list": lambda c: c.update(compile_config=["adam"]),
    "class_name that is a number": lambda c: c["config"]["layers"][1].update(class_name=5),
    "no config": lambda c: c["config"]["layers"][1].update(config=None),
    "large": lambda c: c["config"]["layers"][1]["config"].update(units=10**15),
    "text for a number": lambda c: c["config"]["layers"][1]["config"].update(dropout="x"),
    "deep": lambda c: c["config"].update(name=json.loads("[" * 900 + "]" * 900)),
    "objects": lambda c: c["config"]["layers"][1]["config"].update(
        units={"class_name": "__numpy__", "config": {"value": [{}], "dtype": "object"}}
    ),
    "long numbers": lambda c: c["config"]["layers"][1]["config"].update(
        units={"class_name": "__numpy__", "config": {"value": [1], "dtype": "S1000000000"}}
    ),
    "layers that are no list": lambda c: c["config"].update(layers={"a": 1}),
    "optimizer that is a list": lambda c: c["compile_config"].update(optimizer=[1]),
    "loss that is a number": lambda c: c["compile_config"].update(loss=3),
    "unhashable": lambda c: c["config"]["layers"][1].update(registered_name=[1]),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("ending", [".npz", ".keras", ".safetensors"])
def test_damaged_configs(name, ending, tmp_path):
    model = cases.small_model(rnn_engine)
    model.save(tmp_path / f"a{ending}")
    if ending == ".safetensors":

        def change(entries):
            metadata = entries["__metadata__"]
            metadata["config"] = json.dumps(changed(json.loads(metadata["config"])))

        def changed(config):
            CONFIGS[name](config)
            return config

        path = header(tmp_path, "b", change)
        with pytest.raises(ValueError, match=r"b\.safetensors"):
            load_model(path)
        return
    with zipfile.ZipFile(tmp_path / f"a{ending}") as old:
        members = {member: old.read(member) for member in old.namelist()}
    config = json.loads(members["config.json"])
    CONFIGS[name](config)
    members["config.json"] = json.dumps(config)
    path = tmp_path / f"b{ending}"
    with zipfile.ZipFile(path, "w") as new:
        for member, content in members.items():
            new.writestr(member, content)
    with pytest.raises(ValueError, match=rf"b\{ending}"):
        load_model(path)
    with pytest.raises(ValueError, match="config"):
        model_from_json(members["config.json"])


def test_metrics_that_are_false(tmp_path):
    """Taken as none, as by Keras, and so written again."""
    model = cases.small_model(rnn_engine)
    model.compile("adam", "mse", metrics=False, weighted_metrics=0)
    model.save(tmp_path / "m.npz")
    assert load_model(tmp_path / "m.npz").get_compile_config()["metrics"] is None


def test_deep_config_of_keras_2():
    """A text of Keras 2 that is translated first, down to its last list."""
    deep = json.loads("[" * 500 + "]" * 500)
    layers = [{"class_name": "Dense", "config": {"units": deep}}]
    config = {"class_name": "Sequential", "config": {"layers": layers}, "keras_version": "2.15.0"}
    with pytest.raises(ValueError, match="json_string is damaged"):
        model_from_json(json.dumps(config))


@pytest.mark.parametrize("header", fuzz.HEADERS, ids=range(len(fuzz.HEADERS)))
def test_damaged_headers(header, tmp_path):
    model = cases.small_model(rnn_engine)
    model.save(tmp_path / "a.npz")
    name = "layers/simple_rnn/cell/vars/0.npy"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    with (
        zipfile.ZipFile(tmp_path / "a.npz") as old,
        zipfile.ZipFile(tmp_path / "b.npz", "w") as new,
    ):
        for member in old.namelist():
            new.writestr(member, content if member == name else old.read(member))
    with pytest.raises(ValueError, match=r"b\.npz"):
        load_model(tmp_path / "b.npz")


def test_ways_to_pack(tmp_path):
    """Bytes that LZMA cannot read, and encrypted members, are told as such."""
    model = cases.small_model(rnn_engine)
    model.save(tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 8] |= 1  # encrypted, says the list of members
    (tmp_path / "b.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.npz: metadata\.json is encrypted"):
        load_model(tmp_path / "b.npz")
    content[at + 8] &= ~1
    content[at + 10] = zipfile.ZIP_LZMA
    (tmp_path / "b.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.npz: metadata\.json is neither stored nor deflated"):
        load_model(tmp_path / "b.npz")


def test_one_bit_of_a_weight(tmp_path):
    """The numbers of a stored member are read into their place, and the checksum with them."""
    path = tmp_path / "m.npz"
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(64, input_shape=(64,))])
    model.save(path)
    content = bytearray(path.read_bytes())
    place = content.index(model.layers[0].kernel.value.tobytes())
    content[place + 8192] ^= 1  # behind what is read with the array's own header
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"checksum of .*\.npy is wrong"):
        load_model(path)


def test_arrays_in_other_orders(tmp_path):
    """Fortran's order and other machines' numbers are read as what they are."""
    model = cases.small_model(rnn_engine)
    model.save(tmp_path / "a.npz")
    with (
        np.load(tmp_path / "a.npz") as file,
        zipfile.ZipFile(tmp_path / "a.npz") as old,
        zipfile.ZipFile(tmp_path / "b.npz", "w") as new,
    ):
        for member in old.namelist():
            if member.endswith(".npy"):
                values = file[member.removesuffix(".npy")]
                values = np.asfortranarray(values) if values.ndim else values
                with new.open(member, "w") as target:
                    swapped = values.astype(values.dtype.newbyteorder(">"))
                    np.lib.format.write_array(target, swapped)
            else:
                new.writestr(member, old.read(member))
    cases.assert_same(load_model(tmp_path / "b.npz"), model)
