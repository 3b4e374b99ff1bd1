"""`ConvLSTM1D`, `ConvLSTM2D`, `ConvLSTM3D` as a `Scan`, for ONNX has no operator like them."""

from typing import Any

import numpy as np

from rnn_engine.saving.onnx.write_activations import activated
from rnn_engine.saving.onnx.write_recurrent import check_recurrent, mask_of, states_of
from rnn_engine.saving.onnx.write_windows import filters_first, windows
from rnn_engine.saving.onnx.writer import Mask, Value, Writer, writes

_GATES = 4


@writes("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def _conv_lstm(w: Writer, layer: Any, value: Any, options: Any) -> Any:
    states = states_of(options)
    if isinstance(value, list | tuple):
        value, states = value[0], [*value[1:], *states]
    check_recurrent(layer, value)
    mask, cell = mask_of(layer, value, options), layer.cell
    first, rank = cell.data_format == "channels_first", layer.rank
    inner = (int(cell.filters), *map(int, cell.sizes))
    steps = w.transpose(value.name, [0, 1, *_inward(first, rank, 2)])
    products = w.transpose(_of_inputs(w, cell, steps), [1, 0, *range(2, rank + 3)])
    if states:
        begin = [w.transpose(state.name, [0, *_inward(first, rank, 1)]) for state in states]
    else:
        shape = w.op("Concat", w.sizes(steps, 0, 1), w.ints(*inner), axis=0)
        zero = w.onnx.numpy_helper.from_array(np.zeros(1, value.dtype))
        begin = [w.op("ConstantOfShape", shape, value=zero)] * 2
    if mask is not None:  # the output that closed steps repeat is zero at first
        begin.append(w.op("Sub", begin[0], begin[0]))
    *ends, whole = _scanned(w, layer, value.dtype, begin, products, mask)
    batch, time = value.shape[:2]
    shape_of = tuple(cell.own((batch, *cell.sizes, cell.filters)))
    last = [
        Value(w.transpose(end, [0, *_outward(first, rank, 1)]), shape_of, value.dtype)
        for end in ends
    ]
    if layer.return_sequences:
        name = w.transpose(whole, [1, 0, *_outward(first, rank, 2)])
        y = Value(name, (batch, time, *shape_of[1:]), value.dtype, value.mask)
    else:
        y = last[0] if mask is None else last[2]
    return [y, *last[:2]] if layer.return_state else y


def _inward(first: bool, rank: int, axis: int) -> list[int]:
    """Return the axes from `axis` on, those of places and of channels, with the channels first."""
    axes = list(range(axis, axis + rank + 1))
    return axes if first else [axes[-1], *axes[:-1]]


def _outward(first: bool, rank: int, axis: int) -> list[int]:
    """Return the axes from `axis` on, of which the channels are first, as the layer has them."""
    axes = list(range(axis, axis + rank + 1))
    return axes if first else [*axes[1:], axes[0]]


def _of_inputs(w: Writer, cell: Any, steps: str) -> str:
    """Return the convolutions of all steps (batch, time, gates, ...), the bias added."""
    flat = w.op("Reshape", steps, w.ints(-1, int(cell.channels), *map(int, cell.in_sizes)))
    inputs = [flat, w.weight(cell.kernel, filters_first, "kernel")]
    if cell.use_bias:
        inputs.append(w.weight(cell.bias, wish="bias"))
    made = w.op("Conv", *inputs, **windows(cell, cell.kernel_size))
    sizes = w.ints(_GATES * int(cell.filters), *map(int, cell.sizes))
    return str(w.op("Reshape", made, w.op("Concat", w.sizes(steps, 0, 2), sizes, axis=0)))


def _scanned(
    w: Writer, layer: Any, dtype: str, begin: list[str], products: str, mask: Mask | None
) -> list[str]:
    """Return the last states, the last output under a mask, and all outputs."""
    given = [products]
    if mask is not None:
        given.append(w.transpose(mask.name, [1, 0]))
    kernel = w.weight(layer.cell.recurrent_kernel, filters_first, "recurrent_kernel")
    states = [w.name(f"{w.scope}/before") for _ in begin]
    step = [w.name(f"{w.scope}/step") for _ in given]
    outside, w.nodes = w.nodes, []
    try:
        after, y = _step(w, layer, dtype, kernel, states, step)
        results = [*after, w.op("Identity", y)]  # a node of its own: y may be a state, too
        nodes = w.nodes
    finally:
        w.nodes = outside
    helper, sizes = w.onnx.helper, [None] * (layer.rank + 2)  # OpenVINO wants their number
    ports, outputs = (
        [helper.make_tensor_value_info(name, w.type_of(dtype), sizes) for name in names]
        for names in ([*states, step[0]], results)
    )
    if mask is not None:
        ports.append(helper.make_tensor_value_info(step[1], w.type_of("bool"), [None]))
    body = helper.make_graph(nodes, f"{w.scope}/body", ports, outputs)
    return list(
        w.op(
            "Scan", *begin, *given, outputs=len(results), body=body, num_scan_inputs=len(given),
            scan_input_directions=[int(layer.go_backwards)] * len(given),
        )
    )  # fmt: skip


def _step(
    w: Writer, layer: Any, dtype: str, kernel: str, states: list[str], step: list[str]
) -> tuple[list[str], str]:
    """Return the states after a step, and its output."""
    cell, (h, c) = layer.cell, states[:2]
    taps = [int(n) for n in cell.kernel_size]
    pads = [(n - 1) // 2 for n in taps] + [n // 2 for n in taps]
    z = w.op("Add", w.op("Conv", h, kernel, pads=pads, kernel_shape=taps), step[0])
    parts = w.op("Split", z, outputs=_GATES, axis=1, num_outputs=_GATES)
    kinds = [cell.recurrent_activation] * 2 + [cell.activation, cell.recurrent_activation]
    i, f, g, o = (
        activated(w, Value(part, (), dtype), kind).name
        for part, kind in zip(parts, kinds, strict=True)
    )
    new_c = w.op("Add", w.op("Mul", f, c), w.op("Mul", i, g))
    new_h = w.op("Mul", o, activated(w, Value(new_c, (), dtype), cell.activation).name)
    if len(step) == 1:
        # Nodes of their own: an activation may be none.
        return [w.op("Identity", new_h), w.op("Identity", new_c)], new_h
    is_open = w.op("Unsqueeze", step[1], w.ints(*range(1, layer.rank + 2)))
    other = w.number(0.0, dtype) if layer.zero_output_for_mask else states[2]
    y = w.op("Where", is_open, new_h, other)
    return [w.op("Where", is_open, new_h, h), w.op("Where", is_open, new_c, c), y], y
