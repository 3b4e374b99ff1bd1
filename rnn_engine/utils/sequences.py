"""`pad_sequences`: sequences of many lengths to one array."""

import operator
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Pad or cut sequences to one length. Mirrors `keras.utils.pad_sequences`.

    Parameters
    ----------
    sequences : sequence of sequences
        Each of shape ``(length, ...)``; all but the length must agree.
    maxlen : int, optional
        Length of the result; that of the longest sequence if None.
    dtype : dtype
        Of the result; `object` for strings of any length.
    padding, truncating : {"pre", "post"}
        Where `value` is put in, and where steps are dropped.
    value : number or str
        What to pad with.

    Returns
    -------
    array, shape ``(len(sequences), maxlen, ...)``

    Raises
    ------
    ValueError
        If there are no sequences to take the length from, one is no sequence,
        their steps differ in shape, or an argument is outside its range; the
        message names the first bad position.

    Examples
    --------
    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    _check_choice(padding, "padding")
    _check_choice(truncating, "truncating")
    if not hasattr(sequences, "__len__"):
        raise ValueError(
            f"`sequences` must be iterable. Received: {sequences!r} (of type {type(sequences)})"
        )
    lengths = [_length(sequence, i) for i, sequence in enumerate(sequences)]
    if maxlen is None:
        if not lengths:
            raise ValueError("sequences must not be empty when maxlen is None.")
        maxlen = max(lengths)
    elif operator.index(maxlen) < 0:
        raise ValueError(f"maxlen must not be negative, got {maxlen}.")
    _check_value(value, dtype)

    step_shape: tuple[int, ...] = ()
    for sequence, length in zip(sequences, lengths, strict=True):
        if length:
            step_shape = np.asarray(sequence).shape[1:]
            break
    padded = np.full((len(lengths), maxlen, *step_shape), value, dtype=dtype)
    if not step_shape and _fill_numbers(padded, sequences, lengths, padding, truncating):
        return padded
    for i, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        kept = min(length, maxlen)
        if length == 0:
            continue
        part = sequence[length - kept :] if truncating == "pre" else sequence[:kept]
        steps = np.asarray(part, dtype=dtype)
        if kept and steps.shape[1:] != step_shape:
            raise ValueError(
                f"Shape of sample {steps.shape[1:]} of sequence at position {i} is different from "
                f"expected shape {step_shape}"
            )
        if kept:
            where = slice(maxlen - kept, maxlen) if padding == "pre" else slice(0, kept)
            padded[i, where] = steps
    return padded


def _fill_numbers(
    padded: np.ndarray, sequences: Any, lengths: list[int], padding: str, truncating: str
) -> bool:
    """Write lists of numbers at once, three times as fast as one after the other.

    Returns False, with nothing that stays written, of what is not plain lists of numbers.
    """
    width = padded.shape[1]
    if padded.dtype.kind not in "iuf" or not all(type(row) is list for row in sequences):
        return False
    sizes = np.array(lengths, np.int64)
    kept = np.minimum(sizes, width)[:, None]
    column = np.arange(width)
    places = column < kept if padding == "post" else column >= width - kept
    try:
        numbers = np.fromiter(chain.from_iterable(sequences), padded.dtype, int(sizes.sum()))
        if sizes.size and sizes.max() > width:
            # Cut here and not list by list, which would take as long as all the rest.
            place = np.arange(numbers.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            first = np.repeat(sizes - width, sizes)
            numbers = numbers[place < width if truncating == "post" else place >= first]
        padded[places] = numbers
    except (TypeError, ValueError):
        return False
    return True


def _check_choice(value: str, argument: str) -> None:
    if value not in ("pre", "post"):
        kind = argument.capitalize()
        raise ValueError(f'{kind} type "{value}" not understood. Expected "pre" or "post".')


def _length(sequence: Any, position: int) -> int:
    try:
        return len(sequence)
    except TypeError:
        raise ValueError(
            f"`sequences` must be a list of iterables. Found non-iterable: {sequence!r} at "
            f"position {position}."
        ) from None


def _check_value(value: Any, dtype: Any) -> None:
    if isinstance(value, str) and np.dtype(dtype).kind not in "OUS":
        raise ValueError(
            f"`dtype` {np.dtype(dtype).name} is not compatible with `value`'s type: {type(value)}\n"
            "You should set `dtype=object` for variable length strings."
        )
