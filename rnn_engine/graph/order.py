"""The nodes between inputs and outputs, in an order in which they can be run."""

from collections.abc import Callable
from typing import Any

from rnn_engine.graph.nest import flatten, map_structure
from rnn_engine.graph.operation import Node
from rnn_engine.graph.tensor import KerasTensor


def nodes_between(inputs: list[KerasTensor], outputs: list[KerasTensor]) -> list[Node]:
    """Return the nodes that make `outputs` of `inputs`, each behind those it needs.

    Nodes of `InputLayer` are not among them.

    Raises
    ------
    ValueError
        If an output also depends on a tensor that is not among the inputs.
    """
    return _walk(inputs, outputs)[0]


def _walk(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[list[Node], dict[int, Any]]:
    """Return the nodes in order, and their operations in the order they are met from the end.

    The operations stand under their `id`; those of the inputs are among them.
    """
    given = {id(tensor) for tensor in inputs}
    done: set[int] = set()
    ordered: list[Node] = []
    met: dict[int, Any] = {}
    for number, output in enumerate(outputs):
        # Depth first without recursion, since a graph may be deep: a node comes back, marked,
        # when all that it needs is done.
        waiting = [(output, False)]
        while waiting:
            tensor, ready = waiting.pop()
            node = tensor.node
            if id(tensor) in given:
                if node is not None and node.is_input:
                    met.setdefault(id(node.operation), node.operation)
            elif node is None or node.is_input:
                path = number if len(outputs) > 1 else ""
                raise ValueError(
                    f"Output with path `{path}` is not connected to `inputs`: it depends on "
                    f"{tensor}, which is not among them."
                )
            elif ready:
                done.add(id(node))
                ordered.append(node)
            elif id(node) not in done:
                met.setdefault(id(node.operation), node.operation)
                waiting.append((tensor, True))
                waiting.extend((needed, False) for needed in reversed(node.inputs))
    return ordered, met


def _depths(nodes: list[Node]) -> tuple[dict[int, int], dict[int, int]]:
    """Return how far nodes and operations stand from the outputs, under their `id`, as Keras does.

    All calls of an operation count with its farthest so far.
    """
    of_node: dict[int, int] = {}
    of_operation: dict[int, int] = {}
    for node in reversed(nodes):
        depth = max(of_node.get(id(node), 0), of_operation.get(id(node.operation), 0))
        of_node[id(node)] = of_operation[id(node.operation)] = depth
        for tensor in node.inputs:
            below = tensor.node
            of_node[id(below)] = max(depth + 1, of_node.get(id(below), 0))
            if below.is_input:
                of_operation[id(below.operation)] = of_node[id(below)]
    return of_node, of_operation


def is_chain(inputs: list[KerasTensor], outputs: list[KerasTensor]) -> bool:
    """Whether a graph is a row of operations: none called twice, none with several inputs.

    It is what Keras's `summary` goes by.
    """
    nodes = nodes_between(inputs, outputs)
    of_node = _depths(nodes)[0]
    if any(len(node.inputs) != 1 for node in nodes):
        return False
    every = {id(node): node for node in [*nodes, *(tensor.node for tensor in inputs)]}
    depths = {of_node.get(key, 0) for key in every}
    operations = {id(node.operation) for node in every.values()}
    return len(depths) == len(operations) == len(every)


def operations_by_depth(inputs: list[KerasTensor], outputs: list[KerasTensor]) -> list[Any]:
    """Return the operations of a graph, inputs included, in the order of Keras's layers.

    Those farthest from the outputs come first; of one depth, in the order they are met from
    the outputs.

    Raises
    ------
    ValueError
        If two of them have one name.
    """
    nodes, met = _walk(inputs, outputs)
    of_operation = _depths(nodes)[1]
    # An input that nothing takes is of depth zero, before the others of that depth.
    unused = [t.node.operation for t in inputs if id(t.node.operation) not in met]
    ordered = list({id(operation): operation for operation in [*unused, *met.values()]}.values())
    ordered.sort(key=lambda operation: -of_operation.get(id(operation), 0))
    names = [operation.name for operation in ordered]
    for name in names:
        if names.count(name) != 1:
            raise ValueError(
                f'The name "{name}" is used {names.count(name)} times in the model. All operation '
                f"names should be unique."
            )
    return ordered


def rebuilt_from(
    inputs: Any, outputs: Any, make_input: Callable[[KerasTensor], KerasTensor]
) -> tuple[Any, Any]:
    """Return `inputs` and `outputs` of a graph of new nodes that begins at `inputs`.

    For models that begin in the middle of another graph: the nodes call the same operations,
    and the tensors among the inputs that no `InputLayer` made are replaced by inputs.

    Parameters
    ----------
    inputs, outputs : nest of KerasTensor
    make_input : callable
        From a tensor to one of an input of its own.
    """
    replaced: dict[int, KerasTensor] = {}
    for tensor in flatten(inputs):
        begins = tensor.node is not None and tensor.node.is_input
        replaced[id(tensor)] = tensor if begins else make_input(tensor)
    for node in nodes_between(flatten(inputs), flatten(outputs)):
        args, kwargs = node.filled([replaced.get(id(tensor), tensor) for tensor in node.inputs])
        copies = [KerasTensor(t.shape, t.dtype, f"{t.name}_clone") for t in node.outputs]
        Node(node.operation, args, kwargs, copies)
        replaced.update(zip(map(id, node.outputs), copies, strict=True))

    def swap(tensor: Any) -> Any:
        return replaced[id(tensor)]

    return map_structure(swap, inputs), map_structure(swap, outputs)
