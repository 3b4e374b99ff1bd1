"""One to three rows of large weights on one thread and on two, beside ONNX Runtime on two.

``python -m benchmarks.few_rows``. Two threads share the units of a step, which gains nothing while
others keep the second core busy: on a shared machine the best call tells what there is to gain,
and the median what came of it. The sides take turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import rnn_engine
from benchmarks.cases import CELLS, Case
from benchmarks.problem import Problem, draw

# Calls of a side, one after the other, of which the first is not counted; and the seconds before
# them, in which the threads of the side before go to sleep.
CALLS, PAUSE = 4, 0.02


def onnx_runtime(problem: Problem) -> Callable[[], Any] | None:
    """Return a call of ONNX Runtime on two threads, if it is installed."""
    try:
        from benchmarks.peers.onnxruntime_ import Adapter
    except ImportError:
        return None
    return Adapter(2).forward(problem).call


def sides(case: Case) -> dict[str, Callable[[], Any]]:
    """Return what is timed."""
    problem = draw(case)
    layer = getattr(rnn_engine.layers, case.cell)(case.units, dtype=case.dtype)
    layer.build(problem.x.shape)
    layer.set_weights(problem.layer_weights)

    def on(threads: int) -> Callable[[], Any]:
        def call() -> Any:
            rnn_engine.set_num_threads(threads)
            return layer(problem.x)

        return call

    found = {"one thread": on(1), "two": on(2)}
    peer = onnx_runtime(problem)
    return found if peer is None else {**found, "ONNX Runtime": peer}


def measure(case: Case, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each side's calls."""
    calls = sides(case)
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(PAUSE)
            call()
            for _ in range(CALLS - 1):
                began = time.perf_counter()
                call()
                found[name].append(time.perf_counter() - began)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row a case."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.few_rows")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--units", type=int, nargs="+", default=[128, 256, 280])
    parser.add_argument("--time", type=int, default=300)
    given = parser.parse_args(arguments)
    print("µs a step, best (median) of", (CALLS - 1) * given.rounds)
    for cell in CELLS:
        for rows in given.rows:
            for units in given.units:
                case = Case("forward", rows, given.time, 64, units, cell=cell)
                found = measure(case, given.rounds)
                steps = {name: 1e6 * np.array(times) / given.time for name, times in found.items()}
                figures = (
                    f"{name} {a.min():.2f} ({np.median(a):.2f})" for name, a in steps.items()
                )
                print(f"{case.name}: {', '.join(figures)}", flush=True)


if __name__ == "__main__":
    main()
