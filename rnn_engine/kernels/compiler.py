"""Numba and LLVM for the modules of kernels, or nothing where the kernels come from a library.

Every import of the two is here. With a library (`kernels.library`) neither is there, and need not
be installed: what modules make of them at import is `ABSENT` then, and nobody looks at it.
"""

import importlib
import os
import threading
from typing import TYPE_CHECKING, Any

from rnn_engine.kernels import library

LIBRARY = library.chosen()

__all__ = [
    "LIBRARY",
    "MOST_THREADS",
    "CFunc",
    "CompileResult",
    "binding",
    "cgutils",
    "codegen",
    "config",
    "global_compiler_lock",
    "intrinsic",
    "ir",
    "njit",
    "sigutils",
    "types",
    "versions",
]


class _Absent:
    """Stands for anything of a compiler: its attributes, items and results are itself."""

    def __getattr__(self, name: str) -> "_Absent":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> "_Absent":
        return self


ABSENT: Any = _Absent()


def _module(name: str) -> Any:
    """Return a module of Numba or llvmlite, where kernels are compiled."""
    if LIBRARY is not None:
        return ABSENT
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("numba", "llvmlite"):
            raise
        raise ImportError(
            f"rnn_engine has to compile its kernels, as {library.reason()}, and Numba is not "
            'installed: pip install "rnn_engine[jit]".'
        ) from error


if TYPE_CHECKING:
    from llvmlite import binding, ir
    from numba import njit
    from numba.core import cgutils, codegen, config, sigutils, types
    from numba.core.ccallback import CFunc
    from numba.core.compiler import CompileResult
    from numba.core.compiler_lock import global_compiler_lock
    from numba.extending import intrinsic
else:
    binding, ir = _module("llvmlite.binding"), _module("llvmlite.ir")
    njit = _module("numba").njit
    config, types = _module("numba.core.config"), _module("numba.core.types")
    cgutils, codegen = _module("numba.core.cgutils"), _module("numba.core.codegen")
    sigutils = _module("numba.core.sigutils")
    CFunc = _module("numba.core.ccallback").CFunc
    CompileResult = _module("numba.core.compiler").CompileResult
    intrinsic = _module("numba.extending").intrinsic
    # Without a compiler a lock for what else is done once.
    global_compiler_lock = (
        _module("numba.core.compiler_lock").global_compiler_lock
        if LIBRARY is None
        else threading.RLock()
    )

if LIBRARY is None and config.DISABLE_JIT:
    raise ImportError(
        "rnn_engine cannot run without Numba's compiler, which is switched off: unset the "
        "environment variable NUMBA_DISABLE_JIT (or disable_jit in .numba_config.yaml)."
    )


def _most_threads() -> int:
    """Return how many threads Numba has or, without it, would have."""
    if LIBRARY is None:
        return int(config.NUMBA_NUM_THREADS)
    text = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(text) if text.isdecimal() and len(text) < 10 and int(text) else os.cpu_count() or 1


MOST_THREADS = _most_threads()


def versions() -> tuple[str, ...]:
    """Return the versions of what compiles: Numba, llvmlite, LLVM."""
    if LIBRARY is not None:
        return ()
    llvm = ".".join(map(str, binding.llvm_version_info))
    return (_module("numba").__version__, _module("llvmlite").__version__, llvm)
