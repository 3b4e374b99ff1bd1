"""`Activation`: an elementwise one of the kernels' table, and a user's own."""

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.autodiff.functions import applied, with_way_back
from rnn_engine.checks import as_numbers, compact
from rnn_engine.config import standardize_dtype
from rnn_engine.kernels import finish
from rnn_engine.kernels.elementwise import apply
from rnn_engine.kernels.formulas import CODES, TABLE
from rnn_engine.registry import Registry

registry = Registry("activation function")


def as_floats(x: Any) -> np.ndarray:
    """Return `x` in its float type, or in `config.floatx` if it has none, as lists have."""
    array = as_numbers(x, "x")
    if not hasattr(x, "dtype"):
        return array.astype(standardize_dtype(None), copy=False)
    if array.dtype not in (np.float32, np.float64):
        return array.astype(standardize_dtype(None))
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _laid_out(array: np.ndarray) -> tuple[int, ...] | None:
    """Return the axes in the order in which they lie in memory; None for C order."""
    if array.flags.c_contiguous:
        return None
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    return tuple(order)


def _flat(array: np.ndarray, order: tuple[int, ...] | None) -> np.ndarray:
    """Return the elements in the given order of axes, without a copy where it can be."""
    return compact(array if order is None else array.transpose(order)).reshape(-1)


def _shaped(flat: np.ndarray, shape: tuple[int, ...], order: tuple[int, ...] | None) -> np.ndarray:
    """Undo `_flat`."""
    if order is None:
        return flat.reshape(shape)
    return flat.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


class Activation:
    """An elementwise activation of the table.

    Attributes
    ----------
    name : str
        Its Keras name.
    registered_name : str
        The name under which `get` finds it, or what it was made from.
    from_input : bool
        Whether the derivative is a function of the input and not of the output.
    """

    from_input = False

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = self.registered_name = name
        row = TABLE[CODES[name]]
        self.from_input = row.from_input
        self.__doc__ = row.forward.__doc__

    @cached_property
    def code(self) -> int | None:
        """Its position in the table of the kernels; None for those applied outside them.

        Whoever asks for it means to use it: the kernel is compiled then.
        """
        code = CODES[self.name]
        finish.want(code)
        return code

    def __getstate__(self) -> dict[str, Any]:
        # In another process nobody has asked for the kernel yet.
        return {name: value for name, value in vars(self).items() if name != "code"}

    @property
    def leaves_logits(self) -> bool:
        """Whether Keras computes a cross-entropy of the output from the input, its logits."""
        return self.name == "sigmoid"

    def __call__(self, x: Any) -> np.ndarray:
        """Return the activation of every element, in the float type of `x`."""
        if type(x) is not np.ndarray or recording.OPEN:
            special = in_a_graph(self, x)
            if special is not None:
                return special
        source = as_floats(x)
        order = _laid_out(source)
        flat = _flat(source, order)
        out = np.empty_like(flat)
        if out.size:
            apply(self.code, flat, out, out)
        return _shaped(out, source.shape, order)

    def backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        """Return the gradient by the input; `saved` is the output, or the input if `from_input`."""
        if self.code == 0:
            return dy
        if dy.shape != saved.shape:
            raise ValueError(f"dy of shape {dy.shape} does not fit an output of {saved.shape}.")
        order = _laid_out(saved)
        flat = _flat(dy.astype(saved.dtype, copy=False), order)
        out = np.empty_like(flat)
        if out.size:
            apply(-1 - (self.code or 0), flat, _flat(saved, order), out)
        return _shaped(out, saved.shape, order)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that are bound to it: none."""
        return {}

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


def in_a_graph(activation: "Activation", x: Any) -> Any:
    """Return an activation of a tensor that is symbolic or on a tape, None of another one."""
    if hasattr(x, "node") and hasattr(x, "_keras_history"):
        from rnn_engine.ops.symbolic import activation_of  # above this package

        return activation_of(activation, x)
    if recording.OPEN or hasattr(x, "_node"):
        from rnn_engine.autodiff import steps

        x = steps.seen(x)
        if hasattr(x, "_node"):
            return steps.activate(activation, x)
    return None


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
    leaves_logits = False  # whatever its name
    code = None

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        derivative: Callable[[np.ndarray], np.ndarray],
        name: str | None = None,
    ) -> None:
        self.name = self.__name__ = self.registered_name = name or function.__name__
        self.function = function
        self.derivative = derivative

    def __call__(self, x: Any) -> np.ndarray:
        """Return ``function(x)`` in the float type of `x`."""
        if type(x) is not np.ndarray or recording.OPEN:
            special = in_a_graph(self, x)
            if special is not None:
                return special
        source = as_floats(x)
        return self._proved(self.function(source), source, "function")

    def backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        """Return dy times the derivative at the input `saved`."""
        slopes = self._proved(self.derivative(saved), saved, "derivative")
        return np.asarray(dy * slopes).astype(saved.dtype, copy=False)

    def _proved(self, values: Any, like: np.ndarray, what: str) -> np.ndarray:
        """Return what a user's function gave as an array that fits its argument.

        Raises
        ------
        ValueError
            If its shape is another, or it holds no real numbers.
        """
        array = as_numbers(values, f"What the {what} of activation {self.name!r} gives")
        if array.shape != like.shape:
            raise ValueError(
                f"The {what} of activation {self.name!r} must return an array of the shape of its "
                f"argument. Expected {like.shape}, got {array.shape}."
            )
        return array.astype(like.dtype, copy=False)


class FunctionActivation(CustomActivation):
    """A user's function as an activation; autograd gives its derivative, when training asks.

    Parameters
    ----------
    function : callable
        Of one tensor, in `rnn_engine.ops` or NumPy.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        name = getattr(function, "__name__", type(function).__name__)
        super().__init__(lambda z: applied(function, z), lambda z: z, name)
        self.wrapped = function

    def backward(self, dy: np.ndarray, saved: np.ndarray) -> np.ndarray:
        """Return the gradient by the input `saved`."""
        return with_way_back(self.wrapped, saved)[1](dy)


class BoundActivation(CustomActivation):
    """An activation with arguments of its own: ``elu.with_arguments(alpha=0.5)``."""

    def __init__(self, parent: "Parametrised", arguments: dict[str, Any]) -> None:
        super().__init__(
            lambda z: parent.function(z, **arguments),
            lambda z: parent.derivative(z, **arguments),
            parent.name,
        )
        self.arguments = arguments

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that are bound to it."""
        return dict(self.arguments)


class Parametrised(Activation):
    """An activation whose Keras function takes arguments besides x.

    With its default arguments it runs in the kernels, if the table has it; with
    others `function` and `derivative` are computed in NumPy.

    Parameters
    ----------
    function : callable
        (x, arguments...) -> y in NumPy, with Keras's name and signature.
    derivative : callable
        The same arguments -> dy/dx.
    """

    def __init__(self, function: Callable[..., Any], derivative: Callable[..., Any]) -> None:
        name = function.__name__
        if name in CODES:
            super().__init__(name)
        else:
            self.name = self.__name__ = self.registered_name = name
            self.code = None
        self.__doc__ = function.__doc__
        self.function = function
        self.derivative = derivative
        self.__signature__ = inspect.signature(function)

    def with_arguments(self, *args: Any, **kwargs: Any) -> Activation:
        """Return the activation with these arguments, itself if they are the defaults.

        Raises
        ------
        TypeError
            At an unknown argument, or one that is missing.
        """
        bound = self.__signature__.bind(None, *args, **kwargs)
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        defaults = {name: self.__signature__.parameters[name].default for name in arguments}
        return self if arguments == defaults else self._bind(arguments)

    def _bind(self, arguments: dict[str, Any]) -> Activation:
        return BoundActivation(self, arguments)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Return the activation of every element, in the float type of `x`."""
        if not args and not kwargs and self.code is not None:
            return super().__call__(x)
        chosen = self.with_arguments(*args, **kwargs)
        return super().__call__(x) if chosen is self else chosen(x)
