"""Models as rows of layers, for formats that know nothing else."""

from typing import Any

from rnn_engine.functional import Functional
from rnn_engine.layers.base import Layer
from rnn_engine.sequential import Sequential


def chain_of(model: Any, doing: str) -> list[Any]:
    """Return the layers of a model that follow each other, those of inner models among them.

    Raises
    ------
    ValueError
        If they do not: a graph with branches or ops, or a model of a user's own.
    """
    if isinstance(model, Functional):
        steps = model.layout.steps
        places = [model.layout.input_places[:1]] + [list(step.targets) for step in steps]
        follow = all(list(s.sources) == p for s, p in zip(steps, places, strict=False))
        single = len(model.inputs) == len(model.outputs) == 1 and follow
        if not single or places[-1] != model.layout.output_places:
            raise ValueError(
                f"{doing} takes a model whose layers follow each other; {model.name!r} has "
                f"branches, or several inputs or outputs."
            )
        found = [step.operation for step in steps]
    elif isinstance(model, Sequential):
        found = list(model.layers)
    else:
        raise ValueError(
            f"{doing} takes a Sequential, or a Functional model whose layers follow each other, "
            f"got {type(model).__name__}."
        )
    flat: list[Any] = []
    for layer in found:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{doing} takes a model of layers; {model.name!r} computes with the op "
                f"{getattr(layer, 'op', layer)!r} between them."
            )
        inner = isinstance(layer, Sequential | Functional)
        flat += chain_of(layer, doing) if inner else [layer]
    return flat
