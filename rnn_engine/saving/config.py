"""Configs as Keras writes them, and back: JSON that names classes, never code.

An object is ``{"module", "class_name", "config", "registered_name"}``, a model has
``build_config`` and ``compile_config`` beside these. Ours are ``{"class_name",
"config"}``; what an object is follows from the key it stands under.
"""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer
from rnn_engine.layers.base import registry as layers
from rnn_engine.registry import (
    custom_object_scope,
    custom_objects,
    get_custom_objects,
    kind_of,
)

# What stands under a key that ends so, and where Keras has its classes.
_KINDS = {
    "initializer": ("initializer", "keras.initializers"),
    "regularizer": ("regularizer", "keras.regularizers"),
    "constraint": ("constraint", "keras.constraints"),
    "optimizer": ("optimizer", "keras.optimizers"),
    "learning_rate": ("learning rate schedule", "keras.optimizers.schedules"),
    "loss": ("loss", "keras.losses"),
    "metrics": ("metric", "keras.metrics"),
    "layers": ("layer", "keras.layers"),
    "layer": ("layer", "keras.layers"),
    "cells": ("layer", "keras.layers"),
    "cell": ("layer", "keras.layers"),
}

_OF_COMPILE = ("loss", "metrics", "weighted_metrics")
_FUNCTION = {"module": "builtins", "class_name": "function", "registered_name": "function"}

# Settings of Keras's layers that ours lack and that mean nothing while these are off.
_WITHOUT_MEANING = {"renorm_clipping", "renorm_momentum"}


# --- writing ---------------------------------------------------------------------


def model_to_config(model: Any, compiled: bool = True) -> dict[str, Any]:
    """Return the config of a model as Keras writes it; `compiled` with that of `compile`."""
    config = _written("layers", layers.serialize(model))
    if model.built:
        config["build_config"] = {"input_shape": _written("", model.build_shape)}
    if compiled and model.compiled:
        settings = model.get_compile_config()
        config["compile_config"] = {key: _written(key, value) for key, value in settings.items()}
    return config


def to_json(config: Any, **options: Any) -> str:
    """Return a config as JSON.

    Raises
    ------
    ValueError
        If it holds what JSON cannot: a function, an object without a config.
    """

    def refuse(value: Any) -> Any:
        raise ValueError(
            f"The model cannot be saved: its config holds {value!r} of type "
            f"{type(value).__name__}, which is no data. Give its class a get_config."
        )

    return json.dumps(config, default=refuse, **options)


def _written(key: str, value: Any) -> Any:
    if isinstance(value, dict) and "class_name" in value:
        return _object(key, value)
    if isinstance(value, dict):
        return {name: _written(name, entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_written(key, entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, Layer) or hasattr(value, "get_config"):
        return _object(key, layers.serialize(value))
    return value


def _object(key: str, value: dict[str, Any]) -> dict[str, Any]:
    name = value["class_name"]
    config = value.get("config")
    if name == "function":
        return {**_FUNCTION, "config": config}
    if key in _OF_COMPILE and isinstance(config, dict) and any(map(callable, config.values())):
        # What is made of functions goes by its name, and comes back by custom_objects.
        name = config.get("name") or name
        return {**_FUNCTION, "config": name}
    module = _module(key, name)
    return {
        "module": module,
        "class_name": name,
        "config": _written(key, config) if isinstance(config, dict) else config,
        "registered_name": None if module else _registered(name),
    }


def _registered(name: str) -> str:
    """Return the name by which a user has registered the class called `name`, or `name`."""
    found = [key for key, entry in get_custom_objects().items() if entry.__name__ == name]
    return found[0] if found else name


def _module(key: str, name: str) -> str | None:
    """Return the module in which Keras has a class, or None if it is a user's own."""
    if name == "Sequential":
        return "keras"
    for ending, (kind, module) in _KINDS.items():
        if key.endswith(ending):
            found = name in kind_of(kind).entries or name.lower() in kind_of(kind).entries
            return module if found else None
    for kind, module in dict.fromkeys(_KINDS.values()):
        if name in kind_of(kind).entries:
            return module
    return None


# --- reading ---------------------------------------------------------------------


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
        raise ValueError(f"{source} holds a damaged config: {error}") from error
    if not (isinstance(config, dict) and isinstance(config.get("config"), dict)):
        raise ValueError(f"{source} holds no config of a model, but {str(config)[:60]!r}.")
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
        If it holds a class that is not here, or settings that a class does not take.
    """
    with custom_object_scope(custom):
        try:
            # A class that is missing is told by the layer's name, so this comes first.
            model = layers.deserialize(_read("layers", config))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{source} holds a config that cannot be read: {error!r}") from error
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        if not callable(getattr(model, "compile", None)):
            raise ValueError(f"{source} holds a {type(model).__name__}, not a model.")
        shape = (config.get("build_config") or {}).get("input_shape")
        if not model.built and shape is not None:
            model.build(shape)
        settings = config.get("compile_config")
        if compile and settings:
            try:
                model.compile_from_config(
                    {key: _read(key, value) for key, value in settings.items()}
                )
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{source}: the model cannot be compiled as it was: {error} Pass what is "
                    f"missing in custom_objects, or compile=False."
                ) from error
    return model


def _read(key: str, value: Any) -> Any:
    """Return a part of a config in our form."""
    if isinstance(value, list):
        return [_read(key, entry) for entry in value]
    if isinstance(value, str) and key in _OF_COMPILE:
        return custom_objects().get(value, value)
    if not isinstance(value, dict):
        return value
    name = value.get("class_name")
    if value.get("registered_name") in custom_objects():
        name = value["registered_name"]
        value = {**value, "class_name": name}
    if name is None and key.endswith("activation"):  # so Keras writes a lambda
        raise ValueError(f"{key} is a lambda, which is never run: give it a name of its own.")
    if name is None:
        return {entry: _read(entry, inner) for entry, inner in value.items()}
    config = value.get("config")
    if name == "__tuple__":
        return tuple(_read(key, entry) for entry in value.get("items", ()))
    if name in ("__numpy__", "__tensor__") and isinstance(config, dict):
        return np.array(config["value"], dtype=config["dtype"])
    if str(name).startswith("__"):
        raise ValueError(
            f"{key} holds {name.strip('_')!r}, which would be code or no plain data; it is "
            f"never run or read."
        )
    if name == "function":
        return _function(value)
    if key == "dtype":
        return _dtype(value)
    if _is_layer(key, value):
        _check_layer(value)
    settings = {entry: _read(entry, inner) for entry, inner in (config or {}).items()}
    cls = _class(key, name)
    return {"class_name": name, "config": settings if cls is None else _known(cls, settings)}


def _function(value: dict[str, Any]) -> Any:
    """Return a user's function of that name, or the name itself."""
    name = value.get("config")
    if isinstance(name, dict):  # older files keep the name one level deeper
        name = name.get("name", name)
    if not isinstance(name, str):
        raise ValueError(f"A function is known by its name, got {name!r}.")
    return custom_objects().get(name, name)


def _dtype(value: dict[str, Any]) -> Any:
    name = (value.get("config") or {}).get("name")
    if value.get("class_name") != "DTypePolicy" or name not in ("float32", "float64"):
        raise ValueError(
            f"dtype must be float32 or float64, got the policy {name!r} "
            f"({value.get('class_name')})."
        )
    return name


def _is_layer(key: str, value: dict[str, Any]) -> bool:
    return key in ("layers", "layer", "backward_layer", "cell", "cells") or (
        value.get("module") == "keras.layers"
    )


def _check_layer(value: dict[str, Any]) -> None:
    name, config = value["class_name"], value.get("config")
    if not isinstance(config, dict):
        raise ValueError(f"The layer of class {name!r} has no config, but {config!r}.")
    if name not in custom_objects() and name not in layers.entries:
        known = ", ".join(sorted(layers.entries))
        raise ValueError(
            f"Layer {config.get('name')!r} is a {name}, which rnn_engine does not have. Known: "
            f"{known}. A class of your own goes into custom_objects."
        )


def _class(key: str, name: str) -> Any:
    """Return the class of that name among those that stand under such a key, or None."""
    for ending, (kind, _) in _KINDS.items():
        if key.endswith(ending):
            found = None
            for entries in (custom_objects(), kind_of(kind).entries):
                found = found or entries.get(name) or entries.get(name.lower())
            return found if isinstance(found, type) else None
    return None


def _known(cls: type, config: dict[str, Any]) -> dict[str, Any]:
    """Return a config without settings that are off and unknown here.

    Raises
    ------
    ValueError
        If a setting that is on is not known.
    """
    known = set(_parameters(cls)) | {"build_input_shape", "layers"}
    if cls in custom_objects().values():
        return config
    kept = {key: value for key, value in config.items() if key in known}
    for key, value in config.items():
        off = value is None or value is False or value in (0, [], {}, "")
        if key not in known and not off and key not in _WITHOUT_MEANING:
            raise ValueError(
                f"{config.get('name', '')!r} of class {cls.__name__} has {key}={value!r}, which "
                f"rnn_engine's {cls.__name__} does not have."
            )
    return kept


def _parameters(cls: type) -> Iterator[str]:
    """Yield the names of a class's arguments, those handed to its bases included."""
    yield from ("batch_shape", "batch_input_shape", "input_shape")
    for base in inspect.getmro(cls):
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        yield from (p.name for p in parameters)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
