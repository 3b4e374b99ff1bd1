"""Files that are whole or not there: written beside their name, then renamed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

try:
    import fcntl

    HAS_LOCKS = True
except ImportError:  # Windows, which lets nobody remove a file that is open
    HAS_LOCKS = False


def check_folder(path: str) -> None:
    """Check that a file may be put at `path`, whose folder need not be there yet.

    Raises
    ------
    OSError
        If not. What comes from the first field of a format on (``{epoch}``) is not looked at.
    """
    folder = os.path.abspath(os.path.dirname(path.partition("{")[0]))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"Nothing can be saved at {path!r}: {folder!r} is no folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"Nothing can be saved at {path!r}: {folder!r} is write-protected.")


@contextmanager
def replacing(filepath: Any) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `filepath` when the block ends well.

    Until then the old file stays as it is, whatever happens: the new one lies in
    the same folder under another name, and is on the disk before it is renamed. A
    process killed in between leaves that other file, a hidden one, behind; the next
    save of the same target removes it.

    Raises
    ------
    OSError
        If the folder is not there or cannot be written, or the target is a folder.
    """
    # A link keeps pointing to its file, whose content is what changes.
    target = os.path.realpath(os.fspath(filepath))
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            errno.ENOENT,
            f"No such file or directory: {os.fspath(filepath)!r}. The folder to save {name!r} into "
            f"does not exist",
            folder,
        )
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "A model is saved as a file, and this is", target)
    _remove_leftovers(folder, name)
    file, fresh = _fresh_file(folder, name)
    with file:
        try:
            with suppress(FileNotFoundError):
                os.chmod(fresh, os.stat(target).st_mode & 0o7777)
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(fresh, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(fresh)
            raise
    _sync_folder(folder)


def _fresh_file(folder: str, name: str) -> tuple[BinaryIO, str]:
    """Create a hidden file beside the target, locked for as long as it is open."""
    while True:
        fresh = os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        # Not tempfile: its files are closed to other users, saved ones follow the umask.
        file = open(fresh, "x+b")  # noqa: SIM115  # the caller closes it
        if _locked(file) and os.path.exists(fresh):
            return file, fresh
        file.close()  # another save took it for a leftover before the lock was there


def _remove_leftovers(folder: str, name: str) -> None:
    """Remove the hidden files of this target whose writers are dead: nobody locks them."""
    found = [
        entry
        for entry in os.listdir(folder)
        if entry.startswith(f".{name}.") and entry.endswith(".tmp")
    ]
    for entry in found:
        path = os.path.join(folder, entry)
        with suppress(OSError), open(path, "rb") as file:
            if _locked(file):
                os.unlink(path)


def _locked(file: BinaryIO) -> bool:
    """Take the lock of a file if it is free; True where there are no locks."""
    if not HAS_LOCKS:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _sync_folder(folder: str) -> None:
    """Have the new name on the disk too, where the system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def may_write(filepath: Any, overwrite: bool) -> bool:
    """Whether to write: asks on the terminal if the file is there and `overwrite` False.

    Raises
    ------
    FileExistsError
        If it would ask and nobody can answer.
    """
    if overwrite or not os.path.exists(filepath):
        return True
    try:
        answer = input(f"{os.fspath(filepath)} exists already; overwrite it? [y/n] ")
    except EOFError as error:
        raise FileExistsError(
            f"{os.fspath(filepath)} exists already; pass overwrite=True to replace it."
        ) from error
    return answer.strip().lower() in ("y", "yes")
