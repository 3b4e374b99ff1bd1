"""From a function of arrays to an op: operands are read, types settled, steps recorded.

An op is written once, over the namespace `xp` that it is handed: NumPy for arrays, and
autograd's for what a tape records.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.autodiff.steps import seen
from rnn_engine.config import floatx
from rnn_engine.graph.tensor import KerasTensor
from rnn_engine.tensor import Tensor, as_tensor
from rnn_engine.variable import Variable

OPS: dict[str, Callable[..., Any]] = {}
"""Every op of Keras's by its name."""


def op(tensors: int = 1, many: bool = False) -> Callable[[Any], Any]:
    """Make an op of ``function(xp, *tensors, *settings)`` and enter it in the table.

    Parameters
    ----------
    tensors : int
        How many of the first arguments are tensors.
    many : bool
        Whether the first argument is a list of tensors.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        made = make(function, tensors, many)
        OPS[made.__name__] = made
        return made

    return decorate


def enter(function: Callable[..., Any]) -> Any:
    """Enter a function in the table as it is: it takes no operands, or calls other ops."""
    # An op called like one of Python's own functions has an underscore behind its name.
    function.__name__ = function.__qualname__ = function.__name__.rstrip("_")
    OPS[function.__name__] = function
    return function


def make(function: Callable[..., Any], tensors: int = 1, many: bool = False) -> Any:
    """Return what a user calls for ``function(xp, ...)``."""
    # An op called like one of Python's own functions has an underscore behind its name.
    function.__name__ = function.__qualname__ = function.__name__.rstrip("_")
    signature = inspect.signature(function)
    public = signature.replace(parameters=list(signature.parameters.values())[1:])
    names = list(public.parameters)[:tensors]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not kwargs.keys().isdisjoint(names):
            bound = public.bind(*args, **kwargs)
            args, kwargs = bound.args, bound.kwargs
        operands = list(args)
        kind = 0
        for i, value in enumerate(args[:tensors]):
            if type(value) is np.ndarray and not recording.OPEN:
                continue
            if many and i == 0:
                operands[0], own = _operands(value)
            else:
                operands[i], own = operand(value)
            kind = max(kind, own)
        if kind == _SYMBOLIC:
            from rnn_engine.ops.symbolic import symbolic_call

            return symbolic_call(call.__name__, args, kwargs)
        xp: Any = recording.load().xp if kind == _RECORDED else np
        try:
            with np.errstate(all="ignore"):
                result = function(xp, *operands, **kwargs)
        except np.exceptions.AxisError as error:
            if error.axis is None:
                raise
            raise np.exceptions.AxisError(
                f"axis {error.axis} is out of bounds for an array with dimension {error.ndim}."
            ) from None
        return result if kind == _RECORDED else shown(result)

    call.__signature__ = public  # type: ignore[attr-defined]  # `inspect` looks there
    del call.__wrapped__
    return call


_RECORDED, _SYMBOLIC = 1, 2


def operand(value: Any) -> tuple[Any, int]:
    """Return what an op computes with, and whether it is recorded or symbolic."""
    kind = type(value)
    if recording.OPEN or hasattr(value, "_node"):
        value = seen(value)
        if hasattr(value, "_node"):
            return value, _RECORDED
        kind = type(value)
    if kind is np.ndarray or value is None or kind in (float, int, bool):
        return value, 0
    if kind is Tensor:
        return value.view(np.ndarray), 0
    if isinstance(value, Variable):
        return value.value, 0
    if isinstance(value, KerasTensor):
        return value, _SYMBOLIC
    if isinstance(value, list | tuple):
        parts = _operands(value)
        if parts[1] == _RECORDED:  # numbers of a tape, and others
            return recording.load().xp.array(parts[0]), _RECORDED
        if parts[1]:
            return value, parts[1]
    return plain_array(value), 0


def _operands(values: Any) -> tuple[list[Any], int]:
    if isinstance(values, np.ndarray):
        values = list(values)
    pairs = [operand(value) for value in values]
    return [value for value, _ in pairs], max((kind for _, kind in pairs), default=0)


def plain_array(value: Any, dtype: Any = None) -> np.ndarray:
    """Return a value as an array; lists of numbers get Keras's types, float32 and int32."""
    array = np.asarray(value)
    if dtype is not None:
        return array.astype(np.dtype(dtype), copy=False)
    if hasattr(value, "dtype"):
        return array
    if array.dtype == np.float64:
        return array.astype(floatx())
    return array.astype(np.int32) if array.dtype == np.int64 else array


def shown(result: Any) -> Any:
    """Return what an op gives to its caller: tensors, alone or in a list or tuple."""
    if isinstance(result, np.ndarray | np.generic):
        return as_tensor(result)
    if type(result) in (list, tuple):
        return type(result)(shown(part) for part in result)
    return result


# --- types ------------------------------------------------------------------------------------


def dtype_of(value: Any) -> Any:
    """Return the type of an operand, None of a Python number, which takes that of the others."""
    return getattr(value, "dtype", None)


def result_dtype(*values: Any) -> np.dtype:
    """Return the type that operands have together: any float type before any integer.

    The widest of the floats, however wide the integers are; Python's numbers count as
    `floatx` and int32 where no tensor says more.
    """
    known = [dtype for value in values if (dtype := dtype_of(value)) is not None]
    floats = [dtype for dtype in known if dtype.kind in "fc"]
    if floats:
        return np.result_type(*floats)
    bare = {type(value) for value in values if dtype_of(value) is None}
    if float in bare:
        return np.dtype(floatx())
    whole = [dtype for dtype in known if dtype.kind in "iu"]
    if whole:
        dtype = np.result_type(*whole)
        return np.dtype(floatx()) if dtype.kind == "f" else dtype
    return np.dtype(np.int32 if int in bare else bool)


def promote(*values: Any) -> list[Any]:
    """Return operands in the type that they have together; Python's numbers as they are."""
    first = dtype_of(values[0])
    if first is not None and all(dtype_of(value) == first for value in values):
        return list(values)
    dtype = result_dtype(*values)
    if all(dtype_of(value) is None for value in values):
        return [np.asarray(value, dtype) for value in values]
    return [_in_type(value, dtype) for value in values]


def _in_type(value: Any, dtype: np.dtype) -> Any:
    found = dtype_of(value)
    if found is None:
        return dtype.type(value)
    return value if found == dtype else value.astype(dtype)


def to_float(value: Any) -> Any:
    """Return an operand in its float type, integers in `floatx`."""
    dtype = dtype_of(value)
    if dtype is None:
        return plain_array(value, floatx())
    return value if dtype.kind in "fc" else value.astype(floatx())


def to_floats(*values: Any) -> list[Any]:
    """Return operands in the float type that they have together."""
    dtype = result_dtype(*values)
    return [_in_type(v, dtype if dtype.kind in "fc" else np.dtype(floatx())) for v in values]


def to_array(value: Any) -> Any:
    """Return an operand as an array also where it is a Python number."""
    return value if dtype_of(value) is not None else plain_array(value)


def dtype_named(dtype: Any) -> np.dtype:
    """Return the type of a name, of one of NumPy's types, or of a Keras policy; None is floatx.

    Raises
    ------
    ValueError
        If there is no such type here.
    """
    if dtype is None:
        return np.dtype(floatx())
    name = getattr(dtype, "compute_dtype", None) or getattr(dtype, "name", dtype)
    if name in (float, int, bool):
        return np.dtype({float: floatx(), int: "int32", bool: "bool"}[name])
    try:
        return np.dtype(name)
    except TypeError:
        raise ValueError(f"Invalid dtype: {dtype}") from None
