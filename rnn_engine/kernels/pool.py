"""The threads that share a kernel's tasks: whoever is free takes the next one.

The caller takes tasks as the others do. So a thread that does not get a core holds up nothing
that it has not begun: on a busy machine the caller does all of the work, in the time of one
thread. A thread that finds no task looks out for some microseconds and then sleeps.

One kernel at a time has the others' help; a second one, which another thread of Python calls
meanwhile, runs alone.
"""

import _thread
import contextlib
import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np

from rnn_engine.kernels.atomics import add, pause, read, replace, write
from rnn_engine.kernels.cache import provides_symbols
from rnn_engine.kernels.compiler import LIBRARY, binding, cgutils, intrinsic, ir, types
from rnn_engine.kernels.denormals import mode, restore
from rnn_engine.kernels.options import Table, c_function, inlined_kernel, kernel
from rnn_engine.kernels.tables import TABLE, number, place_in, pointer, put, table_of
from rnn_engine.kernels.vector import INT32, INT64, POINTER

# How long a thread looks out before it sleeps: for tasks, and for the end of those that others have
# begun. What is between two steps of a training; much longer, and beside busy processes it has used
# up its time when there is work.
SECONDS = 25e-6
# Words of a cache line, which only one thread at a time can write.
_LINE = 8


class At(IntEnum):
    """Places in the table that all threads know; what is written often has a cache line."""

    TAKEN = 0  # 1 while a kernel has the pool
    STATE = _LINE  # 2^32 times the number of tasks, plus that of the next one
    LEFT = 2 * _LINE  # tasks that have not ended, plus _WAITS if the caller sleeps
    BODY = 3 * _LINE  # body(arguments, task, tasks)
    ARGUMENTS = 3 * _LINE + 1
    WANTED = 3 * _LINE + 2  # how many of the threads
    WORKERS = 3 * _LINE + 3  # how many there are
    END = 3 * _LINE + 4  # what the caller sleeps on
    MODE = 3 * _LINE + 5  # how the caller rounds, and what it does with denormals
    ROUNDS = 3 * _LINE + 6  # so often a thread looks before it sleeps
    ALONE = 3 * _LINE + 7  # launches that want help at once and go without, see `expects_help`
    ROUSED = 4 * _LINE  # how many of the threads somebody has seen to
    SLEEP = 4 * _LINE + 1  # addresses of what takes a lock, and of what releases it
    WAKE = 4 * _LINE + 2
    SHY = 4 * _LINE + 3  # how many launches will go without help after the next one that has none
    FIRST = 5 * _LINE  # the threads, each a line: what it sleeps on, whether it does


MOST_WORKERS = 255
MOST_ALONE = 16
_ASLEEP = 1
_TASKS, _WAITS = 2**32, 2**32
(_TAKEN, _STATE, _LEFT, _BODY, _ARGUMENTS, _WANTED, _WORKERS, _END, _MODE, _ROUNDS, _ALONE,
 _ROUSED, _SLEEP, _WAKE, _SHY, _FIRST) = map(int, At)  # fmt: skip


def _new_lock() -> int:
    """Return the address of a lock that is held: who takes it sleeps until it is released."""
    make, take = ctypes.pythonapi.PyThread_allocate_lock, ctypes.pythonapi.PyThread_acquire_lock
    make.restype, take.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int)
    lock = make()
    take(lock, 1)
    return int(lock)


def _new_table() -> np.ndarray:
    if LIBRARY is not None:
        words = (ctypes.c_int64 * TABLE_SIZE).from_address(LIBRARY.address(_TABLE_SYMBOL))
        return np.ctypeslib.as_array(words)
    numbers = np.zeros(TABLE_SIZE + _LINE, np.int64)
    skip = -numbers.ctypes.data // 8 % _LINE
    # Threads look at it until the process ends, after Python has gone.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(numbers))
    return numbers[skip : TABLE_SIZE + skip]


def _fill_table() -> None:
    """Write what an idle pool without threads has in its table."""
    _table[:] = 0
    _table[At.END] = _new_lock()
    # Python's locks, which need no Python: semaphores on Linux, what is there elsewhere.
    for place, name in ((At.SLEEP, "acquire"), (At.WAKE, "release")):
        function = getattr(ctypes.pythonapi, f"PyThread_{name}_lock")
        _table[place] = ctypes.cast(function, ctypes.c_void_p).value


TABLE_SIZE = At.FIRST + MOST_WORKERS * _LINE
_TABLE_SYMBOL = "rnn_engine_pool"
_SHARE_SYMBOL = "rnn_engine_share"
_table = _new_table()
_fill_table()


# --- what LLVM calls by name -------------------------------------------------------


@intrinsic
def _pool(typingctx: Any) -> Any:
    """Return the table."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        found = builder.module.globals.get(_TABLE_SYMBOL)
        if found is None:
            found = ir.GlobalVariable(builder.module, INT64, _TABLE_SYMBOL)
        return builder.bitcast(found, context.get_value_type(TABLE))

    return TABLE(), codegen


def _on_lock(function: int, waits: bool) -> Any:
    """Return ``f(table, place)``, which hands the lock at a place to a function of the table."""

    def typing(typingctx: Any, table: Any, place: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
            called = builder.load(place_in(builder, args[0], INT64(function)), typ=POINTER, align=8)
            lock = builder.load(place_in(builder, args[0], args[1]), typ=POINTER, align=8)
            wait = [INT32(1)] if waits else []
            kinds = [POINTER, *(value.type for value in wait)]
            called.type = ir.FunctionType(INT32 if waits else ir.VoidType(), kinds).as_pointer()
            builder.call(called, [lock, *wait])
            return context.get_dummy_value()

        return types.void(TABLE, types.intp), codegen

    return intrinsic(typing)


_sleep, _wake = _on_lock(_SLEEP, True), _on_lock(_WAKE, False)
if LIBRARY is None:
    binding.add_symbol(_TABLE_SYMBOL, _table.ctypes.data)


@intrinsic
def _call(typingctx: Any, body: Any, arguments: Any, task: Any, tasks: Any) -> Any:
    """Call body(arguments, task, tasks)."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        body = builder.bitcast(args[0], _BODY_TYPE.as_pointer())
        given = builder.bitcast(args[1], POINTER)
        builder.call(body, [given, *args[2:]])
        return context.get_dummy_value()

    return types.void(TABLE, TABLE, types.intp, types.intp), codegen


_BODY_TYPE = ir.FunctionType(ir.VoidType(), [POINTER, INT64, INT64])


# --- the threads -------------------------------------------------------------------


@inlined_kernel
def _has_tasks(pool: Any) -> bool:
    state = read(pool, _STATE)
    return state % _TASKS < state // _TASKS


@inlined_kernel
def _rouse(pool: Any) -> None:
    """Wake the next two threads: all come soon, though one that is woken gets no core."""
    for _ in range(2):
        if read(pool, _ROUSED) < read(pool, _WANTED):
            other = add(pool, _ROUSED, 1)
            place = _FIRST + other * _LINE
            if other < read(pool, _WANTED) and replace(pool, place + _ASLEEP, 1, 0):
                _wake(pool, place)


@inlined_kernel
def _take(pool: Any) -> None:
    """Run tasks until all of them are taken; have others come."""
    while _has_tasks(pool):
        _rouse(pool)
        state = add(pool, _STATE, 1)
        task, tasks = state % _TASKS, state // _TASKS
        # Between the look and the addition another may have taken the last one. Whoever has a
        # task holds up the caller, so that what is read here belongs to it.
        if task < tasks:
            restore(number(pool, _MODE))
            _call(pointer(pool, _BODY, pool), pointer(pool, _ARGUMENTS, pool), task, tasks)
            if add(pool, _LEFT, -1) == _WAITS + 1:
                _wake(pool, _END)


def _share(body: Table, arguments: Table, tasks: int) -> None:
    """Run the tasks of one kernel on as many threads as come."""
    pool = _pool()
    # One task needs no help; another kernel may.
    if tasks < 2 or not replace(pool, _TAKEN, 0, 1):
        for task in range(tasks):
            _call(body, arguments, task, tasks)
        return
    put(pool, _BODY, body)
    put(pool, _ARGUMENTS, arguments)
    put(pool, _MODE, mode())
    write(pool, _WANTED, min(tasks - 1, read(pool, _WORKERS)))
    write(pool, _LEFT, tasks)
    write(pool, _STATE, tasks * _TASKS)
    write(pool, _ROUSED, 0)  # now that those who are woken find tasks
    _take(pool)
    rounds = number(pool, _ROUNDS)
    while rounds > 0 and read(pool, _LEFT) != 0:
        pause()
        rounds -= 1
    if rounds <= 0 and add(pool, _LEFT, _WAITS) != 0:
        _sleep(pool, _END)
    write(pool, _TAKEN, 0)


@kernel
def _serve(table: Any, worker: int) -> None:
    """Take tasks for ever."""
    pool, place = table_of(table), _FIRST + worker * _LINE
    while True:
        rounds = number(pool, _ROUNDS)
        while rounds > 0 and not _has_tasks(pool):
            pause()
            rounds -= 1
        if rounds <= 0:
            write(pool, place + _ASLEEP, 1)
            # A task that came meanwhile may have found this thread awake. Where its caller
            # was in time to wake it, that is still to be taken.
            if not _has_tasks(pool) or not replace(pool, place + _ASLEEP, 1, 0):
                _sleep(pool, place)
        _take(pool)


@kernel
def _look(table: Any, rounds: int) -> None:
    """Look for tasks so often, to learn how long that takes: a pause is 40 cycles, or 140."""
    pool = table_of(table)
    for _ in range(rounds):
        if _has_tasks(pool):
            pause()
        pause()


# --- what kernels and Python call --------------------------------------------------


@inlined_kernel
def patience() -> int:
    """Return how often a thread looks for another one before it does that one's work, 200 µs.

    So long may take who comes out of sleep: half a megabyte of weights out of the memory, first.
    """
    return 8 * number(_pool(), _ROUNDS)


@inlined_kernel
def expects_help() -> bool:
    """Whether tasks that go side by side, meeting again and again, are worth being shared out.

    A thread that loses its core in the middle is waited for at the end of the launch, for
    milliseconds. So where help failed, as beside busy processes, the next launch goes without,
    then the next two, four, up to `MOST_ALONE`, until help comes. See `tell_help`.
    """
    pool = _pool()
    alone = read(pool, _ALONE)
    if alone > 0:
        write(pool, _ALONE, alone - 1)
    return alone <= 0


@inlined_kernel
def tell_help(came: bool) -> None:
    """Say whether a launch had the help that it expected."""
    pool = _pool()
    shy = max(1, read(pool, _SHY))
    if came:
        write(pool, _SHY, 1)
    else:
        write(pool, _ALONE, shy)
        write(pool, _SHY, min(2 * shy, MOST_ALONE))


@intrinsic
def share(typingctx: Any, kernel: Any, arguments: Any, tasks: Any) -> Any:
    """Call ``kernel(*arguments, task, tasks)`` for each task, in any order and side by side."""
    return _shared(kernel, arguments, lambda ops, task, tasks: (task, tasks))


@intrinsic
def share_range(typingctx: Any, kernel: Any, arguments: Any, size: Any, tasks: Any) -> Any:
    """Call ``kernel(*arguments, first, end)`` for each task's part of 0..size, side by side."""

    def bounds(ops: ir.IRBuilder, size: Any, task: Any, tasks: Any) -> tuple[Any, Any]:
        def edge(n: Any) -> Any:
            return ops.sdiv(ops.mul(size, n), tasks)

        return edge(task), edge(ops.add(task, INT64(1)))

    return _shared(kernel, arguments, bounds, types.intp)


def _shared(kernel: Any, arguments: Any, last: Callable[..., Any], *more: Any) -> Any:
    """Return what an intrinsic does: `last` gives a call's last two arguments."""
    if not isinstance(kernel, types.Dispatcher) or not isinstance(arguments, types.BaseTuple):
        return None
    kinds = (*map(types.unliteral, arguments), types.intp, types.intp)
    kernel.dispatcher.compile(kinds)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        _, given, *more, tasks = args
        compiled = kernel.dispatcher.overloads[kinds]
        context.add_linking_libs([compiled.library])
        # The first two tell of an error; only a task that fails writes them.
        env = cgutils.pack_struct(builder, [INT32(0), POINTER(None), given, *more])
        body, inside = _body(builder)
        where, task, of = body.args
        kept = inside.load(inside.bitcast(where, env.type.as_pointer()), typ=env.type)
        parts = inside.extract_value(kept, 2)
        values = [inside.extract_value(parts, i) for i in range(len(arguments))]
        others = [inside.extract_value(kept, 3 + i) for i in range(len(more))]
        status, _ = context.call_conv.call_function(
            inside,
            context.declare_function(builder.module, compiled.fndesc),
            compiled.signature.return_type,
            compiled.signature.args,
            [*values, *last(inside, *others, task, of)],
        )
        with cgutils.if_unlikely(inside, status.is_error):
            for at, value in enumerate((status.code, status.excinfoptr)):
                inside.store(value, _field(inside, where, env.type, at, value.type))
        inside.ret_void()
        kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, INT64])
        target = cgutils.get_or_insert_function(builder.module, kind, _SHARE_SYMBOL)
        place = builder.bitcast(cgutils.alloca_once_value(builder, env), POINTER)
        builder.call(target, [builder.bitcast(body, POINTER), place, tasks])
        code, error = (
            builder.load(_field(builder, place, env.type, at, value.type), typ=value.type)
            for at, value in enumerate((status.code, status.excinfoptr))
        )
        with cgutils.if_unlikely(builder, builder.icmp_signed("!=", code, code.type(0))):
            failure = status._replace(code=code, excinfoptr=error)
            context.call_conv.return_status_propagate(builder, failure)
        return context.get_dummy_value()

    return types.void(kernel, arguments, *more, types.intp), codegen


def _field(builder: ir.IRBuilder, where: Any, kind: Any, at: int, of: Any) -> Any:
    """Return the address of a member, of a type, of a struct."""
    field = builder.gep(where, [INT32(0), INT32(at)], source_etype=kind)
    field.type = of.as_pointer()
    return field


def _body(builder: ir.IRBuilder) -> tuple[ir.Function, ir.IRBuilder]:
    """Return a new function body(arguments, task, tasks) of a module, and what writes it."""
    name = builder.module.get_unique_name(f"{builder.function.name}_task")
    body = ir.Function(builder.module, _BODY_TYPE, name)
    body.linkage = "internal"
    return body, ir.IRBuilder(body.append_basic_block())


@provides_symbols
def _provide(dtype: Any) -> None:
    _provide_once()


@functools.cache
def _provide_once() -> None:
    compiled = c_function(_share)
    binding.add_symbol(_SHARE_SYMBOL, compiled.address)


_starting = threading.RLock()  # a signal's handler may come by here, too


def start(count: int) -> None:
    """See that at least so many threads, where they can be had, take tasks beside the caller."""
    with _starting:
        if LIBRARY is None:
            _serve.compile((types.int64[::1], types.intp))
        if not _table[At.ROUNDS]:
            _table[At.ROUNDS] = _rounds()
        # A process that may have no more threads has those it has.
        with contextlib.suppress(RuntimeError):
            for worker in range(int(_table[At.WORKERS]), min(count, MOST_WORKERS)):
                _table[At.FIRST + worker * _LINE] = _new_lock()
                _thread.start_new_thread(_serve, (_table, worker))
                _table[At.WORKERS] = worker + 1


def _rounds() -> int:
    """Return how often a thread can look out in its time."""
    times, rounds = [], 1000
    for _ in range(3):
        began = time.perf_counter()
        _look(_table, rounds)
        times.append(time.perf_counter() - began)
    return max(1, int(rounds * SECONDS / min(times)))


def _forget() -> None:
    """Have no threads, in a process that was forked from one that may have some."""
    global _starting
    _starting = threading.RLock()
    _fill_table()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
