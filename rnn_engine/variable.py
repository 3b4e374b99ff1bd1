"""`Variable`: a named array that a layer, a metric or an optimizer owns."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import numpy as np

from rnn_engine.autodiff.recording import OPEN
from rnn_engine.checks import as_numbers
from rnn_engine.config import floatx
from rnn_engine.registry import kind_of
from rnn_engine.tensor import as_tensor

MOST_PARTS = 64
"""Sparse gradients that a variable keeps apart; a step of training has one a layer."""


class Writes:
    """How often weights were written to from outside of training: `assign`, `set_weights`, a file.

    Attributes
    ----------
    lock
        Held by whoever writes, so that another thread computes with all of the old weights or
        all of the new.
    count : int
        Odd while somebody writes. The updates of a training do not count: they come all the
        time, and each is a small step.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.count = 0

    def since(self, before: int) -> bool:
        """Whether somebody has written since the count was `before`, or did then."""
        return self.count != before or before & 1 == 1


writes = Writes()
if hasattr(os, "register_at_fork"):  # a child of `fork` must not find it taken
    os.register_at_fork(
        before=writes.lock.acquire,
        after_in_parent=writes.lock.release,
        after_in_child=writes.lock.release,
    )


@contextmanager
def writing(variables: "Iterable[Variable]") -> Iterator[None]:
    """Say that these variables are written to within the block, as one change.

    Packed weights are stale from its beginning on, and again from its end; what another
    thread predicts meanwhile it computes again.
    """
    written = list(variables)
    with writes.lock:
        outermost = not writes.count & 1
        writes.count += outermost
        for variable in written:
            variable.touch()
        try:
            yield
        finally:
            for variable in written:
                variable.touch()
            writes.count += outermost


def _recorded(function: Any, args: Any, kwargs: Any) -> Any:
    """Return what a function of NumPy gives for variables, as the open tapes record it."""
    from rnn_engine.autodiff.tape import apply_function  # above this module

    return apply_function(function, args, kwargs)


@contextmanager
def apart(variables: "Iterable[Variable]") -> "Iterator[Any]":
    """Collect what is added to gradients within the block, and leave the buffers as they were.

    Gives a function that returns the collected gradients, None where nothing was added.
    """
    listed = list(variables)
    kept = [(v._grad, v._cleared, v._parts) for v in listed]
    for variable in listed:
        variable._grad, variable._cleared, variable._parts = None, False, None
    found: list[Any] = []
    try:
        yield lambda: found
        found.extend(v.gradient if v._grad is not None or v._parts else None for v in listed)
    finally:
        for variable, state in zip(listed, kept, strict=True):
            variable._grad, variable._cleared, variable._parts = state


_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")


def _as_dtype(dtype: Any) -> np.dtype:
    try:
        return np.dtype(getattr(dtype, "name", dtype))
    except TypeError as error:
        raise ValueError(f"Invalid dtype: {dtype} ({error})") from None


class Variable(np.lib.mixins.NDArrayOperatorsMixin):
    """A named array with a stable identity: writing to it never moves it.

    Mirrors `keras.Variable` as far as a NumPy engine needs it. Kernels and
    optimizers work on `value` in place; `version` counts the writes, so that
    whoever keeps something derived (packed weights) knows when it is stale.
    `assign` is the only door for new values, and proves them.

    Parameters
    ----------
    value : array or callable
        Initial content; copied to a C-contiguous array of `dtype`. Or an initializer, which is
        called with `shape` and `dtype`.
    shape : tuple of int, optional
        For an initializer.
    dtype : str, optional
        That of `value` if None, and `config.floatx` for Python's numbers and lists.
    trainable : bool
        Whether an optimizer updates it.
    autocast, aggregation, synchronization
        Accepted, as in Keras: there is nothing to cast, and one process.
    name : str
        Last part of the path, such as ``"kernel"``.
    path : str, optional
        Full path, such as ``"simple_rnn/simple_rnn_cell/kernel"``; `name` if None.
    regularizer, constraint : callable, optional
        As given to the layer; applied by the training loop and the optimizer.
    adopt : bool
        Take `value` as it is if its type and order fit: nobody else has it.
    """

    def __init__(
        self,
        value: Any = None,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: Any = None,
        synchronization: Any = None,
        name: str | None = None,
        *,
        initial_value: Any = None,
        initializer: Any = None,
        path: str | None = None,
        regularizer: Any = None,
        constraint: Any = None,
        adopt: bool = False,
    ) -> None:
        # Keras's name of the first argument, and TensorFlow's.
        value = next((v for v in (value, initializer, initial_value) if v is not None), None)
        if value is None:
            raise TypeError(
                "Variable.__init__() missing 1 required positional argument: 'initializer'"
            )
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: "
                f"name={name} (of type {type(name)})"
            )
        if aggregation not in _AGGREGATIONS:
            raise ValueError(
                f"Invalid value for argument `aggregation`. Expected one of `None`, `'none'`, "
                f"`'mean'`, `'sum'`, `'only_first_replica'`. Received: aggregation={aggregation}"
            )
        name = name or "variable"
        if dtype is None and not hasattr(value, "dtype"):
            dtype = floatx()
        dtype = None if dtype is None else _as_dtype(dtype)
        value = kind_of("initializer").get(value) if isinstance(value, str) else value
        if callable(value) and not hasattr(value, "dtype"):
            if shape is None:
                raise ValueError(
                    f"When creating a Variable from an initializer, the `shape` argument should be "
                    f"specified. Received: initializer={value} and shape={shape}"
                )
            value = value(tuple(shape), dtype=dtype.name)
        make = np.asarray if adopt else np.array
        # A view, so that nobody can resize the memory that kernels write to.
        self._value: np.ndarray = make(value, dtype=dtype, order="C")[...]
        self.name = name
        self.path = path or name
        self.trainable = trainable
        self.regularizer = regularizer
        self.constraint = constraint
        self.version = 0
        self._grad: np.ndarray | None = None
        self._cleared = False  # whether the buffer's content is old, and counts as zero
        self._parts: list[Any] | None = None

    def _refuse(self, value: Any) -> None:
        if value is not self._value:  # `variable.value += 1` comes here with the array itself
            raise AttributeError(
                f"The array of variable {self.path!r} cannot be replaced: kernels and optimizers "
                f"hold on to it. Write new values with `assign(value)`."
            )
        self.touch()

    # With a getter in C, reading takes 25 ns more than a plain attribute.
    value: Any = property(attrgetter("_value"), _refuse, doc="The array; read or write in place.")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._value.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.value.ndim

    @property
    def dtype(self) -> str:
        """Name of the element type, as in Keras a string."""
        return self.value.dtype.name

    @property
    def grad(self) -> np.ndarray:
        """Gradient buffer of the shape of `value`, made zero on first use.

        Backward kernels add to it; the training loop clears it. Rows given to
        `add_sparse` are added to it first, so it is the whole gradient.
        """
        if self._grad is None:
            self._grad = np.zeros_like(self.value)
        elif self._cleared:
            self._grad.fill(0)
        self._cleared = False
        if self._parts:
            for part in self._parts:
                part.add_to(self._grad)
            self._parts.clear()
        return self._grad

    def gradient_to_fill(self) -> tuple[np.ndarray, bool]:
        """Return the buffer, and whether to overwrite it rather than add to it.

        For layers with large weights, which would otherwise first be filled with zeros.
        """
        buffer = self._grad
        if buffer is not None and self._cleared and not self._parts:
            self._cleared = False
            return buffer, True
        return self.grad, False

    def add_sparse(self, part: Any) -> None:
        """Add the gradient of some rows (a `SparseGrad`), without a buffer for the others.

        From then on `gradient` is sparse too, unless `grad` was asked for since
        `clear_gradient`.
        """
        if self._parts is None:
            self._parts = []
        if len(self._parts) >= MOST_PARTS:  # nobody clears them: do not grow for ever
            _ = self.grad
        self._parts.append(part)

    def add_gradient(self, gradient: Any) -> None:
        """Add a gradient, or rows of one (a `SparseGrad`)."""
        if hasattr(gradient, "to_dense"):
            self.add_sparse(gradient)
        else:
            self.grad[...] += np.asarray(gradient)

    @property
    def gradient(self) -> Any:
        """The gradient as an optimizer wants it: sparse where it is, else the buffer."""
        parts = self._parts
        if parts and self._grad is None:
            return parts[0] if len(parts) == 1 else type(parts[0]).concatenate(parts)
        return self.grad

    def clear_gradient(self) -> None:
        """Make the gradient zero; that of a sparse variable gives up its buffer."""
        if self._parts is not None:
            self._parts.clear()
            self._grad = None
        else:
            self._cleared = self._grad is not None

    def scale_gradient(self, factor: float) -> None:
        """Multiply the gradient by a number."""
        if self._grad is not None or not self._parts:
            self.grad[...] *= factor
            return
        number = self.value.dtype.type(factor)
        self._parts[:] = [
            type(part)(part.indices, part.values * number, part.shape) for part in self._parts
        ]

    def numpy(self) -> np.ndarray:
        """Return a copy of the value."""
        return self.value.copy()

    def assign(self, value: Any) -> "Variable":
        """Write `value` into the array.

        Raises
        ------
        ValueError
            If the shapes differ, or the value holds no real numbers (complex ones, dates,
            strings, None); the variable stays as it was.
        """
        if not self.trainable:  # states and moving averages, which training writes
            return self.write(value)
        with writing((self,)):
            return self.write(value)

    def write(self, value: Any) -> "Variable":
        """Write `value` as `assign` does, but as a part of training or of a larger change."""
        new = self._fitting(value)
        self.touch()
        try:
            self._value[...] = new
        finally:
            self.touch()
        return self

    def _fitting(self, value: Any) -> np.ndarray:
        new = as_numbers(value, f"The value for variable {self.path!r}")
        if new.shape != self._value.shape:
            raise ValueError(
                f"The shape of the target variable and the shape of the target value in "
                f"`variable.assign(value)` must match. variable.shape={self._value.shape}, "
                f"Received: value.shape={new.shape}. Target variable: {self.path!r}"
            )
        return new.astype(self._value.dtype, copy=False)

    def assign_add(self, value: Any) -> "Variable":
        """Add `value` in place; raises as `assign`."""
        with writes.lock:
            return self.assign(self._value + as_numbers(value, "The value to add"))

    def assign_sub(self, value: Any) -> "Variable":
        """Subtract `value` in place; raises as `assign`."""
        with writes.lock:
            return self.assign(self._value - as_numbers(value, "The value to subtract"))

    def touch(self) -> None:
        """Say that `value` is about to be written to directly, or was.

        Whoever writes says both: an interrupt may come right after the write, and another
        thread may read in the middle of it.
        """
        self.version += 1

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Let NumPy read the variable; a copy unless told otherwise."""
        if copy is False and (dtype is None or dtype == self.value.dtype):
            return self.value
        return np.array(self.value, dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Let arithmetic work on the value; its result is an array, as in Keras.

        ``variable += x`` writes to the variable (in Keras, it makes a tensor).
        """
        if OPEN and method == "__call__" and "out" not in kwargs:
            return _recorded(ufunc, inputs, kwargs)
        arrays = [x.value if isinstance(x, Variable) else x for x in inputs]
        targets = kwargs.pop("out", ())
        if not targets:
            return as_tensor(getattr(ufunc, method)(*arrays, **kwargs))
        out = tuple(x.value if isinstance(x, Variable) else x for x in targets)
        written = [x for x in targets if isinstance(x, Variable)]
        for variable in written:
            variable.touch()
        try:
            getattr(ufunc, method)(*arrays, out=out, **kwargs)
        finally:
            for variable in written:
                variable.touch()
        return targets[0] if len(targets) == 1 else targets

    def __hash__(self) -> int:
        """Hash by identity: arithmetic comparison gives arrays."""
        return id(self)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Let NumPy's functions work on the value, and be recorded by a tape."""
        if OPEN:
            return _recorded(function, args, kwargs)
        args = tuple(x.value if isinstance(x, Variable) else x for x in args)
        return as_tensor(function(*args, **kwargs))

    def __getitem__(self, key: Any) -> Any:
        """Return a part of the value, as a copy."""
        if OPEN:
            return _recorded(None, (self, key), {})
        return as_tensor(np.array(self.value[key]))

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return len(self.value)

    def __float__(self) -> float:
        """Return the value of a variable of one element."""
        return float(self.value.item())

    def __int__(self) -> int:
        """Return the value of a variable of one element, as int."""
        return int(self.value.item())

    def __repr__(self) -> str:
        value = np.array2string(self._value, threshold=20, separator=", ")
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={value}>"
