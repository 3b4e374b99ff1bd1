"""Threads and processes: right answers and no abort, however they are started and mixed."""

import importlib.util
import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest

import rnn_engine
from rnn_engine.kernels import compiler, cores, pool, threads
from tests.kernels.process import environment, finish, run, start

# What all programs below share. Every kernel that has a parallel twin uses it, however
# small the work; `expected` is computed on one thread before anything runs at once.
PREPARE = """
import multiprocessing, os, sys, threading
import numpy as np
import rnn_engine
from rnn_engine.kernels import threads
threads.SERIAL_WORK = 0
rnn_engine.set_num_threads(int(os.environ.get("TEST_THREADS", "2")))

def make(seed=0):
    rnn_engine.utils.set_random_seed(seed)
    model = rnn_engine.Sequential([
        rnn_engine.layers.SimpleRNN(9, return_sequences=True, input_shape=(7, 3)),
        rnn_engine.layers.SimpleRNN(5),
        rnn_engine.layers.Dense(2, activation="tanh"),
    ])
    model.compile("adam", "mse")
    return model

rng = np.random.default_rng(5)
x = rng.normal(size=(13, 7, 3)).astype(np.float32)
y = rng.normal(size=(13, 2)).astype(np.float32)

def trained(seed):
    model = make(seed)
    model.fit(x, y, epochs=3, batch_size=5, shuffle=False, verbose=0)
    return b"".join(w.tobytes() for w in model.get_weights())

def predicted(model):
    return model.predict(x, batch_size=6, verbose=0).tobytes()

def serially(function, *args):
    before = rnn_engine.get_num_threads()
    rnn_engine.set_num_threads(1)
    try:
        return function(*args)
    finally:
        rnn_engine.set_num_threads(before)

def at_once(functions):
    answers, errors = [None] * len(functions), []
    gate = threading.Barrier(len(functions))
    def work(i):
        try:
            gate.wait()
            answers[i] = functions[i]()
        except BaseException as error:
            errors.append(error)
    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(functions))]
    [w.start() for w in workers]
    [w.join() for w in workers]
    assert not errors, errors
    return answers
"""
# Python threads take turns as often as they can.
EAGER = "import sys\nsys.setswitchinterval(1e-6)\n"

MANY_THREADS = """
model, other = make(), make(1)
wanted = serially(predicted, model)
calls = [lambda: predicted(model) for _ in range(3)]
calls += [lambda: np.asarray(other(x)).tobytes() for _ in range(2)]
calls += [lambda i=i: trained(i) for i in range(3)]
wanted = [wanted] * 3 + [serially(lambda: np.asarray(other(x)).tobytes())] * 2
# Seeds are drawn from one stream: a model of a thread is made before the threads start.
models = [make(i) for i in range(3)]
def fit(model):
    model.fit(x, y, epochs=3, batch_size=5, shuffle=False, verbose=0)
    return b"".join(w.tobytes() for w in model.get_weights())
calls[5:] = [lambda m=m: fit(m) for m in models]
wanted += [serially(trained, i) for i in range(3)]
for _ in range(3):
    got = at_once(calls[:5])
    assert got == wanted[:5]
assert at_once(calls) == wanted
assert threads.tasks(10**9, 8) == 2
"""


def test_many_python_threads():
    run(PREPARE + MANY_THREADS)


def test_first_calls_of_all_threads_at_once():
    """Compiling or reading kernels, and building the model, in several threads at once."""
    code = """
model = rnn_engine.Sequential([
    rnn_engine.layers.SimpleRNN(4), rnn_engine.layers.Dense(1)])
answers = at_once([lambda: predicted(model) for _ in range(6)])
assert len(set(answers)) == 1
assert len(model.weights) == 5
layer = rnn_engine.layers.Dense(3)
assert len(set(at_once([lambda: layer(x).tobytes() for _ in range(6)]))) == 1
assert len(layer.weights) == 2
"""
    run(EAGER + PREPARE + code)


# --- processes --------------------------------------------------------------------

# Python warns of any fork beside threads; that it works all the same is what is tested.
FORKED = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
wanted = serially(trained, 3)
model = make()
answer = serially(predicted, model)
if os.environ.get("PARENT_USED_THREADS"):
    assert trained(3) == wanted and predicted(model) == answer
    assert threads.tasks(10**9, 8) == 2

def child(_=None):
    assert rnn_engine.get_num_threads() == threads.tasks(10**9, 8) == 1
    alone = predicted(model) == answer and trained(3) == wanted
    rnn_engine.set_num_threads(2)
    assert threads.tasks(10**9, 8) == 2
    shared = predicted(model) == answer and trained(3) == wanted
    rnn_engine.set_num_threads(1)
    return alone and shared
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
class TestFork:
    @pytest.mark.parametrize("used", ["", "1"])
    def test_child(self, used):
        code = """
pid = os.fork()
if pid == 0:
    os._exit(0 if child() else 1)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
if os.environ.get("PARENT_USED_THREADS"):
    assert trained(3) == wanted  # and the parent goes on with its threads
    assert threads.tasks(10**9, 8) == 2
"""
        run(PREPARE + FORKED + code, PARENT_USED_THREADS=used)

    def test_pool(self):
        code = """
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert all(pool.map(child, range(4)))
"""
        run(PREPARE + FORKED + code, PARENT_USED_THREADS="1")

    @pytest.mark.parametrize("how", ["fork", "pool"])
    def test_child_that_imports_first(self, how):
        """Its parent, without the engine, ran a parallel function of its own."""
        code = """
import multiprocessing, os, sys, warnings
import numba, numpy as np
warnings.simplefilter("ignore", DeprecationWarning)

@numba.njit(parallel=True)
def total(x):
    result = 0.0
    for i in numba.prange(x.size):
        result += x[i]
    return result

assert total(np.ones(1000)) == 1000

def child(_=None):
    import rnn_engine
    from rnn_engine.kernels import threads
    rnn_engine.set_num_threads(2)
    assert threads.tasks(10**9, 8) == 2
    threads.SERIAL_WORK = 0
    layer = rnn_engine.layers.SimpleRNN(40, kernel_initializer="zeros", bias_initializer="zeros")
    return not layer(np.ones((64, 10, 40), np.float32)).any()

assert "rnn_engine" not in sys.modules
if HOW == "pool":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(pool.map(child, range(2)))
else:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if child() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
        run(f"HOW = {how!r}\n{code}")

    @pytest.mark.jit
    def test_child_need_not_import_what_numba_does_at_its_first_array(self):
        """Another thread may be in the middle of that import, and is not in the child.

        Whatever else Numba imports late, it imports under its lock.
        """
        code = """
import os, sys, rnn_engine.kernels.threads
pid = os.fork()
if pid == 0:
    os._exit(0 if "numpy.ma" in sys.modules else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
        run(code)

    def test_fork_while_another_thread_compiles(self, tmp_path):
        """A lock that this thread holds would stay locked in the child for ever."""
        code = """
import time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
model = make()
thread = threading.Thread(target=predicted, args=(model,))
thread.start()
time.sleep(0.3)
children = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        make(1)(x)
        os._exit(0)
    children.append(pid)
thread.join()
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
"""
        changes = {"RNN_ENGINE_CACHE_DIR": str(tmp_path / "cold")}
        finish(start(PREPARE + code, **changes), seconds=120)

    @pytest.mark.jit
    def test_fork_waits_for_a_thread_that_frees_what_llvm_made(self):
        """It holds llvmlite's lock and not Numba's, wherever the collector comes by."""
        code = """
import time, warnings
from llvmlite.binding import ffi
warnings.simplefilter("ignore", DeprecationWarning)
held, freed = threading.Event(), []

def free():
    with ffi.lib._lock:
        held.set()
        time.sleep(0.3)
        freed.append(True)

thread = threading.Thread(target=free)
thread.start()
held.wait()
pid = os.fork()
if pid == 0:
    os._exit(0 if freed else 1)
thread.join()
assert os.waitpid(pid, 0)[1] == 0
"""
        finish(start(PREPARE + code), seconds=120)

    def test_fork_while_a_thread_takes_the_lock_of_llvm_after_all(self):
        """A hook that was there before the engine's comes after it, and may wait for others."""
        before = """
import os, threading, warnings
from llvmlite.binding import ffi
warnings.simplefilter("ignore", DeprecationWarning)
wanted, held, done = threading.Event(), threading.Event(), threading.Event()

def free():
    wanted.wait()
    with ffi.lib._lock:
        held.set()
        done.wait()

def hook():
    wanted.set()
    held.wait()

threading.Thread(target=free).start()
os.register_at_fork(before=hook)
"""
        code = """
pid = os.fork()
if pid == 0:
    make(1)(x)
    os._exit(0)
done.set()
assert os.waitpid(pid, 0)[1] == 0
make(1)(x)
"""
        finish(start(before + PREPARE + code), seconds=120)


SCRIPT = """
def child(_=None):
    assert threads.tasks(10**9, 8) == 2
    return trained(3)

if __name__ == "__main__":
    wanted = trained(3)
    pool = multiprocessing.get_context(sys.argv[1]).Pool(2)
    assert pool.map(child, range(3)) == [wanted] * 3
    pool.close()  # ended in the middle of things, Numba's own lock would be called leaked
    pool.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_pool_of_new_processes(tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} on this system")
    script = tmp_path / "script.py"
    script.write_text(PREPARE + SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), method], env=environment(), capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_inside_joblib(tmp_path, backend):
    pytest.importorskip("joblib", reason="joblib is not installed")
    code = """
import joblib, warnings
warnings.simplefilter("ignore", DeprecationWarning)
x, y, make = x, y, make

def work(x, y, model):
    model.fit(x, y, epochs=2, batch_size=5, shuffle=False, verbose=0)
    return [w.tobytes() for w in model.get_weights()]

def by_seed(seed):
    import numpy as np
    import rnn_engine
    rnn_engine.utils.set_random_seed(seed)
    layer = rnn_engine.layers.SimpleRNN(40, return_sequences=True)
    x = np.linspace(-1, 1, 64 * 30 * 8, dtype=np.float32).reshape(64, 30, 8)
    return layer(x).tobytes()

backend = os.environ["BACKEND"]
if backend == "threading":
    models = [make(i) for i in range(4)]
    wanted = [work(x, y, make(i)) for i in range(4)]
    calls = [joblib.delayed(work)(x, y, m) for m in models]
else:
    wanted = [by_seed(i) for i in range(4)]
    calls = [joblib.delayed(by_seed)(i) for i in range(4)]
assert joblib.Parallel(n_jobs=2, backend=backend)(calls) == wanted
"""
    # joblib keeps its workers' files in a folder of the test's.
    run(PREPARE + code, quiet=False, BACKEND=backend, JOBLIB_TEMP_FOLDER=str(tmp_path))


@pytest.mark.parametrize("first", ["peer", "engine"])
@pytest.mark.parametrize("peer", ["tensorflow", "torch"])
def test_beside_another_framework(peer, first):
    """Both run their threads in one process, whichever was imported first."""
    if importlib.util.find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")
    busy = {
        "tensorflow": "import tensorflow as tf\na = tf.random.normal((300, 300))\n"
        "def peer(): return float(tf.reduce_sum(tf.linalg.matmul(a, a)))",
        "torch": "import torch\na = torch.randn(300, 300)\ndef peer(): return float((a @ a).sum())",
    }[peer]
    work = """
def engine():
    return predicted(model)

model = make()
wanted = serially(engine)
value = peer()
def loop(function):
    return [function() for _ in range(10)]
got = at_once([lambda: loop(engine), lambda: loop(peer), lambda: loop(engine)])
assert got[0] == got[2] == [wanted] * 10
assert np.allclose(got[1], value, rtol=1e-3, atol=1.0)
assert trained(3) == serially(trained, 3)
"""
    parts = [busy, PREPARE] if first == "peer" else [PREPARE, busy]
    run("\n".join([*parts, work]), quiet=False, TF_CPP_MIN_LOG_LEVEL="3")


# --- how many threads -------------------------------------------------------------


@pytest.fixture
def restored():
    before = rnn_engine.get_num_threads()
    yield
    rnn_engine.set_num_threads(before)


@pytest.mark.usefixtures("restored")
class TestSetting:
    @pytest.mark.parametrize("n", [1, 2, 7, np.int64(3)])
    def test_set_and_get(self, n):
        rnn_engine.set_num_threads(n)
        assert rnn_engine.get_num_threads() == n
        assert type(rnn_engine.get_num_threads()) is int

    @pytest.mark.parametrize("n", [0, -1, True, 1.0, "2", None, np.float32(2)])
    def test_not_a_count(self, n):
        before = rnn_engine.get_num_threads()
        with pytest.raises(ValueError, match=r"positive integer, got "):
            rnn_engine.set_num_threads(n)
        assert rnn_engine.get_num_threads() == before

    def test_small_work_stays_on_one_thread(self):
        rnn_engine.set_num_threads(4)
        assert threads.tasks(threads.SERIAL_WORK - 1, 100) == 1
        assert threads.tasks(threads.SERIAL_WORK, 1) == 1
        assert threads.tasks(threads.SERIAL_WORK, 3) == 3
        assert threads.tasks(threads.SERIAL_WORK, 100) == 4

    def test_tasks_are_not_as_many_as_one_likes(self):
        """Each takes scratch: ten thousand of them would take all memory."""
        rnn_engine.set_num_threads(10**19)
        assert rnn_engine.get_num_threads() == 10**19
        limit = max(32, compiler.MOST_THREADS)
        assert threads.tasks(10**12, 10**6) == limit

    def test_more_threads_that_are_asked_for_while_some_start(self, monkeypatch):
        asked = []

        def started(count):
            asked.append(count)
            rnn_engine.set_num_threads(4)

        monkeypatch.setattr(pool, "start", started)
        monkeypatch.setattr(threads, "_started", 0)
        monkeypatch.setattr(threads, "MOST_THREADS", 8)
        rnn_engine.set_num_threads(2)
        assert threads.tasks(10**9, 8) == 2
        assert threads.tasks(10**9, 8) == 4
        assert asked == [1, 3]

    def test_more_threads_than_numba_has(self):
        code = """
from rnn_engine.kernels.compiler import MOST_THREADS
assert MOST_THREADS == 2
model = make()
wanted = serially(predicted, model), serially(trained, 3)
assert threads.tasks(10**9, 100) == 11
assert (predicted(model), trained(3)) == wanted
"""
        run(PREPARE + code, TEST_THREADS="11", NUMBA_NUM_THREADS="2")


COUNT = "import rnn_engine; print(rnn_engine.get_num_threads())"


def test_environment_variable():
    assert run(COUNT, RNN_ENGINE_NUM_THREADS="3") == "3\n"


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_environment_variable_that_is_no_count(value):
    process = start(COUNT, RNN_ENGINE_NUM_THREADS=value)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert f"RNN_ENGINE_NUM_THREADS must be a positive integer, got {value!r}." in err


def test_environment_variable_of_too_many_digits():
    process = start(COUNT, RNN_ENGINE_NUM_THREADS="1" * 5000)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    wanted = "RNN_ENGINE_NUM_THREADS must be a positive integer, got '111111"
    last = err.splitlines()[-1]
    assert wanted in last
    assert len(last) < 200


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_default_is_the_affinity():
    code = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + COUNT
    assert run(code) == "1\n"


class TestQuota:
    """The files that the kernel shows, laid out in a folder."""

    def quota(self, folder, own, files):
        (folder / "own").write_bytes(os.fsencode(own))
        for name, text in files.items():
            path = folder / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return cores.cgroup_quota(folder / "tree", folder / "own")

    def test_version_2(self, tmp_path):
        assert self.quota(tmp_path, "0::/\n", {"cpu.max": "150000 100000\n"}) == 1.5

    def test_version_2_without_limit(self, tmp_path):
        assert self.quota(tmp_path, "0::/\n", {"cpu.max": "max 100000\n"}) is None

    def test_version_2_limit_of_a_group_above(self, tmp_path):
        files = {
            "user/cpu.max": "300000 100000\n",
            "user/app/cpu.max": "max 100000\n",
            "other/cpu.max": "1000 100000\n",
        }
        assert self.quota(tmp_path, "0::/user/app\n", files) == 3

    @pytest.mark.skipif(sys.platform != "linux", reason="cgroups are Linux's")
    def test_name_that_is_not_utf_8(self, tmp_path):
        files = {"caf\udce9/cpu.max": "150000 100000\n"}
        assert self.quota(tmp_path, "0::/caf\udce9\n", files) == 1.5

    def test_version_1(self, tmp_path):
        files = {
            "cpu,cpuacct/box/cpu.cfs_quota_us": "200000\n",
            "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        }
        own = "5:memory:/box\n4:cpu,cpuacct:/box\n0::/\n"
        assert self.quota(tmp_path, own, files) == 2

    def test_version_1_seen_from_inside_a_container(self, tmp_path):
        files = {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}
        assert self.quota(tmp_path, "4:cpu,cpuacct:/docker/abc\n", files) == 0.5

    @pytest.mark.parametrize("text", ["", "max", "x y", "1 0", "100000"])
    def test_unreadable(self, tmp_path, text):
        assert self.quota(tmp_path, "0::/\n:\n7\n", {"cpu.max": text}) is None

    def test_no_cgroups(self, tmp_path):
        assert cores.cgroup_quota(tmp_path / "none", tmp_path / "none") is None

    @pytest.mark.parametrize(("quota", "wanted"), [(None, 4), (0.2, 1), (1.5, 2), (2, 2), (9, 4)])
    def test_cores(self, monkeypatch, quota, wanted):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
        monkeypatch.setattr(cores, "cgroup_quota", lambda: quota)
        assert cores.available_cores() == wanted
