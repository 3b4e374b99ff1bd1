"""Layers, and the layers inside them."""

from collections.abc import Iterable, Iterator
from typing import Any


def with_inner(layers: Iterable[Any]) -> Iterator[Any]:
    """Yield layers or models and those inside them, to any depth, once each.

    In their order, each before those inside it.
    """
    seen = set()
    waiting = list(layers)[::-1]
    while waiting:
        layer = waiting.pop()
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer
            waiting += reversed(layer.sublayers)


def penalized(operation: Any) -> bool:
    """Whether a layer, or one inside it, adds to the loss: a penalty on an output, `add_loss`.

    Then it has a way back even where nothing above depends on its output.
    """
    if getattr(operation, "activity_regularizer", None) is not None:
        return True
    if not getattr(operation, "passes_penalties", False):
        return False
    return operation._traced or any(map(penalized, operation.sublayers))


def is_stateful(layer: Any) -> bool:
    """Whether a layer, or one inside it, carries a state from batch to batch."""
    return any(getattr(inner, "stateful", False) for inner in with_inner([layer]))
