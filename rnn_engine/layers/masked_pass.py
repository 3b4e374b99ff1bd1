"""The passes of a `SimpleRNN` under a mask or with dropout: layout, kernels, and back.

Rows of a batch that is padded on one side are sorted by length, so that closed steps lie at the
end and cost nothing; what leaves the layer is in the order of the batch again.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import compact
from rnn_engine.kernels import masked_rnn, threads
from rnn_engine.kernels.gather import gather_time_major
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.layers.padding import by_length, open_steps_of, shares
from rnn_engine.layers.plans import backward_plan, backward_threads


@dataclass(slots=True)
class Masked:
    """What `backward` needs besides inputs and states.

    Attributes
    ----------
    start : (B, U), the states before the first step
    mask : (T, B) of bool, or empty
    drop : (B, U), factors of the state where it meets R, or empty
    drop_x : (B, F), factors of the inputs, or None
    a : (T, B, U), what multiplied R, or empty without `drop`
    order : (B,), the row of the batch that each row is, or None
    shown : (T, B) of bool, the steps whose output is the state, in the batch's order, or None
    """

    start: np.ndarray
    mask: np.ndarray
    drop: np.ndarray
    drop_x: np.ndarray | None
    a: np.ndarray
    order: np.ndarray | None
    shown: np.ndarray | None


def forward(
    layer: Any, x: np.ndarray, h0: np.ndarray, open_steps: np.ndarray | None, drops: bool
) -> Any:
    """Return the states (T, B, U), the last one, and saved.

    Parameters
    ----------
    layer : SimpleRNN
    x : (B, T, F)
    h0 : (B, U) or empty
    open_steps : (T, B) of bool, or None if all are
    drops : whether the layer's dropout works
    """
    batch, steps, features = x.shape
    units, dtype, empty = layer.units, layer._np_dtype, layer._buffers.empty
    drop_x, drop, start = None, layer._none2, h0
    if drops and layer.dropout:
        drop_x = dropout_mask(layer._generator, layer.dropout, (batch, features), dtype)
    if drops and layer.recurrent_dropout:
        drop = dropout_mask(layer._generator, layer.recurrent_dropout, (batch, units), dtype)
    if not h0.size:
        start = np.zeros((batch, units), dtype)
    shown, order, mask = None, None, np.empty((0, 0), bool)
    if open_steps is not None:
        shown, mask = layer.visible(open_steps, h0.size > 0), open_steps
        order = by_length(mask)
    laid = _lay_out(x, order, drop_x, empty)
    if order is not None:
        mask, start = np.take(mask, order, axis=1), start[order]
        drop = drop[order] if drop.size else drop
    h = empty((steps, batch, units), dtype)
    z = empty(h.shape, dtype) if layer.activation.from_input else layer._none3
    a = empty(h.shape, dtype) if drop.size else layer._none3
    args = (laid, layer._weights(), start, mask, drop, h, z, a, layer.activation.code)
    work = batch * steps * units * (features + units)
    bounds = shares(mask if mask.size else None, batch, threads.tasks(work, batch))
    for begin, stop in threads.calls(steps, 1, work):
        if len(bounds) == 2:
            masked_rnn.forward(*args, begin, stop, 0, batch)
        else:
            masked_rnn.forward_tasks(*args, begin, stop, bounds)
    saved = (laid, True, h, z, h0, False, Masked(start, mask, drop, drop_x, a, order, shown))
    if order is None:
        return h, h[-1].copy(), saved
    back = np.argsort(order)
    states = h
    if layer.return_sequences:
        states = np.take(h, back, axis=1, out=empty(h.shape, dtype), mode="clip")
    return states, h[-1][back], saved


def _lay_out(x: np.ndarray, order: np.ndarray | None, drop_x: Any, empty: Any) -> np.ndarray:
    """Return the inputs (T, B, F) in the order of the kernels, with dropout applied."""
    lying = x.transpose(1, 0, 2)
    if drop_x is None and order is None:
        return compact(lying)
    laid = empty(lying.shape, x.dtype)
    if order is None:
        np.copyto(laid, lying)
    elif x.flags.carray:
        gather_time_major(x, order, laid)
    else:
        np.take(lying, order, axis=1, out=laid, mode="clip")
    if drop_x is not None:
        laid *= drop_x if order is None else drop_x[order]
    return laid


def backward(
    layer: Any, x: np.ndarray, h: np.ndarray, s: np.ndarray, masked: Masked, dy: np.ndarray,
    gradients: tuple[np.ndarray, ...], dx: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Add to the weights' gradients, fill dx (T, B, F), and return the gradient by the start."""
    steps, batch, units = h.shape
    features, dtype, empty = layer.features, layer._np_dtype, layer._buffers.empty
    mask, drop, order = masked.mask, masked.drop, masked.order
    place = np.arange(batch) if order is None else order
    tasks = backward_threads(batch, steps, features, units)
    groups, members, chunk, _, _, calls = backward_plan(batch, steps, features, units, tasks, dtype)
    bounds = shares(mask if mask.size else None, batch, groups * members)
    rows, starts = open_steps_of(mask, bounds[::members], steps)
    if order is not None:
        dy = np.take(dy, order, axis=1, out=empty(dy.shape, dtype), mode="clip")
    dh0, carry = np.empty_like(masked.start), np.zeros_like(masked.start)
    places = masked_rnn.backward_places(chunk, batch, features, units, groups, members, dtype)
    space = empty((int(places[-1]),), dtype)
    run = masked_rnn.backward if tasks == 1 else masked_rnn.backward_tasks
    for begin, stop in reversed(calls):
        run(layer.kernel.value, layer.recurrent_kernel.value, x, masked.a if drop.size else h, s,
            masked.start, mask, drop, place, rows, starts, bounds, dy, carry, *gradients, dx, dh0,
            space, places, layer.activation.code, chunk, begin, stop, members)  # fmt: skip
    if masked.drop_x is not None and dx.size:
        dx *= masked.drop_x
    return dh0 if order is None else dh0[np.argsort(order)]
