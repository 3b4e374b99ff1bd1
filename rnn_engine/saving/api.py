"""Which file is of which format: the functions of `keras.saving`."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from rnn_engine.initializers.deferred import values_come_later
from rnn_engine.saving import keras_h5, keras_zip, legacy_h5, native, safetensors_file, sample
from rnn_engine.saving.archive import open_archive
from rnn_engine.saving.atomic import check_folder, may_write, replacing
from rnn_engine.saving.errors import MissingFileError, RefusedError, damage_named
from rnn_engine.saving.hdf5 import MAGIC, h5py, open_hdf5
from rnn_engine.saving.keras2 import from_old_json
from rnn_engine.saving.reading import model_from_config, parse_json
from rnn_engine.saving.restore import restore
from rnn_engine.saving.state import groups
from rnn_engine.saving.stored import Content
from rnn_engine.saving.writing import model_to_config, to_json

if TYPE_CHECKING:  # models know this package
    from rnn_engine.model import Model

_OLD = (".h5", ".hdf5")
_OWN = {".npz": native, ".safetensors": safetensors_file}
OTHERS = {
    ".onnx": "rnn_engine.saving.onnx:from_onnx",
    ".pt": "rnn_engine.saving.pytorch.from_torch:from_torch",
    ".pth": "rnn_engine.saving.pytorch.from_torch:from_torch",
}
"""What makes models of other programs' files, ``"module:function"`` by how their names end."""
MODELS = (".keras", *_OLD, *_OWN)
"""How the names of files of whole models end."""
WEIGHTS = (".weights.h5", *_OWN)
"""How the names of files of weights end."""


def save_model(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    include_optimizer: bool = True,
    **kwargs: Any,
) -> None:
    """Save a model: layers, weights, what it was compiled with, state of the optimizer.

    Mirrors `keras.saving.save_model`.

    Parameters
    ----------
    model : Model
    filepath : str or path
        Ends in ``.keras`` for Keras's format, in ``.h5`` or ``.hdf5`` for the one Keras
        had before version 3, which it still reads, in ``.npz`` for the library's own, or in
        ``.safetensors``, which takes the extra of that name. The file is replaced at once when
        the new one is whole: a kill in the middle leaves the old one.
    overwrite : bool
        If False and the file exists, ask on the terminal.
    include_optimizer : bool
        If False, the model will not be compiled when it is loaded. Keras does not
        look at this for its ``.keras`` files.
    **kwargs
        ``save_format`` is accepted with a warning, as in Keras: the ending tells it.

    Raises
    ------
    ValueError
        At another ending, or if a config holds what is no data, such as a function, or the
        model holds a shared layer in a way that a file cannot tell.
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
    path = _path(filepath)
    _check_format(path, kwargs)
    if not path.endswith(MODELS):
        raise ValueError(
            f"Invalid filepath extension for saving. A model goes into a .keras, .h5, .npz "
            f"or .safetensors file. Received: filepath={path}."
        )
    if not model.built:
        warnings.warn(
            "You are saving a model that has not yet been built. It might not contain any "
            "weights yet. Consider building the model first by calling it on some data.",
            stacklevel=3,
        )
    if not may_write(path, overwrite):
        return
    found = groups(model, include_optimizer)
    config = model_to_config(model, include_optimizer)
    text = to_json(config)
    said = sample.note(model)
    if path.endswith(_OLD):  # as Keras does for these, and for no others
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with replacing(path) as file:
        if path.endswith(_OLD):
            legacy_h5.write(file, model, config, said)
        elif path.endswith(".keras"):
            keras_zip.write(file, found, text, said)
        else:
            _own(path).write(file, found, text, said)


def _own(path: str) -> Any:
    """Return the module of one of the library's own formats."""
    return next(module for ending, module in _OWN.items() if path.endswith(ending))


def check_can_save(model: Any, path: str, weights_only: bool = False) -> None:
    """Raise what a save would, as far as that can be told while there is nothing to save yet.

    For callbacks that save: a training must not fail at its end. `path` may hold the fields
    of a format.

    Raises
    ------
    ImportError
        If h5py or safetensors is needed and is not there.
    OSError
        If the folder cannot be made, or is not to be written to.
    TypeError, ValueError
        If the model holds what no file can.
    """
    if path.endswith((".keras", *_OLD)):
        h5py()
    elif path.endswith(".safetensors"):
        safetensors_file.safetensors()
    check_folder(path)
    if not weights_only:
        groups(model, True)
        to_json(model_to_config(model, True))


def _check_format(path: str, kwargs: dict[str, Any]) -> None:
    """Take Keras's old argument `save_format`, and refuse others."""
    save_format = kwargs.pop("save_format", None)
    if kwargs:
        raise ValueError(f"The following argument(s) are not supported: {list(kwargs)}")
    if save_format and not path.endswith(MODELS):
        raise ValueError(
            f"The `save_format` argument is deprecated in Keras 3. Please remove this argument and "
            f"pass a file path with either `.keras` or `.h5` extension. Received: "
            f"save_format={save_format}"
        )
    if save_format:
        warnings.warn(
            f"The `save_format` argument is deprecated in Keras 3. We recommend removing this "
            f"argument as it can be inferred from the file path. Received: "
            f"save_format={save_format}",
            stacklevel=4,
        )


def load_model(
    filepath: Any,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    verify: bool = False,
) -> "Model":
    """Load a model that this library or Keras saved (`keras.saving.load_model`).

    Parameters
    ----------
    filepath : str or path
        A ``.keras`` file, an ``.h5`` file with a whole model, of Keras 2 or 3, or an
        ``.npz`` or ``.safetensors`` file of this library's; what it is shows in its content.
        What PyTorch wrote is read by `from_torch`.
    custom_objects : dict, optional
        A user's own classes and functions, by name.
    compile : bool
        Compile the model as it was, and restore the state of its optimizer.
    safe_mode : bool
        Accepted; code in a file (Keras's Lambda layers) is never run.
    verify : bool
        Compute the sample that `save_model` put into the file, and compare; Keras has no such
        argument. Files of Keras's carry none.

    Raises
    ------
    ValueError
        If there is no such file (as in Keras), it is damaged, or holds a layer or a
        setting that is not here; with `verify`, also if the sample differs or is not there. No
        more memory is taken than the file is worth.
    OSError
        If it cannot be read.
    """
    path = _path(filepath)
    if not os.path.exists(path):
        raise _missing(path, MODELS)
    if os.path.isdir(path):
        raise ValueError(about_folder(path))
    with open(path, "rb") as file, opened(file, path) as content:
        if content.config is None:
            raise RefusedError(
                f"No model config found in the file at {path}: it holds weights only; build the "
                f"model, then load_weights."
            )
        with values_come_later(content.elements(), path):
            model = model_from_config(content.config, custom_objects, compile, path)
        if model.optimizer is not None and (content.optimizer or "optimizer" in content.arrays):
            _build_optimizer(model, content)
            restore(model, content, path, fresh=True)
        else:
            restore(model, content, path, optimizer=False, fresh=True)
        if verify:
            sample.prove(model, content.said, path)
    return model


def _build_optimizer(model: Any, content: Content) -> None:
    saved = content.optimizer or content.arrays["optimizer"]
    if len(saved) != len(model.optimizer.variables):
        model.optimizer.build(model.trainable_variables)


def about_folder(path: str) -> str:
    """Return what to do with a folder that somebody wants to load."""
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return (
            f"File format not supported: filepath={path} is a TensorFlow SavedModel, which holds "
            f"a program and not only a model; neither Keras 3 nor rnn_engine loads it. Where "
            f"TensorFlow with Keras 2 is installed, load it with tf.keras.models.load_model and "
            f"save it anew: model.save('model.keras') or model.save('model.h5')."
        )
    return f"File format not supported: filepath={path} is a folder; a model is a file."


def _path(filepath: Any) -> str:
    """Return a path as a string; what is none gets the words about its ending, as in Keras."""
    return os.fspath(filepath) if hasattr(filepath, "__fspath__") else str(filepath)


def _missing(path: str, endings: tuple[str, ...]) -> MissingFileError:
    """Return the error of a file that is not there; a wrong ending is told first."""
    if path.endswith(endings):
        return MissingFileError(f"File not found: filepath={path}.")
    return MissingFileError(
        f"File format not supported: filepath={path}. There is no such file, and none of this "
        f"ending is known: {', '.join(endings)} are. File not found: filepath={path}."
    )


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Save the weights and, of a compiled model, the state of the optimizer.

    Mirrors `keras.saving.save_weights`.

    Parameters
    ----------
    model : Model
    filepath : str or path
        Ends in ``.weights.h5`` for Keras's format, in ``.npz`` for the library's own, or in
        ``.safetensors``, which takes the extra of that name.
    overwrite : bool
        If False and the file exists, ask on the terminal.

    Raises
    ------
    ValueError
        At another ending, or if the model is not built.
    OSError
        If the file cannot be written; the old one is as it was.
    """
    path = _path(filepath)
    if not path.endswith(WEIGHTS):
        raise ValueError(
            f"The filename must end in `.weights.h5`, `.npz` or `.safetensors`. Received: "
            f"filepath={path}"
        )
    _require_built(model, "saving")
    if may_write(path, overwrite):
        found = groups(model)
        with replacing(path) as file:
            if path.endswith(".weights.h5"):
                keras_h5.write(file, found, sample.note())
            else:
                _own(path).write(file, found, None, sample.note())


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool | None = None
) -> None:
    """Load weights and, into a compiled model, the state of the optimizer.

    Mirrors `keras.saving.load_weights`: layers are met in their order, their names do
    not count. The state of an optimizer that is not built yet, or of another kind, is
    left out with a warning. Files of Keras's format before version 3 give weights only.

    Parameters
    ----------
    model : Model
        Built.
    filepath : str or path
        What `save_weights` or `save_model` wrote, here or in any Keras; what kind it is
        shows in its content.
    skip_mismatch : bool
        Leave out, with a warning, layers whose weights do not fit.
    by_name : bool, optional
        For files of Keras's format before version 3: layers are met by their names, those
        without a namesake stay as they are.

    Raises
    ------
    ValueError
        If the model is not built, or the weights are of another number or shape, or
        the file damaged.
    OSError
        If the file cannot be read. In all cases nothing has changed.
    """
    path = _path(filepath)
    if not os.path.exists(path) and not path.endswith((*WEIGHTS, *MODELS)):
        raise _missing(path, (*WEIGHTS, *MODELS))
    _require_built(model, "loading weights into")
    with open(path, "rb") as file, opened(file, path) as content:
        if by_name is not None and content.layers is None:
            raise RefusedError(
                f"`by_name` only supports loading legacy '.h5' or '.hdf5' files. Received: {path}"
            )
        restore(model, content, path, skip_mismatch, by_name=bool(by_name))


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> "Model":
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
    config = parse_json(json_string, "json_string")
    with damage_named("json_string"):
        config = from_old_json(config)
    return model_from_config(config, custom_objects)


def _require_built(model: Any, doing: str) -> None:
    if not model.built:
        raise ValueError(
            f"You are {doing} a model that has not yet been built. Try building the model first "
            f"by calling it on some data or by using `build()`."
        )


@contextmanager
def opened(file: BinaryIO, path: str) -> Iterator[Content]:
    """Open a file, whose format shows in its first bytes."""
    with damage_named(path):
        start = file.read(len(MAGIC) + 1)
        file.seek(0)
        if start.startswith(MAGIC):
            with open_hdf5(file, path) as h5:
                if legacy_h5.is_old(h5):
                    yield legacy_h5.content_of(h5)
                else:
                    yield Content(arrays=keras_h5.arrays_of(h5), said=keras_h5.said_by(h5))
            return
        if safetensors_file.is_safetensors(start):
            yield safetensors_file.content_of(file, path)
            return
        other = next((place for end, place in OTHERS.items() if path.endswith(end)), None)
        if other is not None:
            name = other.partition(":")[2]
            raise RefusedError(f"{path} is read by saving.{name}, or converted by saving.convert.")
        if not start.startswith(b"PK"):
            raise RefusedError(
                f"{path} is damaged or of no format that is known here: it starts with {start!r}."
            )
        with open_archive(file, path) as archive:
            if keras_zip.WEIGHTS in archive.names:
                with keras_zip.opened(archive) as content:
                    yield content
            else:
                yield native.content_of(archive)
