"""Cold starts: fresh processes, timed from outside, sides in turn."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.peers import ENGINE, JIT, PEERS
from benchmarks.results import Side
from benchmarks.timing import interleave
from benchmarks.worker import Failed, Guarded, quiet_environment

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

# How each side is named in the program above. Both forms of Keras are one program, which
# leaves it to Keras how to compile; the first of them that is there stands for it.
OURS = (ENGINE, JIT)
STARTS = {
    ENGINE: "import types, rnn_engine; tf = types.SimpleNamespace(keras=rnn_engine)",
    JIT: "import types, rnn_engine; tf = types.SimpleNamespace(keras=rnn_engine)",
    "keras-graph": "import tensorflow as tf",
    "keras-xla": "import tensorflow as tf",
}

# Where the engine and Numba keep compiled code; a fresh folder stands for a first run ever.
CACHES = ("NUMBA_CACHE_DIR", "RNN_ENGINE_CACHE_DIR", "XDG_CACHE_HOME")


class Fresh:
    """Runs programs in fresh processes on chosen cores.

    `patience` tells, before each run, how many seconds it may last.
    """

    def __init__(
        self, threads: int, cores: Sequence[int], patience: Callable[[], float] = lambda: 180.0
    ) -> None:
        self.threads, self.cores, self.patience = threads, list(cores), patience

    def seconds(
        self, program: str, *, empty_cache: bool = False, settings: dict[str, str] | None = None
    ) -> float:
        """Return the seconds from starting `program` to its exit.

        `settings` are environment variables of it.

        Raises
        ------
        Failed
            If it ends with an error or too late.
        """
        folder = tempfile.mkdtemp(prefix="bench-cache-") if empty_cache else None
        values = {**os.environ, **quiet_environment(self.threads), "PYTHONPATH": str(ROOT)}
        values |= settings or {}
        # A user's Python keeps the bytecode of what it imports, whatever ours was told.
        values.pop("PYTHONDONTWRITEBYTECODE", None)
        if folder:
            values |= dict.fromkeys(CACHES, folder)
        if set(self.cores) != set(machine.available_cores()):
            program = f"import os; os.sched_setaffinity(0, {self.cores!r})\n{program}"
        timeout = self.patience()
        try:
            begin = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", program],
                env=values,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
            spent = time.perf_counter() - begin
        except subprocess.TimeoutExpired as error:
            raise Failed(f"did not end within {timeout:.0f} s", "slow") from error
        finally:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
        if done.returncode:
            words = done.stderr.strip().splitlines()
            raise Failed(words[-1][:300] if words else f"exit code {done.returncode}")
        return spent


@dataclass(frozen=True)
class Program:
    """A program to be timed.

    Attributes
    ----------
    text : str
        Python source.
    warm : bool
        Whether it runs once untimed, which leaves its compiled code on disk.
    empty : bool
        Whether each run gets empty folders for compiled code.
    settings : dict
        Environment variables of its process.
    """

    text: str
    warm: bool = False
    empty: bool = False
    settings: dict[str, str] = field(default_factory=dict)


def _time_all(
    programs: dict[str, Program], fresh: Fresh, rounds: int, budget: float
) -> dict[str, Side]:
    """Time programs in turn and return their sides, those that fail with the reason."""

    def runner(program: Program) -> Guarded:
        return Guarded(
            lambda _: fresh.seconds(
                program.text, empty_cache=program.empty, settings=program.settings
            )
        )

    begin = time.perf_counter()
    blocks = {name: runner(program) for name, program in programs.items()}
    for name, program in programs.items():
        if program.warm:
            blocks[name](0.0)
    left = budget - (time.perf_counter() - begin)
    samples = interleave(blocks, rounds=rounds, seconds=0.0, budget=max(0.0, left))
    return {
        name: Side(block.status, block.reason) if block.reason else Side(samples=samples[name])
        for name, block in blocks.items()
    }


def _once(starts: dict[str, str]) -> dict[str, str]:
    """Return `starts` without later keys that would run what stands already."""

    def run(key: str) -> Any:
        return starts[key], _settings(key).items()

    first = {str(run(key)): key for key in reversed(starts)}
    return {key: text for key, text in starts.items() if first[str(run(key))] == key}


def _settings(key: str) -> dict[str, str]:
    return dict(PEERS[key].settings) if key in PEERS else {}


Sides = dict[str, Side]


def cold_start(
    keys: Sequence[str], fresh: Fresh, rounds: int, budget: float
) -> tuple[Sides, Sides]:
    """Time the program on every side that speaks Keras.

    Returns
    -------
    warm, empty : dict
        Sides with the engine's compiled code on disk, and without. The peers keep
        no compiled code: their samples are the same in both.
    """
    starts = _once({key: STARTS[key] for key in keys if key in STARTS})
    programs = {
        key: Program(PROGRAM.format(start=start), warm=key in OURS, settings=_settings(key))
        for key, start in starts.items()
    }
    empty = {
        f"empty {key}": dataclasses.replace(programs[key], warm=False, empty=True)
        for key in OURS
        if key in programs
    }
    warm = _time_all(programs | empty, fresh, rounds, budget)
    first = {name.removeprefix("empty "): warm.pop(name) for name in empty}
    return warm, warm | first


def imports(keys: Sequence[str], fresh: Fresh, rounds: int, budget: float) -> Sides:
    """Time the import of each side, and of NumPy and Numba for comparison."""
    named = _once({key: PEERS[key].start for key in keys})
    named |= {name: f"import {name}" for name in ("numpy", "numba")}
    programs = {
        name: Program(text, warm=True, settings=_settings(name)) for name, text in named.items()
    }
    return _time_all(programs, fresh, rounds, budget)
