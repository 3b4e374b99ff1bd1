"""What the library differentiates by hand, as one step of a tape's record."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.autodiff.tape import read
from rnn_engine.variable import Variable

Outputs = tuple[Sequence[Any], Callable[[list[Any], list[bool]], Sequence[Any]]]


def seen(value: Any) -> Any:
    """Return a value as the open tapes record it, a plain one if none does."""
    if isinstance(value, Variable) or recording.OPEN:
        value = read(value)
    return recording.load().recorded(value) if hasattr(value, "_node") else value


def record(
    function: Callable[..., Outputs], arguments: Sequence[Any], variables: Sequence[Variable] = ()
) -> list[Any]:
    """Return the outputs of a function, as every open tape records them.

    Parameters
    ----------
    function : callable
        ``function(*arrays) -> (outputs, back)``. ``back(gradients, wanted)`` gets a gradient
        an output, None where nothing depends on it, and for each argument, then each
        variable, whether its gradient is wanted. It returns one each.
    arguments : list
        What the function is called with; values of a tape among them.
    variables : list of Variable
        What it reads besides.
    """
    arguments = [seen(value) for value in arguments]
    if not recording.is_recording():
        return list(function(*map(np.asarray, arguments))[0])
    engine = recording.load()
    outputs, back = function(*map(engine.value_of, arguments))
    for tape in recording.open_tapes():
        nodes = [_node_in(engine, value, tape.trace) for value in arguments]
        nodes += [tape.node_of(v) if tape.wants(v) else None for v in variables]
        wanted = [node is not None for node in nodes]
        if any(wanted):
            parents = [node for node in nodes if node is not None]
            way = _way_back(engine, back, wanted)
            outputs = engine.record_call(outputs, parents, way, tape.trace)
    return list(outputs)


def _node_in(engine: Any, value: Any, trace: int) -> Any:
    while engine.is_box(value):
        if value._trace == trace:
            return value._node
        value = value._value
    return None


def _way_back(engine: Any, back: Any, wanted: list[bool]) -> Callable[[list[Any]], list[Any]]:
    def way(gradients: list[Any]) -> list[Any]:
        gradients = [None if g is None else engine.recorded(g) for g in gradients]
        if any(map(engine.is_box, gradients)):
            raise NotImplementedError(
                "A gradient of a gradient cannot go through a layer, loss or activation of the "
                "library, whose backward is written by hand; write that part in ops."
            )
        found = back(gradients, wanted)
        return [g for g, w in zip(found, wanted, strict=True) if w]

    return way


def activate(activation: Any, x: Any) -> Any:
    """Return an activation of a value that a tape records."""

    def function(z: Any) -> Outputs:
        z = np.asarray(z)
        y = activation(z)
        kept = z if activation.from_input else y
        return [y], lambda gradients, wanted: [activation.backward(gradients[0], kept)]

    return record(function, [x])[0]
