"""`.npz`: the library's own format, which needs nothing but NumPy.

A zip archive of ``metadata.json``, ``config.json`` (for a model) and one ``.npy``
file an array, stored without compression::

    layers/dense/vars/0.npy    optimizer/vars/0.npy

so ``np.load(file)["layers/dense/vars/0"]`` reads it too. Groups are named as in
Keras's files. Nothing in it is code, pickles are neither written nor read.
"""

import io
import math
import re
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from rnn_engine.saving.archive import Archive
from rnn_engine.saving.assets import assets_of, write_assets
from rnn_engine.saving.budget import checked_dtype
from rnn_engine.saving.errors import RefusedError, damage_named
from rnn_engine.saving.reading import parse_json
from rnn_engine.saving.sample import read_note
from rnn_engine.saving.state import Group
from rnn_engine.saving.stored import Content, Stored, in_order

_ARRAY = re.compile(r"(?:(?P<path>.+)/)?vars/(?P<number>\d{1,6})\.npy")
# An array's own header: 128 bytes here, with older NumPy a few more.
_HEADER = 1 << 12


def write(file: BinaryIO, groups: list[Group], config: str | None, said: str) -> None:
    """Write the variables of groups, the JSON of a config unless None, and `sample.note`'s text."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", said)
        if config is not None:
            archive.writestr("config.json", config)
        for group in groups:
            for name, value in group.arrays():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, value, allow_pickle=False)
        write_assets(archive, groups)


def content_of(archive: Archive) -> Content:
    """Return what an archive holds.

    Raises
    ------
    ValueError
        If it is damaged, of a later version, or holds pickled objects.
    """
    source = archive.source
    said = read_note(archive.text("metadata.json"), source)
    config = None
    if "config.json" in archive.names:
        config = parse_json(archive.text("config.json"), source)
    found: dict[str, dict[int, Stored]] = {}
    for name in archive.names:
        if match := _ARRAY.fullmatch(name):
            values = found.setdefault(match["path"] or "", {})
            values[int(match["number"])] = stored(archive, name)
    arrays = {path: in_order(values, path, source) for path, values in found.items()}
    named = {
        name.removesuffix(".npy"): stored(archive, name)
        for name in archive.names
        if name.endswith("/vars/idf_weights.npy")
    }
    return Content(config, arrays, assets=assets_of(archive), named=named, said=said)


def stored(archive: Archive, name: str) -> Stored:
    """Return the array of a ``.npy`` member.

    Raises
    ------
    ValueError
        If its header does not agree with its size, or it holds no numbers.
    """
    source = f"{name} in {archive.source}"
    with damage_named(source), archive.open(name) as member:
        head = member.read(_HEADER)
        shape, fortran, dtype, start = _header(head)
    checked_dtype(dtype, source)
    data = archive.info(name).file_size - start
    if not all(size >= 0 for size in shape) or data != math.prod(shape) * dtype.itemsize:
        raise RefusedError(f"{source} is damaged: {data} bytes for {shape} of {dtype}.")

    def fill(target: np.ndarray) -> None:
        archive.budget.take(target.nbytes, name)
        if not fortran:
            archive.fill(name, start, target)
        else:
            swapped = np.empty(shape[::-1], dtype)
            archive.fill(name, start, swapped)
            target[...] = swapped.T

    return Stored(shape, dtype, source, fill, data // max(1, dtype.itemsize))


def _header(head: bytes) -> tuple[tuple[int, ...], bool, Any, int]:
    """Return shape, order and type of the numbers, and where they begin."""
    file = io.BytesIO(head)
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file, max_header_size=_HEADER)
    return shape, fortran, dtype, file.tell()
