"""`.weights.h5`: the weights as Keras 3 keeps them, in HDF5.

Each group has a subgroup ``vars`` with the datasets ``0``, ``1``, ... and the
owner's name as an attribute. HDF5 has no checksums: that a number in such a file has
been changed cannot be seen, in the other formats it is.
"""

import re
from typing import Any

import numpy as np

from rnn_engine.saving.errors import RefusedError, damage_named
from rnn_engine.saving.state import Group, in_order

MAGIC = b"\x89HDF\r\n\x1a\n"
_ARRAY = re.compile(r"(?:(?P<path>.+)/)?vars/(?P<number>\d+)")
_BOMB_FLOOR = 1 << 28
_MOST_EXPANSION = 1000


def h5py() -> Any:
    """Return the module that reads HDF5.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra that brings it.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "Keras's files (.keras, .weights.h5) need h5py: pip install "
            "'rnn_engine[keras-files]'. The library's own format, .npz, needs nothing."
        ) from error
    return h5py


def write(file: Any, groups: list[Group]) -> None:
    """Write the variables of groups into a file, open for writing and reading."""
    with h5py().File(file, "w") as h5:
        for group in groups:
            place = h5.create_group(f"{group.path}/vars")
            place.attrs["name"] = group.name
            for i, variable in enumerate(group.variables):
                place[str(i)] = variable.value


def read(file: Any, source: str) -> dict[str, list[np.ndarray]]:
    """Return the arrays of a file by their group.

    Links to other places and files are not followed.

    Raises
    ------
    ValueError
        If the file is damaged, is no file of weights, or would need far more memory
        than it is large.
    """
    found: dict[str, dict[int, np.ndarray]] = {}
    groups: list[str] = []
    module = h5py()

    def visit(name: str, item: Any) -> None:
        if name.split("/")[-1] == "vars":
            groups.append(name)
        match = _ARRAY.fullmatch(name)
        if match and isinstance(item, module.Dataset):
            values = found.setdefault(match["path"] or "", {})
            values[int(match["number"])] = _array(item, f"{name} in {source}")

    with damage_named(source), module.File(file, "r") as h5:
        if "layer_names" in h5.attrs or "model_weights" in h5:
            raise RefusedError(
                f"{source} is of the format that Keras used before version 3; save the model "
                f"anew with Keras 3, as .keras or .weights.h5."
            )
        h5.visititems(visit)
    if not groups:
        raise RefusedError(f"{source} holds no weights as Keras 3 writes them.")
    return {path: in_order(values, path, source) for path, values in found.items()}


def _array(dataset: Any, source: str) -> np.ndarray:
    if dataset.dtype.kind not in "biuf":
        raise RefusedError(f"{source} must be an array of numbers, got dtype {dataset.dtype}.")
    if dataset.external or dataset.is_virtual:
        raise RefusedError(f"{source} lies in another file, which is not read.")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > _BOMB_FLOOR and dataset.nbytes > _MOST_EXPANSION * stored:
        raise RefusedError(
            f"{source} says it is {dataset.nbytes} bytes, stored in {stored}; it is not read."
        )
    return np.asarray(dataset[()])
