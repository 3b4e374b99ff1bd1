"""Cold starts: fresh processes, timed from outside, sides in turn."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.peers import ENGINE, PEERS
from benchmarks.timing import interleave
from benchmarks.worker import Failed, quiet_environment

ROOT = Path(__file__).resolve().parent.parent

# The program that the project began with; it fails by itself where its numbers are no numbers.
PROGRAM = """
import numpy as np
{start}
x = np.array([[[1], [2], [3], [4]], [[4], [3], [2], [1]]], dtype=np.float32)
model = tf.keras.Sequential([
    tf.keras.layers.SimpleRNN(5, input_shape=(4, 1)),
    tf.keras.layers.Dense(1)
])
model.compile(optimizer='adam', loss='mse')
y = np.array([[10], [20]], dtype=np.float32)
history = model.fit(x, y, epochs=3, verbose=0)
predictions = model.predict(x)
print(f"Loss after training: {{history.history['loss'][-1]:.4f}}")
print(f"Predictions:\\n{{predictions}}")
assert len(history.history['loss']) == 3 and np.isfinite(history.history['loss']).all()
assert predictions.shape == (2, 1) and np.isfinite(predictions).all()
"""

# How each side is named in the program above.
STARTS = {
    ENGINE: "import types, rnn_engine; tf = types.SimpleNamespace(keras=rnn_engine)",
    "keras-graph": "import tensorflow as tf",
}

# Where the engine and Numba keep compiled code; a fresh folder stands for a first run ever.
CACHES = ("NUMBA_CACHE_DIR", "RNN_ENGINE_CACHE_DIR", "XDG_CACHE_HOME")


class Fresh:
    """Runs programs in fresh processes on chosen cores."""

    def __init__(self, threads: int, cores: Sequence[int], timeout: float = 120.0) -> None:
        self.threads, self.cores, self.timeout = threads, list(cores), timeout

    def seconds(self, program: str, *, empty_cache: bool = False) -> float:
        """Return the seconds from starting `program` to its exit.

        Raises
        ------
        Failed
            If it ends with an error or too late.
        """
        folder = tempfile.mkdtemp(prefix="bench-cache-") if empty_cache else None
        values = {**os.environ, **quiet_environment(self.threads), "PYTHONPATH": str(ROOT)}
        if folder:
            values |= dict.fromkeys(CACHES, folder)
        if set(self.cores) != set(machine.available_cores()):
            program = f"import os; os.sched_setaffinity(0, {self.cores!r})\n{program}"
        try:
            begin = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", program],
                env=values,
                capture_output=True,
                text=True,
                timeout=self.timeout,
                check=False,
            )
            spent = time.perf_counter() - begin
        except subprocess.TimeoutExpired as error:
            raise Failed(f"did not end within {self.timeout:.0f} s") from error
        finally:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
        if done.returncode:
            words = done.stderr.strip().splitlines()
            raise Failed(words[-1][:300] if words else f"exit code {done.returncode}")
        return spent


Samples = dict[str, list[float]]


def _time_all(
    programs: dict[str, tuple[str, bool]], fresh: Fresh, rounds: int, budget: float
) -> tuple[Samples, dict[str, str]]:
    """Time programs in turn; return samples by side, and reasons of those that fail.

    Each runs once untimed, which fills caches of files and compiled code.
    """
    sides, failures = {}, {}
    begin = time.perf_counter()
    for name, (program, empty) in programs.items():
        try:
            fresh.seconds(program, empty_cache=empty)
        except Failed as error:
            failures[name] = str(error)
            continue
        sides[name] = lambda _, p=program, e=empty: fresh.seconds(p, empty_cache=e)
    left = max(0.0, budget - (time.perf_counter() - begin)) if math.isfinite(budget) else budget
    return interleave(sides, rounds=rounds, seconds=0.0, budget=left), failures


def cold_start(
    keys: Sequence[str], fresh: Fresh, rounds: int, budget: float
) -> tuple[Samples, Samples, dict[str, str]]:
    """Time the program on every side that speaks Keras.

    Returns
    -------
    warm, empty : dict
        Samples by side, with the engine's compiled code cached, and without.
        The peers have no such cache: their samples are the same in both.
    failures : dict
        Reasons by side.
    """
    programs = {key: (PROGRAM.format(start=STARTS[key]), False) for key in keys if key in STARTS}
    if ENGINE in programs:
        programs["empty"] = (programs[ENGINE][0], True)
    samples, failures = _time_all(programs, fresh, rounds, budget)
    empty = samples.pop("empty", None)
    first = {key: value for key, value in samples.items() if key != ENGINE}
    if empty:
        first = {ENGINE: empty, **first}
    return samples, first, failures


def imports(
    keys: Sequence[str], fresh: Fresh, rounds: int, budget: float
) -> tuple[Samples, dict[str, str]]:
    """Time the import of each side, and of NumPy and Numba for comparison."""
    programs = {key: (PEERS[key].start, False) for key in keys if not key.endswith("-xla")} | {
        name: (f"import {name}", False) for name in ("numpy", "numba")
    }
    return _time_all(programs, fresh, rounds, budget)
