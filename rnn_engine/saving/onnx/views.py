"""What ONNX's tensors are while a model is made of them.

ONNX's graphs turn axes round all the time: recurrent operators want time first, and give an
axis of directions. Here the batch stays in front, and the axes that ONNX sees are kept beside
the tensor, so that turning, adding and dropping axes costs nothing: they become layers only
where another order is needed in earnest.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine import ops as _ops
from rnn_engine.saving.errors import RefusedError

ops: Any = _ops  # its names come from a table

UNKNOWN = 23
"""What a size that is not known counts as."""
LARGEST = 1 << 26
"""So many numbers a tensor may have."""


class BoundBatchError(RefusedError):
    """A graph that holds for the batch size of the file only."""


class OtherBatchError(Exception):
    """Another axis of an input is the batch than was thought."""

    def __init__(self, factor: "Factor") -> None:
        super().__init__("another axis is the batch")
        self.factor = factor


@dataclass(eq=False)
class Factor:
    """A part of a tensor's size: an axis, or one of several that became one.

    Attributes
    ----------
    size : int or None
    batch : whether it is the batch
    hint : the size that the file gives the batch, which the model does not keep to
    origin : input and axis that it comes from
    gone : whether only the last entry is there, which is all that is read
    """

    size: int | None
    batch: bool = False
    hint: int | None = None
    origin: tuple[str, int] | None = None
    gone: bool = False


Axes = list[tuple[Factor, ...]]


class Size:
    """A size that is not known while the model is made: a product of factors, and a number."""

    def __init__(self, factors: tuple[Factor, ...], times: int = 1) -> None:
        self.factors, self.times = factors, times

    def __mul__(self, other: Any) -> "Size":
        if isinstance(other, Size):
            return Size((*self.factors, *other.factors), self.times * other.times)
        return Size(self.factors, self.times * int(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Size):
            if self == other:
                return 1
        elif other and self.times % int(other) == 0:
            return Size(self.factors, self.times // int(other))
        raise ValueError("a size that is not known is divided.")

    __truediv__ = __floordiv__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Size):
            return self.times == other.times and self.factors == other.factors
        if isinstance(other, int | float | np.number) and other < 1:
            return False
        raise ValueError("a size that is not known is compared.")

    __hash__ = None  # type: ignore[assignment]  # so Python marks what has no hash

    def __gt__(self, other: Any) -> bool:
        if not isinstance(other, Size) and other < 1:
            return True
        raise ValueError("a size that is not known is compared.")


def size_of(factors: tuple[Factor, ...]) -> Any:
    """Return the size of an axis: an int, or a `Size`."""
    known = math.prod(f.size for f in factors if f.size is not None)
    unknown = tuple(f for f in factors if f.size is None)
    return Size(unknown, known) if unknown else known


@dataclass(eq=False)
class Wide:
    """A constant along axes whose sizes are not known; `array` has 1 there."""

    array: np.ndarray
    dims: list[Any]


@dataclass(eq=False)
class Sorted:
    """The order of the rows that a graph sorted by length; rows are not sorted here."""


@dataclass(eq=False)
class Order:
    """Row numbers that put rows in an order, or back again."""

    order: Sorted
    back: bool = False


@dataclass(eq=False)
class Counting:
    """The numbers from zero up to a size."""

    size: Size


class View:
    """A symbolic tensor and the axes under which ONNX knows it.

    Parameters
    ----------
    tensor : KerasTensor
    groups : list of tuple of Factor
        What makes up each axis of `tensor`; none for an axis of one.
    axes : list of tuple of Factor
        The same for the axes that ONNX sees.
    order : Sorted, optional
        The order in which ONNX sees the rows.
    """

    def __init__(self, tensor: Any, groups: Axes, axes: Axes, order: Sorted | None = None) -> None:
        self.tensor, self.groups, self.axes, self.order = tensor, groups, axes, order
        check_size(tensor.shape)

    @property
    def rank(self) -> int:
        """How many axes ONNX sees."""
        return len(self.axes)

    @property
    def dtype(self) -> np.dtype:
        """The type of the numbers, object of strings."""
        return np.dtype(object if self.tensor.dtype == "string" else self.tensor.dtype)

    def shape(self) -> list[Any]:
        """Return the sizes that ONNX sees."""
        return [size_of(axis) for axis in self.axes]

    def like(self, tensor: Any) -> "View":
        """Return another tensor in the same axes."""
        return View(tensor, self.groups, self.axes, self.order)

    def seen(self, axes: Axes) -> "View":
        """Return the same tensor seen in other axes."""
        return View(self.tensor, self.groups, axes, self.order)

    def axis(self, number: int, node: Any) -> int:
        """Return an axis counted from the front.

        Raises
        ------
        ValueError
            If there is none of this number.
        """
        if not -self.rank <= number < self.rank:
            raise node.refuse(f"axis {number} of {self.rank} axes.")
        return number % self.rank

    def factors(self) -> list[Factor]:
        """Return all factors, the batch first."""
        found = [f for group in self.groups for f in group]
        return sorted(found, key=lambda f: not f.batch)


def check_size(shape: Any) -> None:
    """Refuse a tensor that would take too much memory.

    Raises
    ------
    ValueError
        If its shape is too large.
    """
    if math.prod(UNKNOWN if size is None else size for size in shape) > LARGEST:
        raise RefusedError(f"a tensor of shape {tuple(shape)} is larger than is taken from a file.")


def replaced(axes: Axes, place: int, new: tuple[Factor, ...]) -> Axes:
    """Return axes of which one is another; none for an axis of one."""
    return [new if i == place else axis for i, axis in enumerate(axes)]


def arranged(view: View, order: Axes) -> Any:
    """Return the tensor of a view with other axes, which hold the same factors.

    Raises
    ------
    ValueError
        If they do not, or more is unknown than can be put into one layer.
    """
    tensor, groups = view.tensor, view.groups
    if groups == order:
        return tensor
    flat = [f for group in order for f in group]
    if {id(f) for group in groups for f in group} != {id(f) for f in flat}:
        raise RefusedError("axes that were one, or are not there, are wanted apart.")
    now = [f for group in groups for f in group]
    place = next((i for i, g in enumerate(order) if len(g) == 1 and g[0].batch), 0)
    if now != flat and place and groups[0] == order[place]:
        # Axes are made one while the batch is in front: two sizes may be unknown then.
        inner = [order[place], *order[:place], *order[place + 1 :]]
        turned = [*range(1, place + 1), 0, *range(place + 1, len(order))]
        return ops.transpose(arranged(view, inner), turned)
    if now != flat:
        tensor = _reshaped(tensor, groups, [(f,) for f in now])
        tensor = _permuted(tensor, [now.index(f) for f in flat], now)
        groups = [(f,) for f in flat]
    return _reshaped(tensor, groups, order)


def _permuted(tensor: Any, axes: list[int], factors: list[Factor]) -> Any:
    if axes == list(range(len(axes))):
        return tensor
    if axes[0] == 0 and factors[0].batch and _is_float(tensor):
        return layers.Permute(axes[1:])(tensor)
    return ops.transpose(tensor, axes)


def _is_float(tensor: Any) -> bool:
    """Whether a layer leaves the type of a tensor as it is."""
    return str(tensor.dtype).startswith("float")


def _reshaped(tensor: Any, groups: Axes, order: Axes) -> Any:
    """Return a tensor whose factors, in the same order, make up other axes."""
    if groups == order:
        return tensor
    sizes = [None if isinstance(n := size_of(group), Size) else n for group in order]
    first = groups[0] if groups else ()
    batch_first = len(first) == 1 and first[0].batch and order[:1] == [first]
    rest = sizes[1:] if batch_first else sizes
    if rest.count(None) <= 1:
        target = [-1 if size is None else size for size in rest]
        if batch_first and _is_float(tensor):
            return layers.Reshape(target)(tensor)
        if batch_first and -1 not in target:
            return ops.reshape(tensor, [-1, *target])
        if batch_first:
            return ops.cast(layers.Reshape(target)(tensor), tensor.dtype)
        return ops.reshape(tensor, target)
    if [g for g in groups if g] == [g for g in order if g]:  # only axes of one come or go
        gone = [i for i, group in enumerate(groups) if not group]
        tensor = ops.squeeze(tensor, gone) if gone else tensor
        new = [i for i, group in enumerate(order) if not group]
        return ops.expand_dims(tensor, new) if new else tensor
    raise RefusedError("axes of which two have no known size are made one, or parted.")


def alone(view: View, axis: int) -> tuple[Any, Axes, int]:
    """Return the tensor with one of ONNX's axes as an axis of its own, groups, and its place."""
    wanted = view.axes[axis]
    if wanted in view.groups and wanted:
        return view.tensor, view.groups, view.groups.index(wanted)
    inside = {id(f) for f in wanted}
    if not wanted:
        groups = [*view.groups, ()]
        return arranged(view, groups), groups, len(groups) - 1
    groups = []
    for group in view.groups:
        if not any(id(f) in inside for f in group):
            groups.append(group)
            continue
        for f in group:
            if id(f) not in inside:
                groups.append((f,))
            elif wanted not in groups:
                groups.append(wanted)
    groups.sort(key=lambda g: not (g and g[0].batch))
    return arranged(view, groups), groups, groups.index(wanted)


def last(view: View, axis: int = -1) -> tuple[Any, Axes]:
    """Return the tensor with one of ONNX's axes as its last, and the groups before it."""
    tensor, groups, place = alone(view, axis % view.rank)
    order = [g for i, g in enumerate(groups) if i != place]
    wanted = [*order, groups[place]]
    if place != len(groups) - 1:
        tensor = arranged(View(tensor, groups, []), wanted)
    return tensor, order


def constant_like(array: np.ndarray, view: View, node: Any) -> tuple[np.ndarray, View]:
    """Return a constant that fits a view's tensor under broadcasting, and the view.

    Axes that the view has not, or that are one there, are put into it.

    Raises
    ------
    ValueError
        If the constant holds for one batch size only.
    """
    rank = max(array.ndim, view.rank)
    axes: Axes = [()] * (rank - view.rank) + view.axes
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    new: list[Factor] = []
    for place, axis in enumerate(axes):
        size = array.shape[place]
        if size == 1:
            continue
        if len(axis) == 1 and axis[0].batch and axis[0].size is None:
            if not (array == array.take([0], place)).all():
                raise BoundBatchError(f"{node}: a constant differs from row to row of the batch.")
            array = array.take([0], place)
        elif not axis:
            new.append(Factor(size))
            axes[place] = (new[-1],)
        elif not _known(axis) or size_of(axis) != size:
            raise node.refuse(f"a constant of shape {array.shape} does not fit {size} entries.")
    parts: dict[int, int] = {}  # from a factor to the constant's axis
    split: list[int] = []
    for place, axis in enumerate(axes):
        size = array.shape[place]
        if not axis:
            split.append(1)
        for f in axis:
            parts[id(f)] = len(split)
            split.append(1 if size == 1 else int(f.size or 1))
    tensor = arranged(view, [*view.groups, *([()] * len(new))]) if new else view.tensor
    # The tensor has ones where the new factors are; what is computed with the constant has not.
    groups: Axes = [*view.groups, *((f,) for f in new)]
    fitting = _grouped(array.reshape(split), parts, groups)
    return fitting, View(tensor, groups, axes, view.order)


def _known(axis: tuple[Factor, ...]) -> bool:
    return all(f.size is not None for f in axis)


def _grouped(array: np.ndarray, parts: dict[int, int], groups: Axes) -> np.ndarray:
    """Return a constant, whose axes are single factors, in the axes of a tensor."""
    used = [parts[id(f)] for group in groups for f in group if id(f) in parts]
    rest = [i for i in range(array.ndim) if i not in used]  # all of them ones
    array = array.transpose([*used, *rest]).reshape([array.shape[i] for i in used])
    shape, place = [], 0
    for group in groups:
        known = [f for f in group if id(f) in parts]
        sizes = array.shape[place : place + len(known)]
        if math.prod(sizes) > 1 and len(known) > 1:
            full = [int(f.size or 1) for f in known]
            lead, tail = array.shape[:place], array.shape[place + len(known) :]
            array = np.broadcast_to(array, (*lead, *full, *tail))
            sizes = tuple(full)
        shape.append(math.prod(sizes))
        place += len(known)
    return np.ascontiguousarray(array).reshape(shape)


def together(views: list[View], node: Any) -> tuple[list[Any], Axes, Axes]:
    """Return tensors that fit one another under broadcasting, their groups, and ONNX's axes.

    Raises
    ------
    ValueError
        If axes do not fit, or rows come in different orders.
    """
    if len({id(v.order) for v in views}) > 1:
        raise node.refuse("it joins rows that were sorted with rows that were not.")
    first = views[0]
    if all(v.groups == first.groups and v.axes == first.axes for v in views):
        return [v.tensor for v in views], first.groups, first.axes
    rank = max(v.rank for v in views)
    axes: Axes = [()] * rank
    maps: list[dict[int, Factor]] = [{} for _ in views]
    used: dict[int, int] = {}  # on which axis a factor is
    padded = [[()] * (rank - v.rank) + v.axes for v in views]
    for place in range(rank):
        for of_view, same in zip(padded, maps, strict=True):
            axis = of_view[place]
            if axis and not axes[place]:
                axes[place] = tuple(_only_here(f, place, used, same, node) for f in axis)
            elif axis and axis != axes[place]:
                _unify(axes[place], axis, same, node)
    order = sorted((f for axis in axes for f in axis), key=lambda f: not f.batch)
    if not any(f.batch for f in order):  # a batch of one, which ONNX squeezed away
        order = [*dict.fromkeys(f for v in views for f in v.factors() if f.batch), *order]
    tensors = []
    for view, same in zip(views, maps, strict=True):
        groups = [tuple(same.get(id(f), f) for f in group) for group in view.groups]
        own = {id(f) for group in groups for f in group}
        if not own <= {id(f) for f in order}:
            raise node.refuse("its operands have no axes in common.")
        wanted: Axes = [(f,) if id(f) in own else () for f in order]
        tensors.append(arranged(View(view.tensor, groups, []), wanted))
    return tensors, [(f,) for f in order], axes


def _only_here(
    f: Factor, place: int, used: dict[int, int], same: dict[int, Factor], node: Any
) -> Factor:
    """Return a factor, or a new one of its size if it is on another axis already."""
    if used.setdefault(id(f), place) == place:
        return f
    if f.batch:
        raise BoundBatchError(f"{node}: it puts the batch on two axes.")
    same[id(f)] = Factor(f.size)
    used[id(same[id(f)])] = place
    return same[id(f)]


def _unify(axis: Any, other: Any, same: dict[int, Factor], node: Any) -> None:
    """Note that the factors of two axes are the same."""
    fits = len(axis) == len(other)
    for one, two in zip(axis, other, strict=False):
        fits = fits and one.batch == two.batch and one.size == two.size
        same[id(two)] = one
    if not fits:
        if any(f.batch for f in (*axis, *other)):
            raise BoundBatchError(f"{node}: it joins the batch with another axis.")
        raise node.refuse(f"its operands have {size_text(axis)} and {size_text(other)} entries.")


def size_text(axis: tuple[Factor, ...]) -> str:
    """Return the size of an axis for a message."""
    found = size_of(axis)
    return "unknown" if isinstance(found, Size) else str(found)
