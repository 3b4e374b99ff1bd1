"""Ops on symbolic tensors: each call is a node of a graph, differentiated by a tape."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.graph import KerasTensor, Operation
from rnn_engine.graph.nest import flatten, map_structure, pack_as
from rnn_engine.ops.dispatch import OPS
from rnn_engine.utils.naming import auto_name

# Sizes that stand for those that are not known, of the batch and of other axes: what differs
# between the two runs is not known in the output.
_SIZES = ((2, 17), (3, 23))


class OpCall(Operation):
    """A call of a function of `rnn_engine.ops` on symbolic tensors.

    Parameters
    ----------
    op : str
        Its name.
    name : str, optional
    """

    def __init__(self, op: str, name: str | None = None) -> None:
        super().__init__(name or auto_name(_class_name(op)))
        self.op = op

    @property
    def class_name(self) -> str:
        """The name of the operation's class in Keras, which has one an op."""
        return _class_name(self.op)

    @property
    def function(self) -> Callable[..., Any]:
        """The function."""
        return OPS[self.op]

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs as symbolic tensors."""
        if self.op == "reshape" and (known := _reshaped(*args, **kwargs)) is not None:
            return known
        try:
            return spec_of(lambda a, k: self.function(*a, **k), args, kwargs)
        except ValueError as error:
            if str(error).startswith("operands could not be broadcast"):
                raise _no_broadcast(flatten((args, kwargs))) from error
            raise
        except IndexError as error:
            if self.op != "get_item":
                raise
            raise ValueError(
                f"Array has shape {args[0].shape} but out-of-bounds index {args[1]} was requested."
            ) from error

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs, and what they were made from."""
        with recording.silenced():
            y = self.function(*args, **kwargs)
        return map_structure(_plain, y), (args, kwargs)

    def backward(self, dy: Any, saved: Any) -> Any:
        """Return the gradients by the tensors among the arguments: the op once more, recorded."""
        from rnn_engine.autodiff.tape import GradientTape

        engine = recording.load()
        args, kwargs = saved
        tape = GradientTape(persistent=True, watch_accessed_variables=False)
        nodes: list[Any] = []
        calls = [(node.args, node.kwargs) for node in self._inbound_nodes]
        constants = {id(leaf) for leaf in flatten(calls) if isinstance(leaf, np.ndarray)}

        def watched(leaf: Any) -> Any:
            if not isinstance(leaf, np.ndarray) or id(leaf) in constants:
                return leaf
            floating = leaf.dtype.kind == "f"
            nodes.append(engine.root(leaf.dtype) if floating else None)
            return engine.box(leaf, tape.trace, nodes[-1]) if floating else leaf

        with recording.silenced(), tape:
            args = map_structure(watched, args)
            # One by one: in the order of `Node.inputs`, not in that of their names.
            kwargs = {name: map_structure(watched, value) for name, value in kwargs.items()}
            y = self.function(*args, **kwargs)
        leaves = flatten(y)
        slopes = [dy] if len(leaves) == 1 else dy
        pairs = [
            (seen._node, np.asarray(slope))
            for leaf, slope in zip(leaves, slopes, strict=True)
            if slope is not None and (seen := tape._seen(leaf)) is not None
        ]
        wanted = {node for node in nodes if node is not None}
        found = engine.walk_back([n for n, _ in pairs], [s for _, s in pairs], wanted)
        gradients = [None if node is None else found.get(node) for node in nodes]
        gradients = [None if g is None else np.asarray(g) for g in gradients]
        return gradients[0] if len(gradients) == 1 else gradients

    def get_config(self) -> dict[str, Any]:
        """Return the name of the op, and its own."""
        return {"op": self.op, "name": self.name}


def _class_name(op: str) -> str:
    return "".join(word.capitalize() for word in op.split("_"))


def _no_broadcast(leaves: list[Any]) -> ValueError:
    """Return the error of operands of these shapes, in Keras's words."""
    shapes = [list(leaf.shape) for leaf in leaves if hasattr(leaf, "shape")]
    longest = max(map(len, shapes))
    padded = [[1] * (longest - len(shape)) + shape for shape in shapes]
    for sizes in zip(*padded, strict=True):
        known = list(dict.fromkeys(size for size in sizes if size not in (1, None)))
        if len(known) > 1:
            failure = f", the failure dim has value {known[0]}, which cannot be broadcasted to "
            failure += f"{known[1]}"
            break
    else:
        failure = ""
    told = " and ".join(map(str, shapes))
    return ValueError(f"Cannot broadcast shape{failure}. Input shapes are: {told}.")


def _plain(value: Any) -> Any:
    return np.asarray(value) if hasattr(value, "dtype") else value


def symbolic_call(name: str, args: Any, kwargs: Any) -> Any:
    """Return what an op gives for symbolic tensors."""
    return OpCall(name).symbolic_call(*args, **kwargs)


def _reshaped(x: Any, newshape: Any) -> KerasTensor | None:
    """Return the output where a size is not known: as in Keras, whatever it may turn out to be."""
    unknown = isinstance(x, KerasTensor) and None in x.shape
    if not unknown or not isinstance(newshape, list | tuple) or list(newshape).count(-1) != 1:
        return None
    if not all(isinstance(n, int | np.integer) for n in newshape):
        return None
    return KerasTensor([None if n == -1 else int(n) for n in newshape], x.dtype)


def activation_of(activation: Any, x: Any) -> Any:
    """Return an activation of a symbolic tensor: the layer of that activation."""
    from rnn_engine.layers.activation_layers import Activation

    return Activation(activation)(x)


def spec_of(run: Callable[[Any, Any], Any], args: Any, kwargs: Any) -> Any:
    """Return the symbolic outputs of a function, by running it on arrays of zeros.

    Twice, with other numbers for the sizes that are not known.

    Parameters
    ----------
    run : callable
        Of the two nests of arguments.
    """
    unknown = any(
        None in leaf.shape for leaf in flatten((args, kwargs)) if isinstance(leaf, KerasTensor)
    )
    found = []
    for sizes in _SIZES if unknown else _SIZES[:1]:

        def zeros(leaf: Any, sizes: tuple[int, int] = sizes) -> Any:
            if not isinstance(leaf, KerasTensor):
                return leaf
            shape = [
                sizes[place > 0] if size is None else size for place, size in enumerate(leaf.shape)
            ]
            return np.zeros(shape, leaf.dtype)

        with recording.silenced():
            made = run(map_structure(zeros, args), map_structure(zeros, kwargs))
        # No result is kept: two of the largest would be alive at once.
        found.append(map_structure(_shape_and_type, made))
        del made
    first, last = flatten(found[0]), flatten(found[-1])
    tensors = [
        a if not isinstance(a, _ShapeAndType) else KerasTensor(
            [n if n == m else None for n, m in zip(a.shape, b.shape, strict=True)],
            a.dtype,
        )
        for a, b in zip(first, last, strict=True)
    ]  # fmt: skip
    return pack_as(found[0], tensors)


class _ShapeAndType:
    def __init__(self, array: Any) -> None:
        self.shape, self.dtype = array.shape, np.dtype(array.dtype).name


def _shape_and_type(leaf: Any) -> Any:
    return _ShapeAndType(leaf) if hasattr(leaf, "dtype") else leaf
