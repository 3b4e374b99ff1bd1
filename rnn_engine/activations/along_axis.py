"""The activations that look along an axis: softmax, log_softmax, sparsemax, glu."""

from typing import Any

import numpy as np

from rnn_engine.activations.base import Activation, as_floats, in_a_graph, registry
from rnn_engine.activations.elementwise import ENTRIES
from rnn_engine.autodiff import recording
from rnn_engine.checks import compact
from rnn_engine.kernels import softmax as kernels
from rnn_engine.kernels import threads

Axis = int | tuple[int, ...] | None

# An element of softmax takes as long as about so many multiply-adds.
_WORK = 16


class AlongAxis(Activation):
    """An activation of rows along `axis`; None takes the whole array as one row.

    `_forward` and `_backward` get rows (N, C), contiguous.
    """

    code = None

    def __init__(self, name: str, axis: Axis = -1) -> None:
        self.axis = tuple(axis) if isinstance(axis, list) else axis
        self.registered_name = name
        self.name = self.__name__ = name if axis == -1 else f"{name}_along_{axis}"

    def with_arguments(self, axis: Axis = -1) -> "AlongAxis":
        """Return the activation along another axis, or several together."""
        return self if axis == self.axis else type(self)(self.registered_name, axis)

    def get_config(self) -> dict[str, Any]:
        """Return the axis, if it is not the last."""
        return {} if self.axis == -1 else {"axis": self.axis}

    def _rows(self, array: np.ndarray) -> tuple[np.ndarray, list[int], tuple[int, ...]]:
        """Return the rows, and the order of axes and the shape that they came from."""
        ndim = array.ndim
        axis = self.axis
        given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        for a in given:
            if not -ndim <= a < ndim:
                raise ValueError(
                    f"axis {a} of {self.registered_name} is out of range for an input of shape "
                    f"{array.shape}."
                )
        last = [a % ndim for a in given]
        order = [a for a in range(ndim) if a not in last] + last
        moved = array.transpose(order)
        # The first axes as they lie in memory: a time-major sequence is not copied.
        head = sorted(range(ndim - len(last)), key=lambda i: -abs(moved.strides[i]))
        order = [order[i] for i in head] + last
        moved = array.transpose(order)
        size = int(np.prod([array.shape[a] for a in last]))
        return compact(moved).reshape(-1, size), order, moved.shape

    @staticmethod
    def _back(rows: np.ndarray, order: list[int], shape: tuple[int, ...]) -> np.ndarray:
        return rows.reshape(shape).transpose(np.argsort(order))

    def __call__(self, x: Any, axis: Axis = -1) -> np.ndarray:
        """Return the activation of every row along `axis`, in the float type of `x`."""
        if axis != -1:
            return self.with_arguments(axis)(x)
        if type(x) is not np.ndarray or recording.OPEN:
            special = in_a_graph(self, x)
            if special is not None:
                return special
        source = as_floats(x)
        if not source.size:
            return source.copy()
        rows, order, shape = self._rows(source)
        return self._back(self._forward(rows), order, shape)

    def backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        """Return the gradient by the input; `saved` is the output, or the input if `from_input`."""
        if not saved.size:
            return np.zeros_like(saved)
        rows, order, shape = self._rows(saved)
        moved = compact(dy.astype(saved.dtype, copy=False).transpose(order)).reshape(rows.shape)
        return self._back(self._backward(moved, rows), order, shape)

    def _forward(self, x: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} must define _forward(x).")

    def _backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} must define _backward(dy, saved).")


class Softmax(AlongAxis):
    """eˣ over its sum along an axis, with the maximum taken off first.

    Mirrors `keras.activations.softmax`.

    Examples
    --------
    >>> softmax = Softmax("softmax")
    >>> softmax([[0.0, 0.0], [1.0, -np.inf]])
    array([[0.5, 0.5],
           [1. , 0. ]], dtype=float32)
    """

    logarithm = False

    @property
    def leaves_logits(self) -> bool:
        """See `Activation.leaves_logits`; Keras has another formula for several axes."""
        return not self.logarithm and not isinstance(self.axis, tuple)

    def _forward(self, x: np.ndarray) -> np.ndarray:
        return self.fill(x, np.empty_like(x))

    def _backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        return self.fill_back(dy, saved, np.empty_like(saved))

    def fill(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Write the activation of rows (N, C) into `y`, which may be `x` itself; return it."""
        tasks = threads.tasks(x.size * _WORK, len(x))
        args = (x, ENTRIES["exponential"].code, self.logarithm, y)
        if tasks == 1:
            kernels.forward_rows(*args, 0, len(x))
        else:
            kernels.forward_tasks(*args, tasks)
        return y

    def fill_back(self, dy: np.ndarray, saved: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """Write the gradient by the rows into `dx`, which must not be `dy`; return it."""
        tasks = threads.tasks(saved.size * _WORK, len(saved))
        args = (dy, saved, ENTRIES["exponential"].code, self.logarithm, dx)
        if tasks == 1:
            kernels.backward_rows(*args, 0, len(saved))
        else:
            kernels.backward_tasks(*args, tasks)
        return dx


class LogSoftmax(Softmax):
    """The logarithm of softmax. Mirrors `keras.activations.log_softmax`."""

    logarithm = True


class Sparsemax(AlongAxis):
    """The point of the simplex nearest to x: max(x - τ, 0), τ such that the sum is 1.

    Mirrors `keras.activations.sparsemax`, but for rows with several entries above τ, of
    which Keras (3.15) adds up the wrong sums: its rows do not sum to 1. The source is
    "From Softmax to Sparsemax", Martins and Astudillo 2016.
    """

    def _forward(self, x: np.ndarray) -> np.ndarray:
        falling = -np.sort(-x, axis=-1)
        sums = np.cumsum(falling, axis=-1)
        ranks = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
        support = (falling - (sums - 1) / ranks > 0).sum(axis=-1, keepdims=True)
        # A row with a NaN has no support, and becomes NaN below.
        last = np.take_along_axis(sums, np.maximum(support, 1) - 1, axis=-1)
        tau = (last - 1) / np.maximum(support, 1).astype(x.dtype)
        return np.maximum(x - tau, 0)

    def _backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        support = saved > 0
        count = support.sum(axis=-1, keepdims=True).astype(saved.dtype)
        mean = (dy * support).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
        return (dy - mean) * support


class GLU(AlongAxis):
    """a·sigmoid(b), a and b the two halves of x along an axis.

    Mirrors `keras.activations.glu`. The output has half as many entries along the axis.

    Raises
    ------
    ValueError
        If their number is odd, or `axis` is not a single one.
    """

    from_input = True

    def _forward(self, x: np.ndarray) -> np.ndarray:
        a, b = self._halves(x)
        return a * ENTRIES["sigmoid"](b)

    def _backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        a, b = self._halves(saved)
        gate = ENTRIES["sigmoid"](b)
        return np.concatenate([dy * gate, dy * a * gate * (1 - gate)], axis=-1)

    @staticmethod
    def _halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = x.shape[-1] // 2
        return x[:, :half], x[:, half:]

    def _rows(self, array: np.ndarray) -> tuple[np.ndarray, list[int], tuple[int, ...]]:
        if not isinstance(self.axis, int):
            raise ValueError(f"axis of glu must be an integer, got {self.axis!r}.")
        rows, order, shape = super()._rows(array)
        if shape[-1] % 2:
            raise ValueError(
                f"axis size must be divisible by 2. Received: x.shape={array.shape} with "
                f"axis={self.axis}"
            )
        return rows, order, shape

    def __call__(self, x: Any, axis: Axis = -1) -> np.ndarray:
        """Return an array with half as many entries along `axis`."""
        if axis != -1:
            return self.with_arguments(axis)(x)
        if type(x) is not np.ndarray or recording.OPEN:
            special = in_a_graph(self, x)
            if special is not None:
                return special
        source = as_floats(x)
        rows, order, shape = self._rows(source)
        return self._back(self._forward(rows), order, (*shape[:-1], shape[-1] // 2))

    def backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        """Return the gradient by the input `saved`."""
        rows, order, shape = self._rows(saved)
        moved = compact(dy.astype(saved.dtype, copy=False).transpose(order))
        half = moved.reshape(len(rows), -1)
        return self._back(self._backward(half, rows), order, shape)


for _entry in (Softmax("softmax"), LogSoftmax("log_softmax"), Sparsemax("sparsemax"), GLU("glu")):
    registry.register(_entry.name)(_entry)
