"""`.safetensors`: the arrays of a model, mapped into memory when they are read.

A JSON header of names, types and places, then the numbers. The arrays are named as in the
library's ``.npz`` (``layers/dense/vars/0``, ``optimizer/vars/0``), vocabularies are bytes
below ``assets/``; the config of a model is a text in the header's metadata. The package
`safetensors` writes the file, and proves the header before anything else is read: every
array lies in the file, none on another, nothing between. Like HDF5, the format has no
checksums.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from rnn_engine.saving.archive import size_of
from rnn_engine.saving.assets import FOLDER
from rnn_engine.saving.budget import Budget
from rnn_engine.saving.errors import RefusedError, damage_named
from rnn_engine.saving.reading import parse_json
from rnn_engine.saving.sample import FORMAT, read_note
from rnn_engine.saving.state import Group
from rnn_engine.saving.stored import Content, Stored, in_order

VERSION = 1
_ARRAY = re.compile(r"(?:(?P<path>.+)/)?vars/(?P<number>\d{1,6})")
_LENGTH = 8  # bytes of the header's length, before it
# What is mapped at a time, so that the file is not in memory beside the weights.
_WINDOW = 1 << 24
_TYPES: dict[str, np.dtype] = {name: np.dtype(kind) for name, kind in {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "BF16": "<u2",
    "U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8",
}.items()}  # fmt: skip


def safetensors() -> Any:
    """Return the module that reads and writes the format.

    Raises
    ------
    ImportError
        If it is not there; the message names the extra that brings it.
    """
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "Files in the format .safetensors need the package safetensors: "
            "pip install 'rnn_engine[safetensors]'. The library's own format, .npz, needs nothing."
        ) from error
    return safetensors


def is_safetensors(start: bytes) -> bool:
    """Whether a file that starts so is of this format: a length, then JSON.

    The length may begin with the letters of a zip archive, whose next two bytes it has not: as a
    length they would be more than 64 MB.
    """
    return start[_LENGTH : _LENGTH + 1] == b"{" and not start.startswith(b"PK\x03\x04")


def write(file: BinaryIO, groups: list[Group], config: str | None, said: str) -> None:
    """Write the variables of groups, a config as JSON unless None, the text of `sample.note`."""
    module = safetensors()
    metadata = {"format": FORMAT, "version": str(VERSION), "note": said}
    if config is not None:
        metadata["config"] = config
    arrays: dict[str, np.ndarray] = {}
    for group in groups:
        for name, value in group.arrays():
            arrays[name] = np.asarray(value, order="C")
        for name, content in group.assets.items():
            arrays[f"{FOLDER}{group.path}/{name}"] = np.frombuffer(content, "u1")
    file.write(module.numpy.save(arrays, metadata))


def content_of(file: BinaryIO, source: str) -> Content:
    """Return what an open file of this library's holds.

    Raises
    ------
    ValueError
        If it is damaged, of a later version, or another program's.
    """
    budget = Budget(size_of(file), source)
    metadata, stored = arrays_of(file, source, budget)
    _check_version(metadata, source)
    config = None if metadata.get("config") is None else parse_json(metadata["config"], source)
    found: dict[str, dict[int, Stored]] = {}
    for name, values in stored.items():
        if match := _ARRAY.fullmatch(name):
            found.setdefault(match["path"] or "", {})[int(match["number"])] = values
    arrays = {path: in_order(values, path, source) for path, values in found.items()}
    named = {name: values for name, values in stored.items() if name.endswith("/vars/idf_weights")}
    said = read_note(metadata["note"], source) if "note" in metadata else None
    return Content(config, arrays, assets=_assets(stored, budget), named=named, said=said)


def arrays_of(
    file: BinaryIO, source: str, budget: Budget
) -> tuple[dict[str, str], dict[str, Stored]]:
    """Return the metadata and the arrays of any file of the format, open, by their names.

    Raises
    ------
    ValueError
        If the header is damaged or holds types that are not known here.
    """
    length = int.from_bytes(file.read(_LENGTH), "little")
    if length > budget.file_size - _LENGTH:
        raise RefusedError(f"{source} is damaged: a header of {length} bytes, more than the file.")
    budget.take_text(length, "the header")
    with damage_named(source), safetensors().safe_open(source, "np") as opened:
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(source)):
            raise RefusedError(f"{source} was replaced while it was opened; open it again.")
        metadata = dict(opened.metadata() or {})
        described = [(name, opened.get_slice(name)) for name in opened.offset_keys()]
        entries = [(name, part.get_dtype(), tuple(part.get_shape())) for name, part in described]
    found, start = {}, _LENGTH + length
    for name, kind, shape in entries:  # they follow on each other
        if kind not in _TYPES:
            raise RefusedError(f"{name} in {source} is of type {kind}, which is not read.")
        found[name] = array = _stored(file, f"{name} in {source}", kind, shape, start, budget)
        start += array.backed * _TYPES[kind].itemsize
    if start != budget.file_size:
        raise RefusedError(f"{source} is damaged: {start} bytes in the header, not all there.")
    return metadata, found


def _stored(
    file: BinaryIO, source: str, kind: str, shape: tuple[int, ...], start: int, budget: Budget
) -> Stored:
    raw, count = _TYPES[kind], math.prod(shape)

    def fill(target: np.ndarray) -> None:
        budget.take(target.nbytes, source)
        flat, step = target.reshape(-1), _WINDOW // raw.itemsize
        for i in range(0, count, step):
            part = flat[i : i + step]
            mapped = np.memmap(file, raw, "r", start + i * raw.itemsize, part.shape)
            part[...] = _widened(mapped) if kind == "BF16" else mapped

    return Stored(shape, np.dtype("f4") if kind == "BF16" else raw, source, fill, count)


def _widened(halves: np.ndarray) -> np.ndarray:
    """Return bfloat16 as float32: the same bits, and zeros behind."""
    return (halves.astype("<u4") << 16).view("<f4")


def _assets(stored: Mapping[str, Stored], budget: Budget) -> dict[str, Callable[[], bytes]]:
    def reader(values: Stored) -> Callable[[], bytes]:
        def read() -> bytes:
            budget.take_text(values.backed, values.source)
            return values.read().tobytes()

        return read

    return {
        name.removeprefix(FOLDER): reader(values)
        for name, values in stored.items()
        if name.startswith(FOLDER)
    }


def _check_version(metadata: Mapping[str, str], source: str) -> None:
    if metadata.get("format") != FORMAT or not metadata.get("version", "").isdecimal():
        raise RefusedError(
            f"{source} is a .safetensors file of another program, its metadata are "
            f"{str(dict(metadata))[:60]}. What PyTorch wrote is read by "
            f"rnn_engine.saving.from_torch."
        )
    if int(metadata["version"][:9]) > VERSION:
        raise RefusedError(
            f"{source} is of version {metadata['version'][:9]} of the format, later than {VERSION}"
            f", which this {FORMAT} reads: install a newer {FORMAT}, or save the model as .keras "
            f"there."
        )
