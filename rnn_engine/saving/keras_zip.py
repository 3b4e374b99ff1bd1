"""`.keras`: a whole model as Keras 3 keeps it, a zip archive.

``config.json`` says of which classes it is made, ``model.weights.h5`` holds the
weights and the state of the optimizer, ``assets/`` the vocabularies of text layers.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO

from rnn_engine.saving import keras_h5
from rnn_engine.saving.archive import Archive
from rnn_engine.saving.assets import assets_of, write_assets
from rnn_engine.saving.hdf5 import open_hdf5
from rnn_engine.saving.keras2 import from_keras2_archive, is_keras2
from rnn_engine.saving.reading import parse_json
from rnn_engine.saving.sample import read_note
from rnn_engine.saving.state import Group
from rnn_engine.saving.stored import Content
from rnn_engine.saving.writing import to_json

WEIGHTS = "model.weights.h5"
# A member that Keras does not look at.
NOTE = "rnn_engine.json"
# The version of Keras whose files these are like; Keras only shows it.
_KERAS_VERSION = "3.12.0"


def write(file: BinaryIO, groups: list[Group], config: str, said: str) -> None:
    """Write the variables of groups, the JSON of a config, and the text of `sample.note`."""
    weights = io.BytesIO()
    keras_h5.write(weights, groups)
    saved = datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        metadata: dict[str, Any] = {"keras_version": _KERAS_VERSION, "date_saved": saved}
        archive.writestr("metadata.json", to_json(metadata))
        archive.writestr("config.json", config)
        archive.writestr(NOTE, said)
        archive.writestr(WEIGHTS, weights.getbuffer())
        write_assets(archive, groups)


@contextmanager
def opened(archive: Archive) -> Iterator[Content]:
    """Open what an archive holds for reading.

    Raises
    ------
    ValueError
        If the file is damaged or no file of Keras 3.
    """
    source = archive.source
    config = parse_json(archive.text("config.json"), source)
    said = read_note(archive.text(NOTE), source) if NOTE in archive.names else None
    name = f"{WEIGHTS} in {source}"
    with open_hdf5(archive.seekable(WEIGHTS), name, archive.budget) as weights:
        arrays = keras_h5.arrays_of(weights)
        if is_keras2(_metadata(archive)):
            state = arrays.get("optimizer")
            config, state = from_keras2_archive(config, state, source)
            arrays = {**arrays, "optimizer": state or []}
        named = keras_h5.named_of(weights)
        yield Content(config, arrays, assets=assets_of(archive), named=named, said=said)


def _metadata(archive: Archive) -> dict[str, Any]:
    if "metadata.json" not in archive.names:
        return {}
    metadata = json.loads(archive.text("metadata.json"))
    return metadata if isinstance(metadata, dict) else {}
