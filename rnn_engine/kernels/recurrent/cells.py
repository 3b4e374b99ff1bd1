"""What a cell is: its gates and states, and its step in vector arithmetic, forward and back.

A cell is a row of `CELLS`, its step one or two *stages*. A stage multiplies the inputs and a
state by some gates of W and R, and hands the sums to `step`, register by register; going back
`back` turns gradients of what the stage made into gradients of those sums, dz.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rnn_engine.kernels.compiler import LIBRARY
from rnn_engine.kernels.formulas import TABLE, Formula
from rnn_engine.kernels.vector import Vector

CALLED = -1  # in place of the code of an activation that a step calls, see `called`


class Activation:
    """An activation as a step uses it: forward, what to keep of it, and what to make of that."""

    def __init__(self, code: int) -> None:
        self.formula: Formula = TABLE[code]

    @property
    def from_input(self) -> bool:
        """Whether `keep` may return z, so that the output does not do in its place."""
        return self.formula.from_input

    def __call__(self, z: Vector) -> Vector:
        """Return y of z."""
        return self.formula.forward(z)

    def keep(self, z: Vector, y: Vector) -> Vector:
        """Return what `restore` needs: y, or z where the derivative is a function of z."""
        return z if self.from_input else y

    def restore(self, kept: Vector) -> tuple[Vector, Vector]:
        """Return y and dy/dz of what was kept."""
        y = self.formula.forward(kept) if self.from_input else kept
        return y, self.formula.derivative(kept)

    def at(self, z: Vector) -> tuple[Vector, Vector]:
        """Return y and dy/dz of z."""
        y = self.formula.forward(z)
        return y, self.formula.derivative(z if self.from_input else y)


class Uses(Protocol):
    """What emits the uses of activations that are called."""

    def use(self, index: int, kind: str, value: Vector) -> tuple[Vector, Vector]:
        """Return what a method of activation `index` makes of `value`: y and dy/dz."""

    def choose(self, index: int, z: Vector, y: Vector) -> Vector:
        """Return z if the derivative of activation `index` is a function of z, else y."""


class Called(Activation):
    """An activation that is known when the step runs: nothing of its formula is in the step."""

    def __init__(self, index: int, uses: "Uses | None" = None) -> None:
        self._index, self._uses = index, uses

    @property
    def from_input(self) -> bool:
        """Whether `keep` may return z."""
        return True

    def __call__(self, z: Vector) -> Vector:
        """Return y of z."""
        return self._use("forward", z)[0]

    def keep(self, z: Vector, y: Vector) -> Vector:
        """Return what `restore` needs."""
        assert self._uses is not None
        return self._uses.choose(self._index, z, y)

    def restore(self, kept: Vector) -> tuple[Vector, Vector]:
        """Return y and dy/dz of what was kept."""
        return self._use("restore", kept)

    def at(self, z: Vector) -> tuple[Vector, Vector]:
        """Return y and dy/dz of z."""
        return self._use("at", z)

    def _use(self, kind: str, value: Vector) -> tuple[Vector, Vector]:
        assert self._uses is not None
        return self._uses.use(self._index, kind, value)


def activations(codes: Sequence[int], uses: Uses | None = None) -> list[Activation]:
    """Return activations by their codes, those that are `CALLED` by way of `uses`."""
    return [
        Called(index, uses) if code == CALLED else Activation(code)
        for index, code in enumerate(codes)
    ]


class Lazy:
    """Vectors that are loaded when they are first looked at."""

    def __init__(self, load: Callable[[int], Vector]) -> None:
        self._load = load
        self.seen: dict[int, Vector] = {}

    def __getitem__(self, index: int) -> Vector:
        if index not in self.seen:
            self.seen[index] = self._load(index)
        return self.seen[index]


@dataclass(frozen=True)
class Here:
    """What a step sees of one register of units, forward and back.

    Attributes
    ----------
    z : the sums x·W + b + h·R of the stage's gates; of gates apart x·W + b alone
    zh : the sums h·R of the stage's gates (with a bias of their own), if the stage is apart
    before, after : the states, before and after the step; `after` going back only
    kept : what the step keeps, by earlier stages or, going back, by all
    d : gradients of the states after the step; for a stage that makes an operand, d[0] is that
        of the operand
    dz : what later stages wrote as dz, going back
    """

    z: Lazy
    zh: Lazy
    before: Lazy
    after: Lazy
    kept: Lazy
    d: Lazy
    dz: Lazy


@dataclass
class Made:
    """What a stage makes: of the states, to be kept (by place), and for the next stage's R."""

    states: dict[int, Vector] = field(default_factory=dict)
    kept: dict[int, Vector] = field(default_factory=dict)
    operand: Vector | None = None


@dataclass
class Back:
    """What a stage passes back.

    dz by slot, and gradients of the states before the step, besides what R passes back: by state,
    that of h added to what later stages pass.
    """

    dz: dict[int, Vector]
    states: dict[int, Vector] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """A part of the step with a product of its own.

    Attributes
    ----------
    gates : of W and R that it multiplies, as many, following those of the stage before
    step : (activations, Here) -> Made
    back : (activations, Here) -> Back
    own : whether R multiplies the operand that the stage before has made, and not h
    apart : whether x·W and h·R meet in `step`, each with its bias
    slots : of dz, one for each of R's gates; None for those of the gates themselves
    """

    gates: int
    step: Callable[[Sequence[Activation], Here], Made]
    back: Callable[[Sequence[Activation], Here], Back]
    own: bool = False
    apart: bool = False
    slots: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Cell:
    """A recurrent cell.

    Attributes
    ----------
    name : as `recurrence` is asked for it
    states : how many there are; the first one is h, the output
    stages : one or two
    keeps : how many numbers of a unit the steps keep besides the states, of the activations
    restore : (activations, Here) -> Made, the states, and the operand where a stage makes one, of
        what the steps have kept and the states before, by the formulas of the steps; or None. A
        large pass then keeps the states of a few steps only, see `checkpoints`
    carries : whether gradients of h pass a step by another way than through R
    slots : columns of dz, in units: those of W, and others for R
    """

    name: str
    states: int
    stages: tuple[Stage, ...]
    keeps: Callable[[Sequence[Activation]], int]
    restore: Callable[[Sequence[Activation], Here], Made] | None = None
    carries: bool = False
    slots: int = 0

    @property
    def gates(self) -> int:
        """How many gates W and R have."""
        return sum(stage.gates for stage in self.stages)

    @property
    def width(self) -> int:
        """How many columns dz has, in units."""
        return self.slots or self.gates

    @property
    def apart(self) -> bool:
        """Whether there is a second bias."""
        return any(stage.apart for stage in self.stages)


def label(codes: Sequence[int]) -> str:
    """Return the names of activations as part of the name of what is compiled."""
    return "_".join("called" if code == CALLED else TABLE[code].name for code in codes)


def is_fused(cell: Cell, codes: tuple[int, ...]) -> bool:
    """Whether there are steps of a cell that hold the formulas of these activations.

    All can be compiled; a library has those that most programs want.
    """
    return LIBRARY is None or LIBRARY.has(f"steps.{cell.name}_0_step_{label(codes)}.float32")


def held(cell: Cell, codes: tuple[int, ...]) -> tuple[int, ...]:
    """Return what a step is compiled for: the codes it holds, or `CALLED` for each."""
    return codes if is_fused(cell, codes) else (CALLED,) * len(codes)


def find(name: str) -> Cell:
    """Return a cell by its name."""
    if name not in CELLS:
        from rnn_engine.kernels.recurrent import gru, lstm, simple_rnn

        for cell in (simple_rnn.CELL, lstm.CELL, gru.RESET_AFTER, gru.RESET_BEFORE):
            CELLS.setdefault(cell.name, cell)
    return CELLS[name]


CELLS: dict[str, Cell] = {}
