"""What stands under which key of a config, and where Keras has its classes."""

from typing import Any

from rnn_engine.registry import custom_objects, kind_of

# From what a key ends in to the kind of object that stands there.
KINDS = {
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
_BUILT_IN = {"DTypePolicy": "keras"}
OF_COMPILE = ("loss", "metrics", "weighted_metrics")
MODELS = {"Sequential": "keras", "Functional": "keras.src.models.functional", "Model": "keras"}


def module_of(key: str, name: str) -> str | None:
    """Return the module in which Keras has a class, or None if it is a user's own."""
    if name in MODELS or name in _BUILT_IN:
        return MODELS.get(name) or _BUILT_IN[name]
    for ending, (kind, module) in KINDS.items():
        if key.endswith(ending):
            found = name in kind_of(kind).entries or name.lower() in kind_of(kind).entries
            return module if found else None
    for kind, module in dict.fromkeys(KINDS.values()):
        if name in kind_of(kind).entries:
            return module
    return None


def class_of(key: str, name: str) -> Any:
    """Return the class of that name among those that stand under such a key, or None."""
    for ending, (kind, _) in KINDS.items():
        if key.endswith(ending):
            found = None
            for entries in (custom_objects(), kind_of(kind).entries):
                found = found or entries.get(name) or entries.get(name.lower())
            return found if isinstance(found, type) else None
    return None
