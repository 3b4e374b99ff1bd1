"""A graph of ONNX in plain Python: what the file says, and nothing of protobuf."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn_engine.saving.errors import RefusedError


@dataclass
class Port:
    """An input or output: its name, the sizes of its axes, its type.

    A size is an int, the name of one that is not known, or None.
    """

    name: str
    dims: tuple[int | str | None, ...] | None
    dtype: np.dtype | None


@dataclass(eq=False)
class Node:
    """One operation; attributes are numbers, texts, arrays, graphs and lists of numbers."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"node {self.name or (self.outputs or ['?'])[0]!r} ({self.op})"

    def refuse(self, reason: str) -> RefusedError:
        """Return the error that names this node."""
        return RefusedError(f"{self}: {reason}")

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def has(self, place: int) -> bool:
        """Whether the input at a place is given."""
        return place < len(self.inputs) and self.inputs[place] != ""

    def number(self, name: str, default: int) -> int:
        """Return an attribute that is a whole number.

        Raises
        ------
        ValueError
            If it is none.
        """
        value = self.get(name, default)
        if not isinstance(value, int):
            raise self.refuse(f"its attribute {name} must be a whole number, got {value!r}.")
        return value

    def real(self, name: str, default: float) -> float:
        """Return an attribute that is a number.

        Raises
        ------
        ValueError
            If it is none.
        """
        value = self.get(name, default)
        if not isinstance(value, int | float):
            raise self.refuse(f"its attribute {name} must be a number, got {value!r}.")
        return float(value)

    def numbers(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of whole numbers, None if it is not there.

        Raises
        ------
        ValueError
            If it is something else.
        """
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(n, int) for n in value):
            raise self.refuse(f"its attribute {name} must be a list of whole numbers.")
        return value


@dataclass
class Graph:
    """Nodes between inputs and outputs, each behind those it needs, and constants."""

    inputs: list[Port]
    outputs: list[Port]
    constants: dict[str, np.ndarray]
    nodes: list[Node]

    def uses(self) -> Counter[str]:
        """Return how often each name is read, by nodes, their bodies, and as an output."""
        found: Counter[str] = Counter(port.name for port in self.outputs)
        for node in self.nodes:
            found.update(node.inputs)
            for body in bodies(node):
                found.update(body.uses())
        return found

    def readers(self) -> dict[str, list[Node]]:
        """Return the nodes that read each name, those with a body that does included."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            names = set(node.inputs)
            for body in bodies(node):
                names |= set(body.uses())
            for name in names:
                found.setdefault(name, []).append(node)
        return found


def bodies(node: Node) -> Iterator[Graph]:
    """Yield the graphs among a node's attributes."""
    for value in node.attributes.values():
        if isinstance(value, Graph):
            yield value
