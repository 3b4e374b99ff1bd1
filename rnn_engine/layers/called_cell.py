"""Cells with a `call`, as Keras has them: a step is recorded, to go back through it."""

from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.graph.nest import flatten
from rnn_engine.layers import traced
from rnn_engine.layers.calls import alone, inside, signature_of
from rnn_engine.tensor import as_tensor
from rnn_engine.variable import apart


def is_called(cell: Any) -> bool:
    """Whether a cell has a step in a `call`, and not in `forward` and `backward`."""
    if getattr(type(cell), "_traced", False):
        return True
    return callable(getattr(cell, "call", None)) and not callable(getattr(cell, "forward", None))


def stepper(cell: Any) -> Any:
    """Return the cell, or where it has a `call` what makes the protocol of `RNNCell` of it."""
    return CalledCell(cell) if is_called(cell) else cell


class CalledCell:
    """The protocol of `RNNCell` over ``cell.call(inputs, states)``.

    Parameters
    ----------
    cell
        A layer, or any object with `state_size` and `call`.
    """

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.state_size = cell.state_size
        if (size := getattr(cell, "output_size", None)) is not None:
            self.output_size = size
        for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
            if (reset := getattr(cell, name, None)) is not None:
                setattr(self, name, reset)

    def __repr__(self) -> str:
        return repr(self.cell)

    def _call(self, x: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
        cell = self.cell
        if hasattr(cell, "forward_with_mask"):
            second = signature_of(type(cell).call).names[1]
            result = traced.invoke(cell, x, training, None, {second: states})
        else:
            takes = signature_of(type(cell).call).training
            result = cell.call(x, states, **({"training": training} if takes else {}))
        if not isinstance(result, list | tuple) or len(result) != 2:
            raise ValueError(
                f"`call` of cell {cell} must return (output, new_states), got "
                f"{type(result).__name__}."
            )
        output, new = result
        return output, list(new) if isinstance(new, list | tuple) else [new]

    def forward(self, x: Any, states: Any, training: bool = False, keep: bool = True) -> Any:
        """Return ``(output, new states, saved)`` of one step."""
        if not keep:
            with alone(), recording.silenced(), np.errstate(all="ignore"):
                given = [as_tensor(s) for s in states]
                output, new = self._call(as_tensor(x), given, training)
            return np.asarray(output), [np.asarray(s) for s in flatten(new)], None
        from rnn_engine.autodiff.tape import GradientTape

        engine = recording.load()
        tape = GradientTape(persistent=True)
        nodes = [engine.root(a.dtype) for a in (x, *states)]
        with alone(), recording.silenced(), tape, np.errstate(all="ignore"):
            seen = [engine.box(a, tape.trace, n) for a, n in zip((x, *states), nodes, strict=True)]
            with inside(self.cell, training):
                output, new = self._call(seen[0], seen[1:], training)
        leaves = [output, *flatten(new)]
        arrays = [np.asarray(leaf) for leaf in leaves]
        return arrays[0], arrays[1:], (tape, nodes, leaves, (x, *states))

    def backward(self, doutput: Any, dstates: Any, saved: Any) -> Any:
        """Return the gradients by the input and the states; add those of variables."""
        engine = recording.load()
        tape, nodes, leaves, arrays = saved
        pairs = [
            (seen._node, np.asarray(slope, seen.dtype))
            for leaf, slope in zip(leaves, (doutput, *dstates), strict=True)
            if slope is not None and (seen := tape._seen(leaf)) is not None
        ]
        variables = [v for v in tape.watched_variables() if v.trainable]
        own = [tape.node_of(v) for v in variables]
        found = engine.walk_back([n for n, _ in pairs], [s for _, s in pairs], {*own, *nodes})
        for variable, node in zip(variables, own, strict=True):
            if (gradient := found.get(node)) is not None:
                variable.add_gradient(gradient)
        dx, *before = (
            np.asarray(found[n]) if n in found else np.zeros_like(a)
            for n, a in zip(nodes, arrays, strict=True)
        )
        return dx, before


def call_recorded(cell: Any, x: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
    """Return the step of a cell of the library, as one step of a record."""
    from rnn_engine.autodiff import steps

    if not cell.built:
        cell.build(tuple(np.shape(x)))
        cell.built = True
    variables = cell.trainable_weights

    def function(*arrays: Any) -> steps.Outputs:
        first, *others = (cell.convert(np.asarray(a)) for a in arrays)
        with recording.silenced(), alone():
            output, new, saved = cell.forward(first, others, training)

        def back(gradients: list[Any], wanted: list[bool]) -> list[Any]:
            shapes = [output, *new]
            slopes = [
                np.zeros_like(a) if g is None else np.asarray(g)
                for g, a in zip(gradients, shapes, strict=True)
            ]
            with apart(variables) as found, recording.silenced():
                dx, before = cell.backward(slopes[0], slopes[1:], saved)
            return [dx, *before, *found()]

        return [output, *new], back

    def again(*tensors: Any) -> list[Any]:
        from rnn_engine.autodiff.in_ops.recurrent import step_of

        y, after = step_of(cell, cell, training)(tensors[0], list(tensors[1:]))
        return [y, *after]

    found = steps.record(function, [x, *states], variables, again)
    output, *new = map(as_tensor, found)
    return output, new
