"""RNN, LSTM and GRU of ONNX as layers: order of gates, biases, directions, lengths, states."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine import ops as _ops
from rnn_engine.saving.onnx.arithmetic import activation_of
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.cell import ONNXCell
from rnn_engine.saving.onnx.graph import Node
from rnn_engine.saving.onnx.views import (
    BoundBatchError,
    Factor,
    OtherBatchError,
    View,
    Wide,
    arranged,
    size_of,
)

ops: Any = _ops  # its names come from a table

# Gates of ONNX in the order of Keras: LSTM has i o f c there and i f c o here.
GATES = {"RNN": [0], "LSTM": [0, 2, 3, 1], "GRU": [0, 1, 2]}
_DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
_ALPHA = {"LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu", "Affine"}
_BETA = {"ScaledTanh", "HardSigmoid", "Affine"}


@dataclass
class Recurrence:
    """What is read in a sequence, whatever kind of node it was found in.

    Attributes
    ----------
    kind : RNN, LSTM or GRU
    weights : for each direction kernel, recurrent kernel and bias, as the layers have them
    activations : for each direction those of the layer: activation, recurrent activation
    reverse : whether the one direction is that from the end
    reset_after : GRU's
    beyond : what a cell of ONNX has that the layers have not, as its arguments
    """

    kind: str
    weights: list[list[np.ndarray]]
    activations: list[list[Any]]
    reverse: bool = False
    reset_after: bool = True
    beyond: dict[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """Size of the state."""
        return int(self.weights[0][1].shape[0])

    def layer(self, direction: int, turned: bool, **settings: Any) -> Any:
        """Return a new layer of one direction."""
        chosen = self.activations[direction]
        if self.beyond:
            cell = ONNXCell(
                self.kind, self.units, chosen, reset_after=self.reset_after,
                dtype=self.weights[direction][0].dtype.name, **self.beyond,
            )  # fmt: skip
            return layers.RNN(cell, go_backwards=turned, dtype=cell.dtype, **settings)
        settings |= {
            "activation": chosen[0], "go_backwards": turned,
            "use_bias": len(self.weights[direction]) == 3,
            "dtype": self.weights[direction][0].dtype.name,
        }  # fmt: skip
        if self.kind == "RNN":
            return layers.SimpleRNN(self.units, **settings)
        settings["recurrent_activation"] = chosen[1]
        if self.kind == "LSTM":
            return layers.LSTM(self.units, **settings)
        return layers.GRU(self.units, reset_after=self.reset_after, **settings)


@handles("RNN", "LSTM", "GRU")
def _recurrent(b: Builder, node: Node, v: list[Any]) -> Any:
    x = b.view(node, v[0])
    found = _recurrence(b, node, v)
    batch_second = node.number("layout", 0) == 0
    if x.rank != 3:
        raise node.refuse("it wants (time, batch, features).")
    time, batch = (0, 1) if batch_second else (1, 0)
    x = x.seen([x.axes[batch], x.axes[time], x.axes[2]])
    if size_of(x.axes[2]) != found.weights[0][0].shape[0]:
        raise node.refuse("its kernel does not fit its input.")
    mask = _mask(b, node, v[4] if node.has(4) else None, x)
    places = [5, 6] if found.kind == "LSTM" else [5]
    states = [v[p] if node.has(p) else None for p in places]
    if not batch_second:
        states = [_turned(s) for s in states]
    wanted = [b.wanted(node, i) for i in range(1 + len(places))]
    sequences, *last = emit(b, node, found, x, mask, states, wanted)
    outputs: list[Any] = []
    if sequences is not None:
        batch_axis, time_axis, way, units = sequences.axes
        order = [time_axis, way, batch_axis, units]
        outputs.append(sequences.seen(order if batch_second else sequences.axes))
    else:
        outputs.append(None)
    return [*outputs, *(_turned(state) if batch_second else state for state in last)]


@handles("MaskedRNN", "MaskedLSTM", "MaskedGRU")
def _masked(b: Builder, node: Node, v: list[Any]) -> Any:
    """Make what `masks` has joined: a layer that takes a mask."""
    x, mask = b.view(node, v[0]), b.view(node, v[4])
    found = _recurrence(b, node, v)
    if x.rank != 3 or mask.rank != 2 or size_of(x.axes[2]) != found.weights[0][0].shape[0]:
        raise node.refuse("its mask or its kernel does not fit its input.")
    open_steps = arranged(mask, [_batch_of(b, node, mask.axes[0]), mask.axes[1]])
    places = [5, 6] if found.kind == "LSTM" else [5]
    states = [v[p] if node.has(p) else None for p in places]
    kept, zeroed, end, *ends = (b.wanted(node, i) for i in range(3 + len(places)))
    zeros = None
    if kept and zeroed:  # by two layers
        alone = [True, *(False for _ in places)]
        other = emit(b, node, found, x, open_steps, states, alone)[0]
        zeros = None if other is None else _without_way(other)
    sequences = kept or zeroed
    wanted = [sequences, end or ends[0], *ends[1:]]
    steps, *last = emit(b, node, found, x, open_steps, states, wanted, keeps=kept)
    whole = None if steps is None else _without_way(steps)
    last_output = None if last[0] is None else _without_way(last[0])
    return [whole if kept else None, zeros if kept else whole, last_output, *map(_turned, last)]


def _without_way(view: View) -> View:
    """Return outputs of one direction without the axis of directions."""
    *front, _, units = view.axes
    return view.seen([*front, units])


def _turned(state: Any) -> Any:
    """Return a state (batch, directions, units) as (directions, batch, units), or back."""
    if isinstance(state, View):
        return state.seen([state.axes[1], state.axes[0], state.axes[2]])
    if isinstance(state, np.ndarray):
        return state.swapaxes(0, 1)
    if isinstance(state, Wide):
        return Wide(state.array.swapaxes(0, 1), [state.dims[1], state.dims[0], state.dims[2]])
    return state


# --- what the node says -----------------------------------------------------------------------


def _recurrence(b: Builder, node: Node, v: list[Any]) -> Recurrence:
    kind = node.op.removeprefix("Masked")
    kernel, recurrent = b.constant(node, v, 1, "kernel"), b.constant(node, v, 2, "recurrent kernel")
    bias = b.constant(node, v, 3, "bias")
    direction = node.get("direction", "forward")
    ways = {"forward": 1, "reverse": 1, "bidirectional": 2}.get(direction)
    gates = len(GATES[kind])
    if ways is None or kernel is None or recurrent is None or kernel.dtype.kind != "f":
        raise node.refuse("its direction or its weights are not what ONNX describes.")
    units = recurrent.shape[-1]
    shapes = ((ways, gates * units, kernel.shape[-1]), (ways, gates * units, units))
    if kernel.ndim != 3 or (kernel.shape, recurrent.shape) != shapes or not kernel.size:
        raise node.refuse(f"kernels of shape {kernel.shape} and {recurrent.shape}.")
    if bias is not None and bias.shape != (ways, 2 * gates * units):
        raise node.refuse(f"a bias of shape {bias.shape}.")
    if node.number("hidden_size", units) != units:
        raise node.refuse("hidden_size is not that of the weights.")
    functions = _functions(node, kind, ways)
    beyond = _beyond(b, node, v, functions)
    reset_after = node.number("linear_before_reset", 0) == 1
    weights = []
    for way in range(ways):
        mine = [_gates(kernel[way], kind).T, _gates(recurrent[way], kind).T]
        if bias is not None:
            inner, outer = (_gates(part, kind) for part in np.split(bias[way], 2))
            stacked = kind == "GRU" and reset_after
            mine.append(np.stack([inner, outer]) if stacked else inner + outer)
        weights.append([np.ascontiguousarray(w) for w in mine])
    turned = direction == "reverse"
    if not beyond:
        # Keras's layers take the activation first, then that of the gates.
        chosen = [[found for found, _ in (of_way[-1], of_way[0])] for of_way in functions]
        return Recurrence(kind, weights, chosen, turned, reset_after)
    peepholes = b.constant(node, v, 7, "peepholes") if beyond["peepholes"] else None
    for way, mine in enumerate(weights):
        if bias is None:
            two = (2, gates * units) if kind == "GRU" and reset_after else (gates * units,)
            mine.append(np.zeros(two, kernel.dtype))
        if peepholes is not None:  # i o f there, i f o here
            mine.append(peepholes[way].reshape(3, units)[[0, 2, 1]])
    chosen = [[found for found, _ in of_way] for of_way in functions]
    return Recurrence(kind, weights, chosen, turned, reset_after, beyond)


def _gates(array: np.ndarray, kind: str) -> np.ndarray:
    order = GATES[kind]
    parts = np.split(array, len(order))
    return np.concatenate([parts[i] for i in order])


def _beyond(b: Builder, node: Node, v: list[Any], functions: Any) -> dict[str, Any]:
    """Return what the layers do not compute, as arguments of a cell of ONNX.

    Raises
    ------
    ValueError
        If it is nothing that ONNX describes.
    """
    lstm = node.op.endswith("LSTM")
    clip = node.real("clip", 0.0)
    peepholes = b.constant(node, v, 7, "peepholes") if lstm else None
    units = v[2].shape[-1]
    if clip < 0 or (peepholes is not None and peepholes.shape != (len(functions), 3 * units)):
        raise node.refuse("its clip is negative, or its peepholes do not fit its units.")
    found = {
        "clip": clip or None,
        "input_forget": lstm and bool(node.number("input_forget", 0)),
        "peepholes": peepholes is not None and bool(np.any(peepholes)),
    }
    # In a layer the candidate and the output have one activation.
    apart = lstm and any(of_way[1][1] != of_way[2][1] for of_way in functions)
    return found if any(found.values()) or apart else {}


def _functions(node: Node, kind: str, ways: int) -> list[list[tuple[Any, Any]]]:
    """Return for each direction ONNX's activations f, g, h, and what they are told by."""
    names = node.get("activations")
    names = names if names else _DEFAULTS[kind] * ways
    each = len(_DEFAULTS[kind])
    if not isinstance(names, list) or len(names) != each * ways:
        raise node.refuse(f"activations {names} for {ways} direction(s).")
    alphas, betas = (iter(node.get(f"activation_{n}") or ()) for n in ("alpha", "beta"))
    made = []
    for name in names:
        # As ONNX Runtime reads them: only functions that take a number use one up.
        alpha = next(alphas, None) if name in _ALPHA else None
        beta = next(betas, None) if name in _BETA else None
        found = activation_of(str(name), alpha, beta)
        if found is None:
            raise node.refuse(f"activation {name} (alpha={alpha}, beta={beta}) is not read.")
        made.append((found, (name, alpha, beta)))
    return [made[way * each : (way + 1) * each] for way in range(ways)]


# --- the layers -------------------------------------------------------------------------------


def _mask(b: Builder, node: Node, lengths: Any, x: View) -> Any:
    """Return which steps lie within the lengths, as a tensor (batch, time), None if all do."""
    if lengths is None:
        return None
    steps = size_of(x.axes[1])
    if isinstance(lengths, np.ndarray):
        if isinstance(steps, int) and (lengths == steps).all():
            return None
        if not b.bound:
            raise BoundBatchError(f"{node}: the lengths of its sequences are constants.")
        lengths = ops.reshape(lengths.astype(np.int32).tolist(), (-1, 1))
    elif isinstance(lengths, View):
        if lengths.rank != 1 or lengths.order is not x.order:
            raise node.refuse("its lengths are not those of its rows.")
        _check_batch(node, lengths.axes[0])
        lengths = arranged(lengths, [lengths.axes[0], ()])
    else:
        raise node.refuse("its lengths are not known.")
    batch, time, features = x.axes
    tensor = arranged(x, [batch, time, features])
    ones = ops.ones_like(tensor[:, :, 0], dtype="int32")
    return ops.less_equal(ops.cumsum(ones, axis=1), lengths)


def _check_batch(node: Node, axis: tuple[Factor, ...]) -> None:
    """Check that an axis is the batch, or has it in it.

    Raises
    ------
    OtherBatchError
        If it is another axis of an input.
    ValueError
        If it is something else.
    """
    if any(f.batch for f in axis):  # alone, or with the steps that one layer takes all at once
        return
    if len(axis) == 1 and axis[0].origin is not None:
        raise OtherBatchError(axis[0])
    raise BoundBatchError(f"{node}: its batch is not the batch of the model.")


def _batch_of(b: Builder, node: Node, axis: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """Return an axis that is the batch, for one of one the batch of one, and check it."""
    if not axis and b.bound and b.batch is not None and b.batch.size == 1:
        axis = (b.batch,)
    _check_batch(node, axis)
    return axis


def emit(
    b: Builder, node: Node, found: Recurrence, x: View, mask: Any, states: list[Any],
    wanted: list[bool], keeps: bool = False,
) -> list[View | None]:  # fmt: skip
    """Return outputs (batch, time, directions, units) and last states (batch, directions, units).

    `x` is seen as (batch, time, features); `states` hold an array, `Wide`, `View` (directions,
    batch, units) or None for each state.
    """
    batch, time, features = x.axes
    batch = _batch_of(b, node, batch)
    sequences, with_states = wanted[0], any(wanted[1:])
    if wanted == [False, True] or wanted == [False, True, False]:
        with_states = False  # the last output is the state
    # A batch that is made of clips and their steps is parted again: such are TimeDistributed.
    plain = mask is None and all(s is None or _is_zero(s) for s in states)
    rows = [(f,) for f in batch] if plain and not with_states else [batch]
    tensor = arranged(x, [*rows, time, features])
    ways = len(found.weights)
    initial = _initial_states(b, node, found, tensor, states, x)
    # Where only the last step is read, no other is kept.
    forward = sequences and mask is None and ways == len(time) == 1 and not found.reverse
    if forward and node.outputs[0] in b.last_only:
        sequences, time = False, (Factor(time[0].size, gone=True),)
    settings = {"return_sequences": sequences, "return_state": with_states}
    kwargs = {} if initial is None else {"initial_state": initial}
    kwargs |= {} if mask is None else {"mask": mask}
    flat = [w for of_way in found.weights for w in of_way]
    if ways == 2:
        backward = found.layer(1, True, **settings)
        made: Any = layers.Bidirectional(found.layer(0, False, **settings), backward_layer=backward)
    else:
        zero = sequences and mask is not None and not keeps
        made = found.layer(0, found.reverse, zero_output_for_mask=zero, **settings)
    for _ in rows[1:]:
        made = layers.TimeDistributed(made)
    result = b.layer(made, tensor, weights=flat, **kwargs)
    y, *last = result if isinstance(result, list | tuple) else [result]
    if ways == 1 and found.reverse and sequences:
        y = ops.flip(y, len(rows))
    elif mask is not None:
        y = ops.copy(y)  # masks end at ops: ONNX has none behind a recurrent node
    units = (Factor(found.units),) if found.units > 1 else ()
    way = (Factor(2),) if ways == 2 else ()
    groups = [*rows, *([time] if sequences else []), (*way, *units)]
    if forward and sequences:
        b.sequences[id(y)] = node.outputs[0]
    out = View(y, groups, [batch, *([time] if wanted[0] else []), way, units], x.order)
    if not with_states:
        nothing: list[View | None] = [None] * (len(wanted) - 1)
        if wanted[0]:
            return [out, *nothing]
        return [None, out, *nothing[1:]]
    kinds = len(wanted) - 1
    ends: list[View | None] = []
    for kind in range(kinds):
        parts = [last[kind + kinds * w] for w in range(ways)]
        end = parts[0] if ways == 1 else layers.Concatenate()(parts)
        ends.append(View(end, [batch, (*way, *units)], [batch, way, units], x.order))
    return [out if wanted[0] else None, *ends]


def _initial_states(
    b: Builder, node: Node, found: Recurrence, tensor: Any, states: list[Any], x: View
) -> Any:
    """Return the states to begin with in the order of the layer, None for zeros."""
    ways = len(found.weights)
    for state in states:
        held = state.array if isinstance(state, Wide) else state
        if isinstance(held, np.ndarray) and held.shape[-1:] != (found.units,):
            raise node.refuse(f"an initial state of shape {held.shape} for {found.units} units.")
    if all(s is None or _is_zero(s) for s in states):
        return None
    parts: list[list[Any]] = [[] for _ in range(ways)]
    for state in states:
        for way, part in enumerate(_of_directions(b, node, found, tensor, state, x)):
            parts[way].append(part)
    return [part for of_way in parts for part in of_way]


def _is_zero(state: Any) -> bool:
    array = state.array if isinstance(state, Wide) else state
    return isinstance(array, np.ndarray) and not array.any()


def _of_directions(
    b: Builder, node: Node, found: Recurrence, tensor: Any, state: Any, x: View
) -> list[Any]:
    ways, units = len(found.weights), found.units
    if not isinstance(state, View):
        array = np.zeros((ways, 1, units), found.weights[0][0].dtype) if state is None else state
        array = array.array if isinstance(array, Wide) else array
        if array.ndim != 3 or (array.shape[0], array.shape[2]) != (ways, units):
            raise node.refuse(f"an initial state of shape {array.shape}.")
        if not (array == array[:, :1]).all():
            if not b.bound:
                raise BoundBatchError(f"{node}: its initial state differs from row to row.")
        else:
            array = array[:, :1]
        zeros = ops.zeros_like(tensor[:, 0, :1])
        return [ops.add(zeros, array[way]) for way in range(ways)]
    if state.rank != 3 or state.order is not x.order:
        raise node.refuse("its initial state is not that of its rows.")
    way, batch, of_units = state.axes
    batch = _batch_of(b, node, batch)
    if size_of(way) != ways or size_of(of_units) != units:
        raise node.refuse("its initial state does not fit its weights.")
    if ways == 1:
        return [arranged(state, [batch, of_units])]
    whole = arranged(state, [batch, way, of_units])
    return [whole[:, i] for i in range(ways)]
