"""Run a program's text, as it stands on Keras and with its imports changed on the engine.

A program is an ordinary script. What it leaves in its global names and what it
prints is what two runs are compared by. A function called `build` makes its models:
the engine's run starts them from the weights that Keras's had.
"""

import ast
import io
import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# What somebody moving to the engine writes; nothing else in the program changes.
IMPORTS = [
    (r"import tensorflow as tf$", "import rnn_engine as tf"),
    (r"from tensorflow import keras$", "from rnn_engine import keras"),
    (r"from tensorflow\.keras(\.[\w.]+)? import", r"from rnn_engine\1 import"),
    (r"import tensorflow\.keras as", "import rnn_engine as"),
    (r"import keras$", "import rnn_engine as keras"),
    (r"from keras(\.[\w.]+)? import", r"from rnn_engine\1 import"),
]


def with_engine(text: str) -> str:
    """Return a program with its imports of Keras changed into ours."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        for pattern, ours in IMPORTS:
            lines[i] = re.sub(f"^{pattern}", ours, lines[i])
            if lines[i] != line:
                break
    return "\n".join(lines)


@dataclass
class Run:
    """What a program left behind: its names, its output, the exception that ended it."""

    names: dict[str, Any]
    printed: str
    error: BaseException | None = None
    weights: list[list[np.ndarray]] = field(default_factory=list)


def run(text: str, folder: Any, weights: list[list[np.ndarray]] | None = None) -> Run:
    """Run a program in `folder`; `weights` are those its models start from, in order."""
    made: list[list[np.ndarray]] = []

    def shared(build: Callable[[], Any]) -> Callable[[], Any]:
        def build_shared() -> Any:
            model = build()
            if weights is not None:
                model.set_weights(weights[len(made)])
            made.append([np.array(w) for w in model.get_weights()])
            return model

        return build_shared

    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "build":
            node.decorator_list.append(ast.copy_location(ast.Name("__shared__", ast.Load()), node))
    names: dict[str, Any] = {"__name__": "__main__", "__shared__": shared}
    printed = io.StringIO()
    error = None
    with inside(folder), redirect_stdout(printed), warnings.catch_warnings():
        # Keras warns of its own habits, such as `input_shape` in a first layer.
        warnings.simplefilter("ignore")
        try:
            exec(compile(tree, "<program>", "exec"), names)
        except Exception as caught:
            error = caught
    names = {name: value for name, value in names.items() if not name.startswith("__")}
    return Run(names, printed.getvalue(), error, made)


@contextmanager
def inside(folder: Any) -> Any:
    """Work in a folder of one's own."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def random_names(text: str) -> set[str]:
    """Return the names of a program's docstring of which only the shape is compared."""
    found = re.search(r"^Random: ([\w, ]+)\.$", ast.get_docstring(ast.parse(text)) or "", re.M)
    return set(found[1].split(", ")) if found else set()


_SKIP = object()
_TENSORS = ("EagerTensor", "Traced")  # TensorFlow's, and that of a tape of ours


def plain(value: Any) -> Any:
    """Return numbers, text and what holds them, as plain as two libraries can share."""
    if hasattr(value, "history") and hasattr(value, "epoch"):
        return {"history": plain(value.history), "epoch": plain(value.epoch)}
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple) or type(value).__name__ == "TensorShape":
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic) or type(value).__name__ in _TENSORS:
        return np.asarray(value)
    return _SKIP


def differences(keras: Any, ours: Any, where: str, tolerance: float, numbers: bool) -> list[str]:
    """Return what is not the same in two plain values; `numbers` to compare those too."""
    if keras is _SKIP or ours is _SKIP:
        return [] if keras is ours else [f"{where}: {keras!r} against {ours!r}"]
    if isinstance(keras, dict) and isinstance(ours, dict):
        if list(keras) != list(ours):
            return [f"{where}: keys {list(keras)} against {list(ours)}"]
        pairs = [(f"{where}[{key!r}]", keras[key], ours[key]) for key in keras]
    elif isinstance(keras, list) and isinstance(ours, list):
        if len(keras) != len(ours):
            return [f"{where}: {len(keras)} entries against {len(ours)}: {keras} {ours}"]
        pairs = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip(keras, ours, strict=True))]
    else:
        return _leaf(keras, ours, where, tolerance, numbers)
    return [line for at, a, b in pairs for line in differences(a, b, at, tolerance, numbers)]


def _leaf(keras: Any, ours: Any, where: str, tolerance: float, numbers: bool) -> list[str]:
    exact = (str, bool, type(None))
    if isinstance(keras, exact) or isinstance(ours, exact):
        same = type(keras) is type(ours) and (keras == ours or not numbers)
        return [] if same else [f"{where}: {keras!r} against {ours!r}"]
    if isinstance(keras, dict | list) or isinstance(ours, dict | list):
        return [f"{where}: {keras!r} against {ours!r}"]
    a, b = np.asarray(keras), np.asarray(ours)
    if a.shape != b.shape or a.dtype.kind in "SUO" or b.dtype.kind in "SUO":
        same = a.shape == b.shape and a.tolist() == b.tolist()
        return [] if same else [f"{where}: {a!r} against {b!r}"]
    if isinstance(keras, np.ndarray) and (a.dtype.kind == "f") != (b.dtype.kind == "f"):
        return [f"{where}: dtype {a.dtype} against {b.dtype}"]
    if not numbers or not a.size:
        return []
    a, b = a.astype("float64"), b.astype("float64")
    scale = np.max(np.abs(a[np.isfinite(a)]), initial=1e-3)
    close = np.isclose(a, b, rtol=0, atol=tolerance * scale, equal_nan=True)
    return [] if close.all() else [f"{where}: {keras!r} against {ours!r}"]


_NUMBER = re.compile(r"-?\d+\.\d*(?:e[-+]?\d+)?")
_TIME = re.compile(r"\d+m?u?s(/step|/epoch)?")


def _form(line: str) -> str:
    """Return a line without its numbers, and without the spaces that align them."""
    return re.sub(r"\s+", " ", _NUMBER.sub("N", line)).replace(" ]", "]").replace("[ ", "[")


def print_differences(keras: str, ours: str, tolerance: float) -> list[str]:
    """Return what is not the same in two outputs; times are left out."""
    a, b = (_TIME.sub("TIME", text).split("\n") for text in (keras, ours))
    if [_form(line) for line in a] != [_form(line) for line in b]:
        return [f"printed:\n{keras}\nagainst\n{ours}"]
    left, right = ([float(n) for line in lines for n in _NUMBER.findall(line)] for lines in (a, b))
    return differences(left, right, "printed", tolerance, True)
