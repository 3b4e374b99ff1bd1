"""Files that are whole or not there: written beside their name, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO


@contextmanager
def replacing(filepath: Any) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `filepath` when the block ends well.

    Until then the old file stays as it is, whatever happens: the new one lies in
    the same folder under another name, and is on the disk before it is renamed. A
    process killed in between leaves that other file, a hidden one, behind.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    # A link keeps pointing to its file, whose content is what changes.
    target = os.path.realpath(os.fspath(filepath))
    folder, name = os.path.split(target)
    fresh = os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    # Not tempfile: its files are closed to other users, saved ones follow the umask.
    with open(fresh, "x+b") as file:
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
