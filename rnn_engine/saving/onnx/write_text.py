"""Layers of strings: ONNX looks them up, and splits them at blanks; more it does not know."""

from typing import Any

import numpy as np

from rnn_engine.saving.onnx.writer import Mask, NotInONNXError, Value, Writer, writes

BLANKS = " \t\n\v\f\r"
_ML = "ai.onnx.ml"
_WAY_OUT = "write the model behind it, from the numbers that the layer gives"


def _looked_up(w: Writer, lookup: Any, x: Value, index: dict[Any, int]) -> str:
    """Return the indices of terms, int64."""
    strings = bool(lookup.takes_strings)
    unknown = lookup._oov_start() if lookup.num_oov_indices == 1 else -1
    if lookup.num_oov_indices == 0:
        raise NotInONNXError(
            f"with num_oov_indices=0 unknown terms are an error, and ONNX has none; {_WAY_OUT}."
        )
    if strings and lookup.num_oov_indices > 1:
        raise NotInONNXError(f"unknown strings are hashed, which ONNX does not; {_WAY_OUT}.")
    keys: dict[str, Any] = {"keys_strings" if strings else "keys_int64s": list(index)}
    given = x.name if strings else w.cast(x, "int64").name
    name = w.op(
        "LabelEncoder", given, domain=_ML, **keys,
        values_int64s=[int(n) for n in index.values()], default_int64=unknown,
    )  # fmt: skip
    if lookup.num_oov_indices == 1:
        return str(name)
    rest = w.op("Mod", given, w.number(lookup.num_oov_indices, "int64"))
    bucket = w.op("Add", rest, w.number(lookup._oov_start(), "int64"))
    return str(w.op("Where", w.op("Equal", name, w.number(-1, "int64")), bucket, name))


def _encoded(w: Writer, lookup: Any, name: str, shape: Any, squeeze: bool) -> Value:
    """Return indices, or vectors of which terms there are, or how often."""
    mode = lookup.output_mode
    if mode == "int":
        return Value(name, shape, "int64")
    depth = int(lookup.width())
    if mode == "one_hot" and squeeze and len(shape) > 1 and shape[-1] == 1:
        name, shape = w.op("Squeeze", name, w.ints(-1)), shape[:-1]
    hot = w.op("Equal", w.op("Unsqueeze", name, w.ints(-1)), w.constant(np.arange(depth)))
    hot = w.op("Cast", hot, to=w.type_of("int64"))
    if mode == "one_hot":
        return Value(hot, (*shape, depth), "int64")
    whole = (*shape[:-1], depth)
    counts = w.op("ReduceMax" if mode == "multi_hot" else "ReduceSum", hot, w.ints(-2), keepdims=0)
    if mode != "tf_idf":
        return Value(counts, whole, "int64")
    weights = np.asarray(lookup.idf_weights)
    dtype = str(weights.dtype)
    counts = w.op("Cast", counts, to=w.type_of(dtype))
    return Value(w.op("Mul", counts, w.constant(weights, "idf_weights")), whole, dtype)


def _checked(layer: Any) -> Any:
    lookup = layer.lookup
    if lookup._tokens is None or not lookup._index:
        raise NotInONNXError("it has no vocabulary yet.")
    return lookup


@writes("StringLookup", "IntegerLookup")
def _lookup(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    lookup = _checked(layer)
    if not layer.invert:
        name = _looked_up(w, lookup, x, lookup._index)
        return _encoded(w, lookup, name, x.shape, True)
    terms, strings = lookup.get_vocabulary(), bool(lookup.takes_strings)
    kind, dtype = ("strings", "string") if strings else ("int64s", "int64")
    settings: dict[str, Any] = {
        f"values_{kind}": terms if strings else [int(term) for term in terms],
        f"default_{kind[:-1]}": lookup.oov_token if strings else int(lookup.oov_token),
    }
    given = w.cast(x, "int64").name
    name = w.op("LabelEncoder", given, domain=_ML, keys_int64s=list(range(len(terms))), **settings)
    return Value(name, x.shape, dtype)


@writes("TextVectorization")
def _vectorized(w: Writer, layer: Any, x: Value, options: Any) -> Value:
    lookup = _checked(layer)
    if layer.standardize is not None:
        raise NotInONNXError(
            f"it cleans texts (standardize={layer.standardize!r}), for which ONNX has nothing; "
            f"clean them before, with standardize=None, or {_WAY_OUT}."
        )
    if layer.split not in (None, "whitespace") or layer.ngrams is not None:
        raise NotInONNXError(
            f"it splits otherwise than at blanks, or joins n-grams, for which ONNX has nothing; "
            f"{_WAY_OUT}."
        )
    whole, length = lookup.output_mode == "int", layer.output_sequence_length
    if layer.split is None:
        name = _looked_up(w, lookup, x, lookup._index)
        shape = tuple(x.shape)
    else:
        name, shape = _split(w, lookup, x)
        if whole or lookup.output_mode == "one_hot":
            name = moved_together(w, name)
    if whole:
        if length is not None:
            pads = w.ints(*[0] * (2 * len(shape) - 1), length)
            name = w.op("Pad", name, pads, w.number(-1, "int64"))
            name = w.op("Slice", name, w.ints(0), w.ints(length), w.ints(-1))
            shape = (*shape[:-1], length)
        name = w.op("Max", name, w.number(0, "int64"))
    return _encoded(w, lookup, name, shape, layer.split is None)


def _split(w: Writer, lookup: Any, x: Value) -> tuple[str, tuple[int | None, ...]]:
    """Return the indices of the words in texts (batch, places), -1 where none is.

    At each kind of blank in turn: without a delimiter ONNX Runtime splits at spaces only. What
    lies between two blanks is empty, as is what short texts are filled up with.
    """
    name, shape = x.name, tuple(x.shape)
    if len(shape) > 1:
        if len(shape) > 2 or shape[-1] != 1:
            raise NotInONNXError(f"it splits texts of shape {shape}; (batch,), (batch, 1) can be.")
        name = w.op("Squeeze", name, w.ints(-1))
    w.opset = max(w.opset, 20)  # the first with StringSplit
    name = words_of(w, name)
    index = {**lookup._index, "": -1}
    return _looked_up(w, lookup, Value(name, (None, None), "string"), index), (shape[0], None)


def words_of(w: Writer, name: str) -> str:
    """Return the words (batch, places) of texts (batch,), empty where none is."""
    for number, blank in enumerate(BLANKS):
        name = w.op("StringSplit", name, outputs=2, delimiter=blank)[0]
        if number:  # parts of parts
            name = w.op("Reshape", name, w.ints(0, -1))
    return name


def moved_together(w: Writer, name: str) -> str:
    """Return indices (batch, longest), those of each row in front, -1 behind."""
    mask = Mask(w.op("GreaterOrEqual", name, w.number(0, "int64")))
    moved = w.op("GatherElements", name, w.order(mask, False), axis=1)
    longest = w.op("ReduceMax", w.whole_lengths(mask), w.ints(0), keepdims=1)
    return str(w.op("Slice", moved, w.ints(0), longest, w.ints(1)))
