"""Nests: lists, tuples and dicts of tensors, in any depth, and their leaves.

The leaves of a dict come in the order of its sorted keys, as in Keras. None is a leaf.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def is_nested(value: Any) -> bool:
    """Whether `value` is a list, a tuple or a dict."""
    return isinstance(value, list | tuple | dict)


def leaves(structure: Any) -> Iterator[Any]:
    """Yield the leaves of a nest, from left to right."""
    if isinstance(structure, dict):
        for key in _keys(structure):
            yield from leaves(structure[key])
    elif isinstance(structure, list | tuple):
        for entry in structure:
            yield from leaves(entry)
    else:
        yield structure


def flatten(structure: Any) -> list[Any]:
    """Return the leaves of a nest as a list.

    Examples
    --------
    >>> flatten({"b": [1, (2, None)], "a": 0})
    [0, 1, 2, None]
    """
    return list(leaves(structure))


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """Return a nest of the same form with `function` of every leaf.

    Examples
    --------
    >>> map_structure(lambda x: -x, {"b": [1, (2, 3)], "a": 0})
    {'b': [-1, (-2, -3)], 'a': 0}
    """
    if isinstance(structure, dict):
        done = {key: map_structure(function, structure[key]) for key in _keys(structure)}
        return {key: done[key] for key in structure}
    if isinstance(structure, list | tuple):
        return _like(structure, [map_structure(function, entry) for entry in structure])
    return function(structure)


def pack_as(structure: Any, values: Any) -> Any:
    """Return a nest of the form of `structure` that has `values` as its leaves.

    Examples
    --------
    >>> pack_as({"b": None, "a": [None, None]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    following = iter(values)
    return map_structure(lambda _: next(following), structure)


def _keys(structure: Mapping[Any, Any]) -> list[Any]:
    try:
        return sorted(structure)
    except TypeError:  # keys of several types
        return list(structure)


def _like(structure: Any, entries: list[Any]) -> Any:
    if hasattr(structure, "_fields"):  # a named tuple
        return type(structure)(*entries)
    return tuple(entries) if isinstance(structure, tuple) else entries
