"""An ``.onnx`` file as a `Graph`: parsed with care, since nothing in it is to be trusted.

The package `onnx` only takes the protobuf apart. Numbers are read here: their count is proved
against the bytes that are there before memory is taken, and numbers in other files are read
only from the folder of the model.
"""

import math
import os
import stat
from typing import Any

import numpy as np

from rnn_engine.saving.budget import Budget
from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.onnx.extra import load
from rnn_engine.saving.onnx.graph import Graph, Node, Port

# What TensorProto.DataType numbers mean; the types that are left out are not computed in here.
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
# Where numbers stand that are not raw bytes.
_FIELDS = {
    "float32": "float_data", "float64": "double_data", "int64": "int64_data",
    "uint32": "uint64_data", "uint64": "uint64_data",
}  # fmt: skip
_DEEPEST = 8  # of graphs in graphs
_LATEST = 30  # opset; later ones may mean other things by the same names
_EXTERNAL = 1
_STRINGS = 8  # as inputs only; constants of them are not read
_MOST_TIMES = 4  # a constant may stand under two names


def read(path: str) -> tuple[Graph, int, Budget]:
    """Return the graph of a file, the version of its operators, and what is left to be taken.

    Raises
    ------
    ValueError
        If it is damaged, or holds what is not read here.
    """
    onnx = load("Reading ONNX files")
    with open(path, "rb") as file:
        content = file.read()
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's own class, in one of several places
        raise RefusedError(f"it is no ONNX model: {error}") from error
    if not model.HasField("graph") or not model.graph.node:
        raise RefusedError("it is no ONNX model: it has no graph.")
    version = _version(model)
    if model.functions:
        raise RefusedError(
            "it has functions of its own, which are not read; inline them with "
            "onnx.inliner.inline_local_functions and save the model again."
        )
    budget = Budget(len(content), path)
    reader = _Reader(os.path.dirname(os.path.abspath(path)), budget)
    return reader.graph(model.graph, 0), version, budget


def _version(model: Any) -> int:
    found = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not found:
        raise RefusedError("it does not say which version of ONNX's operators it uses.")
    if not 7 <= found[0] <= _LATEST:
        raise RefusedError(
            f"it uses version {found[0]} of ONNX's operators; 7 to {_LATEST} are read."
        )
    return int(found[0])


class _Reader:
    def __init__(self, folder: str, budget: Budget) -> None:
        self.folder, self.budget = folder, budget
        self.taken: dict[str, int] = {}

    def graph(self, proto: Any, depth: int) -> Graph:
        if depth > _DEEPEST:
            raise RefusedError(f"its graphs stand in one another, more than {_DEEPEST} deep.")
        if proto.sparse_initializer:
            raise RefusedError("it has sparse constants, which are not read.")
        constants = {t.name: self.tensor(t) for t in proto.initializer}
        return Graph(
            [_port(v) for v in proto.input if v.name not in constants],
            [_port(v) for v in proto.output],
            constants,
            [self.node(n, depth) for n in proto.node],
        )

    def node(self, proto: Any, depth: int) -> Node:
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
        node = Node(f"{domain}{proto.op_type}", proto.name, list(proto.input), list(proto.output))
        for attribute in proto.attribute:
            node.attributes[attribute.name] = self.attribute(attribute, node, depth)
        return node

    def attribute(self, proto: Any, node: Node, depth: int) -> Any:
        kind = proto.type
        if kind == 1:
            return float(proto.f)
        if kind == 2:
            return int(proto.i)
        if kind == 3:
            return proto.s.decode("utf-8", "replace")
        if kind == 4:
            return self.tensor(proto.t)
        if kind == 5:
            return self.graph(proto.g, depth + 1)
        if kind == 6:
            return list(proto.floats)
        if kind == 7:
            return list(proto.ints)
        if kind == 8:
            return [text.decode("utf-8", "replace") for text in proto.strings]
        raise node.refuse(f"its attribute {proto.name!r} is of a kind that is not read.")

    def tensor(self, proto: Any) -> np.ndarray:
        """Return a constant.

        Raises
        ------
        ValueError
            If its type is not read, or its shape does not fit its numbers.
        """
        what = f"the constant {proto.name!r}"
        if proto.data_type not in DTYPES:
            raise RefusedError(f"{what} is of type {proto.data_type}, which is not read.")
        dtype = np.dtype(DTYPES[proto.data_type])
        shape = tuple(proto.dims)
        if any(size < 0 for size in shape) or len(shape) > 32:
            raise RefusedError(f"{what} has the shape {shape}.")
        count = math.prod(shape)
        if proto.data_location == _EXTERNAL:
            return self._external(proto, what, dtype, shape, count)
        if proto.HasField("raw_data"):
            if len(proto.raw_data) != count * dtype.itemsize:
                raise RefusedError(
                    f"{what} of shape {shape} has {len(proto.raw_data)} bytes of {dtype}."
                )
            self.budget.take(len(proto.raw_data), what)
            little = np.frombuffer(proto.raw_data, dtype.newbyteorder("<"))
            return little.astype(dtype).reshape(shape)
        values = getattr(proto, _FIELDS.get(dtype.name, "int32_data"))
        if len(values) != count:
            raise RefusedError(f"{what} of shape {shape} has {len(values)} numbers.")
        self.budget.take(count * dtype.itemsize, what)
        if dtype.name == "float16":  # its bits
            return np.array(values, np.uint32).astype(np.uint16).view(dtype).reshape(shape)
        return np.array(values).astype(dtype).reshape(shape)

    def _external(self, proto: Any, what: str, dtype: np.dtype, shape: Any, count: int) -> Any:
        """Return numbers that stand in another file, which lies in the model's folder.

        Raises
        ------
        ValueError
            If it is elsewhere, no plain file, or has not as many numbers.
        """
        entries = {entry.key: entry.value for entry in proto.external_data}
        place = entries.get("location", "")
        folder = os.path.realpath(self.folder)
        target = os.path.realpath(os.path.join(folder, place))
        outside = os.path.isabs(place) or os.path.commonpath([folder, target]) != folder
        if not place or outside or "\x00" in place:
            raise RefusedError(
                f"{what} has its numbers in {place!r}, which does not lie in the folder of the "
                f"model; it is not read."
            )
        offset, size = int(entries.get("offset", 0)), count * dtype.itemsize
        length = int(entries.get("length", size))
        # Not opened before it is known as a plain file: a pipe would wait for ever.
        if not os.path.exists(target) or not stat.S_ISREG(os.stat(target).st_mode):
            raise RefusedError(f"{what} has its numbers in {place!r}, which is no file.")
        if offset < 0 or length != size or offset + size > os.path.getsize(target):
            raise RefusedError(
                f"{what} of shape {shape} wants {size} bytes at {offset} of {place!r}, which has "
                f"{os.path.getsize(target)}."
            )
        self.taken[target] = self.taken.get(target, 0) + size
        if self.taken[target] > _MOST_TIMES * os.path.getsize(target):
            raise RefusedError(f"it reads {place!r} more than {_MOST_TIMES} times over.")
        with open(target, "rb") as file:
            file.seek(offset)
            content = file.read(size)
        if len(content) != size:
            raise RefusedError(f"{place!r} ends too early.")
        return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _port(proto: Any) -> Port:
    kind = proto.type.tensor_type
    dtype = "object" if kind.elem_type == _STRINGS else DTYPES.get(kind.elem_type)
    dims = None
    if kind.HasField("shape"):
        dims = tuple(_size(dim) for dim in kind.shape.dim)
    return Port(proto.name, dims, None if dtype is None else np.dtype(dtype))


def _size(dim: Any) -> int | str | None:
    which = dim.WhichOneof("value")
    if which == "dim_value":
        return int(dim.dim_value) if dim.dim_value > 0 else None
    return dim.dim_param or None if which == "dim_param" else None
