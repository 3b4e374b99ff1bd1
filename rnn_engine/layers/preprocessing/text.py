"""What happens to strings before they are looked up: reading, cleaning, splitting, n-grams."""

import itertools
import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

# As TensorFlow's: only ASCII letters are lowered, only ASCII blanks split.
_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
_STRIP: dict[int, str | None] = dict.fromkeys(map(ord, string.punctuation))
STANDARDIZE: dict[str, dict[int, Any]] = {
    "lower_and_strip_punctuation": {**_LOWER, **_STRIP},
    "lower": _LOWER,
    "strip_punctuation": _STRIP,
}
BLANKS = " \t\n\r\x0b\x0c"
_WORDS = re.compile(f"[^{BLANKS}]+")
_IS_BLANK = np.isin(np.arange(128, dtype=np.uint8), np.frombuffer(BLANKS.encode(), np.uint8))
# The first of four that Python takes for blanks as well, within ASCII.
_SEPARATORS = np.uint8(0x1C)
SPLIT: dict[str, Callable[[str], list[str]]] = {"whitespace": _WORDS.findall, "character": list}


class Tokens(NamedTuple):
    """Tokens of all texts, one after the other, and how many each text has."""

    flat: list[str]
    lengths: np.ndarray

    @classmethod
    def of_rows(cls, rows: Iterable[Sequence[str]]) -> "Tokens":
        """Join the tokens of each text."""
        rows = list(rows)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(list(itertools.chain.from_iterable(rows)), lengths)

    def rows(self) -> Iterator[list[str]]:
        """Yield the tokens of each text."""
        ends = np.cumsum(self.lengths).tolist()
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            yield self.flat[begin:end]


def clean(texts: list[str], table: dict[int, Any]) -> list[str]:
    """Return the texts with each character replaced as `table` has it; line breaks stay."""
    whole = "\n".join(texts)
    # One call for all of them: each prepares its table anew.
    if whole.count("\n") == len(texts) - 1:
        return whole.translate(table).split("\n")
    return [text.translate(table) for text in texts]


def split(texts: list[str], how: str) -> Tokens:
    """Return the tokens of texts that are parted as `SPLIT` has it."""
    whole = "\n".join(texts) if how == "whitespace" else ""
    letters = np.frombuffer(whole.encode() if whole.isascii() else b"", np.uint8)
    # Python's own blanks are those of ASCII there, and its split several times as fast.
    alike = letters.size > 0 and not ((letters - _SEPARATORS) < 4).any()
    if not alike or whole.count("\n") != len(texts) - 1:
        return Tokens.of_rows(map(SPLIT[how], texts))
    blank = _IS_BLANK[letters]
    starts = ~blank
    starts[1:] &= blank[:-1]
    ends = np.append(np.flatnonzero(letters == ord("\n")), len(letters))
    begun = np.searchsorted(np.flatnonzero(starts), ends)
    return Tokens(whole.split(), np.diff(begun, prepend=0))


def read_strings(inputs: Any, encoding: str, argument: str) -> tuple[list[str], tuple[int, ...]]:
    """Return the strings of a scalar, nested list or array in C order, and its shape.

    Bytes are decoded.

    Raises
    ------
    TypeError
        If an element is no string; the message names the first one.
    ValueError
        If a nested list is ragged.
    """
    if isinstance(inputs, str | bytes):
        array = np.empty((), dtype=object)
        array[()] = inputs
    else:
        array = np.asarray(inputs, dtype=object)
    flat = array.reshape(-1).tolist()
    for i, element in enumerate(flat):
        if type(element) is str:
            continue
        if isinstance(element, bytes):
            flat[i] = element.decode(encoding)
        elif isinstance(element, str):
            flat[i] = str(element)
        else:
            index = tuple(int(k) for k in np.unravel_index(i, array.shape))
            if isinstance(element, list | tuple | np.ndarray):
                raise ValueError(
                    f"{argument} must be rectangular: the lists at index {index} "
                    f"and elsewhere differ in length."
                )
            raise TypeError(
                f"{argument} must hold strings, got {element!r} of type "
                f"{type(element).__name__} at index {index}."
            )
    return flat, array.shape


def make_ngrams(tokens: Sequence[str], widths: Iterable[int]) -> list[str]:
    """Return runs of tokens joined by a blank, all of one width before the next width.

    Examples
    --------
    >>> make_ngrams(["a", "b", "c"], (1, 2))
    ['a', 'b', 'c', 'a b', 'b c']
    """
    return [
        " ".join(tokens[i : i + width]) for width in widths for i in range(len(tokens) - width + 1)
    ]


def pad_rows(numbers: np.ndarray, lengths: np.ndarray, width: int | None, value: int) -> np.ndarray:
    """Return rows of `lengths`, which lie in `numbers` one after the other, as a matrix.

    They are cut, or filled up with `value`, at the end; to the longest one if `width` is None.
    """
    width = int(lengths.max(initial=0)) if width is None else width
    matrix = np.full((len(lengths), width), value, np.int64)
    if lengths.max(initial=0) > width:
        place = np.arange(numbers.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        numbers = numbers[place < width]
    matrix[np.arange(width) < lengths[:, None]] = numbers
    return matrix


def encode(indices: np.ndarray, mode: str, depth: int) -> np.ndarray:
    """Encode indices, of which the negative ones are dropped.

    Parameters
    ----------
    indices : array of int64
    mode : {"one_hot", "multi_hot", "count"}
        ``one_hot`` adds an axis, in place of a last one of size 1; the others put
        one of `depth` in place of the last axis.
    depth : int
        Size of the new axis.
    """
    if indices.ndim == 0:
        indices = indices[None]
    if mode == "one_hot":
        squeeze = indices.ndim > 1 and indices.shape[-1] == 1
        indices = indices if squeeze else indices[..., None]
    flat = indices.reshape(-1, indices.shape[-1]) if indices.size else indices.reshape(0, 1)
    rows = int(np.prod(indices.shape[:-1]))
    row, column = np.nonzero(flat >= 0)
    slots = row * depth + flat[row, column]
    counts = np.bincount(slots, minlength=rows * depth).astype(np.int64)
    counts = counts.reshape(*indices.shape[:-1], depth)
    return counts if mode == "count" else np.minimum(counts, 1)


def check_choice(layer: str, argument: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of the strings."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ValueError(
            f"Unknown value for `{argument}` argument of {layer}. Allowed values are: {allowed}. "
            f"Received: {argument}={value}"
        )
