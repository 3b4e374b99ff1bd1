"""HDF5 read by pyfive, which is Python alone, where that is installed: no C meets the headers.

Only its parser of objects is used: links, attributes, where an array lies. Each read of it goes
through a `Guard`, so that no header makes it read, or take, more than the file is worth. The
arrays are read here, with the checks of `rnn_engine.saving.hdf5`.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, BinaryIO

import numpy as np

from rnn_engine.saving.archive import size_of
from rnn_engine.saving.budget import Budget, checked_dtype
from rnn_engine.saving.errors import RefusedError, damage_named
from rnn_engine.saving.hdf5 import (
    Hdf5,
    checked_chunks,
    checked_filters,
    checked_size,
    decoded,
    unpacked,
)
from rnn_engine.saving.stored import Stored

_VERSIONS = ("1.3.",)  # whose inner names are those used here
_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2
_EXTERNAL_FILES = 7
_NOWHERE = (1 << 64) - 1
# A variable-length entry of an attribute: a length, an address, a number.
_ENTRY = 16
# Bytes that headers may be read in all, for each byte of the file, and to begin with; and what
# each read counts at least.
_OFTEN, _FLOOR, _LEAST = 8, 1 << 22, 64


@cache  # looked for once: a load imports nothing
def pyfive() -> Any:
    """Return the module, or None where it is not installed, or of another version."""
    try:
        import pyfive
    except ImportError:
        return None
    return pyfive if pyfive.__version__.startswith(_VERSIONS) else None


@cache
def _objects() -> type:
    """Return pyfive's parser of an object, which believes no count that the bytes do not bear."""
    from pyfive.dataobjects import DataObjects

    class Objects(DataObjects):
        def _attr_value(self, ptype: Any, buf: Any, count: int, offset: int) -> Any:
            width = min(_ENTRY, max(1, getattr(ptype.dtype, "itemsize", 1)))
            if count < 0 or count * width > len(buf) - offset:
                raise ValueError(f"an attribute says that it has {count} entries.")
            return super()._attr_value(ptype, buf, count, offset)

    return Objects


class Guard:
    """A file for a parser: what it reads is counted, and never more than the file has."""

    closed = False

    def __init__(self, file: BinaryIO, source: str) -> None:
        self.file, self.source = file, source
        self.size = size_of(file)
        self._left = _OFTEN * self.size + _FLOOR

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, which lies in the file."""
        if whence == 0 and not 0 <= offset <= self.size:
            raise RefusedError(f"{self.source} is damaged: it points to byte {offset}.")
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self.file.tell()

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, which are there."""
        if not 0 <= size <= self.size:
            raise RefusedError(f"{self.source} is damaged: a header is of {size} bytes.")
        self._left -= max(size, _LEAST)
        if self._left < 0:
            raise RefusedError(f"{self.source} is damaged: its headers lead in a circle.")
        return self.file.read(size)

    def fill(self, offset: int, target: Any) -> None:
        """Fill an array from a place."""
        if offset + target.nbytes > self.size:
            raise RefusedError(f"{self.source} is damaged: numbers lie behind its end.")
        self.file.seek(offset)
        view = memoryview(target.reshape(-1).view("u1"))
        while view:
            count = self.file.readinto(view)  # type: ignore[attr-defined]  # a real file has it
            if not count:
                raise RefusedError("the numbers end too early.")
            view = view[count:]


class PureHdf5(Hdf5):
    """An HDF5 file of which objects are read within a budget, by pyfive."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        from pyfive import File

        self.budget, self.source = budget, budget.source
        self._guard = Guard(file, budget.source)
        h5 = File(self._guard)
        if h5.userblock_size:
            raise RefusedError(f"{self.source} begins with something else than HDF5.")
        self._found: dict[str, Any] = {}
        self._walk(h5._superblock.offset_to_dataobjects)
        self.names = sorted(name for name in self._found if name)
        self._known = set(self.names)

    def _walk(self, root: int) -> None:
        """Find each object once, by hard links only."""
        heaps: dict[int, Any] = {}
        waiting, seen = [("", root)], {root}
        while waiting:
            name, address = waiting.pop()
            found = _objects()(self._guard, address, global_heaps=heaps)
            self._found[name] = found
            if found.is_dataset:
                continue
            for link, target in found.get_links().items():
                if isinstance(target, int | np.integer) and target not in seen:
                    seen.add(int(target))
                    waiting.append((f"{name}/{link}".lstrip("/"), int(target)))

    def is_array(self, name: str) -> bool:
        """Whether there is a dataset of that name."""
        return name in self._known and bool(self._found[name].is_dataset)

    def attributes(self, group: str) -> Any:
        """Return the attributes of a group, by their names."""
        return self._found[group].get_attributes()

    def _attribute(self, attributes: Any, name: str) -> Any:
        value = attributes[name]
        entries = np.asarray(value).reshape(-1).tolist() if np.ndim(value) else [value]
        self.budget.take_text(sum(len(e) if isinstance(e, bytes) else 8 for e in entries), name)
        return list(map(decoded, entries)) if np.ndim(value) else decoded(value)

    def array(self, name: str) -> Stored:
        """Return a dataset, of which the header has been checked."""
        source = f"{name} in {self.source}"
        if name not in self._known:
            raise RefusedError(f"{source} is not there, or is a link, which is not followed.")
        with damage_named(source):
            found = self._found[name]
            if not found.is_dataset:
                raise RefusedError(f"{source} is no array.")
            if found.find_msg_type(_EXTERNAL_FILES):
                raise RefusedError(f"{source} lies in another file, which is not read.")
            if found.shape is None:
                raise RefusedError(f"{source} is empty.")
            shape = tuple(map(int, found.shape))
            dtype = checked_dtype(found.ptype.dtype, source)
            wanted = math.prod(shape) * dtype.itemsize
            fill = self._reader(found, shape, dtype, source)

        def within(target: np.ndarray) -> None:
            self.budget.take(target.nbytes, name)
            if target.size:
                fill(target)

        return Stored(shape, dtype, source, within, wanted // max(1, dtype.itemsize))

    def _reader(
        self, found: Any, shape: tuple[int, ...], dtype: np.dtype, source: str
    ) -> Callable[[np.ndarray], None]:
        """Return what reads an array, by the way in which it is stored."""
        from pyfive.dataobjects import DatasetID

        place = DatasetID(found, noindex=True)
        wanted = math.prod(shape) * dtype.itemsize
        if place.layout_class == _COMPACT:
            data = bytes(place._data if place._data is not None else b"")
            checked_size(wanted, len(data), source)
            return lambda target: target.__setitem__(
                ..., np.frombuffer(data, dtype, math.prod(shape)).reshape(shape)
            )
        if place.layout_class == _CONTIGUOUS:
            offset = int(place.data_offset)
            inside = wanted == 0 or (offset != _NOWHERE and offset + wanted <= self._guard.size)
            checked_size(wanted, wanted if inside else 0, source)
            return lambda target: self._guard.fill(offset, target)
        if place.layout_class != _CHUNKED:
            raise RefusedError(f"{source} lies in another file, which is not read.")
        return self._pieces(found, place, shape, dtype, source)

    def _pieces(
        self, found: Any, place: Any, shape: tuple[int, ...], dtype: np.dtype, source: str
    ) -> Callable[[np.ndarray], None]:
        """Return what reads an array that is stored in pieces, each unpacked by itself."""
        chunk = tuple(map(int, place.chunks))
        filters = checked_filters([f["filter_id"] for f in found.filter_pipeline or ()], source)
        parts = dict(place.index) if math.prod(shape) else {}
        stored = sum(int(part.size) for part in parts.values())
        checked_size(math.prod(shape) * dtype.itemsize, stored, source, packed=True)
        size, _ = checked_chunks(shape, chunk, dtype, len(parts), source)
        if stored > self._guard.size:
            raise RefusedError(f"{source} is damaged: its parts are of {stored} bytes.")

        def fill(target: np.ndarray) -> None:
            for start, part in parts.items():
                raw = np.empty(int(part.size), "u1")
                self._guard.fill(int(part.byte_offset), raw)
                values = unpacked(raw.tobytes(), filters, part.filter_mask, size, dtype.itemsize)
                where = tuple(
                    slice(o, min(o + c, n)) for o, c, n in zip(start, chunk, shape, strict=True)
                )
                piece = np.frombuffer(values, dtype).reshape(chunk)
                target[where] = piece[tuple(slice(0, s.stop - s.start) for s in where)]

        return fill
