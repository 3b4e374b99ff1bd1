"""What of a built layer stays as it is: the sizes that kernels compute with, and its weights."""

import functools
from typing import Any

import numpy as np

from rnn_engine.variable import Variable


def is_ours(function: Any) -> bool:
    """Whether a function or class is this library's, not a user's."""
    module = getattr(function, "__module__", None) or ""
    return module.partition(".")[0] == __name__.partition(".")[0]


_QUANTITIES = {"implementation", "seed", "scale", "offset", "trainable", "name"}
"""Arguments that may be whole numbers and are no sizes."""


@functools.cache
def _size_names(cls: Any) -> frozenset[str]:
    """Return the attributes of a layer that may be sizes: arguments of our constructors."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base is object or not is_ours(base):
            continue
        names.update(vars(base).get("_sizes", ()))
        if (init := vars(base).get("__init__")) is not None:
            code, types = init.__code__, init.__annotations__
            arguments = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
            names.update(name for name in arguments if "float" not in str(types.get(name)))
    return frozenset(names - _QUANTITIES)


def _class_of(layer: Any) -> Any:
    return type(layer)


def _is_size(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(size is None or _is_size(size) for size in value)
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_layer(value: Any) -> bool:
    return hasattr(value, "forward_with_mask")


def describe_sizes(layer: Any) -> str:
    """Return ``units=3, ...`` for an error message."""
    # Not by `vars`: an instance that has been asked for its dict is slower ever after.
    found = [(name, getattr(layer, name, None)) for name in sorted(_size_names(_class_of(layer)))]
    sizes = [f"{name}={value}" for name, value in found if _is_size(value)]
    return ", ".join(sizes) or type(layer).__name__


def check_change(layer: Any, name: str, old: Any, new: Any) -> None:
    """Raise where `layer.name = new` would pull memory from under a kernel."""
    if old is None or new is old:
        return
    if name == "dtype":
        raise AttributeError(
            f"The dtype of layer {layer.name!r} is settled by its constructor: {old!r}."
        )
    if isinstance(old, Variable) or (_is_layer(old) and layer._locks_layers):
        if isinstance(new, Variable) or _is_layer(new):
            raise ValueError(
                "You cannot add new elements of state (variables or sub-layers) to a layer that "
                "is already built. All state must be created in the `__init__()` method or in "
                f"the `build()` method. {name!r} of layer {layer.name!r} is there already; new "
                f"values of a weight are written with `layer.{name}.assign(value)`."
            )
        raise AttributeError(
            f"{name!r} of the built layer {layer.name!r} is part of its state and cannot be "
            f"replaced. New values of a weight are written with `layer.{name}.assign(value)`."
        )
    # Most of what is set is no argument: that is known soonest.
    if name not in _size_names(_class_of(layer)) or not _is_size(old):
        return
    if not (_is_size(new) and new == old):
        raise AttributeError(
            f"{name!r} of layer {layer.name!r} cannot be changed from {old} to {new}: the layer "
            f"is built, and its weights have that size. Make a new layer."
        )
