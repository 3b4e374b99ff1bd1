"""Recurrent layers that an exporter wrote out step by step, joined to nodes again.

torch's newer exporter has no operator for `nn.RNN`: it writes a product, two sums and an
activation for every step, and puts the states together in the end. What is not recognised here
is computed as it stands, step by step.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.saving.onnx.graph import Graph, Node, bodies
from rnn_engine.saving.onnx.sketch import constants_of

_MOST = 256  # layers and directions of one model; what is beyond stays as it is
_ACTIVATIONS = {"Tanh", "Relu", "Sigmoid", "Softsign", "Softplus"}


def with_chains_joined(graph: Graph) -> Graph:
    """Return a graph with one RNN in place of each chain of steps, and without unused nodes."""
    constants = constants_of(graph)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    nodes = list(graph.nodes)
    added: dict[str, np.ndarray] = {}
    found = 0
    for concat in graph.nodes:
        if concat.op == "Concat" and concat.number("axis", 0) == 0 and len(concat.inputs) > 1:
            chain = _Finder(makers, constants).chain(concat)
            if chain is not None:
                _replace(nodes, chain, concat, added)
                found += 1
        if found == _MOST:
            break
    return without_unused(Graph(graph.inputs, graph.outputs, {**graph.constants, **added}, nodes))


def without_unused(graph: Graph) -> Graph:
    """Return a graph without the nodes that no output depends on."""
    needed = {port.name for port in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
            for body in bodies(node):
                needed.update(body.uses())
    return Graph(graph.inputs, graph.outputs, graph.constants, kept[::-1])


@dataclass
class _Chain:
    """What all the steps have in common."""

    states: list[str]
    activation: str
    begins: Node
    source: str
    recurrent: np.ndarray
    bias: np.ndarray | None
    initial: str
    reverse: bool = False
    turned: bool = False
    kernel: np.ndarray | None = None
    inner_bias: np.ndarray | None = None


class _Finder:
    def __init__(self, makers: dict[str, Node], constants: dict[str, np.ndarray]) -> None:
        self.makers, self.constants = makers, constants

    def chain(self, concat: Node) -> _Chain | None:
        """Return the chain whose states are put together, None if there is none."""
        for names, reverse in ((concat.inputs, False), (concat.inputs[::-1], True)):
            found = self._steps(list(names))
            if found is not None:
                found.turned = reverse
                self._input(found)
                return found
        return None

    def _steps(self, states: list[str]) -> _Chain | None:
        chain: _Chain | None = None
        if len(set(states)) != len(states):
            return None
        for step, name in enumerate(states):
            activation = self.makers.get(name)
            if activation is None or activation.op not in _ACTIVATIONS:
                return None
            total = self.makers.get(activation.inputs[0])
            if total is None or total.op != "Add":
                return None
            parts = [(self._part(a), b) for a, b in (total.inputs, total.inputs[::-1])]
            read = [(part, other) for part, other in parts if part is not None]
            if len(read) != 1 or read[0][0] is None or read[0][0][1] != step:
                return None
            source, other = read[0][0][0], read[0][1]
            if step == 0:
                chain = _Chain(states, activation.op, activation, source, np.zeros(0), None, other)
                continue
            product = self._product(other)
            if chain is None or product is None or product[0] != states[step - 1]:
                return None
            if step == 1:
                chain.recurrent, chain.bias = product[1:]
            same = product[1] is chain.recurrent and product[2] is chain.bias
            if not same or (chain.activation, chain.source) != (activation.op, source):
                return None
        return chain if chain is not None and self._begins(chain) else None

    def _part(self, name: str) -> tuple[str, int] | None:
        """Return whose entry along the first axis a tensor is, and which."""
        squeeze = self.makers.get(name)
        if squeeze is None:
            return None
        if squeeze.op == "Gather" and squeeze.number("axis", 0) == 0:
            place = self._whole(squeeze.inputs[1])
            return None if place is None else (squeeze.inputs[0], place)
        axes = squeeze.numbers("axes")
        if squeeze.op != "Squeeze":
            return None
        if axes is None and (not squeeze.has(1) or self._whole(squeeze.inputs[1]) != 0):
            return None
        part = self.makers.get(squeeze.inputs[0])
        if axes not in (None, [0]) or part is None or part.op != "Slice" or len(part.inputs) < 4:
            return None
        numbers = [self._whole(part.inputs[i]) for i in range(1, len(part.inputs))]
        start, end, axis, *step = numbers
        if start is None or end != start + 1 or axis != 0 or step not in ([], [1]):
            return None
        return part.inputs[0], start

    def _whole(self, name: str) -> int | None:
        value = self.constants.get(name)
        if value is None or value.size != 1 or value.dtype.kind not in "iu":
            return None
        return int(value.reshape(()))

    def _product(self, name: str) -> Any:
        """Return (what, times which matrix, plus which bias) makes a tensor, None if not that."""
        node = self.makers.get(name)
        bias = None
        if node is not None and node.op == "Add" and len(node.inputs) == 2:
            for one, two in (node.inputs, node.inputs[::-1]):
                if two in self.constants and one in self.makers:
                    bias, node = self.constants[two], self.makers[one]
                    break
        if node is None or node.op != "MatMul" or node.inputs[1] not in self.constants:
            return None
        matrix = self.constants[node.inputs[1]]
        flat = bias is None or (bias.ndim == 1 and bias.shape == matrix.shape[-1:])
        return (node.inputs[0], matrix, bias) if matrix.ndim == 2 and flat else None

    def _begins(self, chain: _Chain) -> bool:
        """Find the state that the first step begins with; whether there is one."""
        matrix = chain.recurrent
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind != "f":
            return False
        constant = self.constants.get(chain.initial)
        if constant is not None:  # what zeros give: the bias
            bias = np.zeros(matrix.shape[1]) if chain.bias is None else chain.bias
            chain.initial = ""
            return constant.shape[-1:] == bias.shape and bool((constant == bias).all())
        product = self._product(chain.initial)
        if product is None or product[1] is not matrix or product[2] is not chain.bias:
            return False
        chain.initial = product[0]
        return True

    def _input(self, chain: _Chain) -> None:
        """Take the product before the steps into the layer, and the order of reading."""
        source = chain.source
        node = self.makers.get(source)
        if chain.turned and node is not None and node.op == "Slice" and len(node.inputs) == 5:
            start, end, axis, step = (self._whole(name) for name in node.inputs[1:])
            if (axis, step, start) == (0, -1, -1) and end is not None and end < -(1 << 30):
                source, chain.reverse, chain.turned = node.inputs[0], True, False
                chain.source = source
        product = self._product(source)
        if product is not None and product[1].dtype == chain.recurrent.dtype:
            chain.source, chain.kernel, chain.inner_bias = product


def _replace(nodes: list[Node], chain: _Chain, concat: Node, added: dict[str, np.ndarray]) -> None:
    """Put an RNN where the chain begins, under the names that the chain's states have."""
    units, dtype = chain.recurrent.shape[0], chain.recurrent.dtype
    # Where the input is no product, it is one with the unit matrix.
    kernel = np.eye(units, dtype=dtype) if chain.kernel is None else chain.kernel
    zero = np.zeros(units, dtype)
    biases = [zero if b is None else b for b in (chain.inner_bias, chain.bias)]
    whole = concat.outputs[0]
    names = [f"{whole} {part}" for part in ("kernel", "recurrent", "bias", "Y", "Y_h", "forward")]
    added[names[0]] = np.ascontiguousarray(kernel.T)[None]
    added[names[1]] = np.ascontiguousarray(chain.recurrent.T)[None]
    added[names[2]] = np.concatenate(biases)[None].astype(dtype)
    direction = "reverse" if chain.reverse else "forward"
    made = [
        Node(
            "RNN", concat.name, [chain.source, *names[:3], "", chain.initial], names[3:5],
            {"activations": [chain.activation], "direction": direction},
        ),
        Node("Squeeze", concat.name, [names[3]], [names[5] if chain.turned else whole],
             {"axes": [1]}),
    ]  # fmt: skip
    if chain.turned:
        made.append(
            Node("Slice", concat.name, [names[5]], [whole], {}),
        )
        ends = [np.array([n], np.int64) for n in (-1, -(1 << 62), 0, -1)]
        for number, end in enumerate(ends):
            added[f"{whole} end {number}"] = end
            made[-1].inputs.append(f"{whole} end {number}")
    order = chain.states[::-1] if chain.turned or chain.reverse else chain.states
    for step, name in enumerate(order):
        if name == chain.states[-1]:
            made.append(Node("Identity", concat.name, [names[4]], [name]))
        else:
            ends = [np.array([n], np.int64) for n in (step, step + 1, 0)]
            inputs = [f"{whole} part {step} {n}" for n in range(3)]
            added.update(zip(inputs, ends, strict=True))
            made.append(Node("Slice", concat.name, [whole, *inputs], [name]))
    gone = {*chain.states, whole}
    place = nodes.index(chain.begins)
    nodes[place:place] = made
    nodes[:] = [n for n in nodes if n in made or not gone.intersection(n.outputs)]
