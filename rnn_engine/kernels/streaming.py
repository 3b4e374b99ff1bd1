"""A row of layers over a stream: one call of a kernel takes some steps through all of them.

A table of int64 says what to do, as a plan does for a recurrence: a head, then some places for
each operation. What an operation needs is prepared once: its plan, its state, its buffers, the
address of its packed weights. A call hands over the inputs, the outputs and the number of steps.

    recurrent   the walk of `recurrent.walker`, from the state that the call before left
    dense       y = act(b + x·W)
    causal      y[t] = act(b + Σ_j x[t - (K-1-j)·d]·W[j]), with the last (K-1)·d inputs as state
    pointwise   y = act(x)

Every sum is the one that the layer's own kernel computes, in its order, so the bits are the same
however a sequence is cut. Inside, steps lie time-major: those of all rows together.
"""

from enum import IntEnum
from typing import Any

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.finish import AT_ONCE, call_finish
from rnn_engine.kernels.gemm import gemm
from rnn_engine.kernels.options import Table, inlined_kernel, kernel, linked
from rnn_engine.kernels.pointers import address, copy, copy_rows, offset
from rnn_engine.kernels.recurrent.places import P
from rnn_engine.kernels.tables import call_body, number, pointer, put, table_of


class H(IntEnum):
    """Places in the head of a stream's table."""

    OPERATIONS = 0
    BATCH = 1
    FEATURES = 2  # numbers of a step's input, a row
    UNITS = 3  # of its output
    STARTED = 4  # 0 until the first step: states are zeros, and no product reads them
    LAID = 5  # address: the inputs of a call, time-major
    SIZE = 6


class O(IntEnum):  # noqa: E742  # beside H, P and S
    """Places of an operation, from `H.SIZE` + operation · `O.SIZE`."""

    KIND = 0
    FEATURES = 1
    UNITS = 2
    OUT = 3  # address: what it makes, time-major; for a recurrence slot 0 of h
    PLAN = 4  # address: of a recurrence
    CHUNK = 5  # the plan's own
    LEAST_CHUNK = 6  # that of a single step
    WEIGHTS = 7  # address: packed, the bias behind the panels
    BIAS = 8  # how far behind
    ACTIVATION = 9  # code
    TAPS = 10
    DILATION = 11
    INPUTS = 12  # address: (B, (K-1)·d + steps, F), the last inputs in front
    INPUTS_ROW = 13  # numbers of a row of the batch in it
    WINDOWS = 14  # address: inputs side by side, where a dilation keeps them apart
    SIZE = 15


_HEAD = int(H.SIZE)


class Kind(IntEnum):
    """What an operation does."""

    RECURRENT = 0
    DENSE = 1
    CAUSAL = 2
    POINTWISE = 3


@inlined_kernel
def _recur(table: Any, at: int, x: Any, steps: int, batch: int) -> Any:
    """Take a recurrence through the steps; return where its outputs are."""
    f, u = number(table, at + O.FEATURES), number(table, at + O.UNITS)
    plan, chunk = pointer(table, at + O.PLAN, table), number(table, at + O.CHUNK)
    if steps == 1:  # at once: there is nothing to project ahead
        chunk = number(table, at + O.LEAST_CHUNK)
    put(plan, P.X, x)
    put(plan, P.X_ROW, f)
    put(plan, P.X_STEP, batch * f)
    put(plan, P.STOP, steps)
    put(plan, P.CHUNK, chunk)
    put(plan, P.WEIGHTS, pointer(table, at + O.WEIGHTS, x))
    put(plan, P.STARTED, number(table, H.STARTED))
    call_body(plan, P.BODY, x, 0)
    return offset(pointer(table, at + O.OUT, x), batch * u)


@linked
def convolve_causal(table: Table, at: int, x: Any, target: Any, steps: int, batch: int) -> None:
    """Fill `target` (steps, B, U) from x (steps, B, F) and the inputs before; keep the last."""
    f, u = number(table, at + O.FEATURES), number(table, at + O.UNITS)
    taps, dilation = number(table, at + O.TAPS), number(table, at + O.DILATION)
    before, act = (taps - 1) * dilation, number(table, at + O.ACTIVATION)
    weights, windows = pointer(table, at + O.WEIGHTS, x), pointer(table, at + O.WINDOWS, x)
    bias = offset(weights, number(table, at + O.BIAS))
    for row in range(batch):
        inputs = pointer(table, at + O.INPUTS, x)
        inputs = offset(inputs, row * number(table, at + O.INPUTS_ROW))
        copy_rows(offset(inputs, before * f), f, offset(x, row * f), batch * f, steps, f)
        left, left_row = inputs, f
        if dilation > 1:
            left, left_row = windows, taps * f
            for tap in range(taps):
                copy_rows(offset(windows, tap * f), left_row, offset(inputs, tap * dilation * f),
                          f, steps, f)  # fmt: skip
        out = offset(target, row * u)
        gemm(steps, u, taps * f, left, left_row, 1, weights, bias, 0, out, batch * u, 0, act, out,
             0)  # fmt: skip
        copy(inputs, offset(inputs, steps * f), before * f)


@inlined_kernel
def _apply(act: int, x: Any, target: Any, size: int) -> None:
    """Fill `target` with an activation of x."""
    for begin in range(0, size, AT_ONCE):
        count, out = min(AT_ONCE, size - begin), offset(target, begin)
        copy(out, offset(x, begin), count)
        call_finish(act, 1, count, out, count, out, 0)


@linked
def operate(table: Table, x: Any, out: Any, steps: int) -> None:
    """Take x (B, steps, F) through all operations to `out` (B, steps, U)."""
    before = flush_denormals()
    batch, f = number(table, H.BATCH), number(table, H.FEATURES)
    turns = batch > 1 and steps > 1
    if turns:
        laid = pointer(table, H.LAID, x)
        for t in range(steps):
            copy_rows(offset(laid, t * batch * f), f, offset(x, t * f), steps * f, batch, f)
        x = laid
    operations, at = number(table, H.OPERATIONS), _HEAD
    for index in range(operations):
        kind, u = number(table, at + O.KIND), number(table, at + O.UNITS)
        if kind == Kind.RECURRENT:
            x = _recur(table, at, x, steps, batch)
        else:
            target = pointer(table, at + O.OUT, x)
            if index == operations - 1 and not turns:
                target = out
            act = number(table, at + O.ACTIVATION)
            if kind == Kind.DENSE:
                f, weights = number(table, at + O.FEATURES), pointer(table, at + O.WEIGHTS, x)
                bias = offset(weights, number(table, at + O.BIAS))
                gemm(steps * batch, u, f, x, f, 1, weights, bias, 0, target, u, 0, act, target,
                     0)  # fmt: skip
            elif kind == Kind.CAUSAL:
                convolve_causal(table, at, x, target, steps, batch)
            else:
                _apply(act, x, target, steps * batch * u)
            x = target
        at += O.SIZE
    u = number(table, H.UNITS)
    if turns:
        for t in range(steps):
            copy_rows(offset(out, t * u), steps * u, offset(x, t * batch * u), u, batch, u)
    elif number(table, at - O.SIZE + O.KIND) == Kind.RECURRENT:
        copy(out, x, steps * batch * u)
    put(table, H.STARTED, 1)
    restore(before)


@kernel
def run(table: Any, x: Any, out: Any, steps: int) -> None:
    """Take `steps` steps of x, (B, F) or (B, steps, F), to `out`; both are contiguous."""
    operate(table_of(table), address(x), address(out), steps)
