"""Nests of lists, tuples and dicts: `keras.tree` (and `tf.nest`).

The leaves of a dict come in the order of its sorted keys, those of an OrderedDict in its own.
None is a leaf.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


class MAP_TO_NONE:
    """What a function of `traverse` returns to put None in a place."""


def is_nested(structure: Any) -> bool:
    """Return whether it is a list, a tuple or a dict. Mirrors `keras.tree.is_nested`."""
    return isinstance(structure, list | tuple | dict)


def _in_order(keys: Any) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:  # as optree: those of one type side by side
        kinds = {key: f"{type(key).__module__}.{type(key).__qualname__}" for key in keys}
        return sorted(keys, key=lambda key: (kinds[key], key))


def _items(structure: Any) -> list[tuple[Any, Any]]:
    """Return the entries of a nest with their keys."""
    if not isinstance(structure, dict):
        return list(enumerate(structure))
    if isinstance(structure, OrderedDict):
        return list(structure.items())
    return [(key, structure[key]) for key in _in_order(structure)]


def _made_like(structure: Any, entries: list[Any]) -> Any:
    """Return a nest of the kind and keys of another, of entries in the order of `_items`."""
    if isinstance(structure, dict):
        found = dict(zip([key for key, _ in _items(structure)], entries, strict=True))
        ordered = {key: found[key] for key in structure}
        return type(structure)(ordered) if type(structure) is not dict else ordered
    if hasattr(structure, "_fields"):  # a named tuple
        return type(structure)(*entries)
    return type(structure)(entries)


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Call a function of every part of a nest, and put what it returns in its place.

    Mirrors `keras.tree.traverse`: None leaves a part as it is, `MAP_TO_NONE` makes it None. With
    `top_down` a part comes before what is in it, which is left out where it was replaced.
    """

    def inside(part: Any) -> Any:
        if not is_nested(part):
            return part
        return _made_like(part, [traverse(func, entry, top_down) for _, entry in _items(part)])

    part = structure if top_down else inside(structure)
    found = func(part)
    if found is None:
        return inside(structure) if top_down else part
    return None if found is MAP_TO_NONE else found


def flatten(structure: Any) -> list[Any]:
    """Return the leaves as a list. Mirrors `keras.tree.flatten`.

    Examples
    --------
    >>> flatten({"b": [1, (2, None)], "a": 0})
    [0, 1, 2, None]
    """
    return [leaf for _, leaf in flatten_with_path(structure)]


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return pairs of path and leaf. Mirrors `keras.tree.flatten_with_path`.

    Examples
    --------
    >>> flatten_with_path({"b": [1], "a": 0})
    [(('a',), 0), (('b', 0), 1)]
    """
    return list(_walk(structure, ()))


def _walk(structure: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if not is_nested(structure):
        yield path, structure
        return
    for key, entry in _items(structure):
        yield from _walk(entry, (*path, key))


def _check_alike(first: Any, other: Any) -> None:
    """Raise ValueError unless two nests have one form down to their leaves."""
    nested = is_nested(first), is_nested(other)
    alike = nested[0] == nested[1]
    if alike and nested[0]:
        alike = isinstance(first, dict) == isinstance(other, dict) and len(first) == len(other)
        if alike and isinstance(first, dict):
            alike = first.keys() == other.keys()
        elif alike:
            alike = isinstance(first, list) == isinstance(other, list)
    if not alike:
        raise ValueError("Structures don't have the same nested structure.")
    if nested[0]:
        for (_, a), (_, b) in zip(_items(first), _items(other), strict=True):
            _check_alike(a, b)


def map_structure(func: Callable[..., Any], *structures: Any, **settings: Any) -> Any:
    """Return a nest of a function of the leaves of one or several. Mirrors `keras.tree`.

    Raises
    ------
    ValueError
        If there is no nest, or they differ in form.

    Examples
    --------
    >>> map_structure(lambda a, b: a + b, {"x": [1, 2]}, {"x": [3, 4]})
    {'x': [4, 6]}
    """
    if not structures:
        raise ValueError("Must provide at least one structure")
    if unknown := settings.keys() - {"none_is_leaf", "check_types", "expand_composites"}:
        raise TypeError(f"map_structure() got an unexpected keyword argument {min(unknown)!r}")
    for other in structures[1:]:
        _check_alike(structures[0], other)
    if settings.get("none_is_leaf", True):
        return _mapped(func, structures[0], structures)
    return _mapped(lambda *x: None if x[0] is None else func(*x), structures[0], structures)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Return a nest of the form of the first, of a function of what the others have there.

    Mirrors `keras.tree.map_structure_up_to`.
    """
    if not structures:
        raise ValueError("Must provide at least one structure")
    return _mapped(func, shallow_structure, structures)


def _mapped(func: Callable[..., Any], form: Any, structures: tuple[Any, ...]) -> Any:
    if not is_nested(form):
        return func(*structures)
    rows = []
    for structure in structures:
        if not is_nested(structure) or len(structure) != len(form):
            raise ValueError("Structures don't have the same nested structure.")
        rows.append([entry for _, entry in _items(structure)])
    entries = [
        _mapped(func, part, others)
        for (_, part), *others in zip(_items(form), *rows, strict=True)
    ]  # fmt: skip
    return _made_like(form, entries)


def assert_same_structure(a: Any, b: Any, **settings: Any) -> None:
    """Raise ValueError unless two nests have one form. Mirrors `keras.tree`."""
    _check_alike(a, b)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless two nests have leaves at the same paths. Mirrors `keras.tree`."""
    first, other = ({path for path, _ in flatten_with_path(x)} for x in (a, b))
    if first == other:
        return
    text = "`a` and `b` don't have the same paths."
    for names, found in (
        ("`a` missing in `b`", first - other),
        ("`b` missing in `a`", other - first),
    ):
        if found:
            text += f"\nPaths in {names}:\n{found}"
    raise ValueError(text)


def pack_sequence_as(structure: Any, flat_sequence: Any, **settings: Any) -> Any:
    """Return a nest of the form of another, of the leaves of a list. Mirrors `keras.tree`.

    Raises
    ------
    ValueError
        If there are more or fewer leaves.

    Examples
    --------
    >>> pack_sequence_as({"b": None, "a": [None, None]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    given = list(flat_sequence)
    wanted = len(flatten(structure))
    if len(given) != wanted:
        kind = "Too few" if len(given) < wanted else "Too many"
        raise ValueError(f"{kind} leaves for PyTreeSpec; expected {wanted}, got {len(given)}.")
    following = iter(given)
    return map_structure(lambda _: next(following), structure)


def lists_to_tuples(structure: Any) -> Any:
    """Return a nest with tuples in place of lists. Mirrors `keras.tree.lists_to_tuples`."""
    return traverse(lambda x: tuple(x) if isinstance(x, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """Return a nest of a function of each shape in it. Mirrors `keras.tree`.

    A shape is a tuple or list of integers and None.
    """
    is_shape = isinstance(structure, list | tuple) and all(
        isinstance(size, int | None) for size in structure
    )
    if is_shape or not is_nested(structure):
        return func(structure)
    return _made_like(structure, [map_shape_structure(func, s) for _, s in _items(structure)])
