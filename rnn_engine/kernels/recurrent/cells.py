"""What a cell is: its gates and states, and its step in vector arithmetic, forward and back.

A cell is a row of `CELLS`, its step one or two *stages*. A stage multiplies the inputs and a
state by some gates of W and R, and hands the sums to `step`, register by register; going back
`back` turns gradients of what the stage made into gradients of those sums, dz.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rnn_engine.kernels.formulas import TABLE, Formula
from rnn_engine.kernels.vector import Vector


class Activation:
    """An activation as a step uses it: forward, what to keep of it, and what to make of that."""

    def __init__(self, code: int) -> None:
        self.formula: Formula = TABLE[code]

    def __call__(self, z: Vector) -> Vector:
        """Return y of z."""
        return self.formula.forward(z)

    def keep(self, z: Vector, y: Vector) -> Vector:
        """Return what `restore` needs: y, or z where the derivative is a function of z."""
        return z if self.formula.from_input else y

    def restore(self, kept: Vector) -> tuple[Vector, Vector]:
        """Return y and dy/dz of what was kept."""
        y = self.formula.forward(kept) if self.formula.from_input else kept
        return y, self.formula.derivative(kept)

    def at(self, z: Vector) -> tuple[Vector, Vector]:
        """Return y and dy/dz of z."""
        y = self.formula.forward(z)
        return y, self.formula.derivative(z if self.formula.from_input else y)


class Lazy:
    """Vectors that are loaded when they are first looked at."""

    def __init__(self, load: Callable[[int], Vector]) -> None:
        self._load = load
        self._seen: dict[int, Vector] = {}

    def __getitem__(self, index: int) -> Vector:
        if index not in self._seen:
            self._seen[index] = self._load(index)
        return self._seen[index]


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
    carries : whether gradients of h pass a step by another way than through R
    slots : columns of dz, in units: those of W, and others for R
    """

    name: str
    states: int
    stages: tuple[Stage, ...]
    keeps: Callable[[Sequence[Activation]], int]
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


def find(name: str) -> Cell:
    """Return a cell by its name."""
    if name not in CELLS:
        from rnn_engine.kernels.recurrent import gru, lstm, simple_rnn

        for cell in (simple_rnn.CELL, lstm.CELL, gru.RESET_AFTER, gru.RESET_BEFORE):
            CELLS.setdefault(cell.name, cell)
    return CELLS[name]


CELLS: dict[str, Cell] = {}
