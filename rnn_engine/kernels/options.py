"""Every Numba option of the project, in one place.

No kernel uses fastmath: the order of every sum is fixed, so that the bits are.
"""

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import sigutils
from numba.core.ccallback import CFunc

from rnn_engine.kernels.cache import KernelCache

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial kernel lazily, once for each dtype."""
    return _cached(njit(**_OPTIONS)(function))


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel whose `prange` runs on Numba's threading layer."""
    return _cached(njit(parallel=True, **_OPTIONS)(function))


def _cached(dispatcher: Any) -> Any:
    dispatcher._cache = KernelCache(dispatcher.py_func)
    return dispatcher


def c_function(signature: Any, function: Callable[..., Any]) -> CFunc:
    """Compile a function with C's calling convention now; it has an address."""
    options = {"nopython": True, **_OPTIONS}
    del options["nogil"]  # its callers have let go of the lock already
    compiled = CFunc(function, sigutils.normalize_signature(signature), {}, options)
    compiled._cache = KernelCache(function)
    compiled.compile()
    return compiled
