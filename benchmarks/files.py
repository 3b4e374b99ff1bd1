"""Save and load a model of 10 million parameters in each format, beside Keras.

``python -m benchmarks.files``: best of several, each side in a process of its own, in turn; the
files lie in the system's cache. Memory is what a load adds to the peak of the process, as a part
of the file.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

ENDINGS = (".keras", ".npz", ".h5", ".weights.h5")
UNITS = 1480  # an LSTM and a Dense of 10.1 million parameters


def model_of(package: Any) -> Any:
    """Return the model, ours or Keras's."""
    layers = package.layers
    return package.Sequential([layers.Input((4, 220)), layers.LSTM(UNITS), layers.Dense(8)])


def peak() -> int:
    """Return the most memory that the process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(side: str, what: str, path: str, repeats: int) -> str:
    """Return seconds of a save or a load, and what it adds to the peak of memory."""
    if side == "Keras":
        import keras as package
    else:
        import rnn_engine as package
    load = package.models.load_model
    weights = path.endswith(".weights.h5")
    model: Any = model_of(package) if weights or what == "save" else None
    small = package.Sequential([package.layers.Input((2,)), package.layers.Dense(1)])
    with tempfile.TemporaryDirectory() as folder:  # what a first use imports is not the file's
        first = os.path.join(folder, f"s{path[path.index('m.') + 1 :]}")
        (small.save_weights if weights else small.save)(first)
        (small.load_weights if weights else load)(first)
    before, best, added = peak(), float("inf"), 0
    for number in range(repeats):
        start = time.perf_counter()
        if what == "save":
            (model.save_weights if weights else model.save)(path)
        elif weights:
            model.load_weights(path)
        else:
            load(path)
        best = min(best, time.perf_counter() - start)
        added = peak() - before if number == 0 else added
    return f"{best} {added}"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", nargs=3, metavar=("SIDE", "WHAT", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        side, what, path = options.one
        print(measure(side, what, path, options.repeats))
        return
    print(f"{'':12} {'':5} {'rnn_engine':>11} {'Keras':>9} {'ratio':>6}  memory / file (Keras)")
    with tempfile.TemporaryDirectory() as folder:
        for ending in ENDINGS:
            path = os.path.join(folder, f"m{ending}")
            for what in ("save", "load"):
                sides = ["rnn_engine", *(["Keras"] if ending != ".npz" else [])]
                times, memory = {}, {}
                for side in sides:
                    command = [sys.executable, "-m", "benchmarks.files", "--one", side, what, path]
                    command += ["--repeats", str(options.repeats)]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    times[side], memory[side] = map(float, done.stdout.split()[-2:])
                size = os.path.getsize(path)
                ours, theirs = times["rnn_engine"], times.get("Keras")
                line = f"{ending:12} {what:5} {1e3 * ours:8.1f} ms"
                line += f" {1e3 * theirs:6.1f} ms {ours / theirs:6.2f}" if theirs else " " * 17
                line += f"  {memory['rnn_engine'] / size:.2f}"
                print(line + (f" ({memory['Keras'] / size:.2f})" if theirs else ""), flush=True)


if __name__ == "__main__":
    main()
