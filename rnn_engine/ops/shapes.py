"""Ops that make, join, part and rearrange tensors."""

from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.config import floatx
from rnn_engine.ops.dispatch import (
    OPS,
    dtype_named,
    dtype_of,
    enter,
    op,
    plain_array,
    promote,
    shown,
    to_array,
)
from rnn_engine.tensor import Tensor

_np: Any = np  # where NumPy's own annotations want literals

# --- making -----------------------------------------------------------------------------------


def _shape(shape: Any) -> Any:
    return shape if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)


@enter
def zeros(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor of zeros. Mirrors `keras.ops.zeros`."""
    return shown(np.zeros(_shape(shape), dtype_named(dtype)))


@enter
def ones(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor of ones. Mirrors `keras.ops.ones`."""
    return shown(np.ones(_shape(shape), dtype_named(dtype)))


@enter
def empty(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor of zeros. Mirrors `keras.ops.empty`."""
    return zeros(shape, dtype)


@enter
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return a tensor of one number. Mirrors `keras.ops.full`."""
    value = plain_array(fill_value, dtype_named(dtype))
    return shown(np.broadcast_to(value, _shape(shape)).copy())


@enter
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return ones on a diagonal. Mirrors `keras.ops.eye`."""
    return shown(np.eye(N, M, k, dtype_named(dtype)))


@enter
def identity(n: int, dtype: Any = None) -> Any:
    """Return the identity matrix. Mirrors `keras.ops.identity`."""
    return eye(n, dtype=dtype)


@enter
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return ones at and below a diagonal. Mirrors `keras.ops.tri`."""
    return shown(np.tri(N, M, k, dtype_named(dtype)))


@enter
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Return numbers at equal distances, int32 or `floatx`. Mirrors `keras.ops.arange`."""
    given = [value for value in (start, stop, step) if value is not None]
    if dtype is None:
        found = np.result_type(*(np.asarray(value).dtype for value in given))
        dtype = found if all(hasattr(v, "dtype") for v in given) else None
        dtype = dtype or ("int32" if found.kind == "i" else floatx())
    return shown(np.arange(start, stop, 1 if step is None else step).astype(dtype_named(dtype)))


def _spaced(name: str) -> Any:
    def function(
        start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None,
        axis: int = 0, **settings: Any,
    ) -> Any:  # fmt: skip
        made = getattr(np, name)(
            np.asarray(start, np.float64), np.asarray(stop, np.float64), num, endpoint, axis=axis,
            **settings,
        )  # fmt: skip
        return shown(made.astype(dtype_named(dtype)))

    return function


_geomspace, _logspace = _spaced("geomspace"), _spaced("logspace")


@enter
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """Return `num` numbers from `start` to `stop`. Mirrors `keras.ops.linspace`."""
    made = _spaced("linspace")(start, stop, num, endpoint, dtype, axis)
    if not retstep:
        return made
    parts = num - 1 if endpoint else num
    return made, shown((np.asarray(stop) - np.asarray(start)).astype(made.dtype) / parts)


@enter
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """Return powers at equal distances. Mirrors `keras.ops.logspace`."""
    return _logspace(start, stop, num, endpoint, dtype, axis, base=base)


@enter
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Return numbers at equal ratios. Mirrors `keras.ops.geomspace`."""
    return _geomspace(start, stop, num, endpoint, dtype, axis)


@enter
def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """Return a value as a tensor. Mirrors `keras.ops.convert_to_tensor`."""
    return OPS["cast"](x, dtype) if dtype is not None else OPS["array"](x)


@enter
def convert_to_numpy(x: Any) -> np.ndarray:
    """Return a value as a plain array of NumPy. Mirrors `keras.ops.convert_to_numpy`."""
    return np.array(x)


@enter
def is_tensor(x: Any) -> bool:
    """Return whether `x` is a tensor of this library. Mirrors `keras.ops.is_tensor`."""
    return isinstance(x, Tensor) or hasattr(x, "_node")


@enter
def shape(x: Any) -> tuple[Any, ...]:
    """Return the shape of a tensor. Mirrors `keras.ops.shape`."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


@enter
def ndim(x: Any) -> int:
    """Return the number of axes. Mirrors `keras.ops.ndim`."""
    return len(shape(x))


@enter
def size(x: Any) -> int:
    """Return the number of elements. Mirrors `keras.ops.size`."""
    return int(np.prod(shape(x)))


@enter
def dtype(x: Any) -> str:
    """Return the name of the type. Mirrors `keras.ops.dtype`."""
    found = getattr(x, "dtype", None)
    return np.dtype(plain_array(x).dtype if found is None else found).name


@op()
def array(xp: Any, x: Any, dtype: Any = None) -> Any:
    """Return a value as a tensor. Mirrors `keras.ops.array`."""
    x = to_array(x)
    return x if dtype is None else x.astype(dtype_named(dtype))


@op()
def copy(xp: Any, x: Any) -> Any:
    """Return a copy. Mirrors `keras.ops.copy`."""
    return to_array(x) * 1 if xp is not np else np.array(x)


@op()
def stop_gradient(xp: Any, variable: Any) -> Any:
    """Return the values, through which nothing goes back. Mirrors `keras.ops.stop_gradient`."""
    return recording.load().value_of(variable) if xp is not np else to_array(variable)


def _like(value: Any) -> Any:
    def function(xp: Any, x: Any, dtype: Any = None) -> Any:
        kind = dtype_of(to_array(x)) if dtype is None else dtype_named(dtype)
        return np.full(np.shape(np.asarray(x)), value, kind)

    return function


for _name, _value in (("zeros_like", 0), ("ones_like", 1), ("empty_like", 0)):
    _function = _like(_value)
    _function.__name__ = _function.__qualname__ = _name
    _function.__doc__ = f"Return a tensor of that shape. Mirrors `keras.ops.{_name}`."
    op()(_function)


@op()
def full_like(xp: Any, x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return one number in the shape of `x`. Mirrors `keras.ops.full_like`."""
    kind = dtype_of(to_array(x)) if dtype is None else dtype_named(dtype)
    return np.full(np.shape(np.asarray(x)), fill_value, kind)


@op()
def diag(xp: Any, x: Any, k: int = 0) -> Any:
    """Return a diagonal, or the matrix of one. Mirrors `keras.ops.diag`."""
    x = to_array(x)
    return _matrix_of(xp, x, k) if x.ndim == 1 else OPS["diagonal"](x, k)


@op()
def diagflat(xp: Any, x: Any, k: int = 0) -> Any:
    """Return the matrix of a diagonal. Mirrors `keras.ops.diagflat`."""
    return _matrix_of(xp, xp.reshape(to_array(x), (-1,)), k)


def _matrix_of(xp: Any, x: Any, k: int) -> Any:
    """Return the square matrix of a diagonal."""
    size = x.shape[0] + abs(k)
    places = np.arange(x.shape[0])
    where = np.zeros((size, size), np.int64) - 1
    where[places + max(-k, 0), places + max(k, 0)] = places
    zero = np.zeros((), dtype_of(x))
    return xp.where(where >= 0, x[np.maximum(where, 0)], zero)


@op()
def vander(xp: Any, x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Return a matrix of powers. Mirrors `keras.ops.vander`."""
    x = to_array(x)
    count = x.shape[0] if N is None else N
    exponents = np.arange(count) if increasing else np.arange(count)[::-1]
    return xp.power(xp.expand_dims(x, -1), exponents.astype(dtype_of(x)))


# --- rearranging ------------------------------------------------------------------------------


@op()
def reshape(xp: Any, x: Any, newshape: Any) -> Any:
    """Return the elements in another shape. Mirrors `keras.ops.reshape`."""
    sizes = _shape(newshape)
    if isinstance(sizes, tuple) and sizes.count(-1) > 1:
        raise ValueError(
            f"There must be at most one unknown dimension (-1) in `newshape`. Received: "
            f"newshape={sizes}."
        )
    return xp.reshape(to_array(x), sizes)


@op()
def ravel(xp: Any, x: Any) -> Any:
    """Return the elements in one axis. Mirrors `keras.ops.ravel`."""
    return xp.reshape(to_array(x), (-1,))


@op()
def transpose(xp: Any, x: Any, axes: Any = None) -> Any:
    """Return the axes in another order. Mirrors `keras.ops.transpose`."""
    x = to_array(x)
    if axes is not None and len(axes) != x.ndim:
        raise ValueError(
            f"axis must be a list of the same length as the input shape, expected {x.ndim}, but "
            f"received {len(axes)}."
        )
    return xp.transpose(x, None if axes is None else tuple(axes))


@op()
def swapaxes(xp: Any, x: Any, axis1: int, axis2: int) -> Any:
    """Return two axes exchanged. Mirrors `keras.ops.swapaxes`."""
    return xp.swapaxes(to_array(x), axis1, axis2)


@op()
def moveaxis(xp: Any, x: Any, source: Any, destination: Any) -> Any:
    """Return axes at other places. Mirrors `keras.ops.moveaxis`."""
    return xp.moveaxis(to_array(x), source, destination)


@op()
def expand_dims(xp: Any, x: Any, axis: Any) -> Any:
    """Return a tensor with new axes of one. Mirrors `keras.ops.expand_dims`."""
    return xp.expand_dims(to_array(x), tuple(axis) if isinstance(axis, list) else axis)


@op()
def squeeze(xp: Any, x: Any, axis: Any = None) -> Any:
    """Return a tensor without axes of one. Mirrors `keras.ops.squeeze`."""
    x = to_array(x)
    for place in () if axis is None else np.atleast_1d(axis):
        if x.shape[place] != 1:
            raise ValueError(
                f"Cannot squeeze axis={axis}, because the dimension is not 1. Received input "
                f"shape: {x.shape}"
            )
    return xp.squeeze(x, axis=tuple(axis) if isinstance(axis, list) else axis)


@op()
def broadcast_to(xp: Any, x: Any, shape: Any) -> Any:
    """Return a tensor repeated to a shape. Mirrors `keras.ops.broadcast_to`."""
    x = to_array(x)
    if xp is np:
        return np.broadcast_to(x, _shape(shape)).copy()
    return x + np.zeros(_shape(shape), dtype_of(x))


@op()
def repeat(xp: Any, x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Return elements repeated. Mirrors `keras.ops.repeat`."""
    x = to_array(x)
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), 0
    axis %= x.ndim
    places = np.repeat(np.arange(x.shape[axis]), np.asarray(repeats))
    return (
        xp.get_item(x, (slice(None),) * axis + (places,))
        if xp is not np
        else np.repeat(x, repeats, axis)
    )


@op()
def tile(xp: Any, x: Any, repeats: Any) -> Any:
    """Return a tensor set side by side. Mirrors `keras.ops.tile`."""
    x = to_array(x)
    repeats = [int(n) for n in np.atleast_1d(repeats)]
    shape = (1,) * (len(repeats) - x.ndim) + tuple(x.shape)
    repeats = [1] * (len(shape) - len(repeats)) + repeats
    x = xp.reshape(x, shape)
    for axis, count in enumerate(repeats):
        if count != 1:
            x = (
                xp.concatenate([x] * count, axis=axis)
                if count
                else x[(slice(None),) * axis + (slice(0),)]
            )
    return x


@op()
def flip(xp: Any, x: Any, axis: Any = None) -> Any:
    """Return a tensor turned round. Mirrors `keras.ops.flip`."""
    x = to_array(x)
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis)]
    key = tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim))
    return x[key] if xp is np else xp.get_item(x, key)


@op()
def fliplr(xp: Any, x: Any) -> Any:
    """Return the columns turned round. Mirrors `keras.ops.fliplr`."""
    return to_array(x)[:, ::-1]


@op()
def flipud(xp: Any, x: Any) -> Any:
    """Return the rows turned round. Mirrors `keras.ops.flipud`."""
    return to_array(x)[::-1]


@op()
def rot90(xp: Any, array: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Return a plane turned by right angles. Mirrors `keras.ops.rot90`."""
    array = to_array(array)
    first, second = (axis % array.ndim for axis in axes)
    for _ in range(k % 4):
        key = tuple(slice(None, None, -1 if i == second else 1) for i in range(array.ndim))
        array = xp.swapaxes(array[key], first, second)
    return array


@op()
def roll(xp: Any, x: Any, shift: Any, axis: Any = None) -> Any:
    """Return elements moved round. Mirrors `keras.ops.roll`."""
    return xp.roll(to_array(x), shift, axis=axis)


@op()
def tril(xp: Any, x: Any, k: int = 0) -> Any:
    """Return what is at and below a diagonal. Mirrors `keras.ops.tril`."""
    return xp.tril(to_array(x), k)


@op()
def triu(xp: Any, x: Any, k: int = 0) -> Any:
    """Return what is at and above a diagonal. Mirrors `keras.ops.triu`."""
    return xp.triu(to_array(x), k)


@op()
def pad(
    xp: Any, x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> Any:
    """Return a tensor with more around it. Mirrors `keras.ops.pad`."""
    x = to_array(x)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    if mode != "constant":
        if constant_values is not None:
            raise ValueError(
                f"Argument `constant_values` can only be provided when `mode == 'constant'`. "
                f"Received: mode={mode}"
            )
        places = _np.pad(np.arange(x.size).reshape(x.shape), widths, mode=mode)
        return xp.reshape(x, (-1,))[places]
    fill = dtype_of(x).type(0 if constant_values is None else constant_values)
    for axis, (before, after) in enumerate(widths):
        parts = [x]
        for count, first in ((before, True), (after, False)):
            if count:
                extra = np.full((*x.shape[:axis], count, *x.shape[axis + 1 :]), fill)
                parts = [extra, *parts] if first else [*parts, extra]
        x = xp.concatenate(parts, axis=axis) if len(parts) > 1 else x
    return x


# --- joining and parting ----------------------------------------------------------------------


def _check_fit(arrays: Any, axis: int | None, opening: str) -> None:
    """Check that shapes are one, but along `axis`; `opening` begins the message."""
    for array in arrays[1:]:
        first, other = list(arrays[0].shape), list(array.shape)
        if axis is not None and len(first) == len(other) and -len(first) <= axis < len(first):
            del first[axis], other[axis]
        if first != other:
            raise ValueError(
                f"{opening} But found element of shape {array.shape}, which is different from the "
                f"first element's shape {arrays[0].shape}."
            )


@op(many=True)
def concatenate(xp: Any, xs: Any, axis: int = 0) -> Any:
    """Return tensors one behind the other. Mirrors `keras.ops.concatenate`."""
    arrays = promote(*map(to_array, xs))
    _check_fit(
        arrays, axis, "Every value in `xs` must have the same shape except on the `axis` dim."
    )
    return xp.concatenate(arrays, axis=axis)


@op(many=True)
def stack(xp: Any, x: Any, axis: int = 0) -> Any:
    """Return tensors along a new axis. Mirrors `keras.ops.stack`."""
    arrays = promote(*map(to_array, x))
    _check_fit(arrays, None, "Every value in `x` must have the same shape.")
    return xp.stack(arrays, axis=axis)


@op(many=True)
def hstack(xp: Any, xs: Any) -> Any:
    """Return tensors side by side. Mirrors `keras.ops.hstack`."""
    return xp.hstack(promote(*map(to_array, xs)))


@op(many=True)
def vstack(xp: Any, xs: Any) -> Any:
    """Return tensors one above the other. Mirrors `keras.ops.vstack`."""
    return xp.vstack(promote(*map(to_array, xs)))


@op(many=True)
def dstack(xp: Any, xs: Any) -> Any:
    """Return tensors one behind the other in depth. Mirrors `keras.ops.dstack`."""
    parts = []
    for x in promote(*map(to_array, xs)):
        x = xp.reshape(x, (1, -1)) if x.ndim < 2 else x
        parts.append(xp.expand_dims(x, -1) if x.ndim < 3 else x)
    return xp.concatenate(parts, axis=2)


@op(2)
def append(xp: Any, x1: Any, x2: Any, axis: int | None = None) -> Any:
    """Return x2 behind x1. Mirrors `keras.ops.append`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    if axis is None:
        x1, x2, axis = xp.reshape(x1, (-1,)), xp.reshape(x2, (-1,)), 0
    return xp.concatenate([x1, x2], axis=axis)


def _parts(x: Any, indices_or_sections: Any, axis: int, even: bool = True) -> list[Any]:
    length = x.shape[axis]
    if isinstance(indices_or_sections, int | np.integer):
        count = int(indices_or_sections)
        if even and length % count:
            raise ValueError(
                f"Split size on axis={axis} of shape {tuple(x.shape)} must be a multiple of the "
                f"number of splits. Received: indices_or_sections={count}"
            )
        each, rest = divmod(length, count)
        ends = np.cumsum([each + 1] * rest + [each] * (count - rest)).tolist()
    else:
        ends = [*(int(i) for i in indices_or_sections), length]
    before = (slice(None),) * (axis % x.ndim)
    starts = [0, *ends[:-1]]
    return [x[(*before, slice(a, b))] for a, b in zip(starts, ends, strict=True)]


@op()
def split(xp: Any, x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Return the parts of a tensor. Mirrors `keras.ops.split`."""
    return _parts(to_array(x), indices_or_sections, axis)


@op()
def array_split(xp: Any, x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Return parts that need not be equal. Mirrors `keras.ops.array_split`."""
    return _parts(to_array(x), indices_or_sections, axis, even=False)


@op()
def hsplit(xp: Any, x: Any, indices_or_sections: Any) -> list[Any]:
    """Return the parts of the columns. Mirrors `keras.ops.hsplit`."""
    x = to_array(x)
    return _parts(x, indices_or_sections, 1 if x.ndim > 1 else 0)


@op()
def vsplit(xp: Any, x: Any, indices_or_sections: Any) -> list[Any]:
    """Return the parts of the rows. Mirrors `keras.ops.vsplit`."""
    return _parts(to_array(x), indices_or_sections, 0)


@op()
def dsplit(xp: Any, x: Any, indices_or_sections: Any) -> list[Any]:
    """Return the parts of the third axis. Mirrors `keras.ops.dsplit`."""
    return _parts(to_array(x), indices_or_sections, 2)


@op()
def unstack(xp: Any, x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """Return what stands along an axis, as a list. Mirrors `keras.ops.unstack`."""
    x = to_array(x)
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, i)] for i in range(x.shape[axis] if num is None else num)]


@enter
def meshgrid(*x: Any, indexing: str = "xy") -> list[Any]:
    """Return grids of coordinates. Mirrors `keras.ops.meshgrid`."""
    return shown([np.array(part) for part in _np.meshgrid(*map(plain_array, x), indexing=indexing)])
