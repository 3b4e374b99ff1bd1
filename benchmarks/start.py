"""What a program has to wait for: importing NumPy and the engine, and the first model.

``python -m benchmarks.start`` runs fresh processes in turn and prints for each side the least
processor time from start to exit, and the memory that it holds at the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from benchmarks.peers import ENGINE
from benchmarks.process import PROGRAM, ROOT, STARTS
from benchmarks.worker import quiet_environment

SIDES = {
    "python": "",
    "import numpy": "import numpy",
    "import rnn_engine": "import rnn_engine",
    "import, and first layer": "import rnn_engine; rnn_engine.layers.SimpleRNN(5)",
    "the first program": PROGRAM.format(start=STARTS[ENGINE]),
}
RESIDENT = """
import os, sys
with open("/proc/self/statm") as file:
    sys.stderr.write(str(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")))
"""


def measured(program: str) -> tuple[float, int]:
    """Return seconds of the processor, and bytes at the end, of a program in a fresh process."""
    values = {**os.environ, **quiet_environment(1), "PYTHONPATH": str(ROOT)}
    # A user's Python keeps the bytecode of what it imports, whatever ours was told.
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    with subprocess.Popen(
        [sys.executable, "-c", program + RESIDENT],
        env=values,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        text = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(text)
    return usage.ru_utime + usage.ru_stime, int(text)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    measured(SIDES["the first program"])  # leaves bytecode behind, and kernels if they are compiled
    results: dict[str, list[tuple[float, int]]] = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name, program in SIDES.items():
            results[name].append(measured(program))
    best = {name: tuple(map(min, zip(*pairs, strict=True))) for name, pairs in results.items()}
    seconds, held = best["import numpy"]
    for name, (spent, memory) in best.items():
        sys.stdout.write(
            f"{name:24} {1000 * spent:7.1f} ms {spent / seconds:5.2f} of NumPy's"
            f" {memory / 2**20:7.1f} MB {memory / held:5.2f}\n"
        )


if __name__ == "__main__":
    main()
