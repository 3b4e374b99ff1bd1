"""What of `autograd` the tape stands on: boxes, nodes, the walk back, and some more gradients.

The only module of the library that imports the package; `recording.load` imports it. Where
the two differ, gradients are TensorFlow's: of a maximum at equal numbers, of clipping at
its bounds.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.core import (
    SparseObject,
    VJPNode,
    VSpace,
    add_outgrads,
    primitive_vjps,
    vspace,
)
from autograd.extend import defvjp, primitive
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import Box, new_box, notrace_primitives, register_notrace
from autograd.util import toposort

from rnn_engine.autodiff import recording
from rnn_engine.tensor import Tensor

_traces = itertools.count(1000)  # a later tape stands above an earlier one


class Node(VJPNode):
    """A step of a record; knows the type of its value, to which its gradient is cast."""

    __slots__ = ("dtype",)

    parents: Any
    vjp: Any

    def __init__(
        self, value: Any, fun: Any, args: Any, kwargs: Any, argnums: Any, parents: Any
    ) -> None:
        self.dtype = _dtype_of(value)
        if fun in primitive_vjps:
            super().__init__(value, fun, args, kwargs, argnums, parents)
        else:  # an error only for whoever wants to go back through it
            self.parents, self.vjp = parents, _no_way_back(fun)


def _no_way_back(function: Any) -> Any:
    def vjp(gradient: Any) -> Any:
        raise NotImplementedError(
            f"There is no gradient of {getattr(function, '__name__', function)}."
        )

    return vjp


# What has no gradient for autograd's own nodes has none for these.
notrace_primitives[Node] = notrace_primitives[VJPNode]


def made_node(parents: Sequence[Any], vjp: Callable[[Any], Any], dtype: Any) -> Node:
    """Return a node whose way back is given."""
    node = Node.__new__(Node)
    node.parents, node.vjp, node.dtype = tuple(parents), vjp, dtype
    return node


def root(dtype: Any) -> Node:
    """Return a node at which a record begins."""
    return made_node((), lambda g: (), dtype)


def new_trace() -> int:
    """Return the number of a new record."""
    return next(_traces)


def box(value: Any, trace: int, node: Node) -> Any:
    """Return a value that is recorded."""
    return new_box(value, trace, node)


class Traced(ArrayBox):
    """A tensor that an open tape records; it knows its values, and shows them.

    Operators follow the types of `rnn_engine.ops`. Beside those NumPy's functions work on
    it, as far as autograd knows their gradients.
    """

    __slots__ = ("_keras_mask",)

    __hash__ = ArrayBox.__hash__

    def numpy(self) -> np.ndarray:
        """Return the values as a plain array, one number as NumPy's number."""
        return np.asarray(value_of(self))[()]

    def get_shape(self) -> tuple[int, ...]:
        """Return the shape."""
        return self.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(value_of(self), dtype=dtype, copy=copy)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        wrapped = getattr(anp, function.__name__, None)
        if wrapped is None:
            return NotImplemented
        return wrapped(*recorded_parts(args), **kwargs)

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __index__(self) -> int:
        return self.numpy().__index__()

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec)

    def item(self) -> Any:
        """Return the only number."""
        return self.numpy().item()

    def tolist(self) -> Any:
        """Return the numbers as lists."""
        return self.numpy().tolist()

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        return _ops().get_item(self, key)

    def __str__(self) -> str:
        return str(self.numpy())

    def __repr__(self) -> str:
        return repr(self.numpy())


def _ops() -> Any:
    from rnn_engine import ops  # above this module: its functions have the rules of types

    return ops


def _operator(name: str, turned: bool = False) -> Any:
    def method(self: Traced, *other: Any) -> Any:
        function = getattr(_ops(), name)
        if other and type(other[0]) is np.ndarray and other[0].dtype.kind == "f":
            # An array of NumPy takes the type of the tensor, as with TensorFlow's operators.
            other = (other[0].astype(self.dtype, copy=False),)
        return function(*other, self) if turned else function(self, *other)

    return method


_BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "matmul": "matmul",
    "truediv": "true_divide", "pow": "power", "floordiv": "floor_divide", "mod": "mod",
}  # fmt: skip
_OTHERS = {
    "neg": "negative", "abs": "absolute", "invert": "logical_not", "lt": "less",
    "le": "less_equal", "gt": "greater", "ge": "greater_equal", "ne": "not_equal",
    "eq": "equal", "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
}  # fmt: skip
for _name, _op in _BINARY.items():
    setattr(Traced, f"__{_name}__", _operator(_op))
    setattr(Traced, f"__r{_name}__", _operator(_op, turned=True))
for _name, _op in _OTHERS.items():
    setattr(Traced, f"__{_name}__", _operator(_op))

# From here on every array that autograd records is a `Traced`, which is an `ArrayBox`.
for _type in [kind for kind, made in Box.type_mappings.items() if made is ArrayBox]:
    if _type is not ArrayBox:
        Traced.register(_type)
Traced.register(Tensor)
VSpace.register(Tensor, VSpace.mappings[np.ndarray])


def is_box(value: Any) -> bool:
    """Whether a value is, or was, recorded."""
    return type(value) in Box.types


def value_of(value: Any) -> Any:
    """Return the values below all records."""
    while type(value) in Box.types:
        value = value._value
    return value


def recorded(value: Any) -> Any:
    """Return a value as the open tapes see it: a tape that is closed records no more."""
    traces = [tape.trace for tape in recording.open_tapes()]
    while type(value) in Box.types and value._trace not in traces:
        value = value._value
    return value


def recorded_parts(values: Any) -> Any:
    """Return a nest of lists and tuples, each value as `recorded` gives it."""
    if isinstance(values, list | tuple):
        return type(values)(recorded_parts(part) for part in values)
    return recorded(values)


def _dtype_of(value: Any) -> Any:
    return getattr(value_of(value), "dtype", None)


# --- the walk back ----------------------------------------------------------------------------


class Missing:
    """Stands for a gradient that nobody has given; an error for whoever needs it."""

    def __init__(self, text: str) -> None:
        self.text = text


class Parts(dict[int, Any]):
    """Gradients by some of the outputs of a call, by their place."""


def record_call(
    outputs: Sequence[Any], parents: Sequence[Node], vjp: Callable[..., Any], trace: int
) -> list[Any]:
    """Return the outputs of a call as recorded values.

    ``vjp(gradients)`` gets a gradient an output, None where nothing depends on it, and
    returns one a parent, None where there is none.
    """
    count = len(outputs)
    if count == 1:
        node = made_node(parents, lambda g: vjp([g]), _dtype_of(outputs[0]))
        return [box(outputs[0], trace, node)]
    center = made_node(parents, lambda parts: vjp([parts.get(i) for i in range(count)]), None)
    return [
        box(output, trace, made_node((center,), _part(place), _dtype_of(output)))
        for place, output in enumerate(outputs)
    ]


def _part(place: int) -> Callable[[Any], Any]:
    return lambda g: (Parts({place: g}),)


def walk_back(targets: Sequence[Node], upstream: Sequence[Any], wanted: set[Node]) -> Any:
    """Return the gradients by the nodes `wanted`, in a dict, from those by `targets`."""
    end = made_node(targets, lambda g: g, None)
    order = list(toposort(end))
    needed = set(wanted)
    for node in reversed(order):
        if not needed.isdisjoint(node.parents):
            needed.add(node)
    gradients: dict[Node, Any] = {end: (tuple(upstream), False)}
    found = {}
    with np.errstate(all="ignore"):
        for node in order:
            flagged = gradients.pop(node, None)
            if flagged is None or flagged[0] is None:
                continue
            gradient = flagged[0] if node is end else _as_type(flagged[0], node.dtype)
            if node in wanted:
                found[node] = gradient
            if needed.isdisjoint(node.parents):
                continue
            for parent, part in zip(node.parents, node.vjp(gradient), strict=True):
                if part is None or parent not in needed:
                    continue
                if type(part) is Missing:
                    raise NotImplementedError(part.text)
                gradients[parent] = _add(gradients.get(parent), part)
    return found


def _as_type(gradient: Any, dtype: Any) -> Any:
    if dtype is None or getattr(gradient, "dtype", dtype) == dtype:
        return gradient
    return gradient.astype(dtype)


def _add(before: Any, gradient: Any) -> Any:
    if type(gradient) is Parts:
        total = Parts({} if before is None else before[0])
        for place, part in gradient.items():
            total[place] = part if place not in total else total[place] + part
        return total, False
    if hasattr(gradient, "to_dense"):  # rows of a table
        if before is None:
            return gradient, False
        if hasattr(before[0], "to_dense"):
            return type(gradient).concatenate([before[0], gradient]), False
        return before[0] + gradient.to_dense(), False
    if before is not None and hasattr(before[0], "to_dense"):
        before = before[0].to_dense(), False
    return add_outgrads(before, gradient)


# --- gradients that autograd does not have, or has otherwise ----------------------------------


def _unbroadcast(gradient: Any, like: Any) -> Any:
    """Sum a gradient over the axes along which its operand was repeated."""
    shape = np.shape(value_of(like))
    extra = anp.ndim(gradient) - len(shape)
    if extra:
        gradient = anp.sum(gradient, axis=tuple(range(extra)))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and anp.shape(gradient)[i] != 1)
    return anp.sum(gradient, axis=axes, keepdims=True) if axes else gradient


def _chosen(compare: Any) -> Any:
    """Return the two ways back of a choice: all of the gradient goes to the chosen one."""
    return (
        lambda ans, x, y: lambda g: _unbroadcast(anp.where(compare(x, y), g, 0), x),
        lambda ans, x, y: lambda g: _unbroadcast(anp.where(compare(x, y), 0, g), y),
    )


for _constant in (anp.heaviside, anp.nextafter, anp.signbit):
    register_notrace(VJPNode, _constant)
defvjp(anp.cbrt, lambda ans, x: lambda g: g / (3 * anp.square(ans)))
defvjp(
    anp.fmod,
    lambda ans, x, y: lambda g: _unbroadcast(g + 0 * ans, x),
    lambda ans, x, y: lambda g: _unbroadcast(-g * anp.trunc(x / y), y),
)

maximum, minimum = primitive(np.maximum), primitive(np.minimum)
defvjp(maximum, *_chosen(anp.greater_equal))
defvjp(minimum, *_chosen(anp.less_equal))


@primitive
def where(condition: Any, x: Any, y: Any) -> Any:
    """Return x where the condition holds, else y."""
    return np.where(condition, x, y)


defvjp(
    where,
    None,
    lambda ans, condition, x, y: lambda g: _unbroadcast(anp.where(condition, g, 0), x),
    lambda ans, condition, x, y: lambda g: _unbroadcast(anp.where(condition, 0, g), y),
)


@primitive
def power(x: Any, y: Any) -> Any:
    """Return x to the y."""
    return np.power(x, y)


defvjp(
    power,
    lambda ans, x, y: lambda g: _unbroadcast(g * y * power(x, y - 1), x),
    lambda ans, x, y: (
        lambda g: _unbroadcast(g * ans * anp.where(x > 0, anp.log(anp.where(x > 0, x, 1)), 0), y)
    ),
)


@primitive
def get_item(x: Any, key: Any) -> Any:
    """Return a part of an array."""
    return x[key]


@primitive
def _put(gradient: Any, key: Any, space: Any) -> Any:
    basic = all(
        part is None or part is Ellipsis or isinstance(part, int | np.integer | slice)
        for part in (key if isinstance(key, tuple) else (key,))
    )

    def add_to(total: np.ndarray) -> np.ndarray:
        if basic:
            total[key] += gradient
        else:
            np.add.at(total, key, gradient)
        return total

    return SparseObject(space, add_to)


defvjp(get_item, lambda ans, x, key: lambda g: _put(g, key, vspace(value_of(x))))
defvjp(_put, lambda ans, g, key, space: lambda h: h[key])


@primitive
def take_along_axis(x: Any, indices: Any, axis: int) -> Any:
    """Return numbers picked along an axis."""
    return np.take_along_axis(x, indices, axis)


@primitive
def put_along_axis(gradient: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Return an array of zeros with numbers added to it along an axis."""
    total = np.zeros(shape, gradient.dtype)
    places = list(np.indices(indices.shape, sparse=True))
    places[axis] = indices
    np.add.at(total, tuple(places), gradient)
    return total


defvjp(
    take_along_axis,
    lambda ans, x, indices, axis: lambda g: put_along_axis(g, indices, axis, anp.shape(x)),
)
defvjp(
    put_along_axis,
    lambda ans, g, indices, axis, shape: lambda h: take_along_axis(h, indices, axis),
)


_erf_of_each = np.vectorize(math.erf, otypes=[np.float64])


@primitive
def erf(x: Any) -> Any:
    """Return the error function of every element."""
    return _erf_of_each(x).astype(x.dtype) if x.size else x


defvjp(erf, lambda ans, x: lambda g: g * (2 / math.sqrt(math.pi)) * anp.exp(-anp.square(x)))


def function_of(xp_name: str) -> Any:
    """Return the function of this name that records."""
    return globals()[xp_name] if xp_name in _OURS else getattr(anp, xp_name)


_OURS = {
    "erf", "get_item", "maximum", "minimum", "power", "put_along_axis", "take_along_axis", "where",
}  # fmt: skip


class _Recording:
    """NumPy's functions as they are recorded: autograd's, and those of this module."""

    def __getattr__(self, name: str) -> Any:
        found = function_of(name)
        setattr(self, name, found)
        return found


xp = _Recording()
