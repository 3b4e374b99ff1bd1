"""The recurrent layers in ops: a loop over the steps."""

import importlib
from typing import Any

import numpy as np

from rnn_engine.autodiff.in_ops.activations import activated
from rnn_engine.autodiff.in_ops.layers import Call, formula, refusal

ops: Any = importlib.import_module("rnn_engine.ops")


def _simple(cell: Any, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    y = ops.matmul(x, cell.kernel) + ops.matmul(states[0], cell.recurrent_kernel)
    y = activated(cell.activation, y + cell.bias if cell.use_bias else y)
    return y, [y]


def _lstm(cell: Any, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    h, c = states
    z = ops.matmul(x, cell.kernel) + ops.matmul(h, cell.recurrent_kernel)
    z = z + cell.bias if cell.use_bias else z
    i, f, g, o = ops.split(z, 4, axis=-1)
    gate = cell.recurrent_activation
    c = activated(gate, f) * c + activated(gate, i) * activated(cell.activation, g)
    h = activated(gate, o) * activated(cell.activation, c)
    return h, [h, c]


def _gru(cell: Any, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    h, units, gate = states[0], cell.units, cell.recurrent_activation
    bias = cell.bias if cell.use_bias else None
    a = ops.matmul(x, cell.kernel)
    if cell.reset_after:
        b = ops.matmul(h, cell.recurrent_kernel)
        if bias is not None:
            a, b = a + ops.get_item(bias, 0), b + ops.get_item(bias, 1)
        z = activated(gate, a[:, :units] + b[:, :units])
        r = activated(gate, a[:, units : 2 * units] + b[:, units : 2 * units])
        candidate = a[:, 2 * units :] + r * b[:, 2 * units :]
    else:
        a = a if bias is None else a + bias
        kernel = ops.convert_to_tensor(cell.recurrent_kernel)
        b = ops.matmul(h, kernel[:, : 2 * units])
        z = activated(gate, a[:, :units] + b[:, :units])
        r = activated(gate, a[:, units : 2 * units] + b[:, units:])
        candidate = a[:, 2 * units :] + ops.matmul(r * h, kernel[:, 2 * units :])
    h = z * h + (1.0 - z) * activated(cell.activation, candidate)
    return h, [h]


_STEPS = {"SimpleRNNCell": _simple, "LSTMCell": _lstm, "GRUCell": _gru}


def step_of(layer: Any, cell: Any, training: bool) -> Any:
    """Return ``(x, states) -> (output, states)`` of a cell of the library."""
    drops = getattr(cell, "dropout", 0.0) or getattr(cell, "recurrent_dropout", 0.0)
    if type(cell).__name__ not in _STEPS:
        raise refusal(layer, f"its cell, {type(cell).__name__}, is not")
    if training and drops:
        raise refusal(layer, "dropout inside a cell is not")
    function = _STEPS[type(cell).__name__]
    return lambda x, states: function(cell, x, states)


@formula("SimpleRNN", "LSTM", "GRU", "RNN")
def _recurrent(layer: Any, x: Any, call: Call) -> Any:
    if layer.stateful:
        raise refusal(layer, "stateful=True is not")
    step = step_of(layer, layer.cell, call.training)
    given = call.options.get("initial_state")
    if given is None:
        batch = x.shape[0]
        states = [np.zeros((batch, size), x.dtype) for size in layer.state_sizes]
    else:
        states = list(given) if isinstance(given, list | tuple) else [given]
    order = range(x.shape[1])
    mask = None if call.mask is None else np.asarray(call.mask)
    outputs: list[Any] = []
    for t in reversed(order) if layer.go_backwards else order:
        y, new = step(x[:, t], states)
        if mask is not None:
            is_open = mask[:, t][:, None]
            zero = layer.zero_output_for_mask or not outputs
            y = ops.where(is_open, y, ops.zeros_like(y) if zero else outputs[-1])
            new = [ops.where(is_open, a, b) for a, b in zip(new, states, strict=True)]
        states = new
        outputs.append(y)
    result = ops.stack(outputs, axis=1) if layer.return_sequences else outputs[-1]
    return (result, *states) if layer.return_state else result


@formula("Bidirectional")
def _bidirectional(layer: Any, x: Any, call: Call) -> Any:
    parts = zip(layer.sublayers, layer._halves(call.options.get("initial_state")), strict=True)
    results = [
        inner(x, initial_state=state, training=call.training, mask=call.mask)
        for inner, state in parts
    ]
    (y, *states), (back, *others) = results if layer.return_state else [(r,) for r in results]
    if layer.return_sequences:
        back = ops.flip(back, axis=1)
    if layer.merge_mode is None:
        return (y, back, *states, *others)
    merged = {
        "concat": lambda: ops.concatenate([y, back], axis=-1),
        "sum": lambda: y + back,
        "ave": lambda: (y + back) / 2.0,
        "mul": lambda: y * back,
    }[layer.merge_mode]()
    return (merged, *states, *others) if layer.return_state else merged
