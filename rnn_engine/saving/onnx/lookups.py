"""`LabelEncoder` of ONNX as the layers that look terms up, and back."""

from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine import ops as _ops
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.graph import Node
from rnn_engine.saving.onnx.views import Factor, View, arranged

ops: Any = _ops  # its names come from a table


@handles("ai.onnx.ml.LabelEncoder")
def _looked_up(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    strings = view.dtype == object
    if not strings and view.dtype.kind not in "iu":
        raise node.refuse("it looks up what is no whole number.")
    keys = _terms(node, "keys", strings)
    if node.get("values_strings") is not None:
        return view.like(_back(node, keys, True)(view.tensor))
    values = _terms(node, "values", False)
    if len(values) != len(keys):
        raise node.refuse("it has not as many values as keys.")
    other = node.number("default_int64", -1)
    vocabulary, mask_token = _vocabulary(dict(zip(keys, values, strict=True)), other)
    kind: Any = layers.StringLookup if strings else layers.IntegerLookup
    if vocabulary is not None:
        made = kind(vocabulary=vocabulary, mask_token=mask_token, oov_token=_unused(keys))
        return view.like(made(view.tensor))
    if not strings and keys == list(range(len(keys))) and len(set(values)) == len(values):
        return view.like(_back(node, keys, False)(view.tensor))
    found = kind(vocabulary=keys, oov_token=_unused(keys))(view.tensor)
    return view.like(_of_table(found, [other, *values]))


@handles("SplitTexts")
def _split(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    if view.dtype != object or view.rank != 1:
        raise node.refuse("it splits what is no list of texts.")
    keys, values = _terms(node, "keys", True), _terms(node, "values", False)
    numbers = dict(zip(keys, values, strict=False))
    if numbers.pop("", None) != -1 or not numbers or len(values) != len(keys):
        raise node.refuse("its numbers are not those of words.")
    length = node.get("length")
    words = layers.TextVectorization(
        standardize=None, vocabulary=list(numbers), output_sequence_length=length
    )(arranged(view, view.axes))
    # Here 0 fills up, 1 is what is unknown.
    table = [-1, node.number("default_int64", -1), *numbers.values()]
    if table[1:] == list(range(1, len(table))):
        found = ops.where(ops.equal(words, 0), -1, words)
    else:
        found = _of_table(words, table)
    axes = [view.axes[0], () if length == 1 else (Factor(length),)]
    return View(found, axes, axes, view.order)


def _terms(node: Node, what: str, strings: bool) -> list[Any]:
    """Return the keys or values of a node, of one type, keys no two of which are the same."""
    found = node.get(f"{what}_{'strings' if strings else 'int64s'}")
    if not isinstance(found, list) or not found:
        raise node.refuse("it does not give each string or whole number another one.")
    if what == "keys" and len(set(found)) != len(found):
        raise node.refuse("it has a key twice.")
    return found


def _vocabulary(numbers: dict[Any, int], other: int) -> tuple[list[Any] | None, Any]:
    """Return terms in Keras's order, and its mask token; None if the numbers have another.

    That is the mask's token if there is one, what is unknown, the vocabulary.
    """
    terms = {number: term for term, number in numbers.items()}
    if other not in (0, 1) or len(terms) != len(numbers):
        return None, None
    mask_token = terms.pop(0, None)
    if (other == 1) != (mask_token is not None):
        return None, None
    start = other + 1
    if not terms or set(terms) != set(range(start, start + len(terms))):
        return None, None
    return [terms[start + i] for i in range(len(terms))], mask_token


def _back(node: Node, keys: list[Any], strings: bool) -> Any:
    """Return the layer that gives numbers their terms."""
    terms = _terms(node, "values", strings)
    kind: Any = layers.StringLookup if strings else layers.IntegerLookup
    other = node.get("default_string", "_Unused") if strings else node.number("default_int64", -1)
    if keys != list(range(len(terms))):
        raise node.refuse("it gives back terms of other numbers than 0, 1, 2, ...")
    # Keras's order: the mask's token, those for what is unknown, the vocabulary.
    start = terms.index(other) if other in terms[:2] else 0
    known = start
    while known < len(terms) and terms[known] == other:
        known += 1
    vocabulary = terms[known:]
    if not vocabulary or len({*vocabulary, other}) != len(vocabulary) + 1:
        raise node.refuse("its terms are not those of a vocabulary, in order.")
    return kind(
        vocabulary=vocabulary, mask_token=terms[0] if start else None, oov_token=other,
        num_oov_indices=known - start, invert=True,
    )  # fmt: skip


def _of_table(found: Any, table: list[int]) -> Any:
    """Return the numbers that stand at places of a table."""
    numbers, counted = np.asarray(table, np.int64), np.arange(len(table))
    if (numbers == counted).all():
        return found
    if (numbers[1:] - counted[1:] == numbers[1] - 1).all():  # but for the first one moved
        moved = ops.add(found, int(numbers[1]) - 1)
        return ops.where(ops.equal(found, 0), int(numbers[0]), moved)
    return ops.take(numbers, found, axis=0)


def _unused(keys: list[Any]) -> Any:
    """Return a term that is none of the keys, to stand for those that are unknown."""
    if isinstance(keys[0], str):
        return max(keys, key=len) + "?"
    taken = set(keys)
    return next(n for n in range(-1, -len(keys) - 2, -1) if n not in taken)
