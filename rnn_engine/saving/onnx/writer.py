"""`Writer`: a graph of ONNX in the making, node by node."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnn_engine.saving.onnx.extra import load

OPSET, IR = 18, 9
"""Both are read by every ONNX Runtime since 1.15 and OpenVINO since 2023."""

_OF_DOMAINS = {"ai.onnx.ml": 3}
_TYPES = {
    "float32": 1, "uint8": 2, "int8": 3, "int16": 5, "int32": 6, "int64": 7, "bool": 9,
    "string": 8, "float64": 11,
}  # fmt: skip


class NotInONNXError(ValueError):
    """A model that cannot be written as ONNX, and why."""


@dataclass
class Mask:
    """Which steps count: the name of a tensor (batch, time) of truths, and what is made of it."""

    name: str
    made: dict[str, str] = field(default_factory=dict)


UNTOLD = Mask("")
"""A mask of which only is known that there is one."""


@dataclass
class Value:
    """A tensor: its name in the graph, its shape and type, and the mask it brings along."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    mask: Mask | None = None

    def bare(self) -> "Value":
        """Return the tensor without its mask."""
        return replace(self, mask=None)


LayerWriter = Callable[["Writer", Any, Any, dict[str, Any]], Any]
WRITERS: dict[str, LayerWriter] = {}
"""What writes the nodes of a layer, by the name of its class, or of an op."""


def writes(*names: str) -> Callable[[LayerWriter], LayerWriter]:
    """Enter what writes layers of these classes."""

    def enter(function: LayerWriter) -> LayerWriter:
        WRITERS.update(dict.fromkeys(names, function))
        return function

    return enter


class Writer:
    """Nodes and constants under names of their own."""

    def __init__(self) -> None:
        self.onnx = load("Writing ONNX files")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.size = 0
        self._names: dict[str, int] = {}
        self.known: dict[Any, str] = {}
        self.scope = "model"
        self.opset = OPSET

    def opsets(self) -> list[tuple[str, int]]:
        """Return the versions of the operators, by their domains."""
        others = {node.domain for node in self.nodes} - {""}
        return [("", self.opset), *((domain, _OF_DOMAINS[domain]) for domain in sorted(others))]

    def name(self, wish: str) -> str:
        """Return a name that is not taken."""
        wish = wish.replace(" ", "_") or "unnamed"
        name, number = wish, self._names.get(wish, -1) + 1
        if number:
            name = f"{wish}_{number}"
            while name in self._names:
                number += 1
                name = f"{wish}_{number}"
            self._names[name] = 0
        self._names[wish] = number
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, a list where there are several."""
        names = [self.name(f"{self.scope}/{kind}") for _ in range(outputs)]
        self.nodes.append(
            self.onnx.helper.make_node(kind, inputs, names, name=names[0], **attributes)
        )
        return names[0] if outputs == 1 else names

    def constant(self, array: Any, wish: str = "constant") -> str:
        """Return the name of a constant; equal small ones are one."""
        array = np.ascontiguousarray(array) if np.ndim(array) else np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size < 64 else None
        if key in self.known:
            return self.known[key]
        name = self.name(f"{self.scope}/{wish}")
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        self.size += array.nbytes
        if key is not None:
            self.known[key] = name
        return name

    def weight(self, variable: Any, change: Any = None, wish: str = "weight") -> str:
        """Return the name of a constant of a layer's weight; shared layers share it."""
        key = (id(variable), wish)
        if key not in self.known:
            array = np.asarray(variable.numpy())
            self.known[key] = self.constant(array if change is None else change(array), wish)
        return self.known[key]

    def ints(self, *numbers: int) -> str:
        """Return the name of a constant list of whole numbers."""
        return self.constant(np.array(numbers, np.int64), "sizes")

    def number(self, value: float, dtype: str) -> str:
        """Return the name of a constant number."""
        return self.constant(np.array(value, dtype), "number")

    def layer(self, layer: Any, x: Any, options: dict[str, Any]) -> Any:
        """Return the output of a layer, or a list of them; see `exporter`."""
        raise NotImplementedError  # of the class in `exporter`, which knows all writers

    # --- small pieces -------------------------------------------------------------------------

    def transpose(self, name: str, perm: list[int]) -> str:
        """Return a tensor with its axes in another order."""
        return name if perm == sorted(perm) else self.op("Transpose", name, perm=perm)

    def cast(self, value: Value, dtype: str) -> Value:
        """Return a tensor in another type."""
        if value.dtype == dtype:
            return value
        name = self.op("Cast", value.name, to=self.type_of(dtype))
        return replace(value, name=name, dtype=dtype)

    def type_of(self, dtype: str) -> int:
        """Return ONNX's number of a type.

        Raises
        ------
        ValueError
            If it has none that is written.
        """
        if dtype not in _TYPES:
            raise NotInONNXError(f"tensors of type {dtype} are not written.")
        return _TYPES[dtype]

    def reshaped(self, name: str, shape: Any, inner: Any) -> str:
        """Return a tensor in another shape, of which the batch stays in front.

        `shape` and `inner` are those before and behind, as far as they are known.

        Raises
        ------
        ValueError
            If two sizes behind the batch are not known.
        """
        target = [-1 if n is None else n for n in inner]
        if target.count(-1) > 1:
            raise NotInONNXError(f"it reshapes to {tuple(inner)}, of which two sizes are unknown.")
        if -1 not in target:  # the batch may as well be what is left
            return str(self.op("Reshape", name, self.ints(-1, *target)))
        return str(self.op("Reshape", name, self.ints(0, *target)))

    def sizes(self, name: str, start: int, end: int) -> str:
        """Return some sizes of a tensor."""
        return str(self.op("Shape", name, start=start, end=end))

    def lengths(self, mask: Mask) -> str:
        """Return how many steps of each row count, int32."""
        if "lengths" not in mask.made:
            total = self.op("ReduceSum", self._counted(mask), self.ints(1), keepdims=0)
            mask.made["lengths"] = self.op("Cast", total, to=_TYPES["int32"])
        return mask.made["lengths"]

    def _counted(self, mask: Mask) -> str:
        if "ones" not in mask.made:
            # Not whole numbers: runtimes sort and add up float32 everywhere.
            mask.made["ones"] = self.op("Cast", mask.name, to=_TYPES["float32"])
        return mask.made["ones"]

    def counts(self, mask: Mask) -> str:
        """Return how many steps up to each one count, itself included, int64 (batch, time)."""
        if "counts" not in mask.made:
            total = self.op("CumSum", self._counted(mask), self.constant(np.array(1, np.int64)))
            mask.made["counts"] = self.op("Cast", total, to=_TYPES["int64"])
        return mask.made["counts"]

    def whole_lengths(self, mask: Mask) -> str:
        """Return how many steps of each row count, int64."""
        if "whole" not in mask.made:
            mask.made["whole"] = self.op("Cast", self.lengths(mask), to=_TYPES["int64"])
        return mask.made["whole"]

    def order(self, mask: Mask, turned: bool) -> str:
        """Return the places of the steps that count, in the order of reading, then the others."""
        key = f"order {turned}"
        if key not in mask.made:
            ones = self._counted(mask)
            all_ones = self.op(
                "Add", self.op("Mul", ones, self.number(0.0, "float32")),
                self.number(1.0, "float32"),
            )  # fmt: skip
            steps = self.op("CumSum", all_ones, self.constant(np.array(1, np.int64)))
            # Open steps are lifted above the closed ones; among them the first read is highest.
            count = self.op("Cast", self.sizes(mask.name, 1, 2), to=_TYPES["float32"])
            lift = self.op("Mul", ones, count)
            height = self.op("Add" if turned else "Sub", lift, steps)
            size = self.sizes(mask.name, 1, 2)
            mask.made[key] = self.op("TopK", height, size, outputs=2, axis=1)[1]
        return mask.made[key]

    def picked(self, x: str, places: str, features: int) -> str:
        """Return the steps of (batch, time, features) at places (batch, time)."""
        wide = self.op("Unsqueeze", places, self.ints(2))
        shape = self.op("Concat", self.sizes(places, 0, 2), self.ints(features), axis=0)
        return str(self.op("GatherElements", x, self.op("Expand", wide, shape), axis=1))


def untold(mask: Mask | None) -> Mask:
    """Return a mask that has to be known.

    Raises
    ------
    ValueError
        If only is known that there is one.
    """
    if mask is UNTOLD or mask is None:
        raise NotInONNXError("its mask comes through a layer whose mask is not written.")
    return mask
