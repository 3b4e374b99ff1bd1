"""A run as text: tables for a terminal, a Markdown report, a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks import goals
from benchmarks.cases import CELLS, KINDS, LAYER_KINDS, PROCESS_KINDS
from benchmarks.peers import ENGINE, PEERS
from benchmarks.results import Row, Run, to_json

ABSENT = "–"
# Why a size stands beside the grid, where only the engine is timed.
WHY = {
    "round": "next to an odd size",
    "double": "rate of float64",
    "growth-t": "growth in T",
    "growth-b": "growth in B",
}
# What stands in a table where there is no figure; the reason is told below it.
MARKS = {"unsupported": ABSENT, "disagrees": "differs", "failed": "failed", "slow": "too slow"}


def label(key: str) -> str:
    """Return the name of a side in tables and charts."""
    return PEERS[key].label if key in PEERS else f"({key})"


def seconds(value: float) -> str:
    """Return a time in three digits and a unit: ``"4.52 µs"``."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= 0.9995 * factor:
            return f"{_three_digits(value / factor)} {unit}"
    return f"{_three_digits(value / 1e-9)} ns"


def size(value: float) -> str:
    """Return bytes in three digits and a unit: ``"33.5 MB"``."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= 0.9995 * factor:
            return f"{_three_digits(value / factor)} {unit}"
    return f"{value:.0f} B"


def times(value: float) -> str:
    """Return a ratio in two or three digits: ``"2.1×"``."""
    if value >= 99.5:
        return f"{value:,.0f}×"
    return f"{value:.1f}×" if value >= 9.95 else f"{value:.2f}×"


def rate(value: float) -> str:
    """Return flop/s: ``"118 GFLOP/s"``."""
    return f"{_three_digits(value / 1e9)} GFLOP/s"


def percent(value: float) -> str:
    """Return a share: ``"87%"``."""
    return f"{100 * value:.0f}%" if value >= 0.0995 else f"{100 * value:.1f}%"


def _three_digits(value: float) -> str:
    for limit, digits in ((9.995, 2), (99.95, 1)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def amount(row: Row, value: float) -> str:
    """Return a figure of a row in its unit."""
    return size(value) if row.unit == "B" else seconds(value)


Table = tuple[list[str], list[list[str]]]


def table(run: Run, rows: Sequence[Row], *, ratios: bool) -> Table:
    """Return head and cells of a kind's table.

    Parameters
    ----------
    run : Run
        Gives peak and limits.
    rows : sequence of Row
        Rows of one kind.
    ratios : bool
        Whether a peer's cell also tells its ratio to the engine.
    """
    kind = rows[0].case.kind
    bare = kind in LAYER_KINDS
    # A side that does nothing of the kind gets no column.
    measured = {k for row in rows for k, side in row.sides.items() if side.status != "unsupported"}
    peers = [key for key in run.peers if key in measured]
    keys = peers + sorted(measured - set(peers))
    throughput = any(row.samples_per_second(ENGINE) for row in rows) and kind != "memory"
    head = ["B × T × F × U" if rows[0].case.size else "", *map(label, keys), "fastest", "ratio"]
    head += ["samples/s"] * throughput + ["of peak", "limit", "set by"] * bare
    body = []
    for row in rows:
        fastest = row.fastest_peer()
        ratio = row.ratio(fastest)
        line = [place_of(row), *(cell_of(row, key, ratios=ratios) for key in keys)]
        line += [label(fastest) if fastest else ABSENT, times(ratio) if ratio else ABSENT]
        if throughput:
            speed = row.samples_per_second(ENGINE)
            line.append(f"{speed:,.0f}" if speed else ABSENT)
        if bare:
            share, limit = run.share(row, ENGINE), run.limit(row)
            line.append(percent(share) if share else ABSENT)
            line += [seconds(limit.seconds), limit.bound] if limit else [ABSENT, ABSENT]
        body.append(line)
    return head, body


def side_table(run: Run, rows: Sequence[Row]) -> Table:
    """Return head and cells for sizes on which only the engine runs."""
    body = []
    for row in rows:
        speed, share = row.rate(ENGINE), run.share(row, ENGINE)
        figures = [
            cell_of(row, ENGINE, ratios=False),
            rate(speed) if speed else ABSENT,
            percent(share) if share else ABSENT,
        ]
        body.append([place_of(row), WHY[row.case.tag], *figures])
    return ["B × T × F × U", "why", label(ENGINE), "rate", "of peak"], body


def tables(run: Run, kind: str, *, ratios: bool) -> list[tuple[str, Table]]:
    """Return the tables of a kind with their titles: of each cell all sides, then the engine."""
    found = []
    for cell in CELLS:
        rows = run.of_kind(kind, cell=cell)
        title = f"{cell}: {KINDS[kind]}" if kind not in PROCESS_KINDS else KINDS[kind]
        alone = [row for row in rows if row.case.tag in WHY]
        rest = [row for row in rows if row.case.tag not in WHY]
        if rest:
            found.append((title, table(run, rest, ratios=ratios)))
        if alone:
            found.append((f"{title}: beside the grid", side_table(run, alone)))
    return found


def place_of(row: Row) -> str:
    """Return the first cell of a row."""
    case = row.case
    text = case.size.replace("x", " × ") if case.size else case.kind.replace("_", " ")
    if case.samples and case.kind != "memory":
        text += f", N {case.samples}"
    return text if case.dtype == "float32" else f"{text}, {case.dtype}"


def cell_of(row: Row, key: str, *, ratios: bool) -> str:
    """Return a side's figure in a row, or why there is none."""
    side, value = row.sides.get(key), row.value(key)
    if side is None:
        return ABSENT
    if value is None:
        return MARKS.get(side.status, ABSENT)
    text = amount(row, value)
    spread = side.summary.spread
    # A figure that moved by a tenth or more between rounds says so itself.
    if spread >= 0.095:
        text += f" ±{100 * spread:.0f}%"
    ratio = row.ratio(key)
    return f"{text} ({times(ratio)})" if ratios and ratio and key != ENGINE else text


def _aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of a table for a terminal, first column to the left."""
    lines = [list(head), *map(list, body)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    rule = ["─" * width for width in widths]
    out = []
    for line in [lines[0], rule, *lines[1:]]:
        first = line[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        out.append("  ".join([first, *rest]).rstrip())
    return out


def _piped(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of a table in Markdown."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    rows = [head, rule, *body]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def environment_lines(run: Run) -> list[str]:
    """Return where, when and with what this was measured."""
    place = run.environment
    used = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    lines = [
        f"{place['date']}; {place['cpu']}, {place['vector_bits']}-bit vectors, "
        f"{place['cores']} cores; {place['threads']} threads for every side; "
        f"{place['system']}, Python {place['python']}",
        used,
    ]
    rates = run.limits.get("flops", {})
    if rates:
        peaks = "; ".join(
            f"{dtype} {_three_digits(rate_['one'] / 1e9)} GFLOP/s on one thread, "
            f"{_three_digits((run.peak(dtype) or 0.0) / 1e9)} on all"
            for dtype, rate_ in rates.items()
        )
        lines.append(f"FMA peak measured in this run: {peaks}")
    levels = run.limits.get("bandwidth", {})
    if levels:
        speeds = ", ".join(
            f"{name} {_three_digits(rate_['one'] / 1e9)}" for name, rate_ in levels.items()
        )
        lines.append(f"Read bandwidth of one core, GB/s: {speeds}")
    return lines


def notes(run: Run) -> list[str]:
    """Return what has no figure, and why."""
    lines = [f"{label(key)}: not measured, {reason}" for key, reason in run.missing.items()]
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in run.rows:
        for key, side in row.sides.items():
            if side.status in ("disagrees", "failed", "slow"):
                place = (key, f"{MARKS[side.status]}: {side.reason}")
                reasons.setdefault(place, []).append(row.case.name)
    lines += [
        f"{label(key)}, {', '.join(names)}: {reason}" for (key, reason), names in reasons.items()
    ]
    by_reason: dict[str, list[str]] = {}
    for name, reason in run.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    return lines + [
        f"Not run ({reason}): {', '.join(names)}" for reason, names in by_reason.items()
    ]


def goal_table(run: Run) -> Table | None:
    """Return the goals with their figures, or None where there is none."""
    found = goals.evaluate(run)
    if not found:
        return None
    body = []
    for goal in found:
        show = percent if goal.share else (lambda value: f"{value:.2f}")
        wanted = f"≥ {show(goal.low)}" if goal.high == goals.INFINITY else f"≤ {show(goal.high)}"
        if goal.low > 0.0 and goal.high != goals.INFINITY:
            wanted = f"{show(goal.low)} to {show(goal.high)}"
        verdict = "met" if goal.met else "missed"
        body.append([goal.text, wanted, show(goal.figure), verdict, goal.where])
    return ["goal", "wanted", "worst figure", "", "where"], body


def terminal(run: Run) -> str:
    """Return the whole run for a terminal."""
    lines = [*environment_lines(run), ""]
    for kind in KINDS:
        for title, (head, body) in tables(run, kind, ratios=False):
            lines += [title, *_aligned(head, body), ""]
    found = goal_table(run)
    if found:
        lines += ["Goals", *_aligned(*found), ""]
    return "\n".join(lines + notes(run))


def markdown(run: Run, chart: str | None) -> str:
    """Return the whole run as Markdown; `chart` is the picture's file name."""
    lines = ["# rnn_engine and its peers", ""]
    lines += [*(f"- {line}" for line in environment_lines(run))]
    lines += [f"- Command: `{run.command}`", ""]
    if chart:
        lines += [f"![Time of each peer over rnn_engine's]({chart})", ""]
    lines += [
        "Medians of interleaved rounds; in brackets how many times rnn_engine's time that is. "
        "Where a figure moved between rounds by a tenth or more, half the distance of its "
        "quartiles is given. *Fastest* is the fastest peer and *ratio* its time over ours. "
        "Every side gave the right numbers before it was timed.",
        "",
    ]
    for kind in KINDS:
        for title, (head, body) in tables(run, kind, ratios=True):
            lines += [f"## {title}", "", *_piped(head, body), ""]
    found = goal_table(run)
    if found:
        lines += ["## Goals", "", *_piped(*found), ""]
    head, body = _agreement(run)
    if body:
        lines += ["## Agreement", "", *_piped(head, body), ""]
    told = notes(run)
    if told:
        lines += ["## What has no figure", "", *(f"- {line}" for line in told), ""]
    return "\n".join(lines)


def _agreement(run: Run) -> Table:
    """Return the largest error of each side by kind, against the float64 truth."""
    worst: dict[tuple[str, str], float] = {}
    for row in run.rows:
        if row.case.dtype != "float32":
            continue
        for key, side in row.sides.items():
            if side.errors:
                place = (row.case.kind, key)
                worst[place] = max(worst.get(place, 0.0), *side.errors.values())
    keys = [key for key in run.peers if any(key == k for _, k in worst)]
    body = [
        [KINDS[kind], *(f"{worst[kind, k]:.1e}" if (kind, k) in worst else ABSENT for k in keys)]
        for kind in KINDS
        if any(kind == k for k, _ in worst)
    ]
    return ["largest error over largest value, float32", *map(label, keys)], body


def write(run: Run, folder: Path, chart: str | None) -> list[Path]:
    """Write the JSON and the Markdown file and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data, text = folder / "benchmark.json", folder / "benchmark.md"
    data.write_text(json.dumps(to_json(run), indent=1) + "\n", encoding="utf-8")
    text.write_text(markdown(run, chart), encoding="utf-8")
    return [data, text]
