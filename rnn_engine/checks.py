"""Input checks: arrays are converted and judged here, once, with one set of messages."""

import functools
import inspect
import math
import os
import sys
from typing import Any

import numpy as np

_BLOCK = 1 << 18
"""Numbers that are looked at at once, so that a file larger than memory can be."""


def as_numbers(value: Any, argument: str) -> np.ndarray:
    """Return `value` as an array of real numbers, without copying an array.

    The one door for what is no array of the engine's yet: tensors and tables of other
    libraries too, and whatever else NumPy can read. Of pandas' nullable types what is missing
    becomes NaN, as it is in its other types.

    Raises
    ------
    ValueError
        If the value is ragged, cannot be read, or holds complex numbers, dates, strings,
        None or other objects.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        # torch says what to call: a tensor that requires its gradient must be detached.
        raise ValueError(f"{argument} cannot be read as an array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        if hasattr(value, "to_numpy"):
            return _from_table(value, argument)
        raise ValueError(f"{argument} must hold real numbers, got dtype {array.dtype}.")
    return array


def _from_table(value: Any, argument: str) -> np.ndarray:
    """Return a table that NumPy reads as objects, a frame or series of pandas or polars.

    It does where columns are of several types, or of one that can be missing.
    """
    table = hasattr(value, "columns")
    names = list(value.columns) if table else [getattr(value, "name", None)]
    kinds = list(value.dtypes) if table else [value.dtype]
    for name, kind in zip(names, kinds, strict=True):
        if not _is_number(kind):
            column = "" if name is None else f"column {name!r} of "
            raise ValueError(f"{argument} must hold real numbers, got {column}dtype {kind}.")
    whole = all(getattr(kind, "kind", "f") in "iub" for kind in kinds)
    if whole and not value.isna().any(axis=None):
        return np.asarray(value.to_numpy("int64"))
    if "na_value" in inspect.signature(value.to_numpy).parameters:
        return np.asarray(value.to_numpy("float64", na_value=np.nan))
    return np.asarray(value.to_numpy(), dtype="float64")  # polars' decimals, and nulls


def _is_number(dtype: Any) -> bool:
    """Whether a column's type, of pandas or of polars, is one of real numbers or of truths."""
    if hasattr(dtype, "kind"):
        return dtype.kind in "biuf"
    return str(dtype) == "Boolean" or bool(dtype.is_numeric())


def as_float_array(value: Any, dtype: Any, argument: str = "x") -> np.ndarray:
    """Return `value` as an array of the engine's float type; an array of it is not copied.

    Any real dtype, byte order and layout is taken. What is not aligned, as what `numpy.frombuffer`
    reads behind a header, is copied: no kernel takes it.

    Raises
    ------
    ValueError
        If the value is ragged, or holds complex numbers, strings or objects.
    """
    if type(value) is np.ndarray and value.dtype is dtype and value.flags.aligned:
        return value
    return aligned(as_numbers(value, argument).astype(dtype, copy=False))


def aligned(array: np.ndarray) -> np.ndarray:
    """Return an array whose numbers lie at multiples of their size, as the processor has them."""
    return array if array.flags.aligned else array.copy()


def as_bools(value: Any, argument: str = "mask") -> np.ndarray:
    """Return a mask as a boolean array; one that is copies nothing.

    Numbers count as in Keras: what is not zero is True.

    Raises
    ------
    ValueError
        If it holds None, strings or other objects, or NaN.
    """
    if type(value) is np.ndarray and value.dtype == bool:
        return value
    array = as_numbers(value, argument)
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"{argument} holds NaN, which is neither True nor False.")
    return array.astype(bool, copy=False)


def as_mask(value: Any, shape: tuple[int, ...], argument: str = "mask") -> np.ndarray:
    """Return a mask as a contiguous boolean array of `shape`, a copy.

    What kernels learn from a mask (which steps are open, how many) has to hold until
    backward has run, whatever the caller does to the mask meanwhile.

    Raises
    ------
    ValueError
        If its shape is another, or as `as_bools`.
    """
    array = as_bools(value, argument)
    if array.shape != shape:
        raise ValueError(
            f"{argument} must have shape (batch, timesteps) = {shape}, got {array.shape}."
        )
    return np.array(array, order="C")


def as_gradient(value: Any, shape: tuple[int, ...], dtype: np.dtype, what: str) -> np.ndarray:
    """Return a gradient as an array of the type of what it is the gradient by.

    Raises
    ------
    ValueError
        If it has another shape, or holds no real numbers; `what` begins the message.
    """
    array = as_numbers(value, what)
    if array.shape != shape:
        raise ValueError(
            f"{what} must have the same shape as what it is by: expected {shape}, got "
            f"{array.shape}."
        )
    return array.astype(dtype, copy=False)


class TooLargeError(ValueError, MemoryError):
    """A size that this machine has no memory for: a wrong argument, and no memory either."""


def check_memory(what: str, shape: tuple[Any, ...], dtype: Any) -> None:
    """Check that an array may be made, before any memory is taken.

    Raises
    ------
    TooLargeError
        If it is larger than all of this machine's memory; `what` says where it comes from.
    """
    size = math.prod(map(int, shape)) * np.dtype(dtype).itemsize
    if size > _SMALL and size > _memory():
        raise too_large(what, shape, dtype)


def too_large(what: str, shape: tuple[Any, ...], dtype: Any) -> TooLargeError:
    """Return the error for an array there is no memory for."""
    size = math.prod(map(int, shape)) * np.dtype(dtype).itemsize
    return TooLargeError(
        f"{what} of shape {tuple(shape)} would take {size / 1e9:,.1f} GB in "
        f"{np.dtype(dtype).name}; this machine has {_memory() / 1e9:,.1f} GB of memory."
    )


_SMALL = 1 << 30
"""Bytes up to which nobody asks how much memory there is."""


@functools.cache
def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # no POSIX: as much as can be addressed
        return sys.maxsize


def require_finite(array: np.ndarray, argument: str) -> None:
    """Check that an array holds neither NaN nor infinity, block by block.

    Raises
    ------
    ValueError
        With the first value that is not finite and its index.
    """
    if array.dtype.kind != "f":
        return
    rows = max(1, _BLOCK * len(array) // max(1, array.size))
    for start in range(0, len(array), rows):
        finite = np.isfinite(array[start : start + rows])
        if not finite.all():
            first, *rest = np.argwhere(~finite)[0]
            index = (int(first) + start, *map(int, rest))
            raise ValueError(f"{argument} holds {array[index]} at index {index}.")


def compact(array: np.ndarray) -> np.ndarray:
    """Return an array that a kernel can take: C-contiguous, aligned and writeable.

    Numba compiles a kernel anew for read-only arrays, so those are copied.
    """
    return array if array.flags.carray else np.require(array, requirements=("C", "A", "W"))


def positive_int(value: Any, argument: str) -> int:
    """Return `value` as an int.

    Raises
    ------
    ValueError
        If it is not an integer above zero.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value <= 0:
        raise ValueError(
            f"Received an invalid value for `{argument}`, expected a positive integer. "
            f"Received: {argument}={value!r}"
        )
    return int(value)


def fraction(value: Any, argument: str) -> float:
    """Return `value` as a float.

    Raises
    ------
    ValueError
        If it is not a number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ValueError(f"`{argument}` must be a number from 0 to 1, got {value!r}.")
    if not 0 <= value <= 1:
        raise ValueError(f"`{argument}` must lie between 0 and 1, got {value!r}.")
    return float(value)


def input_axes(
    layer: str,
    x: np.ndarray,
    axes: str,
    features: int,
    rank: int | None = None,
    least: int = 1,
) -> None:
    """Check the rank of a layer's input, that no axis is empty, and the last one's size.

    Keras computes empty batches, this library refuses them.

    Raises
    ------
    ValueError
        If one of them is wrong; `axes` names the expected ones.
    """
    if rank is not None and x.ndim != rank:
        raise wrong_rank(layer, f"ndim={rank}", x.shape, axes)
    if x.ndim < least:
        raise wrong_rank(layer, f"min_ndim={least}", x.shape, axes)
    if x.shape[-1] != features:
        raise unfit(
            layer,
            f"axis -1 of input shape to have value {features}, but received input with shape "
            f"{x.shape}",
        )
    if 0 in x.shape:
        raise unfit(layer, f"{axes} with no empty axis, but received input with shape {x.shape}")


def unfit(layer: str, expected: str) -> ValueError:
    """Return the error of a layer that is given an input it was not built for.

    The words are Keras's, `expected` ends them.
    """
    return ValueError(
        f"Input 0 with name 'None' of layer '{layer}' is incompatible with the layer: "
        f"expected {expected}"
    )


def unknown_size(layer: str, shape: Any) -> ValueError:
    """Return the error of a layer that is built for an input whose features are not known."""
    return ValueError(
        f"Shapes used to initialize variables must be fully-defined (no `None` dimensions). "
        f"Layer '{layer}' needs a known last axis. Received: input shape {tuple(shape)}"
    )


def no_tensor(value: Any, layer: str) -> ValueError | None:
    """Return the error of a layer that is given something that is no data, None if it is."""
    if value is None:
        return ValueError(
            f"Inputs to a layer should be tensors. Got 'None' (of type {type(None)}) as input for "
            f"layer '{layer}'."
        )
    numbers = isinstance(value, int | float | np.generic) or hasattr(value, "__array__")
    if isinstance(value, str) or not (numbers or hasattr(value, "__len__")):
        return ValueError(
            f"Only input tensors may be passed as positional arguments. The following argument "
            f"value should be passed as a keyword argument: {value} (of type {type(value)}); as "
            f"inputs, layer '{layer}' takes what holds real numbers."
        )
    return None


def wrong_rank(layer: str, expected: str, shape: Any, axes: str = "") -> ValueError:
    """Return the error of an input with too many or too few axes; `axes` names the right ones."""
    names = f", expected {axes}" if axes else ""
    return unfit(
        layer, f"{expected}, found ndim={len(shape)}. Full shape received: {tuple(shape)}{names}"
    )
