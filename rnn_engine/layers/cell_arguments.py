"""The arguments that cells of kernel, recurrent kernel and bias share: read, and written."""

from collections.abc import Iterable
from typing import Any

from rnn_engine import activations, constraints, initializers, regularizers

_OF_WEIGHTS = (
    ("initializer", initializers),
    ("regularizer", regularizers),
    ("constraint", constraints),
)


def take_weight_arguments(cell: Any, given: dict[str, Any]) -> None:
    """Move the initializers, regularizers and constraints from `given` to the cell."""
    for ending, module in _OF_WEIGHTS:
        for weight in ("kernel", "recurrent", "bias"):
            name = f"{weight}_{ending}"
            setattr(cell, name, module.get(given.pop(name, None)))


def serialized_arguments(cell: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the cell's arguments of these names, ready for JSON."""
    config = {}
    for name in names:
        value = getattr(cell, name)
        for ending, module in (("activation", activations), *_OF_WEIGHTS):
            if name.endswith(ending):
                value = module.serialize(value)
        config[name] = value
    return config
