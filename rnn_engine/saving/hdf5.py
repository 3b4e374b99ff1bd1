"""HDF5, read with care: nothing outside the file, nothing that was never written.

The arrays of a model lie in the file itself, whole, as numbers, packed with deflate at
most. Whatever else HDF5 can do (links to other files and places, data in other files,
virtual data, filters that are looked for on the disk) is refused, not followed. Packed
chunks are unpacked here and not by the HDF5 library, which would unpack as much as comes.
"""

import itertools
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from rnn_engine.saving.archive import size_of
from rnn_engine.saving.budget import MOST_DEFLATED, Budget, checked_dtype
from rnn_engine.saving.errors import RefusedError, damage_named
from rnn_engine.saving.stored import Stored

MAGIC = b"\x89HDF\r\n\x1a\n"
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
_FLETCHER_BYTES = 4
_MOST_ATTRIBUTE = 1 << 16


def h5py() -> Any:
    """Return the module that reads HDF5.

    Raises
    ------
    ImportError
        If it is not there, which a plain install brings.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "Keras's files (.keras, .h5, .weights.h5) need h5py: pip install h5py. The "
            "library's own format, .npz, needs nothing."
        ) from error
    return h5py


class Hdf5:
    """An HDF5 file of which objects are read within a budget."""

    def __init__(self, h5: Any, budget: Budget) -> None:
        self.h5 = h5
        self.budget = budget
        self.source = budget.source
        self.names: list[str] = []
        h5.visit(self.names.append)  # each object once, by hard links only
        self._known = set(self.names)

    def array(self, name: str) -> Stored:
        """Return a dataset, of which the header has been checked."""
        source = f"{name} in {self.source}"
        if name not in self._known:
            raise RefusedError(f"{source} is not there, or is a link, which is not followed.")
        with damage_named(source):
            dataset = self.h5[name]
            return self._checked(dataset, name, source)

    def is_array(self, name: str) -> bool:
        """Whether there is a dataset of that name."""
        return name in self._known and isinstance(self.h5[name], h5py().Dataset)

    def text(self, group: str, name: str) -> Any:
        """Return an attribute of a group: a text, or a list of texts; None if it is not there.

        Keras cuts long lists into several attributes, with a number behind the name.
        """
        if group and group not in self._known:
            return None
        attributes = self.attributes(group)
        if name not in attributes:
            parts: list[Any] = []
            for i in itertools.count():
                if f"{name}{i}" not in attributes:
                    return parts or None
                parts += self._attribute(attributes, f"{name}{i}")
        return self._attribute(attributes, name)

    def attributes(self, group: str) -> Any:
        """Return the attributes of a group, by their names."""
        return (self.h5[group] if group else self.h5).attrs

    def _attribute(self, attributes: Any, name: str) -> Any:
        found = attributes.get_id(name)
        size = math.prod(found.shape or ()) * found.get_type().get_size()
        if size > max(_MOST_ATTRIBUTE, self.budget.file_size):
            raise RefusedError(f"{self.source} is damaged: {name} says it is {size} bytes.")
        self.budget.take_text(size, name)
        value = attributes[name]
        if isinstance(value, np.ndarray | list):
            return [decoded(entry) for entry in np.asarray(value).reshape(-1).tolist()]
        return decoded(value)

    def _checked(self, dataset: Any, name: str, source: str) -> Stored:
        if not isinstance(dataset, h5py().Dataset):
            raise RefusedError(f"{source} is no array.")
        dtype = checked_dtype(dataset.dtype, source)
        if dataset.external or dataset.is_virtual:
            raise RefusedError(f"{source} lies in another file, which is not read.")
        if dataset.shape is None:
            raise RefusedError(f"{source} is empty.")
        shape = tuple(map(int, dataset.shape))
        wanted, stored = math.prod(shape) * dtype.itemsize, dataset.id.get_storage_size()
        packed = dataset.chunks is not None
        if stored > self.budget.file_size:
            stored = 0
        checked_size(wanted, stored, source, packed)
        fill = self._chunks(dataset, source) if packed else dataset.read_direct

        def within(target: np.ndarray) -> None:
            self.budget.take(target.nbytes, name)
            if target.size:
                fill(target)

        return Stored(shape, dtype, source, within, wanted // max(1, dtype.itemsize))

    def _chunks(self, dataset: Any, source: str) -> Any:
        """Return what reads an array that is stored in pieces, each unpacked by itself."""
        shape, chunk, dtype = dataset.shape, dataset.chunks, dataset.dtype
        settings = dataset.id.get_create_plist()
        codes = [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
        filters = checked_filters(codes, source)
        size, count = checked_chunks(shape, chunk, dtype, dataset.id.get_num_chunks(), source)

        def fill(target: np.ndarray) -> None:
            for i in range(count):
                info = dataset.id.get_chunk_info(i)
                if info.size > self.budget.file_size:
                    raise RefusedError(f"{source} is damaged: a part is of {info.size} bytes.")
                mask, raw = dataset.id.read_direct_chunk(info.chunk_offset)
                values = unpacked(raw, filters, mask, size, dtype.itemsize)
                part = np.frombuffer(values, dtype).reshape(chunk)
                where = tuple(
                    slice(o, min(o + c, n))
                    for o, c, n in zip(info.chunk_offset, chunk, shape, strict=True)
                )
                target[where] = part[tuple(slice(0, s.stop - s.start) for s in where)]

        return fill


@contextmanager
def open_hdf5(file: BinaryIO, source: str, budget: Budget | None = None) -> Iterator[Hdf5]:
    """Open an HDF5 file for reading: by pyfive if it is installed, else by h5py.

    Raises
    ------
    ValueError
        If it is damaged, here or while the block reads it; names `source`.
    """
    from rnn_engine.saving import pure_hdf5

    budget = budget or Budget(size_of(file), source)
    if pure_hdf5.pyfive() is not None:
        with damage_named(source):
            yield pure_hdf5.PureHdf5(file, budget)
        return
    module = h5py()
    with damage_named(source), module.File(file, "r") as h5:
        yield Hdf5(h5, budget)


def decoded(value: Any) -> Any:
    """Return a text of an attribute, which may be bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


def checked_size(wanted: int, stored: int, source: str, packed: bool = False) -> None:
    """Check that so many bytes of a file can be an array of that size.

    Raises
    ------
    ValueError
        If they are too few.
    """
    if wanted > stored * (MOST_DEFLATED if packed else 1):
        raise RefusedError(
            f"{source} says it is {wanted} bytes, stored in {stored}; it is not read."
        )


def checked_chunks(
    shape: tuple[int, ...], chunk: tuple[int, ...], dtype: Any, found: int, source: str
) -> tuple[int, int]:
    """Return the bytes of a chunk and the number of chunks of an array.

    Raises
    ------
    ValueError
        If they are larger than the array needs, or not all there.
    """
    size = math.prod(chunk) * dtype.itemsize
    count = math.prod(-(-n // c) for n, c in zip(shape, chunk, strict=True))
    if size > 2 * math.prod(shape) * dtype.itemsize + (1 << 20) or found != count:
        raise RefusedError(f"{source} has parts that were never written; it is not read.")
    return size, count


def checked_filters(codes: list[int], source: str) -> list[int]:
    """Return the codes of the filters that the chunks went through, in their order.

    Raises
    ------
    ValueError
        If one is none of those that are undone here.
    """
    if not set(codes) <= {_DEFLATE, _SHUFFLE, _FLETCHER32}:
        raise RefusedError(f"{source} is packed in another way than deflate; it is not unpacked.")
    return codes


def unpacked(raw: bytes, filters: list[int], mask: int, size: int, width: int) -> bytes:
    """Undo the filters of a chunk, of which `mask` marks those that were left out."""
    for i in range(len(filters) - 1, -1, -1):
        if mask >> i & 1:
            continue
        if filters[i] == _FLETCHER32:
            raw = raw[:-_FLETCHER_BYTES]
        elif filters[i] == _SHUFFLE:
            raw = np.frombuffer(raw, "u1").reshape(width, -1).T.tobytes()
        else:
            raw = zlib.decompressobj().decompress(raw, size + _FLETCHER_BYTES + 1)
    if len(raw) != size:
        raise RefusedError(f"a part unpacks to another size than {size} bytes.")
    return raw
