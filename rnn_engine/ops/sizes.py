"""How large what an op gives will be, before it is computed: a file may ask for any size.

An op has a rule if it may give more than its operands have together, or if it takes long; what
all others give is their operands' shape, broadcast.
"""

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.graph import flatten

LARGEST = 1 << 26
"""So many numbers an op out of a file may give, three rows of a batch counted."""
_WORK = {"einsum": 1 << 32, "products": 1 << 36, "solvers": 1 << 30, "spectra": 1 << 26}
_ROWS, _UNKNOWN = 3, 23  # sizes that are not known, as `symbolic.spec_of` tries them
_Given = dict[str, Any]
_Shape = tuple[int, ...]
_RULES: dict[str, Callable[[_Given], int]] = {}


def check_size(op: str, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Refuse a call of an op whose result would be too large, or take too long.

    Raises
    ------
    ValueError
        If it would.
    """
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    size = _RULES.get(op, _broadcast)(bound.arguments)
    if size > LARGEST:
        raise ValueError(
            f"The op {op!r} would give {size} numbers, more than is taken from a file ({LARGEST})."
        )
    for kind, (names, reckon) in _WORKERS.items():
        if op in names and (work := reckon(bound.arguments)) > _WORK[kind]:
            raise ValueError(
                f"The op {op!r} would take {work} multiplications for three rows, more than a "
                f"file may ask for ({_WORK[kind]})."
            )


def shape_of(tensor: Any) -> _Shape:
    """Return a shape with numbers for what is not known; that of a list, or of a number, too."""
    if isinstance(tensor, list | tuple):
        return (len(tensor), *(shape_of(tensor[0]) if tensor else ()))
    return tuple(
        n if n is not None else _UNKNOWN if place else _ROWS
        for place, n in enumerate(getattr(tensor, "shape", ()))
    )


def _size(tensor: Any) -> int:
    return math.prod(shape_of(tensor))


def _whole(value: Any) -> int:
    """Return a setting as a whole number: that of a size counts whatever its sign."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ValueError(f"A size out of a file must be a number, got {value!r}.")
    if not math.isfinite(value):
        raise ValueError(f"A size out of a file must be finite, got {value!r}.")
    return abs(int(value))


def _wholes(value: Any) -> list[int]:
    if not isinstance(value, list | tuple | np.ndarray):
        return [_whole(value)]
    return [n for part in list(value) for n in _wholes(part)]


def _shapes(given: _Given) -> list[_Shape]:
    leaves = flatten(list(given.values()))
    return [shape_of(leaf) for leaf in leaves if hasattr(leaf, "shape")]


def _broadcast(given: _Given) -> int:
    shapes = _shapes(given)
    try:
        return math.prod(np.broadcast_shapes(*shapes))
    except ValueError:  # it says itself what is wrong, or is no sum of such shapes
        return max([1, *map(math.prod, shapes)])


def _rule(*names: str) -> Any:
    def enter(rule: Any) -> Any:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

    return enter


# --- told by settings -------------------------------------------------------------------------


@_rule("broadcast_to", "full", "zeros", "ones", "empty", "scatter")
def _told(given: _Given) -> int:
    return math.prod(_wholes(given["shape"]))


@_rule("eye", "tri", "identity")
def _square(given: _Given) -> int:
    rows = given.get("N", given.get("n"))
    columns = given.get("M")
    return _whole(rows) * _whole(rows if columns is None else columns)


@_rule("arange")
def _counted(given: _Given) -> int:
    start, stop, step = given["start"], given["stop"], given["step"]
    start, stop = (0, start) if stop is None else (start, stop)
    if any(hasattr(part, "shape") for part in (start, stop, step)):
        return 1  # that it takes no tensors it says itself
    return _whole((stop - start) / (step or 1))


@_rule("linspace", "geomspace", "logspace")
def _between(given: _Given) -> int:
    return _whole(given["num"]) * _broadcast({k: given[k] for k in ("start", "stop")})


@_rule("one_hot", "multi_hot")
def _classes(given: _Given) -> int:
    return _whole(given["num_classes"] or 0) * _size(given.get("x", given.get("inputs")))


@_rule("vander")
def _powers(given: _Given) -> int:
    size = _size(given["x"])
    return size * (size if given["N"] is None else _whole(given["N"]))


@_rule("diag")
def _diagonal(given: _Given) -> int:
    return _of_diagonal(given) if len(shape_of(given["x"])) == 1 else _size(given["x"])


@_rule("diagflat")
def _of_diagonal(given: _Given) -> int:
    return (_size(given["x"]) + _whole(given["k"])) ** 2


@_rule("repeat")
def _repeated(given: _Given) -> int:
    shape, counts, axis = shape_of(given["x"]), _wholes(given["repeats"]), given["axis"]
    if len(counts) == 1:
        return math.prod(shape) * counts[0]
    return sum(counts) * _without(shape, axis)


@_rule("tile")
def _tiled(given: _Given) -> int:
    return _size(given["x"]) * math.prod(_wholes(given["repeats"]))


@_rule("pad")
def _padded(given: _Given) -> int:
    shape = shape_of(given["x"])
    widths = np.broadcast_to(np.asarray(given["pad_width"], object), (len(shape), 2))
    return math.prod(n + sum(_wholes(w)) for n, w in zip(shape, widths.tolist(), strict=True))


@_rule("bincount")
def _bins(given: _Given) -> int:
    shape = shape_of(given["x"])
    return math.prod(shape[:-1]) * max(_whole(given["minlength"]), _highest(given["x"]))


@_rule("segment_max", "segment_min", "segment_prod", "segment_sum")
def _segments(given: _Given) -> int:
    count, data = given["num_segments"], given["data"]
    count = _highest(given["segment_ids"]) if count is None else _whole(count)
    return max(count, 1) * math.prod(shape_of(data)[1:]) + _size(data)


def _highest(values: Any) -> int:
    """Return how many bins the numbers of an array take: of zeros, which tensors are here, one."""
    if not isinstance(values, np.ndarray | list | tuple) or not np.size(values):
        return 1
    return _whole(np.max(values)) + 1


@_rule("histogram")
def _histogram(given: _Given) -> int:
    bins = given["bins"]
    return _size(given["x"]) + (_size(bins) if np.ndim(bins) else _whole(bins))


@_rule("unique")
def _unique(given: _Given) -> int:
    x, size = shape_of(given["x"]), given["size"]
    return math.prod(x) + (0 if size is None else _whole(size) * _without(x, given["axis"]))


@_rule("split", "array_split", "hsplit", "vsplit", "dsplit")
def _parts(given: _Given) -> int:
    parts = given["indices_or_sections"]
    return _size(given["x"]) + 32 * (_size(parts) if np.ndim(parts) else _whole(parts))


@_rule("diff")
def _differences(given: _Given) -> int:
    return _size(given["a"]) + _whole(given["n"]) * 1024  # one after the other


@_rule("round")
def _rounded(given: _Given) -> int:
    return _size(given["x"]) + _whole(given["decimals"]) * 1024  # ten to the power of it


@_rule("ctc_decode")
def _beams(given: _Given) -> int:
    steps = math.prod(shape_of(given["inputs"])[:2])
    beams = _whole(given["beam_width"]) + _whole(given["top_paths"])
    return _size(given["inputs"]) + steps * beams


# --- picked by indices ------------------------------------------------------------------------


def _without(shape: _Shape, axis: Any) -> int:
    """Return the size of a shape without an axis, or several; of a flat one without any: 1."""
    if axis is None:
        return 1
    axes = {n % max(len(shape), 1) for n in (axis if isinstance(axis, list | tuple) else [axis])}
    return math.prod(n for place, n in enumerate(shape) if place not in axes)


@_rule("take")
def _taken(given: _Given) -> int:
    return _size(given["indices"]) * _without(shape_of(given["x"]), given["axis"])


@_rule("take_along_axis")
def _taken_along(given: _Given) -> int:
    x, indices, axis = shape_of(given["x"]), shape_of(given["indices"]), given["axis"]
    if axis is None or len(x) != len(indices) or not -len(x) <= axis < len(x):
        return max(math.prod(indices), math.prod(x))
    along = indices[axis]
    sides = [shape[: axis % len(x)] + shape[axis % len(x) + 1 :] for shape in (x, indices)]
    return along * math.prod(map(max, *sides))


@_rule("get_item")
def _indexed(given: _Given) -> int:
    x, key = given["x"], given["key"]
    keys = list(key) if isinstance(key, tuple) else [key]
    picked, plain = [], []
    for part in keys:
        if not hasattr(part, "shape") and not isinstance(part, list):
            plain.append(part)
            continue
        shape = shape_of(part)
        mask = getattr(part, "dtype", None) in ("bool", np.bool_)
        picked.append((math.prod(shape),) if mask else shape)
        plain += [0] * (len(shape) if mask else 1)
    view = np.broadcast_to(np.False_, shape_of(x))  # has no memory of its own
    try:
        return view[tuple(plain)].size * math.prod(np.broadcast_shapes(*picked))
    except (IndexError, ValueError):  # it says so itself
        return math.prod(view.shape)


@_rule("quantile", "percentile", "nanquantile", "nanpercentile")
def _quantiles(given: _Given) -> int:
    x = shape_of(given["x"])
    return math.prod(x) + _size(given["q"]) * _without(x, given["axis"])


# --- pairs ------------------------------------------------------------------------------------


@_rule("append", "concatenate", "stack", "hstack", "vstack", "dstack")
def _together(given: _Given) -> int:
    return sum(map(math.prod, _shapes(given)))


@_rule("outer", "kron")
def _pairs(given: _Given) -> int:
    return math.prod(max(math.prod(shape), 1) for shape in _shapes(given))


@_rule("meshgrid")
def _grid(given: _Given) -> int:
    return _pairs(given) * len(_shapes(given))


@_rule("cdist")
def _distances(given: _Given) -> int:
    x, y = shape_of(given["x"]), shape_of(given["y"])
    if len(x) < 2 or len(y) < 2:
        return 1
    return _over(x[:-2], y[:-2]) * x[-2] * y[-2] * max(x[-1], y[-1])


@_rule("dot_product_attention")
def _scores(given: _Given) -> int:
    query, key = shape_of(given["query"]), shape_of(given["key"])
    scores = math.prod(query[:-1]) * (key[1] if len(key) > 1 else 1)
    return max(scores, _broadcast({k: given[k] for k in ("query", "value")}))


def _over(*shapes: _Shape) -> int:
    try:
        return math.prod(np.broadcast_shapes(*shapes))
    except ValueError:
        return 1


@_rule("matmul")
def _product(given: _Given) -> int:
    x, y = shape_of(given["x1"]), shape_of(given["x2"])
    rows, columns = x[-2:-1], y[-1:] if len(y) > 1 else ()
    return _over(x[:-2], y[:-2]) * math.prod(rows + columns)


@_rule("dot", "inner", "vdot", "tensordot")
def _contraction(given: _Given) -> int:
    sizes = [max(_size(given["x1"]), 1), max(_size(given["x2"]), 1)]
    return math.prod(sizes) // max(_contracted(given), 1) ** 2


def _contracted(given: _Given) -> int:
    shape = shape_of(given["x1"])
    axes = given.get("axes", 1)
    if isinstance(axes, int):
        return math.prod(shape[len(shape) - axes :]) if 0 < axes <= len(shape) else 1
    first = axes[0] if isinstance(axes, list | tuple) and axes else ()
    places = [first] if isinstance(first, int) else list(first)
    return math.prod(shape[i] for i in places if -len(shape) <= i < len(shape))


@_rule("einsum")
def _of_labels(given: _Given) -> int:
    return _einsum(given, "Largest intermediate")


def _einsum(given: _Given, figure: str) -> int:
    """Return what NumPy reckons of an einsum, of arrays without memory of their own."""
    views = [np.broadcast_to(np.float32(0), shape_of(part)) for part in given["operands"]]
    _, told = np.einsum_path(given["subscripts"], *views, optimize=len(views) > 2)
    found = re.search(rf"{figure}:\s*(\S+)", told)
    if found is None:
        raise ValueError(f"NumPy does not tell the {figure} of an einsum.")
    return int(float(found[1]))


# --- work -------------------------------------------------------------------------------------


@_rule("svd", "qr")
def _decomposed(given: _Given) -> int:
    shape = shape_of(given["x"])
    full = given.get("full_matrices", False) or given.get("mode") == "complete"
    return math.prod(shape[:-2]) * sum(n * n for n in shape[-2:]) if full else math.prod(shape)


def _cubes(given: _Given) -> int:
    shapes = [shape for shape in _shapes(given) if len(shape) > 1]
    return sum(math.prod(shape) * min(shape[-2:]) for shape in shapes)


def _spectra(given: _Given) -> int:
    return 0 if given.get("ord", 2) not in (2, -2, "nuc") else _cubes(given)


def _products(given: _Given) -> int:
    x, y = shape_of(given["x1"]), shape_of(given["x2"])
    if "axes" in given:
        return _contraction(given) * _contracted(given)
    return _product(given) * (x or (1,))[-1] if len(y) > 1 else math.prod(x)


_WORKERS: dict[str, tuple[set[str], Callable[[_Given], int]]] = {
    "einsum": ({"einsum"}, lambda given: _einsum(given, "Optimized FLOP count")),
    "products": ({"matmul", "tensordot"}, _products),
    "solvers": ({"cholesky", "cholesky_inverse", "det", "inv", "logdet", "slogdet", "solve",
                 "solve_triangular", "qr"}, _cubes),
    "spectra": ({"eig", "eigh", "lstsq", "matrix_rank", "norm", "pinv", "svd"}, _spectra),
}  # fmt: skip
