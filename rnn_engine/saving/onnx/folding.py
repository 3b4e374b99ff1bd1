"""Nodes of constants alone, computed while a model is made: the glue of exporters.

Sizes that are not known stand among whole numbers as `Size`; what rearranges and multiplies
numbers does so with them too.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.saving.budget import Budget
from rnn_engine.saving.onnx.graph import Node
from rnn_engine.saving.onnx.read import DTYPES
from rnn_engine.saving.onnx.views import BoundBatchError, Counting, Size, Wide

_MOST = 1 << 24  # numbers of one folded constant


def plain(array: np.ndarray) -> np.ndarray:
    """Return an array of objects as whole numbers if no unknown size is among them."""
    if array.dtype == object and not any(isinstance(n, Size) for n in array.ravel()):
        return array.astype(np.int64)
    return array


def target_dtype(node: Node) -> np.dtype:
    """Return the type that a `Cast` gives.

    Raises
    ------
    ValueError
        If it is none that is computed in here.
    """
    number = node.number("to", 1)
    if number not in DTYPES:
        raise node.refuse(f"it casts to type {number}, which is not read.")
    return np.dtype(DTYPES[number])


def axes_of(node: Node, values: list[Any], place: int, name: str = "axes") -> list[int] | None:
    """Return axes, which are an attribute up to some version and an input since."""
    if node.has(place) and place < len(values):
        return numbers(node, values[place])
    return node.numbers(name)


def numbers(node: Node, value: Any) -> list[int]:
    """Return a constant as a list of whole numbers.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        raise node.refuse("axes, sizes or places must be constants that are known beforehand.")
    if value.size > 64:
        raise node.refuse("it has more than 64 axes, sizes or places.")
    return [int(n) for n in value.ravel()]


def slices(node: Node, values: list[Any], rank: int) -> list[tuple[int, int, int, int]]:
    """Return (axis, start, end, step) of a `Slice`."""
    if len(node.inputs) > 1:
        starts, ends = numbers(node, values[1]), numbers(node, values[2])
        axes = numbers(node, values[3]) if node.has(3) else list(range(len(starts)))
        steps = numbers(node, values[4]) if node.has(4) else [1] * len(starts)
    else:
        starts, ends = node.numbers("starts") or [], node.numbers("ends") or []
        axes, steps = node.numbers("axes") or list(range(len(starts))), [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.refuse("starts, ends, axes and steps do not fit one another.")
    if any(not -rank <= axis < rank for axis in axes):
        raise node.refuse(f"it slices the axes {axes} of {rank}.")
    return [(a % rank, s, e, t) for a, s, e, t in zip(axes, starts, ends, steps, strict=True)]


def bounds(start: int, end: int, step: int) -> slice:
    """Return what ONNX means by a start, an end and a step, as Python's slice."""
    if step < 0 and end < -(1 << 30):
        return slice(start, None, step)
    return slice(start, end, step)


def _slice(node: Node, v: list[Any]) -> Any:
    x = v[0]
    key = [slice(None)] * x.ndim
    for axis, start, end, step in slices(node, v, x.ndim):
        key[axis] = bounds(start, end, step)
    return x[tuple(key)]


def _gather(node: Node, v: list[Any]) -> Any:
    return np.take(v[0], v[1].astype(np.int64), axis=node.number("axis", 0))


def _unsqueeze(node: Node, v: list[Any]) -> Any:
    axes = axes_of(node, v, 1) or []
    if v[0].ndim + len(axes) > 32:
        raise node.refuse("it makes more than 32 axes.")
    return np.expand_dims(v[0], tuple(axes))


def _squeeze(node: Node, v: list[Any]) -> Any:
    axes = axes_of(node, v, 1)
    return np.squeeze(v[0], None if axes is None else tuple(axes))


def _reshape(node: Node, v: list[Any]) -> Any:
    target = numbers(node, v[1])
    if not node.number("allowzero", 0):
        target = [v[0].shape[i] if n == 0 else n for i, n in enumerate(target)]
    return v[0].reshape(target)


def _where(node: Node, v: list[Any]) -> Any:
    return np.where(*(v[0].astype(bool), v[1], v[2]))


def _reduce(function: Any) -> Any:
    def fold(node: Node, v: list[Any]) -> Any:
        axes = axes_of(node, v, 1)
        keep = bool(node.number("keepdims", 1))
        if not axes and node.number("noop_with_empty_axes", 0):
            return v[0]
        return np.asarray(function(v[0], axis=tuple(axes) if axes else None, keepdims=keep))

    return fold


def _range(node: Node, v: list[Any]) -> Any:
    start, limit, step = (n.ravel()[0] for n in v)
    if isinstance(limit, Size):
        if start != 0 or step != 1:
            raise node.refuse("it counts from or by another number than 0 and 1.")
        return Counting(limit)
    count = math.ceil((limit - start) / step) if step else _MOST + 1
    if count > _MOST:
        raise node.refuse(f"it counts {count} numbers.")
    return (start + np.arange(max(count, 0)) * step).astype(v[0].dtype)


def _constant(node: Node, v: list[Any]) -> Any:
    for name, dtype in (("value", None), ("value_float", "f4"), ("value_floats", "f4"),
                        ("value_int", "i8"), ("value_ints", "i8")):  # fmt: skip
        if name in node.attributes:
            return np.asarray(node.get(name), dtype)
    raise node.refuse("it has no value that is read.")


def _of_shape(node: Node, v: list[Any]) -> Any:
    value = np.asarray(node.get("value", np.zeros(1, np.float32))).reshape(())
    return expanded(node, value, list(v[0].ravel()))


def expanded(node: Node, array: np.ndarray, sizes: list[Any]) -> Any:
    """Return a constant repeated to a shape, in which sizes may not be known."""
    rank = max(len(sizes), array.ndim)
    if rank > 32:
        raise node.refuse("it has more than 32 axes.")
    sizes = [1] * (rank - len(sizes)) + sizes
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    dims = [
        own if not isinstance(s, Size) and own != 1 and s == 1 else s
        for own, s in zip(array.shape, sizes, strict=True)
    ]
    for place, size in enumerate(dims):
        if isinstance(size, Size) and array.shape[place] != 1:
            array = _one_row(node, array, place, size)
    known = [
        own if isinstance(s, Size) else int(s) for own, s in zip(array.shape, dims, strict=True)
    ]
    if min(known, default=0) < 0 or math.prod(known) > _MOST:
        raise node.refuse(f"it makes a constant of shape {known}.")
    wide = np.broadcast_to(array, known)
    if any(isinstance(s, Size) for s in dims):
        return Wide(wide, dims)
    return np.ascontiguousarray(wide).reshape(known)


def _one_row(node: Node, array: np.ndarray, place: int, size: Size) -> np.ndarray:
    """Return a constant that is the same for each row of the batch with one row."""
    hint = size.factors[0].hint if len(size.factors) == 1 else None
    if hint is None or hint * size.times != array.shape[place]:
        raise node.refuse("it repeats a constant to a size that is not known.")
    if not (array == array.take([0], place)).all():
        raise BoundBatchError(f"{node}: a constant differs from row to row of the batch.")
    return array.take([0], place)


def _scatter(node: Node, v: list[Any]) -> Any:
    out = v[0].copy()
    np.put_along_axis(out, v[1].astype(np.int64), v[2], node.number("axis", 0))
    return out


def _concat(node: Node, v: list[Any]) -> Any:
    return np.concatenate(v, axis=node.number("axis", 0))


def _of_two(function: Any) -> Any:
    def fold(node: Node, v: list[Any]) -> Any:
        shape = np.broadcast_shapes(v[0].shape, v[1].shape)
        if math.prod(shape) > _MOST:
            raise node.refuse(f"it makes a constant of shape {shape}.")
        return np.asarray(function(v[0], v[1]))

    return fold


def _divide(a: Any, b: Any) -> Any:
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        return (a / b).astype(a.dtype) if (b != 0).all() else a // b
    return a / b


def _matmul(node: Node, v: list[Any]) -> Any:
    if v[0].ndim < 1 or v[1].ndim < 1 or v[0].size // v[0].shape[-1] * v[1].shape[-1] > _MOST:
        raise node.refuse("it multiplies constants that are too large.")
    return v[0] @ v[1]


def _gemm(node: Node, v: list[Any]) -> Any:
    one = v[0].T if node.number("transA", 0) else v[0]
    two = v[1].T if node.number("transB", 0) else v[1]
    if one.ndim != 2 or two.ndim != 2 or one.shape[0] * two.shape[1] > _MOST:
        raise node.refuse("it multiplies constants that are no matrices, or too large.")
    made = node.real("alpha", 1.0) * (one @ two)
    if len(v) > 2 and node.has(2):
        made = made + node.real("beta", 1.0) * v[2]
    return made.astype(one.dtype)


def _split(node: Node, v: list[Any]) -> Any:
    axis = node.number("axis", 0) % v[0].ndim
    size = v[0].shape[axis]
    given = axes_of(node, v, 1, "split")
    count = node.number("num_outputs", len(node.outputs))
    each = -(-size // count) if 0 < count <= 1 << 10 else size
    sizes = given or [each] * (size // each if each else 0)
    sizes = sizes if sum(sizes) == size else [*sizes, size - sum(sizes)]
    if min(sizes) < 0 or len(sizes) != len(node.outputs):
        raise node.refuse("its parts do not fit.")
    return np.split(v[0], np.cumsum(sizes)[:-1], axis)


def _modulo(node: Node, v: list[Any]) -> Any:
    return _of_two(np.fmod if node.number("fmod", 0) else np.mod)(node, v)


def _triangle(node: Node, v: list[Any]) -> Any:
    diagonal = numbers(node, v[1])[0] if node.has(1) else 0
    return (np.triu if node.number("upper", 1) else np.tril)(v[0], diagonal)


def _cast(node: Node, v: list[Any]) -> Any:
    return v[0] if v[0].dtype == object else v[0].astype(target_dtype(node))


def _tile(node: Node, v: list[Any]) -> Any:
    times = numbers(node, v[1])
    if v[0].size * math.prod(times) > _MOST:
        raise node.refuse("it makes a constant that is too large.")
    return np.tile(v[0], times)


_FOLDS: dict[str, Callable[[Node, list[Any]], Any]] = {
    "Constant": _constant,
    "ConstantOfShape": _of_shape,
    "Identity": lambda node, v: v[0],
    "Dropout": lambda node, v: v[0],
    "Shape": lambda node, v: np.array(v[0].shape[_start(node) : _end(node)], np.int64),
    "Size": lambda node, v: np.array(v[0].size, np.int64),
    "Cast": _cast,
    "Slice": _slice,
    "Gather": _gather,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Flatten": lambda node, v: v[0].reshape(math.prod(v[0].shape[: node.number("axis", 1)]), -1),
    "Transpose": lambda node, v: v[0].transpose(node.numbers("perm")),
    "Concat": _concat,
    "Expand": lambda node, v: expanded(node, v[0], list(v[1].ravel())),
    "Tile": _tile,
    "Range": _range,
    "ScatterElements": _scatter,
    "Scatter": _scatter,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Mod": _modulo,
    "Split": _split,
    "Trilu": _triangle,
    "Sigmoid": lambda node, v: 1 / (1 + np.exp(-v[0])),
    "Log": lambda node, v: np.log(v[0]),
    "Sin": lambda node, v: np.sin(v[0]),
    "Cos": lambda node, v: np.cos(v[0]),
    "Sign": lambda node, v: np.sign(v[0]),
    "Where": _where,
    "Add": _of_two(np.add),
    "Sub": _of_two(np.subtract),
    "Mul": _of_two(np.multiply),
    "Div": _of_two(_divide),
    "Pow": _of_two(lambda a, b: np.power(a, b).astype(a.dtype)),
    "Less": _of_two(np.less),
    "LessOrEqual": _of_two(np.less_equal),
    "Greater": _of_two(np.greater),
    "GreaterOrEqual": _of_two(np.greater_equal),
    "Equal": _of_two(np.equal),
    "And": _of_two(np.logical_and),
    "Or": _of_two(np.logical_or),
    "Min": _of_two(np.minimum),
    "Max": _of_two(np.maximum),
    "Not": lambda node, v: np.logical_not(v[0]),
    "Neg": lambda node, v: -v[0],
    "Abs": lambda node, v: np.abs(v[0]),
    "Sqrt": lambda node, v: np.sqrt(v[0]),
    "Exp": lambda node, v: np.exp(v[0]),
    "Floor": lambda node, v: np.floor(v[0]),
    "Ceil": lambda node, v: np.ceil(v[0]),
    "Reciprocal": lambda node, v: 1 / v[0],
    "Tanh": lambda node, v: np.tanh(v[0]),
    "Relu": lambda node, v: np.maximum(v[0], 0),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceMean": _reduce(np.mean),
}


def _start(node: Node) -> int:
    return node.number("start", 0)


def _end(node: Node) -> int | None:
    return node.number("end", 0) if "end" in node.attributes else None


def shape_between(node: Node, shape: list[Any]) -> np.ndarray:
    """Return what a `Shape` gives for these sizes."""
    sizes = np.empty(len(shape), object)
    sizes[:] = shape
    return plain(sizes[_start(node) : _end(node)])


def fold(node: Node, values: list[Any], budget: Budget) -> Any:
    """Return what a node gives for constants.

    Raises
    ------
    ValueError
        If it is not computed on constants here, or too much memory is wanted.
    """
    if node.op not in _FOLDS:
        raise node.refuse("this operator is not read of constants alone.")
    with np.errstate(all="ignore"):
        result = _FOLDS[node.op](node, values)
    if isinstance(result, Size):  # picked out of an array of sizes
        held = np.empty((), object)
        held[()] = result
        return held
    if isinstance(result, np.ndarray | np.generic | int):  # an int out of an array of sizes
        result = plain(np.asarray(result))
        budget.take(result.nbytes, str(node))
    return result


def fold_wide(node: Node, values: list[Any], budget: Budget) -> Any:
    """Return what a node gives where constants have axes of sizes that are not known.

    Raises
    ------
    ValueError
        If that cannot be told.
    """
    wide = next(v for v in values if isinstance(v, Wide))
    if node.op == "Shape":
        return shape_between(node, wide.dims)
    if node.op == "Expand" and values[0] is wide:
        return _expanded_wide(node, wide, list(values[1].ravel()))
    inner = [v.array if isinstance(v, Wide) else v for v in values]
    dims = _dims_after(node, wide, values)
    result = fold(node, inner, budget)
    if isinstance(result, list):  # of a Split, along another axis
        axis = node.number("axis", 0) % len(dims)
        return [Wide(p, [*dims[:axis], p.shape[axis], *dims[axis + 1 :]]) for p in result]
    shown = [d if isinstance(d, Size) else n for d, n in zip(dims, result.shape, strict=True)]
    return Wide(result, shown) if any(isinstance(d, Size) for d in shown) else result


def _expanded_wide(node: Node, wide: Wide, sizes: list[Any]) -> Any:
    rank = max(len(sizes), len(wide.dims))
    sizes = [1] * (rank - len(sizes)) + sizes
    dims = [1] * (rank - len(wide.dims)) + wide.dims
    found = []
    for own, size in zip(dims, sizes, strict=True):
        both = isinstance(own, Size) and isinstance(size, Size)
        if (both and own != size) or (not both and isinstance(own, Size) and size != 1):
            raise node.refuse("it repeats a constant to a size that is not known.")
        found.append(own if isinstance(own, Size) else size)
    return expanded(
        node, wide.array.reshape((1,) * (rank - wide.array.ndim) + wide.array.shape), found
    )


def _dims_after(node: Node, wide: Wide, values: list[Any]) -> list[Any]:
    """Return which axes of a result are of a size that is not known."""
    dims, op = wide.dims, node.op
    unknown = [i for i, d in enumerate(dims) if isinstance(d, Size)]
    objects = np.empty(tuple(1 for _ in dims), object)
    if op in ("Identity", "Cast", "Neg", "Not", "Dropout", "Abs", "Tanh", "Relu", "Sigmoid"):
        return list(dims)
    if op == "Transpose":
        perm = node.numbers("perm") or list(range(len(dims)))[::-1]
        return [dims[i] for i in perm]
    if op == "Unsqueeze":
        axes = axes_of(node, values, 1) or []
        marks = iter(dims)
        rank = len(dims) + len(axes)
        return [1 if i in {a % rank for a in axes} else next(marks) for i in range(rank)]
    if op == "Squeeze":
        given = axes_of(node, values, 1)
        gone = [i for i, d in enumerate(dims) if not isinstance(d, Size) and d == 1]
        gone = gone if given is None else [a % len(dims) for a in given]
        if not set(gone) & set(unknown):
            return [d for i, d in enumerate(dims) if i not in gone]
    if op == "Split" and node.number("axis", 0) % len(dims) not in unknown:
        return list(dims)
    if op == "Slice" and not {a for a, *_ in slices(node, values, objects.ndim)} & set(unknown):
        return list(dims)
    if op == "Gather" and (axis := node.number("axis", 0) % len(dims)) not in unknown:
        return [*dims[:axis], *values[1].shape, *dims[axis + 1 :]]
    rows = op == "Gemm" and values[0] is wide and unknown == [0] and not node.number("transA", 0)
    if rows and all(isinstance(v, np.ndarray) for v in values[1:]):
        return [dims[0], values[1].shape[0 if node.number("transB", 0) else 1]]
    if op in ("Add", "Sub", "Mul", "Div") or (op == "MatMul" and len(dims) >= 2):
        other = values[1] if values[0] is wide else values[0]
        left_free = op != "MatMul" or (values[0] is wide and len(dims) - 1 not in unknown)
        if isinstance(other, np.ndarray) and left_free and other.ndim <= len(dims):
            return list(dims)
        if isinstance(other, Wide) and op != "MatMul" and len(other.dims) == len(dims):
            return [a if isinstance(a, Size) else b for a, b in zip(dims, other.dims, strict=True)]
    raise node.refuse("it computes with a constant whose size is not known beforehand.")
