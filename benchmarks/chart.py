"""The picture of a run: how far behind every peer is, and how near we are to the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.cases import CELLS, KINDS
from benchmarks.peers import ENGINE, PEERS
from benchmarks.report import label, percent, times
from benchmarks.results import Row, Run

INK, FAINT, GRID = "#222222", "#6b6b6b", "#e4e4e4"
BEHIND = "#fbe9e7"
RED = PEERS[ENGINE].color
# Height of a line of a panel and of what stands around it, in inches.
LINE, AROUND = 0.30, 1.05

SHORT = {
    "fit": "fit",
    "predict": "predict",
    "train_on_batch": "train_on_batch",
    "predict_on_batch": "predict_on_batch",
    "predict_one": "predict, one sample",
    "layer_call": "call, one sample",
    "masked": "half masked",
    "dropout": "dropout",
    "stacked": "three layers",
    "bidirectional": "Bidirectional",
    "softmax_train": "words, train",
    "softmax_predict": "words, predict",
    "cold_start": "fresh process",
    "cold_start_empty": "first run ever",
    "import": "import",
    "memory": "memory",
}


def draw(run: Run, path: Path) -> bool:
    """Draw the chart into a PNG file.

    Returns
    -------
    bool
        False where no case has figures of the engine and of a peer: nothing is written.
    """
    panels, bars = {}, {}
    for cell in CELLS:
        panels[f"{cell}: forward"] = _compared(run, ("forward",), cell)
        panels[f"{cell}: forward and all gradients"] = _compared(run, ("gradients",), cell)
        panels[f"{cell}: whole programs"] = _compared(run, tuple(SHORT), cell)
        both = _compared(run, ("forward", "gradients"), cell)
        bars[cell] = [row for row in both if run.share(row, ENGINE)]
    panels = {title: rows for title, rows in panels.items() if rows}
    bars = {cell: rows for cell, rows in bars.items() if rows}
    if not panels:
        return False
    dots = [len(rows) for rows in panels.values()]
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure, axes = _canvas(dots, [len(_by_size(rows)) for rows in bars.values()])
        for ax, (title, rows) in zip(axes, panels.items(), strict=False):
            _dots(ax, title, rows)
        for ax, (cell, rows) in zip(axes[len(panels) :], bars.items(), strict=True):
            _bars(ax, run, cell, rows)
        _frame(figure, run)
        figure.savefig(path, dpi=160, facecolor="white")
    return True


def _compared(run: Run, kinds: Sequence[str], cell: str) -> list[Row]:
    """Return rows with figures of both, those of the bare layer by their work."""
    found = [row for kind in kinds for row in run.of_kind(kind, cell=cell)]
    rows = [row for row in found if row.ratio(row.fastest_peer())]
    bare = all(row.case.flops and not row.case.samples for row in rows)
    return sorted(rows, key=lambda row: row.case.flops) if bare else rows


def _by_size(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """Return rows by size, smallest work first, and then by kind."""
    found: dict[str, dict[str, Row]] = {}
    for row in sorted(rows, key=lambda r: r.case.batch * r.case.time * r.case.units**2):
        found.setdefault(_line_name(row, sized=True), {})[row.case.kind] = row
    return found


def _canvas(dots: list[int], bars: list[int]) -> tuple[Figure, list[Any]]:
    """Return the figure and its axes: two columns, heights by the number of lines."""
    counts = dots + bars
    pairs = [counts[i : i + 2] for i in range(0, len(counts), 2)]
    inches = [max(pair) * LINE + AROUND for pair in pairs]
    head, foot = 1.25, 0.65
    height = sum(inches) + head + foot
    figure = Figure(figsize=(14.0, height))
    axes, top = [], height - head
    for pair, tall in zip(pairs, inches, strict=True):
        for column, count in enumerate(pair):
            left = 0.17 + 0.485 * column
            drawn = count * LINE
            place = (left, (top - 0.42 - drawn) / height, 0.285, drawn / height)
            axes.append(figure.add_axes(place))
        top -= tall
    return figure, axes


def _line_name(row: Row, *, sized: bool) -> str:
    """Return the name of a line of a panel."""
    case = row.case
    size = f"{case.batch} × {case.time} × {case.features} × {case.units}" if case.size else ""
    name = size if sized else f"{SHORT[case.kind]}  {size}".strip()
    return name if case.dtype == "float32" else f"{name} {case.dtype}"


def _dots(ax: Any, title: str, rows: Sequence[Row]) -> None:
    """Draw for each row the time of each peer over the engine's, on a log axis."""
    sized = rows[0].case.kind in ("forward", "gradients")
    low, high = 0.8, 2.0
    for line, row in enumerate(rows):
        ratios = {k: r for k in row.sides if k in PEERS and k != ENGINE if (r := row.ratio(k))}
        low, high = min(low, *ratios.values()), max(high, *ratios.values())
        ends = [min(1.0, *ratios.values()), max(1.0, *ratios.values())]
        ax.plot(ends, [line, line], color=GRID, lw=3.2, zorder=1)
        for key, ratio in ratios.items():
            dot = {"color": PEERS[key].color, "ms": 7.5, "mec": "white", "mew": 0.8}
            ax.plot(ratio, line, "o", zorder=3, clip_on=False, **dot)
        fastest = row.fastest_peer()
        ratio = row.ratio(fastest) or 1.0
        ax.annotate(
            times(ratio),
            (1.0, line),
            xytext=(8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            weight="bold",
            color=INK if ratio >= 1.0 else RED,
        )
    ax.annotate(
        "fastest\npeer",
        (1.0, -0.75),
        xytext=(8, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="bottom",
        color=FAINT,
        size=7.5,
    )
    ax.set_xscale("log")
    ax.set_xlim(low * 0.85, high * 1.2)
    ax.axvspan(low * 0.85, 1.0, color=BEHIND, zorder=0, lw=0)
    ax.axvline(1.0, color=RED, lw=2.2, zorder=2)
    decades = high / low > 60
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}×"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", which="minor", bottom=False)
    _dress(ax, title, [_line_name(row, sized=sized) for row in rows])


def _bars(ax: Any, run: Run, cell: str, rows: Sequence[Row]) -> None:
    """Draw the share of the machine's peak: the engine's as bars, the fastest peer's as ticks."""
    lines = _by_size(rows)
    shades = {"forward": (RED, -0.19), "gradients": ("#f0a3ad", 0.19)}
    for line, kinds in enumerate(lines.values()):
        for kind, (color, shift) in shades.items():
            row = kinds.get(kind)
            if row is None:
                continue
            share = 100 * (run.share(row, ENGINE) or 0.0)
            ax.barh(line + shift, share, 0.34, color=color, zorder=2)
            fastest = row.fastest_peer()
            theirs = 100 * ((run.share(row, fastest) if fastest else None) or 0.0)
            ends = (line + shift - 0.17, line + shift + 0.17)
            ax.plot([theirs, theirs], ends, color=INK, lw=2.0, zorder=3, solid_capstyle="butt")
            text = percent(share / 100)
            ax.annotate(
                text,
                (max(share, theirs), line + shift),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                size=6.8,
                color=INK,
            )
    ax.set_xlim(0, 108)
    ax.axvline(100, color=FAINT, lw=1.0, ls=(0, (4, 3)))
    ax.set_xticks(range(0, 101, 20), [f"{tick}%" for tick in range(0, 101, 20)])
    peak = (run.peak("float32") or 0.0) / 1e9
    _dress(ax, f"{cell}: share of the FMA peak ({peak:,.0f} GFLOP/s)", list(lines))
    marks = [
        Line2D([], [], color=shades["forward"][0], lw=6, label="forward"),
        Line2D([], [], color=shades["gradients"][0], lw=6, label="with gradients"),
        Line2D([], [], color=INK, lw=2, marker="", label="fastest peer"),
    ]
    ax.legend(
        handles=marks,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.32 / (len(lines) * LINE)),
        ncols=3,
        frameon=False,
        handlelength=1.2,
        fontsize=8,
    )


def _dress(ax: Any, title: str, names: Sequence[str]) -> None:
    """Give a panel its title, its lines' names and a quiet frame."""
    ax.set_title(title, loc="left", weight="bold", size=11, color=INK, pad=18)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="both", length=0, labelcolor=INK)
    ax.tick_params(axis="x", labelcolor=FAINT, labelsize=8)
    ax.grid(axis="x", color=GRID, lw=0.8, zorder=0)
    ax.set_axisbelow(True)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _frame(figure: Figure, run: Run) -> None:
    """Write the heading, the legend of the peers, and where this was measured."""
    height = figure.get_size_inches()[1]
    place = run.environment
    seen = {key for row in run.rows for key, side in row.sides.items() if side.ok}
    figure.text(
        0.02, 1 - 0.34 / height, "Time of each peer over rnn_engine's", size=17, weight="bold",
        color=INK, va="center",
    )  # fmt: skip
    figure.text(
        0.02, 1 - 0.68 / height,
        "Further right is slower; left of the red line a peer is faster. Sizes are "
        "batch × time × features × units. Medians of one interleaved run.",
        size=9.5, color=FAINT, va="center",
    )  # fmt: skip
    marks: list[Line2D] = [Line2D([], [], color=RED, lw=2.5, label=label(ENGINE))]
    marks += [
        Line2D([], [], color=PEERS[key].color, marker="o", ls="", ms=7.5, label=label(key))
        for key in run.peers
        if key != ENGINE and key in seen
    ]
    figure.legend(
        handles=marks,
        loc="center left",
        bbox_to_anchor=(0.012, 1 - 1.0 / height),
        ncols=len(marks),
        frameon=False,
        fontsize=10,
        handletextpad=0.4,
        columnspacing=1.6,
    )
    used = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    foot = (
        f"{place['date']} · {place['cpu']}, {place['vector_bits']}-bit vectors · "
        f"{place['threads']} threads for every side · Python {place['python']}\n{used}"
    )
    figure.text(0.02, 0.36 / height, foot, size=7.5, color=FAINT, va="center", linespacing=1.5)


assert set(SHORT) | {"forward", "gradients"} == set(KINDS)
