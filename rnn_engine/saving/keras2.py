"""Configs of Keras 2 (and its files' form in Keras 3) into those of Keras 3.

What has changed between the two, in one place: names of arguments, arguments that are
gone, the classes of optimizers, and the order in which those keep their state.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.stored import Stored

# Arguments that Keras 3 has no more, by the value at which they mean nothing.
_GONE: dict[str, tuple[Any, ...]] = {
    "time_major": (False, None),
    "ragged": (False, None),
    "sparse": (False, None),
    "input_length": (),  # any value: it only told the shape
    "implementation": (),
    "batch_input_shape": (None,),
    "experimental_autocast": (),
}
# Of layers whose parent in Keras 2 had arguments that mean nothing in them, and their like.
_GONE_OF = {
    "SeparableConv": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "DepthwiseConv": ("groups", "filters", "kernel_initializer", "kernel_regularizer",
                      "kernel_constraint"),
    "SpatialDropout": ("noise_shape",),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), ("groups",)),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),  # what it was built for
}  # fmt: skip
_OPTIMIZER_GONE = ("is_legacy_optimizer", "jit_compile")
_ALPHA = ("LeakyReLU",)
_RECURRENT = ("RNN", "SimpleRNN", "LSTM", "GRU", "Bidirectional")
# After so many the product of Nadam's momenta is zero in float32.
_MOST_MOMENTA = 2000
# Keras 3's hard sigmoid is another function; the numbers of the file are kept.
_HARD_SIGMOID = "hard_sigmoid_keras2"


def from_old_json(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a model's JSON, which names its version, as Keras 3 has it."""
    version = str(config.get("keras_version", "3"))
    return config if not _is_old(version) else _layer(config)


def from_old_file(
    config: str, training: Any, optimizer: list[Stored] | None, version: str, source: str
) -> tuple[dict[str, Any], list[Stored] | None]:
    """Return config and state of the optimizer of an ``.h5`` file, as Keras 3 has them."""
    model = _parsed(config, source)
    old = _is_old(version)
    if old:
        model = _layer(model)
    if training is not None:
        settings = _parsed(training, source)
        compiled = dict(settings)
        compiled["optimizer"] = compiled.pop("optimizer_config", None)
        compiled.pop("sample_weight_mode", None)
        if old:
            compiled = old_compile(compiled)
        elif isinstance(compiled["optimizer"], dict):
            compiled["optimizer"] = _optimizer(compiled["optimizer"])
        model["compile_config"] = compiled
        if old and optimizer is not None:
            optimizer = old_slots(settings.get("optimizer_config"), optimizer, source)
    return model, optimizer


def is_keras2(metadata: dict[str, Any]) -> bool:
    """Whether the metadata of a ``.keras`` file are those of Keras 2."""
    return _is_old(str(metadata.get("keras_version", "3")))


def from_keras2_archive(
    config: dict[str, Any], optimizer: list[Stored] | None, source: str
) -> tuple[dict[str, Any], list[Stored] | None]:
    """Return config and state of the optimizer of a ``.keras`` file of Keras 2."""
    settings = config.get("compile_config")
    model = _layer(config)
    if settings:
        model["compile_config"] = old_compile(settings)
        if optimizer is not None:
            optimizer = old_slots(settings.get("optimizer"), optimizer, source)
    return model, optimizer


def _parsed(text: Any, source: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedError(f"{source} holds a damaged config: {error}") from error
    if not isinstance(config, dict):
        raise RefusedError(f"{source} holds a config that is no dict, but {str(config)[:60]!r}.")
    return config


def _is_old(version: str) -> bool:
    return version.split(".")[0] in ("1", "2")


# --- layers -----------------------------------------------------------------------


def _layer(value: Any) -> Any:
    """Return a config, and all in it, as Keras 3 writes them."""
    if isinstance(value, list):
        return [_layer(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {key: _activation(key, _layer(entry)) for key, entry in value.items()}
    name, config = value["class_name"], value.get("config")
    if isinstance(config, list):  # the first files of Keras 2 hold the layers alone
        config = {"layers": config}
    if not isinstance(config, dict):
        return value
    settings = {key: _activation(key, _layer(entry)) for key, entry in config.items()}
    if isinstance(settings.get("layers"), list) and "output_layers" in settings:
        settings = _counted_from_zero(settings)
    calls = value.get("inbound_nodes")
    if isinstance(calls, list) and calls:
        value = {**value, "inbound_nodes": [_call(name, call) for call in calls]}
    return {**value, "class_name": _class(name), "config": _settings(name, settings)}


def _call(name: Any, call: Any) -> Any:
    """Return a call of a layer in a graph: tensors first, what else it was given by name."""
    if isinstance(call, dict) and "args" in call:
        return call
    single = isinstance(call, list) and call and isinstance(call[0], str)
    tensors = _tensors([call] if single else call)
    kwargs = next((t[3] for t in _histories(call) if len(t) > 3 and isinstance(t[3], dict)), {})
    kwargs = {key: _tensors(part) for key, part in kwargs.items()}
    if isinstance(tensors, list) and len(tensors) == 1:
        tensors = tensors[0]
    elif isinstance(tensors, list) and name in _RECURRENT:
        # Keras 2 handed initial states to a recurrent layer behind its input.
        kwargs["initial_state"] = tensors[1:]
        tensors = tensors[0]
    return {"args": [tensors], "kwargs": kwargs}


def _counted_from_zero(graph: dict[str, Any]) -> dict[str, Any]:
    """Return a graph in which the first call of a model within it has the number 0.

    Keras 2 counts the making of the inner model as its first call. Of graphs Keras 3 does so
    too, but only where outputs are named.
    """
    inner = {e.get("name"): e for e in graph["layers"] if isinstance(e, dict) and _has_input(e)}

    def moved(value: Any, outputs: bool = False) -> Any:
        if isinstance(value, dict) and "keras_history" in value:
            return {**value, "keras_history": moved(value["keras_history"])}
        if _is_history(value):
            entry = inner.get(value[0])
            if entry is None or (outputs and entry["class_name"] != "Sequential"):
                return value
            return [value[0], value[1] - 1, *value[2:]]
        if isinstance(value, list):
            return [moved(part, outputs) for part in value]
        if isinstance(value, dict):
            return {key: moved(part, outputs) for key, part in value.items()}
        return value

    layers = [
        {**entry, "inbound_nodes": moved(entry.get("inbound_nodes") or [])}
        if isinstance(entry, dict)
        else entry
        for entry in graph["layers"]
    ]
    return {**graph, "layers": layers, "output_layers": moved(graph["output_layers"], True)}


def _has_input(entry: dict[str, Any]) -> bool:
    """Whether a layer's config is that of a model which was made with its input."""
    config = entry.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list) or not layers or not isinstance(layers[0], dict):
        return False
    return entry.get("class_name") != "Sequential" or layers[0].get("class_name") == "InputLayer"


def _tensors(value: Any) -> Any:
    """Return data with Keras 2's places of tensors written as Keras 3 writes them."""
    if _is_history(value):
        if value[0] == "_CONSTANT_VALUE":
            return value[2]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": value[:3]}}
    if isinstance(value, list):
        return [_tensors(part) for part in value]
    if isinstance(value, dict):
        return {key: _tensors(part) for key, part in value.items()}
    return value


def _histories(value: Any) -> Iterator[list[Any]]:
    if _is_history(value):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _histories(part)


def _is_history(value: Any) -> bool:
    """Whether this is the place of a tensor: its layer, which call of it, which output."""
    return (
        isinstance(value, list)
        and len(value) >= 3
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and (isinstance(value[2], int) or value[0] == "_CONSTANT_VALUE")
    )


def _class(name: Any) -> Any:
    return name.removeprefix("Custom>") if isinstance(name, str) else name


def _activation(key: str, value: Any) -> Any:
    return _HARD_SIGMOID if key.endswith("activation") and value == "hard_sigmoid" else value


def _settings(name: Any, config: dict[str, Any]) -> dict[str, Any]:
    if name == "InputLayer" and "batch_input_shape" in config:
        config["batch_shape"] = config.pop("batch_input_shape")
    for key, meaningless in _GONE.items():
        if key in config and (not meaningless or config[key] in meaningless):
            del config[key]
    if name in _ALPHA and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    for beginning, keys in _GONE_OF.items():
        for key in keys if f"{name}".startswith(beginning) else ():
            config.pop(key, None)
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1 and name == "BatchNormalization":
        config["axis"] = axis[0]
    if isinstance(config.get("dtype"), dict) and config["dtype"].get("class_name") == "Policy":
        config["dtype"] = {**config["dtype"], "class_name": "DTypePolicy"}
    return config


# --- what was given to compile ----------------------------------------------------


def old_compile(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of `compile` as Keras 3 has them."""
    kept = {key: value for key, value in settings.items() if value is not None}
    if "optimizer" in kept:
        kept["optimizer"] = _optimizer(kept["optimizer"])
    for key in ("loss", "metrics", "weighted_metrics"):
        if key in kept:
            kept[key] = _loss(kept[key])
    return kept


def _loss(value: Any) -> Any:
    if isinstance(value, list):
        return [_loss(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {key: _loss(entry) for key, entry in value.items()}
    config = dict(value.get("config") or {}) if isinstance(value.get("config"), dict) else None
    if config is None:
        return value
    if config.get("reduction") in ("auto", "none"):
        config["reduction"] = {"auto": "sum_over_batch_size", "none": None}[config["reduction"]]
    if value["class_name"] not in ("MeanMetricWrapper", "LossFunctionWrapper"):
        config.pop("fn", None)  # the class says it
    return {**value, "class_name": _class(value["class_name"]), "config": config}


def _optimizer(value: Any) -> Any:
    """Return an optimizer's config; the decay of legacy ones becomes a schedule."""
    if not isinstance(value, dict) or not isinstance(value.get("config"), dict):
        return value
    config = {k: v for k, v in value["config"].items() if k not in _OPTIMIZER_GONE}
    if "lr" in config:
        config.setdefault("learning_rate", config.pop("lr"))
    decay = config.pop("decay", 0.0)
    if decay:
        config["learning_rate"] = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": {
                "initial_learning_rate": config.get("learning_rate", 0.001),
                "decay_steps": 1,
                "decay_rate": decay,
            },
        }
    if config.get("weight_decay") == 0:
        config["weight_decay"] = None
    return {**value, "class_name": _class(value["class_name"]), "config": config}


# Rates of Keras 2, where a file has the optimizer's name alone; that of all others is 0.001.
_RATES = {"sgd": 0.01, "lion": 0.0001}

# --- the state of optimizers ------------------------------------------------------


def old_slots(optimizer: Any, stored: list[Stored], source: str) -> list[Stored]:
    """Return the state of an optimizer of Keras 2 in the order of Keras 3.

    Keras 2 keeps no learning rate among the state, and its legacy optimizers all first
    slots before all second ones, Keras 3 the slots of each variable beside each other.
    """
    config = optimizer.get("config") if isinstance(optimizer, dict) else None
    config = config if isinstance(config, dict) else {}
    if not stored:
        return stored
    slots = stored[1:]
    if config.get("is_legacy_optimizer", "decay" in config) and len(slots) % 2 == 0:
        slots = _beside(slots)
    name = optimizer.get("class_name") if isinstance(optimizer, dict) else optimizer
    name = str(_class(name)).lower()  # a name alone is written as it was given
    if name == "sgd" and not config.get("momentum"):
        slots = []  # Keras 2 keeps momenta that it does not use
    elif name == "adafactor":
        slots = _with_places(slots, source)
    if name == "nadam":
        slots = [*slots, _nadam_product(stored[0], config, source)]
    rate = config.get("learning_rate", _RATES.get(name, 0.001))
    if isinstance(rate, dict) or config.get("decay"):  # a schedule is no variable
        return [stored[0], *slots]
    return [stored[0], Stored.of(float(rate), source), *slots]


def _with_places(slots: list[Stored], source: str) -> list[Stored]:
    """Return Adafactor's state with the two unused numbers that Keras 3 keeps for a vector."""
    placed: list[Stored] = []
    while slots:
        row, whole = slots[0].shape, slots[2].shape if len(slots) > 2 else ()
        count = 3 if row and whole[:-1] == row else 1
        unused = [] if count == 3 else [Stored.of(np.float32(0), source)] * 2
        placed += [*unused, *slots[:count]]
        slots = slots[count:]
    return placed


def _nadam_product(iteration: Stored, config: dict[str, Any], source: str) -> Stored:
    """Return the product of the momenta so far, which Keras 2 did not write."""
    steps = min(int(iteration.read()), _MOST_MOMENTA) if iteration.shape == () else 0
    momenta = config.get("beta_1", 0.9) * (1 - 0.5 * 0.96 ** np.arange(1.0, steps + 1))
    return Stored.of(np.float32(np.prod(momenta)), source)


def reordered(name: str, stored: list[Stored]) -> list[Stored]:
    """Return the state of an optimizer of Keras 3.0 to 3.6 in the order of later ones."""
    if name == "Nadam" and len(stored) > 3 and stored[2].shape == () != stored[3].shape:
        return [*stored[:2], *stored[3:], stored[2]]
    return stored


def _beside(slots: list[Stored]) -> list[Stored]:
    half = len(slots) // 2
    return [slot for pair in zip(slots[:half], slots[half:], strict=True) for slot in pair]
