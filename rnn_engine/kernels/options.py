"""Every Numba option of the project, in one place.

No kernel uses fastmath: the order of every sum is fixed, so that the bits are.
"""

import functools
import gc
from collections.abc import Callable
from inspect import Parameter, Signature
from inspect import signature as signature_of
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnn_engine.kernels import library
from rnn_engine.kernels.cache import KernelCache, provide_for, provides_symbols
from rnn_engine.kernels.compiler import (
    LIBRARY,
    CFunc,
    binding,
    config,
    global_compiler_lock,
    intrinsic,
    ir,
    njit,
    sigutils,
    types,
)
from rnn_engine.kernels.interrupt import ends_notice, holds_interrupts

# Kernels allocate nothing, so they need no counting of references: a third less to compile.
_OPTIONS: dict[str, Any] = {
    "nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": False,
    "no_cfunc_wrapper": True,
}  # fmt: skip


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial kernel lazily, once for each dtype, or take it from the library."""
    if LIBRARY is not None:
        return LIBRARY.kernel(name_of(function), function.__module__)
    return _cached(njit(**_OPTIONS)(function))


def inner_kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial kernel that only other kernels call, without a way in from Python."""
    if LIBRARY is not None:
        return function
    return _cached(njit(no_cpython_wrapper=True, **_OPTIONS)(function))


def inlined_kernel(function: Callable[..., Any]) -> Any:
    """Have a small kernel become part of each kernel that calls it."""
    if LIBRARY is not None:
        return function
    return njit(inline="always", no_cpython_wrapper=True, **_OPTIONS)(function)


def name_of(function: Any) -> str:
    """Return what the cache and the library call a kernel, or what one is made of."""
    function = getattr(function, "py_func", function)
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"


def _cached(dispatcher: Any) -> Any:
    _equip(dispatcher, dispatcher.py_func)
    return dispatcher


def _equip(compiled: Any, function: Callable[..., Any], cached: bool = True) -> None:
    """Give what Numba compiles this project's cache and options, and Ctrl-C a place to wait."""
    if cached:
        compiled._cache = KernelCache(function)
    compiled._compiler.compile = ends_notice(compiled._compiler.compile)
    compiled.compile = holds_interrupts(_lightly(compiled.compile))


def _lightly(compile_it: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate what compiles, so that it takes less time.

    LLVM's highest level of optimization took 9% of a first run and made no kernel faster;
    looking for garbage meanwhile took 4%. What is left goes before the lock does: a process
    that forks meanwhile waits for the lock, but not for a collection, and its child, which has
    not the thread that collects, would never collect again.
    """

    @functools.wraps(compile_it)
    def run(*args: Any, **kwargs: Any) -> Any:
        with global_compiler_lock:  # whatever else is compiled meanwhile keeps its level
            collects, level = gc.isenabled(), config.OPT
            gc.disable()
            if level > 2 and not level.is_opt_max:  # who asks for "max" gets it
                config.OPT = type(level)(2)
            try:
                return compile_it(*args, **kwargs)
            finally:
                config.OPT = level
                if collects:
                    gc.enable()
                    gc.collect(0)

    return run


class Table:
    """Annotates a parameter of a `linked` function that is a pointer to int64."""


def _kinds(function: Callable[..., Any], dtype: Any) -> list[Any]:
    """Return Numba's types of a function's parameters, from their annotations."""
    table = types.CPointer(types.int64)
    fixed: dict[Any, Any] = {int: types.intp, bool: types.boolean, Table: table}
    kinds = [parameter.annotation for parameter in signature_of(function).parameters.values()]
    return [fixed[kind] if kind in fixed else types.CPointer(dtype) for kind in kinds]


LINKED: list[Callable[..., Any]] = []


def linked_symbol(function: Callable[..., Any], dtype: str) -> str:
    """Return what LLVM calls a `linked` function of a float type."""
    return f"rnn_engine_{function.__module__}_{function.__name__}_{dtype}"


def linked(function: Callable[..., Any]) -> Any:
    """Compile a function once for each float type and have kernels call its address.

    An ordinary kernel that another one calls is translated anew for every caller, which
    for the larger ones takes longer than all the rest. It returns nothing; a parameter that is
    annotated with `int` is an integer, one with `Table` a pointer to int64, every other one a
    pointer to the float type.
    """
    if LIBRARY is not None:
        return function
    LINKED.append(function)
    names = list(signature_of(function).parameters)
    floats = [dtype is types.float32 for dtype in map(_float_of, _kinds(function, types.float32))]

    def signature(dtype: Any) -> Any:
        return types.void(*_kinds(function, dtype))

    def symbol(dtype: Any) -> str:
        return linked_symbol(function, dtype.name)

    @provides_symbols
    def provide(dtype: Any) -> None:
        address = c_function(function, np.dtype(dtype.name)).address
        binding.add_symbol(symbol(dtype), address)

    def typing(typingctx: Any, *arguments: Any) -> Any:
        dtype = arguments[floats.index(True)].dtype
        # All of them in the order of their declaration, also for a caller that is no kernel: one
        # that refers to another that is only being compiled would end the process.
        provide_for(signature(dtype))
        provide(dtype)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            name, module = symbol(dtype), builder.module
            target = module.globals.get(name)
            if target is None:
                values = [context.get_value_type(kind) for kind in sig.args]
                target = ir.Function(module, ir.FunctionType(ir.VoidType(), values), name)
            builder.call(target, args)
            return context.get_dummy_value()

        return signature(dtype), codegen

    typing.__doc__, typing.__name__ = function.__doc__, function.__name__
    # Numba reads the number of arguments from here.
    typing.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("typingctx", *names)]
    )
    made = intrinsic(typing)
    made.function, made.signature = function, signature  # to look at the code that comes out
    return made


def _float_of(kind: Any) -> Any:
    return getattr(kind, "dtype", None)


def c_function(function: Callable[..., Any], dtype: Any = None, cached: bool = True) -> Any:
    """Compile a function with C's calling convention now; it has an address.

    It returns nothing, and its parameters are annotated as those of a `linked` one; `dtype` is
    NumPy's of the others. One that is not `cached` is compiled anew: what comes from the disk has
    no LLVM code. With a library it is there.
    """
    if LIBRARY is not None:
        name = library.symbol(name_of(function), dtype)
        return SimpleNamespace(address=LIBRARY.address(name))
    options = {"nopython": True, **_OPTIONS}
    # Its callers have let go of the lock already, and the wrapper is what has the address.
    del options["nogil"], options["no_cfunc_wrapper"]
    float_type = None if dtype is None else getattr(types, dtype.name)
    signature = sigutils.normalize_signature(types.void(*_kinds(function, float_type)))
    compiled = CFunc(function, signature, {}, options)
    _equip(compiled, function, cached)
    compiled.compile()
    return compiled
