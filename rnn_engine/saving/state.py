"""The state of a model as a tree of groups, named as Keras names them.

A group is what one layer, cell or optimizer owns: ``layers/simple_rnn/cell`` holds
kernel, recurrent kernel and bias, ``optimizer`` the state of the optimizer. The
names come from classes and places, not from the names of layers, so that they are
the same in every process.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer
from rnn_engine.layers.simple_rnn import SimpleRNN
from rnn_engine.saving.errors import RefusedError
from rnn_engine.utils.naming import to_snake_case
from rnn_engine.variable import Variable, writing

Arrays = Mapping[str, Sequence[np.ndarray]]
"""What a file holds: from the path of a group to its arrays."""


@dataclass(frozen=True)
class Group:
    """Variables with one owner: the path of the group, the owner's name."""

    path: str
    name: str
    variables: tuple[Variable, ...]


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
    return found


def _walk(layer: Layer, path: str, seen: set[int]) -> Iterator[Group]:
    """Yield the groups of a layer and of those in it; a shared one where it is met first."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    own = tuple(sorted(layer._variables, key=lambda variable: not variable.trainable))
    if isinstance(layer, SimpleRNN):
        yield Group(path, layer.name, ())
        yield Group(_join(path, "cell"), "simple_rnn_cell", own)
    else:
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
                    place = _numbered(to_snake_case(type(entry).__name__), counts)
                    yield from _walk(entry, _join(path, name, place), seen)


def _public_first(item: tuple[str, Any]) -> tuple[bool, str]:
    return item[0].startswith("_"), item[0]


def _numbered(name: str, counts: dict[str, int]) -> str:
    """Return `name` with the number of times it was met before."""
    count = counts.get(name, 0)
    counts[name] = count + 1
    return f"{name}_{count}" if count else name


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def restore(
    model: Any,
    arrays: Arrays,
    source: str,
    skip_mismatch: bool = False,
    optimizer: bool = True,
) -> None:
    """Write what a file holds into the variables of a model; all of it or nothing.

    The state of the optimizer is left out, with a warning, if the file holds that
    of another number of variables, as Keras does.

    Parameters
    ----------
    model : Sequential
        Built; its optimizer, if any, takes the state of the saved one.
    arrays : mapping
        From groups to arrays.
    source : str
        Name of the file, for messages.
    skip_mismatch : bool
        Leave out, with a warning, the groups that do not fit.
    optimizer : bool
        Restore the state of the optimizer too.

    Raises
    ------
    ValueError
        If number, shapes or types differ. Nothing has been changed then.
    """
    writes: list[tuple[Variable, np.ndarray]] = []
    problems: list[str] = []
    found = groups(model, optimizer)
    for group in found:
        values = arrays.get(group.path, ())
        if group.path == "optimizer" and len(values) != len(group.variables):
            warnings.warn(
                f"Skipping variable loading for optimizer {group.name!r}: it has "
                f"{len(group.variables)} variables, the optimizer in {source} {len(values)}.",
                stacklevel=4,
            )
            continue
        problem = _mismatch(group, values)
        if problem:
            problems.append(problem)
        else:
            for variable, value in zip(group.variables, values, strict=True):
                with np.errstate(all="ignore"):  # what float32 cannot hold becomes infinite
                    writes.append((variable, value.astype(variable.dtype)))
    ours = {group.path for group in found}
    problems += [
        f"{path!r} has {len(values)} arrays in the file and is not in the model"
        for path, values in arrays.items()
        if values and path not in ours and _belongs_to_layers(path)
    ]
    if problems:
        text = f"{source} does not fit model {model.name!r}: " + "; ".join(problems)
        if not skip_mismatch:
            raise ValueError(f"{text}. Nothing was loaded; skip_mismatch=True loads the rest.")
        warnings.warn(f"{text}. Left out.", stacklevel=3)
    with writing([variable for variable, _ in writes]):
        for variable, value in writes:
            variable.write(value)


def _belongs_to_layers(path: str) -> bool:
    """Whether a group holds weights; some versions of Keras save the state of seeds, too."""
    return path.startswith("layers/") and not path.endswith("seed_generator")


def _mismatch(group: Group, values: Sequence[np.ndarray]) -> str:
    """Return what does not fit, or an empty text."""
    place = f"{group.path!r} (of {group.name!r})"
    if len(values) != len(group.variables):
        return f"{place} has {len(group.variables)} variables and {len(values)} in the file"
    for variable, value in zip(group.variables, values, strict=True):
        if variable.shape != value.shape:
            return (
                f"{place}: {variable.path!r} has shape {variable.shape} and "
                f"{value.shape} in the file"
            )
        if value.dtype.kind not in "biuf":
            return f"{place}: {variable.path!r} has values of type {value.dtype} in the file"
    return ""


def in_order(members: Mapping[int, np.ndarray], path: str, source: str) -> list[np.ndarray]:
    """Return the arrays of a group, which a file numbers from zero.

    Raises
    ------
    ValueError
        If a number is missing.
    """
    if sorted(members) != list(range(len(members))):
        raise RefusedError(f"{source} is damaged: group {path!r} has the arrays {sorted(members)}.")
    return [members[i] for i in range(len(members))]
