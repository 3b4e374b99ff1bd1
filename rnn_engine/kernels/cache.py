"""Compiled kernels on disk: one private folder, keyed by everything the code depends on.

Numba's own cache looks at the file of one function only, so it would not see an edit
of the microkernel; it keeps an index that processes starting at once overwrite for
each other; and it fails where no folder is writable. Here every compiled function is
one file, named after a hash of its signature, the CPU, Numba's options and the sources
of all kernels, written whole and checked when read. Whatever is wrong with a file or
the folder, the kernel is compiled again, quietly.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import re
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnn_engine.kernels import notice
from rnn_engine.kernels.compiler import (
    LIBRARY,
    CompileResult,
    config,
    global_compiler_lock,
    types,
    versions,
)

_SUFFIX = ".kernel"
# Folders of other versions that nothing has read for so long are removed.
_KEEP_SECONDS = 30 * 24 * 3600


def _hash_of_sources() -> str | None:
    """Return a hash of the kernels' sources and of the versions that compile them.

    None where the sources are not files (a zip, bytecode alone): what cannot be told
    apart from another version is not cached.
    """
    digest = hashlib.sha256(repr((*versions(), np.__version__, sys.version)).encode())
    try:
        paths = sorted(Path(__file__).parent.rglob("*.py"))
        if not any(path.name == "cache.py" for path in paths):
            return None
        for path in paths:
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    except OSError:
        return None
    return digest.hexdigest()


# Taken when the first kernel is imported: from then on the files may be replaced.
_SOURCES = _hash_of_sources() if LIBRARY is None else None


def folder() -> Path | None:
    """Return the cache folder, made private to the user, or None if there cannot be one.

    Below `RNN_ENGINE_CACHE_DIR` if set, else below ``rnn_engine`` in `XDG_CACHE_HOME` or
    ``~/.cache``. A folder that others own, may write to or may replace is not used: what is
    read from it is run. One that is there, but cannot be written, is read.
    """
    place = _prepared()
    if place is not None and not os.path.isdir(place):  # removed while this process runs
        _prepared.cache_clear()
        place = _prepared()
    return place


def can_save() -> bool:
    """Whether what is compiled now is kept."""
    place = folder()
    if place is None:
        return False
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False


def kernel_sizes() -> list[int]:
    """Return the size of each kernel in the folder, in bytes."""
    place, sizes = folder(), []
    with contextlib.suppress(OSError):  # no folder, or not any more
        for file in place.iterdir() if place else ():
            with contextlib.suppress(FileNotFoundError):  # replaced, or removed by another process
                if file.suffix == _SUFFIX:
                    sizes.append(file.stat().st_size)
    return sizes


@functools.cache
def _prepared() -> Path | None:
    if _SOURCES is None:
        return None
    try:
        given = os.environ.get("RNN_ENGINE_CACHE_DIR")
        if given:
            base = Path(given).resolve()
        else:
            home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            base = Path(home).resolve() / "rnn_engine"
        path = base / _SOURCES[:16]
        _make_private(base)
        new = _make_private(path)
        if not all(_only_ours(place) for place in (base, path)) or _exposed(base):
            return None
        with contextlib.suppress(OSError):  # a read-only disk, on which nothing is removed either
            os.utime(path)  # in use: see _remove_unused
    except (OSError, RuntimeError, ValueError):  # no home directory; a null byte in a name
        return None
    if new:
        _remove_unused(base, path)
    return path


def _make_private(path: Path) -> bool:
    """Create a folder for the user alone; return whether it was not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except OSError:  # on a read-only disk not always that it exists
        if path.is_dir():
            return False
        raise
    path.chmod(0o700)  # whatever the umask left of it
    return True


def _only_ours(path: Path) -> bool:
    """Whether nobody else owns a folder or may write to it."""
    if not hasattr(os, "getuid"):
        return True
    info = path.stat()
    return info.st_uid == os.getuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _exposed(path: Path) -> bool:
    """Whether anybody could put another folder in the place of this one.

    Whoever owns a folder above it could, but root and the user; and whoever may write to one
    that is not sticky, as /tmp is.
    """
    if not hasattr(os, "getuid"):
        return False
    return any(_lets_others_rename(parent.stat()) for parent in path.parents)


def _lets_others_rename(info: os.stat_result) -> bool:
    if info.st_uid not in (0, os.getuid(), _owner_outside()):
        return True
    if info.st_mode & stat.S_ISVTX:
        return False
    if info.st_mode & stat.S_IWOTH:
        return True
    return bool(info.st_mode & stat.S_IWGRP) and not _is_private_group(info.st_gid)


@functools.cache
def _owner_outside() -> int:
    """Return the owner that Linux shows for root and all others outside of a user namespace.

    In such a container the folders at the top are the host's; who owns them cannot be told.
    0, as for root, where this is no such container.
    """
    try:
        first, mapped, count = map(int, Path("/proc/self/uid_map").read_text().split())
        if (first, mapped, count) == (0, 0, 2**32 - 1):
            return 0
    except OSError:  # not Linux
        return 0
    except ValueError:  # several ranges
        pass
    return int(Path("/proc/sys/kernel/overflowuid").read_text())


def _is_private_group(group: int) -> bool:
    """Whether a group is that of this user alone, named alike, without other members.

    Where each user has such a group the umask is 002, so that an ordinary ~/.cache may be
    written by the group. Any other group, and one that nobody knows, holds other people.
    """
    import grp  # not on Windows, and rarely needed
    import pwd

    try:
        name, entry = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return entry.gr_name == name and set(entry.gr_mem) <= {name}


def _remove_unused(base: Path, path: Path) -> None:
    """Remove the folders of versions that no process has opened for a long time.

    One that still runs such a version finds its files gone, and compiles.
    """
    import shutil

    oldest = time.time() - _KEEP_SECONDS
    try:
        for other in base.iterdir():
            ours = other != path and re.fullmatch("[0-9a-f]{16}", other.name)
            if ours and not other.is_symlink() and other.stat().st_mtime < oldest:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        return


def _options() -> tuple[Any, ...]:
    """Return Numba's settings that change the code it makes."""
    names = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT",
             "USING_SVML")  # fmt: skip
    return tuple(str(getattr(config, name, None)) for name in names)


class KernelCache:
    """What Numba asks for a compiled function and gives one to; no failure gets out.

    A file holds a hash of the rest, then a pickle.
    """

    def __init__(self, py_func: Any) -> None:
        module = py_func.__module__.rpartition(".")[2]
        self.name = f"{module}.{py_func.__qualname__}"
        cells = [cell.cell_contents for cell in py_func.__closure__ or ()]
        # An enclosed kernel goes by its name: its own text prints an address.
        enclosed = [getattr(getattr(c, "py_func", c), "__qualname__", c) for c in cells]
        bytecode = py_func.__code__.co_code + repr(enclosed).encode()
        self._bytecode = hashlib.sha256(bytecode).hexdigest()
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The folder, for Numba's statistics."""
        return str(folder())

    def enable(self) -> None:
        """Use the cache."""
        self._enabled = True

    def disable(self) -> None:
        """Leave the cache alone."""
        self._enabled = False

    def flush(self) -> None:
        """Forget nothing: files of other keys are never read."""

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        place = folder() if self._enabled else None
        if place is None:
            return None
        key = (sig, codegen.magic_tuple(), self._bytecode, _options())
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
        return place / f"{self.name}-{digest}{_SUFFIX}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function, or None to have it compiled."""
        provide_for(sig)
        found = None
        try:
            path = self._path(sig, target_context.codegen())
            if path is not None and path.exists():
                target_context.refresh()  # slow enough not to be done in vain
                content = path.read_bytes()
                digest, data = content[:32], content[32:]
                if hashlib.sha256(data).digest() == digest:
                    found = CompileResult._rebuild(target_context, *pickle.loads(data))
        except Exception:  # a cache must never be the reason of a failure
            found = None
        if found is None:
            notice.compilation_begins(can_save)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save the compiled function if that is possible."""
        notice.compilation_ends()
        try:
            path = self._path(sig, data.codegen)
            cachable = not data.library.has_dynamic_globals and not data.lifted
            # Sources that were replaced since they were read would give their name to
            # the code of the old ones.
            if path is not None and cachable and _hash_of_sources() == _SOURCES:
                _write(path, pickle.dumps(data._reduce(), protocol=-1))
        except Exception:  # as above: a full disk, a folder gone
            return


def _write(path: Path, data: bytes) -> None:
    """Write a file and put it in its place in one step."""
    import tempfile

    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


_providers: list[Callable[[Any], None]] = []
_providing = False


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
    """Provide the symbols for every float type among the arguments.

    In the order in which they were declared, so that a function comes after those
    whose symbols it refers to; what a provider itself compiles needs no others.
    """
    global _providing
    arguments = getattr(signature, "args", signature)
    found = {getattr(argument, "dtype", argument) for argument in arguments}
    with global_compiler_lock:
        if _providing:
            return
        _providing = True
        try:
            for dtype in (types.float32, types.float64):
                if dtype in found:
                    for provide in _providers:
                        provide(dtype)
        finally:
            _providing = False


def kept(name: str, key: Any, make: Callable[[], bytes]) -> bytes:
    """Return the bytes that `make` makes, from the folder if it made them before.

    They have to follow from `key`, whose `repr` says all of it, from Numba's options and from what
    the name of the folder is a hash of.
    """
    digest = hashlib.sha256(repr((key, _options())).encode()).hexdigest()[:32]
    place = folder()
    path = None if place is None else place / f"{name}-{digest}.bitcode"
    try:
        content = b"" if path is None else path.read_bytes()
        if content and hashlib.sha256(content[32:]).digest() == content[:32]:
            return content[32:]
    except OSError:  # not there yet, or not readable
        pass
    made = make()
    with contextlib.suppress(OSError):
        if path is not None and _hash_of_sources() == _SOURCES:
            _write(path, made)
    return made
