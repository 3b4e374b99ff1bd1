"""Which file is of which format: the functions of `keras.saving`."""

import os
import warnings
from typing import Any, BinaryIO

import numpy as np

from rnn_engine.saving import keras_h5, keras_zip, native
from rnn_engine.saving.archive import open_archive
from rnn_engine.saving.atomic import may_write, replacing
from rnn_engine.saving.config import model_from_config, model_to_config, parse_json, to_json
from rnn_engine.saving.state import groups, restore


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Save a model: layers, weights, what it was compiled with, state of the optimizer.

    Mirrors `keras.saving.save_model`.

    Parameters
    ----------
    model : Sequential
    filepath : str or path
        Ends in ``.keras`` for Keras's format (needs the extra ``keras-files``) or in
        ``.npz`` for the library's own. The file is replaced at once when the new one
        is whole: a kill in the middle leaves the old one.
    overwrite : bool
        If False and the file exists, ask on the terminal.
    include_optimizer : bool
        If False, the model will not be compiled when it is loaded. Keras does not
        look at this for its ``.keras`` files.

    Raises
    ------
    ValueError
        At another ending, or if a config holds what is no data, such as a function.
    FileExistsError
        If the file exists, `overwrite` is False and nobody can be asked.
    OSError
        If the file cannot be written.

    Notes
    -----
    The running states of stateful layers are not saved, nor are those of metrics: as
    in Keras. A layer that stands in a model twice is read so here; Keras refuses such a
    file, and itself writes the layer once.
    """
    path = os.fspath(filepath)
    if not path.endswith((".keras", ".npz")):
        raise ValueError(
            f"Invalid filepath extension for saving: a model goes into a .keras or a .npz file. "
            f"Received: filepath={path}."
        )
    if not model.built:
        warnings.warn(
            "You are saving a model that has not yet been built. It might not contain any "
            "weights yet. Consider building the model first by calling it on some data.",
            stacklevel=3,
        )
    if may_write(path, overwrite):
        found = groups(model, include_optimizer)
        config = to_json(model_to_config(model, include_optimizer))
        with replacing(path) as file:
            (keras_zip if path.endswith(".keras") else native).write(file, found, config)


def load_model(
    filepath: Any,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Load a model that this library or Keras 3 saved (`keras.saving.load_model`).

    Parameters
    ----------
    filepath : str or path
        A ``.keras`` or ``.npz`` file.
    custom_objects : dict, optional
        A user's own classes and functions, by name.
    compile : bool
        Compile the model as it was, and restore the state of its optimizer.
    safe_mode : bool
        Accepted; code in a file (Keras's Lambda layers) is never run.

    Raises
    ------
    ValueError
        If there is no such file (as in Keras), it is damaged, or holds a layer or a
        setting that is not here.
    OSError
        If it cannot be read.
    """
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise ValueError(f"File not found: filepath={path}.")
    with open(path, "rb") as file:
        config, arrays = _read(file, path)
    if config is None:
        raise ValueError(f"{path} holds weights only: build the model, then load_weights.")
    model = model_from_config(parse_json(config, path), custom_objects, compile, path)
    saved = arrays.get("optimizer")
    optimizer = model.optimizer
    if saved is not None and optimizer is not None and len(saved) != len(optimizer.variables):
        optimizer.build(model.trainable_variables)
    restore(model, arrays, path, optimizer=saved is not None)
    return model


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Save the weights and, of a compiled model, the state of the optimizer.

    Mirrors `keras.saving.save_weights`.

    Parameters
    ----------
    model : Sequential
    filepath : str or path
        Ends in ``.weights.h5`` for Keras's format (needs the extra ``keras-files``)
        or in ``.npz`` for the library's own.
    overwrite : bool
        If False and the file exists, ask on the terminal.

    Raises
    ------
    ValueError
        At another ending, or if the model is not built.
    OSError
        If the file cannot be written; the old one is as it was.
    """
    path = os.fspath(filepath)
    if not path.endswith((".weights.h5", ".npz")):
        raise ValueError(
            f"The filename must end in `.weights.h5` or `.npz`. Received: filepath={path}"
        )
    _require_built(model, "saving")
    if may_write(path, overwrite):
        found = groups(model)
        with replacing(path) as file:
            if path.endswith(".npz"):
                native.write(file, found, None)
            else:
                keras_h5.write(file, found)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Load weights and, into a compiled model, the state of the optimizer.

    Mirrors `keras.saving.load_weights`: layers are met in their order, their names do
    not count. The state of an optimizer that is not built yet, or of another kind, is
    left out with a warning.

    Parameters
    ----------
    model : Sequential
        Built.
    filepath : str or path
        What `save_weights` or `save_model` wrote, here or in Keras 3; what kind it is
        shows in its content.
    skip_mismatch : bool
        Leave out, with a warning, layers whose weights do not fit.

    Raises
    ------
    ValueError
        If the model is not built, or the weights are of another number or shape, or
        the file damaged.
    OSError
        If the file cannot be read. In all cases nothing has changed.
    """
    path = os.fspath(filepath)
    _require_built(model, "loading weights into")
    with open(path, "rb") as file:
        _, arrays = _read(file, path)
    restore(model, arrays, path, skip_mismatch)


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return a model, with new weights, from what `to_json` gave (`keras.models`).

    Raises
    ------
    ValueError
        If it is no config of a model or names a class that is not here.

    Examples
    --------
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,))])
    >>> model_from_json(model.to_json()).output_shape
    (None, 2)
    """
    return model_from_config(parse_json(json_string, "json_string"), custom_objects)


def _require_built(model: Any, doing: str) -> None:
    if not model.built:
        raise ValueError(
            f"You are {doing} a model that has not yet been built. Try building the model first "
            f"by calling it on some data or by using `build()`."
        )


def _read(file: BinaryIO, path: str) -> tuple[bytes | None, dict[str, list[np.ndarray]]]:
    """Return config and arrays of a file, whose format shows in its first bytes."""
    start = file.read(8)
    file.seek(0)
    if start == keras_h5.MAGIC:
        return None, keras_h5.read(file, path)
    if not start.startswith(b"PK"):
        raise ValueError(
            f"{path} is damaged or of no format that is known here: it starts with {start!r}."
        )
    with open_archive(file, path) as archive:
        is_keras = keras_zip.WEIGHTS in archive.namelist()
    file.seek(0)
    return (keras_zip if is_keras else native).read(file, path)
