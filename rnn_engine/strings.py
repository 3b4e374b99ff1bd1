"""The functions of `tf.strings` that programs use before a lookup of strings.

They take and return arrays of Python's strings, of any shape, or a single string.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

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
    flat = [x.decode() if isinstance(x, bytes) else str(x) for x in array.reshape(-1).tolist()]
    return _objects(flat, array.shape)


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
    return _each(str.lower if encoding else _ascii(str.lower), input)


def upper(input: Any, encoding: str = "", name: Any = None) -> Any:
    """Return strings in capital letters; of ASCII alone without `encoding`, as TensorFlow."""
    return _each(str.upper if encoding else _ascii(str.upper), input)


def _ascii(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "".join(change(c) if c.isascii() else c for c in text)


def strip(input: Any, name: Any = None) -> Any:
    """Return strings without white space at their ends."""
    return _each(str.strip, input)


def regex_replace(
    input: Any, pattern: str, rewrite: str, replace_global: bool = True, name: Any = None
) -> Any:
    r"""Return strings with what fits a pattern replaced.

    Patterns are Python's, which RE2's are with few exceptions; ``\1`` stands for a group.

    Examples
    --------
    >>> regex_replace(["a<br />b"], "<br />", " ").tolist()
    ['a b']
    """
    pattern, rewrite = (str(_texts(x)) for x in (pattern, rewrite))
    made = re.compile(pattern)
    return _each(lambda text: made.sub(rewrite, text, 0 if replace_global else 1), input)


def regex_full_match(input: Any, pattern: str, name: Any = None) -> Any:
    """Return whether all of each string fits a pattern."""
    made = re.compile(str(_texts(pattern)))
    return _each(lambda text: made.fullmatch(text) is not None, input, bool)


def length(input: Any, unit: str = "BYTE", name: Any = None) -> Any:
    """Return the number of bytes, or with ``"UTF8_CHAR"`` of characters."""
    count = (lambda text: len(text.encode())) if unit == "BYTE" else len
    return _each(count, input, np.int32)


def substr(input: Any, pos: int, len: int, unit: str = "BYTE", name: Any = None) -> Any:
    """Return the part of each string from a place on."""
    begin, count = int(pos), int(len)
    if unit != "BYTE":
        return _each(lambda text: text[begin:][:count], input)
    return _each(lambda text: text.encode()[begin:][:count].decode(errors="replace"), input)


def to_number(input: Any, out_type: Any = "float32", name: Any = None) -> Any:
    """Return the numbers that strings say."""
    kind = np.dtype(out_type)
    return _each(float if kind.kind == "f" else int, input, kind)


def as_string(input: Any, name: Any = None) -> Any:
    """Return numbers as strings."""
    array = np.asarray(input)
    form = "{:f}" if array.dtype.kind == "f" else "{}"
    found = [form.format(x) for x in array.reshape(-1).tolist()]
    return as_tensor(_objects(found, array.shape)) if array.ndim else found[0]


def join(inputs: Any, separator: str = "", name: Any = None) -> Any:
    """Return the strings of several arrays one behind the other.

    Examples
    --------
    >>> join([["a", "b"], ["c", "d"]], separator=" ").tolist()
    ['a c', 'b d']
    """
    arrays = np.broadcast_arrays(*map(_texts, inputs))
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
    if axis is None:
        return separator.join(texts.reshape(-1).tolist())
    moved = np.moveaxis(texts, axis, -1)
    rows = moved.reshape(-1, moved.shape[-1])
    joined = _objects([separator.join(row) for row in rows.tolist()], moved.shape[:-1])
    if keepdims:
        joined = np.expand_dims(joined, axis)
    return as_tensor(joined) if joined.ndim else joined[()]


def split(input: Any, sep: str | None = None, maxsplit: int = -1, name: Any = None) -> Any:
    """Return the words of a string as an array; of an array of strings a list of such.

    TensorFlow has a ragged tensor in the place of the list.

    Examples
    --------
    >>> split("a b c").tolist()
    ['a', 'b', 'c']
    """
    return _parts(lambda text: text.split(sep or None, maxsplit), input)


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
