"""Running a body: a C function (plan, like, task) that takes a task of a pass.

Arrays reach a plan as arguments of a kernel, which costs 0.05 µs each, where their address taken
in Python costs 1 to 2. A plan that several passes share is never written: a pass has a copy, for
small work on the stack, as its scratch is.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.kernels.options import (
    c_function,
    inlined_kernel,
    kernel,
)
from rnn_engine.kernels.pointers import address, offset, stack
from rnn_engine.kernels.pool import share
from rnn_engine.kernels.recurrent.places import P
from rnn_engine.kernels.tables import (
    call_body,
    like_of,
    new_table,
    number,
    put,
    table_of,
)

_SIZE = int(P.END)
# Numbers of scratch that are on the stack, for small work: 32 KiB in float32.
BRIEF_NUMBERS = 8192
_BODIES: list[Any] = []


@functools.lru_cache(maxsize=64)
def address_of(body: Callable[..., None], dtype: np.dtype) -> int:
    """Return the address of a body, or of a part of one; it is compiled if it is new."""
    compiled = c_function(body, dtype)
    _BODIES.append(compiled)
    return int(compiled.address)


@kernel
def _run_task(plan: Any, like: Any, task: int, tasks: int) -> None:
    call_body(table_of(plan), P.BODY, like_of(like), task)


@kernel
def launch(plan: Any, like: Any, tasks: int) -> None:
    """Run a plan's body on `tasks` threads; `like` is an array of the float type."""
    share(_run_task, (plan, like), tasks)


@kernel
def run(plan: Any, like: Any, tasks: int) -> None:
    """Run a plan's body on one thread."""
    for task in range(tasks):
        call_body(table_of(plan), P.BODY, like_of(like), task)


@inlined_kernel
def _bind_kept(plan: Any, space: Any) -> None:
    """Turn places in what a pass keeps into addresses."""
    base = address(space)
    for place in range(P.STATE, P.OPERAND + 1):
        put(plan, place, offset(base, number(plan, place)))


@inlined_kernel
def _bind(plan: Any, x: Any, weights: Any, space: Any, last: Any) -> None:
    put(plan, P.X, address(x))
    put(plan, P.WEIGHTS, address(weights))
    put(plan, P.LAST, address(last))
    _bind_kept(plan, space)


@kernel
def bind_forward(plan: Any, x: Any, weights: Any, space: Any, last: Any, scratch: Any) -> None:
    """Write a pass's arrays into its own plan."""
    table = table_of(plan)
    _bind(table, x, weights, space, last)
    put(table, P.SCRATCH, address(scratch))


@kernel
def run_forward(plan: Any, x: Any, weights: Any, space: Any, last: Any) -> None:
    """Run small work: the plan is copied, and the scratch is on the stack."""
    table, source = new_table(_SIZE), table_of(plan)
    for place in range(_SIZE):
        put(table, place, number(source, place))
    _bind(table, x, weights, space, last)
    put(table, P.SCRATCH, stack(address(weights), BRIEF_NUMBERS))
    call_body(table, P.BODY, like_of(weights), 0)


@inlined_kernel
def _bind_back(
    plan: Any, w: Any, r: Any, x: Any, space: Any, dw: Any, dr: Any, db: Any, dx: Any
) -> None:
    put(plan, P.W, address(w))
    put(plan, P.R, address(r))
    put(plan, P.X, address(x))
    put(plan, P.DW, address(dw))
    put(plan, P.DR, address(dr))
    put(plan, P.DB, address(db))
    if dx.size:
        put(plan, P.DX, address(dx))
    _bind_kept(plan, space)


@kernel
def bind_backward(
    plan: Any, w: Any, r: Any, x: Any, space: Any, dw: Any, dr: Any, db: Any, dx: Any, work: Any
) -> None:
    """Write the arrays of a pass back into its own plan."""
    table = table_of(plan)
    _bind_back(table, w, r, x, space, dw, dr, db, dx)
    put(table, P.WORK, address(work))


@kernel
def run_backward(
    plan: Any, w: Any, r: Any, x: Any, space: Any, d: Any, dw: Any, dr: Any, db: Any, dx: Any
) -> None:
    """Run small work back, from dy of all steps or the gradient of the last output alone, `d`."""
    table, source = new_table(_SIZE), table_of(plan)
    for place in range(_SIZE):
        put(table, place, number(source, place))
    _bind_back(table, w, r, x, space, dw, dr, db, dx)
    put(table, P.DY if d.ndim == 3 else P.DLAST, address(d))
    put(table, P.WORK, stack(address(w), BRIEF_NUMBERS))
    call_body(table, P.BODY, like_of(w), 0)
