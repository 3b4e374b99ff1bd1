"""What was measured, and what follows from it: ratios, rates, shares, slopes.

Nothing here measures; everything can be computed again from the JSON file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.cases import CELLS, FEW_ROWS, Case
from benchmarks.peers import ENGINE, PEERS
from benchmarks.timing import Summary, quantile, slope, summarise

SCHEMA = 1


@dataclass
class Side:
    """One side of one case.

    Attributes
    ----------
    status : str
        ``"ok"``, ``"unsupported"``, ``"disagrees"``, ``"failed"`` or ``"slow"``.
    reason : str
        Why it is not ``"ok"``.
    samples : list of float
        One for each round: seconds of a call, or bytes.
    errors : dict
        Error of each quantity against the float64 truth, relative to its largest value.
    prepare : float
        Seconds to make the case ready, compilation included.
    """

    status: str = "ok"
    reason: str = ""
    samples: list[float] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)
    prepare: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is a figure."""
        return self.status == "ok" and bool(self.samples)

    @property
    def summary(self) -> Summary:
        """Median, quartiles and best of the samples."""
        return summarise(self.samples)


@dataclass
class Row:
    """One case on all sides.

    Attributes
    ----------
    case : Case
        What was run.
    sides : dict
        Results by the side's key.
    peak : float
        Flop/s of the machine measured right before; 0 where that says nothing.
    """

    case: Case
    sides: dict[str, Side] = field(default_factory=dict)
    peak: float = 0.0

    @property
    def unit(self) -> str:
        """``"s"``, or ``"B"`` for memory."""
        return "B" if self.case.kind == "memory" else "s"

    def value(self, key: str) -> float | None:
        """Return the median of a side, or None."""
        side = self.sides.get(key)
        return side.summary.median if side and side.ok else None

    def fastest_peer(self, among: tuple[str, ...] = ()) -> str | None:
        """Return the peer of the smallest median, not counting the engine and non-peers."""
        values = {
            key: value
            for key in self.sides
            if key != ENGINE and key in (among or PEERS)
            if (value := self.value(key)) is not None
        }
        return min(values, key=lambda key: values[key]) if values else None

    def ratio(self, key: str | None) -> float | None:
        """Return how many times the engine's median a side takes; above 1 it is slower."""
        ours = self.value(ENGINE)
        theirs = self.value(key) if key else None
        return theirs / ours if ours and theirs is not None else None

    def ratio_range(self, key: str) -> tuple[float, float] | None:
        """Return the quartiles of the ratio taken round by round."""
        if self.ratio(key) is None:
            return None
        pairs = zip(self.sides[key].samples, self.sides[ENGINE].samples, strict=False)
        ratios = [theirs / ours for theirs, ours in pairs]
        return quantile(ratios, 0.25), quantile(ratios, 0.75)

    def rate(self, key: str) -> float | None:
        """Return flop/s of a side."""
        value = self.value(key)
        return self.case.flops / value if value and self.case.flops else None

    def samples_per_second(self, key: str) -> float | None:
        """Return samples a second of `fit` and `predict`."""
        value = self.value(key)
        return self.case.samples / value if value and self.case.samples else None


@dataclass
class Limit:
    """The shortest time that the machine allows a case, and what sets it."""

    seconds: float
    bound: str


@dataclass
class Run:
    """Everything that one run found out."""

    environment: dict[str, Any]
    limits: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    peers: list[str] = field(default_factory=list)
    command: str = ""

    def peak(self, dtype: str) -> float | None:
        """Return the flop/s of all threads: the median of what was measured over the run.

        A median, as every side's time is: the clock of a shared machine leaps, and the best
        of a hundred short loops is a rate that nothing keeps up.
        """
        seen = [row.peak for row in self.rows if row.case.dtype == dtype and row.peak]
        rates = self.limits.get("flops", {}).get(dtype)
        if rates:
            seen.append(rates["all"])
        return median(seen) if seen else None

    def share(self, row: Row, key: str) -> float | None:
        """Return a side's rate as a share of the machine's peak."""
        rate, peak = row.rate(key), self.peak(row.case.dtype)
        return rate / peak if rate and peak else None

    def level(self, size: float) -> str | None:
        """Return the cache level that holds `size` bytes."""
        caches: dict[str, int] = self.environment.get("caches", {})
        for name, capacity in caches.items():
            if size <= capacity:
                return name
        return "memory" if caches else None

    def limit(self, row: Row) -> Limit | None:
        """Return the roofline of a case of the bare layer: arithmetic or weights streamed.

        A row of the batch needs all recurrent weights at every step. Threads that share out
        rows read them all, each for itself, so that the second bound takes the bandwidth of
        one core. Forward, a few rows may be shared out by their units: then each core has its
        part of the weights in its own caches, and the bound takes the bandwidth of all. None
        where that is below a microsecond: the time of such a case is that of the call and of
        one step waiting for the other, which no such line tells.
        """
        case, peak = row.case, self.peak(row.case.dtype)
        if not peak or not case.stream_bytes:
            return None
        few = case.kind == "forward" and case.batch < FEW_ROWS
        parts, readers = (self.environment.get("threads", 1), "all") if few else (1, "one")
        level = self.level(case.recurrent_bytes / parts)
        rates = self.limits.get("bandwidth", {}).get(level or "")
        arithmetic = Limit(case.flops / peak, "FMA")
        stream = Limit(case.stream_bytes / rates[readers] if rates else 0.0, f"{level} bandwidth")
        limit = max(arithmetic, stream, key=lambda each: each.seconds)
        return limit if limit.seconds >= 1e-6 else None

    def of_kind(self, kind: str, tag: str | None = None, cell: str = CELLS[0]) -> list[Row]:
        """Return the rows of a kind and a cell, and of a tag where one is given."""
        rows = [r for r in self.rows if r.case.kind == kind and r.case.cell == cell]
        return [r for r in rows if tag in (None, r.case.tag)]

    def find(self, name: str) -> Row | None:
        """Return the row of a case's name."""
        return next((row for row in self.rows if row.case.name == name), None)

    def growth(self) -> dict[str, float]:
        """Return the exponent of time in T and in B, for each kind, where it was measured."""
        found = {}
        for kind in ("forward", "gradients"):
            for tag, axis in (("growth-t", "time"), ("growth-b", "batch")):
                rows = [r for r in self.of_kind(kind, tag) if r.value(ENGINE)]
                if len(rows) > 1:
                    sizes = [float(getattr(r.case, axis)) for r in rows]
                    times = [r.value(ENGINE) or 0.0 for r in rows]
                    found[f"{kind} in {axis}"] = slope(sizes, times)
        return found

    def disagreements(self) -> list[tuple[str, str, str]]:
        """Return case, side and reason of each side that gave wrong numbers or broke."""
        return [
            (row.case.name, key, side.reason)
            for row in self.rows
            for key, side in row.sides.items()
            if side.status in ("disagrees", "failed")
        ]


def to_json(run: Run) -> dict[str, Any]:
    """Return the run as plain data, with what follows from it beside what was measured."""
    rows = []
    for row in run.rows:
        limit, fastest = run.limit(row), row.fastest_peer()
        sides = {}
        for key, side in row.sides.items():
            entry: dict[str, Any] = asdict(side)
            if side.ok:
                entry |= asdict(side.summary)
                entry |= {"rate": row.rate(key), "share_of_peak": run.share(row, key)}
                entry |= {"ratio": row.ratio(key), "ratio_quartiles": row.ratio_range(key)}
            sides[key] = entry
        rows.append(
            {
                "name": row.case.name,
                "case": asdict(row.case),
                "unit": row.unit,
                "flops": row.case.flops,
                "peak": row.peak,
                "limit": asdict(limit) if limit else None,
                "fastest_peer": fastest,
                "ratio_to_fastest": row.ratio(fastest),
                "sides": sides,
            }
        )
    return {
        "schema": SCHEMA,
        "command": run.command,
        "environment": run.environment,
        "versions": run.versions,
        "missing": run.missing,
        "left_out": run.left_out,
        "peers": run.peers,
        "limits": run.limits,
        "growth": run.growth(),
        "cases": rows,
    }


def from_json(data: dict[str, Any]) -> Run:
    """Return the run that `to_json` wrote.

    Raises
    ------
    ValueError
        If it was written by another version of this program.
    """
    if data.get("schema") != SCHEMA:
        raise ValueError(f"schema {SCHEMA} expected, got {data.get('schema')!r}.")
    names = Side.__dataclass_fields__
    rows = []
    for entry in data["cases"]:
        case = Case(**{**entry["case"], "sides": tuple(entry["case"]["sides"])})
        sides = {
            key: Side(**{name: value for name, value in side.items() if name in names})
            for key, side in entry["sides"].items()
        }
        rows.append(Row(case, sides, entry["peak"]))
    kept = ("environment", "limits", "versions", "missing", "left_out", "peers", "command")
    return Run(rows=rows, **{name: data[name] for name in kept})
