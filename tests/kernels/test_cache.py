"""The cache of compiled kernels: private, never stale, and never in the way."""

import os
import shutil
import stat
import time
import types
from pathlib import Path

import numpy as np
import pytest

from rnn_engine.kernels import cache
from rnn_engine.kernels.options import kernel
from tests.kernels.process import ROOT, environment, finish, run, start

pytestmark = pytest.mark.jit

# How many processes start cold at once; `make soak` takes 16.
PROCESSES = int(os.environ.get("COLD_PROCESSES", "6"))

# A kernel without floats: it does not need the microkernel, and compiles in no time.
PROBE = """
import numpy as np
from rnn_engine.kernels import cache
from rnn_engine.kernels.gather import gather_time_major as gather

x = np.arange(24).reshape(2, 3, 4)
out = np.empty((3, 2, 4), x.dtype)
gather(x, np.arange(2), out)
print(cache.folder(), sum(gather.stats.cache_hits.values()), int(out.sum()))
"""
SUM = 24 * 23 // 2

FORWARD = """
import numpy as np
import rnn_engine
from rnn_engine.kernels.recurrent import launch

layer = rnn_engine.layers.SimpleRNN(5, seed=1, kernel_initializer="ones")
layer.cell.recurrent_initializer = rnn_engine.initializers.Constant(0.3)
y = layer(np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 4, 3))
print(sum(launch.run_forward.stats.cache_misses.values()), y.tobytes().hex())
"""


def probe(**changes):
    """Return the folder, the hits and the result of the probe in a fresh process."""
    place, hits, total = run(PROBE, **changes).split()
    assert int(total) == SUM
    return None if place == "None" else Path(place), int(hits)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_second_process_reads_what_the_first_one_wrote(tmp_path):
    base = tmp_path / "kernels"
    place, hits = probe(RNN_ENGINE_CACHE_DIR=str(base))
    assert hits == 0
    assert place.parent == base
    assert probe(RNN_ENGINE_CACHE_DIR=str(base)) == (place, 1)


def test_folder_is_private_under_any_umask(tmp_path):
    base = tmp_path / "kernels"
    code = "import os\nos.umask(0)\n" + PROBE
    run(code, RNN_ENGINE_CACHE_DIR=str(base))
    (place,) = base.iterdir()
    assert mode(base) == mode(place) == 0o700
    files = list(place.iterdir())
    assert files
    assert {mode(file) for file in files} == {0o600}


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_default_places(tmp_path, variable):
    changes = {"XDG_CACHE_HOME": None, variable: str(tmp_path)}
    place, _ = probe(RNN_ENGINE_CACHE_DIR=None, **changes)
    below = tmp_path if variable == "XDG_CACHE_HOME" else tmp_path / ".cache"
    assert place.parent == below / "rnn_engine"


def test_without_a_home():
    """With HOME unset the user's entry in the system counts; without one, nothing is kept."""
    gone = {"HOME": None, "XDG_CACHE_HOME": None, "RNN_ENGINE_CACHE_DIR": None}
    code = "import pwd\ndef none(uid): raise KeyError(uid)\npwd.getpwuid = none\n" + PROBE
    assert run(code, **gone).split() == ["None", "0", str(SUM)]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "kernels", Path("/proc/kernels")):
        assert probe(RNN_ENGINE_CACHE_DIR=str(place)) == (None, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    assert probe(RNN_ENGINE_CACHE_DIR=str(tmp_path)) == (None, 0)
    tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_full_folder_that_cannot_be_written_is_read(tmp_path):
    base = tmp_path / "kernels"
    place, _ = probe(RNN_ENGINE_CACHE_DIR=str(base))
    place.chmod(0o500)
    base.chmod(0o500)
    try:
        assert probe(RNN_ENGINE_CACHE_DIR=str(base)) == (place, 1)
    finally:
        base.chmod(0o700)
        place.chmod(0o700)


READ_ONLY = """
import os, tempfile
def refuse(*args, **kwargs):
    raise OSError(30, "Read-only file system")
os.mkdir = os.utime = tempfile.TemporaryFile = tempfile.mkstemp = refuse
"""


def test_full_folder_on_a_read_only_disk_is_read(tmp_path):
    base = tmp_path / "kernels"
    code = READ_ONLY + PROBE + "import rnn_engine; print(rnn_engine.info())"
    assert run(code, RNN_ENGINE_CACHE_DIR=str(base)).split()[:3] == ["None", "0", str(SUM)]
    place, _ = probe(RNN_ENGINE_CACHE_DIR=str(base))
    answer, *rows = run(code, RNN_ENGINE_CACHE_DIR=str(base)).splitlines()
    assert answer.split() == [str(place), "1", str(SUM)]
    (row,) = (row for row in rows if row.startswith("kernel cache"))
    assert row.endswith("(1 kernels, 0.0 MiB), read only: others are compiled at every start")


@pytest.mark.parametrize("permissions", [0o777, 0o1777, 0o775])
def test_folder_that_others_may_write_to_is_refused(tmp_path, permissions):
    base = tmp_path / "kernels"
    base.mkdir()
    base.chmod(permissions)
    assert probe(RNN_ENGINE_CACHE_DIR=str(base)) == (None, 0)
    assert mode(base) == permissions  # nor does it change what it was not asked to


def test_folder_that_others_may_replace_is_refused(tmp_path):
    outer = tmp_path / "outer"
    (outer / "kernels").mkdir(parents=True, mode=0o700)
    outer.chmod(0o777)
    assert probe(RNN_ENGINE_CACHE_DIR=str(outer / "kernels")) == (None, 0)
    outer.chmod(0o1777)  # sticky, as /tmp: nobody can
    assert probe(RNN_ENGINE_CACHE_DIR=str(outer / "kernels"))[0] is not None


OWN = os.geteuid()


@pytest.mark.parametrize(
    ("owner", "permissions", "private", "wanted"),
    [
        (0, 0o755, False, False),  # / and /home
        (0, 0o1777, False, False),  # /tmp
        (OWN, 0o700, False, False),
        (OWN, 0o755, False, False),
        (OWN, 0o775, True, False),  # made under umask 002
        (OWN, 0o2775, False, True),  # of a team
        (0, 0o775, False, True),
        (OWN, 0o777, True, True),
        (OWN + 1, 0o700, True, True),
        (OWN + 1, 0o1777, True, True),  # the owner may rename what lies in a sticky folder
    ],
)
def test_who_could_replace_a_folder(monkeypatch, owner, permissions, private, wanted):
    monkeypatch.setattr(cache, "_is_private_group", lambda group: private)
    info = types.SimpleNamespace(st_uid=owner, st_gid=5, st_mode=permissions)
    assert cache._lets_others_rename(info) is wanted


@pytest.mark.parametrize("inside", [False, True])
def test_owners_that_a_container_cannot_name(monkeypatch, inside):
    """In a user namespace the host's folders seem to be nobody's, those of its root too."""
    ids = "0 1000 1\n" if inside else "         0          0 4294967295\n"
    monkeypatch.setattr(
        cache.Path, "read_text", lambda path: ids if path.name == "uid_map" else "65534\n"
    )
    cache._owner_outside.cache_clear()
    try:
        info = types.SimpleNamespace(st_uid=65534, st_gid=65534, st_mode=0o755)
        assert cache._lets_others_rename(info) is not inside
        info.st_mode = 0o777
        assert cache._lets_others_rename(info)
    finally:
        cache._owner_outside.cache_clear()


@pytest.mark.parametrize(
    ("name", "members", "wanted"),
    [("eve", [], True), ("eve", ["eve"], True), ("eve", ["eve", "bob"], False),
     ("users", [], False), (None, [], False)],
)  # fmt: skip
def test_private_groups(monkeypatch, name, members, wanted):
    grp, pwd = pytest.importorskip("grp"), pytest.importorskip("pwd")

    def group(_):
        if name is None:
            raise KeyError("nobody knows it")
        return types.SimpleNamespace(gr_name=name, gr_mem=members)

    monkeypatch.setattr(grp, "getgrgid", group)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: types.SimpleNamespace(pw_name="eve"))
    assert cache._is_private_group(5) is wanted


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_folder_below_one_of_another_user_is_refused(tmp_path):
    outer = tmp_path / "outer"
    (outer / "kernels").mkdir(parents=True, mode=0o700)
    os.chown(outer, 65534, 65534)
    assert probe(RNN_ENGINE_CACHE_DIR=str(outer / "kernels")) == (None, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_folder_of_another_user_is_refused(tmp_path):
    base = tmp_path / "kernels"
    base.mkdir(mode=0o700)
    os.chown(base, 65534, 65534)
    assert probe(RNN_ENGINE_CACHE_DIR=str(base)) == (None, 0)


def test_nothing_is_written_into_the_install(tmp_path):
    install = tmp_path / "install"
    shutil.copytree(ROOT / "rnn_engine", install / "rnn_engine", ignore=_compiled)
    before = sorted(install.rglob("*"))
    for path in [*before, install]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        base = tmp_path / "kernels"
        assert probe(PYTHONPATH=str(install), RNN_ENGINE_CACHE_DIR=str(base))[0] is not None
        assert sorted(install.rglob("*")) == before
    finally:
        for path in [install, *before]:
            path.chmod(0o700)


def _compiled(folder, names):
    return [name for name in names if name == "__pycache__"]


# --- damaged files ----------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty cache folder of this process."""
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    return tmp_path


def total(x):
    result = 0
    for i in range(x.size):
        result += x[i]
    return result


def compiled_total(hit):
    """Compile `total` anew, check that it works and whether it came from a file."""
    function = kernel(total)
    assert function(np.arange(5)) == 10
    assert sum(function.stats.cache_hits.values()) == hit
    return function


def only_file(place):
    (file,) = place.iterdir()
    return file


@pytest.mark.parametrize("kept", [0, 1, 31, 32, 33, 1000, -1])
def test_truncated_file(place, kept):
    compiled_total(0)
    file = only_file(place)
    file.write_bytes(file.read_bytes()[:kept])
    compiled_total(0)
    compiled_total(1)


@pytest.mark.parametrize("position", [0, 31, 32, 40, 0.25, 0.5, 0.75, -1])
def test_flipped_bit(place, position):
    compiled_total(0)
    file = only_file(place)
    content = bytearray(file.read_bytes())
    index = int(len(content) * position) if isinstance(position, float) else position
    content[index] ^= 4
    file.write_bytes(content)
    compiled_total(0)
    compiled_total(1)


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"not a kernel" * 500])
def test_foreign_file(place, content):
    compiled_total(0)
    only_file(place).write_bytes(content)
    compiled_total(0)
    compiled_total(1)


def test_well_formed_file_of_something_else(place):
    """The hash is right, what it guards is not a compiled function."""
    import hashlib
    import pickle

    compiled_total(0)
    data = pickle.dumps(("a", "tuple"))
    only_file(place).write_bytes(hashlib.sha256(data).digest() + data)
    compiled_total(0)
    compiled_total(1)


def test_file_that_is_a_folder(place):
    compiled_total(0)
    file = only_file(place)
    file.unlink()
    file.mkdir()
    compiled_total(0)
    compiled_total(0)
    assert only_file(place).is_dir()  # and no temporary file is left


def test_folder_that_vanishes(place):
    compiled_total(0)
    shutil.rmtree(place)
    compiled_total(0)
    place.mkdir()
    compiled_total(0)
    compiled_total(1)


def test_folder_that_vanishes_is_made_anew(tmp_path):
    code = """
import os, shutil, stat
import numpy as np, rnn_engine
from rnn_engine.kernels import cache
rnn_engine.layers.SimpleRNN(4)(np.zeros((2, 3, 2), np.float32))
base = cache.folder().parent
shutil.rmtree(base)
rnn_engine.info()
rnn_engine.layers.Dense(4)(np.zeros((2, 3), np.float32))
print(stat.S_IMODE(base.stat().st_mode) == 0o700, len(cache.kernel_sizes()) > 0)
"""
    assert run(code, RNN_ENGINE_CACHE_DIR=str(tmp_path / "kernels")) == "True True\n"


def test_kernels_that_vanish_are_not_counted(place, monkeypatch):
    compiled_total(0)
    files = [only_file(place), place / "gone.kernel"]
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(files))
    assert cache.kernel_sizes() == [files[0].stat().st_size]
    monkeypatch.undo()
    monkeypatch.setattr(cache, "folder", lambda: place / "gone")
    assert cache.kernel_sizes() == []


def test_full_disk(place, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    compiled_total(0)
    assert list(place.iterdir()) == []


# --- never stale ------------------------------------------------------------------


@pytest.fixture
def install(tmp_path):
    """A copy of the package that a test may edit."""
    shutil.copytree(ROOT / "rnn_engine", tmp_path / "install" / "rnn_engine", ignore=_compiled)
    return tmp_path / "install"


def edit(path, old, new):
    """Replace text in a file and keep its size and its time, as careless tools do."""
    assert len(old) == len(new)
    text, times = path.read_text(), path.stat()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_edited_kernel(install, tmp_path):
    changes = {"PYTHONPATH": str(install), "RNN_ENGINE_CACHE_DIR": str(tmp_path / "kernels")}
    place, hits = probe(**changes)
    assert (place, 1) == probe(**changes)
    edit(install / "rnn_engine/kernels/gather.py", "= x[row, t, f]\n", "=-x[row, t, f]\n")
    other, hits, result = run(PROBE, **changes).split()
    assert (int(hits), int(result)) == (0, -SUM)
    assert Path(other) != place
    edit(install / "rnn_engine/kernels/gather.py", "=-x[row, t, f]\n", "= x[row, t, f]\n")
    assert probe(**changes) == (place, 1)


def test_edited_formula(install, tmp_path):
    """The kernel's own file is as it was; what it takes from another one is not."""
    changes = {"PYTHONPATH": str(install), "RNN_ENGINE_CACHE_DIR": str(tmp_path / "kernels")}
    code = """
import numpy as np
import rnn_engine
print(rnn_engine.activations.relu(np.float32([-2, 3])).tolist())
"""
    assert run(code, **changes) == "[0.0, 3.0]\n"
    file = install / "rnn_engine/kernels/formulas.py"
    begin = file.read_text().index("def relu(")
    old = file.read_text()[begin : begin + 300].partition("0.0, x)")
    assert old[1], "relu is written in another way now: see the test"
    edit(file, old[0] + old[1], old[0] + "5.0, x)")
    assert run(code, **changes) == "[5.0, 3.0]\n"


def test_sources_replaced_under_a_running_process(install, tmp_path):
    """Its code is that of the old sources: it must not be kept under the new ones' name."""
    changes = {"PYTHONPATH": str(install), "RNN_ENGINE_CACHE_DIR": str(tmp_path / "kernels")}
    file = install / "rnn_engine/kernels/gather.py"
    code = PROBE.replace(
        "x = np", f"open({str(file)!r}, 'a').write('# a new version\\n')\nx = np", 1
    )
    place, hits, result = run(code, **changes).split()
    assert (int(hits), int(result)) == (0, SUM)
    assert list(Path(place).iterdir()) == []
    assert probe(**changes)[1] == 0


@pytest.mark.parametrize(
    "change", [{"NUMBA_BOUNDSCHECK": "1"}, {"NUMBA_OPT": "1"}, {"NUMBA_CPU_NAME": "generic"}]
)
def test_options_of_numba_are_part_of_the_key(tmp_path, change):
    base = str(tmp_path / "kernels")
    assert probe(RNN_ENGINE_CACHE_DIR=base)[1] == 0
    assert probe(RNN_ENGINE_CACHE_DIR=base, **change)[1] == 0
    assert probe(RNN_ENGINE_CACHE_DIR=base, **change)[1] == 1
    assert probe(RNN_ENGINE_CACHE_DIR=base)[1] == 1


def test_numbas_own_cache_settings_do_not_interfere(tmp_path):
    changes = {"NUMBA_CACHE_LOCATOR_CLASSES": "no.such.Locator", "NUMBA_CACHE_DIR": "/proc/no"}
    base = str(tmp_path / "kernels")
    assert probe(RNN_ENGINE_CACHE_DIR=base, **changes)[1] == 0
    assert probe(RNN_ENGINE_CACHE_DIR=base, **changes)[1] == 1


def test_sources_that_are_not_files(monkeypatch, tmp_path):
    """In a zip, or as bytecode alone, two versions could not be told apart."""
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cache.py"))
    assert cache._hash_of_sources() is None


# --- old versions -----------------------------------------------------------------


def test_folders_that_nobody_uses_are_removed(tmp_path):
    base = tmp_path / "kernels"
    base.mkdir(mode=0o700)
    old, recent, foreign, link = (
        base / name for name in ("0" * 16, "1" * 16, "my notes", "2" * 16)
    )
    outside = tmp_path / "outside"
    for path in (old, recent, foreign, outside):
        path.mkdir()
        (path / "file.kernel").touch()
    link.symlink_to(outside)
    long_ago = time.time() - 31 * 24 * 3600
    for path in (old, foreign, outside):
        os.utime(path, (long_ago, long_ago))
    place, _ = probe(RNN_ENGINE_CACHE_DIR=str(base))
    assert not old.exists()
    for path in (recent, foreign, outside, link, place):
        assert path.is_dir()
    assert (outside / "file.kernel").exists()


def test_use_keeps_a_folder_young(tmp_path):
    base = tmp_path / "kernels"
    place, _ = probe(RNN_ENGINE_CACHE_DIR=str(base))
    os.utime(place, (0, 0))
    probe(RNN_ENGINE_CACHE_DIR=str(base))
    assert time.time() - place.stat().st_mtime < 3600


# --- together ---------------------------------------------------------------------


def test_cold_start_of_many_processes_at_once(tmp_path):
    changes = {"RNN_ENGINE_CACHE_DIR": str(tmp_path / "kernels")}
    processes = [start(FORWARD, **changes) for _ in range(PROCESSES)]
    answers = {finish(process, seconds=600).split()[1] for process in processes}
    assert len(answers) == 1
    (place,) = (tmp_path / "kernels").iterdir()
    assert {file.suffix for file in place.iterdir()} == {".kernel"}
    misses, answer = run(FORWARD, **changes).split()
    assert misses == "0"
    assert {answer} == answers


def test_environment_of_the_tests_is_clean():
    assert not [key for key in environment() if key.startswith("NUMBA_")]
    assert environment(HOME=None).get("HOME") is None
