"""Input checks: arrays are converted and judged here, once, with one set of messages."""

from typing import Any

import numpy as np

_BLOCK = 1 << 18
"""Numbers that are looked at at once, so that a file larger than memory can be."""


def as_float_array(value: Any, dtype: Any, argument: str = "x") -> np.ndarray:
    """Return `value` as an array of the engine's float type; an array of it is not copied.

    Any real dtype, byte order and layout is taken.

    Raises
    ------
    ValueError
        If the value is ragged, or holds complex numbers, strings or objects.
    """
    if type(value) is np.ndarray and value.dtype is dtype:
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{argument} cannot be read as an array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        hint = ""
        if hasattr(value, "batch_shape"):  # an Input, in the style of functional models
            hint = " Layers are joined with Sequential here, not by calling them on an Input."
        raise ValueError(f"{argument} must hold real numbers, got dtype {array.dtype}.{hint}")
    return array.astype(dtype, copy=False)


def as_mask(value: Any, shape: tuple[int, ...], argument: str = "mask") -> np.ndarray:
    """Return a mask as a contiguous boolean array of `shape`.

    Raises
    ------
    ValueError
        If its shape is another.
    """
    array = np.asarray(value)
    if array.shape != shape:
        raise ValueError(
            f"{argument} must have shape (batch, timesteps) = {shape}, got {array.shape}."
        )
    return np.ascontiguousarray(array, dtype=bool)


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
    start = f'Input 0 of layer "{layer}" is incompatible with the layer: expected '
    if rank is not None and x.ndim != rank:
        raise ValueError(f"{start}ndim={rank} {axes}, found ndim={x.ndim} of shape {x.shape}.")
    if x.ndim < least:
        raise ValueError(f"{start}min_ndim={least} {axes}, found ndim={x.ndim} of shape {x.shape}.")
    if x.shape[-1] != features:
        raise ValueError(f"{start}axis -1 to have value {features}, got shape {x.shape}.")
    if 0 in x.shape:
        raise ValueError(f"{start}{axes} with no empty axis, got shape {x.shape}.")
