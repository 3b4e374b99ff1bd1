"""Operators that move numbers: most of them only change how a tensor is seen."""

import math
from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine import ops as _ops
from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.folding import (
    axes_of,
    bounds,
    expanded,
    shape_between,
    slices,
    target_dtype,
)
from rnn_engine.saving.onnx.graph import Node
from rnn_engine.saving.onnx.views import (
    UNKNOWN,
    BoundBatchError,
    Counting,
    Factor,
    Order,
    Size,
    Sorted,
    View,
    Wide,
    alone,
    arranged,
    check_size,
    last,
    replaced,
    size_of,
    together,
)

ops: Any = _ops  # its names come from a table


@handles("Identity", "Dropout")
def _identity(b: Builder, node: Node, v: list[Any]) -> Any:
    if node.op == "Dropout" and node.has(2) and bool(np.any(v[2])):
        raise node.refuse("it drops at inference too (training_mode).")
    return v[0]


@handles("Cast")
def _cast(b: Builder, node: Node, v: list[Any]) -> Any:
    if isinstance(v[0], Order | Counting):
        return v[0]
    view, dtype = b.view(node, v[0]), target_dtype(node)
    if dtype == np.float16:
        raise node.refuse("it rounds to float16, which is not computed in here.")
    # 64-bit integers hold what 32-bit ones do; lengths and indices are left as they come.
    if view.dtype == dtype or (view.dtype.kind in "iu" and dtype.kind in "iu"):
        return view
    if view.dtype.kind == "f" and dtype.kind in "iu":
        return view.like(ops.cast(ops.trunc(view.tensor), dtype.name))
    return view.like(ops.cast(view.tensor, dtype.name))


@handles("Transpose")
def _transpose(b: Builder, node: Node, v: list[Any]) -> Any:
    view = v[0]
    perm = node.numbers("perm") or list(range(view.rank))[::-1]
    if sorted(perm) != list(range(view.rank)):
        raise node.refuse(f"{perm} is no order of {view.rank} axes.")
    return view.seen([view.axes[i] for i in perm])


@handles("Unsqueeze")
def _unsqueeze(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    axes = axes_of(node, v, 1) or []
    rank = view.rank + len(axes)
    if rank > 32 or any(not -rank <= a < rank for a in axes):
        raise node.refuse(f"axes {axes} of {rank}.")
    places, own = {a % rank for a in axes}, iter(view.axes)
    if len(places) != len(axes):
        raise node.refuse(f"axes {axes} of {rank}.")
    return view.seen([() if i in places else next(own) for i in range(rank)])


@handles("Squeeze")
def _squeeze(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    axes = axes_of(node, v, 1)
    gone = [i for i, axis in enumerate(view.axes) if not axis]
    if axes is not None:
        gone = [view.axis(a, node) for a in axes]
    for place in gone:
        axis = view.axes[place]
        if any(f.batch and f.size is None for f in axis):
            raise BoundBatchError(f"{node}: it drops the axis of the batch.")
        if axis and size_of(axis) != 1:
            raise node.refuse("it drops an axis that is not one.")
    return view.seen([axis for i, axis in enumerate(view.axes) if i not in gone])


@handles("Shape")
def _shape(b: Builder, node: Node, v: list[Any]) -> Any:
    if isinstance(v[0], Order) and b.batch is not None:
        return shape_between(node, [size_of((b.batch,))])
    if not isinstance(v[0], View):
        raise node.refuse("the shape of this is not known.")
    return shape_between(node, v[0].shape())


@handles("Flatten")
def _flatten(b: Builder, node: Node, v: list[Any]) -> Any:
    view, axis = b.view(node, v[0]), node.number("axis", 1)
    axis = axis % view.rank if axis < 0 else axis
    front, back = view.axes[:axis], view.axes[axis:]
    return view.seen([tuple(f for a in front for f in a), tuple(f for a in back for f in a)])


@handles("Reshape")
def _reshape(b: Builder, node: Node, v: list[Any]) -> Any:
    view, target = b.view(node, v[0]), v[1]
    if not isinstance(target, np.ndarray) or target.ndim != 1 or target.size > 32:
        raise node.refuse("its shape is not known beforehand.")
    wanted: list[Any] = [n if isinstance(n, Size) else int(n) for n in target]
    if not node.number("allowzero", 0):
        for i, n in enumerate(wanted):
            if n == 0:
                if i >= view.rank:
                    raise node.refuse(f"axis {i} of {view.rank} is to be kept.")
                wanted[i] = view.axes[i]
    try:
        return _Reshaping(node, view, wanted).result()
    except BoundBatchError:
        raise
    except RefusedError:
        whole = _cut_anew(view, wanted)
        if whole is None:
            raise
        return whole


def _cut_anew(view: View, wanted: list[Any]) -> View | None:
    """Return rows in another shape, which is not made up of the axes; None if it has none."""
    first = view.axes[0] if view.axes else ()
    if len(first) != 1 or not first[0].batch or len(wanted) < 2:
        return None
    batch = wanted[0]
    rest = [size_of(n) if isinstance(n, tuple) else n for n in wanted[1:]]
    sizes = [size_of(axis) for axis in view.axes[1:]]
    if any(isinstance(n, Size) for n in (*rest, *sizes)):
        return None
    total, known = math.prod(sizes), math.prod(n for n in rest if n != -1)
    if rest.count(-1) == 1 and known and total % known == 0:
        rest = [total // known if n == -1 else n for n in rest]
    same = batch in (-1, first[0].hint) if isinstance(batch, int) else (
        batch == first or (isinstance(batch, Size) and batch == size_of(first))
    )  # fmt: skip
    if not same or math.prod(rest) != total or min(rest, default=1) < 1:
        return None
    tensor = layers.Reshape(rest)(arranged(view, view.axes))
    new = [(Factor(n),) if n > 1 else () for n in rest]
    return View(tensor, [first, *new], [first, *new], view.order)


class _Reshaping:
    """Shares out the factors of a tensor, whose order stays, among new axes."""

    def __init__(self, node: Node, view: View, wanted: list[Any]) -> None:
        self.node, self.view, self.wanted = node, view, wanted
        self.groups = list(view.groups)
        self.left = [f for axis in view.axes for f in axis]
        if any(f.batch and f.size is None and f.hint == 1 for f in self.left) and (
            sum(isinstance(n, int) and n == 1 for n in wanted) > 1
        ):
            raise BoundBatchError(f"{node}: which axis of one is the batch cannot be told.")

    def result(self) -> View:
        wanted = self.wanted
        open_ = [i for i, n in enumerate(wanted) if isinstance(n, int) and n == -1]
        if len(open_) > 1:
            raise self.node.refuse("more than one size is to be found.")
        if not open_:
            axes = [self.take(n, 0) for n in wanted]
        else:
            front = [self.take(n, 0) for n in wanted[: open_[0]]]
            back = [self.take(n, -1) for n in wanted[: open_[0] : -1]][::-1]
            axes = [*front, tuple(self.left), *back]
            self.left = []
        if any(not f.batch or f.size != 1 for f in self.left):
            raise self.node.refuse("it gives a tensor another number of entries.")
        view = self.view
        return View(view.tensor, self.groups, axes, view.order)

    def take(self, n: Any, end: int) -> tuple[Factor, ...]:
        """Return the next factors, from the front or the back, that make up a size."""
        if isinstance(n, tuple):
            n = size_of(n) if n else 1
        taken: list[Factor] = []
        if isinstance(n, Size):
            wanted, found = list(n.factors), 1
            while wanted or found != n.times:
                f = self.next(end)
                if f.size is None:
                    if f not in wanted:
                        raise self.node.refuse("it mixes sizes that are not known.")
                    wanted.remove(f)
                else:
                    if n.times % (found * f.size):  # heads beside the batch, cut out of features
                        f = self.split(f, n.times // found, end)
                    found *= int(f.size or 0)
                    if not 0 < found <= n.times:
                        raise self.node.refuse("it gives a tensor another number of entries.")
                taken.append(f)
            return tuple(taken if end == 0 else taken[::-1])
        found = 1
        if n == 1 and self.left and self.left[end].batch and self._size(self.left[end]) == 1:
            return (self.next(end),)
        while found != n:
            f = self.next(end)
            size = self._size(f)
            if size is None or n <= 0:
                raise self.node.refuse("it gives an axis of unknown size a size.")
            if n % (found * size):
                f = self.split(f, n // found, end)
                size = self._size(f) or 0
                if size == 0 or found * size > n:
                    raise self.node.refuse(f"an axis of {n} is cut out of {size}.")
            found *= size
            taken.append(f)
        return tuple(taken if end == 0 else taken[::-1])

    def next(self, end: int) -> Factor:
        if not self.left:
            raise self.node.refuse("it gives a tensor another number of entries.")
        return self.left.pop(end)

    @staticmethod
    def _size(f: Factor) -> int | None:
        return f.size if f.size is not None else f.hint

    def split(self, f: Factor, size: int, end: int) -> Factor:
        """Cut a factor in two; return the one that is wanted, the rest waits."""
        if f.size is None or f.batch or f.gone or size < 1 or f.size % size:
            if f.batch:
                raise BoundBatchError(f"{self.node}: it cuts the batch into parts.")
            raise self.node.refuse(f"an axis of {f.size} is cut into parts of {size}.")
        sizes = (size, f.size // size) if end == 0 else (f.size // size, size)
        one, two = Factor(sizes[0]), Factor(sizes[1])
        self.groups = [
            tuple(p for g in group for p in ((one, two) if g is f else (g,)))
            for group in self.groups
        ]
        wanted, rest = (one, two) if end == 0 else (two, one)
        self.left.insert(0 if end == 0 else len(self.left), rest)
        return wanted


@handles("Slice")
def _slice(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    for axis, start, end, step in slices(node, v, view.rank):
        view = sliced(view, axis, start, end, step, node)
    return view


def sliced(view: View, axis: int, start: int, end: int, step: int, node: Node) -> View:
    """Return a part of a tensor along an axis.

    Raises
    ------
    ValueError
        If it takes part of the batch, or its size cannot be told.
    """
    factors = view.axes[axis]
    size = size_of(factors)
    part = bounds(start, end, step)
    most, whole, count = 1 << 30, False, None
    if not isinstance(size, Size):
        taken = range(*part.indices(size))
        count, whole = len(taken), len(taken) == size
        if count == 0:
            raise node.refuse("it takes nothing of an axis.")
    else:
        whole = (step == 1 and start == 0 and end >= most) or (
            step == -1 and (start >= most or start == -1) and part.stop is None
        )
    if whole and step == 1:
        return view
    if any(f.batch for f in factors):
        raise BoundBatchError(f"{node}: it takes part of the batch.")
    place_of_one = taken[0] if count == 1 else None
    if isinstance(size, Size) and not whole:
        if start < 0 and (step != 1 or end < most):
            raise node.refuse("it takes a part of an axis of unknown size from its end.")
        if step == 1 and (start == -1 or (start, end) == (0, 1)):
            place_of_one = start
    if len(factors) == 1 and factors[0].gone:
        return view.seen(replaced(view.axes, axis, ()))
    tensor, groups, place = alone(view, axis)
    before = [slice(None)] * place
    if place_of_one is not None:  # the axis goes; ONNX sees one of one
        place_of_one = (
            -1 if not isinstance(size, Size) and place_of_one + 1 == size else place_of_one
        )
        picked, axes = tensor[(*before, place_of_one)], replaced(view.axes, axis, ())
        return View(picked, groups[:place] + groups[place + 1 :], axes, view.order)
    known = factors[0] if whole and len(factors) == 1 else Factor(count)
    tensor = ops.flip(tensor, place) if whole and step == -1 else tensor[(*before, part)]
    return _changed(view, axis, (known,), tensor, groups, place)


def _changed(
    view: View, axis: int, new: tuple[Factor, ...], tensor: Any, groups: Any, place: int
) -> View:
    """Return a tensor in which one of ONNX's axes, at a place of its own, is a new one."""
    axes = replaced(view.axes, axis, new)
    return View(tensor, replaced(groups, place, new), axes, view.order)


@handles("Split")
def _split(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    axis = view.axis(node.number("axis", 0), node)
    sizes = axes_of(node, v, 1, "split")
    if sizes is None:
        total, count = size_of(view.axes[axis]), len(node.outputs)
        if not isinstance(total, int):
            raise node.refuse("it parts an axis of unknown size.")
        each = -(-total // count)
        sizes = [min(each, total - i * each) for i in range(count)]
    ends = np.cumsum(sizes).tolist()
    return [
        sliced(view, axis, start, end, 1, node)
        for start, end in zip([0, *ends], ends, strict=False)
    ]


@handles("Gather")
def _gather(b: Builder, node: Node, v: list[Any]) -> Any:
    data, indices = v
    if isinstance(indices, Order):
        return _in_order(b, node, data, indices)
    if isinstance(data, np.ndarray):
        return _looked_up(b, node, data, b.view(node, indices))
    view = b.view(node, data)
    axis = view.axis(node.number("axis", 0), node)
    if not isinstance(indices, np.ndarray) or indices.dtype.kind not in "iu":
        raise node.refuse("places in a tensor must be constants.")
    if indices.ndim == 0:
        place = int(indices)
        end = place + 1 if place != -1 else 1 << 40
        part = sliced(view, axis, place, end, 1, node)
        if part.axes[axis]:
            raise node.refuse("it picks an entry of an axis of unknown size.")
        return part.seen([a for i, a in enumerate(part.axes) if i != axis])
    size = size_of(view.axes[axis])
    if any(f.batch for f in view.axes[axis]):
        raise BoundBatchError(f"{node}: it picks rows of the batch.")
    if indices.ndim != 1 or isinstance(size, Size) or not indices.size:
        raise node.refuse("places must be one list, in an axis of known size.")
    if indices.min() < -size or indices.max() >= size:
        raise node.refuse(f"it picks entry {indices.max()} of {size}.")
    tensor, groups, place = alone(view, axis)
    check_size((*tensor.shape[:place], indices.size, *tensor.shape[place + 1 :]))
    tensor = ops.take(tensor, indices.tolist(), place)
    new = (Factor(indices.size),) if indices.size > 1 else ()
    return _changed(view, axis, new, tensor, groups, place)


def _looked_up(b: Builder, node: Node, table: np.ndarray, indices: View) -> View:
    if indices.dtype.kind not in "iu":
        raise node.refuse("indices must be whole numbers.")
    if node.number("axis", 0) or table.ndim != 2 or table.dtype.kind != "f" or not table.size:
        raise node.refuse("only a table of numbers (entries, features) is looked up in, by row.")
    made = layers.Embedding(*table.shape, dtype=table.dtype.name)
    tensor = b.layer(made, indices.tensor, weights=[table])
    new = (Factor(table.shape[1]),) if table.shape[1] > 1 else ()
    return View(tensor, [*indices.groups, new], [*indices.axes, new], indices.order)


@handles("Concat")
def _concat(b: Builder, node: Node, v: list[Any]) -> Any:
    if not all(isinstance(part, View) for part in v):
        raise node.refuse("it puts constants beside tensors.")
    first = v[0]
    axis = first.axis(node.number("axis", 0), node)
    if any(part.rank != first.rank for part in v):
        raise node.refuse("it puts tensors of different rank together.")
    if any(f.batch for part in v for f in part.axes[axis]):
        raise BoundBatchError(f"{node}: it puts batches together.")
    seen, tails = [], []
    for part in v:
        tensor, front = last(part, axis)
        tails.append(part.axes[axis])
        others = [a for i, a in enumerate(part.axes) if i != axis]
        held = View(tensor, [*front, part.axes[axis]], others, part.order)
        seen.append(held)
    tensors, groups, others = _beside(seen, tails, node)
    sizes = [size_of(tail) for tail in tails]
    known = all(isinstance(n, int) for n in sizes)
    new = (Factor(sum(sizes) if known else None),)
    tensor = layers.Concatenate(axis=-1)(tensors)
    axes = [*others[:axis], new, *others[axis:]]
    return View(tensor, [*groups, new], axes, first.order)


def _beside(parts: list[View], tails: list[Any], node: Node) -> Any:
    """Return tensors whose axes fit but for the last, the groups before it, ONNX's axes."""
    if all(p.groups[:-1] == parts[0].groups[:-1] and p.axes == parts[0].axes for p in parts):
        return [p.tensor for p in parts], parts[0].groups[:-1], parts[0].axes
    tail = Factor(None)  # stands for all the tails, which are the last axis
    masked = [View(p.tensor, [*p.groups[:-1], (tail,)], [*p.axes, (tail,)], p.order) for p in parts]
    if len({tuple(bool(a) for a in p.axes) for p in parts}) > 1:
        raise node.refuse("it puts tensors of different sizes together.")
    tensors, groups, axes = together(masked, node)
    return tensors, groups[:-1], axes[:-1]


@handles("Expand")
def _expand(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    sizes: list[Any] = [n if isinstance(n, Size) else int(n) for n in np.asarray(v[1]).ravel()]
    rank = max(view.rank, len(sizes))
    axes: list[Any] = [()] * (rank - view.rank) + view.axes
    sizes = [1] * (rank - len(sizes)) + sizes
    target = []
    for axis, n in zip(axes, sizes, strict=True):
        if axis:
            own = size_of(axis)
            hint = axis[0].hint if len(axis) == 1 else None
            if isinstance(n, int) and n not in (1, own if isinstance(own, int) else hint):
                raise node.refuse(f"an axis is repeated to {n}.")
            target.append(1)
        elif isinstance(n, Size):
            raise node.refuse("a tensor is repeated to a size that is not known.")
        else:
            target.append(n)
    if math.prod(target) == 1:
        return view.seen(axes)
    ones = expanded(node, np.ones((), view.dtype), target)
    fitting, view = b.fitted(node, ones, view.seen(axes))
    check_size((*view.tensor.shape, math.prod(target)))
    return view.like(ops.multiply(view.tensor, fitting))


@handles("Tile")
def _tile(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    times = list(np.asarray(v[1]).ravel())
    if len(times) != view.rank or any(n != 1 for n, a in zip(times, view.axes, strict=True) if a):
        raise node.refuse("it repeats an axis that is longer than one.")
    return _expand(b, node, [view, v[1]])


@handles("GatherElements")
def _gather_elements(b: Builder, node: Node, v: list[Any]) -> Any:
    if isinstance(v[1], Order):
        raise node.refuse("it puts single numbers in the order of sorted rows.")
    views = [b.view(node, part) for part in v]
    axis = views[0].axis(node.number("axis", 0), node)
    if views[0].rank != views[1].rank or views[1].dtype.kind not in "iu":
        raise node.refuse("its places are no whole numbers in as many axes as its tensor.")
    if any(f.batch for view in views for f in view.axes[axis]):
        raise BoundBatchError(f"{node}: it picks rows of the batch.")
    tails = [view.axes[axis] for view in views]
    parts = []
    for view, tail in zip(views, tails, strict=True):
        tensor, front = last(view, axis)
        others = [a for i, a in enumerate(view.axes) if i != axis]
        parts.append(View(tensor, [*front, tail], others, view.order))
    tensors, groups, others = _beside(parts, tails, node)
    made = ops.take_along_axis(*tensors, axis=-1)
    return View(
        made, [*groups, tails[1]], [*others[:axis], tails[1], *others[axis:]], views[0].order
    )


@handles("OneHot")
def _one_hot(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    depth, values = b.constant(node, v, 1, "depth"), b.constant(node, v, 2, "values")
    last_axis = node.number("axis", -1) in (-1, view.rank)
    if depth is None or values is None or depth.size != 1 or values.size != 2 or not last_axis:
        raise node.refuse("its depth and two values are no constants, or its axis is not the last.")
    size = int(depth.reshape(()))
    if view.dtype.kind not in "iu" or size < 1:
        raise node.refuse("its places are no whole numbers, or its depth is none.")
    check_size((*view.tensor.shape, size))
    places = ops.where(ops.less(view.tensor, 0), ops.add(view.tensor, size), view.tensor)
    off, on = values.ravel().tolist()
    made = ops.one_hot(places, size, dtype=values.dtype.name)
    if (off, on) != (0, 1):
        made = ops.add(ops.multiply(made, on - off), off)
    new = (Factor(size),) if size > 1 else ()
    return View(made, [*view.groups, new], [*view.axes, new], view.order)


@handles("Pad")
def _pad(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    widths = axes_of(node, v, 1, "pads") or []
    if node.get("mode", "constant") != "constant" or len(widths) != 2 * view.rank or node.has(3):
        raise node.refuse("only padding of all axes with a constant is read.")
    value = b.constant(node, v, 2, "value")
    value = node.real("value", 0.0) if value is None else float(value.reshape(()))
    half = len(widths) // 2
    for axis, (before, after) in enumerate(zip(widths[:half], widths[half:], strict=True)):
        if before or after:
            view = padded(view, axis, (before, after), value, node)
    return view


def padded(view: View, axis: int, widths: tuple[int, int], value: float, node: Node) -> View:
    """Return a tensor with a constant before and behind it along an axis.

    Raises
    ------
    ValueError
        If the axis is the batch, or too much is added or taken away.
    """
    if min(widths) < 0 or any(f.batch for f in view.axes[axis]):
        raise node.refuse("it pads the batch, or takes away.")
    tensor, groups, place = alone(view, axis)
    size = size_of(view.axes[axis])
    check_size((*(n for i, n in enumerate(tensor.shape) if i != place), sum(widths) + UNKNOWN))
    new = (Factor(None if isinstance(size, Size) else size + sum(widths)),)
    pads = [list(widths) if i == place else [0, 0] for i in range(len(groups))]
    tensor = ops.pad(tensor, pads, constant_values=value)
    return _changed(view, axis, new, tensor, groups, place)


# --- rows that are sorted by length, as torch packs sequences ---------------------------------


@handles("TopK")
def _top(b: Builder, node: Node, v: list[Any]) -> Any:
    """Sort lengths: the rows need not be sorted here, so that only the order is noted."""
    view = b.view(node, v[0])
    whole = view.rank == 1 and len(view.axes[0]) == 1 and view.axes[0][0].batch
    count = v[1].ravel()[0] if isinstance(v[1], np.ndarray) else None
    batch = view.axes[0][0] if whole else None
    if batch is None or view.order is not None:
        raise node.refuse("only the lengths of the rows of a batch are sorted.")
    all_of_it = count == size_of((batch,)) if isinstance(count, Size) else count == batch.hint
    if not all_of_it or not node.number("largest", 1) or not node.number("sorted", 1):
        raise node.refuse("only all rows, the longest first, are sorted.")
    order = Sorted()
    return [View(view.tensor, view.groups, view.axes, order), Order(order)]


def _in_order(b: Builder, node: Node, data: Any, indices: Order) -> Any:
    view = b.view(node, data)
    axis = view.axis(node.number("axis", 0), node)
    right = len(view.axes[axis]) == 1 and view.axes[axis][0].batch
    before, after = (indices.order, None) if indices.back else (None, indices.order)
    if not right or view.order is not before:
        raise node.refuse("it puts something else than the rows of the batch in order.")
    return View(view.tensor, view.groups, view.axes, after)


@handles("ScatterElements", "Scatter")
def _scatter(b: Builder, node: Node, v: list[Any]) -> Any:
    """Turn an order round: zeros into which 0, 1, 2, ... are written at its places."""
    target, indices, updates = v
    counted = isinstance(updates, Counting) or (
        isinstance(updates, np.ndarray)
        and updates.ndim == 1
        and b.batch is not None
        and updates.size == b.batch.hint
        and (updates == np.arange(updates.size)).all()
    )
    blank = isinstance(target, np.ndarray | Wide)
    if not blank or not counted or not isinstance(indices, Order) or indices.back:
        raise node.refuse("only the order of sorted rows is scattered.")
    return Order(indices.order, back=True)
