"""The tables of README and docs/speed.md: ``python -m benchmarks.summary JSON [CASES]``.

JSON is what ``benchmarks/run.py`` wrote; CASES is taken as there. A row a case: the engine's
median, the fastest peer, and how many times the engine's time it and the faster Keras took.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import cases, report, session
from benchmarks.cases import CELLS, KINDS, PROCESS_KINDS
from benchmarks.peers import ENGINE
from benchmarks.results import Row, Run

KERAS = ("keras-graph", "keras-xla")
HEAD = ("work", "B × T × F × U", "rnn_engine", "fastest peer", "ratio", "Keras", "of peak")


def rows(run: Run, wanted: set[str]) -> Iterator[tuple[str, Row]]:
    """Yield the rows whose case is wanted, with what they are called."""
    for kind, text in KINDS.items():
        for cell in CELLS:
            for row in run.of_kind(kind, cell=cell):
                if row.case.name in wanted and row.value(ENGINE) is not None:
                    yield (text if kind in PROCESS_KINDS else f"{cell}, {text}"), row


def line(run: Run, name: str, row: Row) -> str:
    """Return a row of the table."""
    fastest, keras = row.fastest_peer(), row.fastest_peer(KERAS)
    share = run.share(row, ENGINE) if row.unit == "s" else None
    ratios = [row.ratio(side) if side else None for side in (fastest, keras)]
    cells = [
        name,
        report.place_of(row),
        report.cell_of(row, ENGINE, ratios=False),
        report.label(fastest) if fastest else report.ABSENT,
        *(report.times(ratio) if ratio else report.ABSENT for ratio in ratios),
        report.percent(share) if share else report.ABSENT,
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    run = session.load(Path(sys.argv[1]))
    chosen = cases.select(sys.argv[2] if sys.argv[2:] else None, cases.full_grid())
    print(f"| {' | '.join(HEAD)} |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: |")
    for name, row in rows(run, {case.name for case in chosen}):
        print(line(run, name, row))


if __name__ == "__main__":
    main()
