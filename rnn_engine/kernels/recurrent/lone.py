"""One row through time, for streams: product and step of a cell as one piece of code.

    z = (b + x[t]·W) + h[t-1]·R        then the cell's step

The walk of `walker` goes through tiles, frames and blocks, which costs a step of one row of 32
units as much as its arithmetic. Here the sums of some registers of units stay where the step takes
them. They are the same sums in the same order: k from 0 on, from zero, one fused multiply-add
after the other, then added to what the inputs gave. So are the bits.

For cells of one stage, whole registers of units and one block of the sum; everything else walks.
"""

import functools
from typing import Any

import numpy as np

from rnn_engine.kernels.compiler import intrinsic, ir, types
from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.gemm import BLOCK_K
from rnn_engine.kernels.options import Table, c_function
from rnn_engine.kernels.pointers import copy, lane_count, offset
from rnn_engine.kernels.recurrent import cells
from rnn_engine.kernels.recurrent.cells import Cell, Here, Lazy
from rnn_engine.kernels.recurrent.places import F, P, S
from rnn_engine.kernels.recurrent.plan import Sizes
from rnn_engine.kernels.recurrent.steps import version_of
from rnn_engine.kernels.recurrent.walker import FRAME, enter, project
from rnn_engine.kernels.tables import (
    call_step,
    new_table,
    number,
    place_in,
    pointer,
    put,
)
from rnn_engine.kernels.vector import INT64, POINTER, Vector, VectorBuilder, allow_widest

# Sums side by side: each waits four cycles for its next addition.
_SUMS = 8
_ALIVE: list[Any] = []


def is_lone(sizes: Sizes) -> bool:
    """Whether a stream of these sizes can be taken this way."""
    if not cells.is_fused(sizes.cell, sizes.codes):
        return False
    one = sizes.batch == len(sizes.cell.stages) == 1
    return one and sizes.units % sizes.lanes == 0 and sizes.units <= BLOCK_K


def forward_lone(plan: Table, like: Any, task: int) -> None:
    """Take the only row through the steps of a call; a body of `launch`."""
    before = flush_denormals()
    frame = new_table(FRAME)
    u, stop, chunk = number(plan, P.UNITS), number(plan, P.STOP), number(plan, P.CHUNK)
    wide, step = number(plan, P.GATES) * u, number(plan, P.X_STEP)
    enter(plan, frame, like, 0, 0, 1)
    weights = pointer(plan, P.WEIGHTS, like)
    width = lane_count(weights)
    bias = offset(weights, number(plan, P.STAGE + S.BIAS))
    put(frame, F.OPERAND, offset(weights, number(plan, P.STAGE + S.R)))
    put(frame, F.ZH, offset(bias, (wide + width - 1) // width * width))
    z = offset(pointer(frame, F.SCRATCH, like), number(plan, P.Z))
    h, x = pointer(frame, F.STATE, like), pointer(plan, P.X, like)
    depth = number(plan, P.STARTED) * u
    for t in range(stop):
        ahead = t % chunk
        if ahead == 0:
            project(plan, frame, like, offset(x, t * step), 1, min(chunk, stop - t))
        put(frame, F.Z, offset(z, ahead * wide))
        put(frame, F.BEFORE, offset(h, t * u))
        put(frame, F.AFTER, offset(h, (t + 1) * u))
        put(frame, F.COLUMNS, depth)
        call_step(plan, P.STAGE + S.STEP, frame, like, 0, u)
        depth = u
    last = pointer(plan, P.LAST, like)
    copy(last, offset(h, stop * u), u)
    if number(plan, P.STATES) > 1:
        copy(offset(last, u), pointer(frame, F.STATE + 1, like), u)
    restore(before)


@functools.lru_cache(maxsize=256)
def step_address(cell: Cell, codes: tuple[int, ...], dtype: np.dtype) -> int:
    """Return the address of product and step of a cell; it is compiled if it is new."""
    compiled = c_function(_make(cell, codes), dtype)
    _ALIVE.append(compiled)
    return int(compiled.address)


def _make(cell: Cell, codes: tuple[int, ...]) -> Any:
    version = version_of(cell.stages[0].step)

    @intrinsic
    def emit(typingctx: Any, frame: Any, like: Any, low: Any, units: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
            allow_widest(builder.function)
            _Emitter(VectorBuilder(builder, sig.args[1].dtype), args[0], cell, codes).walk(args[3])
            return context.get_dummy_value()

        return types.void(frame, like, types.intp, types.intp), codegen

    def step(frame: Table, like: Any, low: int, units: int) -> None:
        version  # noqa: B018  # part of the key in the cache
        emit(frame, like, low, units)

    step.__qualname__ = f"lone_{cell.name}_{cells.label(codes)}"
    return step


class _Emitter:
    """Emits product and step."""

    def __init__(self, ops: VectorBuilder, frame: Any, cell: Cell, codes: tuple[int, ...]) -> None:
        self.ops, self.b, self.cell, self.stage = ops, ops.builder, cell, cell.stages[0]
        self.activations = cells.activations(codes)
        self.frame = frame
        self.z, self.zh, self.r = map(self._pointer, (F.Z, F.ZH, F.OPERAND))
        self.h, self.h_after = self._pointer(F.BEFORE), self._pointer(F.AFTER)
        self.others = [self._pointer(F.STATE + s) for s in range(1, cell.states)]
        self.depth = self.b.load(place_in(self.b, frame, INT64(F.COLUMNS)), typ=INT64, align=8)

    def _pointer(self, place: int) -> Any:
        return self.b.load(place_in(self.b, self.frame, INT64(place)), typ=POINTER, align=8)

    def walk(self, units: Any) -> None:
        """Emit the loop over registers of units, some at a time."""
        b, done, together = self.b, INT64(0), 8
        while together:
            if together == 1 or together * self.stage.gates <= _SUMS:
                size, first = together * self.ops.lanes, done
                done = b.and_(units, INT64(-size))

                def some(j: Any, first: Any = first, together: int = together) -> None:
                    self._some(units, b.add(first, j), together)

                self.ops.loop(b.sub(done, first), size, some)
            together //= 2

    def _some(self, units: Any, j: Any, together: int) -> None:
        """Emit the steps of registers of units from unit j on."""
        gates = self.stage.gates
        sums = self._sums(units, j, together * gates)
        for register in range(together):
            at = self.b.add(j, INT64(register * self.ops.lanes))
            self._step(at, sums[register * gates : (register + 1) * gates])

    def _step(self, at: Any, sums: list[Any]) -> None:
        """Emit the step of a register of units from unit `at` on; `sums` are its h·R."""
        ops, b = self.ops, self.b
        start = b.mul(at, INT64(self.stage.gates))

        def given(base: Any, k: int) -> Vector:
            place = ops.offset(base, b.add(start, INT64(k * ops.lanes)))
            return Vector(ops, ops.load(place))

        def z(k: int) -> Vector:
            z = given(self.z, k)
            return z if self.stage.apart else z + Vector(ops, sums[k])

        def zh(k: int) -> Vector:
            return given(self.zh, k) + Vector(ops, sums[k])

        def state(s: int) -> Vector:
            base = self.h if s == 0 else self.others[s - 1]
            return Vector(ops, ops.load(ops.offset(base, at)))

        no = Lazy(_nothing)
        here = Here(z=Lazy(z), zh=Lazy(zh), before=Lazy(state), after=no, kept=no, d=no, dz=no)
        made = self.stage.step(self.activations, here)
        for s, value in made.states.items():
            base = self.h_after if s == 0 else self.others[s - 1]
            ops.store(value.value, ops.offset(base, at))

    def _sums(self, units: Any, j: Any, count: int) -> list[Any]:
        """Return h·R of `count` registers of gates, each summed from zero."""
        ops, b = self.ops, self.b
        panel = b.mul(units, INT64(ops.lanes))
        first = b.mul(b.mul(j, INT64(self.stage.gates)), units)
        rounds = min(4, ops.lanes)
        places = [(self.h, INT64(rounds))]
        for index in range(count):
            start = b.add(first, b.mul(panel, INT64(index)))
            places.append((ops.offset(self.r, start), INT64(rounds * ops.lanes)))
        zero = ops.const(0.0).value

        def round_of(pointers: list[Any], sums: list[Any]) -> list[Any]:
            h, *panels = pointers
            for k in range(rounds):
                scalar = ops.broadcast(ops.load_scalar(ops.offset(h, INT64(k))))
                sums = [
                    ops.fma(scalar, ops.load(ops.offset(p, INT64(k * ops.lanes))), s)
                    for p, s in zip(panels, sums, strict=True)
                ]
            return sums

        with b.if_else(b.icmp_signed(">", self.depth, INT64(0))) as (there, none):
            with there:
                times = b.sdiv(self.depth, INT64(rounds))
                made = ops.walk(times, places, [zero] * count, round_of)
                end = b.block
            with none:
                other = b.block
        found = []
        for value in made:
            phi = b.phi(ops.type)
            phi.add_incoming(value, end)
            phi.add_incoming(zero, other)
            found.append(phi)
        return found


def _nothing(index: int) -> Vector:
    raise LookupError("a step forward looks at sums and states before it only")


def forward_function(cell: Cell, codes: tuple[int, ...]) -> Any:
    """Return product and step of a cell as a function to be compiled."""
    return _make(cell, codes)
