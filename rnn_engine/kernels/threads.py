"""How many threads a piece of work gets."""

import os

from numba.core import config

# Below this many multiply-adds one thread is faster than a launch on two.
# See the notes of benchmarks/run.py.
SERIAL_WORK = 400_000


def available_cores() -> int:
    """Return the cores this process may use: affinity and cgroup quota counted."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()[:2]
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return cores


def _from_environment() -> int:
    text = os.environ.get("RNN_ENGINE_NUM_THREADS", "")
    if not text:
        return available_cores()
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"RNN_ENGINE_NUM_THREADS must be a positive integer, got {text!r}.")
    return int(text)


def _has_safe_layer() -> bool:
    """Whether Numba finds a threading layer that several Python threads may enter.

    Its own workqueue aborts the process when two do.
    """
    wanted = config.THREADING_LAYER
    names = config.THREADING_LAYER_PRIORITY
    if wanted in ("tbb", "omp", "workqueue"):
        names = [wanted]
    elif wanted != "default":
        names = [name for name in names if name != "workqueue"]
    for name in names:
        if name == "workqueue":
            return False
        try:
            if name == "tbb":
                from numba.np.ufunc import tbbpool  # noqa: F401  # asks whether it loads
            else:
                from numba.np.ufunc import omppool  # noqa: F401
        except ImportError:
            continue
        return True
    return False


_threads = _from_environment()
_safe: bool | None = None
_forked = False


def set_num_threads(n: int) -> None:
    """Set how many threads the kernels may use.

    The results have the same bits for every number.

    Raises
    ------
    ValueError
        If `n` is not a positive integer.
    """
    global _threads
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"The number of threads must be a positive integer, got {n!r}.")
    _threads = n


def get_num_threads() -> int:
    """Return how many threads the kernels may use."""
    return _threads


def tasks(work: int, most: int) -> int:
    """Return in how many tasks to split `work` multiply-adds that have `most` parts.

    One, if the work is small, the threading layer is unsafe, or this process was
    forked from one that may have used it.
    """
    global _safe
    if work < SERIAL_WORK or _threads == 1 or most < 2 or _forked:
        return 1
    if _safe is None:
        _safe = _has_safe_layer()
    return min(_threads, most) if _safe else 1


def _after_fork() -> None:
    # GNU OpenMP kills a forked child that enters a parallel region.
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
