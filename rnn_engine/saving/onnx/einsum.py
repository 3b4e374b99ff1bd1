"""`Einsum`: products over axes that an equation names."""

import re
from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine import ops as _ops
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.graph import Node
from rnn_engine.saving.onnx.views import Axes, BoundBatchError, Factor, View, arranged, size_of

ops: Any = _ops  # its names come from a table

_FORM = re.compile(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)")


@handles("Einsum")
def _einsum(b: Builder, node: Node, v: list[Any]) -> Any:
    found = _FORM.fullmatch(str(node.get("equation", "")).replace(" ", ""))
    if found is None or len(v) != 2:
        raise node.refuse("only an equation of two operands, without dots, is read.")
    one, two, result = found.groups()
    if any(len(set(labels)) != len(labels) for labels in (one, two, result)):
        raise node.refuse("it takes a diagonal.")
    if isinstance(v[0], np.ndarray):
        v, one, two = v[::-1], two, one
    view = b.view(node, v[0])
    if isinstance(v[1], View):
        return _of_two(node, (view, v[1]), (one, two), result)
    kernel = b.constant(node, v, 1, "second operand")
    if kernel is None or kernel.dtype.kind != "f" or len(one) != view.rank:
        raise node.refuse("its operands do not fit its equation.")
    return _dense(b, node, view, kernel, (one, two, result))


def _dense(
    b: Builder, node: Node, view: View, kernel: np.ndarray, labels: tuple[str, str, str]
) -> View:
    one, two, result = labels
    axes = dict(zip(one, view.axes, strict=True))
    sizes = dict(zip(two, kernel.shape, strict=False))
    fits = len(two) == kernel.ndim and set(two) <= {*one, *result} and set(one) <= {*two, *result}
    fits = fits and all(size_of(axes[x]) == sizes[x] for x in two if x in axes)
    if not fits or not set(result) <= {*one, *two}:
        raise node.refuse("its constant does not fit its equation.")
    rows = _rows(node, axes)
    if rows in two or rows not in result:
        raise BoundBatchError(f"{node}: it sums over the batch, or multiplies along it.")
    given = rows + one.replace(rows, "")
    wanted = rows + result.replace(rows, "")
    shape = [None if x in axes else sizes[x] for x in wanted[1:]]
    made = layers.EinsumDense(f"{given},{two}->{wanted}", shape, dtype=kernel.dtype.name)
    y = b.layer(made, arranged(view, [axes[x] for x in given]), weights=[kernel])
    axes.update((x, (Factor(n),) if n > 1 else ()) for x, n in sizes.items() if x not in axes)
    return View(y, [axes[x] for x in wanted], [axes[x] for x in result], view.order)


def _of_two(node: Node, views: tuple[View, View], labels: tuple[str, str], result: str) -> View:
    axes: dict[str, tuple[Factor, ...]] = {}
    for view, terms in zip(views, labels, strict=True):
        if len(terms) != view.rank:
            raise node.refuse("its operands do not fit its equation.")
        for label, axis in zip(terms, view.axes, strict=True):
            other = axes.setdefault(label, axis)
            same = len(axis) == len(other) and all(
                f.size == g.size and f.batch == g.batch for f, g in zip(axis, other, strict=True)
            )
            if not same:
                raise node.refuse("its operands have other sizes along an axis.")
    rows = _rows(node, axes)
    if views[0].order is not views[1].order or rows not in result or not set(result) <= set(axes):
        raise node.refuse("it joins rows in other orders, or sums over the batch.")
    given = [(rows if rows in terms else "") + terms.replace(rows, "") for terms in labels]
    tensors = []
    for view, terms, ordered in zip(views, labels, given, strict=True):
        own = dict(zip(terms, view.axes, strict=True))
        tensors.append(arranged(view, [own[x] for x in ordered]))
    wanted = rows + result.replace(rows, "")
    y = ops.einsum(f"{given[0]},{given[1]}->{wanted}", *tensors)
    groups: Axes = [axes[x] for x in wanted]
    return View(y, groups, [axes[x] for x in result], views[0].order)


def _rows(node: Node, axes: dict[str, tuple[Factor, ...]]) -> str:
    """Return the label of the batch."""
    found = [label for label, axis in axes.items() if any(f.batch for f in axis)]
    if len(found) != 1:
        raise node.refuse("the batch is not one of its axes.")
    return found[0]
