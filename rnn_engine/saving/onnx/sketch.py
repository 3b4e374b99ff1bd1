"""What `to_onnx` writes, written once more to be found again in a graph."""

from typing import Any

import numpy as np

from rnn_engine.saving.onnx.graph import Graph, Node
from rnn_engine.saving.onnx.writer import Writer


def constants_of(graph: Graph) -> dict[str, np.ndarray]:
    """Return all constants of a graph, those of nodes, too."""
    constants = dict(graph.constants)
    for node in graph.nodes:
        if node.op == "Constant" and isinstance(node.get("value"), np.ndarray):
            constants[node.outputs[0]] = node.get("value")
    return constants


class Sketch(Writer):
    """A `Writer` of plain nodes, to compare others with."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[Node, int]] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.known: dict[Any, str] = {}

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, a list where there are several."""
        names = [f"made {len(self.made) + i}" for i in range(outputs)]
        node = Node(kind, names[0], list(inputs), names, attributes)
        self.made.update({name: (node, i) for i, name in enumerate(names)})
        return names[0] if outputs == 1 else names

    def constant(self, array: Any, wish: str = "constant") -> str:
        """Return the name of a constant."""
        name = f"constant {len(self.arrays)}"
        self.arrays[name] = np.asarray(array)
        return name


class Comparison:
    """Compares sketches with a graph, node by node."""

    def __init__(self, graph: Graph, constants: dict[str, np.ndarray]) -> None:
        self.constants = constants
        self.makers = {name: (n, i) for n in graph.nodes for i, name in enumerate(n.outputs)}

    def same(self, sketch: Sketch, wanted: str, found: str, bound: dict[str, str]) -> bool:
        """Whether a name of the sketch stands for a name of the graph."""
        if wanted in bound:
            return bound[wanted] == found
        if wanted in sketch.arrays:
            array, value = sketch.arrays[wanted], self.constants.get(found)
            if value is None or value.dtype != array.dtype or not np.array_equal(value, array):
                return False
        elif wanted in sketch.made:
            (one, place), (other, its) = sketch.made[wanted], self.makers.get(found, (None, -1))
            if other is None or place != its or one.op != other.op:
                return False
            if one.attributes != other.attributes or len(one.inputs) != len(other.inputs):
                return False
            for inner, there in zip(one.inputs, other.inputs, strict=True):
                if not self.same(sketch, inner, there, bound):
                    return False
        bound[wanted] = found
        return True
