"""Layers that make one array of several, element by element: `Add`, `Multiply`, `Maximum`...

A layer of several inputs takes a list of arrays, a list of masks (or None), and gives back
a list of gradients.
"""

from typing import Any

import numpy as np

from rnn_engine.checks import as_float_array
from rnn_engine.layers.base import Shape, registry
from rnn_engine.layers.several_inputs import SeveralInputs


class Merge(SeveralInputs):
    """Base of the layers of several inputs (a list or tuple of arrays).

    Raises
    ------
    ValueError
        If the inputs are no list, their batch sizes differ, or their shapes do not fit.
    """

    # How many inputs there have to be; None: any number.
    count: int | None = None

    def convert(self, inputs: Any) -> Any:
        """Return the inputs as a list of arrays of the layer's type."""
        if not isinstance(inputs, list | tuple):
            raise ValueError(
                f"A merge layer should be called on a list of inputs. Received: inputs of type "
                f"{type(inputs).__name__} for {type(self).__name__} (not a list of tensors)"
            )
        return [as_float_array(x, self._np_dtype, f"inputs[{i}]") for i, x in enumerate(inputs)]

    def create_weights(self, input_shape: Any) -> None:
        """Check the shapes."""
        self.check_shapes(input_shape)

    def check_shapes(self, shapes: Any) -> None:
        """Raise ValueError unless inputs of these shapes can be merged."""
        name = type(self).__name__
        if not shapes or not all(isinstance(shape, list | tuple) for shape in shapes):
            raise ValueError(
                f"A merge layer should be called on a list of inputs. Received: "
                f"input_shape={shapes} for {name} (not a list of shapes)"
            )
        if self.count is not None and len(shapes) != self.count:
            raise ValueError(
                f"A `{name}` layer should be called on exactly {self.count} inputs. Received: "
                f"input_shape={shapes}"
            )
        if len({shape[0] for shape in shapes if shape} - {None}) > 1:
            raise ValueError(
                f"Cannot merge tensors with different batch sizes. Received tensors with shapes "
                f"{list(map(tuple, shapes))}"
            )
        self._shape_below(shapes)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that all inputs are broadcast to."""
        merged: Shape = tuple(input_shape[0][1:])
        for shape in input_shape[1:]:
            merged = _broadcast(merged, tuple(shape[1:]))
        batch = {shape[0] for shape in input_shape if shape} - {None}
        return (batch.pop() if len(batch) == 1 else None, *merged)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where any input's mask is open; None if one has none."""
        masks = check_masks(inputs, mask)
        if any(m is None for m in masks):
            return None
        merged = np.asarray(masks[0], bool)
        for other in masks[1:]:
            merged = merged | np.asarray(other, bool)
        return merged


def check_masks(inputs: Any, mask: Any) -> Any:
    """Return the masks of a list of inputs as a list, all None if there are none.

    Raises
    ------
    ValueError
        If there is no mask, or None, for each input.
    """
    if mask is None:
        return [None] * len(inputs)
    if not isinstance(mask, list | tuple):
        raise ValueError(f"`mask` should be a list. Received: mask={mask}")
    if len(mask) != len(inputs):
        raise ValueError(
            "The lists `inputs` and `mask` should have the same length. Received: inputs of length "
            f"{len(inputs)}, and mask of length {len(mask)}"
        )
    return list(mask)


def _broadcast(first: Shape, second: Shape) -> Shape:
    """Return the shape of an operation between samples of two shapes, None unknown."""
    if len(first) < len(second):
        first, second = second, first
    if not second:
        return first
    merged: list[int | None] = list(first[: -len(second)])
    for i, j in zip(first[-len(second) :], second, strict=True):
        if i is None or j is None:
            merged.append(None)
        elif i != j and 1 not in (i, j):
            raise ValueError(
                f"Inputs have incompatible shapes. Received shapes {first} and {second}"
            )
        else:
            merged.append(j if i == 1 else i)
    return tuple(merged)


class Elementwise(Merge):
    """Base of the layers that compute each element of the output from one of each input.

    Inputs of fewer axes get axes of size one behind the batch; sizes of one are broadcast.
    """

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        """Return the merged inputs."""
        self.check_input(x)
        masks = check_masks(x, mask)
        rank = max(part.ndim for part in x)
        if any(part.ndim != rank for part in x):
            masks = [None] * len(x)  # as in Keras, whose reshape forgets them
        parts = [part.reshape(len(part), *[1] * (rank - part.ndim), *part.shape[1:]) for part in x]
        opened = [
            None if m is None else np.broadcast_to(np.asarray(m, bool)[..., None], part.shape)
            for m, part in zip(masks, parts, strict=True)
        ]
        y, saved = self.merge(parts, opened)
        return y, ([part.shape for part in x], [part.shape for part in parts], y.shape, saved)

    def merge(self, parts: list[np.ndarray], masks: list[Any]) -> Any:
        """Return the output, and what `slopes` needs; masks have the shapes of the parts."""
        raise TypeError(f"{type(self).__name__} must define merge(parts, masks).")

    def slopes(self, dy: np.ndarray, saved: Any, count: int) -> list[np.ndarray]:
        """Return the gradient by each of `count` parts, of the part's shape or a broadcast one."""
        raise TypeError(f"{type(self).__name__} must define slopes(dy, saved, count).")

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Return the gradients by the inputs, a list."""
        if not need_dx:
            return None
        outer, inner, shape, kept = saved
        slopes = self.slopes(self.gradient_like(dy, shape), kept, len(outer))
        return [
            _unbroadcast(slope, shape).reshape(given)
            for slope, shape, given in zip(slopes, inner, outer, strict=True)
        ]


def _unbroadcast(slope: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the sums over the axes along which an array of `shape` was broadcast."""
    axes = tuple(i for i, (m, n) in enumerate(zip(slope.shape, shape, strict=True)) if m != n)
    return slope.sum(axis=axes, keepdims=True) if axes else slope


@registry.register()
class Add(Elementwise):
    """Sum of the inputs (`keras.layers.Add`).

    Shapes are those of one another, or broadcast. The mask of the output is open where
    that of any input is, and None if one has none.

    Examples
    --------
    >>> Add()([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])])
    array([[11., 22.]], dtype=float32)
    """

    def merge(self, parts: list[np.ndarray], masks: list[Any]) -> Any:
        """Return the sum, from the first to the last."""
        y = parts[0]
        for part in parts[1:]:
            y = y + part
        return y, None

    def slopes(self, dy: np.ndarray, saved: Any, count: int) -> list[np.ndarray]:
        """Return dy for each."""
        return [dy] * count


@registry.register()
class Average(Add):
    """Mean of the inputs (`keras.layers.Average`); shapes and masks as in `Add`.

    Examples
    --------
    >>> Average()([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])])
    array([[2., 4.]], dtype=float32)
    """

    def merge(self, parts: list[np.ndarray], masks: list[Any]) -> Any:
        """Return the mean."""
        y, saved = super().merge(parts, masks)
        return y / y.dtype.type(len(parts)), saved

    def slopes(self, dy: np.ndarray, saved: Any, count: int) -> list[np.ndarray]:
        """Return dy / count for each."""
        return [dy / dy.dtype.type(count)] * count


@registry.register()
class Subtract(Elementwise):
    """First input minus second (`keras.layers.Subtract`); shapes and masks as in `Add`.

    Examples
    --------
    >>> Subtract()([np.array([[5.0]]), np.array([[2.0]])])
    array([[3.]], dtype=float32)
    """

    count = 2

    def merge(self, parts: list[np.ndarray], masks: list[Any]) -> Any:
        """Return the difference."""
        return parts[0] - parts[1], None

    def slopes(self, dy: np.ndarray, saved: Any, count: int) -> list[np.ndarray]:
        """Return dy and -dy."""
        return [dy, -dy]


@registry.register()
class Multiply(Elementwise):
    """Product of the inputs (`keras.layers.Multiply`); shapes as in `Add`.

    Where the mask of an input is closed it counts as one; where those of all inputs are
    closed, the output is zero.

    Examples
    --------
    >>> Multiply()([np.array([[5.0]]), np.array([[2.0]])])
    array([[10.]], dtype=float32)
    """

    def merge(self, parts: list[np.ndarray], masks: list[Any]) -> Any:
        """Return the product; saves the factors, the masks and where the output is open."""
        one, zero = (parts[0].dtype.type(number) for number in (1, 0))
        factors = [
            part if m is None else np.where(m, part, one)
            for part, m in zip(parts, masks, strict=True)
        ]
        y = factors[0]
        for factor in factors[1:]:
            y = y * factor
        is_open = None
        if all(m is not None for m in masks):
            is_open = masks[0]
            for m in masks[1:]:
                is_open = is_open | m
            y = np.where(is_open, y, zero)
        return y, (factors, masks, is_open)

    def slopes(self, dy: np.ndarray, saved: Any, count: int) -> list[np.ndarray]:
        """Return dy times the product of the other factors."""
        factors, masks, is_open = saved
        if is_open is not None:
            dy = dy * is_open
        # before: dy times those in front; behind: the product of those that follow.
        before, behind = [dy], [dy.dtype.type(1)]
        for factor in factors[:-1]:
            before.append(before[-1] * factor)
        for factor in factors[:0:-1]:
            behind.append(behind[-1] * factor)
        slopes = [a * b for a, b in zip(before, behind[::-1], strict=True)]
        return [slope if m is None else slope * m for slope, m in zip(slopes, masks, strict=True)]


class Extreme(Elementwise):
    """Base of `Maximum` and `Minimum`: the output is one of the inputs, the first of equal ones.

    Where the mask of an input is closed the others decide.
    """

    def wins(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether the first of two numbers is taken, or both are equal."""
        raise TypeError(f"{type(self).__name__} must define wins(first, second).")

    def best(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the larger, or smaller, of two numbers; NaN if one is."""
        raise TypeError(f"{type(self).__name__} must define best(first, second).")

    def merge(self, parts: list[np.ndarray], masks: list[Any]) -> Any:
        """Fold the inputs one after the other; saves what was decided where."""
        y, is_open, steps = parts[0], masks[0], []
        for x, m in zip(parts[1:], masks[1:], strict=True):
            shown = x if m is None else np.where(m, x, y)
            left = y if is_open is None else np.where(is_open, y, shown)
            steps.append((m, is_open, self.wins(left, shown), y.shape))
            y = self.best(left, shown)
            is_open = None if m is None or is_open is None else is_open | m
        return y, steps

    def slopes(self, dy: np.ndarray, saved: Any, count: int) -> list[np.ndarray]:
        """Return dy for the input that was taken, zero for the others."""
        slopes, running = [], dy
        for m, is_open, first, shape in reversed(saved):
            left, shown = running * first, running * ~first
            before = left
            if is_open is not None:
                before, shown = left * is_open, shown + left * ~is_open
            if m is not None:
                before, shown = before + shown * ~m, shown * m
            slopes.append(shown)
            running = _unbroadcast(before, shape)
        return [running, *slopes[::-1]]


@registry.register()
class Maximum(Extreme):
    """Largest of the inputs, element by element (`keras.layers.Maximum`); shapes as in `Add`.

    Where the mask of an input is closed, the others decide. Of equal numbers the first one
    gets the gradient.

    Examples
    --------
    >>> Maximum()([np.array([[5.0, 1.0]]), np.array([[2.0, 3.0]])])
    array([[5., 3.]], dtype=float32)
    """

    def wins(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether the first is at least as large."""
        return first >= second

    def best(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the larger."""
        return np.maximum(first, second)


@registry.register()
class Minimum(Extreme):
    """Smallest of the inputs, element by element (`keras.layers.Minimum`); see `Maximum`.

    Examples
    --------
    >>> Minimum()([np.array([[5.0, 1.0]]), np.array([[2.0, 3.0]])])
    array([[2., 1.]], dtype=float32)
    """

    def wins(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether the first is at most as large."""
        return first <= second

    def best(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the smaller."""
        return np.minimum(first, second)


# --- as functions ---------------------------------------------------------------------


def add(inputs: Any, **kwargs: Any) -> Any:
    """Return what `Add` makes of a list of arrays (`keras.layers.add`).

    Examples
    --------
    >>> add([np.ones((1, 2)), np.ones((1, 2))])
    array([[2., 2.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """Return what `Average` makes of a list of arrays (`keras.layers.average`)."""
    return Average(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """Return what `Subtract` makes of two arrays (`keras.layers.subtract`)."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """Return what `Multiply` makes of a list of arrays (`keras.layers.multiply`)."""
    return Multiply(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """Return what `Maximum` makes of a list of arrays (`keras.layers.maximum`)."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """Return what `Minimum` makes of a list of arrays (`keras.layers.minimum`)."""
    return Minimum(**kwargs)(inputs)
