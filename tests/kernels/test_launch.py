"""The threads that share the tasks of a launch: the same of compiled kernels and of the library.

Bodies are functions of Python here, which the threads call as they call a kernel's.
"""

import ctypes
import os
import threading

import numpy as np
import pytest

from rnn_engine.kernels import pool
from rnn_engine.kernels.recurrent.launch import launch, run
from rnn_engine.kernels.recurrent.places import P
from tests.kernels import process

BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
LIKE = {dtype: np.zeros(0, dtype) for dtype in ("float32", "float64")}


def launched(body, tasks, dtype="float32", go=launch):
    """Run body(task) for each task."""
    called = BODY(lambda plan, like, task: body(task))
    plan = np.zeros(int(P.END), np.int64)
    plan[P.BODY] = ctypes.cast(called, ctypes.c_void_p).value
    go(plan, LIKE[dtype], tasks)


def counts(tasks, **options):
    """Return how often each task ran."""
    done, lock = [0] * tasks, threading.Lock()

    def count(task):
        with lock:
            done[task] += 1

    launched(count, tasks, **options)
    return done


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("tasks", [1, 2, 3, 11, 200])
def test_each_task_runs_once(workers, tasks, dtype):
    pool.start(workers)
    for _ in range(50):
        assert counts(tasks, dtype=dtype) == [1] * tasks
    assert counts(tasks, dtype=dtype, go=run) == [1] * tasks


def test_other_threads_help():
    """Two tasks that wait for each other end, as they are on two threads."""
    pool.start(1)
    both, seen = threading.Barrier(2, timeout=60), set()

    def meet(task):
        both.wait()
        seen.add(threading.get_ident())

    launched(meet, 2)
    assert len(seen) == 2


def test_a_caller_waits_for_what_others_have_begun():
    pool.start(1)
    both, ended = threading.Barrier(2, timeout=60), []

    def linger(task):
        both.wait()
        if threading.get_ident() != caller:
            threading.Event().wait(0.2)
        ended.append(task)

    caller = threading.get_ident()
    launched(linger, 2)
    assert sorted(ended) == [0, 1]


def test_a_second_kernel_at_once_runs_alone():
    pool.start(1)
    inner = []

    def outer(task):
        if task == 0:
            inner.append(counts(5))

    launched(outer, 2)
    assert inner == [[1] * 5]


AT_ONCE = """
import threading
import numpy as np
from rnn_engine.kernels import pool
from tests.kernels.test_launch import counts

pool.start(3)
wrong = []

def work(seed):
    for tasks in np.random.default_rng(seed).integers(1, 9, 500):
        done = counts(int(tasks))
        if done != [1] * tasks:
            wrong.append(done)

workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
assert not wrong, wrong
"""


def test_several_python_threads_at_once():
    process.run(AT_ONCE)


FORKED = """
import os, warnings
from rnn_engine.kernels import pool
from tests.kernels.test_launch import counts

warnings.simplefilter("ignore", DeprecationWarning)
pool.start(2)
assert counts(3) == [1, 1, 1]
pool._table[pool.At.TAKEN] = 1  # as if another thread were in the middle of a kernel
pid = os.fork()
if pid == 0:
    assert pool._table[pool.At.WORKERS] == pool._table[pool.At.TAKEN] == 0
    pool.start(2)
    assert all(counts(3) == [1, 1, 1] for _ in range(100))
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_starts_threads_of_its_own():
    process.run(FORKED)
