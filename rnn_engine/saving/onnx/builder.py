"""`Builder`: walks a graph of ONNX once, and makes a layer or an op of each node."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine import ops as _ops
from rnn_engine.saving.budget import Budget
from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.onnx.folding import fold, fold_wide
from rnn_engine.saving.onnx.graph import Graph, Node, Port
from rnn_engine.saving.onnx.views import (
    Counting,
    Factor,
    Order,
    View,
    Wide,
    arranged,
    check_size,
    constant_like,
)

ops: Any = _ops  # its names come from a table

Handler = Callable[["Builder", Node, list[Any]], Any]
HANDLERS: dict[str, Handler] = {}
"""What makes layers of a node of which not all inputs are constants, by operator."""


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Enter a handler for operators."""

    def enter(function: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, function))
        return function

    return enter


class Builder:
    """A model in the making.

    Parameters
    ----------
    graph : Graph
    version : int
        Of the operators.
    budget : Budget
    batch_axes : dict
        Which axis of an input is the batch, where it is not the first one; -1 for an input
        that has none.
    bound : bool
        Whether the batch is of the size in the file.
    last_only : set of str
        Outputs of recurrent nodes of which only the last step is read.
    """

    def __init__(
        self,
        graph: Graph,
        version: int,
        budget: Budget,
        batch_axes: dict[str, int],
        bound: bool,
        last_only: set[str],
    ) -> None:
        self.graph, self.version, self.budget = graph, version, budget
        self.batch_axes, self.bound, self.last_only = batch_axes, bound, last_only
        self.sequences: dict[int, str] = {}  # outputs of recurrent nodes, by their tensors' id
        self.values: dict[str, Any] = dict(graph.constants)
        self.uses, self.readers = graph.uses(), graph.readers()
        self.done: set[int] = set()  # nodes that became part of another one's layer
        self.weights: list[tuple[Any, list[np.ndarray]]] = []
        self.batch: Factor | None = None
        self.batch_name: str | None = ""
        self._times: dict[Any, Factor] = {}

    # --- inputs and outputs ---------------------------------------------------

    def add_input(self, port: Port) -> None:
        """Make an `Input`.

        Raises
        ------
        ValueError
            If its rank or type is not told, or no type of numbers.
        """
        if port.dims is None or port.dtype is None:
            raise RefusedError(f"the input {port.name!r} has no shape or no type that is read.")
        if not port.dims:
            raise RefusedError(f"the input {port.name!r} has no axes, and so no batch.")
        axis = self._batch_axis(port.name, port.dims)
        axes = []
        for place, size in enumerate(port.dims):
            axes.append(self._factor(port.name, place, size, place == axis))
        shape = [group[0].size if group else 1 for group in axes]
        check_size(shape)
        dtype = "float32" if port.dtype == np.float16 else port.dtype.name
        dtype = "string" if port.dtype == object else dtype
        made = layers.Input(batch_shape=shape, dtype=dtype, name=_layer_name(port.name))
        self.values[port.name] = View(made, list(axes), list(axes))

    def _batch_axis(self, name: str, dims: Any) -> int:
        """Return which axis of an input is the batch, -1 if none is.

        The first one, unless it was found to be another, or its size is not the batch's.
        """
        if name in self.batch_axes:
            return self.batch_axes[name]
        if self.batch_name in dims:
            return int(dims.index(self.batch_name))
        hint = None if self.batch is None else self.batch.hint
        if hint is None or not isinstance(dims[0], int) or dims[0] == hint:
            return 0
        return int(dims.index(hint)) if hint in dims else -1

    def _factor(self, name: str, place: int, size: Any, batch: bool) -> tuple[Factor, ...]:
        known = size if isinstance(size, int) else None
        if batch:
            if self.batch is None:
                self.batch = Factor(known if self.bound else None, True, known, (name, place))
            elif self.batch.hint is None:
                self.batch.hint = known
                self.batch.size = known if self.bound else None
            self.batch_name = size if isinstance(size, str) else self.batch_name
            if known not in (None, self.batch.hint):
                raise RefusedError(
                    f"the input {name!r} has {known} rows, another one {self.batch.hint}."
                )
            return (self.batch,)
        if known == 1:
            return ()
        if isinstance(size, str):
            return (self._times.setdefault(size, Factor(None, origin=(name, place))),)
        return (Factor(known, origin=(name, place)),)

    def output(self, port: Port) -> Any:
        """Return the symbolic tensor of an output, in ONNX's order of axes.

        Raises
        ------
        ValueError
            If it does not depend on the inputs.
        """
        value = self.values.get(port.name)
        if not isinstance(value, View):
            raise RefusedError(f"the output {port.name!r} does not depend on the inputs.")
        if value.order is not None:
            raise RefusedError(f"the rows of the output {port.name!r} are sorted by length.")
        seen = {id(f) for axis in value.axes for f in axis}
        if any(id(f) not in seen for f in value.factors()):
            front = [f for f in value.factors() if id(f) not in seen]
            tensor = arranged(value, [tuple(front), *value.axes])
            return ops.squeeze(tensor, 0)
        return arranged(value, value.axes)

    # --- nodes ----------------------------------------------------------------

    def run(self) -> None:
        """Make all nodes.

        Raises
        ------
        ValueError
            If one cannot be made; the message names it.
        """
        for node in self.graph.nodes:
            if id(node) not in self.done:
                self.enter(node, self.make(node))

    def make(self, node: Node) -> Any:
        """Return the values of a node's outputs."""
        values = [self.value(node, name) for name in node.inputs]
        given = [v for v in values if v is not None]
        if node.op not in ("Loop", "Scan", "If"):
            if all(isinstance(v, np.ndarray) for v in given):
                return fold(node, values, self.budget)
            if all(isinstance(v, np.ndarray | Wide) for v in given):
                return fold_wide(node, values, self.budget)
        if any(isinstance(v, np.ndarray) and v.dtype == object for v in given) and node.op not in (
            "Reshape", "Expand", "Loop", "Scan", "Slice", "TopK", "Resize",
        ):  # fmt: skip
            raise node.refuse("it computes with a size that is not known beforehand.")
        if any(isinstance(v, Order | Counting) for v in given) and node.op not in _OF_ORDERS:
            raise node.refuse("it computes with the order of sorted rows.")
        handler = HANDLERS.get(node.op)
        if handler is None:
            raise node.refuse("this operator is not read.")
        return handler(self, node, values)

    def value(self, node: Node, name: str) -> Any:
        """Return the value of a name, None of an empty one.

        Raises
        ------
        ValueError
            If nothing before the node makes it.
        """
        if name == "":
            return None
        if name not in self.values:
            raise node.refuse(f"its input {name!r} is made by no node before it.")
        return self.values[name]

    def enter(self, node: Node, made: Any) -> None:
        """Remember the values of a node's outputs."""
        results = made if isinstance(made, list) else [made]
        for name, value in zip(node.outputs, results, strict=False):
            if name and value is not None:
                self.values[name] = value

    def wanted(self, node: Node, place: int) -> bool:
        """Whether an output of a node is read anywhere."""
        return place < len(node.outputs) and self.uses[node.outputs[place]] > 0

    def only_reader(self, name: str) -> Node | None:
        """Return the one node that reads a name, which nothing else does."""
        found = self.readers.get(name, ())
        return found[0] if self.uses[name] == 1 and len(found) == 1 else None

    def layer(self, layer: Any, *args: Any, weights: Any = (), **kwargs: Any) -> Any:
        """Return what a new layer gives; its weights are put in when the model is made."""
        made = layer(*args, **kwargs)
        if weights:
            self.weights.append((layer, list(weights)))
        return made

    def constant(self, node: Node, values: list[Any], place: int, what: str) -> Any:
        """Return an input that has to be a constant of numbers, None if it is not given.

        Raises
        ------
        ValueError
            If it is something else.
        """
        value = values[place] if place < len(values) else None
        if value is not None and (not isinstance(value, np.ndarray) or value.dtype == object):
            raise node.refuse(f"its {what} is computed, and not a constant.")
        return value

    def view(self, node: Node, value: Any) -> View:
        """Return a value as a tensor.

        Raises
        ------
        ValueError
            If it is a constant.
        """
        if isinstance(value, View):
            return value
        raise node.refuse("one of its inputs has to depend on the model's inputs.")

    def fitted(self, node: Node, value: Any, view: View) -> tuple[np.ndarray, View]:
        """Return a constant that fits a view under broadcasting, and the view."""
        if isinstance(value, Wide):
            wide, value = value, value.array
            axes = [()] * (len(wide.dims) - view.rank) + view.axes
            for size, axis in zip(wide.dims[::-1], axes[::-1], strict=False):
                if not isinstance(size, int) and not axis:
                    raise node.refuse("it repeats a tensor to a size that is not known.")
        if isinstance(value, np.ndarray) and value.dtype != object:
            return constant_like(value, view, node)
        raise node.refuse("an operand is neither a tensor nor a constant of numbers.")


_OF_ORDERS = {
    "Shape", "Gather", "GatherElements", "ScatterElements", "Scatter", "Cast", "Identity", "TopK",
}  # fmt: skip


def _layer_name(name: str) -> str | None:
    """Return a name for a layer, which has no slashes; None if nothing is left."""
    return name.replace("/", "_").strip() or None
