"""The functions of `tf.strings` that programs use before a lookup of strings.

They take and return arrays of Python's strings, of any shape, or a single string. As in
TensorFlow, only the blanks of ASCII are blanks.

Raises
------
TypeError
    If a value holds something else than strings.
ValueError
    If an argument is none that TensorFlow takes.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.layers.preprocessing.text import BLANKS
from rnn_engine.patterns import compile_pattern, compile_rewrite
from rnn_engine.tensor import as_tensor

__all__ = [
    "as_string",
    "join",
    "length",
    "lower",
    "reduce_join",
    "regex_full_match",
    "regex_replace",
    "split",
    "strip",
    "substr",
    "to_number",
    "unicode_split",
    "upper",
]


def _texts(value: Any) -> np.ndarray:
    array = np.asarray(value, dtype=object)
    return _objects(list(map(_text, array.reshape(-1).tolist())), array.shape)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError(
            f"Expected strings. Received: {value!r} of type {type(value).__name__}; "
            "`tf.strings.as_string` makes strings of numbers."
        )
    return str(value)


def _choice(argument: str, value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError(
            f"Argument `{argument}` must be one of {allowed}. Received: {argument}={value!r}"
        )
    return value


def _objects(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out.reshape(shape)


def _each(function: Callable[[str], Any], value: Any, dtype: Any = object) -> Any:
    texts = _texts(value)
    found = [function(text) for text in texts.reshape(-1).tolist()]
    if dtype is object:
        return as_tensor(_objects(found, texts.shape)) if texts.ndim else found[0]
    return as_tensor(np.array(found, dtype).reshape(texts.shape))


def lower(input: Any, encoding: str = "", name: Any = None) -> Any:
    """Return strings in small letters; of ASCII alone without `encoding`, as TensorFlow.

    Examples
    --------
    >>> lower(["Ab", "C"]).tolist()
    ['ab', 'c']
    """
    return _each(_letters(str.lower, encoding), input)


def upper(input: Any, encoding: str = "", name: Any = None) -> Any:
    """Return strings in capital letters; of ASCII alone without `encoding`, as TensorFlow."""
    return _each(_letters(str.upper, encoding), input)


def _letters(change: Callable[[str], str], encoding: str) -> Callable[[str], str]:
    if _choice("encoding", encoding, ("", "utf-8")):
        return change
    return lambda text: "".join(change(c) if c.isascii() else c for c in text)


def strip(input: Any, name: Any = None) -> Any:
    """Return strings without white space at their ends."""
    return _each(lambda text: text.strip(BLANKS), input)


def regex_replace(
    input: Any, pattern: str, rewrite: str, replace_global: bool = True, name: Any = None
) -> Any:
    r"""Return strings with what fits a pattern replaced.

    Patterns are those that RE2 and Python's `re` share, and RE2's ``[:classes:]``: letters,
    digits and words are those of ASCII, ``$`` is the end. In `rewrite`, ``\1`` stands for a
    group, ``\0`` for all of what fits.

    Examples
    --------
    >>> regex_replace(["a<br />b"], "<br />", " ").tolist()
    ['a b']
    """
    made, fill = compile_pattern(str(_texts(pattern))), compile_rewrite(str(_texts(rewrite)))

    def replace(text: str) -> str:
        end = -1

        def one(match: Any) -> str:
            nonlocal end
            # RE2 finds nothing empty where the match before ends.
            seen, end = end, match.end()
            return "" if match.end() == match.start() == seen else fill(match)

        return made.sub(one, text, 0 if replace_global else 1)

    return _each(replace, input)


def regex_full_match(input: Any, pattern: str, name: Any = None) -> Any:
    """Return whether all of each string fits a pattern; see `regex_replace`."""
    made = compile_pattern(str(_texts(pattern)))
    return _each(lambda text: made.fullmatch(text) is not None, input, bool)


def length(input: Any, unit: str = "BYTE", name: Any = None) -> Any:
    """Return the number of bytes, or with ``"UTF8_CHAR"`` of characters."""
    whole = _choice("unit", unit, _UNITS) == "BYTE"
    return _each(lambda text: len(text.encode() if whole else text), input, np.int32)


_UNITS = ("BYTE", "UTF8_CHAR")
_size = len


def substr(input: Any, pos: Any, len: Any, unit: str = "BYTE", name: Any = None) -> Any:
    """Return the part of each string from a place on, one place for all or one for each.

    Raises
    ------
    ValueError
        If a place is outside its string.
    """
    whole = _choice("unit", unit, _UNITS) == "BYTE"
    texts, places, counts = np.broadcast_arrays(_texts(input), np.asarray(pos), np.asarray(len))
    found = []
    for text, begin, count in zip(texts.flat, places.flat, counts.flat, strict=True):
        letters = text.encode() if whole else text
        if not -_size(letters) <= begin <= _size(letters):
            raise ValueError(f"pos {begin} out of range for string {text!r}")
        begin %= _size(letters) + (begin >= 0) or 1
        rest = letters[begin:]
        part = rest if whole and count < 0 else rest[: max(count, 0)]
        found.append(part.decode(errors="replace") if whole else part)
    return as_tensor(_objects(found, texts.shape)) if texts.ndim else found[0]


def to_number(input: Any, out_type: Any = "float32", name: Any = None) -> Any:
    """Return the numbers that strings say.

    Raises
    ------
    ValueError
        If one says none, or one that the type has not.
    """
    kind = np.dtype(out_type)
    read = float if kind.kind == "f" else int

    def number(text: str) -> Any:
        # Python's numbers may hold lines and digits of all scripts, those of C may not.
        try:
            if "_" in text or not text.isascii():
                raise ValueError
            return kind.type(read(text))
        except (ValueError, OverflowError):
            raise ValueError(
                f"to_number could not convert {text!r} to a number of type {kind}."
            ) from None

    return _each(number, input, kind)


def as_string(input: Any, name: Any = None) -> Any:
    """Return numbers as strings."""
    array = np.asarray(input)
    form = "{:f}" if array.dtype.kind == "f" else "{}"
    found = [form.format(x) for x in array.reshape(-1).tolist()]
    if array.dtype.kind == "b":
        found = [text.lower() for text in found]
    return as_tensor(_objects(found, array.shape)) if array.ndim else found[0]


def join(inputs: Any, separator: str = "", name: Any = None) -> Any:
    """Return the strings of several arrays one behind the other.

    Examples
    --------
    >>> join([["a", "b"], ["c", "d"]], separator=" ").tolist()
    ['a c', 'b d']
    """
    given = list(map(_texts, inputs))
    if len({array.shape for array in given if array.ndim}) > 1:
        shapes = [array.shape for array in given]
        raise ValueError(
            f"The arrays of `inputs` must have one shape, or none. Received: shapes {shapes}"
        )
    if not given:
        return ""
    arrays = np.broadcast_arrays(*given)
    found = [separator.join(row) for row in zip(*(a.reshape(-1) for a in arrays), strict=True)]
    return as_tensor(_objects(found, arrays[0].shape)) if arrays[0].ndim else found[0]


def reduce_join(
    inputs: Any, axis: Any = None, keepdims: bool = False, separator: str = "", name: Any = None
) -> Any:
    """Return the strings along an axis as one; of all axes where none is given.

    Examples
    --------
    >>> reduce_join(["a", "b"], separator="-")
    'a-b'
    """
    texts = _texts(inputs)
    axes = [*reversed(range(texts.ndim))] if axis is None else np.atleast_1d(axis).tolist()
    if any(not -texts.ndim <= a < texts.ndim for a in axes):
        raise ValueError(
            f"`axis` must be among the {texts.ndim} axes of the strings. Received: axis={axis}"
        )
    moved = np.moveaxis(texts, axes[::-1], range(-len(axes), 0))  # the first is joined first
    left = moved.shape[: moved.ndim - len(axes)]
    rows = moved.reshape(math.prod(left), -1) if moved.size else np.empty((0, 0), object)
    joined = _objects([separator.join(row) for row in rows.tolist()], left)
    if keepdims:
        joined = np.expand_dims(joined, tuple(axes))
    return as_tensor(joined) if joined.ndim else joined[()]


def split(input: Any, sep: str | None = None, maxsplit: int = -1, name: Any = None) -> Any:
    """Return the words of a string as an array; of an array of strings a list of such.

    TensorFlow has a ragged tensor in the place of the list.

    Examples
    --------
    >>> split("a b c").tolist()
    ['a', 'b', 'c']
    """

    def parts(text: str) -> list[str]:
        if maxsplit == 0:
            return [text]
        if sep:
            return text.split(sep, maxsplit)
        # Splitting at most once needs the rest of the text as it is.
        found = _RUN.split(text.lstrip(BLANKS), max(maxsplit, 0))
        return found if found[-1] else found[:-1]

    return _parts(parts, input)


_RUN = re.compile(f"[{BLANKS}]+")


def unicode_split(
    input: Any, input_encoding: str, errors: str = "replace", name: Any = None
) -> Any:
    """Return the characters of a string as an array; of an array of strings a list of such.

    Examples
    --------
    >>> unicode_split("añb", "UTF-8").tolist()
    ['a', 'ñ', 'b']
    """
    return _parts(list, input)


def _parts(function: Callable[[str], list[str]], value: Any) -> Any:
    texts = _texts(value)
    if not texts.ndim:
        parts = function(str(texts))
        return as_tensor(_objects(parts, (len(parts),)))
    return [_parts(function, row) for row in texts]
