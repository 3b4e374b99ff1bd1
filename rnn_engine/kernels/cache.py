"""Compiled kernels on disk: one private folder, keyed by everything the code depends on.

Numba's own cache looks at the file of one function only, so it would not see an edit
of the microkernel; it keeps an index that processes starting at once overwrite for
each other; and it fails where no folder is writable. Here every compiled function is
one file, named after a hash of its signature, the CPU and the sources of all kernels,
written whole and checked when read. Whatever is wrong with a file or the folder, the
kernel is compiled again, quietly.
"""

import functools
import hashlib
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.compiler_lock import global_compiler_lock

_SUFFIX = ".kernel"


@functools.cache
def source_digest() -> str:
    """Return a hash of the kernels' sources and of the versions that compile them."""
    digest = hashlib.sha256(repr((numba.__version__, llvmlite.__version__, sys.version)).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def folder() -> Path | None:
    """Return the cache folder, made private to the user, or None if there cannot be one.

    `RNN_ENGINE_CACHE_DIR` if set, else ``rnn_engine`` in `XDG_CACHE_HOME` or
    ``~/.cache``. A folder that others own or may write to is not used: what is read
    from it is run.
    """
    given = os.environ.get("RNN_ENGINE_CACHE_DIR")
    try:
        if given:
            base = Path(given)
        else:
            home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            base = Path(home) / "rnn_engine"
        path = base / source_digest()[:16]
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place in (base, path):
            place.chmod(0o700)
            info = place.stat()
            if hasattr(os, "getuid"):
                others = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
                if info.st_uid != os.getuid() or others:
                    return None
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None
    return path


class _Locator(_CacheLocator):
    """Tells Numba's cache where the files are; the hash in the path is their stamp."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: Any) -> "_Locator":
        """Return a locator for any function."""
        return cls()

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(folder())

    def get_source_stamp(self) -> str:
        """Return the hash of the sources."""
        return source_digest()

    def get_disambiguator(self) -> str:
        """Return nothing: qualified names differ."""
        return ""


class _Implementation(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012  # Numba's own attribute


class _Files:
    """One file for each compiled function: a hash of the rest, then a pickle."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _path(self, key: Any) -> Path:
        path = folder()
        if path is None:
            raise OSError("there is no cache folder")
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
        return path / f"{self.name}-{digest}{_SUFFIX}"

    def load(self, key: Any) -> Any:
        """Return what was saved under `key`, or None."""
        content = self._path(key).read_bytes()
        digest, data = content[:32], content[32:]
        if hashlib.sha256(data).digest() != digest:
            return None
        return pickle.loads(data)

    def save(self, key: Any, data: Any) -> None:
        """Write a file and put it in its place in one step."""
        path = self._path(key)
        content = pickle.dumps(data, protocol=-1)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    def flush(self) -> None:
        """Forget nothing: files of other keys are never read."""


class KernelCache(FunctionCache):
    """Numba's function cache over `_Files`, which no failure gets past."""

    _impl_class = _Implementation

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        self._cache_file = _Files(self._impl.filename_base)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function, or None to have it compiled."""
        provide_for(sig)
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a cache must never be the reason of a failure
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save the compiled function if that is possible."""
        try:
            super().save_overload(sig, data)
        except Exception:  # as above: a full disk, a folder gone
            return


_providers: list[Callable[[Any], None]] = []


def provides_symbols(function: Callable[[Any], None]) -> Callable[[Any], None]:
    """Decorate a function of a float type that gives LLVM the address of a symbol.

    It runs once for each type, before anything that may refer to the symbol is
    compiled or read from disk: an address that is missing then is a crash.
    """
    done = set()

    def provide(dtype: Any) -> None:
        # Numba's own lock: a second one, taken in another order, could block for ever.
        with global_compiler_lock:
            if dtype not in done:
                done.add(dtype)
                try:
                    function(dtype)
                except BaseException:
                    done.discard(dtype)
                    raise

    _providers.append(provide)
    return provide


def provide_for(signature: Any) -> None:
    """Provide the symbols for every float type among the arguments."""
    arguments = getattr(signature, "args", signature)
    found = {getattr(argument, "dtype", argument) for argument in arguments}
    for dtype in (types.float32, types.float64):
        if dtype in found:
            for provide in _providers:
                provide(dtype)
