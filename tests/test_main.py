"""`python -m rnn_engine`, `info`, `warmup` and the word on the terminal while compiling."""

import getpass
import os
import platform
import re
import select
import subprocess
import sys
import time

import numpy as np
import pytest

import rnn_engine
from rnn_engine.__main__ import main
from rnn_engine.kernels import cores, notice, threads
from rnn_engine.kernels.compiler import LIBRARY
from rnn_engine.system import info, information, warmup
from tests.kernels.process import environment, run

ROWS = ("rnn_engine", "versions", "platform", "CPU", "CPU features", "vector width", "threads",
        "kernels", "kernel cache", "settings")  # fmt: skip


def table(text):
    """Return the lines of `info` by their names."""
    return {line[:15].strip(): line[16:] for line in text.splitlines()}


# --- info -------------------------------------------------------------------------


def test_info_tells_everything(capsys):
    assert main(["info"]) == 0
    found = table(capsys.readouterr().out)
    assert tuple(found) == ROWS
    assert all(found.values())
    assert found["rnn_engine"] == rnn_engine.__version__
    assert f"NumPy {np.__version__}" in found["versions"]
    assert f"Python {platform.python_version()}" in found["versions"]
    assert platform.machine() in found["platform"]
    assert found["threads"].startswith(f"{rnn_engine.get_num_threads()} ")


def test_info_names_neither_user_nor_machine(tmp_path, monkeypatch):
    name = "isolde"
    home = tmp_path / name
    home.mkdir()
    changes = {
        "USER": name,
        "LOGNAME": name,
        "HOME": str(home),
        "XDG_CACHE_HOME": None,
        "RNN_ENGINE_KERNELS": "jit",
    }
    code = "import rnn_engine.system; print(rnn_engine.system.info())"
    found = run(code, RNN_ENGINE_CACHE_DIR=None, **changes)
    assert table(found)["kernel cache"].startswith("~/.cache/rnn_engine/")
    assert name not in found
    assert platform.node() not in found.split()
    elsewhere = run(code, RNN_ENGINE_CACHE_DIR=str(tmp_path / f"of-{name}" / name), **changes)
    assert "/USER/" in table(elsewhere)["kernel cache"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("/home/eve/x", "~/x"), ("/home/eve", "~"), ("/home/evelyn", "/home/evelyn"),
     ("/data/eve/x", "/data/USER/x"), ("believe", "believe")],
)  # fmt: skip
def test_user_names_in_paths(monkeypatch, text, wanted):
    monkeypatch.setenv("HOME", "/home/eve")
    monkeypatch.setattr(getpass, "getuser", lambda: "eve")
    assert information._without_user(text) == wanted


@pytest.mark.jit
def test_info_on_a_quota_and_a_missing_cache(monkeypatch):
    monkeypatch.setattr(cores, "cgroup_quota", lambda: 1.5)
    monkeypatch.setattr(information.cache, "folder", lambda: None)
    found = table(info())
    assert "cgroup quota 1.5" in found["threads"]
    assert found["kernel cache"].startswith("none: ")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 CPUs")
@pytest.mark.parametrize(
    ("cpu", "features", "wanted"),
    [
        ("haswell", "+avx,+avx2,+fma", "256 bits, 16 registers"),
        ("generic", "", "128 bits, 16 registers"),
        ("icelake-server", "+avx,+avx2,+fma,+avx512f,+avx512bw,+avx512dq,+avx512vl,+evex512",
         "512 bits, 32 registers; LLVM prefers 256"),
    ],
)  # fmt: skip
def test_info_on_the_vector_width(cpu, features, wanted):
    code = "import rnn_engine.system; print(rnn_engine.system.info())"
    found = table(run(code, NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES=features))
    assert found["vector width"].startswith(wanted)
    assert f"NUMBA_CPU_NAME={cpu}" in found["settings"]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AVX is of x86 CPUs")
def test_without_avx():
    """Numba takes AVX out of what LLVM finds: wider registers would end the process."""
    code = """
import numpy as np, rnn_engine
layer = rnn_engine.layers.SimpleRNN(4)
assert layer(np.zeros((2, 3, 2), np.float32)).shape == (2, 4)
print(rnn_engine.info())
"""
    found = table(run(code, NUMBA_ENABLE_AVX="0"))
    assert "avx" not in found["CPU features"]
    assert found["vector width"] == "128 bits, 16 registers"


def test_wrong_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["cook"])
    assert ended.value.code == 2
    assert "cook" in capsys.readouterr().err


def command(*arguments, **changes):
    """Start `python -m rnn_engine`."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "rnn_engine", *arguments], env=environment(**changes),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_info_on_a_path_that_the_output_cannot_show(tmp_path):
    base = str(tmp_path / "caf\xe9")
    process = command("info", RNN_ENGINE_CACHE_DIR=base, PYTHONIOENCODING="ascii")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert b"caf\\xe9/" in out


def test_info_that_nobody_reads():
    process = command("info")
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(timeout=60) == 1


def test_without_numbas_compiler():
    process = command("info", NUMBA_DISABLE_JIT="1")
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    last = err.decode().splitlines()[-1]
    assert last.startswith("ImportError: rnn_engine cannot run without Numba's compiler")
    assert "unset the environment variable NUMBA_DISABLE_JIT" in last


# --- warmup -----------------------------------------------------------------------

PROGRAM = """
import numpy as np
import rnn_engine

x = np.random.default_rng(0).normal(size=(200, 20, 8)).astype(np.float32)
L = rnn_engine.layers
for units, loss, activation, y, kinds in (
    (5, "mse", None, x[:, 0, :2], (L.SimpleRNN, L.SimpleRNN)),
    (64, "categorical_crossentropy", "softmax", np.eye(2)[np.arange(200) % 2],
     (L.SimpleRNN, L.SimpleRNN)),
    (64, "mse", None, x[:, 0, :2], (L.LSTM, L.GRU)),
):
    model = rnn_engine.Sequential([
        kinds[0](units, return_sequences=True, input_shape=(20, 8)),
        kinds[1](units),
        rnn_engine.layers.Dense(300),
        rnn_engine.layers.Dense(2, activation=activation),
    ])
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=1, validation_split=0.2, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x[:1], verbose=0)
    model.predict(x, verbose=0)
    model.predict_on_batch(x)
    model.train_on_batch(x, y)
    model(x)
"""


@pytest.mark.jit
def test_warmup_leaves_nothing_to_compile(tmp_path):
    base = str(tmp_path / "kernels")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rnn_engine", "warmup"],
        env=environment(RNN_ENGINE_CACHE_DIR=base), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"\d+ kernels in .*, ready after .* s\n", done.stdout)
    (place,) = (tmp_path / "kernels").iterdir()
    ready = sorted(place.iterdir())
    run(PROGRAM, RNN_ENGINE_CACHE_DIR=base)
    assert sorted(place.iterdir()) == ready


@pytest.mark.jit
def test_warmup_where_nothing_can_be_kept():
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rnn_engine", "warmup"],
        env=environment(RNN_ENGINE_CACHE_DIR="/proc/no"), capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 1
    assert "set RNN_ENGINE_CACHE_DIR" in done.stderr


@pytest.mark.jit
def test_warmup_leaves_no_traces():
    def next_ones():
        rnn_engine.utils.set_random_seed(3)
        yield
        layer = rnn_engine.layers.SimpleRNN(3)
        layer.build((None, 2, 2))
        yield layer.name, [w.tobytes() for w in layer.get_weights()]

    plain = next_ones()
    next(plain)
    name, weights = next(plain)
    warmed = next_ones()
    next(warmed)
    before = threads.SERIAL_WORK, rnn_engine.get_num_threads()
    warmup("float32")
    assert (threads.SERIAL_WORK, rnn_engine.get_num_threads()) == before
    other_name, other_weights = next(warmed)
    assert other_weights == weights
    number = int(name.rpartition("_")[2]) if name != "simple_rnn" else 0
    assert other_name == f"simple_rnn_{number + 1}"


@pytest.mark.parametrize("dtypes", [["float16"], "int32", ["float32", "complex64"]])
def test_warmup_of_other_types(dtypes):
    with pytest.raises(ValueError, match="float32"):
        warmup(dtypes)


@pytest.mark.skipif(LIBRARY is None, reason="there is no library of kernels")
def test_warmup_with_a_library_has_nothing_to_do(capsys):
    assert main(["warmup"]) == 0
    assert "nothing to compile" in capsys.readouterr().out
    warmup()


@pytest.mark.skipif(LIBRARY is None, reason="there is no library of kernels")
def test_info_on_the_library(capsys):
    assert main(["info"]) == 0
    assert table(capsys.readouterr().out)["kernels"] == f"built ahead, for {LIBRARY.level}"


def test_both_are_exported():
    assert rnn_engine.info is info
    assert rnn_engine.warmup is warmup


# --- the word on the terminal -----------------------------------------------------


class Terminal:
    def __init__(self, is_one=True):
        self.is_one, self.text = is_one, ""

    def isatty(self):
        return self.is_one

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.fixture
def quick(monkeypatch):
    """A patience of almost nothing, and a state as at the start of a process."""
    start = {"DELAY": 0.02, "_said": False, "_depth": 0, "_spent": 0.0, "_timer": None}
    for name, value in start.items():
        monkeypatch.setattr(notice, name, value)


def compilation(seconds, kept=True, within=None):
    notice.compilation_begins(lambda: kept)
    time.sleep(seconds)
    if within:
        compilation(within)
    notice.compilation_ends()


@pytest.mark.jit
@pytest.mark.usefixtures("quick")
class TestNotice:
    def said(self, monkeypatch, terminal, *calls):
        monkeypatch.setattr(sys, "stderr", terminal)
        for call in calls:
            compilation(**call)
        return terminal.text

    def test_long_compilation_is_announced_once(self, monkeypatch):
        text = self.said(monkeypatch, Terminal(), {"seconds": 0.3}, {"seconds": 0.3})
        assert text == "rnn_engine: compiling kernels, once\n"

    def test_it_is_not_once_without_a_cache(self, monkeypatch):
        text = self.said(monkeypatch, Terminal(), {"seconds": 0.3, "kept": False})
        assert text.startswith("rnn_engine: compiling kernels, at every start")

    def test_many_short_ones_are_long_together(self, monkeypatch):
        monkeypatch.setattr(notice, "DELAY", 0.2)
        assert self.said(monkeypatch, Terminal(), *[{"seconds": 0.05}] * 12)

    def test_short_ones_are_not_announced(self, monkeypatch):
        monkeypatch.setattr(notice, "DELAY", 30.0)
        calls = [{"seconds": 0.01, "within": 0.01}] * 3
        assert self.said(monkeypatch, Terminal(), *calls) == ""
        assert notice._timer is None
        assert notice._depth == 0

    @pytest.mark.parametrize("stderr", [Terminal(is_one=False), None, object()])
    def test_only_a_terminal_hears_of_it(self, monkeypatch, stderr):
        monkeypatch.setattr(sys, "stderr", stderr)
        compilation(0.1)
        assert getattr(stderr, "text", "") == ""


@pytest.mark.jit
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_on_a_real_terminal(tmp_path):
    """The first process compiles and says so, the second one has nothing to say."""
    code = "import numpy as np, rnn_engine\nfrom rnn_engine.kernels import notice\n"
    code += "notice.DELAY = 0.1\nrnn_engine.layers.Dense(2)(np.ones((2, 2), np.float32))\n"
    ours, theirs = os.openpty()
    try:
        for wanted in (b"rnn_engine: compiling kernels, once\r\n", b""):
            done = subprocess.run(
                [sys.executable, "-P", "-c", code], stderr=theirs, timeout=600,
                env=environment(RNN_ENGINE_CACHE_DIR=str(tmp_path / "kernels")),
            )  # fmt: skip
            assert done.returncode == 0
            text = os.read(ours, 1000) if select.select([ours], [], [], 0.2)[0] else b""
            assert text == wanted
    finally:
        os.close(ours)
        os.close(theirs)
