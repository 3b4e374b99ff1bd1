"""What a file holds into the variables of a model: all of it or nothing."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.layers.preprocessing.text_layer import VOCABULARY
from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.keras2 import reordered
from rnn_engine.saving.state import groups, text_layers
from rnn_engine.saving.stored import Content, Stored
from rnn_engine.variable import Variable, writing


@dataclass(frozen=True)
class Match:
    """Variables of the model and what a file has for them; the place, for messages."""

    place: str
    variables: Sequence[Variable]
    stored: Sequence[Stored]

    def problem(self) -> str:
        """Return what does not fit, or an empty text."""
        if len(self.stored) != len(self.variables):
            return (
                f"{self.place} has {len(self.variables)} variables and {len(self.stored)} "
                f"in the file"
            )
        for variable, stored in zip(self.variables, self.stored, strict=True):
            if variable.shape != stored.shape:
                return (
                    f"{self.place}: {variable.path!r} has shape {variable.shape} and "
                    f"{stored.shape} in the file"
                )
        return ""


def restore(
    model: Any,
    content: Content,
    source: str,
    skip_mismatch: bool = False,
    optimizer: bool = True,
    by_name: bool = False,
    fresh: bool = False,
) -> None:
    """Write what a file holds into the variables of a model; all of it or nothing.

    Only what the model has a place for is read, into arrays of the model's own shapes.
    The state of the optimizer is left out, with a warning, if the file holds that of
    another number of variables, as Keras does.

    Parameters
    ----------
    model : Model
        Built; its optimizer, if any, takes the state of the saved one.
    content : Content
        Of the open file.
    source : str
        Name of the file, for messages.
    skip_mismatch : bool
        Leave out, with a warning, the groups that do not fit.
    optimizer : bool
        Restore the state of the optimizer too.
    by_name : bool
        Meet the layers of a file of Keras 2 by their names, and leave the others out.
    fresh : bool
        Nobody has the model yet, so that reading may go straight into its weights.

    Raises
    ------
    ValueError
        If number, shapes or types differ. Nothing has been changed then, unless `fresh`.
    """
    if content.layers is not None:
        found, problems = _old_matches(model, content.layers, by_name)
    else:
        found, problems = _matches(model, content)
    fitting = []
    for match in found:
        if problem := match.problem():
            problems.append(problem)
        else:
            fitting.append(match)
    if problems:
        text = f"{source} does not fit model {model.name!r}: " + "; ".join(problems)
        if not skip_mismatch:
            raise RefusedError(
                f"A total of {len(problems)} objects could not be loaded. {text}. Nothing was "
                f"loaded; skip_mismatch=True loads the rest."
            )
        warnings.warn(f"{text}. Left out.", stacklevel=3)
    if optimizer and model.optimizer is not None:
        fitting += _optimizer_match(model.optimizer, content, source)
    _write(fitting, fresh)
    _restore_texts(model, content)


def _restore_texts(model: Any, content: Content) -> None:
    """Give the layers of strings the vocabularies that the file has for them."""
    for path, layer in text_layers(model) if content.assets else ():
        asset = content.assets.get(f"{path}/{VOCABULARY}")
        weights = content.named.get(f"{path}/vars/idf_weights")
        if asset is not None:
            layer.take_assets(asset(), None if weights is None else weights.read())


def _write(matches: Sequence[Match], fresh: bool) -> None:
    pairs = [pair for m in matches for pair in zip(m.variables, m.stored, strict=True)]
    variables = [variable for variable, _ in pairs]
    if fresh:
        with writing(variables):
            for variable, stored in pairs:
                stored.into(variable.value)
        return
    values = [np.empty(variable.shape, variable.dtype) for variable in variables]
    for value, (_, stored) in zip(values, pairs, strict=True):
        stored.into(value)
    with writing(variables):
        for value, variable in zip(values, variables, strict=True):
            variable.write(value)


def _matches(model: Any, content: Content) -> tuple[list[Match], list[str]]:
    """Return the groups of the model with those of the file, and what has no place in it."""
    found = groups(model, optimizer=False)
    matches = [
        Match(f"{g.path!r} (of {g.name!r})", g.variables, content.arrays.get(g.path, ()))
        for g in found
    ]
    ours = {group.path for group in found}
    problems = [
        f"{path!r} has {len(values)} arrays in the file and is not in the model"
        for path, values in content.arrays.items()
        if values and path not in ours and _belongs_to_layers(path)
    ]
    return matches, problems


def _belongs_to_layers(path: str) -> bool:
    """Whether a group holds weights; some versions of Keras save the state of seeds, too."""
    return path.startswith("layers/") and not path.endswith("seed_generator")


def _old_matches(
    model: Any, saved: Sequence[tuple[str, list[Stored]]], by_name: bool
) -> tuple[list[Match], list[str]]:
    """Return the layers of the model with those of a file of Keras's format before version 3."""
    ours = [(layer.name, _old_weights(layer)) for layer in _once(model.layers)]
    theirs = list(dict(saved).items())
    if by_name:
        named = dict(theirs)
        return [_old_match(n, n, v, named[n]) for n, v in ours if n in named], []
    ours = [(name, variables) for name, variables in ours if variables]
    theirs = [(name, stored) for name, stored in theirs if stored]
    if len(ours) != len(theirs):
        return [], [
            f"Layer count mismatch when loading weights from file. Model expected {len(ours)} "
            f"layers, found {len(theirs)} saved layers"
        ]
    return [
        _old_match(name, other, variables, stored)
        for (name, variables), (other, stored) in zip(ours, theirs, strict=True)
    ], []


def _old_match(name: str, other: str, variables: list[Variable], stored: list[Stored]) -> Match:
    return Match(f"{name!r} ({other!r} in the file)", variables, stored)


def _once(layers: Sequence[Any]) -> Iterator[Any]:
    yield from {id(layer): layer for layer in layers}.values()


def _old_weights(layer: Any) -> list[Variable]:
    """Return the weights in the order of Keras 2: those that are trained before the others."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _optimizer_match(optimizer: Any, content: Content, source: str) -> list[Match]:
    stored = content.optimizer
    if stored is None:
        if content.layers is not None:
            return []
        stored = list(content.arrays.get("optimizer", ()))
    stored = reordered(type(optimizer).__name__, stored)
    variables = optimizer.variables
    if len(stored) != len(variables):
        warnings.warn(
            f"Skipping variable loading for optimizer {optimizer.name!r}: it has "
            f"{len(variables)} variables, the optimizer in {source} {len(stored)}.",
            stacklevel=4,
        )
        return []
    match = Match(f"'optimizer' (of {optimizer.name!r})", variables, stored)
    problem = match.problem()
    if problem and content.layers is not None:  # some versions wrote one slot for another
        warnings.warn(
            f"Error in loading the saved optimizer state: {source}: {problem}. As a result, your "
            f"model is starting with a freshly initialized optimizer.",
            stacklevel=4,
        )
        return []
    if problem:
        raise RefusedError(f"{source} does not fit the optimizer: {problem}. Nothing was loaded.")
    return [match]
