"""The project's goals of speed, each with the figure of a run beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.cases import CELLS, FEATURE_KINDS, ODD, Case
from benchmarks.peers import ENGINE
from benchmarks.results import Row, Run

KERAS = ("keras-graph", "keras-xla")


@dataclass(frozen=True)
class Goal:
    """A goal and its figure.

    Attributes
    ----------
    text : str
        What is promised.
    figure : float
        The worst figure of the run, in the goal's own unit.
    low, high : float
        The figure meets the goal between them.
    where : str
        The case of the worst figure, and whom it is measured against.
    share : bool
        Whether the figure is a share, to be printed in percent.
    """

    text: str
    figure: float
    low: float
    high: float
    where: str
    share: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure meets the goal."""
        return self.low <= self.figure <= self.high


# Sizes that goals speak of: the grid and users' own.
_TAGS = ("grid", "one-row", "user", "odd")
Figure = tuple[float, str]
INFINITY = float("inf")


def evaluate(run: Run) -> list[Goal]:
    """Return every goal for which the run has a figure."""
    parts = (_ratios, _shares, _streams, _cliffs, _programs, _features, _gated, _processes, _growth)
    return [goal for part in parts for goal in part(run)]


def _worst(
    text: str, figures: Iterable[Figure | None], low: float, *, share: bool = False
) -> list[Goal]:
    """Return the goal with its smallest figure; nothing where there is none."""
    found = [figure for figure in figures if figure]
    if not found:
        return []
    value, where = min(found)
    return [Goal(text, value, low, INFINITY, where, share)]


def _ratio(row: Row | None, among: tuple[str, ...] = ()) -> Figure | None:
    """Return the ratio to the fastest of some peers and who that is."""
    fastest = row.fastest_peer(among) if row else None
    ratio = row.ratio(fastest) if row else None
    return (ratio, f"{row.case.name}, {fastest}") if row and ratio is not None else None


def _pick(run: Run, kind: str, test: Callable[[Case], bool], cell: str = CELLS[0]) -> list[Row]:
    """Return the rows of the grid and of users' own sizes that a goal speaks of."""
    rows = [row for row in run.of_kind(kind, cell=cell) if row.case.tag in _TAGS]
    return [row for row in rows if row.case.dtype == "float32" and test(row.case)]


def _ratios(run: Run) -> list[Goal]:
    table: tuple[tuple[str, str, Callable[[Case], bool], float], ...] = (
        ("forward", "every size", lambda c: True, 1.0),
        ("forward", "U = 256", lambda c: c.units == 256, 1.3),
        ("forward", "U 64 to 128", lambda c: 64 <= c.units <= 128, 2.0),
        ("forward", "U ≤ 32", lambda c: c.units <= 32, 3.0),
        ("gradients", "every size", lambda c: True, 1.6),
        ("gradients", "U ≤ 128", lambda c: c.units <= 128, 3.0),
    )
    goals = []
    for kind, text, test, low in table:
        figures = [_ratio(row) for row in _pick(run, kind, test)]
        goals += _worst(f"{kind}, {text}: times the fastest peer", figures, low)
    return goals


def _shares(run: Run) -> list[Goal]:
    big: Callable[[Case], bool] = lambda c: c.units >= 256 and c.batch >= 64  # noqa: E731
    middle: Callable[[Case], bool] = lambda c: 64 <= c.units <= 128 and c.batch >= 32  # noqa: E731
    table = (
        ("forward", "U ≥ 256, B ≥ 64", big, 0.90),
        ("gradients", "U ≥ 256, B ≥ 64", big, 0.85),
        ("forward", "U 64 to 128, B ≥ 32", middle, 0.75),
        ("gradients", "U 64 to 128, B ≥ 32", middle, 0.70),
    )
    goals = []
    for kind, text, test, low in table:
        figures = [
            (share, row.case.name)
            for row in _pick(run, kind, test)
            if (share := run.share(row, ENGINE)) is not None
        ]
        goals += _worst(f"{kind}, {text}: share of the FMA peak", figures, low, share=True)
    return goals


def _streams(run: Run) -> list[Goal]:
    figures: list[Figure | None] = []
    for row in _pick(run, "forward", lambda c: c.batch == 1 and c.units == 256):
        limit, value = run.limit(row), row.value(ENGINE)
        if limit and value:
            figures.append((limit.seconds / value, f"{row.case.name}, {limit.bound}"))
    return _worst("forward, B = 1, U = 256: share of the bandwidth", figures, 0.80, share=True)


def _cliffs(run: Run) -> list[Goal]:
    goals = []
    for kind in ("forward", "gradients"):
        figures: list[Figure | None] = []
        for odd, even in ODD:
            ours = run.find(Case(kind, *odd).name)
            theirs = run.find(Case(kind, *even).name)
            low = ours.rate(ENGINE) if ours else None
            high = theirs.rate(ENGINE) if theirs else None
            if ours and low and high:
                figures.append((low / high, ours.case.name))
        text = f"{kind}, odd sizes: rate over that of the next round size"
        goals += _worst(text, figures, 0.75, share=True)
        pairs: list[Figure | None] = []
        for row in run.of_kind(kind, "double"):
            single = run.find(Case(kind, *_shape(row.case)).name)
            slow, fast = row.rate(ENGINE), single.rate(ENGINE) if single else None
            if slow and fast:
                pairs.append((slow / fast, row.case.name))
        goals += _worst(f"{kind}, float64: rate over float32's", pairs, 0.50, share=True)
    return goals


def _shape(case: Case) -> tuple[int, int, int, int]:
    return case.batch, case.time, case.features, case.units


def _programs(run: Run) -> list[Goal]:
    small = [r for r in run.of_kind("fit") if r.case.units <= 32 and r.case.batch == 32]
    wide = [r for r in run.of_kind("fit") if r.case.units == 128]
    calls = [*run.of_kind("train_on_batch"), *run.of_kind("predict_on_batch")]
    table: tuple[tuple[str, list[Row], tuple[str, ...], float], ...] = (
        ("fit, U ≤ 32, B = 32: times Keras", small, KERAS, 10.0),
        ("fit, U = 128: times Keras", wide, KERAS, 3.0),
        ("train_on_batch, predict_on_batch: times Keras", calls, KERAS, 15.0),
        ("predict of one sample: times Keras", run.of_kind("predict_one"), KERAS, 500.0),
    )
    goals = []
    for text, rows, among, low in table:
        goals += _worst(text, [_ratio(row, among) for row in rows], low)
    seed = run.find("layer_call/1x4x1x5")
    return goals + _worst(
        "call on one sample, first model: times ONNX Runtime",
        [_ratio(seed, ("onnxruntime",))],
        1.0,
    )


def _features(run: Run) -> list[Goal]:
    goals = []
    for kind in FEATURE_KINDS:
        rows, name = run.of_kind(kind), kind.replace("_", ", ")
        goals += _worst(f"{name}: times the fastest peer", [_ratio(row) for row in rows], 1.0)
        figures = [_ratio(row, KERAS) for row in rows]
        goals += _worst(f"{name}: times Keras", figures, 3.0)
    return goals


MANY = 1_000_000
# Cell, units between, times the fastest peer forward and with gradients.
GATED: tuple[tuple[str, int, int, float, float], ...] = (
    ("LSTM", 1, 40, 1.4, 3.0),
    ("LSTM", 64, 144, 1.25, 1.7),
    ("LSTM", 256, 383, 1.1, 1.4),
    ("LSTM", 384, MANY, 1.1, 1.2),
    ("GRU", 1, 40, 1.5, 4.0),
    ("GRU", 41, 144, 1.5, 2.0),
    ("GRU", 145, 256, 1.5, 1.5),
    ("GRU", 257, MANY, 1.15, 1.5),
)


# Kind of work, least units, share of the FMA peak from 32 rows on.
GATED_SHARES = (("forward", 128, 0.85), ("forward", 64, 0.75), ("gradients", 128, 0.80))


def _between(least: int, most: int, rows: int = 1) -> Callable[[Case], bool]:
    return lambda case: least <= case.units <= most and case.batch >= rows


def _gated(run: Run) -> list[Goal]:
    """Return the goals of the cells with gates."""
    goals = []
    for cell, least, most, *lows in GATED:
        units = f"U {least} to {most}" if most < MANY else f"U ≥ {least}"
        for kind, low in zip(("forward", "gradients"), lows, strict=True):
            figures = [_ratio(row) for row in _pick(run, kind, _between(least, most), cell)]
            goals += _worst(f"{cell}, {kind}, {units}: times the fastest peer", figures, low)
    for cell in ("LSTM", "GRU"):
        for kind, least, low in GATED_SHARES:
            shares = [
                (share, row.case.name)
                for row in _pick(run, kind, _between(least, MANY, rows=32), cell)
                if (share := run.share(row, ENGINE)) is not None
            ]
            text = f"{cell}, {kind}, U ≥ {least}, B ≥ 32: share of the FMA peak"
            goals += _worst(text, shares, low, share=True)
        trained = [_ratio(row) for row in run.of_kind("fit", cell=cell)]
        goals += _worst(f"{cell}, fit: times the fastest peer", trained, 1.2)
        memory = run.of_kind("memory", cell=cell)
        for row in memory:
            case, ours = row.case, row.value(ENGINE)
            if ours:
                each = ours / (case.samples * case.time * case.units)
                text = f"{cell}, memory of training: bytes a row, step and unit"
                goals.append(Goal(text, each, 0.0, 30.0, case.name))
        kept = [_ratio(row, KERAS) for row in memory]
        goals += _worst(f"{cell}, memory of training: Keras's over ours", kept, 2.0)
    return goals


def _processes(run: Run) -> list[Goal]:
    goals = []
    table = (
        ("cold_start", "fresh process, compiled code cached: times Keras", 6.0),
        ("cold_start_empty", "first run ever: times Keras", 1.0),
        ("memory", "memory of training: Keras's over ours", 3.0),
    )
    for kind, text, low in table:
        goals += _worst(text, [_ratio(row, KERAS) for row in run.of_kind(kind)], low)
    for row in run.of_kind("import"):
        numba = row.ratio("numba")
        if numba:
            text = "import: times `import numba`"
            goals.append(Goal(text, 1.0 / numba, 0.0, 1.3, "import, numba"))
    return goals


def _growth(run: Run) -> list[Goal]:
    return [
        Goal(f"growth of {what}: exponent", exponent, 0.9, 1.1, f"growth, {what}")
        for what, exponent in run.growth().items()
    ]
