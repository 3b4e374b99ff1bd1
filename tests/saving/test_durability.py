"""Kills, full disks, closed folders: the old file stays, and nothing is left lying about."""

import errno
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import rnn_engine
from rnn_engine import callbacks, train
from rnn_engine.exporting import export_c
from rnn_engine.saving import convert, load_model, to_onnx, to_rtneural
from tests.saving import cases
from tests.saving.cases import assert_same

ROOT = Path(__file__).parents[2]
WHOLE = (".keras", ".npz", ".h5", ".safetensors")
NOBODY = 65534
ALL = (*WHOLE, ".weights.h5")

KILLS = """
import random, sys, tempfile
from tests.saving import kills
rng = random.Random(int(sys.argv[1]))
with tempfile.TemporaryDirectory() as folder:
    saves = kills.Saves(folder, rng)
    found = [saves.run() for _ in range(8)]
    assert not any(found), found
    assert not saves.litter(), saves.litter()
    assert saves.counts["old"] + saves.counts["new"] == 8 * len(kills.ENDINGS)
with tempfile.TemporaryDirectory() as folder:
    trainings = kills.Trainings(folder, rng)
    for _ in range(10):  # one may end before it is killed, where others slowed the one timed
        found = trainings.run(2)
        assert not found, found
        if trainings.kills:
            break
    assert trainings.kills
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_saves_and_trainings():
    """A dozen of what `make kills` does a thousand times."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", KILLS]
    done = subprocess.run(
        [*command, str(random.randrange(10**6))], cwd=ROOT, capture_output=True, text=True,
        timeout=300, env={**os.environ, "NUMBA_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout


def save(model, path):
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)


def load(path):
    if not path.name.endswith(".weights.h5"):
        return load_model(path)
    model = cases.small_model(rnn_engine)
    model.load_weights(path)
    return model


@pytest.fixture
def old(tmp_path):
    """A model that is saved in each format, in a folder."""
    model = cases.small_model(rnn_engine)
    for ending in ALL:
        save(model, tmp_path / f"m{ending}")
    return model


def larger():
    model = rnn_engine.Sequential(
        [rnn_engine.layers.Input((5, 64)), rnn_engine.layers.LSTM(128), rnn_engine.layers.Dense(2)]
    )
    model.compile("adam", "mse")
    return model


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("ending", ALL)
@pytest.mark.parametrize("limit", [0, 1000, 20_000, 100_000])
def test_no_room(ending, limit, old, tmp_path):
    """Where no more can be written, as on a full disk."""
    path, model = tmp_path / f"m{ending}", larger()
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError):  # noqa: PT011  # its text is the system's
            save(model, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {f"m{e}" for e in ALL}
    assert_same(load(path), old)
    save(model, path)
    assert path.stat().st_size > 100_000


@pytest.mark.parametrize("ending", ALL)
def test_a_full_disk(ending, old, tmp_path, monkeypatch):
    """The error of the system when the file is brought to the disk."""
    path = tmp_path / f"m{ending}"
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(larger(), path)
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {f"m{e}" for e in ALL}


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights as on Unix")
@pytest.mark.parametrize("ending", ALL)
def test_no_permission(ending):
    model = cases.small_model(rnn_engine)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"m{ending}"
        save(model, path)
        os.chmod(folder, 0o555)
        user = os.geteuid()
        try:
            if user == 0:  # who may write anywhere
                os.seteuid(NOBODY)
            with pytest.raises(PermissionError):
                save(larger(), path)
        finally:
            os.seteuid(user)
            os.chmod(folder, 0o700)
        assert [p.name for p in Path(folder).iterdir()] == [path.name]
        assert_same(load(path), model)


@pytest.mark.parametrize("ending", ALL)
def test_a_folder_as_target(ending, tmp_path):
    target = tmp_path / f"m{ending}"
    target.mkdir()
    (target / "kept").write_text("kept")
    with pytest.raises(IsADirectoryError, match=f"m{ending}"):
        save(cases.small_model(rnn_engine), target)
    assert [p.name for p in tmp_path.rglob("*")] == [f"m{ending}", "kept"]


# --- the other writers ----------------------------------------------------------------------


def checkpoint(model, path):
    train.Checkpoint(model=model).write(path.with_suffix(""))


def converting(model, path):
    """Convert a file that lies elsewhere, where there is room."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "m.npz")
        convert(Path(folder) / "m.npz", path)


def by_callback(model, path):
    """Train an epoch, at the end of which the model is saved."""
    x, y = np.zeros((2, 5, 64), "f4"), np.zeros((2, 2), "f4")
    model.fit(x, y, verbose=0, callbacks=[callbacks.ModelCheckpoint(path)])


OTHERS = {
    "onnx": ("m.onnx", to_onnx),
    "rtneural": ("m.json", to_rtneural),
    "checkpoint": ("m.npz", checkpoint),
    "weights.npz": ("m.weights.npz", lambda model, path: model.save_weights(path)),
    "weights.safetensors": ("m.safetensors", lambda model, path: model.save_weights(path)),
    "convert to keras": ("m.keras", converting),
    "convert to h5": ("m.h5", converting),
    "convert to weights": ("m.weights.h5", converting),
    "convert to onnx": ("m.onnx", converting),
    "convert to rtneural": ("m.json", converting),
    "ModelCheckpoint": ("m.keras", by_callback),
}


@contextmanager
def no_room(path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        yield OSError
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def full_disk(path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        yield OSError


@contextmanager
def closed_folder(path, monkeypatch):
    os.chmod(path.parent, 0o555)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
        yield PermissionError
    finally:
        os.seteuid(user)
        os.chmod(path.parent, 0o700)


WAYS = {"no room": no_room, "full disk": full_disk, "no permission": closed_folder}
# Where there is no room for the result of a conversion there is none for the source here.
PAIRS = [
    (name, way)
    for name in OTHERS
    for way in WAYS
    if way == "no permission" or not name.startswith("convert")
]


@pytest.mark.skipif(sys.platform != "linux", reason="limits and rights as on Linux")
@pytest.mark.parametrize(("name", "way"), PAIRS)
def test_other_writers(name, way, monkeypatch):
    file, write = OTHERS[name]
    model = larger()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / file
        write(model, path)
        before = path.read_bytes()
        with WAYS[way](path, monkeypatch) as error, pytest.raises(error):
            write(model, path)
        assert [p.name for p in Path(folder).iterdir()] == [file]
        assert path.read_bytes() == before
        write(model, path)
        assert [p.name for p in Path(folder).iterdir()] == [file]


@pytest.mark.parametrize("name", OTHERS)
def test_other_writers_and_a_folder(name, tmp_path):
    file, write = OTHERS[name]
    (tmp_path / file).mkdir()
    (tmp_path / file / "kept").write_text("kept")
    kind = OSError if name == "ModelCheckpoint" else IsADirectoryError  # as in Keras
    with pytest.raises(kind, match=re.escape(file)):
        write(larger(), tmp_path / file)
    assert [p.name for p in tmp_path.rglob("*")] == [file, "kept"]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="links as on Unix")
@pytest.mark.parametrize("name", [*OTHERS, *ALL])
def test_links_that_lead_nowhere(name, tmp_path):
    """A link to a file that is not there yet stays one; into a folder that is not, is an error."""
    file, write = OTHERS.get(name, (f"m{name}", save))
    link = tmp_path / file
    link.symlink_to(tmp_path / f"other-{file}")
    write(larger(), link)
    assert link.is_symlink()
    assert (tmp_path / f"other-{file}").stat().st_size > 10_000
    link.unlink()
    link.symlink_to(tmp_path / "nowhere" / file)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write(larger(), link)
    assert {p.name for p in tmp_path.iterdir()} == {file, f"other-{file}"}


def test_a_counter_counts_no_save_that_failed(tmp_path, monkeypatch):
    saved = train.Checkpoint(model=cases.small_model(rnn_engine))
    saved.save(tmp_path / "c")
    with full_disk(tmp_path / "c", monkeypatch), pytest.raises(OSError, match="No space left"):
        saved.save(tmp_path / "c")
    assert {p.name for p in tmp_path.iterdir()} == {"c-1.npz", "checkpoint"}
    assert saved.save(tmp_path / "c").endswith("c-2")


def test_a_backup_on_a_full_disk(tmp_path, monkeypatch):
    """The training ends with the system's error; the last backup is there, and goes on."""
    x, y = cases.data()

    class Full(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                self.context = full_disk(tmp_path, monkeypatch)
                self.context.__enter__()

    def train_on(*more):
        rnn_engine.utils.set_random_seed(3)
        model = cases.small_model(rnn_engine)
        backup = callbacks.BackupAndRestore(tmp_path / "backup")
        model.fit(x, y, epochs=4, verbose=0, callbacks=[backup, *more], shuffle=False)
        return model

    full = Full()
    with pytest.raises(OSError, match="No space left"):
        train_on(full)
    full.context.__exit__(None, None, None)
    assert not [
        p.name
        for p in (tmp_path / "backup").iterdir()
        if p.name.startswith(".") or ".tmp" in p.name
    ]
    whole = cases.small_model(rnn_engine)
    whole.fit(x, y, epochs=4, verbose=0, shuffle=False)
    assert_same(train_on(), whole)


def test_c_on_a_full_disk(tmp_path, monkeypatch):
    model = rnn_engine.Sequential(
        [rnn_engine.layers.Input((None, 3)), rnn_engine.layers.LSTM(4), rnn_engine.layers.Dense(2)]
    )
    convert_to_c = partial(export_c, model, tmp_path / "net")
    copied, real = [], shutil.copyfile

    def full(source, target):
        copied.append(source)
        if len(copied) % 3 == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        convert_to_c()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    convert_to_c()
    before = {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()}
    model.set_weights([w + 1 for w in model.get_weights()])
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        convert_to_c()
    assert {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()} == before


@pytest.mark.parametrize("ending", [".keras", ".npz", ".weights.h5"])
def test_a_folder_that_is_not_there(ending, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save(cases.small_model(rnn_engine), tmp_path / "nowhere" / f"m{ending}")
    assert list(tmp_path.iterdir()) == []
