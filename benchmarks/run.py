"""Measure rnn_engine beside its peers: `python benchmarks/run.py --help`.

Every side runs in a process of its own, proves that its numbers are right, and
is then timed in turn with the others. Written are a table, a JSON file, a
Markdown report and a chart.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# As a script Python puts benchmarks/ first on the path; the package lies above it.
if not __package__:
    sys.path[0] = str(ROOT)

from benchmarks import cases as case_list  # noqa: E402
from benchmarks import machine, report, session  # noqa: E402
from benchmarks.peers import PEERS, choose  # noqa: E402
from benchmarks.results import Run  # noqa: E402

# No case is begun after the first, and what is begun is stopped after the second.
QUICK_SECONDS, GRACE_SECONDS = 92.0, 15.0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="benchmarks/run.py",
        description="Measure rnn_engine beside its peers, in one interleaved run.",
        epilog="A case is named kind/BxTxFxU. --cases takes kinds, tags, patterns, sizes: "
        "--cases 'forward,fit/*,gradients/17x73x13x97'.",
    )
    made.add_argument("--quick", action="store_true", help="a few cases, within two minutes")
    made.add_argument("--peers", metavar="NAMES", help=f"of {', '.join(PEERS)}; default all")
    made.add_argument("--cases", metavar="CASES", help="which cases; default all")
    made.add_argument("--list", action="store_true", help="print the cases' names and stop")
    made.add_argument(
        "--threads",
        type=_positive,
        default=min(2, len(machine.available_cores())),
        help="threads for every side (default %(default)s)",
    )
    made.add_argument(
        "--dtype", choices=("float32", "float64"), help="one type for all; default as the grid says"
    )
    made.add_argument("--rounds", type=_positive, help="rounds a case (default 15; quick 5)")
    made.add_argument("--out", type=Path, default=Path("out/benchmarks"), help="folder of results")
    made.add_argument(
        "--again", type=Path, metavar="JSON", help="report on an earlier run; measure nothing"
    )
    return made


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above zero is wanted, got {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 1 where a side disagreed or broke, else 0."""
    command = parser()
    chosen = command.parse_args(arguments)
    try:
        peers = choose(chosen.peers)
        base = case_list.full_grid()
        if chosen.quick and chosen.cases is None:
            base = case_list.quick_grid()
        cases = case_list.with_dtype(case_list.select(chosen.cases, base), chosen.dtype)
    except ValueError as error:
        command.error(str(error))
    if chosen.list:
        print("\n".join(case.name for case in cases))
        return 0
    if chosen.again:
        return _finish(session.load(chosen.again), chosen.out)
    if chosen.threads > len(machine.available_cores()):
        command.error(f"--threads: this process may use {len(machine.available_cores())} cores.")
    options = session.Options(
        threads=chosen.threads,
        rounds=chosen.rounds or (5 if chosen.quick else 15),
        block=0.02 if chosen.quick else 0.05,
        budget=4.0 if chosen.quick else 60.0,
        deadline=time.perf_counter() + QUICK_SECONDS if chosen.quick else float("inf"),
        grace=GRACE_SECONDS,
    )
    given = " ".join(arguments if arguments is not None else sys.argv[1:])
    run = session.measure(cases, peers, options)
    run.command = f"python benchmarks/run.py {given}".strip()
    return _finish(run, chosen.out)


def _finish(run: Run, folder: Path) -> int:
    """Print and write the run; return the exit status."""
    print(report.terminal(run))
    folder.mkdir(parents=True, exist_ok=True)
    picture = _chart(run, folder / "benchmark.png")
    written = report.write(run, folder, picture)
    print("\nWritten: " + ", ".join(map(str, [*written, *([folder / picture] if picture else [])])))
    return 1 if run.disagreements() else 0


def _chart(run: Run, path: Path) -> str | None:
    """Draw the chart; return its name, or None, said aloud, where it cannot be drawn."""
    try:
        from benchmarks import chart
    except ImportError as error:
        print(f"\nNo chart: {error}.")
        return None
    if not chart.draw(run, path):
        print("\nNo chart: no case has figures of rnn_engine and of a peer.")
        return None
    return path.name


if __name__ == "__main__":
    raise SystemExit(main())
