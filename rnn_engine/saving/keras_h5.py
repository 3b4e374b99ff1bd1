"""`.weights.h5`: the weights as Keras 3 keeps them, in HDF5.

Each group has a subgroup ``vars`` with the datasets ``0``, ``1``, ... and the
owner's name as an attribute. HDF5 has no checksums: that a number in such a file has
been changed cannot be seen, in the other formats it is.
"""

import re
from typing import Any

from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.hdf5 import Hdf5, h5py
from rnn_engine.saving.sample import read_note
from rnn_engine.saving.state import Group
from rnn_engine.saving.stored import Stored, in_order

_ARRAY = re.compile(r"(?:(?P<path>.+)/)?vars/(?P<number>\d{1,6})")
# What a file of ours says of itself, in an attribute that Keras does not look at.
NOTE = "rnn_engine"
_NUMBERED = re.compile(r"(?P<name>.+)_(?P<count>\d{1,6})")
# How Keras 2.12 called the place of the layers of a model.
_OLD_LAYERS = "_layer_checkpoint_dependencies"

# The parts of a MultiHeadAttention, which Keras 2 called by its attributes.
_OLD_PART = re.compile(r"/_(?=(query|key|value|output)_dense\Z)")


def write(file: Any, groups: list[Group], said: str | None = None) -> None:
    """Write the variables of groups into a file, open for writing and reading."""
    with h5py().File(file, "w") as h5:
        if said is not None:
            h5.attrs[NOTE] = said
        for group in groups:
            place = h5.create_group(f"{group.path}/vars")
            place.attrs["name"] = group.name
            for name, value in group.arrays():
                h5[name] = value


def arrays_of(file: Hdf5) -> dict[str, list[Stored]]:
    """Return the arrays of a file by their group.

    Raises
    ------
    ValueError
        If the file is damaged, or is no file of weights.
    """
    found: dict[str, dict[int, Stored]] = {}
    groups = [name for name in file.names if name.rsplit("/", 1)[-1] == "vars"]
    if not groups:
        raise RefusedError(f"{file.source} holds no weights as Keras 3 writes them.")
    for name in file.names:
        match = _ARRAY.fullmatch(name)
        if match and file.is_array(name):
            path = match["path"] or ""
            found.setdefault(path, {})[int(match["number"])] = file.array(name)
    found = {_OLD_PART.sub("/", path): values for path, values in found.items()}
    if any(_OLD_LAYERS in path for path in found):
        found = {_renamed(path, set(found)): values for path, values in found.items()}
    return {path: in_order(values, path, file.source) for path, values in found.items()}


def said_by(file: Hdf5) -> dict[str, Any] | None:
    """Return what a file says of itself, None if it is not one of ours.

    Raises
    ------
    ValueError
        If it is of a later version of the format.
    """
    text = file.text("", NOTE)
    return None if text is None else read_note(text, file.source)


def named_of(file: Hdf5) -> dict[str, Stored]:
    """Return the arrays that have names instead of numbers, by their whole path."""
    names = [name for name in file.names if name.endswith("/vars/idf_weights")]
    return {name: file.array(name) for name in names}


def _renamed(path: str, paths: set[str]) -> str:
    """Return a path of Keras 2.12 as later versions have it.

    There the second of two layers of a class has the number 2, not 1.
    """
    renamed = []
    parts = path.split("/")
    for i, part in enumerate(parts):
        match = _NUMBERED.fullmatch(part)
        before = "/".join([*parts[:i], match["name"], ""]) if match else ""
        if match and int(match["count"]) > 1 and any(f"{p}/".startswith(before) for p in paths):
            part = f"{match['name']}_{int(match['count']) - 1}"
        renamed.append("layers" if part == _OLD_LAYERS else part)
    return "/".join(renamed)
