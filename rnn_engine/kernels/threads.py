"""How many threads a piece of work gets."""

import contextlib
import importlib
import operator
import os
import re
import reprlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
from llvmlite.binding import ffi
from numba.core import config
from numba.core.compiler_lock import global_compiler_lock
from numba.np.ufunc import parallel

from rnn_engine.kernels.cores import available_cores

# Below this many multiply-adds, some 40 us, one thread is faster than two: the other one sleeps,
# and is awake 10 to 25 us later.
SERIAL_WORK = 1_500_000
# Multiply-adds of one call of a kernel, which Ctrl-C cannot interrupt: 12 ms on one core at
# the FMA peak of 2024's servers, below 200 ms at a twelfth of that.
LONGEST_CALL = 2**30
# Tasks are at most this many, or as many as Numba has threads: more would gain nothing, and
# most kernels take scratch for each. So many that a small machine, too, can show that their
# number changes no bit.
_MOST_TASKS = max(32, config.NUMBA_NUM_THREADS)


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


def threading_layer() -> str | None:
    """Return the threading layer that Numba uses, or would choose; None if none loads."""
    try:
        return str(numba.threading_layer())
    except ValueError:  # not chosen yet: what Numba would do at the first launch
        return next((name for name in _candidates() if _loads(name)), None)


def _candidates() -> list[str]:
    """Return the layers that Numba's settings admit, in its order of preference."""
    wanted = str(config.THREADING_LAYER).lower()
    names = [str(name) for name in config.THREADING_LAYER_PRIORITY]
    if wanted == "default":
        return names
    if wanted in names:
        return [wanted]
    safe_to_fork = [] if sys.platform.startswith("linux") else ["omp"]
    return {
        "safe": ["tbb"],
        "threadsafe": ["tbb", "omp"],
        "forksafe": ["tbb", *safe_to_fork, "workqueue"],
    }.get(wanted, [])


def _loads(name: str) -> bool:
    try:
        if name == "tbb":
            parallel._check_tbb_version_compatible()
        with _sleeping_soon():
            importlib.import_module(f"numba.np.ufunc.{_MODULES[name]}")
    except (ImportError, KeyError):
        return False
    return True


# Rounds that a thread of GNU's OpenMP looks for work before it sleeps; some 300,000 else. Beside
# two busy processes on two cores a thread that looks uses up its time doing so, and is not there
# when there is work: 20 to 50 ms a launch, where sleeping it is woken at once.
_ROUNDS = "300"


@contextlib.contextmanager
def _sleeping_soon() -> Iterator[None]:
    """Have an OpenMP runtime that is loaded inside wait asleep, unless the user has decided."""
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    if any(name in os.environ for name in names):
        yield
        return
    os.environ[names[0]] = _ROUNDS  # read once, when the library is loaded
    try:
        yield
    finally:
        del os.environ[names[0]]


_MODULES = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}


def is_safe(layer: str | None) -> bool:
    """Whether several Python threads may enter a threading layer at once.

    Numba's own workqueue aborts the process when two do.
    """
    return layer in ("tbb", "omp")


def _began_as_fork() -> bool:
    """Whether this process was forked from one that may have used threads, before the import."""
    method = _start_method()
    if method in ("fork", "forkserver"):  # that server runs nothing itself
        return method == "fork"
    # A bare fork? Linux marks a process that has run no program of its own, and what ran threads
    # before the fork is still loaded on both sides.
    try:
        flags = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[6])
        if not flags & _FORKED_WITHOUT_EXEC or not _has_threading_library("self"):
            return False
    except (OSError, ValueError, IndexError):  # not Linux
        return False
    try:
        return _has_threading_library(str(os.getppid()))
    except OSError:  # the parent is gone, or another user's
        return True


# PF_FORKNOEXEC of Linux's include/linux/sched.h.
_FORKED_WITHOUT_EXEC = 0x40


def _start_method() -> str | None:
    """Return how multiprocessing started this process, or None if it did not."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return None
    # A context's processes know their method, plain ones have the default one.
    own = getattr(multiprocessing.current_process(), "_start_method", None)
    return str(own or multiprocessing.get_start_method(allow_none=True))


def _has_threading_library(process: str) -> bool:
    """Whether an OpenMP runtime or TBB is loaded into a process."""
    maps = Path("/proc", process, "maps").read_bytes()
    return re.search(rb"/lib(gomp|omp|iomp|tbb)[^/\n]*$", maps, flags=re.MULTILINE) is not None


_threads = _from_environment()
_tasks = min(_threads, _MOST_TASKS)
_safe: bool | None = None
_forked = _began_as_fork()


def set_num_threads(n: int) -> None:
    """Set how many threads the kernels may use.

    The results have the same bits for every number. It starts as the environment
    variable `RNN_ENGINE_NUM_THREADS`, or else as the number of cores this process may
    use, or as `NUMBA_NUM_THREADS` or `OMP_NUM_THREADS` where they are less (so a worker of
    joblib, Dask or Ray has its share). More than Numba has threads
    (``numba.config.NUMBA_NUM_THREADS``) is no gain.

    A child of ``fork`` stays on one thread. Outside Linux one that is the first to import
    `rnn_engine` cannot know that it is one, unless `multiprocessing` started it: there, where
    the parent uses OpenMP, import `rnn_engine` before ``os.fork``, or set
    `RNN_ENGINE_NUM_THREADS` to 1.

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

    One, if the work is small, the threading layer is unsafe, or this process was
    forked from one that may have used it. Never many more than Numba has threads.
    """
    global _safe
    if work < SERIAL_WORK or _tasks == 1 or most < 2 or _forked:
        return 1
    if _safe is None:
        _safe = is_safe(threading_layer())
    if not _safe:
        return 1
    return _tasks if _tasks < most else most  # half the time of `min`: 0.1 us of each call


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
    # The first array that Numba sees has it import this, under no lock but the module's own.
    import numpy.ma  # noqa: F401


def _after_fork_in_child() -> None:
    # GNU OpenMP kills a forked child that enters a parallel region.
    global _forked
    _forked = True
    if _llvm_lock is not None:
        if _llvm_lock._lock.acquire(blocking=False):
            _llvm_lock._lock.release()
        else:  # taken since, by a thread that does not exist here
            _llvm_lock._lock = threading.RLock()
    global_compiler_lock.release()


# llvmlite gives no name to it; one without it would cost a rare child, not the import.
_llvm_lock: Any = getattr(ffi.lib, "_lock", None)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=global_compiler_lock.release,
        after_in_child=_after_fork_in_child,
    )
