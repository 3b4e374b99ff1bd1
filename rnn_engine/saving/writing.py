"""Configs as Keras writes them: JSON that names classes, never code.

An object is ``{"module", "class_name", "config", "registered_name"}``, a model has
``build_config`` and ``compile_config`` beside these. Ours are ``{"class_name",
"config"}``; what an object is follows from the key it stands under.
"""

import inspect
import json
from typing import Any

import numpy as np

from rnn_engine import sharing
from rnn_engine.graph import flatten
from rnn_engine.layers.base import Layer
from rnn_engine.layers.base import registry as layers
from rnn_engine.ops.dispatch import OPS
from rnn_engine.ops.keras_classes import OPS as KERAS_OPS
from rnn_engine.registry import get_custom_objects
from rnn_engine.saving.kinds import OF_COMPILE, module_of

_FUNCTION = {"module": "builtins", "class_name": "function", "registered_name": "function"}
# Settings that are left out at their default, as older versions of Keras 3 lack them.
_LATER: dict[str, Any] = {"input_axes": None, "output_axes": None}
_LATER_OF: dict[str, dict[str, Any]] = {
    "ZeroPadding1D": {"data_format": "channels_last"},
    "MultiHeadAttention": {"use_gate": False, "sliding_window": None, "seed": None},
}
# Names of classes that every version knows: Keras up to 3.3 has no other.
_NAMES = {"Orthogonal": "OrthogonalInitializer"}


def model_to_config(model: Any, compiled: bool = True) -> dict[str, Any]:
    """Return the config of a model as Keras writes it; `compiled` with that of `compile`.

    A layer that stands in several places, inside other layers too, is marked so.
    """
    with sharing.writing() as written:
        config = _written("layers", layers.serialize(model))
        _check_shared(model, written)
        written.mark()
    if model.built:
        config["build_config"] = {"input_shape": _written("", model.build_shape)}
    if compiled and model.compiled:
        settings = model.get_compile_config()
        config["compile_config"] = {key: _written(key, value) for key, value in settings.items()}
    return config


def _check_shared(model: Any, written: sharing.Written) -> None:
    """Check that the config tells of each place in which a shared layer stands.

    Raises
    ------
    ValueError
        If the `get_config` of a layer around it does not: loading would make two of it. What
        no config tells of is made, and shared, by the constructor of a user's class.
    """
    holders: dict[int, list[Any]] = {}
    waiting = [model]
    while waiting:
        layer = waiting.pop()
        for inner in layer.sublayers:
            holders.setdefault(id(inner), []).append((layer.name, inner.name))
            waiting.append(inner)
    for key, places in holders.items():
        told = len(written.configs.get(key, ()))
        if told and 1 < len(places) != told:
            raise ValueError(
                f"The model cannot be saved: layer {places[0][1]!r} is shared by "
                f"{sorted({repr(name) for name, _ in places})}, and the get_config of one of "
                f"these does not hold it, so that it would be loaded as several layers."
            )


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
        return written_object(key, value)
    if isinstance(value, dict):
        return {name: _written(name, entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_written(key, entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, Layer) or hasattr(value, "get_config"):
        return written_object(key, layers.serialize(value))
    return value


def written_object(key: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return the config of an object that stands under a key, as Keras has it."""
    name = value["class_name"]
    config = value.get("config")
    if name == "OpCall" and (found := _op_of_keras(value)) is not None:
        return found
    if name == "function":
        return {**_FUNCTION, "config": config}
    if key in OF_COMPILE and isinstance(config, dict) and any(map(callable, config.values())):
        # What is made of functions goes by its name, and comes back by custom_objects.
        name = config.get("name") or name
        return {**_FUNCTION, "config": name}
    module = module_of(key, name)
    if isinstance(config, dict):
        later = {**_LATER, **_LATER_OF.get(name, {})}
        config = _written(key, {k: v for k, v in config.items() if (k, v) not in later.items()})
        config = {k: _ends(v) if k in ("input_layers", "output_layers") else v
                  for k, v in config.items()}  # fmt: skip
    written = {
        "module": module,
        "class_name": _NAMES.get(name, name) if module else name,
        "config": config,
        "registered_name": None if module else _registered(name),
    }
    for beside in ("name", "inbound_nodes"):  # of a layer in a graph
        if beside in value:
            written[beside] = value[beside]
    sharing.note_copy(value, written)
    return written


def _op_of_keras(value: dict[str, Any]) -> dict[str, Any] | None:
    """Return the config of a call of an op as Keras has it, None if it has none like it.

    What is no tensor is a setting of the class there.
    """
    op, calls = value["config"].get("op"), value.get("inbound_nodes")
    if op not in KERAS_OPS or not isinstance(calls, list) or len(calls) != 1:
        return None
    module, settings = KERAS_OPS[op]
    signature = inspect.signature(OPS[op])
    given = dict(signature.bind(*calls[0]["args"], **calls[0]["kwargs"]).arguments)
    own = {key: _plain(given.pop(key)) for key in settings if key in given}
    if any(isinstance(part, dict) for part in flatten(list(own.values()))):
        return None  # a tensor, or an array, where Keras has none
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    # What stands behind a setting is called by its name: the setting may be left out.
    free = list(signature.parameters)
    behind = free[next((i for i, key in enumerate(free) if key in settings), len(free)) :]
    for key, part in given.items():
        if signature.parameters[key].kind is inspect.Parameter.VAR_POSITIONAL:
            args += list(part)
        elif key in behind:
            kwargs[key] = part
        else:
            args.append(part)
    return {
        "module": module,
        "class_name": "".join(word.capitalize() for word in op.split("_")),
        "config": {"name": value["config"]["name"], **own},
        "registered_name": None,
        "name": value["name"],
        "inbound_nodes": [{"args": args, "kwargs": kwargs}],
    }


def _plain(value: Any) -> Any:
    """Return a type by its name."""
    return np.dtype(value).name if isinstance(value, type | np.dtype) else value


def _ends(places: Any) -> Any:
    """Return the inputs or outputs of a graph; one alone in a list, as Keras up to 3.3 wants it."""
    single = isinstance(places, list) and len(places) == 3 and isinstance(places[0], str)
    return [places] if single else places


def _registered(name: str) -> str:
    """Return the name by which a user has registered the class called `name`, or `name`."""
    found = [key for key, entry in get_custom_objects().items() if entry.__name__ == name]
    return found[0] if found else name
