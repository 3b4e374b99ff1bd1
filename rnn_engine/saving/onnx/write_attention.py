"""Attention as products, softmax and `Where`."""

import math
from typing import Any

import numpy as np

from rnn_engine.saving.onnx.writer import Mask, NotInONNXError, Value, Writer, untold, writes


def _masks_of(values: list[Value], given: Any) -> list[Mask | None]:
    """Return the masks of the inputs: those of the call, or those that come along."""
    if given is None:
        return [None if v.mask is None else untold(v.mask) for v in values]
    return [None if m is None else Mask(m.name) for m in given]


def _both(w: Writer, one: str, other: str) -> str:
    return str(w.op("And", one, other)) if one else other


def _steps(w: Writer, x: Value) -> str:
    """Return the number of each step, from 1, as float32 (batch, time)."""
    first = w.op("Gather", x.name, w.constant(np.array(0, np.int64)), axis=2)
    none = w.op("Mul", w.op("Cast", first, to=w.type_of("float32")), w.number(0, "float32"))
    ones = w.op("Add", none, w.number(1, "float32"))
    return str(w.op("CumSum", ones, w.constant(np.array(1, np.int64))))


def _near(w: Writer, query: Value, value: Value, causal: bool, window: int | None) -> str:
    """Return which values each query may see by its place, (1 or batch, queries, values)."""
    queries, values = query.shape[1], value.shape[1]
    if queries is not None and values is not None:
        apart = np.arange(queries)[:, None] - np.arange(values)
        seen = np.ones(apart.shape, bool) if not causal else apart >= 0
        seen = seen if window is None else seen & (np.abs(apart) < window)
        return w.constant(seen[None], "places")
    one, two = _steps(w, query), _steps(w, value)
    between = w.op("Sub", w.op("Unsqueeze", one, w.ints(2)), w.op("Unsqueeze", two, w.ints(1)))
    name = w.op("GreaterOrEqual", between, w.number(0, "float32")) if causal else ""
    if window is not None:
        near = w.op("Less", w.op("Abs", between), w.number(window, "float32"))
        name = _both(w, name, near)
    return str(name)


# --- Attention and AdditiveAttention ----------------------------------------------------------


@writes("Attention", "AdditiveAttention")
def _attention(w: Writer, layer: Any, xs: list[Value], options: dict[str, Any]) -> Any:
    query, value, key = (*xs, xs[1])[:3]
    scores = _scores(w, layer, query, key)
    query_mask, value_mask = _masks_of([query, value], options.get("mask"))[:2]
    shown = w.op("Unsqueeze", value_mask.name, w.ints(1)) if value_mask is not None else ""
    if options.get("use_causal_mask"):
        shown = _both(w, shown, _near(w, query, value, True, None))
    if shown:
        hidden = w.op("Sub", scores, w.number(1e9, query.dtype))
        scores = w.op("Where", shown, scores, hidden)
    weights = w.op("Softmax", scores, axis=-1)
    name = w.op("MatMul", weights, value.name)
    if query_mask is not None:
        is_open = w.op("Unsqueeze", query_mask.name, w.ints(2))
        name = w.op("Where", is_open, name, w.number(0, query.dtype))
    shape = (*query.shape[:-1], value.shape[-1])
    result = Value(name, shape, query.dtype, query.mask)
    if not options.get("return_attention_scores"):
        return result
    return [result, Value(weights, (*query.shape[:-1], value.shape[1]), query.dtype)]


def _scores(w: Writer, layer: Any, query: Value, key: Value) -> str:
    scale = None if layer.scale is None else w.weight(layer.scale, wish="scale")
    additive = type(layer).__name__ == "AdditiveAttention"
    if not additive and layer.score_mode == "dot":
        name = w.op("MatMul", query.name, w.op("Transpose", key.name, perm=[0, 2, 1]))
        return str(name if scale is None else w.op("Mul", name, scale))
    one = w.op("Unsqueeze", query.name, w.ints(2))
    name = w.op("Add", one, w.op("Unsqueeze", key.name, w.ints(1)))
    if not additive and scale is not None:
        name = w.op("Mul", name, scale)
    name = w.op("Tanh", name)
    if additive and scale is not None:
        name = w.op("Mul", name, scale)
    name = w.op("ReduceSum", name, w.ints(-1), keepdims=0)
    if additive:
        return str(name)
    return str(w.op("Mul", name, w.weight(layer.concat_score_weight, wish="weight")))


# --- MultiHeadAttention -----------------------------------------------------------------------


@writes("MultiHeadAttention")
def _multi_head(w: Writer, layer: Any, xs: list[Value], options: dict[str, Any]) -> Any:
    query, value, key = (*xs, xs[1])[:3]
    rank, axes = len(query.shape), list(layer.attention_axes)
    order = layer._order(rank + 1)
    sizes = layer.key_dim, layer.key_dim, layer.value_dim
    denses = layer.query_dense, layer.key_dense, layer.value_dense
    turned = [
        w.transpose(_projected(w, dense, x, layer.num_heads, size), order)
        for dense, x, size in zip(denses, (query, key, value), sizes, strict=True)
    ]
    heads = [
        name if len(axes) == 1
        else w.op("Reshape", name, w.ints(*[0] * (rank - len(axes)), -1, size))
        for name, size in zip(turned, sizes, strict=True)
    ]  # fmt: skip
    scaled = w.op("Mul", heads[0], w.number(1 / math.sqrt(layer.key_dim), query.dtype))
    last = rank - len(axes)  # the axis of the steps, behind that of the heads
    back = [*range(last), last + 1, last]
    scores = w.op("MatMul", scaled, w.op("Transpose", heads[1], perm=back))
    shape = layer._scores_shape([query.shape, value.shape])
    sizes_of_scores = "" if len(axes) == 1 else w.op(
        "Concat", w.sizes(turned[0], 0, rank), w.sizes(turned[1], last, rank), axis=0)  # fmt: skip
    shown = _shown(w, layer, query, value, key, options)
    while shown and len(shown.shape) < len(shape):
        shown = _wider(w, shown, -len(axes) * 2 - 1)
    if shown and sizes_of_scores:
        whole = w.op("Expand", shown.name, sizes_of_scores)
        shown = Value(w.op("Reshape", whole, w.op("Shape", scores)), shape, "bool")
    scores_asked = bool(options.get("return_attention_scores"))
    # See `MultiHeadAttention.forward`: where a query sees nothing, Keras has two ways.
    plain = not (layer.dropout > 0 or scores_asked or rank != 3)
    closed = float(np.finfo(query.dtype).min) * 0.7 if plain else -1e9
    if shown:
        scores = w.op("Where", shown.name, scores, w.number(closed, query.dtype))
    weights = w.op("Softmax", scores, axis=-1)
    if shown and not plain:
        weights = w.op("Where", shown.name, weights, w.number(0, query.dtype))
    means = w.op("MatMul", weights, heads[2])
    if len(axes) > 1:
        means = w.op("Reshape", means, w.op(
            "Concat", w.sizes(turned[0], 0, rank), w.ints(layer.value_dim), axis=0))  # fmt: skip
    attended = w.transpose(means, [int(i) for i in np.argsort(order)])
    if layer.use_gate:
        gate = _projected(w, layer._gate_dense, query, layer.num_heads, layer.value_dim)
        attended = w.op("Mul", attended, w.op("Sigmoid", gate))
    result = _output(w, layer, query, attended)
    if not scores_asked:
        return result
    weights = w.op("Reshape", weights, sizes_of_scores) if sizes_of_scores else weights
    return [result, Value(weights, shape, query.dtype)]


def _projected(w: Writer, dense: Any, x: Value, heads: int, size: int) -> str:
    """Return a projection (..., heads, size)."""
    name = w.op("MatMul", x.name, w.weight(dense.kernel, lambda k: k.reshape(len(k), -1)))
    if dense.bias is not None:
        name = w.op("Add", name, w.weight(dense.bias, np.ravel, "bias"))
    return str(w.op("Reshape", name, w.ints(*[0] * (len(x.shape) - 1), heads, size)))


def _output(w: Writer, layer: Any, query: Value, attended: str) -> Value:
    """Return the projection of the heads' outputs."""
    rank, dense = len(query.shape), layer.output_dense
    flat = w.op("Reshape", attended, w.ints(*[0] * (rank - 1), layer.num_heads * layer.value_dim))
    outer = dense.kernel.shape[2:]
    inner = layer.num_heads * layer.value_dim
    name = w.op("MatMul", flat, w.weight(dense.kernel, lambda k: k.reshape(inner, -1)))
    if dense.bias is not None:
        name = w.op("Add", name, w.weight(dense.bias, np.ravel, "bias"))
    if len(outer) > 1:
        name = w.op("Reshape", name, w.ints(*[0] * (rank - 1), *map(int, outer)))
    return Value(name, (*query.shape[:-1], *map(int, outer)), query.dtype, query.mask)


def _shown(
    w: Writer, layer: Any, query: Value, value: Value, key: Value, options: dict[str, Any]
) -> Any:
    """Return what may be seen, in as many axes as masks have, or None."""
    names = "query_mask", "value_mask", "key_mask"
    # The mask of a value that is the key as well counts once.
    values = [query, value] if key is value else [query, value, key]
    along = [*_masks_of(values, None), None][:3]
    found: Any = None

    def also(name: str, rank: int) -> None:
        nonlocal found
        other = Value(name, (None,) * rank, "bool")
        while found is not None and len(found.shape) < rank:
            found = _wider(w, found, 1)
        joined = _both(w, "" if found is None else found.name, name)
        found = Value(joined, other.shape if found is None else found.shape, "bool")

    for option, mask, behind in zip(names, along, (-1, -2, -2), strict=True):
        name = _truths(w, options[option])[0] if options.get(option) is not None else ""
        if not name and mask is not None:
            name = mask.name
        if name:
            also(w.op("Unsqueeze", name, w.ints(behind)), 3)
    causal = bool(options.get("use_causal_mask"))
    if causal or layer.sliding_window is not None:
        also(_near(w, query, value, causal, layer.sliding_window), 3)
    if options.get("attention_mask") is not None:
        name, rank = _truths(w, options["attention_mask"])
        if rank < 3:
            raise NotInONNXError(f"its attention_mask has {rank} axes.")
        also(name, rank)
    return found


def _truths(w: Writer, mask: Any) -> tuple[str, int]:
    """Return a mask of a call as truths, and the number of its axes."""
    if not isinstance(mask, Value):
        array = np.asarray(mask).astype(bool)
        return w.constant(array, "mask"), array.ndim
    return w.cast(mask, "bool").name, len(mask.shape)


def _wider(w: Writer, mask: Value, place: int) -> Value:
    """Return a mask with one more axis of one."""
    return Value(w.op("Unsqueeze", mask.name, w.ints(place)), (None, *mask.shape), "bool")
