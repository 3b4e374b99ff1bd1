"""`LabelEncoder` of ONNX as `StringLookup` and `IntegerLookup`."""

from typing import Any

from rnn_engine import layers
from rnn_engine import ops as _ops
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.graph import Node

ops: Any = _ops  # its names come from a table

_MOST_ODD = 8  # numbers beside those of a vocabulary


@handles("ai.onnx.ml.LabelEncoder")
def _looked_up(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    strings = view.dtype == object
    keys, values = node.get("keys_strings" if strings else "keys_int64s"), node.get("values_int64s")
    fits = isinstance(keys, list) and isinstance(values, list) and len(keys) == len(values)
    if not fits or not keys or len(set(keys)) != len(keys):
        raise node.refuse("it does not give each string or whole number a whole number.")
    if not strings and view.dtype.kind not in "iu":
        raise node.refuse("it looks up what is no whole number.")
    other = node.number("default_int64", -1)
    terms = dict(zip(values, keys, strict=True))
    # Keras's order: the mask's token if there is one, what is unknown, the vocabulary.
    mask_token = terms.get(0) if other == 1 else None
    start = 0 if mask_token is None else 2
    vocabulary: list[Any] = []
    if other == 0 or mask_token is not None:
        start = start or 1
        while start + len(vocabulary) in terms:
            vocabulary.append(terms[start + len(vocabulary)])
    known = {*vocabulary, *([] if mask_token is None else [mask_token])}
    odd = {key: value for key, value in zip(keys, values, strict=True) if key not in known}
    if not vocabulary or len(odd) > _MOST_ODD:
        raise node.refuse("its numbers are not those of a vocabulary, in order.")
    kind: Any = layers.StringLookup if strings else layers.IntegerLookup
    found = kind(vocabulary=[*vocabulary, *odd], mask_token=mask_token, oov_token=_unused(keys))(
        view.tensor
    )
    for place, value in enumerate(odd.values()):
        is_it = ops.equal(found, start + len(vocabulary) + place)
        found = ops.where(is_it, int(value), found)
    return view.like(found)


def _unused(keys: list[Any]) -> Any:
    """Return a term that is none of the keys, to stand for those that are unknown."""
    if isinstance(keys[0], str):
        return max(keys, key=len) + "?"
    taken = set(keys)
    return next(n for n in range(-1, -len(keys) - 2, -1) if n not in taken)
