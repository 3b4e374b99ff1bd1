"""Every Numba option of the project, in one place.

No kernel uses fastmath: the order of every sum is fixed, so that the bits are.
"""

from collections.abc import Callable
from typing import Any

from numba import cfunc, njit

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial kernel lazily, once for each dtype."""
    return njit(cache=True, **_OPTIONS)(function)


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel whose `prange` runs on Numba's threading layer."""
    return njit(cache=True, parallel=True, **_OPTIONS)(function)


def c_function(signature: Any, function: Callable[..., Any]) -> Any:
    """Compile a function with C's calling convention now."""
    return cfunc(signature, cache=False, **_OPTIONS)(function)

def on_first_use(f):
    done = {}
    def g(t):
        if t not in done:
            done[t]=True
            f(t)
    return g
