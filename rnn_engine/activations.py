"""Activations: the public side of the table in `kernels.formulas`.

Each is an `Activation`: callable on arrays like `keras.activations.tanh`, with its
derivative by hand.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.config import standardize_dtype
from rnn_engine.kernels.elementwise import apply
from rnn_engine.kernels.formulas import CODES, TABLE
from rnn_engine.registry import Registry

registry = Registry("activation function")


class Activation:
    """An elementwise activation of the table.

    Attributes
    ----------
    name : str
        Its Keras name.
    code : int or None
        Its position in the table of the kernels; None for those that are applied
        outside them.
    from_input : bool
        Whether the derivative is a function of the input and not of the output.
    """

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = name
        self.code: int | None = CODES[name]
        self.from_input = TABLE[CODES[name]].from_input
        self.__doc__ = TABLE[CODES[name]].forward.__doc__

    def __call__(self, x: Any) -> np.ndarray:
        """Return the activation of every element, in the float type of `x`."""
        source = np.asarray(x)
        if source.dtype not in (np.float32, np.float64):
            source = source.astype(standardize_dtype(None))
        source = np.require(source, requirements="CAW")
        out = np.empty_like(source)
        if out.size:
            apply(self.code, source.reshape(-1), out.reshape(-1), out.reshape(-1))
        return out

    def backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        """Return the gradient by the input; `saved` is the output, or the input if `from_input`."""
        if self.code == 0:
            return dy
        dy = np.require(dy, dtype=saved.dtype, requirements="CAW")
        out = np.empty_like(dy)
        if out.size:
            saved = np.require(saved, requirements="CAW")
            apply(-1 - (self.code or 0), dy.reshape(-1), saved.reshape(-1), out.reshape(-1))
        return out

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


class CustomActivation(Activation):
    """A user's own activation: a function and its derivative, in NumPy.

    Parameters
    ----------
    function : callable
        z -> y, elementwise, of arrays of any shape.
    derivative : callable
        z -> dy/dz, elementwise.
    name : str, optional
        The function's own name if None.

    Examples
    --------
    >>> cube = CustomActivation(lambda z: z**3, lambda z: 3 * z**2, name="cube")
    >>> cube([2.0])
    array([8.], dtype=float32)
    """

    from_input = True

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        derivative: Callable[[np.ndarray], np.ndarray],
        name: str | None = None,
    ) -> None:
        self.name = self.__name__ = name or function.__name__
        self.code = None
        self.function = function
        self.derivative = derivative

    def __call__(self, x: Any) -> np.ndarray:
        """Return ``function(x)`` in the float type of `x`."""
        source = np.asarray(x)
        if source.dtype not in (np.float32, np.float64):
            source = source.astype(standardize_dtype(None))
        return np.ascontiguousarray(self.function(source), dtype=source.dtype)

    def backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        """Return dy times the derivative at the input `saved`."""
        return np.ascontiguousarray(dy * self.derivative(saved), dtype=saved.dtype)


class Softmax(Activation):
    """eˣ over its sum along the last axis, with the maximum taken off first."""

    from_input = False

    def __init__(self) -> None:
        self.name = self.__name__ = "softmax"
        self.code = None

    def __call__(self, x: Any, axis: int = -1) -> np.ndarray:
        """Return the softmax along `axis`.

        Raises
        ------
        ValueError
            If `x` has fewer than two axes, as in Keras.
        """
        source = np.asarray(x)
        if source.dtype not in (np.float32, np.float64):
            source = source.astype(standardize_dtype(None))
        if source.ndim < 2:
            raise ValueError(
                f"Cannot apply softmax to a tensor that is 1D. Received input of shape "
                f"{source.shape}."
            )
        y = np.exp(source - source.max(axis=axis, keepdims=True))
        y /= y.sum(axis=axis, keepdims=True)
        return y

    def backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        """Return y ⊙ (dy - Σ dy·y)."""
        return saved * (dy - (dy * saved).sum(axis=-1, keepdims=True))


for _row in TABLE:
    registry.register(_row.name)(Activation(_row.name))
registry.register("softmax")(Softmax())

linear = registry.lookup("linear")
tanh = registry.lookup("tanh")
sigmoid = registry.lookup("sigmoid")
relu = registry.lookup("relu")
softmax = registry.lookup("softmax")


def get(identifier: Any) -> Activation:
    """Return the activation called so; None is linear (`keras.activations.get`).

    Raises
    ------
    ValueError
        If there is none of this name, or a plain function is given: training needs
        its derivative too, see `CustomActivation`.
    """
    if identifier is None:
        return registry.entries["linear"]  # type: ignore[no-any-return]  # the registry is untyped
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, str):
        return registry.lookup(identifier)  # type: ignore[no-any-return]
    if callable(identifier):
        raise ValueError(
            f"Could not interpret activation function identifier: {identifier!r}. A function of "
            f"your own needs its derivative: CustomActivation(function, derivative)."
        )
    raise ValueError(f"Could not interpret activation function identifier: {identifier!r}.")


def serialize(activation: Activation) -> str:
    """Return the name of an activation."""
    return activation.name


def deserialize(config: Any) -> Activation:
    """Return the activation of a name."""
    return get(config)
