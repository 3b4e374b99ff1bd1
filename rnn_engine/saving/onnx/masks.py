"""Recurrent layers with masks that `to_onnx` wrote, joined to one node again.

The writer moves the steps that count together, reads them by their number, and puts the outputs
back. What it writes for a mask is written here once more, around names that stand for anything,
and compared with the graph node by node: so the two cannot part. What is not recognised stays as
it is.
"""

from collections.abc import Callable

import numpy as np

from rnn_engine.saving.onnx.graph import Graph, Node
from rnn_engine.saving.onnx.sketch import Comparison, Sketch, constants_of
from rnn_engine.saving.onnx.write_recurrent import _at_the_end, _moved, _placed
from rnn_engine.saving.onnx.writer import Mask, Value, Writer

_MOST = 256  # recurrent nodes of one model; those beyond stay as they are
_X, _MASK, _Y = "any x", "any mask", "any y"


def with_masks_joined(graph: Graph) -> Graph:
    """Return a graph in which recurrent nodes read masks in place of moved steps.

    Those nodes are named `MaskedRNN`, `MaskedLSTM`, `MaskedGRU`. Inputs: (batch, time, features),
    weights as before, the mask in place of the lengths, states as before. Outputs: those of all
    steps (batch, time, units), once with the last one repeated and once with zero where the mask
    is closed, the last output (batch, units), and the last states as before.
    """
    constants = constants_of(graph)
    recurrent = [n for n in graph.nodes if n.op in ("RNN", "LSTM", "GRU") and n.has(4)][:_MOST]
    finder = _Finder(graph, constants)
    nodes = list(graph.nodes)
    for node in recurrent:
        made = finder.joined(node)
        if made is None:
            continue
        gone = set(made.outputs) - {""}
        # Where the old node stands all that it reads is there already; outputs come earlier now.
        nodes[nodes.index(node)] = made
        nodes = [n for n in nodes if n is made or not gone.intersection(n.outputs)]
    return Graph(graph.inputs, graph.outputs, graph.constants, nodes)


class _Finder:
    def __init__(self, graph: Graph, constants: dict[str, np.ndarray]) -> None:
        self.constants, self.graph = constants, Comparison(graph, constants)
        self.readers, self.uses = graph.readers(), graph.uses()

    def joined(self, node: Node) -> Node | None:
        """Return the one node that does what the writer's many do, None if they are others."""
        kernel, recurrent = (self.constants.get(node.inputs[i]) for i in (1, 2))
        if kernel is None or recurrent is None or kernel.ndim != 3 or recurrent.ndim != 3:
            return None
        if node.get("direction", "forward") != "forward" or node.get("layout", 0) != 0:
            return None
        for turned in (False, True):
            sketch = Sketch()
            x = Value(_X, (None, None, kernel.shape[-1]), "float32")
            wanted = _moved(sketch, x, Mask(_MASK), turned)
            bound: dict[str, str] = {}
            found = node.inputs[0], node.inputs[4]
            if all(
                self.graph.same(sketch, w, f, bound) for w, f in zip(wanted, found, strict=True)
            ):
                return self._node(node, bound, turned, recurrent.shape[-1])
        return None

    def _node(self, node: Node, bound: dict[str, str], turned: bool, units: int) -> Node | None:
        outputs = ["", "", ""]
        if self.uses[node.outputs[0]]:
            found = self._results(node.outputs[0], bound[_MASK], turned, units)
            if found is None:
                return None
            outputs = found
        inputs = [bound[_X], *node.inputs[1:4], bound[_MASK], *node.inputs[5:]]
        attributes = {**node.attributes, "direction": "reverse" if turned else "forward"}
        return Node(
            f"Masked{node.op}", node.name, inputs, [*outputs, *node.outputs[1:]], attributes
        )

    def _results(self, whole: str, mask: str, turned: bool, units: int) -> list[str] | None:
        """Return the names of what is made of a node's first output, None if it is read else."""
        ways: list[Callable[[Writer, Mask], str]] = [
            lambda w, m: _placed(w, _Y, units, m, turned, False),
            lambda w, m: _placed(w, _Y, units, m, turned, True),
            lambda w, m: _at_the_end(w, _Y, units, m),
        ]
        outputs = ["", "", ""]
        for y in self._batch_first(whole):
            gathers = self.readers.get(y, [])
            if self.uses[y] != len(gathers):
                return None
            for end in [e for gather in gathers for e in self._ends(gather)]:
                for place, way in enumerate(ways):
                    sketch = Sketch()
                    wanted = way(sketch, Mask(_MASK))
                    if self.graph.same(sketch, wanted, end, {_MASK: mask, _Y: y}):
                        if outputs[place] not in ("", end):
                            return None
                        outputs[place] = end
                        break
                else:
                    return None
        return outputs if any(outputs) else None

    def _batch_first(self, whole: str) -> list[str]:
        """Return the tensors (batch, time, units) that are a node's first output."""
        return [
            turned.outputs[0]
            for squeeze in self.readers.get(whole, [])
            for turned in self.readers.get(squeeze.outputs[0], [])
            if squeeze.op == "Squeeze" and turned.op == "Transpose"
        ]

    def _ends(self, gather: Node) -> list[str]:
        """Return where what a node picks has been put in its place."""
        found = []
        for node in self.readers.get(gather.outputs[0], []):
            steps = self.readers.get(node.outputs[0], []) if node.op == "Squeeze" else [node]
            found += [step.outputs[0] for step in steps]
        return found or [""]
