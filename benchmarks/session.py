"""One run: starts the sides, checks their numbers, times them in turn."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import machine, problem, process
from benchmarks.cases import Case
from benchmarks.peers import PEERS
from benchmarks.results import Row, Run, Side, from_json
from benchmarks.timing import interleave
from benchmarks.worker import MACHINE, Failed, Guarded, Worker

# Longest wait for an import, for making a case ready, and for a block.
START_TIMEOUT, PREPARE_TIMEOUT, BLOCK_TIMEOUT = 180.0, 300.0, 300.0
# Threads of most libraries spin for some milliseconds after their work.
PAUSE = 0.004


@dataclass(frozen=True)
class Options:
    """How long and on what is measured.

    Attributes
    ----------
    threads : int
        Threads for every side.
    rounds : int
        Rounds of a case.
    block : float
        Seconds of a block.
    budget : float
        Seconds for the rounds of a case; a slow case gets fewer rounds.
    deadline : float
        Reading of `time.perf_counter` after which no case is begun.
    grace : float
        Seconds after the deadline in which what is begun has to end, or is stopped.
    """

    threads: int = 2
    rounds: int = 15
    block: float = 0.05
    budget: float = 60.0
    deadline: float = math.inf
    grace: float = 0.0

    def patience(self, timeout: float) -> float:
        """Return how long to wait for an answer that may take `timeout` seconds."""
        return min(timeout, max(1.0, self.left + self.grace))

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.perf_counter()


class Progress:
    """Says on standard error what is going on: one line rewritten on a terminal."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.live = sys.stderr.isatty()
        self.begin = time.perf_counter()

    def say(self, text: str) -> None:
        """Show what is done at the moment."""
        spent = time.perf_counter() - self.begin
        line = f"[{self.done}/{self.total}, {spent:.0f} s] {text}"
        if self.live:
            sys.stderr.write(f"\r\x1b[K{line[:110]}")
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Clear the line."""
        if self.live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def load(path: Path) -> Run:
    """Return an earlier run from its JSON file."""
    return from_json(json.loads(path.read_text(encoding="utf-8")))


def measure(cases: Sequence[Case], peers: Sequence[str], options: Options) -> Run:
    """Measure `cases` on `peers` and return what was found.

    An interrupt ends the measuring and keeps what is there.
    """
    cores = machine.choose_cores(options.threads)
    run = Run(machine.describe(options.threads, cores), {}, peers=list(peers))
    names = [name for key in peers for name in PEERS[key].versions]
    progress = Progress(len(cases))
    workers: dict[str, Worker] = {}
    try:
        progress.say("starting the sides, one process each")
        # The limits come first, while no other process is there to share the caches.
        meter = Worker(MACHINE, options.threads, cores)
        workers[MACHINE] = meter
        run.limits = meter.ask("limits")
        _start(workers, peers, run, options, cores)
        # The version of a checkout stands in the package itself.
        run.versions = machine.versions(dict.fromkeys([*names, "numpy"]))
        for place, case in enumerate(cases):
            progress.say(case.name)
            budget = min(options.budget, options.left / (len(cases) - place))
            if options.left <= 0:
                run.left_out[case.name] = "out of time"
            elif case.size:
                run.rows.append(_measure(case, workers, run, options, budget))
            elif run.find(case.name) is None:
                present = [key for key in peers if key in workers]
                run.rows += _fresh(case, present, options, cores, budget)
            progress.done += 1
    except KeyboardInterrupt:
        seen = {row.case.name for row in run.rows}
        run.left_out |= {c.name: "interrupted" for c in cases if c.name not in seen}
    finally:
        progress.close()
        for worker in workers.values():
            worker.stop()
    wanted = [case.name for case in cases]
    run.rows = [row for row in run.rows if row.case.name in wanted]
    return run


def _start(
    workers: dict[str, Worker],
    peers: Sequence[str],
    run: Run,
    options: Options,
    cores: Sequence[int],
) -> None:
    """Start a process for every peer that is installed; name the others."""
    for key in peers:
        lacking = PEERS[key].missing()
        if lacking:
            run.missing[key] = f"not installed ({', '.join(lacking)})"
            continue
        workers[key] = Worker(key, options.threads, cores)
        workers[key].send("ready")
    for key in [k for k in workers if k != MACHINE]:
        try:
            workers[key].receive(START_TIMEOUT)
        except Failed as error:
            run.missing[key] = str(error)
            workers.pop(key).stop()


def _measure(
    case: Case, workers: dict[str, Worker], run: Run, options: Options, budget: float
) -> Row:
    """Prepare, check and time one case on the peers that do it, in `budget` seconds."""
    keys = [k for k in workers if k != MACHINE and (not case.sides or k in case.sides)]
    row = Row(case)
    if case.kind == "memory":
        return _memory(row, keys, options, run.environment["used_cores"])
    ready = _prepare(row, keys, workers, options)
    row.peak = _peak(workers[MACHINE], case.dtype)
    blocks = {key: Guarded(partial(_block, workers[key], options)) for key in ready}
    samples = interleave(
        blocks,
        rounds=options.rounds,
        seconds=options.block,
        budget=budget,
        pause=PAUSE,
    )
    for key, found in samples.items():
        if blocks[key].reason:
            row.sides[key] = Side(blocks[key].status, f"while timed: {blocks[key].reason}")
        else:
            row.sides[key].samples = found
    for key in [k for k in keys if not workers[k].alive]:
        run.missing[key] = f"its process ended in {case.name}"
        workers.pop(key).stop()
    return row


def _block(worker: Worker, options: Options, seconds: float) -> float:
    """Return the seconds of one call on a side."""
    spent: float = worker.ask("block", seconds, timeout=options.patience(BLOCK_TIMEOUT))
    return spent


def _prepare(
    row: Row, keys: Sequence[str], workers: dict[str, Worker], options: Options
) -> list[str]:
    """Make the case ready on all sides at once; return those whose numbers are right."""
    case = row.case
    for key in keys:
        row.sides[key] = Side()
        try:
            workers[key].send("prepare", case)
        except Failed as error:
            row.sides[key] = Side("failed", str(error))
    expected = problem.truth(problem.draw(case))
    allowed = problem.tolerance(case)
    for key in [k for k in keys if row.sides[k].status == "ok"]:
        side = row.sides[key]
        try:
            numbers, side.prepare = workers[key].receive(options.patience(PREPARE_TIMEOUT))
        except Failed as error:
            row.sides[key] = Side(error.status, str(error))
            continue
        side.errors = problem.disagreement(numbers, expected)
        bad = {name: error for name, error in side.errors.items() if not error <= allowed}
        if bad:
            name = max(bad, key=lambda n: bad[n])
            side.status = "disagrees"
            side.reason = f"{name} is off by {bad[name]:.1e}, allowed are {allowed:.0e}"
    return [key for key in keys if row.sides[key].status == "ok"]


def _peak(meter: Worker, dtype: str) -> float:
    """Return flop/s now; 0 where the meter is gone, which leaves the first measurement."""
    try:
        rate: float = meter.ask("flops", dtype)
    except Failed:
        return 0.0
    return rate


def _memory(row: Row, keys: Sequence[str], options: Options, cores: Sequence[int]) -> Row:
    """Measure the memory of training, each side in a fresh process, one after another."""
    for key in keys:
        worker = Worker(key, options.threads, cores)
        try:
            wait = options.patience(START_TIMEOUT)
            row.sides[key] = Side(samples=[worker.ask("memory", row.case, timeout=wait)])
        except Failed as error:
            row.sides[key] = Side(error.status, str(error))
        finally:
            worker.stop()
    return row


def _fresh(
    case: Case, keys: Sequence[str], options: Options, cores: Sequence[int], budget: float
) -> list[Row]:
    """Time fresh processes; the two forms of the cold start come out of one measurement."""
    fresh = process.Fresh(options.threads, cores, partial(options.patience, START_TIMEOUT))
    rounds = max(1, options.rounds // 3)
    if case.kind == "import":
        return [Row(case, process.imports(keys, fresh, rounds, budget))]
    warm, empty = process.cold_start(keys, fresh, rounds, budget)
    return [Row(Case("cold_start"), warm), Row(Case("cold_start_empty"), empty)]
