"""Blocks of a stream beside C++ on Eigen, compiled here for this processor and these sizes.

python -m benchmarks.eigen [--units 32] [--features 1] [--block 64] [--include /usr/include/eigen3]

Eigen is what RTNeural's default backend computes with, gate by gate as here. Both sides are called
from Python in turn; their outputs are compared first. Needs g++ and Eigen's headers.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.streaming import CELLS, make
from benchmarks.timing import interleave, timed_block

SOURCE = Path(__file__).with_name("eigen.cpp")


def compiled(cell: str, units: int, features: int, include: str, folder: str) -> Any:
    """Return the library for a cell and its sizes."""
    target = f"{folder}/{cell}.so"
    sizes = [f"-DCELL={CELLS.index(cell)}", f"-DUNITS={units}", f"-DFEATURES={features}"]
    options = ["-std=c++20", "-O3", "-march=native", "-DNDEBUG", "-shared", "-fPIC", *sizes]
    subprocess.run(["g++", *options, f"-I{include}", str(SOURCE), "-o", target], check=True)
    return ctypes.CDLL(target)


def address(array: np.ndarray) -> Any:
    """Return where a float32 array lies."""
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def eigen_side(library: Any, model: Any, x: np.ndarray) -> tuple[Callable[[], Any], np.ndarray]:
    """Return a call that takes x (1, T, F) on from state to state, and the array it fills."""
    weights = [np.ascontiguousarray(w, np.float32) for w in model.get_weights()]
    library.load(*map(address, weights))
    y = np.empty((1, x.shape[1], model.layers[-1].units), np.float32)
    places, steps = (address(x), address(y)), ctypes.c_int(x.shape[1])
    return (lambda: library.process(*places, steps)), y


def measure(cell: str, library: Any, sizes: tuple[int, int, int], rounds: int) -> str:
    """Return a row of the table: best times of both, and ours over theirs."""
    units, features, block = sizes
    model = make(cell, units, features)
    session = model.stream()
    x = np.random.default_rng(1).normal(size=(1, block, features)).astype(np.float32)
    theirs, y = eigen_side(library, model, x)
    for _ in range(3):
        theirs()
        np.testing.assert_allclose(y, session.process(x), atol=1e-5)
    out = session.process(x)
    calls = {"ours": lambda: session.process(x, out=out), "theirs": theirs}
    sides = {name: (lambda s, c=call: timed_block(c, s)) for name, call in calls.items()}
    found = interleave(sides, rounds=rounds, seconds=0.02)
    ours, other = (min(found[name]) * 1e6 for name in calls)
    return f"| {cell} | {ours:.1f} µs | {other:.1f} µs | {ours / other:.2f} |"


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return the exit status."""
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, usual in (("units", 32), ("features", 1), ("block", 64), ("rounds", 15)):
        made.add_argument(f"--{name}", type=int, default=usual)
    made.add_argument("--include", default="/usr/include/eigen3", help="Eigen's headers")
    given = made.parse_args(arguments)
    if not Path(given.include, "Eigen", "Dense").exists():
        print(f"No Eigen in {given.include} (Debian: libeigen3-dev).", file=sys.stderr)
        return 1
    sizes = given.units, given.features, given.block
    print("| U = {}, F = {}, {} samples | ours | Eigen | ours / Eigen |".format(*sizes))
    print("|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for cell in CELLS:
            library = compiled(cell, given.units, given.features, given.include, folder)
            print(measure(cell, library, sizes, given.rounds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
