"""`.npz`: the library's own format, which needs nothing but NumPy.

A zip archive of ``metadata.json``, ``config.json`` (for a model) and one ``.npy``
file an array, stored without compression::

    layers/dense/vars/0.npy    optimizer/vars/0.npy

so ``np.load(file)["layers/dense/vars/0"]`` reads it too. Groups are named as in
Keras's files. Nothing in it is code, pickles are neither written nor read.
"""

import io
import json
import math
import re
import zipfile
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from rnn_engine.saving.archive import open_archive, read_member
from rnn_engine.saving.errors import RefusedError, damage_named
from rnn_engine.saving.state import Group, in_order

FORMAT = "rnn_engine"
VERSION = 1
_ARRAY = re.compile(r"(?:(?P<path>.+)/)?vars/(?P<number>\d+)\.npy")


def write(file: BinaryIO, groups: list[Group], config: str | None) -> None:
    """Write the variables of groups, and the JSON of a config unless None."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps({"format": FORMAT, "version": VERSION}))
        if config is not None:
            archive.writestr("config.json", config)
        for group in groups:
            for i, variable in enumerate(group.variables):
                name = f"{group.path}/vars/{i}.npy".lstrip("/")
                with archive.open(name, "w", force_zip64=True) as member:
                    npy.write_array(member, variable.value, allow_pickle=False)


def read(file: BinaryIO, source: str) -> tuple[bytes | None, dict[str, list[np.ndarray]]]:
    """Return the JSON of the config, None if it holds weights only, and the arrays.

    Raises
    ------
    ValueError
        If the file is damaged, of a later version, or holds pickled objects.
    """
    with open_archive(file, source) as archive:
        names = archive.namelist()
        _check_version(read_member(archive, "metadata.json", source), source)
        config = None
        if "config.json" in names:
            config = read_member(archive, "config.json", source)
        found: dict[str, dict[int, np.ndarray]] = {}
        for name in names:
            if match := _ARRAY.fullmatch(name):
                values = found.setdefault(match["path"] or "", {})
                values[int(match["number"])] = _array(
                    read_member(archive, name, source), f"{name} in {source}"
                )
    return config, {path: in_order(values, path, source) for path, values in found.items()}


def _check_version(text: bytes, source: str) -> None:
    try:
        metadata = json.loads(text)
        version = metadata["version"] if metadata["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError):
        version = None
    if not isinstance(version, int):
        raise RefusedError(f"{source} is not a file of {FORMAT}: its metadata are {text[:60]!r}.")
    if version > VERSION:
        raise RefusedError(
            f"{source} is of version {version} of the format, later than {VERSION}, which this "
            f"{FORMAT} reads."
        )


def _array(content: bytes, source: str) -> np.ndarray:
    """Return the array in the bytes of a ``.npy`` file, checked before memory is taken."""
    file = io.BytesIO(content)
    with damage_named(source):
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(file)
    if dtype.kind not in "biuf":
        raise RefusedError(f"{source} must be an array of numbers, got dtype {dtype}.")
    data = content[file.tell() :]
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise RefusedError(f"{source} is damaged: {len(data)} bytes for {shape} of {dtype}.")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
