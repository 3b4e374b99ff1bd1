"""The state of a model as a tree of groups, named as Keras names them.

A group is what one layer, cell or optimizer owns: ``layers/simple_rnn/cell`` holds
kernel, recurrent kernel and bias, ``optimizer`` the state of the optimizer. The
names come from classes and places, not from the names of layers, so that they are
the same in every process.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rnn_engine.graph.inside import with_inner
from rnn_engine.layers.base import Layer
from rnn_engine.layers.preprocessing.text_layer import TextLayer
from rnn_engine.utils.naming import to_snake_case
from rnn_engine.variable import Variable


@dataclass(frozen=True)
class Group:
    """Variables with one owner: the path of the group, the owner's name, its other files."""

    path: str
    name: str
    variables: tuple[Variable, ...]
    assets: Mapping[str, bytes] = field(default_factory=dict)
    named: Mapping[str, Any] = field(default_factory=dict)  # arrays that have names in files

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """Yield the paths of its arrays in a file, and their values."""
        numbers = ((str(i), variable.value) for i, variable in enumerate(self.variables))
        for key, value in (*numbers, *self.named.items()):
            yield _join(self.path, "vars", key), value


def groups(model: Any, optimizer: bool = True) -> list[Group]:
    """Return the groups of a model, and with `optimizer` that of its optimizer.

    Raises
    ------
    ValueError
        If a weight is in no group: a layer hides the layer that owns it.
    """
    found = list(_walk(model, "", set()))
    held = {id(v) for group in found for v in group.variables}
    missing = [v.path for v in model.weights if id(v) not in held]
    if missing:
        raise ValueError(
            f"The weights {missing} belong to layers that are no attributes of the layers "
            f"around them, so that they have no place in a file."
        )
    if optimizer and model.optimizer is not None:
        variables = tuple(model.optimizer.variables)
        found.append(Group("optimizer", model.optimizer.name, variables))
        inner = getattr(model.optimizer, "inner_optimizer", None)
        if inner is not None:  # Keras writes it beside the state of both, and wants it there
            place = _join("optimizer", "inner_optimizer")
            found.append(Group(place, inner.name, tuple(inner.variables)))
    return found


def _walk(layer: Layer, path: str, seen: set[int]) -> Iterator[Group]:
    """Yield the groups of a layer and of those in it; a shared one where it is met first."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    own = tuple(sorted(layer._variables, key=lambda variable: not variable.trainable))
    if isinstance(layer, TextLayer):
        yield from _text_groups(layer, path)
        return
    yield Group(path, layer.name, own)
    inner = {id(sublayer) for sublayer in layer.sublayers}
    for name, value in sorted(vars(layer).items(), key=_public_first):
        name = name.lstrip("_")
        if isinstance(value, Layer) and id(value) in inner:
            yield from _walk(value, _join(path, name), seen)
        elif isinstance(value, list | tuple):
            counts: dict[str, int] = {}
            for entry in value:
                if isinstance(entry, Layer) and id(entry) in inner:
                    place = numbered(to_snake_case(type(entry).__name__), counts)
                    yield from _walk(entry, _join(path, name, place), seen)


def _text_groups(layer: TextLayer, path: str) -> Iterator[Group]:
    """Yield the groups of a layer of strings, which Keras writes twice for one with a lookup."""
    weights = layer.lookup.idf_weights
    named = {} if weights is None else {"idf_weights": weights}
    yield Group(path, layer.name, (), layer.assets(), named)
    if layer.lookup is not layer:
        inner = _join(path, "_lookup_layer")
        yield Group(inner, layer.lookup.name, (), layer.assets(), named)


def text_layers(model: Any) -> Iterator[tuple[str, TextLayer]]:
    """Yield the layers of strings in a model, with the paths of their groups."""
    found = [layer for layer in with_inner([model]) if isinstance(layer, TextLayer)]
    for group in groups(model, optimizer=False):
        for layer in found:
            if group.name == layer.name and not group.path.endswith("/_lookup_layer"):
                yield group.path, layer


def _public_first(item: tuple[str, Any]) -> tuple[bool, str]:
    return item[0].startswith("_"), item[0]


def numbered(name: str, counts: dict[str, int]) -> str:
    """Return `name` with the number of times it was met before."""
    count = counts.get(name, 0)
    counts[name] = count + 1
    return f"{name}_{count}" if count else name


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
