"""Zip archives, read with care: a damaged or hostile one is an error, not a crash."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnn_engine.saving.errors import RefusedError, damage_named

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
    with damage_named(source), zipfile.ZipFile(file) as archive:
        yield archive


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
        raise RefusedError(f"{source} has no {name}: it is no file of a model.") from None
    if info.file_size > _BOMB_FLOOR and info.file_size > _MOST_EXPANSION * info.compress_size:
        raise RefusedError(
            f"{source}: {name} says it is {info.file_size} bytes, stored in "
            f"{info.compress_size}; it is not unpacked."
        )
    return archive.read(info)
