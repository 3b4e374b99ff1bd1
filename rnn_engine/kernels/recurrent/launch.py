"""Running a body: a C function (plan, like, task) that takes a task of a pass."""

import functools
from collections.abc import Callable
from typing import Any

from numba import prange
from numba.core import types

from rnn_engine.kernels.options import c_function, kernel, parallel_kernel
from rnn_engine.kernels.recurrent.places import P
from rnn_engine.kernels.recurrent.tables import TABLE, call_body, like_of, table_of

_BODIES: list[Any] = []


@functools.lru_cache(maxsize=64)
def address_of(body: Callable[..., None], dtype: types.Float, part: bool = False) -> int:
    """Return the address of a body, or of a part of one; it is compiled if it is new."""
    like = types.CPointer(dtype)
    arguments = (TABLE, TABLE, like, types.intp) if part else (TABLE, like, types.intp)
    compiled = c_function(types.void(*arguments), body)
    _BODIES.append(compiled)
    return int(compiled.address)


@kernel
def run(plan: Any, like: Any, tasks: int) -> None:
    """Run a plan's body on one thread; `like` is an array of the float type."""
    for task in range(tasks):
        call_body(table_of(plan), P.BODY, like_of(like), task)


@parallel_kernel
def launch(plan: Any, like: Any, tasks: int) -> None:
    """Run a plan's body on `tasks` threads."""
    for task in prange(tasks):
        call_body(table_of(plan), P.BODY, like_of(like), task)
