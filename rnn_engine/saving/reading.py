"""Configs of Keras into models: names of classes are looked up, nothing is imported or run.

The classes are those of this library, what the caller hands over as custom objects, and
what was registered; see `rnn_engine.saving.writing` for the form of a config.
"""

import functools
import inspect
import json
from typing import Any

import numpy as np

from rnn_engine import sharing
from rnn_engine.config import MIXED
from rnn_engine.functional_config import is_operation
from rnn_engine.layers.base import registry as layers
from rnn_engine.ops.keras_classes import OPS as KERAS_OPS
from rnn_engine.ops.keras_classes import is_op
from rnn_engine.registry import custom_object_scope, custom_objects
from rnn_engine.saving.errors import BadConfigError, RefusedError
from rnn_engine.saving.kinds import OF_COMPILE, class_of
from rnn_engine.utils.naming import to_snake_case

# Settings of Keras's layers that ours lack and that mean nothing while these are off.
_WITHOUT_MEANING = {"renorm_clipping", "renorm_momentum", "oov_method", "has_input_vocabulary"}
# The graph of a model: names, places and tensors, which the model reads itself.
_GRAPH = {"inbound_nodes", "input_layers", "output_layers"}
# Settings from which a metric or a layer makes a table as soon as it is made.
_SIZES = {"num_thresholds", "num_classes", "num_oov_indices"}
_LARGEST_TABLE = 1 << 20


def parse_json(text: str | bytes, source: str) -> dict[str, Any]:
    """Return the config in a JSON text.

    Raises
    ------
    ValueError
        If it is no JSON of a model; the message names `source`.
    """
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{source} holds a damaged config: {error}") from error
    if not (isinstance(config, dict) and isinstance(config.get("config"), dict)):
        raise RefusedError(f"{source} holds no config of a model, but {str(config)[:60]!r}.")
    return config


def model_from_config(
    config: dict[str, Any],
    custom: dict[str, Any] | None = None,
    compile: bool = True,
    source: str = "the config",
) -> Any:
    """Return the model of a config, compiled if the config and `compile` say so.

    Raises
    ------
    ValueError
        If it holds a class that is not here, or settings that a class does not take; the
        message names `source`, whatever it is that went wrong.
    """
    with custom_object_scope(custom):
        try:
            model = _model(config, source)
        except BadConfigError as error:
            raise BadConfigError(f"{error} Read from {source}.") from error
        except RefusedError:
            raise
        except ValueError as error:
            raise RefusedError(f"{source}: {error}") from error
        except Exception as error:  # of wrong types in a config, from wherever they are used
            raise RefusedError(f"{source} holds a config that cannot be read: {error!r}") from error
        settings = config.get("compile_config")
        if compile and settings:
            try:
                model.compile_from_config(
                    {key: read_entry(key, value) for key, value in settings.items()}
                )
            except Exception as error:
                told = str(error) if isinstance(error, ValueError) else repr(error)
                raise RefusedError(
                    f"{source}: the model cannot be compiled as it was: {told} Pass what is "
                    f"missing in custom_objects, or compile=False."
                ) from error
    return model


def _model(config: dict[str, Any], source: str) -> Any:
    with sharing.reading():
        # A class that is missing is told by the layer's name, so this comes first.
        model = layers.deserialize(read_entry("layers", config))
    if not callable(getattr(model, "compile", None)):
        raise RefusedError(f"{source} holds a {type(model).__name__}, not a model.")
    shape = (config.get("build_config") or {}).get("input_shape")
    if not model.built and shape is not None:
        model.build(shape)
    return model


def read_entry(key: str, value: Any) -> Any:
    """Return a part of a config in our form."""
    if isinstance(value, list):
        return [read_entry(key, entry) for entry in value]
    if isinstance(value, str) and key in OF_COMPILE:
        return custom_objects().get(value, value)
    if not isinstance(value, dict):
        return _checked(key, value)
    name = value.get("class_name")
    if value.get("registered_name") in custom_objects():
        name = value["registered_name"]
        value = {**value, "class_name": name}
    if name is None and key.endswith("activation"):  # so Keras writes a lambda
        raise ValueError(f"{key} is a lambda, which is never run: give it a name of its own.")
    if name is None:
        return {entry: read_entry(entry, inner) for entry, inner in value.items()}
    if not isinstance(name, str):
        raise ValueError(f"{key} holds the class_name {name!r}, which is no name.")
    if name.startswith("__"):
        return _data(key, name, value)
    if name == "function":
        return _function(value)
    if key == "dtype":
        return _dtype(value)
    return _object(key, name, value)


def _op(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a call of an op: its class is called like a layer, or as it likes."""
    config, op = value.get("config"), to_snake_case(name)
    if not isinstance(config, dict) or op not in KERAS_OPS:
        raise BadConfigError(f"{name!r} is no op of Keras's that rnn_engine reads.")
    read = {"class_name": "OpCall", "config": {**read_entry("", config), "op": op}}
    return {**read, **{key: value[key] for key in ("name", *_GRAPH) if key in value}}


def _object(key: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return the config of an object, and of the objects in it, in our form."""
    config = value.get("config")
    if is_op(value):
        return _op(name, value)
    if _is_layer(key, value):
        _check_layer(name, config)
    if not isinstance(config, dict | None):
        raise ValueError(f"{key} holds a {name} whose config is no dict, but {config!r}.")
    settings = {
        entry: _ends(inner) if entry in _GRAPH else read_entry(entry, inner)
        for entry, inner in (config or {}).items()
    }
    cls = class_of(key, name)
    settings = settings if cls is None else _known(cls, settings)
    _check_function(name, settings)
    read = {"class_name": name, "config": settings}
    for beside in (sharing.KEY, "name", *_GRAPH):
        if beside in value:
            read[beside] = value[beside]
    return read


def _ends(places: Any) -> Any:
    """Return the inputs or outputs of a graph; one alone stands in a list in files."""
    alone = isinstance(places, list) and len(places) == 1 and isinstance(places[0], list)
    if alone and len(places[0]) == 3 and isinstance(places[0][0], str):
        return places[0]
    return places


def _checked(key: str, value: Any) -> Any:
    """Return a number as it is, unless a table of that size would be made at once."""
    large = isinstance(value, int | float) and not -_LARGEST_TABLE <= value <= _LARGEST_TABLE
    if key in _SIZES and large:
        raise ValueError(f"{key}={value!r} is more than a file may ask for, {_LARGEST_TABLE}.")
    return value


def _data(key: str, name: str, value: dict[str, Any]) -> Any:
    """Return plain data that Keras writes as if it were an object."""
    config = value.get("config")
    if name == "__tuple__":
        return tuple(read_entry(key, entry) for entry in value.get("items", ()))
    if name in ("__numpy__", "__tensor__") and isinstance(config, dict):
        dtype = np.dtype(config["dtype"])
        if dtype.kind not in "biuf":
            raise ValueError(f"{key} must be an array of numbers, got dtype {dtype}.")
        return np.array(config["value"], dtype=dtype)
    raise ValueError(
        f"{key} holds {name.strip('_')!r}, which would be code or no plain data; it is never "
        f"run or read."
    )


def _function(value: dict[str, Any]) -> Any:
    """Return a user's function of that name, or the name itself."""
    name = value.get("config")
    if isinstance(name, dict):  # older files keep the name one level deeper
        name = name.get("name", name)
    if not isinstance(name, str):
        raise ValueError(f"A function is known by its name, got {name!r}.")
    return custom_objects().get(name, name)


def _check_function(name: str, settings: dict[str, Any]) -> None:
    """Refuse arguments out of a file for a user's own function, which would be called with them."""
    fn = settings.get("fn")
    fn = custom_objects().get(fn, fn) if isinstance(fn, str) else fn
    own = callable(fn) and not isinstance(fn, type)
    extra = set(settings) - {"fn", "name", "dtype", "reduction"}
    if own and extra:
        raise ValueError(
            f"{name} would call the function {fn!r} with the arguments {sorted(extra)} out of "
            f"the file, which is not done: pass the object itself in custom_objects."
        )


def _dtype(value: dict[str, Any]) -> Any:
    name = (value.get("config") or {}).get("name")
    # Whole numbers are the type of what is looked up, which the layer itself checks.
    known = ("float32", "float64", "int32", "int64", *MIXED)
    if value.get("class_name") != "DTypePolicy" or name not in known:
        raise ValueError(
            f"dtype must be float32, float64 or a mixed policy, got the policy {name!r} "
            f"({value.get('class_name')})."
        )
    return name


def _is_layer(key: str, value: dict[str, Any]) -> bool:
    return key in ("layers", "layer", "backward_layer", "cell", "cells") or (
        value.get("module") == "keras.layers"
    )


def _check_layer(name: str, config: Any) -> None:
    if not isinstance(config, dict):
        raise BadConfigError(
            f"Expected 'config' to be a dict for {name},\ninstead got {type(config)}: {config!r}."
        )
    if name not in custom_objects() and name not in layers.entries and not is_operation(name):
        known = ", ".join(sorted(layers.entries))
        raise BadConfigError(
            f"Could not locate class '{name}'. Make sure custom classes and functions are "
            f"decorated with `@keras.saving.register_keras_serializable()`. Layer "
            f"{config.get('name')!r} is a {name}, which rnn_engine does not have: a class of your "
            f"own goes into custom_objects. Known: {known}."
        )


def _known(cls: type, config: dict[str, Any]) -> dict[str, Any]:
    """Return a config without settings that are off and unknown here.

    Raises
    ------
    ValueError
        If a setting that is on is not known.
    """
    if cls in custom_objects().values():
        return config
    known = {"build_input_shape", "layers", *_GRAPH, *_parameters(cls)}
    known.update(getattr(cls, "settings_of_configs", ()))
    kept = {key: value for key, value in config.items() if key in known}
    for key, value in config.items():
        off = value is None or value is False or value in (0, [], {}, "")
        if key not in known and not off and key not in _WITHOUT_MEANING:
            raise ValueError(
                f"{config.get('name', '')!r} of class {cls.__name__} has {key}={value!r}, which "
                f"rnn_engine's {cls.__name__} does not have."
            )
    return kept


@functools.lru_cache(512)
def _parameters(cls: type) -> frozenset[str]:
    """Return the names of a class's arguments, those handed to its bases included."""
    found = {"batch_shape", "batch_input_shape", "input_shape"}
    for base in inspect.getmro(cls):
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        found.update(p.name for p in parameters)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return frozenset(found)
