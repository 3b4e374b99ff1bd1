"""How many threads a piece of work gets."""

import operator
import os
import reprlib
import threading
from typing import Any

from rnn_engine.kernels.compiler import LIBRARY, MOST_THREADS, binding, global_compiler_lock
from rnn_engine.kernels.cores import available_cores

# Below this many multiply-adds, some 100 us, one thread is as fast as two: the other one may sleep,
# and is awake 10 to 50 us later.
SERIAL_WORK = 5_000_000
# Multiply-adds of one call of a kernel, which Ctrl-C cannot interrupt: 12 ms on one core at
# the FMA peak of 2024's servers, below 200 ms at a twelfth of that.
LONGEST_CALL = 2**30
# Tasks are at most this many, or as many as Numba has threads: more would gain nothing, and
# most kernels take scratch for each. So many that a small machine, too, can show that their
# number changes no bit.
_MOST_TASKS = max(32, MOST_THREADS)


def default_threads() -> int:
    """Return how many threads a process has that says nothing: its cores, or fewer.

    joblib, Dask and Ray run several processes beside each other and tell each of them by these
    variables how many threads it should have: most often one.
    """
    found = available_cores()
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").partition(",")[0].strip()  # OpenMP's, by level
        if text.isdecimal() and len(text) < 10 and int(text) > 0:
            found = min(found, int(text))
    return found


def _from_environment() -> int:
    text = os.environ.get("RNN_ENGINE_NUM_THREADS", "")
    if not text:
        return default_threads()
    try:
        number = int(text) if text.isdecimal() else 0
    except ValueError:  # more digits than Python takes for a number
        number = 0
    if number < 1:
        raise ValueError(
            f"RNN_ENGINE_NUM_THREADS must be a positive integer, got {reprlib.repr(text)}."
        )
    return number


_threads = _from_environment()
_tasks = min(_threads, _MOST_TASKS)
_started = 0


def set_num_threads(n: int) -> None:
    """Set how many threads the kernels may use.

    The results have the same bits for every number. It starts as the environment
    variable `RNN_ENGINE_NUM_THREADS`, or else as the number of cores this process may
    use, or as `NUMBA_NUM_THREADS` or `OMP_NUM_THREADS` where they are less (so a worker of
    joblib, Dask or Ray has its share). More than Numba has threads
    (``numba.config.NUMBA_NUM_THREADS``) is no gain.

    A child of ``fork`` begins with one thread, since whoever forks has his cores at work in
    processes; it may set another number.

    Raises
    ------
    ValueError
        If `n` is not a positive integer.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _threads, _tasks
    _threads = _positive(n)
    _tasks = min(_threads, _MOST_TASKS)


def _positive(n: Any) -> int:
    try:
        number = 0 if isinstance(n, bool) else operator.index(n)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"The number of threads must be a positive integer, got {n!r}.")
    return number


def get_num_threads() -> int:
    """Return how many threads the kernels may use."""
    return _threads


def tasks(work: int, most: int) -> int:
    """Return in how many tasks to split `work` multiply-adds that have `most` parts.

    One, if the work is small. Never many more than Numba has threads. Those that help the
    caller are there after this call.
    """
    count = _tasks  # which another thread may set meanwhile
    if work < SERIAL_WORK or count == 1 or most < 2:
        return 1
    if _started < count:
        _start(count)
    return count if count < most else most  # half the time of `min`: 0.1 us of each call


def _start(count: int) -> None:
    """Have threads that help, as many as are asked for; more than Numba has are no gain."""
    global _started
    from rnn_engine.kernels import pool  # which is made of kernels

    pool.start(min(count, MOST_THREADS) - 1)
    _started = count


def calls(steps: int, chunk: int, work: int) -> list[tuple[int, int]]:
    """Cut `steps` with `work` multiply-adds in all into calls (begin, stop) of whole chunks.

    Ctrl-C is seen between two calls.
    """
    if work <= LONGEST_CALL:
        return [(0, steps)]
    chunks = -(-steps // chunk)
    length = chunk * max(1, chunks * LONGEST_CALL // work)
    return [(begin, min(begin + length, steps)) for begin in range(0, steps, length)]


def _before_fork() -> None:
    # A child forked while another thread compiles would wait for that thread for ever.
    global_compiler_lock.acquire()
    # Who lets go of what LLVM made takes LLVM's lock only, and has it for a moment. It must not
    # be kept: hooks that come after this one wait for locks whose holders may want it.
    if _llvm_lock is not None:
        with _llvm_lock:
            pass
    if LIBRARY is None:
        # The first array that Numba sees has it import this, under no lock but the module's own.
        import numpy.ma  # noqa: F401


def _after_fork_in_child() -> None:
    # Its parent's threads are not there.
    global _threads, _tasks, _started
    _threads = _tasks = 1
    _started = 0
    if _llvm_lock is not None:
        if _llvm_lock._lock.acquire(blocking=False):
            _llvm_lock._lock.release()
        else:  # taken since, by a thread that does not exist here
            _llvm_lock._lock = threading.RLock()
    global_compiler_lock.release()


# llvmlite gives no name to it; one without it would cost a rare child, not the import.
_llvm_lock: Any = None if LIBRARY is not None else getattr(binding.ffi.lib, "_lock", None)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=global_compiler_lock.release,
        after_in_child=_after_fork_in_child,
    )
