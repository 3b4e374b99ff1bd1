"""The matrix of round trips: format × version × layer × direction.

``make matrix`` prints three tables, with a row for each of some models, and by ``--layers`` for
each layer, too, whose name has a dot behind it: what was written here and read by the other
program, what the other wrote and was read here, and what was written and read here. A cell is the
largest difference of outputs, with ``!`` if that is more than rounding, or the number of a reason
below the table: a refusal, or a program that is not installed. ``--keras PYTHON ...`` adds Keras
of other versions. PyTorch writes ONNX by its own exporter; graphs of other exporters are in
`onnx_files`.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import rnn_engine
from rnn_engine.saving import from_onnx, from_torch, load_model, to_onnx, to_rtneural, to_torch
from tests.saving.matrix_models import ENDINGS, MODELS, add_layers, inputs, scatter

MOST = 1e-5
OWN = (".npz", ".safetensors", ".keras", ".h5", ".onnx", "torch")
Table = dict[str, dict[str, float | str]]


def made(name: str) -> Any:
    """Return a model of this library with all its weights set, its layers counted from zero."""
    rnn_engine.utils.clear_session()
    return scatter(MODELS[name](rnn_engine))


def predicted(model: Any, name: str) -> np.ndarray:
    """Return what a model of this library gives."""
    return np.asarray(model.predict(inputs(name), verbose=0))


def difference(ours: Any, theirs: Any) -> float:
    """Return the largest difference, infinite if the shapes differ."""
    ours, theirs = np.asarray(ours, "f8"), np.asarray(theirs, "f8")
    return float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else np.inf


def cell(trip: Callable[[], float]) -> float | str:
    """Return what a round trip gives, or why there is none."""
    try:
        return trip()
    except (ValueError, NotImplementedError, ImportError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


# --- Keras of any version -----------------------------------------------------------------


def ran(python: str, what: str, folder: Path) -> dict[str, str]:
    """Run Keras's side in a folder; return what it could not do, by name and ending."""
    script = Path(__file__).with_name("matrix_models.py")
    command = [python, str(script), what, str(folder), *(["layers"] if "Dense." in MODELS else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{python}: {done.stderr[-500:]}")
    return dict(json.loads((folder / "said.json").read_text()))


def version_of(python: str) -> str:
    """Return the version of Keras that belongs to a Python."""
    command = [python, "-c", "from importlib.metadata import version; print(version('keras'))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def keras_reads(python: str, names: list[str]) -> Table:
    """Return a column for each format: written here, read by Keras."""
    refused, expected = {}, {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in names:
            model = made(name)
            expected[name] = predicted(model, name)
            for ending in ENDINGS:
                path = folder / f"{name}{ending}"
                try:
                    (model.save_weights if ending == ".weights.h5" else model.save)(path)
                except ValueError as error:
                    refused[name + ending] = str(error)
        refused.update(ran(python, "read", folder))
        return _by_ending(names, refused, lambda name, ending: difference(
            np.load(folder / f"{name}{ending}.npy"), expected[name]))  # fmt: skip


def keras_writes(python: str, names: list[str]) -> Table:
    """Return a column for each format: written by Keras, read here."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        refused, old = ran(python, "write", folder), version_of(python) < "3"

        def trip(name: str, ending: str) -> float:
            path = folder / f"{name}{ending}"
            if ending == ".weights.h5":
                model = MODELS[name](rnn_engine)
                if old and "hard_sigmoid" in model.to_json():
                    raise ValueError(
                        "hard_sigmoid is another function in Keras 2, which weights do not tell"
                    )
                model.load_weights(path)
            else:
                model = load_model(path)
            return difference(predicted(model, name), np.load(folder / f"{name}.npy"))

        return _by_ending(names, refused, trip)


def _by_ending(
    names: list[str], refused: dict[str, str], trip: Callable[[str, str], float]
) -> Table:
    return {
        ending: {
            name: refused.get(name + ending) or cell(partial(trip, name, ending)) for name in names
        }
        for ending in ENDINGS
    }


# --- others ---------------------------------------------------------------------------------


def torch_reads(name: str, folder: Path) -> float:
    """Written here as a module, run by PyTorch."""
    model = made(name)
    return difference(_of_module(to_torch(model), name), predicted(model, name))


def torch_writes(name: str, folder: Path) -> float:
    """A module of PyTorch with numbers of its own, read here."""
    module = _module(name)
    return difference(predicted(from_torch(module), name), _of_module(module, name))


def _module(name: str) -> Any:
    """Return the module for a model, with new weights that PyTorch draws."""
    module = to_torch(made(name))
    import torch

    torch.manual_seed(5)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) - (0.4 if tensor.ndim > 1 else 0))
    return module.eval()


def _of_module(module: Any, name: str) -> np.ndarray:
    import torch

    with torch.no_grad():
        return np.asarray(module(torch.from_numpy(inputs(name))))


def onnx_reads(name: str, folder: Path) -> float:
    """Written here, run by ONNX Runtime."""
    model = made(name)
    to_onnx(model, folder / "m.onnx")
    return difference(_of_runtime(folder / "m.onnx", name), predicted(model, name))


def onnx_writes(name: str, folder: Path) -> float:
    """Written by PyTorch's exporter, read here, beside ONNX Runtime."""
    module = _module(name)
    import torch

    x, path = torch.from_numpy(inputs(name)), folder / "t.onnx"
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(module, (x,), str(path), dynamo=False)
    return difference(predicted(from_onnx(path), name), _of_runtime(path, name))


def _of_runtime(path: Path, name: str) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    xs = inputs(name) if isinstance(inputs(name), list) else [inputs(name)]
    named = {port.name: x for port, x in zip(session.get_inputs(), xs, strict=True)}
    return np.asarray(session.run(None, named)[0])


def c_runs(name: str, folder: Path) -> float:
    """Exported to C, compiled, and run."""
    from tests.export.models import Program

    model, x = made(name), inputs(name)
    wanted, program = predicted(model, name), Program(model, folder / "net")
    shape = (len(x), x.shape[1], wanted.size // wanted.shape[-1] // len(x))
    found = program.run(np.asarray(x, "f4"), "predict", *shape)
    return difference(found.reshape(wanted.shape), wanted)


def rtneural_reads(name: str, folder: Path) -> float:
    """Written for RTNeural, run by the reader that the tests have of it."""
    from tests.saving.test_rtneural import Runner

    model = made(name)
    to_rtneural(model, folder / "m.json")
    content = json.loads((folder / "m.json").read_text())
    rows = np.stack([Runner(content)(row) for row in inputs(name)])
    wanted = predicted(model, name)
    return difference(rows if wanted.ndim == 3 else rows[:, -1], wanted)


def here(name: str, folder: Path, ending: str) -> float:
    """Written and read by this library."""
    model, path = made(name), folder / f"m{ending}"
    if ending == "torch":
        again = from_torch(to_torch(model))
    elif ending == ".onnx":
        to_onnx(model, path)
        again = from_onnx(path)
    else:
        model.save(path)
        again = load_model(path)
    return difference(predicted(again, name), predicted(model, name))


OUT = {"torch": torch_reads, "onnx": onnx_reads, "C": c_runs, "RTNeural": rtneural_reads}
IN = {"torch": torch_writes, "onnx": onnx_writes}


def column(trip: Callable[..., float], names: list[str], *arguments: Any) -> dict[str, float | str]:
    """Return a cell for each model, each trip in a folder of its own."""
    found = {}
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            found[name] = cell(partial(trip, name, Path(place), *arguments))
    return found


def tables(pythons: list[str], names: list[str]) -> Iterator[tuple[str, Table]]:
    """Yield the title and the columns of each table."""
    versions = {python: version_of(python) for python in pythons}
    for title, keras, others in (
        ("written here, read by the other", keras_reads, OUT),
        ("written by the other, read here", keras_writes, IN),
    ):
        table: Table = {}
        for python, version in versions.items():
            if version < "3" and keras is keras_reads:
                continue  # it knows no file of Keras 3
            found = keras(python, names)
            table.update({f"{version} {ending}": values for ending, values in found.items()})
        table.update({key: column(trip, names) for key, trip in others.items()})
        yield title, table
    yield "written and read here", {ending: column(here, names, ending) for ending in OWN}


def printed(title: str, table: Table, names: list[str]) -> int:
    """Print a table and its reasons; return how many cells are more than rounding."""
    reasons: dict[str, int] = {}
    wrong = 0
    wide = max(16, *map(len, names))
    print(f"\n{title}\n{'':{wide}}", *(f"{key:>{_width(key)}}" for key in table))
    for name in names:
        cells = []
        for key, values in table.items():
            value = values[name]
            if isinstance(value, str):
                reason = " ".join(value.split())[:200]
                text = f"({reasons.setdefault(reason, len(reasons) + 1)})"
            else:
                wrong += not value <= MOST
                text = f"{value:.0e}" + ("" if value <= MOST else "!")
            cells.append(f"{text:>{_width(key)}}")
        print(f"{name:{wide}}", *cells, flush=True)
    for reason, number in reasons.items():
        print(f"  ({number}) {reason}")
    return wrong


def _width(key: str) -> int:
    return max(7, len(key))


def main() -> int:
    """Print the tables; the status is 1 if a difference is more than rounding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keras", nargs="*", default=[], metavar="PYTHON")
    parser.add_argument("--models", nargs="*", metavar="NAME")
    parser.add_argument("--layers", action="store_true", help="a model of each layer, too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.layers:
        add_layers()
    wrong, names = 0, options.models or list(MODELS)
    for title, table in tables([sys.executable, *options.keras], names):
        wrong += printed(title, table, names)
    print(f"\n{wrong} cells differ by more than {MOST:g}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
