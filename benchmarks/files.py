"""Save and load a model of 10 million parameters, beside Keras, safetensors and PyTorch.

``python -m benchmarks.files``: best of several, each side in a process of its own, in turn; the
files lie in the system's cache. Memory is what a load adds to the peak of the process, as a part
of the file. Safetensors keeps arrays only, PyTorch a state_dict, of which its side makes a module
and this library a model; a side that is not installed is left out.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

UNITS = 1480  # an LSTM and a Dense of 10.1 million parameters
FEATURES, OUTPUTS = 220, 8
SIDES = ("rnn_engine", "keras", "safetensors", "torch")
# By the ending: who saves it, who loads it.
FORMATS: dict[str, tuple[list[str], list[str]]] = {
    ".keras": (["rnn_engine", "keras"], ["rnn_engine", "keras"]),
    ".npz": (["rnn_engine"], ["rnn_engine"]),
    ".h5": (["rnn_engine", "keras"], ["rnn_engine", "keras"]),
    ".weights.h5": (["rnn_engine", "keras"], ["rnn_engine", "keras"]),
    ".safetensors": (["safetensors", "rnn_engine"], ["rnn_engine", "safetensors"]),
    ".pt": (["torch"], ["rnn_engine", "torch"]),
}


def model_of(package: Any, units: int = UNITS, features: int = FEATURES) -> Any:
    """Return the model, ours or Keras's."""
    layers = package.layers
    return package.Sequential(
        [layers.Input((4, features)), layers.LSTM(units), layers.Dense(OUTPUTS)]
    )


def module_of(units: int, features: int) -> Any:
    """Return the module of PyTorch."""
    import torch

    return torch.nn.ModuleDict(
        {"lstm": torch.nn.LSTM(features, units), "dense": torch.nn.Linear(units, OUTPUTS)}
    )


def peak() -> int:
    """Return the most memory that the process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


Steps = tuple[Callable[[str], Any], Callable[[str], Any]]


def of_package(package: Any, path: str, units: int, features: int) -> Steps:
    """Return what saves and what loads a file, ours or Keras's."""
    model = model_of(package, units, features)
    if path.endswith(".weights.h5"):
        return model.save_weights, model.load_weights
    if path.endswith(".pt"):
        from rnn_engine.saving import from_torch

        return model.save, lambda place: from_torch(place, return_sequences=False)
    return model.save, package.models.load_model


def of_safetensors(units: int, features: int) -> Steps:
    """Return what saves and what loads the arrays alone."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    shapes = [(features, 4 * units), (units, 4 * units), (4 * units,), (units, OUTPUTS), (OUTPUTS,)]
    arrays = {str(i): np.ones(shape, np.float32) for i, shape in enumerate(shapes)}
    return lambda place: save_file(arrays, place), load_file


def of_torch(units: int, features: int) -> Steps:
    """Return what saves a state_dict, and what loads it into a new module."""
    import torch

    module = module_of(units, features)

    def load(place: str) -> Any:
        with torch.device("meta"):  # as fast as it goes: no weight is drawn
            made = module_of(units, features)
        made.load_state_dict(torch.load(place, weights_only=True), assign=True)
        return made

    return lambda place: torch.save(module.state_dict(), place), load


def steps(side: str, path: str, units: int = UNITS, features: int = FEATURES) -> Steps:
    """Return what saves and what loads a file."""
    if side == "safetensors":
        return of_safetensors(units, features)
    if side == "torch":
        return of_torch(units, features)
    return of_package(__import__(side), path, units, features)


def measure(side: str, what: str, path: str, repeats: int) -> str:
    """Return seconds of a save or a load, and what it adds to the peak of memory."""
    with tempfile.TemporaryDirectory() as folder:  # what a first use imports is not the file's
        first = os.path.join(folder, f"s{path[path.index('m.') + 1 :]}")
        save, load = steps(side, first, 4, 3)
        if path.endswith(".pt") and side != "torch":
            first = path
        else:
            save(first)
        load(first)
    whole = what == "load" and side != "torch" and not path.endswith(".weights.h5")
    save, load = steps(side, path, *((4, 3) if whole else ()))
    before, best, added = peak(), float("inf"), 0
    for number in range(repeats):
        start = time.perf_counter()
        (save if what == "save" else load)(path)
        best = min(best, time.perf_counter() - start)
        added = peak() - before if number == 0 else added
    return f"{best} {added}"


def row(ending: str, what: str, sides: list[str], path: str, repeats: int) -> str:
    """Return a line of the table."""
    cells: dict[str, str] = {}
    for side in reversed(SIDES):  # ours saves last: what safetensors writes is no model
        if side not in sides or find_spec(side) is None:
            cells[side] = f"{'':19}"
            continue
        command = [sys.executable, "-m", "benchmarks.files", "--one", side, what, path]
        command += ["--repeats", str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, memory = map(float, done.stdout.split()[-2:])
        share = f"{memory / os.path.getsize(path):5.2f}" if what == "load" else ""
        cells[side] = f"{1e3 * seconds:8.1f} ms {share:5}  "
    ordered = [cells[side] for side in SIDES]
    return " ".join([f"{ending:13} {what:5}", *ordered, f"{os.path.getsize(path) / 1e6:6.2f} MB"])


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
    print(f"{'':19} {'rnn_engine':19} {'Keras':19} {'safetensors':19} {'PyTorch':19} file")
    with tempfile.TemporaryDirectory() as folder:
        for ending, (save, load) in FORMATS.items():
            path = os.path.join(folder, f"m{ending}")
            if all(find_spec(side) is None for side in save):
                continue
            for what, sides in (("save", save), ("load", load)):
                print(row(ending, what, sides, path, options.repeats), flush=True)
    print(f"load average {os.getloadavg()[0]:.1f}; behind a load what it adds to memory / file")


if __name__ == "__main__":
    main()
