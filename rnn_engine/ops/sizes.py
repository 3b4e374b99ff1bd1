"""How large what an op gives will be, before it is computed: a file may ask for any size."""

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnn_engine.graph import flatten

LARGEST = 1 << 26
"""So many numbers an op out of a file may give, three rows of a batch counted."""
_ROWS, _UNKNOWN = 3, 23  # sizes that are not known, as `symbolic.spec_of` tries them
# What gives as many entries as its settings say, whatever its inputs.
_BY_SETTINGS = {
    "arange", "bincount", "broadcast_to", "eye", "full", "full_like", "identity", "linspace",
    "logspace", "multi_hot", "one_hot", "ones", "pad", "repeat", "segment_max", "segment_sum",
    "tile", "tri", "vander", "zeros", "image_resize", "resize", "extract_sequences", "unfold",
    "fft", "rfft", "irfft", "fft2", "ifft2", "stft", "istft",
}  # fmt: skip
# What pairs each entry with each other one.
_PRODUCTS = {"outer", "kron", "meshgrid", "cdist", "convolve", "correlate"}


def check_size(op: str, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Refuse a call of an op whose result would be too large.

    Raises
    ------
    ValueError
        If it is.
    """
    given = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    shapes = [shape_of(leaf) for leaf in flatten(list(given.values())) if hasattr(leaf, "shape")]
    size = _size(op, given, shapes)
    if size > LARGEST:
        raise ValueError(
            f"The op {op!r} would give {size} numbers, more than is taken from a file ({LARGEST})."
        )


def shape_of(tensor: Any) -> tuple[int, ...]:
    """Return a shape with numbers for what is not known."""
    return tuple(
        n if n is not None else _UNKNOWN if place else _ROWS for place, n in enumerate(tensor.shape)
    )


def _size(op: str, given: dict[str, Any], shapes: list[tuple[int, ...]]) -> int:
    sizes = [math.prod(shape) for shape in shapes]
    if op in _BY_SETTINGS:
        whole = [abs(n) for n in _whole(list(given.values())) if abs(n) > 1]
        return math.prod(whole) * max(1, *sizes, 1)
    if op in _PRODUCTS:
        return math.prod(max(n, 1) for n in sizes)
    if op == "einsum":
        return _of_labels(str(given.get("subscripts", "")), shapes)
    if op in ("matmul", "dot", "inner", "tensordot", "vdot") and len(shapes) == 2:
        contracted = _contracted(op, given, shapes[0])
        return sizes[0] * sizes[1] // max(contracted, 1) ** 2
    if op in ("concatenate", "stack", "hstack", "vstack", "dstack", "append"):
        return sum(sizes)
    try:
        return math.prod(np.broadcast_shapes(*shapes))
    except ValueError:  # it says itself what is wrong, or is no sum of such shapes
        return max([1, *sizes])


def _whole(value: Any) -> Iterator[int]:
    """Yield the whole numbers in settings, also in arrays."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _whole(part)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.size:
        yield int(value.sum() if value.ndim else value)
    elif isinstance(value, int | float | np.number) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError("a size out of the file is no number.")
        yield int(value)


def _contracted(op: str, given: dict[str, Any], shape: tuple[int, ...]) -> int:
    axes = given.get("axes", 2) if op == "tensordot" else 1
    if isinstance(axes, int):
        return math.prod(shape[len(shape) - axes :]) if 0 < axes <= len(shape) else 1
    first = axes[0] if isinstance(axes, list | tuple) and axes else ()
    places = [first] if isinstance(first, int) else list(first)
    return math.prod(shape[i] for i in places if -len(shape) <= i < len(shape))


def _of_labels(subscripts: str, shapes: list[tuple[int, ...]]) -> int:
    terms, _, result = subscripts.replace(" ", "").replace("...", "").partition("->")
    known: dict[str, int] = {}
    rest = 1  # axes that dots stand for
    for term, shape in zip(terms.split(","), shapes, strict=False):
        known.update(zip(term[::-1], shape[::-1], strict=False))
        rest = max(rest, math.prod(shape[: max(len(shape) - len(term), 0)]))
    return rest * math.prod(known.get(label, 1) for label in (result or "".join(known)))
