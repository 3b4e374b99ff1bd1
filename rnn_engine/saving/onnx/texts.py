"""Split texts that `to_onnx` wrote, joined to one node again: see `masks`."""

import numpy as np

from rnn_engine.saving.onnx.graph import Graph, Node
from rnn_engine.saving.onnx.sketch import Comparison, Sketch, constants_of
from rnn_engine.saving.onnx.write_text import moved_together, words_of

_MOST = 256  # of one model; those beyond stay as they are
_TEXTS, _INDICES = "any texts", "any indices"
_LOOKUP = "ai.onnx.ml.LabelEncoder"


def with_texts_joined(graph: Graph) -> Graph:
    """Return a graph in which a `SplitTexts` stands for the many nodes of a `TextVectorization`.

    Its input is texts (batch,), its output the numbers that a `LabelEncoder` gives their words,
    whose attributes it has, those of each row in front: (batch, longest). The number of an empty
    word fills up. With ``length`` in its attributes that is how many there are.
    """
    constants = constants_of(graph)
    finder = _Finder(graph, constants)
    nodes = list(graph.nodes)
    for lookup in [n for n in graph.nodes if n.op == _LOOKUP][:_MOST]:
        made = finder.joined(lookup)
        if made is not None:
            # Its result comes earlier now, and is made by no other node.
            nodes = [n for n in nodes if n is lookup or not set(n.outputs) & set(made.outputs)]
            nodes[nodes.index(lookup)] = made
    return Graph(graph.inputs, graph.outputs, graph.constants, nodes)


class _Finder:
    def __init__(self, graph: Graph, constants: dict[str, np.ndarray]) -> None:
        self.constants, self.graph = constants, Comparison(graph, constants)
        self.readers, self.uses = graph.readers(), graph.uses()

    def joined(self, lookup: Node) -> Node | None:
        """Return the one node that does what the writer's many do, None if they are others."""
        sketch, bound = Sketch(), dict[str, str]()
        if not self.graph.same(sketch, words_of(sketch, _TEXTS), lookup.inputs[0], bound):
            return None
        attributes = dict(lookup.attributes)
        end = self._moved(lookup.outputs[0])
        if end is None and not self._counted(lookup.outputs[0]):
            return None
        if end is not None:
            end, length = self._cut(end)
            attributes.update({} if length is None else {"length": length})
        names = [end or lookup.outputs[0]]
        return Node("SplitTexts", lookup.name, [bound[_TEXTS]], names, attributes)

    def _moved(self, indices: str) -> str | None:
        """Return where all the indices are that words have, in front; None if nowhere."""
        if self.uses[indices] != 2:
            return None
        for gather in self.readers.get(indices, []):
            for cut in self.readers.get(gather.outputs[0], []):
                sketch = Sketch()
                wanted = moved_together(sketch, _INDICES)
                if self.graph.same(sketch, wanted, cut.outputs[0], {_INDICES: indices}):
                    return cut.outputs[0]
        return None

    def _counted(self, indices: str) -> bool:
        """Whether places do not matter: each number is compared, and all summed up."""
        name = indices
        for op in ("Unsqueeze", "Equal", "Cast", ("ReduceSum", "ReduceMax")):
            found = self.readers.get(name, [])
            if self.uses[name] != 1 or len(found) != 1 or found[0].op not in op:
                return False
            name = found[0].outputs[0]
        return self._constant(found[0], 1) == [-2]

    def _cut(self, moved: str) -> tuple[str, int | None]:
        """Return what is made of indices by filling up and cutting, and the length."""
        padding = self._only(moved, "Pad")
        pads = [] if padding is None else self._constant(padding, 1)
        if padding is None or len(pads) != 4 or any(pads[:3]) or self._constant(padding, 2) != [-1]:
            return moved, None
        cut = self._only(padding.outputs[0], "Slice")
        if cut is None or [self._constant(cut, i) for i in (1, 2, 3)] != [[0], pads[3:], [-1]]:
            return moved, None
        return cut.outputs[0], pads[3]

    def _only(self, name: str, op: str) -> Node | None:
        found = self.readers.get(name, [])
        return found[0] if self.uses[name] == len(found) == 1 and found[0].op == op else None

    def _constant(self, node: Node, place: int) -> list[int]:
        value = self.constants.get(node.inputs[place]) if len(node.inputs) > place else None
        return [] if value is None else [int(n) for n in value.ravel()]
