"""Ops that pick, put and look up elements."""

from typing import Any

import numpy as np

from rnn_engine.ops.dispatch import dtype_named, dtype_of, op, plain_array, promote, to_array

_np: Any = np  # where NumPy's own annotations want literals


def _key(key: Any) -> Any:
    """Return a key of plain arrays and numbers."""
    if isinstance(key, tuple):
        return tuple(_key(part) for part in key)
    if isinstance(key, list):
        return np.asarray(key)
    if key is None or key is Ellipsis or isinstance(key, int | np.integer):
        return key
    if type(key) is slice:
        return slice(*(None if p is None else int(p) for p in (key.start, key.stop, key.step)))
    return np.asarray(key)


@op()
def get_item(xp: Any, x: Any, key: Any) -> Any:
    """Return ``x[key]``. Mirrors `keras.ops.get_item`."""
    x, key = to_array(x), _key(key)
    return x[key] if xp is np else xp.get_item(x, key)


@op(tensors=2)
def take(xp: Any, x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return what stands at places along an axis. Mirrors `keras.ops.take`."""
    x, indices = to_array(x), np.asarray(indices).astype(np.int64)
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), 0
    if xp is np:
        return np.take(x, indices, axis)
    return xp.get_item(x, (slice(None),) * (axis % x.ndim) + (indices,))


@op(tensors=2)
def take_along_axis(xp: Any, x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return elements picked along an axis. Mirrors `keras.ops.take_along_axis`."""
    x, indices = to_array(x), np.asarray(indices).astype(np.int64)
    if axis is None:
        x, indices, axis = xp.reshape(x, (-1,)), indices.reshape(-1), 0
    axis %= x.ndim
    shape = [
        n if i == axis else max(n, m)
        for i, (n, m) in enumerate(zip(indices.shape, x.shape, strict=True))
    ]
    indices = np.broadcast_to(indices, shape)
    wide = tuple(m if i == axis else n for i, (n, m) in enumerate(zip(shape, x.shape, strict=True)))
    x = x if tuple(x.shape) == wide else x + np.zeros(wide, dtype_of(x))
    return xp.take_along_axis(x, indices, axis)


@op()
def slice_(xp: Any, inputs: Any, start_indices: Any, shape: Any) -> Any:
    """Return the part of a shape that begins at a place. Mirrors `keras.ops.slice`."""
    inputs = to_array(inputs)
    key = tuple(
        slice(int(start), None if size == -1 else int(start) + int(size))
        for start, size in zip(np.asarray(start_indices), shape, strict=True)
    )
    return inputs[key]


def _put(xp: Any, inputs: Any, key: Any, updates: Any) -> Any:
    """Return a copy of `inputs` with other values at places, which goes back to both."""
    places = np.arange(inputs.size).reshape(inputs.shape)
    order = np.zeros(inputs.size, np.int64) - 1
    chosen = places[key].reshape(-1)
    order[chosen] = np.arange(chosen.size)
    flat = xp.reshape(inputs, (-1,))
    new = xp.reshape(updates + np.zeros(places[key].shape, dtype_of(updates)), (-1,))
    mixed = xp.where(order >= 0, new[np.maximum(order, 0)], flat)
    return xp.reshape(mixed, inputs.shape)


@op(3)
def slice_update(xp: Any, inputs: Any, start_indices: Any, updates: Any) -> Any:
    """Return a tensor with another one put at a place. Mirrors `keras.ops.slice_update`."""
    inputs, updates = to_array(inputs), to_array(updates)
    starts = np.asarray(start_indices).tolist()
    key = tuple(slice(i, i + n) for i, n in zip(starts, updates.shape, strict=True))
    return _put(xp, inputs, key, updates)


@op(3)
def scatter_update(
    xp: Any, inputs: Any, indices: Any, updates: Any, reduction: str | None = None
) -> Any:
    """Return a tensor with other values at some places. Mirrors `keras.ops.scatter_update`.

    `reduction` is None, ``"add"``, ``"max"``, ``"min"`` or ``"mul"``.
    """
    inputs, updates = promote(to_array(inputs), to_array(updates))
    indices = np.asarray(indices)
    key = tuple(np.moveaxis(indices, -1, 0))
    if reduction is None:
        return _put(xp, inputs, key, updates)
    if reduction == "add":
        return inputs + scattered(xp, indices, updates, inputs.shape)
    total = np.array(inputs)
    {"max": np.maximum, "min": np.minimum, "mul": np.multiply}[reduction].at(
        total, key, np.asarray(updates)
    )
    return total


def scattered(xp: Any, indices: Any, values: Any, shape: Any) -> Any:
    """Return zeros with values added at places: a product with the matrix of the places."""
    shape = tuple(int(n) for n in shape)
    depth = indices.shape[-1]
    rows = np.ravel_multi_index(
        tuple(np.moveaxis(indices.reshape(-1, depth), -1, 0)), shape[:depth]
    )
    rest = shape[depth:]
    flat = xp.reshape(values, (rows.size, -1))
    count = int(np.prod(shape[:depth]))
    if xp is np:
        total = np.zeros((count, flat.shape[1]), flat.dtype)
        np.add.at(total, rows, flat)
    else:
        total = xp.put_along_axis(
            flat, np.broadcast_to(rows[:, None], flat.shape), 0, (count, flat.shape[1])
        )
    return xp.reshape(total, (*shape[:depth], *rest))


@op(2)
def scatter(xp: Any, indices: Any, values: Any, shape: Any) -> Any:
    """Return zeros with values added at places. Mirrors `keras.ops.scatter`."""
    return scattered(xp, np.asarray(indices), to_array(values), shape)


def _segments(kind: str) -> Any:
    def function(
        xp: Any, data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
    ) -> Any:
        data, ids = to_array(data), np.asarray(segment_ids).astype(np.int64)
        count = int(ids.max(initial=-1)) + 1 if num_segments is None else num_segments
        kept = np.flatnonzero((ids >= 0) & (ids < count))
        if kept.size < ids.size:
            data, ids = data[kept], ids[kept]
        if kind == "sum":
            return scattered(xp, ids[:, None], data, (count, *data.shape[1:]))
        values = np.asarray(data)
        dtype = values.dtype
        limits: Any = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        low, high = (-np.inf, np.inf) if dtype.kind == "f" else (limits.min, limits.max)
        start = {"max": low, "min": high, "prod": 1}[kind]
        total = np.full((count, *values.shape[1:]), start, dtype)
        {"max": np.maximum, "min": np.minimum, "prod": np.multiply}[kind].at(total, ids, values)
        return total

    return function


for _kind in ("sum", "max", "min", "prod"):
    _function = _segments(_kind)
    _function.__name__ = _function.__qualname__ = f"segment_{_kind}"
    _function.__doc__ = (
        f"Return the {_kind} of the rows of each segment. Mirrors `keras.ops.segment_{_kind}`."
    )
    op()(_function)


@op()
def nonzero(xp: Any, x: Any) -> tuple[Any, ...]:
    """Return the places that are not zero. Mirrors `keras.ops.nonzero`."""
    return tuple(part.astype(np.int32) for part in np.nonzero(np.asarray(to_array(x))))


@op()
def unravel_index(xp: Any, indices: Any, shape: Any) -> tuple[Any, ...]:
    """Return places in axes for places in one. Mirrors `keras.ops.unravel_index`."""
    found = np.unravel_index(np.asarray(to_array(indices)), tuple(shape))
    return tuple(part.astype(np.int32) for part in found)


@op(2)
def searchsorted(xp: Any, sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Return where values would be put in. Mirrors `keras.ops.searchsorted`."""
    sequence, values = np.asarray(to_array(sorted_sequence)), np.asarray(to_array(values))
    return _np.searchsorted(sequence, values, side=side).astype(np.int32)


@op()
def digitize(xp: Any, x: Any, bins: Any) -> Any:
    """Return between which bounds elements lie. Mirrors `keras.ops.digitize`."""
    return np.digitize(np.asarray(to_array(x)), plain_array(bins)).astype(np.int32)


@op()
def bincount(xp: Any, x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """Return how often each number occurs, in each row. Mirrors `keras.ops.bincount`."""
    x = np.asarray(to_array(x))
    length = max(int(x.max(initial=-1)) + 1, minlength)
    weights = None if weights is None else plain_array(weights)
    rows = x.reshape(-1, x.shape[-1])
    shares = [None] * len(rows) if weights is None else list(weights.reshape(rows.shape))
    counts = np.stack([np.bincount(r, w, length) for r, w in zip(rows, shares, strict=True)])
    counts = counts.astype(np.int32 if weights is None else weights.dtype)
    return counts.reshape(*x.shape[:-1], length)


@op()
def histogram(xp: Any, x: Any, bins: int = 10, range: Any = None) -> tuple[Any, Any]:
    """Return how many elements lie between bounds, and those. Mirrors `keras.ops.histogram`."""
    x = np.asarray(to_array(x))
    counts, edges = np.histogram(x, bins, range)
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float32)
    return counts.astype(kind), edges.astype(kind)


@op()
def unique(
    xp: Any, x: Any, sorted: bool = True, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, size: int | None = None,
    fill_value: Any = None,
) -> Any:  # fmt: skip
    """Return the different elements. Mirrors `keras.ops.unique`."""
    find: Any = np.unique
    found = find(np.asarray(to_array(x)), return_index, return_inverse, return_counts, axis)
    parts = list(found) if isinstance(found, tuple) else [found]
    if size is not None:
        along = axis or 0
        values = parts[0]
        missing = size - values.shape[along]
        values = values[(slice(None),) * along + (slice(size),)]
        if missing > 0:
            widths = [(0, missing if i == along else 0) for i in range(values.ndim)]
            values = np.pad(values, widths, constant_values=fill_value or 0)
        parts[0] = values
    parts = [parts[0], *(part.astype(np.int32) for part in parts[1:])]
    return tuple(parts) if len(parts) > 1 else parts[0]


@op()
def one_hot(
    xp: Any, x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """Return a one at each class and zeros beside it. Mirrors `keras.ops.one_hot`."""
    x = np.asarray(to_array(x)).astype(np.int64)
    if num_classes < 0:
        raise ValueError(f"`num_classes` must be non-negative. Received: num_classes={num_classes}")
    hot = (x[..., None] == np.arange(num_classes)).astype(dtype_named(dtype))
    return hot if axis == -1 else np.moveaxis(hot, -1, axis)


@op()
def multi_hot(
    xp: Any, inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None,
    sparse: bool = False,
) -> Any:  # fmt: skip
    """Return ones at all classes of a row. Mirrors `keras.ops.multi_hot`."""
    if num_classes is None:
        raise ValueError("Argument `num_classes` must be specified.")
    hot = np.asarray(one_hot(inputs, num_classes, -1, dtype))
    return hot.max(axis=1 if hot.ndim >= 3 else 0)
