"""`verify` a file by the sample in it; `convert` a file into another format by its ending."""

import importlib
import os
from typing import Any

from rnn_engine.saving import api, sample

# Formats with modules of their own, imported when a file of theirs is wanted: from the ending to
# "module:function", `function(model, path)` writing one. Those that are read are `api.OTHERS`.
_WRITERS = {
    ".onnx": "rnn_engine.saving.onnx:to_onnx",
    ".json": "rnn_engine.saving.rtneural:to_rtneural",
    "/": "rnn_engine.exporting:export_c",
}


def verify(filepath: Any, custom_objects: dict[str, Any] | None = None) -> float:
    """Return by how much a saved model's output for its sample differs from that at the save.

    A file that `save_model` wrote carries a small input and its output; here the model is loaded,
    the output computed again and compared. Rounding of another machine is allowed for.

    Parameters
    ----------
    filepath : str or path
        A ``.keras``, ``.h5``, ``.npz`` or ``.safetensors`` file that this library saved.
    custom_objects : dict, optional
        As for `load_model`.

    Returns
    -------
    float
        The largest difference; 0.0 where the same machine computes the same.

    Raises
    ------
    ValueError
        If the output differs by more than rounding does, with the size of the difference; if the
        file carries no sample, or cannot be loaded.

    Examples
    --------
    >>> import os, tempfile
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.keras")
    ...     model.save(path)
    ...     verify(path)
    0.0
    """
    model = api.load_model(filepath, custom_objects, compile=False)
    path = os.fspath(filepath)
    with open(path, "rb") as file, api.opened(file, path) as content:
        return sample.prove(model, content.said, path)


def convert(source: Any, target: Any, custom_objects: dict[str, Any] | None = None) -> None:
    """Load a file and save what it holds in the format that the other name ends in.

    Parameters
    ----------
    source : str or path
        Any file of a whole model that `load_model` reads, a ``.onnx`` graph, or a ``.pt``
        or ``.pth`` file of PyTorch's weights.
    target : str or path
        ``.keras``, ``.h5``, ``.hdf5``, ``.npz``, ``.safetensors``, ``.onnx``, ``.json`` for
        RTNeural, ``.weights.h5`` for the weights alone, or a folder, with a slash behind it, for a
        C library. Optimizer and what the model was compiled with go along where the format holds
        them.
    custom_objects : dict, optional
        As for `load_model`.

    Raises
    ------
    ValueError
        If the source cannot be loaded, or the target's ending is not known: before anything
        is written.

    Examples
    --------
    >>> import os, tempfile
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [os.path.join(folder, name) for name in ("m.npz", "m.keras")]
    ...     model.save(paths[0])
    ...     convert(*paths)
    ...     rnn_engine.models.load_model(paths[1]).count_params()
    8
    """
    path, goal = os.fspath(source), os.fspath(target)
    known = (".weights.h5", *api.MODELS, *_WRITERS)
    if not goal.endswith(known):
        raise ValueError(f"A model is converted into one of {', '.join(known)}, got {goal!r}.")
    reader, writer = _of(api.OTHERS, path), _of(_WRITERS, goal)
    model = reader(path) if reader else api.load_model(path, custom_objects)
    if writer:
        writer(model, goal)
    elif goal.endswith(".weights.h5"):
        api.save_weights(model, goal)
    else:
        api.save_model(model, goal)


def _of(table: dict[str, str], path: str) -> Any:
    for ending, place in table.items():
        if path.endswith(ending):
            module, _, name = place.partition(":")
            return getattr(importlib.import_module(module), name)
    return None
