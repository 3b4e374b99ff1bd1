"""A cell's step whose activations are called by address: one for all activations of a cell.

What `steps` compiles holds the formulas, so that there is one for each pair. Here the epilogues of
`finish` do what the formulas do, with the same bits. A call costs as much as the formula of a
register, so some registers, of a row or of some rows, go through the step together, level by level:

    level 0      every sum that an activation takes is put beside those of the other registers;
                 one call for all uses of an activation
    level 1      the step again, up to the activations that need what level 0 gave (h of an LSTM)
    the end      the step again, with all that was called; its results are stored

Each level is the cell's whole step: what it does not need, LLVM removes.

The addresses come from `finish.addresses` by way of the plan.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnn_engine.kernels.compiler import ir, types
from rnn_engine.kernels.recurrent import cells
from rnn_engine.kernels.recurrent.cells import Back, Here, Lazy, Made
from rnn_engine.kernels.recurrent.places import F
from rnn_engine.kernels.recurrent.steps import Emitter, Place
from rnn_engine.kernels.tables import place_in
from rnn_engine.kernels.vector import INT64, POINTER, Vector, VectorBuilder, where

# Registers that go through a step together.
TOGETHER = 16

_EPILOGUE = ir.FunctionType(
    ir.VoidType(), [INT64, INT64, INT64, POINTER, INT64, POINTER, INT64]
).as_pointer()


@dataclass
class _Use:
    """One use of an activation in a step.

    Attributes
    ----------
    index : of the activation
    kind : the method of `cells.Called`
    level : how many calls come before it
    wants : whether the step looks at y, and at dy/dz
    slot : its place in the scratch
    """

    index: int
    kind: str
    level: int
    wants: tuple[bool, bool] = (True, True)
    slot: int = 0

    @property
    def call(self) -> tuple[Any, ...]:
        """What uses that one call serves have in common."""
        return self.level, self.index, self.kind, self.wants


class _Trace:
    """Emits a step to nowhere, to see its uses of activations and which of them wait for which.

    A step has no branches and no loops: instructions stand behind those that they need.
    """

    def __init__(self, dtype: types.Float) -> None:
        function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "step")
        self._block = function.append_basic_block()
        self.ops = VectorBuilder(ir.IRBuilder(self._block), dtype)
        self._uses: list[tuple[_Use, tuple[Vector, Vector]]] = []
        self._levels: dict[int, int] = {}

    def uses(self, formulas: Any, codes: Sequence[int]) -> list[_Use]:
        """Return the uses in the order in which the step makes them."""
        here = Here(*(Lazy(self._value) for _ in range(7)))
        made = formulas(cells.activations(codes, self), here)
        seen = {id(vector.value) for vector in _results(made)}
        for instruction in self._block.instructions:
            seen.update(map(id, instruction.operands))
        for use, (y, slope) in self._uses:
            use.wants = id(y.value) in seen, id(slope.value) in seen
        found = [use for use, _ in self._uses]
        for slot, use in enumerate(sorted(found, key=lambda use: use.call)):
            use.slot = slot
        return found

    def use(self, index: int, kind: str, value: Vector) -> tuple[Vector, Vector]:
        """Note a use; return what stands for its results."""
        use = _Use(index, kind, self._level(value.value))
        made = self._value(), self._value()
        for vector in made:
            self._levels[id(vector.value)] = use.level + 1
        self._uses.append((use, made))
        return made

    def choose(self, index: int, z: Vector, y: Vector) -> Vector:
        """Return what stands for one of the two."""
        return where(ir.Constant(ir.IntType(1), 1), z, y)

    def _value(self, index: int = 0) -> Vector:
        return Vector(self.ops, self.ops.load(ir.Constant(POINTER, None)))

    def _level(self, value: Any) -> int:
        """Return how many calls, one after the other, a value needs."""
        for instruction in self._block.instructions:
            needs = (self._levels.get(id(operand), 0) for operand in instruction.operands)
            self._levels.setdefault(id(instruction), max(needs, default=0))
        return self._levels.get(id(value), 0)


def _results(made: Made | Back) -> list[Vector]:
    """Return all that a step stores."""
    if isinstance(made, Back):
        return [*made.dz.values(), *made.states.values()]
    operand = [] if made.operand is None else [made.operand]
    return [*made.states.values(), *made.kept.values(), *operand]


class CallingEmitter(Emitter):
    """Emits the code of one stage that calls its activations."""

    def walk(self, low: Any, high: Any, part: str) -> None:
        """Emit the loop over registers, some of them at a time."""
        self.begin(part)
        b, ops = self.b, self.ops
        self._emit = getattr(self, part)
        self._uses = _Trace(ops.dtype).uses(self.formulas, self.codes)
        self._end = max((use.level + 1 for use in self._uses), default=0)
        self._load_activations()
        self._span = TOGETHER * ops.lanes
        kind = ir.ArrayType(ops.element, max(1, 2 * len(self._uses) * self._span))
        with b.goto_entry_block():
            space = b.alloca(kind)
            space.align = 64
        self._space = ops.offset(space, INT64(0))
        self._full = b.sdiv(self.whole, INT64(ops.lanes))
        registers = b.add(self._full, b.zext(b.icmp_signed("!=", self.left, INT64(0)), INT64))
        width = self._least(registers, INT64(TOGETHER))
        group = b.sdiv(INT64(TOGETHER), width)

        def rows(i: Any) -> None:
            first = b.add(low, b.mul(i, group))
            count = self._least(group, b.sub(high, first))

            def columns(j: Any) -> None:
                begin = b.mul(j, width)
                self._some(first, count, begin, self._least(width, b.sub(registers, begin)))

            ops.loop(self._parts(registers, width), 1, columns)

        ops.loop(self._parts(b.sub(high, low), group), 1, rows)

    def _load_activations(self) -> None:
        """Load addresses, and whether derivatives are functions of z."""
        b = self.b
        self.activations = cells.activations(self.codes, self)
        table = self.pointer(F.ACTIVATIONS)
        self._functions, self._from_input, self._exists = [], [], []
        for index in range(len(self.codes)):
            function = b.load(place_in(b, table, INT64(2 * index)), typ=POINTER, align=8)
            flag = b.load(place_in(b, table, INT64(2 * index + 1)), typ=INT64, align=8)
            self._exists.append(b.icmp_unsigned("!=", function, ir.Constant(POINTER, None)))
            self._from_input.append(b.icmp_signed("!=", flag, INT64(0)))
            function.type = _EPILOGUE
            self._functions.append(function)

    def _least(self, x: Any, y: Any) -> Any:
        return self.b.select(self.b.icmp_signed("<", x, y), x, y)

    def _parts(self, count: Any, size: Any) -> Any:
        return self.b.sdiv(self.b.add(count, self.b.sub(size, INT64(1))), size)

    def _some(self, first: Any, rows: Any, begin: Any, width: Any) -> None:
        """Emit all levels for `width` registers from register `begin` on of some rows."""
        b, ops, lanes = self.b, self.ops, INT64(self.ops.lanes)
        whole = self._least(width, b.sub(self._full, begin))

        def row(r: Any) -> None:
            starts, before = self.starts_of(b.add(first, r)), b.mul(r, width)

            def register(j: Any) -> None:
                place = Place(self, starts, b.mul(b.add(begin, j), lanes), lanes, None)
                self._register(place, b.add(before, j))

            ops.loop(whole, 1, register)
            with b.if_then(b.icmp_signed("<", whole, width)):
                place = Place(self, starts, self.whole, self.left, self.mask)
                self._register(place, b.add(before, whole))

        for level in range(self._end + 1):
            self._now = level
            ops.loop(rows, 1, row)
            self._call(b.mul(b.mul(rows, width), lanes))

    def _register(self, at: Place, index: Any) -> None:
        """Emit a level of the step of one register, the `index`-th of those together."""
        self._at = self.b.mul(index, INT64(self.ops.lanes))
        self._next = iter(self._uses)
        if self._now == self._end:
            self._emit(at)
        else:
            self.formulas(self.activations, at.here())

    def use(self, index: int, kind: str, value: Vector) -> tuple[Vector, Vector]:
        """Put a value where it will be called with; after its level, return what came of it."""
        use, ops = next(self._next), self.ops
        places = [ops.offset(self._slot(use.slot, part), self._at) for part in range(2)]
        if use.level < self._now:
            y, slope = (Vector(ops, ops.load(place)) for place in places)
            return y, slope
        one = ops.const(1.0)
        if use.level == self._now:
            ops.store(value.value, places[0])
            if use.wants[1]:
                ops.store(one.value, places[1])
        return one, one  # nobody looks at them

    def choose(self, index: int, z: Vector, y: Vector) -> Vector:
        """Return z if the derivative of an activation is a function of z, else y."""
        return where(self._from_input[index], z, y)

    def _slot(self, slot: int, part: int) -> Any:
        """Return where the values of a use lie, later its y, or, of part 1, its slopes."""
        place = (part * len(self._uses) + slot) * self._span
        return self.ops.offset(self._space, INT64(place))

    def _call(self, numbers: Any) -> None:
        """Emit the calls of a level."""
        ordered = sorted(self._uses, key=lambda use: use.slot)
        for call, uses in itertools.groupby(ordered, lambda use: use.call):
            if call[0] == self._now:
                first, *others = uses
                with self.b.if_then(self._exists[first.index]):
                    self._apply(first, 1 + len(others), numbers)

    def _apply(self, use: _Use, count: int, numbers: Any) -> None:
        """Emit the calls for `count` uses that lie side by side.

        The slope is a function of what was given or of what came, so y takes its place before or
        after; what was kept is already what the slope wants.
        """
        b, span, from_input = self.b, INT64(self._span), self._from_input[use.index]
        y, slope = self._slot(use.slot, 0), self._slot(use.slot, 1)
        wants_y, wants_slope = use.wants

        def apply(op: int, out: Any, aux: Any, aux_row: Any) -> None:
            arguments = [INT64(op), INT64(count), numbers, out, span, aux, aux_row]
            b.call(self._functions[use.index], arguments)

        if use.kind == "forward":
            apply(0, y, y, INT64(0))
            return
        if use.kind == "at":
            with b.if_then(b.not_(from_input)):
                apply(0, y, y, INT64(0))
        if wants_slope:
            apply(-1, slope, y, span)
        if wants_y:
            with b.if_then(from_input):
                apply(0, y, y, INT64(0))
