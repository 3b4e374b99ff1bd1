"""Time for a sample through models exported as C: 8 to 40 units, one input, one output.

python -m benchmarks.export_c [--units 8 16 20 32 40] [--rounds 40]

A C program steps through a second of sound, sample by sample (``NAME_step``) and in blocks of 64
(``NAME_process``), and tells the best of many rounds. Each model is a recurrent layer and a Dense
of one output behind it.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import rnn_engine
from rnn_engine.layers import GRU, LSTM, Dense, Input, SimpleRNN

CELLS: dict[str, Any] = {"SimpleRNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU}
# Microseconds a sample through 32 units.
GOALS = {"SimpleRNN": 0.25, "LSTM": 0.6, "GRU": 0.6}
# Samples of a round: short enough that some rounds are not interrupted on a busy machine.
SAMPLES = 4096
PROGRAM = """\
#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "net.h"
enum { N = %(samples)d, BLOCK = 64 };
static float x[N], y[N];
static net_state state;
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}
int main(int argc, char **argv)
{
    double best[2] = {1e30, 1e30};
    const int rounds = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 0; i < N; i++)
        x[i] = (float)(i %% 101) / 50.0f - 1.0f;
    net_init(&state);
    for (int round = 0; round < 2 * rounds; round++) {
        const double start = now();
        if (round %% 2)
            for (int i = 0; i < N; i += BLOCK)
                net_process(&state, x + i, BLOCK, y + i);
        else
            for (int i = 0; i < N; i++)
                net_step(&state, x + i, y + i);
        const double taken = (now() - start) / N;
        if (taken < best[round %% 2])
            best[round %% 2] = taken;
    }
    printf("%%.4f %%.4f\\n", best[0], best[1]);
    return 0;
}
"""


def measure(cell: str, units: int, rounds: int) -> tuple[float, float]:
    """Return microseconds a sample, step by step and in blocks."""
    layers = [Input((None, 1)), CELLS[cell](units, return_sequences=True), Dense(1)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rnn_engine.Sequential(layers).export(folder, format="c", name="net")
        (folder / "time.c").write_text(PROGRAM % {"samples": SAMPLES})
        command = ["cc", "-std=c99", "-O2", "time.c", "libnet.a", "-o", "time"]
        subprocess.run(command, cwd=folder, check=True)
        done = subprocess.run(
            [folder / "time", str(rounds)], check=True, capture_output=True, text=True
        )
        step, block = map(float, done.stdout.split())
        return step, block


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=[8, 16, 20, 32, 40])
    parser.add_argument("--rounds", type=int, default=200)
    chosen = parser.parse_args()
    print("us a sample, best of rounds   step by step   blocks of 64   goal")
    for cell in CELLS:
        for units in chosen.units:
            step, block = measure(cell, units, chosen.rounds)
            goal = f"{GOALS[cell]:.2f}" if units == 32 else ""
            print(f"{cell:>12} {units:>4} {step:>24.3f} {block:>14.3f} {goal:>6}", flush=True)


if __name__ == "__main__":
    main()
