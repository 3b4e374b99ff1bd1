"""What the library differentiates by hand, as one step of a tape's record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.autodiff.tape import GradientTape, read
from rnn_engine.variable import Variable

Outputs = tuple[Sequence[Any], Callable[[list[Any], list[bool]], Sequence[Any]]]


def seen(value: Any) -> Any:
    """Return a value as the open tapes record it, a plain one if none does."""
    if isinstance(value, Variable) or recording.OPEN:
        value = read(value)
    return recording.load().recorded(value) if hasattr(value, "_node") else value


def record(
    function: Callable[..., Outputs],
    arguments: Sequence[Any],
    variables: Sequence[Variable] = (),
    again: Callable[..., Sequence[Any]] | None = None,
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
    again : callable, optional
        ``again(*tensors) -> outputs``, the same in ops. It is asked for where one tape goes
        back while another records: the gradient of the first is then recorded, too.
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
            way = _way_back(engine, back, wanted, _Again(again, arguments, variables))
            outputs = engine.record_call(outputs, parents, way, tape.trace)
    return list(outputs)


def _node_in(engine: Any, value: Any, trace: int) -> Any:
    while engine.is_box(value):
        if value._trace == trace:
            return value._node
        value = value._value
    return None


@dataclass
class _Again:
    """What it takes to compute a step once more in ops: see `record`."""

    function: Callable[..., Sequence[Any]] | None
    arguments: Sequence[Any]
    variables: Sequence[Variable]

    def is_asked_for(self, engine: Any, gradients: Sequence[Any]) -> bool:
        """Whether an open tape records what the gradients are made from."""
        tapes = recording.open_tapes()
        if not tapes:
            return False
        values = [*gradients, *map(engine.recorded, self.arguments)]
        return any(map(engine.is_box, values)) or any(
            tape.wants(variable) for tape in tapes for variable in self.variables
        )

    def gradients(self, engine: Any, slopes: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
        """Return the gradients by arguments and variables, as the open tapes record them."""
        if self.function is None:
            raise NotImplementedError(
                "A gradient of a gradient cannot go through this part of the library, whose way "
                "back is written by hand: write it in ops, or take the inner gradient out of the "
                "outer tape (`with outer.stop_recording()`)."
            )
        tape = GradientTape(persistent=True)
        seen, nodes = [], []
        for value, want in zip(self.arguments, wanted, strict=False):
            value = engine.recorded(value)
            nodes.append(engine.root(value.dtype) if want else None)
            seen.append(engine.box(value, tape.trace, nodes[-1]) if want else value)
        with tape:
            outputs = self.function(*seen)
        ends = [
            (found._node, slope)
            for output, slope in zip(outputs, slopes, strict=False)
            if slope is not None and (found := tape._seen(output)) is not None
        ]
        nodes += [tape.node_of(variable) for variable in self.variables]
        by_node = engine.walk_back(
            [node for node, _ in ends], [slope for _, slope in ends], {n for n in nodes if n}
        )
        return [None if node is None else by_node.get(node) for node in nodes]


def _way_back(
    engine: Any, back: Any, wanted: list[bool], again: _Again
) -> Callable[[list[Any]], list[Any]]:
    def way(gradients: list[Any]) -> list[Any]:
        gradients = [None if g is None else engine.recorded(g) for g in gradients]
        if again.is_asked_for(engine, gradients):
            found = again.gradients(engine, gradients, wanted)
        else:
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

    def again(z: Any) -> list[Any]:
        from rnn_engine.autodiff.in_ops import activated

        return [activated(activation, z)]

    return record(function, [x], again=again)[0]
