"""Graphs of calls on symbolic tensors: what models are put together of.

`KerasTensor` stands for an array, an `Operation` (a layer too) that is called on one
leaves a `Node` behind. `order` finds the nodes between inputs and outputs.
"""

from rnn_engine.graph.nest import flatten, is_nested, map_structure, pack_as
from rnn_engine.graph.operation import Node, Operation, first_node, is_symbolic
from rnn_engine.graph.tensor import KerasTensor

__all__ = [
    "KerasTensor",
    "Node",
    "Operation",
    "first_node",
    "flatten",
    "is_nested",
    "is_symbolic",
    "map_structure",
    "pack_as",
]
