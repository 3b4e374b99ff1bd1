"""`Variable`: a named array that a layer, a metric or an optimizer owns."""

from typing import Any

import numpy as np

MOST_PARTS = 64
"""Sparse gradients that a variable keeps apart; a step of training has one a layer."""


class Variable(np.lib.mixins.NDArrayOperatorsMixin):
    """A named array with a stable identity: writing to it never moves it.

    Mirrors `keras.Variable` as far as a NumPy engine needs it. Kernels and
    optimizers work on `value` in place; `version` counts the writes, so that
    whoever keeps something derived (packed weights) knows when it is stale.

    Parameters
    ----------
    value : array
        Initial content; copied to a C-contiguous array of `dtype`.
    name : str
        Last part of the path, such as ``"kernel"``.
    path : str, optional
        Full path, such as ``"simple_rnn/simple_rnn_cell/kernel"``; `name` if None.
    trainable : bool
        Whether an optimizer updates it.
    regularizer, constraint : callable, optional
        As given to the layer; applied by the training loop and the optimizer.
    """

    def __init__(
        self,
        value: Any,
        *,
        name: str = "variable",
        path: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> None:
        self.value: np.ndarray = np.array(value, dtype=dtype, order="C", copy=True)
        self.name = name
        self.path = path or name
        self.trainable = trainable
        self.regularizer = regularizer
        self.constraint = constraint
        self.version = 0
        self._grad: np.ndarray | None = None
        self._cleared = False  # whether the buffer's content is old, and counts as zero
        self._parts: list[Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.value.shape

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
            If the shapes differ; the variable stays as it was.
        """
        new = np.asarray(value, dtype=self.value.dtype)
        if new.shape != self.value.shape:
            raise ValueError(
                f"The shape of the target variable and the shape of the value must match: "
                f"variable {self.path!r} has shape {self.value.shape}, the value {new.shape}."
            )
        self.touch()
        try:
            self.value[...] = new
        finally:
            self.touch()
        return self

    def assign_add(self, value: Any) -> "Variable":
        """Add `value` in place."""
        return self.assign(self.value + np.asarray(value))

    def assign_sub(self, value: Any) -> "Variable":
        """Subtract `value` in place."""
        return self.assign(self.value - np.asarray(value))

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
        arrays = [x.value if isinstance(x, Variable) else x for x in inputs]
        targets = kwargs.pop("out", ())
        if not targets:
            return getattr(ufunc, method)(*arrays, **kwargs)
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

    def __getitem__(self, key: Any) -> Any:
        """Return a part of the value, as a copy."""
        return np.array(self.value[key])

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
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}>"
