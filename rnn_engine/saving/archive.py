"""Zip archives, read with care: a damaged or hostile one is an error, not a crash."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from rnn_engine.saving.budget import MOST_DEFLATED, Budget
from rnn_engine.saving.errors import RefusedError, damage_named

_CHUNK = 1 << 20
_HEADER = 30  # bytes of a member's own header, before its name
_ENCRYPTED = 1


class Archive:
    """A zip archive of which members are read within a budget.

    Members are stored or deflated; nothing else is unpacked, nor what is encrypted.
    """

    def __init__(self, file: BinaryIO, source: str) -> None:
        self.source = source
        self.file = file
        self.budget = Budget(size_of(file), source)
        self._zip = zipfile.ZipFile(file)
        self.names = self._zip.namelist()

    def info(self, name: str) -> zipfile.ZipInfo:
        """Return what the archive says of a member.

        Raises
        ------
        ValueError
            If there is none, it is of another compression, or its sizes cannot be true.
        """
        try:
            info = self._zip.getinfo(name)
        except KeyError:
            raise RefusedError(f"{self.source} has no {name}: it is no file of a model.") from None
        place = f"{self.source}: {name}"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RefusedError(f"{place} is neither stored nor deflated; it is not unpacked.")
        if info.flag_bits & _ENCRYPTED:
            raise RefusedError(f"{place} is encrypted.")
        expansion = 1 if info.compress_type == zipfile.ZIP_STORED else MOST_DEFLATED
        told = info.file_size, info.compress_size
        if told[1] > self.budget.file_size or told[0] > expansion * told[1]:
            raise RefusedError(
                f"{place} says it is {told[0]} bytes, stored in {told[1]}; it is not unpacked."
            )
        return info

    def open(self, name: str) -> Any:
        """Open a member for reading in order; its checksum is looked at when it ends."""
        return self._zip.open(self.info(name))

    def text(self, name: str) -> bytes:
        """Return a member that is going to be parsed."""
        self.budget.take_text(self.info(name).file_size, name)
        return self._read(name)

    def seekable(self, name: str) -> Any:
        """Return a member as a file to seek in; a stored one is not copied.

        Raises
        ------
        ValueError
            If its checksum is not that of its content.
        """
        info = self.info(name)
        if info.compress_type != zipfile.ZIP_STORED:
            self.budget.take(info.file_size, name)
            return io.BytesIO(self._read(name))
        window = self._window(info)
        checksum = 0
        while chunk := window.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
        if checksum != info.CRC:
            raise RefusedError(f"{self.source} is damaged: the checksum of {name} is wrong.")
        window.seek(0)
        return window

    def fill(self, name: str, start: int, target: Any) -> None:
        """Fill an array with what a member holds from `start` on; it must end there.

        A stored member is read once, into its place: of all ways the one with the least memory. (A
        mapping of the file would be copied too, as weights are written to and lie aligned.)

        Raises
        ------
        ValueError
            If it is shorter or longer, or its checksum is not that of its content.
        """
        info = self.info(name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != start + target.nbytes:
            with self.open(name) as member:
                member.read(start)
                fill_from(member, target)
            return
        window = self._window(info)
        checksum = zlib.crc32(window.read(start))
        view = memoryview(target.reshape(-1).view("u1"))
        for at in range(0, len(view), _CHUNK):
            piece = view[at : at + _CHUNK]
            if window.readinto(piece) != len(piece):
                raise RefusedError("the numbers end too early.")
            checksum = zlib.crc32(piece, checksum)
        if checksum != info.CRC:
            raise RefusedError(f"{self.source} is damaged: the checksum of {name} is wrong.")

    def _window(self, info: zipfile.ZipInfo) -> "Window":
        """Return the content of a stored member as a part of the file."""
        self.file.seek(info.header_offset)
        header = self.file.read(_HEADER)
        lengths = struct.unpack("<HH", header[-4:])
        return Window(self.file, info.header_offset + _HEADER + sum(lengths), info.file_size)

    def _read(self, name: str) -> bytes:
        """Return a member, read in pieces, so that no more is unpacked than it says."""
        with self.open(name) as member:
            return b"".join(iter(lambda: member.read(_CHUNK), b""))


@contextmanager
def open_archive(file: BinaryIO, source: str) -> Iterator[Archive]:
    """Open a zip archive for reading.

    Raises
    ------
    ValueError
        If it is damaged, here or while the block reads it; names `source`.
    """
    with damage_named(source):
        yield Archive(file, source)


def fill_from(stream: Any, target: Any) -> None:
    """Fill an array with the next bytes of a stream, piece by piece; it must end there.

    Raises
    ------
    ValueError
        If there are fewer or more.
    """
    view = memoryview(target.reshape(-1).view("u1"))
    for start in range(0, len(view), _CHUNK):
        piece = view[start : start + _CHUNK]
        got = stream.read(len(piece))
        if len(got) != len(piece):
            raise RefusedError("the numbers end too early.")
        piece[:] = got
    if stream.read(1):
        raise RefusedError("there is more behind the numbers.")


def size_of(file: BinaryIO) -> int:
    """Return the size of a file, and go back to its beginning."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


class Window(io.RawIOBase):
    """A part of a file, as a file for reading."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size = file, start, size
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place in the part."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the part."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the part goes; return the number of bytes."""
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._at)]
        self._file.seek(self._start + self._at)
        count = self._file.readinto(view)  # type: ignore[attr-defined]  # a real file has it
        self._at += count
        return int(count)
