"""The threads that share a kernel's tasks: each task once, whoever comes and whoever does not."""

import os
import time

import numpy as np
import pytest

from rnn_engine.kernels import pool
from rnn_engine.kernels.atomics import add, pause, read
from rnn_engine.kernels.denormals import is_x86, restore
from rnn_engine.kernels.options import inlined_kernel, kernel
from rnn_engine.kernels.pool import share, share_range
from rnn_engine.kernels.tables import table_of
from tests.kernels.process import finish, run, start

pytestmark = pytest.mark.jit


@kernel
def count(done, like, task, tasks):
    """Count the runs of a task, and at the end those that were told of so many tasks."""
    add(table_of(done), task, 1)
    add(table_of(done), done.size - 1, tasks)


@kernel
def counted(done, like, tasks):
    """Count the runs of each task."""
    share(count, (done, like), tasks)


@kernel
def mark(done, like, first, end):
    """Count the visits of a range."""
    for place in range(first, end):
        add(table_of(done), place, 1)


@kernel
def marked(done, like, size, tasks):
    """Count the visits of each number below `size`."""
    share_range(mark, (done, like), size, tasks)


@kernel
def linger(done, like, task, tasks):
    """Have the last task last longer than a caller looks out for its end."""
    table = table_of(done)
    for _ in range(10_000_000 if task == tasks - 1 else 1):
        add(table, task, 1)


@kernel
def lingered(done, like, tasks):
    """Return when the last task has ended, too."""
    share(linger, (done, like), tasks)


LIKE = np.zeros(1, np.float32)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("tasks", [1, 2, 3, 11, 200])
def test_each_task_runs_once(workers, tasks):
    pool.start(workers)
    for _ in range(200):
        done = np.zeros(tasks + 1, np.int64)
        counted(done, LIKE, tasks)
        assert (done[:-1] == 1).all()
        assert done[-1] == tasks**2


@pytest.mark.parametrize(("size", "tasks"), [(0, 2), (1, 2), (2, 3), (10, 3), (11, 4), (1000, 7)])
def test_ranges_meet(size, tasks):
    pool.start(1)
    done = np.zeros(size + 1, np.int64)
    marked(done, LIKE, size, tasks)
    assert (done[:-1] == 1).all()
    assert done[-1] == 0


def test_a_caller_waits_for_what_others_have_begun():
    pool.start(2)
    for _ in range(10):
        done = np.zeros(3, np.int64)
        lingered(done, LIKE, 3)
        assert done.tolist() == [1, 1, 10_000_000]


def test_threads_sleep_when_there_is_nothing_to_do():
    pool.start(2)
    done = np.zeros(4, np.int64)
    counted(done, LIKE, 3)
    asleep = pool._table[pool.At.FIRST + 1 :: pool._LINE][:2]
    for _ in range(1000):
        if (asleep == 1).all():
            break
        time.sleep(0.01)
    assert (asleep == 1).all()


AT_ONCE = """
import threading
from tests.kernels.test_pool import *

pool.start(3)
wrong = []

def work(seed):
    rng = np.random.default_rng(seed)
    for tasks in rng.integers(1, 9, 3000):
        done = np.zeros(tasks + 1, np.int64)
        counted(done, LIKE, int(tasks))
        if not (done[:-1] == 1).all() or done[-1] != tasks ** 2:
            wrong.append(done)

workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
assert not wrong, wrong
"""


def test_several_python_threads_at_once():
    run(AT_ONCE)


ALONE = """
from tests.kernels.test_pool import *

# Threads that were told of a task and never come: what starved ones look like.
pool._table[pool.At.WORKERS] = 3
for worker in range(3):
    pool._table[pool.At.FIRST + worker * pool._LINE :][:2] = pool._new_lock(), 1
done = np.zeros(5, np.int64)
counted(done, LIKE, 4)
assert done.tolist() == [1, 1, 1, 1, 16]
assert pool._table[pool.At.FIRST + 1] == 0  # it was woken
"""


def test_threads_that_never_come_hold_up_nothing():
    run(ALONE)


NONE = """
import _thread

def refused(*args):
    raise RuntimeError("can't start new thread")

_thread.start_new_thread = refused
import rnn_engine
from rnn_engine.kernels import threads
from tests.kernels.test_pool import *

rnn_engine.set_num_threads(4)
assert threads.tasks(10**9, 8) == 4
done = np.zeros(5, np.int64)
counted(done, LIKE, 4)
assert done.tolist() == [1, 1, 1, 1, 16]
assert pool._table[pool.At.WORKERS] == 0
"""


def test_a_process_that_may_have_no_threads():
    run(NONE)


FORKED = """
import os, warnings
from tests.kernels.test_pool import *

warnings.simplefilter("ignore", DeprecationWarning)
pool.start(2)
done = np.zeros(4, np.int64)
counted(done, LIKE, 3)
pool._table[pool.At.TAKEN] = 1  # as if another thread were in the middle of a kernel
pid = os.fork()
if pid == 0:
    assert pool._table[pool.At.WORKERS] == pool._table[pool.At.TAKEN] == 0
    pool.start(2)
    for _ in range(100):
        done[:] = 0
        counted(done, LIKE, 3)
        assert done.tolist() == [1, 1, 1, 9]
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_starts_threads_of_its_own():
    run(FORKED)


# --- what would go wrong only at times ------------------------------------------------


@kernel
def held(done, like, task, tasks):
    """Say whether a kernel has the pool."""
    add(table_of(done), task, read(pool._pool(), pool._TAKEN))


@kernel
def holds(done, like, tasks):
    """Say of each task whether its kernel has the pool."""
    share(held, (done, like), tasks)


def test_a_single_task_leaves_the_threads_to_others():
    pool.start(1)
    done = np.zeros(2, np.int64)
    holds(done, LIKE, 1)
    assert done.tolist() == [0, 0]
    holds(done, LIKE, 2)
    assert done.tolist() == [1, 1]


@inlined_kernel
def await_begun(table, place, wanted):
    """Wait until so many tasks have begun, which takes as many threads; but not for ever."""
    add(table, place, 1)
    rounds = 0
    while read(table, place) < wanted and rounds < 100_000_000:
        pause()
        rounds += 1


@kernel
def meet(done, like, task, tasks):
    """Tell how many tasks had begun when this one could wait for all but one no longer."""
    table = table_of(done)
    await_begun(table, tasks, tasks - 1)
    add(table, task, read(table, tasks))


@kernel
def met(done, like, tasks):
    """Have the threads meet."""
    share(meet, (done, like), tasks)


STARVED = """
from tests.kernels.test_pool import *

pool._table[pool.At.FIRST : pool.At.FIRST + 2] = pool._new_lock(), 1  # one that never comes
pool._table[pool.At.WORKERS] = 1
pool.start(4)
asleep = pool._table[pool.At.FIRST + 1 :: pool._LINE][:4]
while not asleep.all():
    time.sleep(0.01)
done = np.zeros(6, np.int64)
met(done, LIKE, 5)
assert not asleep[0]
assert (done[:5] >= 4).all(), done
"""


def test_a_thread_that_never_comes_keeps_no_others_asleep():
    run(STARVED)


@kernel
def fail(done, like, task, tasks):
    """Fail in all tasks but the first."""
    if task > 0:
        raise ValueError("no such task")
    add(table_of(done), task, 1)


@kernel
def failed(done, like, tasks):
    """Fail in a task."""
    share(fail, (done, like), tasks)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_task_is_an_error_of_the_kernel(workers):
    pool.start(workers)
    for _ in range(100):
        done = np.zeros(1, np.int64)
        with pytest.raises(ValueError, match="no such task"):
            failed(done, LIKE, 4)
        assert done[0] == 1
    failed(done, LIKE, 1)
    assert done[0] == 2


@kernel
def set_mode(bits):
    """Set how this thread computes."""
    restore(bits)


@kernel
def square(y, done, task, tasks):
    """Compute the same denormal number as the others, on a thread of its own."""
    await_begun(table_of(done), 0, tasks)
    y[task] = y[tasks] * y[tasks]


@kernel
def squared(y, done, tasks):
    """Compute the same number in each task."""
    share(square, (y, done), tasks)


MODES = """
from tests.kernels.test_pool import *

pool.start(1)
found = []
for bits in (0x1F80, 0x9FC0, 0x5F80, 0x1F80):  # as ever; flushed; rounded up
    set_mode(np.uint32(bits))
    y, done = np.full(3, 1e-20, np.float32), np.zeros(1, np.int64)
    squared(y, done, 2)
    set_mode(np.uint32(0x1F80))
    assert y[0] == y[1], (bits, y)
    found.append(y[0])
assert found[1] == 0 < found[0] < found[2]
"""


@pytest.mark.skipif(not is_x86(), reason="others keep this elsewhere")
def test_threads_compute_as_their_caller_does():
    run(MODES)


HANDLER = """
import _thread, signal
from tests.kernels.test_pool import *

started = []

def start_new_thread(*args, start=_thread.start_new_thread):
    started.append(start(*args))
    if len(started) == 1:
        signal.raise_signal(signal.SIGTERM)

def handler(number, frame):
    pool.start(2)
    counted(done, LIKE, 3)

done = np.zeros(4, np.int64)
signal.signal(signal.SIGTERM, handler)
_thread.start_new_thread = start_new_thread
pool.start(2)
assert done.tolist() == [1, 1, 1, 9]
"""


def test_a_handler_of_signals_that_computes_while_threads_start():
    finish(start(HANDLER), seconds=60)
