"""Recurrent layers as RNN, LSTM and GRU of ONNX.

ONNX knows lengths, not masks. So the steps that count are moved together first, in their
order, and the outputs are put where their steps were: exact for every mask, padding in front
included. Where a step does not count, Keras repeats the output before it, or gives zero.
"""

from typing import Any

import numpy as np

from rnn_engine.saving.onnx.write_activations import in_recurrence
from rnn_engine.saving.onnx.writer import Mask, NotInONNXError, Value, Writer, untold, writes

# Keras's gates in the order of ONNX: LSTM has i f c o here and i o f c there.
ORDER = {"SimpleRNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [0, 1, 2]}
_KINDS = {"SimpleRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU"}


def _kind(cell: Any) -> str:
    name = type(cell).__name__.removesuffix("Cell")
    if name not in _KINDS:
        raise NotInONNXError(f"a cell of class {type(cell).__name__} has no operator.")
    return name


def _rows(array: np.ndarray, kind: str) -> np.ndarray:
    """Return the columns of gates as ONNX's rows."""
    order = ORDER[kind]
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1).T


def _bias(array: np.ndarray, kind: str) -> np.ndarray:
    """Return a bias (gates), or (2, gates) of a GRU, as ONNX's two in a row."""
    two = array if array.ndim == 2 else np.stack([array, np.zeros_like(array)])
    return np.concatenate([_rows(part, kind) for part in two])


def _cell_weights(w: Writer, cells: list[Any], kind: str) -> list[str]:
    """Return the constants of an operator of one or two directions."""
    found = []
    changes: dict[str, Any] = {"kernel": _rows, "recurrent_kernel": _rows, "bias": _bias}
    for wish, change in changes.items():
        if wish == "bias" and not cells[0].use_bias:
            found.append("")
            continue
        parts = np.stack([change(getattr(cell, wish).numpy(), kind) for cell in cells])
        key = (tuple(id(getattr(cell, wish)) for cell in cells), wish)
        if key not in w.known:
            w.known[key] = w.constant(parts, wish)
        found.append(w.known[key])
    return found


def _operator(
    w: Writer, cells: list[Any], x: str, direction: str, lengths: str, states: list[str]
) -> list[str]:
    """Return Y (time, directions, batch, units) and the last states (directions, batch, units)."""
    kind = _kind(cells[0])
    activations: list[Any] = []
    for cell in cells:
        outer = in_recurrence(cell.activation)
        if kind == "SimpleRNN":
            activations.append(outer)
        else:
            gate = in_recurrence(cell.recurrent_activation)
            activations += [gate, outer, outer] if kind == "LSTM" else [gate, outer]
    settings: dict[str, Any] = {"activations": [name for name, _, _ in activations]}
    for place, key in ((1, "activation_alpha"), (2, "activation_beta")):
        numbers = [n for found in activations for n in found[place]]
        if numbers:
            settings[key] = numbers
    if kind == "GRU":
        settings["linear_before_reset"] = int(bool(cells[0].reset_after))
    weights = _cell_weights(w, cells, kind)
    inputs = [x, *weights, lengths, *states]
    while inputs[-1] == "":
        inputs.pop()
    return list(
        w.op(
            _KINDS[kind], *inputs, outputs=3 if kind == "LSTM" else 2, direction=direction,
            hidden_size=int(cells[0].units), **settings,
        )
    )  # fmt: skip


def _moved(w: Writer, value: Value, mask: Mask | None, turned: bool) -> tuple[str, str]:
    """Return the input (time, batch, features), its steps moved together, and the lengths.

    They come in the order of reading, so that all is read forward: not every runtime minds the
    lengths on the way back.
    """
    features = value.shape[-1]
    x, lengths = value.name, ""
    if mask is not None:
        x = w.picked(x, w.order(mask, turned), int(features or 0))
        lengths = w.lengths(mask)
    return w.op("Transpose", x, perm=[1, 0, 2]), lengths


def _placed(w: Writer, y: str, units: int, mask: Mask, turned: bool, zero: bool) -> str:
    """Return outputs (batch, time, units), each where its step is in the input.

    `y` has those of the open steps in the order of reading. A closed one repeats the output of
    the open one that was read before it, and is zero where there is none.
    """
    one = w.constant(np.array(1, np.int64))
    places = w.op("Sub", w.counts(mask), one)  # how many open ones stand before, less one
    if turned:
        ones = w.op("Cast", mask.name, to=w.type_of("int64"))
        last = w.op("Sub", w.op("Unsqueeze", w.whole_lengths(mask), w.ints(1)), one)
        places = w.op("Sub", last, w.op("Sub", w.counts(mask), ones))
    none = w.constant(np.array(0, np.int64))
    keep = mask.name if zero else w.op("GreaterOrEqual", places, none)
    picked = w.picked(y, w.op("Max", places, none), units)
    return str(w.op("Where", w.op("Unsqueeze", keep, w.ints(2)), picked, w.number(0.0, "float32")))


def _at_the_end(w: Writer, y: str, units: int, mask: Mask) -> str:
    """Return the last output (batch, units) of the open steps, of rows without one zero.

    Not the state that the operator returns, which OpenVINO takes from the last step of all.
    """
    lengths = w.op("Unsqueeze", w.whole_lengths(mask), w.ints(1))
    none = w.constant(np.array(0, np.int64))
    place = w.op("Max", w.op("Sub", lengths, w.constant(np.array(1, np.int64))), none)
    end = w.op("Squeeze", w.picked(y, place, units), w.ints(1))
    return str(w.op("Where", w.op("Greater", lengths, none), end, w.number(0.0, "float32")))


def _initial(w: Writer, states: list[Value], ways: int) -> list[str]:
    """Return initial states (directions, batch, units), those of the way there first."""
    each = len(states) // ways
    found = []
    for kind in range(each):
        parts = [w.op("Unsqueeze", states[kind + each * i].name, w.ints(0)) for i in range(ways)]
        found.append(parts[0] if ways == 1 else w.op("Concat", *parts, axis=0))
    return found


def check_recurrent(layer: Any, value: Value) -> None:
    """Check that a recurrent layer can be written.

    Raises
    ------
    ValueError
        If it is stateful, or computes in another type than float32.
    """
    if layer.stateful:
        raise NotInONNXError("it is stateful: a graph of ONNX keeps nothing from run to run.")
    if value.dtype != "float32":
        raise NotInONNXError(f"it computes in {value.dtype}; runtimes have float32 only.")


def states_of(options: dict[str, Any]) -> list[Value]:
    """Return the initial states that a layer is called with."""
    given = options.get("initial_state")
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


def mask_of(layer: Any, value: Value, options: dict[str, Any]) -> Mask | None:
    """Return the mask that a recurrent layer minds: that of its call, or of its input."""
    given = options.get("mask")
    if isinstance(given, Value):
        return Mask(given.name)
    # As in Keras, a mask does not come along where the states are tensors of the graph.
    lost = options.get("initial_state") is not None and not layer.masks_beside_options
    return None if value.mask is None or lost else untold(value.mask)


@writes("SimpleRNN", "LSTM", "GRU", "RNN")
def _recurrent(w: Writer, layer: Any, value: Any, options: dict[str, Any]) -> Any:
    states = states_of(options)
    if isinstance(value, list | tuple):
        value, states = value[0], [*value[1:], *states]
    check_recurrent(layer, value)
    mask = first_mask = mask_of(layer, value, options)
    cell = layer.cell
    cells = list(getattr(cell, "cells", [cell]))
    y, all_last = value, []
    for number, one in enumerate(cells):
        count = len(_flat(one.state_size))
        given, states = states[:count], states[count:]
        top = number == len(cells) - 1
        turned = layer.go_backwards and number == 0
        zero = layer.zero_output_for_mask and top
        sequences = layer.return_sequences or not top
        y, last = _one_way(w, one, y, mask, given, (turned, zero, sequences))
        if turned and sequences:
            # In the order of reading; the cells above read it so.
            y = Value(_flipped(w, y.name), y.shape, y.dtype)
            if mask is not None and len(cells) > 1:
                mask = Mask(_flipped(w, mask.name))
        all_last += last
    if not layer.return_sequences and layer.zero_output_for_mask and first_mask is not None:
        # Keras gives what the step that is read last gives, which is zero where it is closed.
        end = w.constant(np.array(0 if layer.go_backwards else -1, np.int64))
        is_open = w.op("Unsqueeze", w.op("Gather", first_mask.name, end, axis=1), w.ints(1))
        y = Value(w.op("Where", is_open, y.name, w.number(0.0, "float32")), y.shape, y.dtype)
    if layer.return_sequences and value.mask is not None:
        y.mask = value.mask  # not turned round either, as in Keras
    return [y, *all_last] if layer.return_state else y


def _flat(size: Any) -> list[int]:
    return list(size) if isinstance(size, list | tuple) else [size]


def _flipped(w: Writer, name: str) -> str:
    ends = (w.ints(-1), w.ints(-(1 << 62)), w.ints(1), w.ints(-1))
    return str(w.op("Slice", name, *ends))


def _one_way(
    w: Writer, cell: Any, value: Value, mask: Mask | None, states: list[Value],
    how: tuple[bool, bool, bool],
) -> tuple[Value, list[Value]]:  # fmt: skip
    """Return the output of a cell, in the order of the input, and its last states."""
    turned, zero, sequences = how
    x, lengths = _moved(w, value, mask, turned)
    direction = "reverse" if turned and mask is None else "forward"
    whole, *ends = _operator(w, [cell], x, direction, lengths, _initial(w, states, 1))
    units = int(cell.units)
    batch, time = value.shape[:2]
    last = [Value(w.op("Squeeze", end, w.ints(0)), (batch, units), value.dtype) for end in ends]
    y = "" if mask is None and not sequences else w.op(
        "Transpose", w.op("Squeeze", whole, w.ints(1)), perm=[1, 0, 2])  # fmt: skip
    if mask is not None:
        last[0].name = _at_the_end(w, y, units, mask)
        if states:
            last = [_kept(w, end, state, mask) for end, state in zip(last, states, strict=True)]
    if not sequences:
        return Value(last[0].name, (batch, units), value.dtype), last
    if mask is not None:
        y = _placed(w, y, units, mask, turned, zero)
    return Value(y, (batch, time, units), value.dtype), last


def _kept(w: Writer, end: Value, state: Value, mask: Mask) -> Value:
    """Return a last state; of a row without a step it is the first one."""
    some = w.op("Greater", w.lengths(mask), w.constant(np.array(0, np.int32)))
    name = w.op("Where", w.op("Unsqueeze", some, w.ints(1)), end.name, state.name)
    return Value(name, end.shape, end.dtype)


@writes("Bidirectional")
def _bidirectional(w: Writer, layer: Any, value: Any, options: dict[str, Any]) -> Any:
    states = states_of(options)
    if isinstance(value, list | tuple):
        value, states = value[0], [*value[1:], *states]
    there, back = layer.forward_layer, layer.backward_layer
    check_recurrent(layer, value)
    mask = mask_of(layer, value, options)
    half = len(states) // 2
    sequences = layer.return_sequences
    outputs: list[Value] = []
    last: list[Value] = []
    cells = [there.cell, back.cell]
    if any(hasattr(cell, "cells") for cell in cells):
        raise NotInONNXError("it holds a stack of cells.")
    if mask is None and _one_operator(there, back):
        outputs, last = _both_ways(w, cells, value, states, sequences)
    else:
        for inner, given in ((there, states[:half]), (back, states[half:])):
            turned = inner.go_backwards
            y, ends = _one_way(w, inner.cell, value, mask, given, (turned, sequences, sequences))
            outputs.append(y)
            last += ends
    if sequences and there.go_backwards:
        # Keras turns the output of the second layer alone, whichever way it reads.
        outputs = [Value(_flipped(w, y.name), y.shape, y.dtype) for y in outputs]
    merged = _merged(w, layer.merge_mode, outputs)
    if sequences:
        for part in merged:
            part.mask = value.mask
    result = [*merged, *(last if layer.return_state else [])]
    return result[0] if len(result) == 1 else result


def _one_operator(there: Any, back: Any) -> bool:
    """Whether both directions are of one kind, size and setting, so that one operator has both."""
    one, two = there.cell, back.cell
    same = all(
        getattr(one, name, None) == getattr(two, name, None)
        for name in ("units", "use_bias", "reset_after")
    )
    return type(one) is type(two) and same and not there.go_backwards


def _both_ways(
    w: Writer, cells: list[Any], value: Value, states: list[Value], sequences: bool
) -> tuple[list[Value], list[Value]]:
    x, lengths = _moved(w, value, None, False)
    initial = _initial(w, states, 2) if states else []
    whole, *ends = _operator(w, cells, x, "bidirectional", lengths, initial)
    units = int(cells[0].units)
    batch, time = value.shape[:2]
    ways = [w.constant(np.array(way, np.int64)) for way in range(2)]
    last = [
        Value(w.op("Gather", end, way, axis=0), (batch, units), value.dtype)
        for way in ways for end in ends
    ]  # fmt: skip
    if not sequences:
        picked = [last[0], last[len(ends)]]
        return [Value(p.name, p.shape, p.dtype) for p in picked], last
    outputs = []
    for way in ways:
        y = w.op("Transpose", w.op("Gather", whole, way, axis=1), perm=[1, 0, 2])
        outputs.append(Value(y, (batch, time, units), value.dtype))
    return outputs, last


def _merged(w: Writer, mode: str | None, outputs: list[Value]) -> list[Value]:
    one, two = outputs
    if mode is None:
        return outputs
    if mode == "concat":
        name = w.op("Concat", one.name, two.name, axis=-1)
        width = int(one.shape[-1] or 0) + int(two.shape[-1] or 0)
        return [Value(name, (*one.shape[:-1], width), one.dtype)]
    name = w.op("Mul" if mode == "mul" else "Add", one.name, two.name)
    if mode == "ave":
        name = w.op("Mul", name, w.number(0.5, one.dtype))
    return [Value(name, one.shape, one.dtype)]
