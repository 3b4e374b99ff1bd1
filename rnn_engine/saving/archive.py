"""Zip archives, read with care: a damaged or hostile one is an error, not a crash."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A member may say it is larger than what is stored, and fill the memory when read.
_BOMB_FLOOR = 1 << 28
_MOST_EXPANSION = 100


@contextmanager
def open_archive(file: Any, source: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive for reading.

    Raises
    ------
    ValueError
        If it is damaged, here or while the block reads it; names `source`.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        # The latter two: encrypted members, or ones compressed by what is not known.
        raise ValueError(f"{source} is damaged or no archive of a model: {error}") from error


def read_member(archive: zipfile.ZipFile, name: str, source: str) -> bytes:
    """Return the content of a member; its checksum has been checked.

    Raises
    ------
    ValueError
        If there is none, or it would unpack to far more than is stored.
    """
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"{source} has no {name}: it is no file of a model.") from None
    if info.file_size > _BOMB_FLOOR and info.file_size > _MOST_EXPANSION * info.compress_size:
        raise ValueError(
            f"{source}: {name} says it is {info.file_size} bytes, stored in "
            f"{info.compress_size}; it is not unpacked."
        )
    return archive.read(info)
