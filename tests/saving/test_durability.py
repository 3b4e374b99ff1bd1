"""Kills, full disks, closed folders: the old file stays, and nothing is left lying about."""

import errno
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import rnn_engine
from rnn_engine.saving import load_model
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


@pytest.mark.parametrize("ending", [".keras", ".npz", ".weights.h5"])
def test_a_folder_that_is_not_there(ending, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save(cases.small_model(rnn_engine), tmp_path / "nowhere" / f"m{ending}")
    assert list(tmp_path.iterdir()) == []
