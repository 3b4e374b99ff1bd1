"""`serialize_keras_object` and its way back: objects as Keras's configs hold them."""

from typing import Any

import numpy as np

from rnn_engine import activations, layers, losses, metrics
from rnn_engine.registry import custom_object_scope, custom_objects, kind_of
from rnn_engine.saving.kinds import KINDS
from rnn_engine.saving.reading import read_entry
from rnn_engine.saving.writing import written_object


def serialize_keras_object(obj: Any) -> Any:
    """Return an object as Keras's configs hold it. Mirrors `keras.saving`.

    Parameters
    ----------
    obj
        A layer, loss, initializer or the like with a `get_config`, a function, plain data, or
        a nest of these.

    Raises
    ------
    ValueError
        If it is none of them.

    Examples
    --------
    >>> from rnn_engine.initializers import Constant
    >>> serialize_keras_object(Constant(2.0))["class_name"]
    'Constant'
    """
    if obj is None or isinstance(obj, str | int | float | bool):
        return obj
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {
            "class_name": "__numpy__",
            "config": {"value": obj.tolist(), "dtype": obj.dtype.name},
        }
    if isinstance(obj, tuple):
        return {"class_name": "__tuple__", "items": [serialize_keras_object(x) for x in obj]}
    if isinstance(obj, list):
        return [serialize_keras_object(x) for x in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, np.dtype):
        return obj.name
    if hasattr(obj, "get_config"):
        config = {"class_name": type(obj).__name__, "config": obj.get_config()}
        written = written_object(_key_of(obj), config)
        if isinstance(obj, layers.Layer) and (shapes := obj.get_build_config()) is not None:
            written["build_config"] = serialize_keras_object(shapes)
        return written
    if callable(obj) and hasattr(obj, "__name__") and obj.__name__ != "<lambda>":
        return {
            "module": "builtins", "class_name": "function", "config": obj.__name__,
            "registered_name": "function",
        }  # fmt: skip
    raise TypeError(
        f"Cannot serialize object {obj!r} of type {type(obj)}. To be serializable, a class must "
        f"implement the `get_config()` method."
    )


def _key_of(obj: Any) -> str:
    """Return the key of a config under which such an object stands."""
    for ending, (kind, _) in KINDS.items():
        if kind_of(kind).holds(type(obj)):
            return ending
    return "layer" if isinstance(obj, layers.Layer) else ""


def deserialize_keras_object(
    config: Any, custom_objects: Any = None, safe_mode: bool = True, **settings: Any
) -> Any:
    """Return the object of a config that `serialize_keras_object` wrote. Mirrors `keras.saving`.

    Parameters
    ----------
    config
        Plain data, or a dict with ``class_name`` and ``config``.
    custom_objects : dict, optional
        Classes and functions of one's own, by their names.
    safe_mode : bool
        Accepted: code in a config is never run.

    Raises
    ------
    TypeError, ValueError
        If nothing is known by a name, or the settings are not those of its class.

    Examples
    --------
    >>> from rnn_engine.initializers import Constant
    >>> deserialize_keras_object(serialize_keras_object(Constant(2.0))).value
    2.0
    """
    with custom_object_scope(custom_objects):
        made = _made(config)
        if isinstance(made, layers.Layer) and config.get("build_config"):
            made.build_from_config(_made(config["build_config"]))
        return made


def _made(config: Any) -> Any:
    if isinstance(config, list):
        return [_made(entry) for entry in config]
    if not isinstance(config, dict):
        if not isinstance(config, str | int | float | tuple | np.generic | np.ndarray | None):
            raise TypeError(f"Could not parse config: {config}")
        return config
    name = config.get("class_name")
    if name is None:
        return {key: _made(value) for key, value in config.items()}
    if name == "__tuple__":
        return tuple(_made(entry) for entry in config.get("items", ()))
    if str(name).startswith("__"):
        return read_entry("", config)
    own = custom_objects()
    if name == "function":
        wanted = str(config.get("config"))
        for module in (activations, losses, metrics):
            if wanted not in own and hasattr(module, wanted):
                return getattr(module, wanted)
        if wanted not in own:
            raise ValueError(f"Could not interpret serialized function: {wanted!r}")
        return own[wanted]
    short = str(config.get("registered_name") or name)
    entry = own.get(short, own.get(name))
    if isinstance(entry, type):
        if issubclass(entry, layers.Layer):
            return layers.deserialize(read_entry("layer", config))
        settings = config.get("config") or {}
        return entry.from_config(settings) if hasattr(entry, "from_config") else entry(**settings)
    # Losses and metrics share names, which the module tells apart.
    home = config.get("module")
    for ending, (kind, _) in sorted(KINDS.items(), key=lambda item: item[1][1] != home):
        if name in kind_of(kind).entries:
            read = read_entry(ending, config)
            return layers.deserialize(read) if kind == "layer" else kind_of(kind).deserialize(read)
    raise TypeError(
        f"Could not locate class '{name}'. Make sure custom classes are decorated with "
        f"`@rnn_engine.saving.register_keras_serializable()`. Full object config: {config}"
    )
