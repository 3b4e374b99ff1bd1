"""SimpleRNN forward for a batch of one row whose recurrent weights fill more than a cache.

Such a step waits for R: as panels of one register, which a tile reads side by side, it comes
from the second-level cache at 124 GB/s, as panels of `REGISTERS_WIDE` registers, which are one
stream, at 131. The sums run as in `simple_rnn`, so the bits are the same.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.finish import call_finish
from rnn_engine.kernels.gemm import Product, Tile, gemm
from rnn_engine.kernels.options import inner_kernel, kernel
from rnn_engine.kernels.pointers import address, copy, lane_count, offset, store
from rnn_engine.kernels.simple_rnn import pack_beside_r
from rnn_engine.kernels.vector import INT64, REGISTERS, VectorBuilder, allow_widest

# One tile of sums; `is_for_single_row` follows it.
REGISTERS_WIDE = REGISTERS // 2
_WIDTHS = (REGISTERS_WIDE, 4, 2, 1)


@kernel
def pack_weights(w: Any, r: Any, b: Any, weights: Any) -> None:
    """Fill `weights` as `simple_rnn.pack_weights` does, but R in wide panels."""
    u, target = w.shape[1], pack_beside_r(w, b, weights)
    width = lane_count(target)
    for first in range(0, u, REGISTERS_WIDE * width):
        used = min(REGISTERS_WIDE * width, u - first)
        row = (used + width - 1) // width * width
        for i in range(u):
            copy(target, offset(address(r), i * u + first), used)
            for j in range(used, row):
                store(target, j, 0.0)
            target = offset(target, row)


@intrinsic
def _tile(
    typingctx: Any, vectors: Any, a: Any, depth: Any, panel: Any, panel_k: Any, init: Any,
    out: Any, tail: Any,
) -> Any:  # fmt: skip
    """Compute some registers, side by side in a panel, of init + a·panel."""
    signature = types.void(vectors, a, depth, panel, panel_k, init, out, tail)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        vectors, a, depth, panel, panel_k, init, out, tail = args
        allow_widest(builder.function)
        ops = VectorBuilder(builder, sig.args[1].dtype)
        a, panel, init, out = (ops.offset(p, INT64(0)) for p in (a, panel, init, out))
        one, mask = INT64(1), ops.first_lanes(tail)
        product = Product(a, one, one, depth, panel, INT64(ops.lanes), panel_k)
        end = builder.append_basic_block("end")
        switch = builder.switch(vectors, end)
        for v in _WIDTHS:
            block = builder.append_basic_block(f"tile_{v}")
            switch.add_case(INT64(v), block)
            builder.position_at_end(block)
            tile = Tile(ops, 1, v, mask)
            tile.store(tile.add_product(product, tile.load(init, one)), out, one)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature, codegen


@inner_kernel
def _step(u: int, depth: int, previous: Any, r: Any, init: Any, target: Any) -> None:
    """Compute init + previous·R of `depth` units."""
    width = lane_count(target)
    whole, vector = (u + width - 1) // width, 0
    while vector < whole:
        begin = vector // REGISTERS_WIDE * REGISTERS_WIDE
        wide = min(REGISTERS_WIDE, whole - begin)
        vectors = REGISTERS_WIDE
        if wide < REGISTERS_WIDE:
            vectors = 4
            while vectors > begin + wide - vector:
                vectors //= 2
        column = vector * width
        tail = min(vectors * width, u - column) - (vectors - 1) * width
        _tile(vectors, previous, depth, offset(r, (begin * u + vector - begin) * width),
              wide * width, offset(init, column), offset(target, column), tail)  # fmt: skip
        vector += vectors


@kernel
def forward(
    x: Any, weights: Any, h0: Any, h: Any, z: Any, last: Any, scratch: Any, act: int, chunk: int,
    begin: int, stop: int,
) -> None:  # fmt: skip
    """Do what `simple_rnn.forward` does; x is (1, T, F) or (T, 1, F), `weights` from here."""
    f, u = x.shape[2], last.shape[1]
    w, final, states = address(weights), address(last), address(scratch)
    width = lane_count(w)
    columns = (u + width - 1) // width * width
    r = offset(w, f * columns)
    b = offset(r, u * columns)
    before = flush_denormals()
    previous, depth = final, u
    if begin == 0:
        previous, depth = address(h0), u * int(h0.size > 0)
    elif h.size:
        previous = offset(address(h), (begin - 1) * u)
    for start in range(begin, stop, chunk):
        count = min(chunk, stop - start)
        gemm(count, u, f, offset(address(x), start * f), f, 1, w, b, 0, states, u, 0, 0, b, 0)
        for t in range(count):
            init = offset(states, t * u)
            target = init
            if h.size:
                target = offset(address(h), (start + t) * u)
            keep, keep_row = target, 0
            if z.size:
                keep, keep_row = offset(address(z), (start + t) * u), u
            _step(u, depth, previous, r, init, target)
            if act != 0:
                call_finish(act, 1, u, target, u, keep, keep_row)
            previous, depth = target, u
        copy(final, previous, u)
        if not h.size:
            previous = final
    restore(before)
