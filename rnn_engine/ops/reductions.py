"""Ops that reduce axes, sort, count and accumulate."""

from typing import Any

import numpy as np

from rnn_engine.ops.dispatch import OPS, dtype_of, make, op, to_array, to_float


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _summed(x: Any) -> Any:
    """Return an operand in the type of its sum: int32 for booleans and short integers."""
    x = to_array(x)
    dtype = dtype_of(x)
    assert dtype is not None
    if dtype.kind == "b" or (dtype.kind == "i" and dtype.itemsize < 4):
        return x.astype(np.int32)
    return x.astype(np.uint32) if dtype.kind == "u" and dtype.itemsize < 4 else x


def _keep(result: Any, x: Any) -> Any:
    """Return a sum in the type of what was summed, where NumPy takes a wider one."""
    return result if dtype_of(result) == dtype_of(x) else result.astype(dtype_of(x))


@op()
def sum_(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return sums over axes. Mirrors `keras.ops.sum`."""
    x = _summed(x)
    return _keep(xp.sum(x, axis=_axis(axis), keepdims=keepdims), x)


@op()
def prod(xp: Any, x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Return products over axes. Mirrors `keras.ops.prod`."""
    x = _summed(x)
    x = x if dtype is None else x.astype(np.dtype(dtype))
    return _keep(xp.prod(x, axis=_axis(axis), keepdims=keepdims), x)


@op()
def mean(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return means over axes, of integers as floats. Mirrors `keras.ops.mean`."""
    return xp.mean(to_float(x), axis=_axis(axis), keepdims=keepdims)


@op()
def var(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return variances over axes. Mirrors `keras.ops.var`."""
    return _variance(xp, to_float(x), _axis(axis), keepdims)


@op()
def std(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return standard deviations over axes. Mirrors `keras.ops.std`."""
    return xp.sqrt(_variance(xp, to_float(x), _axis(axis), keepdims))


def _variance(xp: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    off = x - xp.mean(x, axis=axis, keepdims=True)
    return xp.mean(xp.square(off), axis=axis, keepdims=keepdims)


@op()
def moments(
    xp: Any, x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False
) -> tuple[Any, Any]:
    """Return means and variances over axes. Mirrors `keras.ops.moments`."""
    x, axes = to_float(x), _axis(axes)
    center = xp.mean(x, axis=axes, keepdims=True)
    spread = xp.mean(xp.square(x - center), axis=axes, keepdims=keepdims)
    return (center if keepdims else xp.mean(x, axis=axes)), spread


def _extreme(name: str) -> Any:
    def function(
        xp: Any, x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None
    ) -> Any:
        found = getattr(xp, name)(to_array(x), axis=_axis(axis), keepdims=keepdims)
        if initial is None:
            return found
        bound = xp.maximum if name == "max" else xp.minimum
        return bound(found, dtype_of(found).type(initial))

    return function


def _plain_extreme(name: str) -> Any:
    def function(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return getattr(xp, name)(to_array(x), axis=_axis(axis), keepdims=keepdims)

    return function


def _place(name: str) -> Any:
    def function(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        found = getattr(np, name)(np.asarray(to_array(x)), axis=axis, keepdims=keepdims)
        return found.astype(np.int32)

    return function


def _truth(name: str) -> Any:
    def function(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return getattr(np, name)(np.asarray(to_array(x)), axis=_axis(axis), keepdims=keepdims)

    return function


def _of_numbers(name: str) -> Any:
    """Return the reduction of what is not NaN."""

    def function(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x, axis = to_float(x), _axis(axis)
        known = xp.logical_not(xp.isnan(x))
        count = np.sum(np.asarray(known), axis=axis, keepdims=True).astype(dtype_of(x))
        start = {"max": -np.inf, "min": np.inf, "prod": 1}.get(name, 0)
        filled = xp.where(known, x, np.asarray(start, dtype_of(x)))
        if name in ("var", "std"):
            off = xp.where(known, x - xp.sum(filled, axis=axis, keepdims=True) / count, 0 * filled)
            found = xp.sum(xp.square(off), axis=axis, keepdims=True) / count
            found = xp.sqrt(found) if name == "std" else found
        else:
            reduce = {"max": xp.max, "min": xp.min, "prod": xp.prod}.get(name, xp.sum)
            found = reduce(filled, axis=axis, keepdims=True)
            found = found / count if name == "mean" else found
        if name in ("max", "min"):
            found = xp.where(count > 0, found, np.asarray(np.nan, dtype_of(x)))
        return found if keepdims else xp.squeeze(found, axis=axis)

    return function


_TABLE = {
    "max": _extreme("max"), "min": _extreme("min"),
    "amax": _plain_extreme("max"), "amin": _plain_extreme("min"),
    "argmax": _place("argmax"), "argmin": _place("argmin"),
    "nanargmax": _place("nanargmax"), "nanargmin": _place("nanargmin"),
    "all": _truth("all"), "any": _truth("any"),
    **{f"nan{name}": _of_numbers(name) for name in
       ("sum", "mean", "max", "min", "prod", "var", "std")},
}  # fmt: skip
for _name, _function in _TABLE.items():
    _function.__name__ = _function.__qualname__ = _name
    _function.__doc__ = f"Return `{_name}` over axes, as NumPy's. Mirrors `keras.ops.{_name}`."
    OPS[_name] = make(_function)


@op()
def ptp(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the largest less the smallest. Mirrors `keras.ops.ptp`."""
    x, axis = to_array(x), _axis(axis)
    return xp.max(x, axis=axis, keepdims=keepdims) - xp.min(x, axis=axis, keepdims=keepdims)


@op()
def logsumexp(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the logarithm of the sum of exponentials. Mirrors `keras.ops.logsumexp`."""
    x, axis = to_float(x), _axis(axis)
    top = np.max(np.asarray(x), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros((), top.dtype))
    total = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else xp.squeeze(total, axis=axis)


@op()
def count_nonzero(xp: Any, x: Any, axis: Any = None) -> Any:
    """Return how many elements are not zero. Mirrors `keras.ops.count_nonzero`."""
    return np.asarray(np.count_nonzero(np.asarray(to_array(x)), axis=_axis(axis)), np.int32)


@op()
def average(xp: Any, x: Any, axis: Any = None, weights: Any = None) -> Any:
    """Return weighted means over axes. Mirrors `keras.ops.average`."""
    x = to_float(x)
    if weights is None:
        return xp.mean(x, axis=_axis(axis))
    weights = OPS["cast"](weights, dtype_of(x))
    if axis is not None and weights.ndim == 1 and x.ndim > 1:
        shape = [1] * x.ndim
        shape[axis] = -1
        weights = OPS["reshape"](weights, shape)
    weighted, axis = OPS["multiply"](x, weights), _axis(axis)
    weights = OPS["add"](weights, np.zeros(x.shape, dtype_of(x)))
    return OPS["sum"](weighted, axis) / OPS["sum"](weights, axis)


def _picked(x: Any, name: str, q: Any, method: str, axis: Any, keepdims: bool) -> Any:
    places = np.asarray(q, dtype_of(x))
    found = getattr(np, name)(np.asarray(x), places, axis=axis, keepdims=keepdims, method=method)
    return found.astype(dtype_of(x))


@op()
def median(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return medians over axes. Mirrors `keras.ops.median`."""
    x = to_float(x)
    return np.median(np.asarray(x), axis=_axis(axis), keepdims=keepdims).astype(dtype_of(x))


@op()
def nanmedian(xp: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return medians of what is not NaN. Mirrors `keras.ops.nanmedian`."""
    return _picked(to_float(x), "nanquantile", 0.5, "linear", _axis(axis), keepdims)


@op()
def quantile(
    xp: Any, x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return quantiles over axes. Mirrors `keras.ops.quantile`."""
    return _picked(to_float(x), "quantile", q, method, _axis(axis), keepdims)


@op()
def percentile(
    xp: Any, x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return percentiles over axes. Mirrors `keras.ops.percentile`."""
    return _picked(to_float(x), "percentile", q, method, _axis(axis), keepdims)


@op()
def nanquantile(
    xp: Any, x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return quantiles of what is not NaN. Mirrors `keras.ops.nanquantile`."""
    return _picked(to_float(x), "nanquantile", q, method, _axis(axis), keepdims)


@op()
def nanpercentile(
    xp: Any, x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return percentiles of what is not NaN. Mirrors `keras.ops.nanpercentile`."""
    return _picked(to_float(x), "nanpercentile", q, method, _axis(axis), keepdims)


# --- along an axis ----------------------------------------------------------------------------


def _flat(xp: Any, x: Any, axis: Any) -> tuple[Any, int]:
    x = to_array(x)
    return (xp.reshape(x, (-1,)), 0) if axis is None else (x, axis % max(x.ndim, 1))


@op()
def cumsum(xp: Any, x: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Return running sums along an axis. Mirrors `keras.ops.cumsum`."""
    x, axis = _flat(xp, x, axis)
    x = _summed(x) if dtype is None else x.astype(np.dtype(dtype))
    return _keep(xp.cumsum(x, axis=axis), x)


@op()
def cumprod(xp: Any, x: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Return running products along an axis. Mirrors `keras.ops.cumprod`."""
    x, axis = _flat(xp, x, axis)
    x = _summed(x) if dtype is None else x.astype(np.dtype(dtype))
    if xp is np:
        return np.cumprod(x, axis=axis, dtype=x.dtype)
    running, parts = None, []
    for part in xp.split(x, x.shape[axis], axis=axis):
        running = part if running is None else running * part
        parts.append(running)
    return xp.concatenate(parts, axis=axis)


@op()
def nancumsum(xp: Any, x: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Return running sums, NaN counted as 0. Mirrors `keras.ops.nancumsum`."""
    x, axis = _flat(xp, x, axis)
    x = np.asarray(x)
    return np.nancumsum(x, axis=axis, dtype=dtype or x.dtype)


@op()
def nancumprod(xp: Any, x: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Return running products, NaN counted as 1. Mirrors `keras.ops.nancumprod`."""
    x, axis = _flat(xp, x, axis)
    x = np.asarray(x)
    return np.nancumprod(x, axis=axis, dtype=dtype or x.dtype)


@op()
def diff(xp: Any, a: Any, n: int = 1, axis: int = -1) -> Any:
    """Return differences of neighbours. Mirrors `keras.ops.diff`."""
    a = to_array(a)
    axis %= a.ndim
    for _ in range(n):
        after = (slice(None),) * axis + (slice(1, None),)
        before = (slice(None),) * axis + (slice(None, -1),)
        a = a[after] - a[before]
    return a


@op()
def trapezoid(xp: Any, y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """Return the area below points. Mirrors `keras.ops.trapezoid`."""
    y = to_float(y)
    axis %= y.ndim
    after = (slice(None),) * axis + (slice(1, None),)
    before = (slice(None),) * axis + (slice(None, -1),)
    heights = (y[after] + y[before]) / 2
    if x is None:
        return xp.sum(heights * dx, axis=axis)
    widths = OPS["diff"](OPS["cast"](x, dtype_of(y)), axis=axis if np.ndim(x) > 1 else -1)
    if widths.ndim == 1:
        widths = OPS["reshape"](widths, (-1,) + (1,) * (y.ndim - axis - 1))
    return OPS["sum"](OPS["multiply"](heights, widths), axis)


@op()
def argsort(xp: Any, x: Any, axis: Any = -1) -> Any:
    """Return the places of the sorted elements. Mirrors `keras.ops.argsort`."""
    return np.argsort(np.asarray(to_array(x)), axis=axis, kind="stable").astype(np.int32)


@op()
def sort(xp: Any, x: Any, axis: Any = -1) -> Any:
    """Return the elements sorted along an axis. Mirrors `keras.ops.sort`."""
    x = to_array(x)
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), -1
    if xp is np:
        return np.sort(x, axis=axis)
    order = np.argsort(np.asarray(x), axis=axis, kind="stable")
    return xp.take_along_axis(x, order, axis)


@op()
def argpartition(xp: Any, x: Any, kth: int, axis: int = -1) -> Any:
    """Return places, those of the `kth` smallest first. Mirrors `keras.ops.argpartition`."""
    return np.argpartition(np.asarray(to_array(x)), kth, axis).astype(np.int32)


@op()
def top_k(xp: Any, x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """Return the k largest along the last axis, and their places. Mirrors `keras.ops.top_k`."""
    x = to_array(x)
    values = np.asarray(x)
    if not values.ndim or not 0 <= k <= values.shape[-1]:
        raise ValueError(
            f"input must have at least k columns. Received: x.shape={values.shape}, k={k}"
        )
    # Equal ones in their order, as in TensorFlow.
    places = np.argsort(-values if values.dtype.kind != "u" else ~values, axis=-1, kind="stable")
    places = places[..., :k]
    return xp.take_along_axis(x, places, -1), places.astype(np.int32)


@op(2)
def in_top_k(xp: Any, targets: Any, predictions: Any, k: int) -> Any:
    """Return whether targets are among the k largest. Mirrors `keras.ops.in_top_k`."""
    targets, predictions = np.asarray(to_array(targets)), np.asarray(to_array(predictions))
    own = np.take_along_axis(predictions, targets[:, None].astype(np.int64), axis=1)
    return np.sum(predictions > own, axis=1) < k
