"""What is measured: the grid of cases, its names, and how a user picks from it.

A case is one kind of work of one cell at one size. Its name, such as
``forward/32x100x32x64`` (batch x time x features x units) of a SimpleRNN and
``forward/LSTM/32x100x32x64`` of another cell, is what `--cases` selects by, what the
report prints and what the JSON file is keyed by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from benchmarks.equations import GATES
from benchmarks.peers import ENGINE

Size = tuple[int, int, int, int]

# Kinds in the order in which they run and stand in the report.
KINDS: dict[str, str] = {
    "forward": "Forward, last output",
    "gradients": "Forward and all gradients (dW, dR, db, dx)",
    "fit": "fit, one epoch",
    "predict": "predict",
    "train_on_batch": "train_on_batch",
    "predict_on_batch": "predict_on_batch",
    "predict_one": "predict of one sample",
    "layer_call": "Model called on one sample, NumPy in and out",
    "masked": "train_on_batch, right-padded, half the steps masked",
    "dropout": "train_on_batch, dropout of inputs and state (numbers checked at rate 0)",
    "stacked": "train_on_batch, three layers stacked",
    "bidirectional": "train_on_batch, Bidirectional",
    "softmax_train": "train_on_batch, Embedding 20,000 × F to softmax over 20,000",
    "softmax_predict": "predict_on_batch, Embedding 20,000 × F to softmax over 20,000",
    "cold_start": "Fresh process: import, first program, exit",
    "cold_start_empty": "The same, first run ever (nothing compiled)",
    "import": "Fresh process: import alone",
    "memory": "Memory of training, above data and weights",
}

# Kinds whose sizes are those of the bare recurrent layer; the others run a whole model.
LAYER_KINDS = ("forward", "gradients")
# Whole models of more than one layer of a kind, see `benchmarks.features`.
FEATURE_KINDS = (
    "masked", "dropout", "stacked", "bidirectional", "softmax_train", "softmax_predict",
)  # fmt: skip
# The cells, that of names without one first.
CELLS = tuple(GATES)
# Kinds that start processes of their own and have no size.
PROCESS_KINDS = ("cold_start", "cold_start_empty", "import")

# The grid of sizes, (batch, time, features, units), from the seed's model up.
GRID: tuple[Size, ...] = (
    (2, 4, 1, 5),
    (1, 5, 1, 10),
    (1, 100, 8, 32),
    (8, 2048, 16, 64),
    (32, 100, 32, 64),
    (64, 128, 64, 128),
    (128, 256, 128, 256),
    (64, 64, 512, 512),
    (128, 128, 256, 1024),
    (1, 1000, 64, 256),
)

# One row of large weights, which every step reads: two threads share the units. Forward only.
ONE_ROW: tuple[Size, ...] = ((1, 300, 64, 256), (1, 300, 64, 280))

# Sizes that are a multiple of nothing, each with the next round size.
ODD: tuple[tuple[Size, Size], ...] = (
    ((17, 73, 13, 97), (24, 80, 16, 112)),
    ((32, 100, 32, 33), (32, 100, 32, 48)),
    ((3, 100, 32, 64), (4, 100, 32, 64)),
)

# Kinds of `FEATURE_KINDS` and their sizes.
FEATURES: tuple[tuple[str, Size], ...] = (
    ("masked", (32, 100, 32, 64)),
    ("masked", (64, 128, 64, 128)),
    ("dropout", (32, 100, 32, 64)),
    ("stacked", (32, 100, 32, 64)),
    ("bidirectional", (32, 100, 32, 64)),
    ("softmax_train", (32, 50, 64, 128)),
    ("softmax_predict", (32, 50, 64, 128)),
)
# What of a whole program is measured for every cell: the tutorial's, and a middling one.
PROGRAMS: tuple[tuple[str, Size, int], ...] = (
    ("fit", (32, 50, 8, 32), 4096),
    ("fit", (256, 50, 8, 32), 4096),
    ("fit", (64, 100, 16, 128), 2048),
    ("predict", (256, 50, 8, 32), 4096),
    ("train_on_batch", (2, 4, 1, 5), 0),
    ("predict_on_batch", (2, 4, 1, 5), 0),
    ("predict_one", (1, 4, 1, 5), 0),
    ("layer_call", (1, 4, 1, 5), 0),
    ("layer_call", (1, 100, 8, 32), 0),
    ("memory", (128, 256, 128, 256), 128),
)

# Where float64 is measured in a float32 run, to compare the two rates.
DOUBLE: tuple[Size, ...] = ((64, 128, 64, 128), (128, 256, 128, 256))

# Fewer rows than this may be shared out by their units.
FEW_ROWS = 4

# Two decades of each; no size stands in both.
GROWTH_T: tuple[Size, ...] = tuple((8, 20 * 2**k, 16, 64) for k in range(8))
GROWTH_B: tuple[Size, ...] = tuple((8 * 2**k, 48, 16, 64) for k in range(8))

# What there is to know first: forward, gradients and fit of a middling size, then what a slow
# machine still gets to. What it does not get to is named in the report.
QUICK = (
    "forward/32x100x32x64",
    "gradients/32x100x32x64",
    "fit/32x50x8x32",
    "forward/1x5x1x10",
    "gradients/1x5x1x10",
    "layer_call/1x4x1x5",
    "train_on_batch/2x4x1x5",
    "predict_one/1x4x1x5",
    "forward/64x128x64x128",
    "gradients/64x128x64x128",
    "cold_start",
    "cold_start_empty",
    "forward/64x64x512x512",
)


@dataclass(frozen=True)
class Case:
    """One kind of work at one size.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    batch, time, features, units : int
        Sizes of the recurrent layer; zero for kinds without a size.
    samples : int
        Samples that one call goes through, for `fit` and `predict`.
    dtype : str
        ``"float32"`` or ``"float64"``.
    tag : str
        Why the case is there: ``"grid"``, ``"one-row"``, ``"odd"``, ``"round"``, ``"double"``,
        ``"growth-t"``, ``"growth-b"``, ``"features"`` or ``"user"``.
    sides : tuple of str
        Peers that run it; empty for all.
    cell : str
        A name of `CELLS`; the first for kinds without a size.
    """

    kind: str
    batch: int = 0
    time: int = 0
    features: int = 0
    units: int = 0
    samples: int = 0
    dtype: str = "float32"
    tag: str = "grid"
    sides: tuple[str, ...] = ()
    cell: str = CELLS[0]

    @property
    def size(self) -> str:
        """Sizes in a name, ``"32x100x32x64"``; empty for kinds without a size."""
        if not self.batch:
            return ""
        return f"{self.batch}x{self.time}x{self.features}x{self.units}"

    @property
    def name(self) -> str:
        """Unique name, ``"forward/LSTM/32x100x32x64"``; float64 is said at its end."""
        parts = [self.kind, self.cell if self.cell != CELLS[0] else "", self.size]
        parts.append(self.dtype if self.dtype != "float32" else "")
        return "/".join(filter(None, parts))

    @property
    def flops(self) -> float:
        """Floating-point operations of the matrix products of one call.

        Forward: ``2 B T g (F U + U U)`` of g gates; with gradients three times that (chain and
        dx backward, dW and dR). Activations and the output layer are not counted.
        """
        times = {"forward": 1, "predict": 1, "gradients": 3, "fit": 3, "memory": 3}
        rows = self.samples or self.batch
        width = GATES[self.cell] * self.units
        work = 2.0 * rows * self.time * width * (self.features + self.units)
        return work * times.get(self.kind, 0)

    @property
    def recurrent_bytes(self) -> int:
        """Bytes of the recurrent weights."""
        width = 8 if self.dtype == "float64" else 4
        return GATES[self.cell] * self.units * self.units * width

    @property
    def stream_bytes(self) -> float:
        """Bytes of recurrent weights that every step has to read, over all steps.

        Counted once a step for the whole batch (twice with gradients): what even
        a single row pays, which makes it the limit of small batches.
        """
        passes = {"forward": 1, "gradients": 2}.get(self.kind, 0)
        return float(passes * self.time * self.recurrent_bytes)


def full_grid() -> list[Case]:
    """Return every case of the full run, in the order it runs in."""
    alone = (ENGINE,)
    cases = [Case(kind, *size) for kind in LAYER_KINDS for size in GRID]
    cases += [
        Case("forward", *size, tag="one-row", cell=cell) for cell in CELLS for size in ONE_ROW
    ]
    for kind in LAYER_KINDS:
        for odd, even in ODD:
            cases.append(Case(kind, *odd, tag="odd"))
            if even not in GRID:
                cases.append(Case(kind, *even, tag="round", sides=alone))
        for size in DOUBLE:
            cases.append(Case(kind, *size, dtype="float64", tag="double", sides=alone))
        for tag, sizes in (("growth-t", GROWTH_T), ("growth-b", GROWTH_B)):
            cases += [Case(kind, *size, tag=tag, sides=alone) for size in sizes]
    cases += _programs(CELLS[0]) + [Case(kind) for kind in PROCESS_KINDS]
    for cell in CELLS[1:]:
        every = [*GRID, *(odd for odd, _ in ODD)]
        cases += [Case(kind, *size, cell=cell) for kind in LAYER_KINDS for size in every]
        cases += _programs(cell)
    return _without_repeats(sorted(cases, key=lambda case: list(KINDS).index(case.kind)))


def _programs(cell: str) -> list[Case]:
    """Return the cases of whole models: one recurrent layer and `Dense`, adam, mse; and more."""
    made = [Case(kind, *size, samples=samples, cell=cell) for kind, size, samples in PROGRAMS]
    features = [each for each in FEATURES if cell == CELLS[0] or not each[0].startswith("softmax")]
    return made + [Case(kind, *size, tag="features", cell=cell) for kind, size in features]


def _without_repeats(cases: list[Case]) -> list[Case]:
    """Drop later cases of a name that stands already."""
    seen: dict[str, Case] = {}
    for case in cases:
        seen.setdefault(case.name, case)
    return list(seen.values())


def quick_grid() -> list[Case]:
    """Return the cases of `--quick`: a few of the most telling kinds."""
    by_name = {case.name: case for case in full_grid()}
    return [by_name[name] for name in QUICK]


def parse_size(text: str) -> Size:
    """Return (batch, time, features, units) from ``"32x100x32x64"``.

    Raises
    ------
    ValueError
        If the text is not four whole numbers above zero joined by ``x``.
    """
    parts = text.lower().split("x")
    if len(parts) != 4 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(
            f"a size is batch x time x features x units, such as 32x100x32x64; got {text!r}."
        )
    batch, time, features, units = (int(part) for part in parts)
    return batch, time, features, units


def _is_size(text: str) -> bool:
    return "x" in text and text.replace("x", "").isdigit()


def select(text: str | None, cases: list[Case]) -> list[Case]:
    """Return the cases that `--cases` asks for, out of `cases` or made on the spot.

    Parameters
    ----------
    text : str or None
        Items joined by commas; None for all of `cases`. An item is a kind
        (``forward``), a tag (``odd``), a cell (``LSTM``), a name or a pattern (``fit/*``), a
        size (``17x73x13x97``: forward and gradients) or kind, cell and size
        (``forward/17x73x13x97``, ``GRU/17x73x13x97``, ``forward/GRU/17x73x13x97``). A size
        outside the grid makes a new case.

    Raises
    ------
    ValueError
        If an item fits nothing.
    """
    if text is None:
        return list(cases)
    chosen: list[Case] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        found = [c for c in cases if item in (c.kind, c.tag, c.cell) or fnmatchcase(c.name, item)]
        if not found:
            found = _new_cases(item, cases)
        chosen += found
    if not chosen:
        raise ValueError("--cases names nothing.")
    return _without_repeats(chosen)


def _new_cases(item: str, cases: list[Case]) -> list[Case]:
    """Return the cases that a bare size, or a kind and a size, stands for."""
    *before, size = item.split("/")
    cell = before.pop() if before and before[-1] in CELLS else CELLS[0]
    sized = [k for k in KINDS if k not in PROCESS_KINDS]
    if not _is_size(size) or len(before) > 1 or not set(before) <= set(sized):
        names = ", ".join(dict.fromkeys(c.kind for c in cases))
        raise ValueError(
            f"--cases: {item!r} is no case, pattern or size; kinds are {names}; "
            "--list prints every name."
        )
    shape = parse_size(size)
    known = {case.name: case for case in cases}
    made = []
    batch, time, features, units = shape
    for each in before or LAYER_KINDS:
        samples = 16 * batch if each in ("fit", "predict", "memory") else 0
        case = Case(each, batch, time, features, units, samples=samples, tag="user", cell=cell)
        made.append(known.get(case.name, case))
    return made


def with_dtype(cases: list[Case], dtype: str | None) -> list[Case]:
    """Return `cases` in `dtype`, but for those without a size; as they are when it is None."""
    if dtype is None:
        return list(cases)
    return _without_repeats([replace(c, dtype=dtype) if c.size else c for c in cases])
