"""The library of kernels that were compiled ahead: whether there is one that fits, and what it has.

The folder ``lib`` beside this file holds, after ``make kernels`` and in the wheels, a library for
each level of CPU, an index of what they export, and a small extension that calls it.
"""

import functools
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what builds a wheel reads this file without NumPy
    import numpy as np

FOLDER = Path(__file__).parent / "lib"
_V3 = (
    "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+sahf,+avx,+avx2,+bmi,+bmi2,+f16c,"
    "+fma,+lzcnt,+movbe,+xsave"
)
# What is asked of the CPU, as LLVM writes it: of x86-64-v4, -v3 and all others, the most first,
# and of 64-bit ARM. The bits are the same.
FEATURES = {
    "avx512": f"{_V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl",
    "avx2": _V3,
    "sse": "+sse,+sse2",
    "neon": "+neon",
}
_MACHINES = {"x86_64": ("avx512", "avx2", "sse"), "aarch64": ("neon",)}
MACHINE = os.uname().machine if hasattr(os, "uname") else ""
LEVELS = _MACHINES.get(MACHINE, ())
SETTING = "RNN_ENGINE_KERNELS"


class Library:
    """What a library exports.

    Attributes
    ----------
    level : str
        A key of `LEVELS`.
    """

    def __init__(self, level: str, index: dict[str, Any], extension: Any) -> None:
        self.level = level
        self._index, self._extension = index, extension
        extension.open(_whole(_place(level)))

    def has(self, name: str) -> bool:
        """Whether there is a C function of this name."""
        return name in self._index["functions"]

    def address(self, name: str) -> int:
        """Return the address of a C function, or of data."""
        if not self.has(name):
            raise missing(name)
        return int(self._extension.address(name))

    def kernel(self, name: str, module: str) -> Any:
        """Return a kernel: a function that chooses by its arguments which variant it calls.

        `module` is where it is defined.
        """
        variants = self._index["kernels"].get(name)
        if not variants:

            def absent(*arguments: Any) -> None:
                raise missing(name)

            return absent
        holder = _Holder(self._extension.kernel(name, variants))
        holder.place = module, name
        return self._extension.function(holder)


class _Holder(int):
    """The address of a kernel; pickled as the name of one, compiled or not."""

    place: tuple[str, str]

    def __reduce__(self) -> Any:
        return _owner, self.place


def _owner(module: str, name: str) -> Any:
    """Return an object whose attribute `name` is that kernel, for a pickle."""
    function = name.partition(".")[2]
    return SimpleNamespace(**{name: getattr(importlib.import_module(module), function)})


def missing(name: str) -> Exception:
    """Return what to raise where a library lacks something."""
    return NotImplementedError(
        f"{name} is not among the kernels that were compiled ahead. With the environment variable "
        f"{SETTING}=jit kernels are compiled when they are wanted: pip install "
        f'"rnn_engine[jit]" brings what that needs.'
    )


def reason() -> str:
    """Return why there is no library to be used, or an empty text."""
    found = _found()
    return found if isinstance(found, str) else ""


@functools.cache
def _found() -> Library | str:
    """Return the library, or why there is none."""
    setting = os.environ.get(SETTING, "")
    if setting == "jit":
        return f"{SETTING} says"
    if sys.platform != "linux" or not LEVELS:
        return f"there is no library of them for {sys.platform}{MACHINE and ' on '}{MACHINE}"
    if sys.implementation.name != "cpython" or sys.maxsize < 2**32 or "t" in sys.abiflags:
        return "there is no library of them for this kind of Python"
    try:
        index = _index()
    except OSError:
        return "this installation has no library of them"
    except (ValueError, RecursionError):
        return "their library has no index that can be read"
    # Sources that are edited, in a checkout, go before what was made of them.
    if (FOLDER.parents[2] / "pyproject.toml").exists() and index["sources"] != sources():
        return "their library is older than their sources"
    there = [level for level in LEVELS if _place(level).exists()]
    if setting in LEVELS and setting not in there:
        return f"their library is not there for {setting}"
    try:
        extension = _extension()
        able = extension.levels()
        if setting in LEVELS and setting not in able:
            return "this CPU cannot run that"
        fitting = [level for level in there if level in able and setting in ("", "built", level)]
        if not fitting:
            return "their library is not there for this CPU"
        return Library(fitting[0], index, extension)
    except (ImportError, RuntimeError) as error:  # NumPy of another ABI, another C library
        told = str(error).replace(f"{FOLDER}{os.sep}", "")
        return f"their library cannot be opened ({told})"


def _place(name: str) -> Path:
    return FOLDER / f"{name}.so"


@functools.cache
def _index() -> Any:
    """Return the index, or raise ValueError if it is none."""
    index = json.loads((FOLDER / "index.json").read_text())
    kinds = {"sources": str, "kernels": dict, "functions": list}
    if not isinstance(index, dict) or any(
        not isinstance(index.get(key), kind) for key, kind in kinds.items()
    ):
        raise ValueError("not an index")
    return index


def _whole(path: Path) -> str:
    """Return the path of a shared library, or raise ImportError if it is shorter than it says.

    The system ends a process that opens one whose end is missing.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
        size = path.stat().st_size
    except OSError as error:
        raise ImportError(f"{path}: {error.strerror}") from error
    # The table of sections is the last part: where it begins, the size of a row, the rows.
    begin, row, rows = (
        int.from_bytes(head[i:j], "little") for i, j in ((40, 48), (58, 60), (60, 62))
    )
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01" or begin + row * rows > size:
        raise ImportError(f"{path} is damaged")
    return str(path)


# Modules of this package that make no code.
_NO_CODE = {"buffers.py", "cache.py", "check.py", "compiler.py", "cores.py",
            "interrupt.py", "library.py", "notice.py", "threads.py"}  # fmt: skip


def sources() -> str:
    """Return a hash of what kernels are made of."""
    import hashlib  # milliseconds that only a checkout needs

    here = Path(__file__).parent
    digest = hashlib.sha256(repr(FEATURES).encode())
    modules = [path for path in sorted(here.rglob("*.py")) if path.name not in _NO_CODE]
    for path in (*modules, here / "exports.txt", here / "call.c"):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_fresh(levels: Iterable[str] = LEVELS) -> bool:
    """Whether the library is whole for these levels, and made of the sources as they are."""
    try:
        for name in ("_call.abi3", *levels):
            _whole(_place(name))
        return bool(_index()["sources"] == sources())
    except (ImportError, OSError, ValueError, RecursionError):
        return False


@functools.cache
def chosen() -> Library | None:
    """Return the library, or None where kernels are to be compiled.

    ``RNN_ENGINE_KERNELS=built`` or ``jit`` says which; the name of a level takes that one.

    Raises
    ------
    ImportError
        If the setting asks for a library that is not there, or that this CPU cannot run.
    """
    setting = os.environ.get(SETTING, "")
    if setting not in ("", "built", "jit", *LEVELS):
        raise ImportError(
            f'{SETTING} must be "built", "jit" or a level ({", ".join(LEVELS)}), got {setting!r}.'
        )
    found = _found()
    if isinstance(found, Library):
        return found
    if setting in ("", "jit"):
        return None
    raise ImportError(f"{SETTING} is {setting!r}, but {found}.")


def _extension() -> Any:
    # Ctrl-C while NumPy loads would else come out of the extension as another NumPy's ABI.
    importlib.import_module("numpy")
    path = _whole(_place("_call.abi3"))
    loader = importlib.machinery.ExtensionFileLoader("rnn_engine.kernels.lib._call", path)
    spec = importlib.util.spec_from_file_location(loader.name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def symbol(name: str, dtype: "np.dtype | None" = None) -> str:
    """Return the name of a C function of a float type."""
    return name if dtype is None else f"{name}.{dtype.name}"


if __name__ == "__main__":  # the Makefile asks
    sys.exit(not is_fresh(sys.argv[1:] or LEVELS))
