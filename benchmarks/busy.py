"""Two threads on a machine that is busy: ``python -m benchmarks.busy``.

Runs forward and a training step on one and on two threads in turns, first alone and then beside
processes that take all of the cores. Two threads should never take longer than 1.2 times the time
of one: a thread that does not get its core must not hold up the other.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import rnn_engine
from rnn_engine import layers

SIZES = ((32, 100, 32, 64), (8, 50, 16, 32), (64, 64, 128, 256), (1, 300, 64, 256))
ROUNDS, SECONDS = 60, 0.02


def _spin() -> None:
    while True:
        pass


def calls(cell: str, size: tuple[int, int, int, int]) -> dict[str, Callable[[], Any]]:
    """Return the work of one cell and size."""
    batch, steps, features, units = size
    x = np.random.default_rng(0).standard_normal((batch, steps, features)).astype("f4")
    layer = getattr(layers, cell)(units)
    model = rnn_engine.Sequential([rnn_engine.Input((steps, features)), layer, layers.Dense(1)])
    model.compile("adam", "mse")
    y = np.zeros((batch, 1), "f4")
    return {"forward": lambda: layer(x), "train": lambda: model.train_on_batch(x, y)}


def medians(call: Callable[[], Any]) -> list[float]:
    """Return the median time of a call on one and on two threads, in microseconds."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for threads, times in found.items():
            rnn_engine.set_num_threads(threads)
            begun, count = time.perf_counter(), 0
            while time.perf_counter() - begun < SECONDS:
                call()
                count += 1
            times.append((time.perf_counter() - begun) / count * 1e6)
    return [statistics.median(times) for times in found.values()]


def main() -> None:
    """Print a row a cell, size, kind of work and state of the machine."""
    print("| cell | B × T × F × U | work | beside | one thread µs | two µs | two ÷ one |")
    print("| --- | --- | --- | --- | ---: | ---: | ---: |")
    spinning = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(2)]
    for beside in ("nothing", "two busy processes"):
        if beside != "nothing":
            for process in spinning:
                process.start()
        for cell in ("SimpleRNN", "LSTM", "GRU"):
            for size in SIZES:
                for work, call in calls(cell, size).items():
                    call()
                    one, two = medians(call)
                    row = (cell, " × ".join(map(str, size)), work, beside)
                    print(f"| {' | '.join(row)} | {one:.0f} | {two:.0f} | {two / one:.2f} |")
    for process in spinning:
        process.kill()


if __name__ == "__main__":
    main()
