"""The machine's limits: fused multiply-adds a second, and bytes a second of each cache.

Both loops are written as LLVM vector instructions, since what a compiler makes
of a plain loop is just what is in question. The loops know nothing of the
engine's kernels.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from benchmarks.machine import cache_sizes, vector_bits

# Enough chains to hide the latency of an FMA (4 cycles on 2 ports is 8), few enough that
# they and two operands fit the 16 vector registers of AVX2.
CHAINS = 12
# Loads need as many chains as adds in flight; 8 cover two loads a cycle.
LOADS = 8


def _vector(scalar: ir.Type) -> ir.VectorType:
    bits = 32 if isinstance(scalar, ir.FloatType) else 64
    return ir.VectorType(scalar, vector_bits() // bits)


def _splat(builder: ir.IRBuilder, value: ir.Value, vector: ir.VectorType) -> ir.Value:
    """Return a vector that holds `value` in every lane."""
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, zero)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


def _total(builder: ir.IRBuilder, vectors: list[ir.Value]) -> ir.Value:
    """Return the sum of all lanes of all vectors, so that none of the work is dead."""
    whole = vectors[0]
    for vector in vectors[1:]:
        whole = builder.fadd(whole, vector)
    lanes = [
        builder.extract_element(whole, ir.Constant(ir.IntType(32), i))
        for i in range(whole.type.count)
    ]
    total = lanes[0]
    for lane in lanes[1:]:
        total = builder.fadd(total, lane)
    return total


def _loop(
    builder: ir.IRBuilder,
    count: ir.Value,
    start: list[ir.Value],
    body: Callable[[ir.Value, list[ir.Value]], list[ir.Value]],
) -> list[ir.Value]:
    """Emit ``for i in range(count): state = body(i, state)``, state in registers."""
    entry, loop = builder.block, builder.append_basic_block("loop")
    done = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(count.type)
    index.add_incoming(ir.Constant(count.type, 0), entry)
    state = []
    for value in start:
        phi = builder.phi(value.type)
        phi.add_incoming(value, entry)
        state.append(phi)
    after = body(index, state)
    following = builder.add(index, ir.Constant(count.type, 1))
    index.add_incoming(following, loop)
    for phi, value in zip(state, after, strict=True):
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
    builder.position_at_end(done)
    return after


@intrinsic
def _fma_chains(typingctx: Any, count: Any, factor: Any, term: Any) -> Any:
    """Run ``acc = acc * factor + term`` `count` times on `CHAINS` vectors; return their sum."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        steps, factor_value, term_value = args
        vector = _vector(factor_value.type)
        a, b = (_splat(builder, v, vector) for v in (factor_value, term_value))
        name = f"llvm.fma.v{vector.count}f{vector_bits() // vector.count}"
        kind = ir.FunctionType(vector, [vector] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, name)
        start = [ir.Constant(vector, [float(chain + 1)] * vector.count) for chain in range(CHAINS)]
        ends = _loop(
            builder, steps, start, lambda _, state: [builder.call(fma, [s, a, b]) for s in state]
        )
        return _total(builder, ends)

    return factor(types.int64, factor, factor), codegen


@intrinsic
def _sum_loads(typingctx: Any, data: Any, groups: Any) -> Any:
    """Return the sum over `groups` groups of `LOADS` vectors of a contiguous array."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        scalar = context.get_value_type(signature.args[0].dtype)
        vector = _vector(scalar)
        lanes, index = vector.count, args[1].type

        def body(i: ir.Value, state: list[ir.Value]) -> list[ir.Value]:
            base = builder.mul(i, ir.Constant(index, lanes * LOADS))
            out = []
            for chain, total in enumerate(state):
                place = builder.add(base, ir.Constant(index, chain * lanes))
                pointer = builder.gep(array.data, [place], source_etype=scalar)
                pointer = builder.bitcast(pointer, vector.as_pointer())
                out.append(builder.fadd(total, builder.load(pointer, align=scalar_bytes)))
            return out

        scalar_bytes = 4 if isinstance(scalar, ir.FloatType) else 8
        zero = ir.Constant(vector, [0.0] * lanes)
        return _total(builder, _loop(builder, args[1], [zero] * LOADS, body))

    return data.dtype(data, types.int64), codegen


@cache
def _kernels() -> tuple[Any, Any]:
    """Compile both loops; not cached on disk, as they are small and the file may change."""

    @njit(nogil=True)
    def multiply_add(count: int, factor: Any, term: Any) -> Any:
        return _fma_chains(count, factor, term)

    @njit(nogil=True)
    def read(data: Any, groups: int, passes: int) -> Any:
        total = data.dtype.type(0)
        for _ in range(passes):
            total += _sum_loads(data, groups)
        return total

    return multiply_add, read


def together(calls: Sequence[Callable[[], Any]]) -> float:
    """Run `calls` on a thread each, started at once; return seconds until the last ends."""
    if len(calls) == 1:
        begin = time.perf_counter()
        calls[0]()
        return time.perf_counter() - begin
    gate = threading.Barrier(len(calls))
    begins, ends = [0.0] * len(calls), [0.0] * len(calls)

    def run(place: int) -> None:
        gate.wait()
        begins[place] = time.perf_counter()
        calls[place]()
        ends[place] = time.perf_counter()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(ends) - min(begins)


def flops(dtype: str, threads: int, seconds: float = 0.05, repeats: int = 3) -> float:
    """Return the best rate of fused multiply-adds, two operations each, in flop/s."""
    multiply_add, _ = _kernels()
    scalar = np.dtype(dtype).type
    lanes = vector_bits() // (8 * np.dtype(dtype).itemsize)
    factor, term = scalar(0.5), scalar(1.0)
    multiply_add(1, factor, term)
    count = _fitting(lambda steps: multiply_add(steps, factor, term), seconds)
    work = 2.0 * lanes * CHAINS * count * threads
    calls = [partial(multiply_add, count, factor, term)] * threads
    return max(work / together(calls) for _ in range(repeats))


def bandwidth(size: int, threads: int, seconds: float = 0.03, repeats: int = 3) -> float:
    """Return the best rate of reading `size` bytes over and over, in byte/s.

    Each thread reads memory of its own.
    """
    _, read = _kernels()
    group = LOADS * vector_bits() // 8
    groups = max(1, size // group)
    arrays = [_aligned(groups * group) for _ in range(threads)]
    read(arrays[0], groups, 1)
    passes = _fitting(lambda steps: read(arrays[0], groups, steps), seconds)
    calls = [partial(read, array, groups, passes) for array in arrays]
    work = float(groups * group * passes * threads)
    return max(work / together(calls) for _ in range(repeats))


def _fitting(run: Callable[[int], Any], seconds: float) -> int:
    """Return the number of steps at which `run` lasts about `seconds`."""
    steps, spent = 1, 0.0
    while spent < seconds / 4:
        steps *= 2
        spent = together([partial(run, steps)])
    return max(1, int(steps * seconds / spent))


def _aligned(size: int) -> np.ndarray:
    """Return ones of `size` bytes of float32, on a cache line's border."""
    raw = np.empty(size // 4 + 16, np.float32)
    skip = (-raw.ctypes.data % 64) // 4
    part = raw[skip : skip + size // 4]
    part[:] = 1.0
    return part


def measure(threads: int) -> dict[str, Any]:
    """Return all limits: flop/s by dtype and bytes/s by cache level, one and all threads."""
    rates = {
        dtype: {"one": flops(dtype, 1), "all": flops(dtype, threads)}
        for dtype in ("float32", "float64")
    }
    caches = cache_sizes()
    # Half a cache, as the other half may hold something else; memory is four times the last.
    sizes = {level: size // 2 for level, size in caches.items()}
    sizes["memory"] = min(4 * max(caches.values()), 2**29)
    levels = {
        level: {"bytes": size, "one": bandwidth(size, 1), "all": bandwidth(size, threads)}
        for level, size in sizes.items()
    }
    return {"flops": rates, "bandwidth": levels, "vector_bits": vector_bits()}
