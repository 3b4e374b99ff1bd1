"""`.keras`: a whole model as Keras 3 keeps it, a zip archive.

``config.json`` says of which classes it is made, ``model.weights.h5`` holds the
weights and the state of the optimizer.
"""

import io
import zipfile
from datetime import datetime
from typing import Any, BinaryIO

import numpy as np

from rnn_engine.saving import keras_h5
from rnn_engine.saving.archive import open_archive, read_member
from rnn_engine.saving.config import to_json
from rnn_engine.saving.state import Group

WEIGHTS = "model.weights.h5"
# The version of Keras whose files these are like; Keras only shows it.
_KERAS_VERSION = "3.12.0"


def write(file: BinaryIO, groups: list[Group], config: str) -> None:
    """Write the variables of groups and the JSON of a config."""
    weights = io.BytesIO()
    keras_h5.write(weights, groups)
    saved = datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        metadata: dict[str, Any] = {"keras_version": _KERAS_VERSION, "date_saved": saved}
        archive.writestr("metadata.json", to_json(metadata))
        archive.writestr("config.json", config)
        archive.writestr(WEIGHTS, weights.getbuffer())


def read(file: BinaryIO, source: str) -> tuple[bytes, dict[str, list[np.ndarray]]]:
    """Return the JSON of the config and the arrays by their group.

    Raises
    ------
    ValueError
        If the file is damaged or no file of Keras 3.
    """
    with open_archive(file, source) as archive:
        config = read_member(archive, "config.json", source)
        weights = read_member(archive, WEIGHTS, source)
    return config, keras_h5.read(io.BytesIO(weights), f"{WEIGHTS} in {source}")
