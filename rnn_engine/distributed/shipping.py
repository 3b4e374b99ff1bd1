"""Models on their way to other processes: as files of ours, never as pickles."""

import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from typing import Any

from rnn_engine.saving.api import load_model, save_model

_MOST = 2  # models that a process keeps: the next call wants the same one, or that of a second task
_LOADED: "OrderedDict[str, Any]" = OrderedDict()
_LOCK = threading.Lock()


def to_bytes(model: Any) -> bytes:
    """Return a model as the content of a file, for other processes.

    Parameters
    ----------
    model : Model, str, path or bytes
        A built model, of which layers and weights go along; a file that `load_model` reads; or
        what this function returned.

    Raises
    ------
    ValueError
        If the model is not built or holds what no file can.
    OSError
        If the file cannot be read.
    TypeError
        If it is nothing of these.

    Examples
    --------
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,))])
    >>> data = to_bytes(model)
    >>> from_bytes(data).output_shape
    (None, 2)
    """
    if isinstance(model, bytes):
        return model
    if isinstance(model, str | os.PathLike):
        with open(model, "rb") as file:
            return file.read()
    if not hasattr(model, "forward_with_mask"):
        raise TypeError(f"model must be a model, or the path of a file of one, got {model!r}.")
    if not model.built:
        raise ValueError(
            "The model has not yet been built, so that there are no weights to hand to others. "
            "Call it on some data, or build() it."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.npz")
        save_model(model, path, include_optimizer=False)
        with open(path, "rb") as file:
            return file.read()


def name_of(data: bytes) -> str:
    """Return a name that only these bytes have."""
    return hashlib.sha256(data).hexdigest()


def from_bytes(data: bytes, custom_objects: dict[str, Any] | None = None, name: str = "") -> Any:
    """Return the model of `to_bytes`, which a process loads once.

    Raises
    ------
    ValueError
        If the bytes are damaged, or hold a class that is not here.
    """
    key = name or name_of(data)
    with _LOCK:
        model = _LOADED.get(key)
        if model is None:
            model = _loaded(data, custom_objects)
            _LOADED[key] = model
            while len(_LOADED) > _MOST:
                _LOADED.popitem(last=False)
        _LOADED.move_to_end(key)
    return model


def _loaded(data: bytes, custom_objects: Any) -> Any:
    descriptor, path = tempfile.mkstemp(suffix=".model")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        return load_model(path, custom_objects, compile=False)
    finally:
        os.unlink(path)
