"""A cell's step as C functions: step(frame, like, low, high) over some rows of a block of units.

A stage has two *parts*, "step" and "back", and the cell may have one, "restore", which makes the
states again of what the steps have kept.

A step holds the formulas of its activations, or calls them by address (`called`).

The sums of a block lie in each row as [register of units][gate][lane], and those of the units
that fill no register as [gate][unit]; what is kept lies in the same order, dz as
[slot][unit] in whole rows.
"""

import functools
import hashlib
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from rnn_engine.kernels.compiler import intrinsic, ir, types
from rnn_engine.kernels.options import Table, c_function
from rnn_engine.kernels.recurrent import cells
from rnn_engine.kernels.recurrent.cells import CALLED, Cell, Here, Lazy
from rnn_engine.kernels.recurrent.places import F
from rnn_engine.kernels.tables import place_in
from rnn_engine.kernels.vector import INT64, POINTER, Vector, VectorBuilder, allow_widest


def address_of(cell: Cell, stage: int, codes: tuple[int, ...], part: str, dtype: np.dtype) -> int:
    """Return the address of a part of a stage; it is compiled if it is new."""
    return _address_of(cell, stage, cells.held(cell, codes), part, dtype)


@functools.lru_cache(maxsize=256)
def _address_of(cell: Cell, stage: int, codes: tuple[int, ...], part: str, dtype: np.dtype) -> int:
    compiled = c_function(make(cell, stage, codes, part), dtype)
    _ALIVE.append(compiled)
    return int(compiled.address)


_ALIVE: list[Any] = []


def make(cell: Cell, stage: int, codes: tuple[int, ...], part: str) -> Callable[..., None]:
    """Return a part of a stage as a function to be compiled."""
    version = version_of(formulas_of(cell, stage, part))

    @intrinsic
    def emit(typingctx: Any, frame: Any, like: Any, low: Any, high: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
            allow_widest(builder.function)
            ops = VectorBuilder(builder, sig.args[1].dtype)
            emitter_of(codes)(ops, args[0], cell, stage, codes).walk(args[2], args[3], part)
            return context.get_dummy_value()

        return types.void(frame, like, types.intp, types.intp), codegen

    def step(frame: Table, like: Any, low: int, high: int) -> None:
        version  # noqa: B018  # part of the key in the cache
        emit(frame, like, low, high)

    step.__qualname__ = f"{cell.name}_{stage}_{part}_{cells.label(codes)}"
    return step


def formulas_of(cell: Cell, stage: int, part: str) -> Any:
    """Return the cell's own function of a part."""
    return cell.restore if part == "restore" else getattr(cell.stages[stage], part)


def version_of(formulas: Any) -> str:
    """Return what stands for a function of a cell in the key of its cached code.

    Of a cell that is not one of this package's the cache on disk cannot see an edit.
    """
    return hashlib.sha256(repr(_content(formulas.__code__)).encode()).hexdigest()


def _content(code: CodeType) -> Any:
    """Return what a function does, without its name, place and address."""
    constants = [_content(c) if isinstance(c, CodeType) else c for c in code.co_consts[1:]]
    return code.co_code, code.co_names, constants


def emitter_of(codes: tuple[int, ...]) -> "type[Emitter]":
    """Return what emits a step with these activations."""
    if CALLED not in codes:
        return Emitter
    from rnn_engine.kernels.recurrent.called import CallingEmitter  # few programs call activations

    return CallingEmitter


class Emitter:
    """Emits the code of one stage."""

    def __init__(
        self, ops: VectorBuilder, frame: Any, cell: Cell, stage: int, codes: tuple[int, ...]
    ) -> None:
        self.ops, self.b, self.frame = ops, ops.builder, frame
        self.cell, self.stage, self.index = cell, cell.stages[stage], stage
        self.codes, self.activations = codes, cells.activations(codes)
        self.keeps = cell.keeps(self.activations)
        self.is_last = stage == len(cell.stages) - 1
        self.unit = self.number(F.UNIT)

    def number(self, place: int) -> Any:
        """Return a number of the frame."""
        return self.b.load(place_in(self.b, self.frame, INT64(place)), typ=INT64, align=8)

    def pointer(self, place: int) -> Any:
        """Return a pointer of the frame."""
        return self.b.load(place_in(self.b, self.frame, INT64(place)), typ=POINTER, align=8)

    def walk(self, low: Any, high: Any, part: str) -> None:
        """Emit the loop over rows and registers."""
        self.begin(part)
        b, lanes, emit = self.b, INT64(self.ops.lanes), getattr(self, part)

        def row(r: Any) -> None:
            starts = self.starts_of(b.add(low, r))
            self.ops.loop(
                self.whole, self.ops.lanes, lambda j: emit(Place(self, starts, j, lanes, None))
            )
            with b.if_then(b.icmp_signed("!=", self.left, INT64(0))):
                emit(Place(self, starts, self.whole, self.left, self.mask))

        self.ops.loop(b.sub(high, low), 1, row)

    def begin(self, part: str) -> None:
        """Find the block: its columns of whole registers, those left over, and all arrays."""
        self.formulas = formulas_of(self.cell, self.index, part)
        columns = self.number(F.COLUMNS)
        self.whole = self.b.and_(columns, INT64(-self.ops.lanes))
        self.left = self.b.sub(columns, self.whole)
        self.mask = self.ops.first_lanes(self.left)
        if part == "back":
            self.heads = self._backward_heads()
        else:
            self.heads = self._sums() if part == "step" else {}
            self.heads |= self._forward_heads()

    def starts_of(self, row: Any) -> dict[str, Any]:
        """Return where a row begins in each array."""
        return {
            name: self.ops.offset(pointer, self.b.mul(row, stride))
            for name, (pointer, stride) in self.heads.items()
        }

    def _whole(self, place: int, width: Any = 1) -> Any:
        """Return a pointer of whole rows of `width` numbers a unit, moved to the block."""
        wide = INT64(width)
        return self.ops.offset(self.pointer(place), self.b.mul(self.unit, wide))

    def _sums(self) -> dict[str, Any]:
        heads: dict[str, Any] = {"z": (self.pointer(F.Z), self.number(F.Z_ROW))}
        if self.stage.apart:
            heads["zh"] = self.pointer(F.ZH), self.number(F.ZH_ROW)
        return heads

    def _forward_heads(self) -> dict[str, Any]:
        heads: dict[str, Any] = {}
        row = self.number(F.UNITS_ROW)
        for s in range(self.cell.states):
            heads[f"before{s}"] = self._whole(F.BEFORE + s), row
            heads[f"after{s}"] = self._whole(F.AFTER + s), row
        if self.keeps:
            heads["kept"] = self._whole(F.KEPT, self.keeps), self.number(F.KEPT_ROW)
        if len(self.cell.stages) > 1:
            heads["operand"] = self._whole(F.OPERAND), row
        return heads

    def _backward_heads(self) -> dict[str, Any]:
        row = self.number(F.UNITS_ROW)
        heads: dict[str, Any] = {"d0": (self.pointer(F.D), self.number(F.D_ROW))}
        for s in range(self.cell.states):
            heads[f"before{s}"] = self._whole(F.BEFORE + s), row
            heads[f"after{s}"] = self._whole(F.AFTER + s), row
            heads[f"carry{s}"] = self._whole(F.CARRY + s), row
        if self.keeps:
            heads["kept"] = self._whole(F.KEPT, self.keeps), self.number(F.KEPT_ROW)
        heads["dz"] = self._whole(F.DZ), self.number(F.DZ_ROW)
        # With a row of 0 there is one row of zeros.
        start = self.b.select(
            self.b.icmp_signed("==", self.number(F.EARLIER_ROW), INT64(0)), INT64(0), self.unit
        )
        earlier = self.ops.offset(self.pointer(F.EARLIER), start)
        heads["earlier"] = earlier, self.number(F.EARLIER_ROW)
        return heads

    def step(self, at: "Place") -> None:
        """Emit the step forward of a register."""
        made = self.formulas(self.activations, at.here())
        if made.kept:
            keeping = self.b.icmp_signed("!=", self.number(F.KEPT_ROW), INT64(0))
            with self.b.if_then(keeping):
                for k, value in made.kept.items():
                    place = at.gate_place("kept", self.keeps, k)
                    at.store(value, place)
                    self.ask_ahead(place, self.keeps, True)
                for s in range(self.cell.states):
                    self.ask_ahead(at.unit_place(f"after{s}"), 1, True)
        for s, value in made.states.items():
            at.store(value, at.unit_place(f"after{s}"))
        if made.operand is not None:
            at.store(made.operand, at.unit_place("operand"))

    def ask_ahead(self, place: Any, width: int, writes: bool) -> None:
        """Prefetch what the next block will find at a place, of `width` numbers a unit.

        Arrays of all steps come from far away: 75 to 79% of the peak for a pass of an LSTM.
        """
        ahead = self.b.mul(self.number(F.NEXT), INT64(width))
        self.ops.prefetch(self.ops.offset(place, ahead), writes)

    def restore(self, at: "Place") -> None:
        """Emit what makes the states of a register again, but for those that are there."""
        here = at.here()
        made = self.formulas(self.activations, here)
        for k in here.kept.seen:
            self.ask_ahead(at.gate_place("kept", self.keeps, k), self.keeps, False)
        for s, value in made.states.items():
            with self.b.if_then(self.b.icmp_signed("<=", self.number(F.HELD), INT64(s))):
                at.store(value, at.unit_place(f"after{s}"))
        if made.operand is not None:
            at.store(made.operand, at.unit_place("operand"))

    def back(self, at: "Place") -> None:
        """Emit the step back of a register."""
        for k in range(self.keeps):
            self.ask_ahead(at.gate_place("kept", self.keeps, k), self.keeps, False)
        for s in range(self.cell.states):
            self.ask_ahead(at.unit_place(f"before{s}"), 1, False)
        back = self.formulas(self.activations, at.here())
        for k, value in back.dz.items():
            at.store(value, at.slot_place(k))
        for s, value in back.states.items():
            if s == 0:
                # dy of the step before belongs to the same sum.
                value += at.load(at.unit_place("earlier" if self.is_last else "carry0"))
            at.store(value, at.unit_place(f"carry{s}"))


class Place:
    """Loads and stores of one register of units, of one row."""

    def __init__(
        self, emitter: Emitter, starts: dict[str, Any], j: Any, gate: Any, mask: Any
    ) -> None:
        self.emitter, self.starts, self.j, self.gate, self.mask = emitter, starts, j, gate, mask
        self.ops, self.b = emitter.ops, emitter.b

    def load(self, place: Any) -> Vector:
        """Read a register, under the mask if there is one."""
        if self.mask is None:
            return Vector(self.ops, self.ops.load(place))
        return Vector(self.ops, self.ops.masked_load(place, self.mask))

    def store(self, value: Vector, place: Any) -> None:
        """Write a register, under the mask if there is one."""
        if self.mask is None:
            self.ops.store(value.value, place)
        else:
            self.ops.masked_store(value.value, place, self.mask)

    def unit_place(self, name: str) -> Any:
        """Return where the units lie in an array with one number a unit."""
        return self.ops.offset(self.starts[name], self.j)

    def gate_place(self, name: str, gates: int, k: int) -> Any:
        """Return where gate k lies in an array of `gates` numbers a unit, interleaved."""
        at = self.b.add(self.b.mul(self.j, INT64(gates)), self.b.mul(self.gate, INT64(k)))
        return self.ops.offset(self.starts[name], at)

    def slot_place(self, k: int) -> Any:
        """Return where slot k lies in dz."""
        units = self.emitter.number(F.UNITS_ROW)
        return self.ops.offset(self.starts["dz"], self.b.add(self.j, self.b.mul(units, INT64(k))))

    def here(self) -> Here:
        """Return what the cell sees."""
        gates, keeps = self.emitter.stage.gates, self.emitter.keeps

        def units(name: str) -> Lazy:
            return Lazy(lambda s: self.load(self.unit_place(f"{name}{s}")))

        def in_gates(name: str, width: int) -> Lazy:
            return Lazy(lambda k: self.load(self.gate_place(name, width, k)))

        def gradient(s: int) -> Vector:
            return self.load(self.unit_place("d0" if s == 0 else f"carry{s}"))

        return Here(
            z=in_gates("z", gates),
            zh=in_gates("zh", gates),
            before=units("before"),
            after=units("after"),
            kept=in_gates("kept", keeps),
            d=Lazy(gradient),
            dz=Lazy(lambda k: self.load(self.slot_place(k))),
        )


def forward_function(cell: Cell, stage: int, codes: tuple[int, ...]) -> Callable[..., None]:
    """Return a stage's step forward as a function to be compiled."""
    return make(cell, stage, codes, "step")
