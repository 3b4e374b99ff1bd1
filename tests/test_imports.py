"""Imports point one way, and the runtime needs numpy and numba only."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE = sorted((ROOT / "rnn_engine").rglob("*.py"))

RUNTIME = {"numpy", "numba", "rnn_engine"}
# Packages that an extra brings, each imported inside the one function that needs it.
LAZY = {
    "tqdm", "h5py", "matplotlib", "IPython", "PIL", "tensorboardX", "tensorboard", "threadpoolctl",
    "onnx", "safetensors", "pandas", "polars", "pyfive",
}  # fmt: skip
# Parts that nothing else loads, and what each stands on.
PARTS = {"sklearn": {"sklearn"}, "cli": {"click", "matplotlib", "pandas"}}
FRAMEWORKS = {"tensorflow", "keras", "torch", "jax", "scipy", "onnxruntime", "openvino"}
# A module of PyTorch, made when a user asks for one.
TORCH = ROOT / "rnn_engine/saving/pytorch/chain.py"

SUPPORT = {"config", "registry", "random", "variable", "checks", "utils", "graph"}
FUNCTIONS = {
    "activations", "losses", "metrics", "optimizers", "initializers", "regularizers", "constraints",
}  # fmt: skip
ABOVE_LAYERS = {
    "model", "sequential", "functional", "functional_config", "models", "training", "callbacks",
    "saving", "sklearn", "cli", "forecasting", "many", "tables",
}  # fmt: skip

# What a part of the engine must not know.
FORBIDDEN = {
    "kernels": SUPPORT | FUNCTIONS | ABOVE_LAYERS | {"layers"},
    **dict.fromkeys(SUPPORT, FUNCTIONS | ABOVE_LAYERS | {"layers"}),
    **dict.fromkeys(FUNCTIONS, ABOVE_LAYERS | {"layers"}),
    "layers": ABOVE_LAYERS,
    "training": {"layers", "model", "sequential", "functional", "models", "saving"},
    "callbacks": {"layers", "model", "sequential", "functional", "models", "saving"},
}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the full names that a file imports, and whether at module level."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in lazy
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) not in lazy


def part_of(path: Path) -> str:
    """Return the part of the engine a file belongs to: its package or module."""
    first = path.relative_to(ROOT / "rnn_engine").parts[0]
    return first.removesuffix(".py")


def test_the_walk_finds_the_engine() -> None:
    parts = {part_of(path) for path in ENGINE}
    assert {"kernels", "layers", "losses", "optimizers", "training"} <= parts
    kernel_names = {name for name, _ in imports(ROOT / "rnn_engine/kernels/recurrent/walker.py")}
    assert "rnn_engine.kernels.gemm.gemm" in kernel_names


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_runtime_dependencies(path: Path) -> None:
    for name, at_import in imports(path):
        package = name.split(".")[0]
        allowed = RUNTIME | set(sys.stdlib_module_names)
        if part_of(path) in ("kernels", "system"):
            # Comes with Numba: the microkernel emits its IR, `info` asks it about the CPU.
            allowed |= {"llvmlite"}
        if path.name == "engine.py" and part_of(path) == "autodiff":
            # Loaded when something has to be differentiated that has no backward by hand.
            allowed |= {"autograd"}
        if path == TORCH:
            allowed |= {"torch"}
        allowed |= PARTS.get(part_of(path), set())
        if not at_import:
            allowed |= LAZY
        assert package in allowed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_directions(path: Path) -> None:
    part = part_of(path)
    for name, _ in imports(path):
        words = name.split(".")
        if words[0] == "rnn_engine" and len(words) > 1:
            target = words[1]
            assert target not in FORBIDDEN.get(part, set()), f"{part} imports {name}"


def test_frameworks_stay_on_the_reference_side() -> None:
    outside = [*ENGINE, *(ROOT / "examples").rglob("*.py")]
    users = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in outside
        for name, _ in imports(path)
        if name.split(".")[0] in FRAMEWORKS and path != TORCH
    ]
    assert not users


def test_every_folder_is_a_package() -> None:
    """A package in a folder that is none is loaded twice by tools that look for its root.

    Kernels of the two copies then ask for each other's symbols, which ends the process.
    """
    folders = {path.parent for path in ENGINE}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_oracle_does_not_know_the_engine() -> None:
    for module in ("oracle", "oracle_functions", "oracle_training", "running_error", "compare"):
        names = {name.split(".")[0] for name, _ in imports(ROOT / "reference" / f"{module}.py")}
        assert not names & (FRAMEWORKS | {"rnn_engine"}), module


def run(code: str) -> str:
    """Run a program in a fresh process and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


FIRST_PROGRAM = """
import sys, numpy, {first}
before = set(sys.modules)
import rnn_engine
x = numpy.ones((2, 4, 1), "float32")
model = rnn_engine.Sequential(
    [rnn_engine.layers.SimpleRNN(5, input_shape=(4, 1)), rnn_engine.layers.Dense(1)]
)
model.compile("adam", "mse")
model.fit(x, x[:, 0], epochs=3, verbose=0)
model.predict(x, verbose=0)
print(*sorted(set(sys.modules) - before))
"""


def test_the_names_of_the_engine_load_no_framework() -> None:
    # numba itself imports scipy where that is installed
    code = """
import sys, numba
before = set(sys.modules)
import rnn_engine
for module in [rnn_engine, *(getattr(rnn_engine, name) for name in rnn_engine.__all__)]:
    for name in getattr(module, "__all__", ()):
        getattr(module, name)
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""
    loaded = set(run(code).split())
    assert "rnn_engine" in loaded
    assert not loaded & (FRAMEWORKS | LAZY | {"autograd", "sklearn", "click"})


def test_an_import_leaves_the_collector_as_it_was() -> None:
    """Neither thaws what the program has frozen, nor keeps anything frozen, nor switches it on."""
    program = """
import gc
gc.freeze()
before = gc.get_freeze_count()
gc.disable()
import rnn_engine
assert not gc.isenabled()
gc.enable()
for name in [n for n in __import__("sys").modules if n.startswith("rnn_engine")]:
    del __import__("sys").modules[name]
import rnn_engine
assert gc.isenabled()
assert before - 100 < gc.get_freeze_count() <= before, "some die, none is thawed"
"""
    for text in (
        program,
        "import gc, rnn_engine; assert gc.isenabled() and not gc.get_freeze_count()",
    ):
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
