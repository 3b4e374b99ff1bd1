"""Time and memory of a training step against the length of the sequence: checkpoints in time.

python -m benchmarks.long [--cells SimpleRNN LSTM GRU] [--lengths 1000 10000 100000 1000000]
                          [--units 64] [--steps auto] [--rounds 2] [--repeats 3]

One sequence of one feature, a cell and Dense(1), one step of SGD; once as a model is compiled
without more, once with ``checkpoint_steps``. Every figure comes from a process of its own, which
has gone a step of a short sequence before: so what is compiled, and what the interpreter with all
libraries takes, is there by then. Memory is the most that the process ever had in memory ("in
all"), and how much the measured step added to that. Time is the processor time of a step, the best
of all: it hardly changes with what else the machine does. The two trainings must end with the same
bits, or the program fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CELLS = "SimpleRNN", "LSTM", "GRU"
WARM = 3000


def peak_memory() -> int:
    """Return the most bytes that this process has had in memory."""
    status = Path("/proc/self/status")
    if status.exists():  # else a process began with the peak of the one that started it
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found << 10


def measure(cell: str, units: int, length: int, steps: Any, repeats: int) -> dict[str, Any]:
    """Train on one sequence in this process; return bytes, seconds and what the weights hash to."""
    import numpy as np

    import rnn_engine
    from rnn_engine import Sequential, layers

    rnn_engine.utils.set_random_seed(0)
    layer = getattr(layers, cell)(units)
    model = Sequential([layers.Input((None, 1)), layer, layers.Dense(1)])
    model.compile("sgd", "mse", checkpoint_steps=steps)
    x = np.random.default_rng(0).normal(size=(1, length, 1)).astype(np.float32)
    y = np.ones((1, 1), np.float32)
    model.fit(x[:, :WARM], y, verbose=0)
    before = peak_memory()
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        model.fit(x, y, verbose=0)
        seconds.append(time.process_time() - begin)
    weights = b"".join(array.tobytes() for array in model.get_weights())
    return {
        "all": peak_memory(),
        "added": peak_memory() - before,
        "seconds": min(seconds),
        "weights": hashlib.sha256(weights).hexdigest(),
    }


def in_a_process(*given: Any) -> dict[str, Any]:
    """Return what `measure` returns in a new process."""
    command = [sys.executable, "-m", "benchmarks.long", "--one", json.dumps(given)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row(cell: str, units: int, length: int, steps: Any, rounds: int, repeats: int) -> str:
    """Return a row of the table.

    Raises
    ------
    SystemExit
        If the weights differ.
    """
    sides: dict[Any, dict[str, Any]] = {}
    for _ in range(rounds):
        for side in (None, steps):
            found = in_a_process(cell, units, length, side, repeats)
            if side in sides:
                found["seconds"] = min(found["seconds"], sides[side]["seconds"])
            sides[side] = found
    plain, kept = sides[None], sides[steps]
    if plain["weights"] != kept["weights"]:
        raise SystemExit(f"{cell}, T = {length}: the weights differ.")
    parts = [f"{side[name] / 2**20:,.0f}" for name in ("all", "added") for side in (plain, kept)]
    parts += [f"{side['seconds']:.3g}" for side in (plain, kept)]
    parts.append(f"{kept['seconds'] / plain['seconds']:.2f}")
    return f"| {cell} | {length:,} | {' | '.join(parts)} |"


def _steps(text: str) -> Any:
    return text if text == "auto" else int(text)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return the exit status."""
    about, _, notes = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.long", description=about, epilog=notes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--cells", nargs="+", default=CELLS, choices=CELLS)
    parser.add_argument("--lengths", nargs="+", type=int, default=[10**n for n in (3, 4, 5, 6)])
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--steps", type=_steps, default="auto", help="checkpoint_steps (auto)")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each side (2)")
    parser.add_argument("--repeats", type=int, default=3, help="steps in each process (3)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        print(json.dumps(measure(*json.loads(chosen.one))))
        return 0
    if min(*chosen.lengths, chosen.units, chosen.rounds, chosen.repeats) < 1:
        parser.error("--lengths, --units, --rounds and --repeats must be above zero.")
    print("| cell | T | MB in all | with checkpoints | MB added | with | s a step | with | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for cell in chosen.cells:
        for length in chosen.lengths:
            line = row(cell, chosen.units, length, chosen.steps, chosen.rounds, chosen.repeats)
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
