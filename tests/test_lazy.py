"""Names are loaded when they are first used: how many, from where, and by several threads."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import rnn_engine
from rnn_engine import lazy
from rnn_engine.kernels.compiler import LIBRARY
from rnn_engine.registry import Registry
from tests.kernels.process import finish, start
from tests.test_imports import FIRST_PROGRAM, ROOT, run

# Modules that need an extra, or that run a program of their own.
APART = ("rnn_engine.cli", "rnn_engine.sklearn", "rnn_engine.saving.pytorch.chain",
         "rnn_engine.kernels.build", "rnn_engine.__main__")  # fmt: skip
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages([str(ROOT / "rnn_engine")], "rnn_engine.")
    if not found.name.startswith(APART)
)
NAMESPACES = [
    "activations", "backend", "callbacks", "config", "constraints", "initializers", "layers",
    "losses", "metrics", "models", "optimizers", "optimizers.schedules", "preprocessing", "random",
    "regularizers", "saving", "utils",
]  # fmt: skip


def served(module: ModuleType) -> list[str]:
    """Return the names of a module that programs see."""
    names = {*dir(module), *getattr(module, "__all__", ())}
    return sorted(name for name in names if not name.startswith("_"))


# --- how much is loaded --------------------------------------------------------------


def test_an_import_loads_next_to_nothing() -> None:
    code = (
        "import sys, numpy; b = set(sys.modules); import rnn_engine; print(*set(sys.modules) - b)"
    )
    loaded = set(run(code).split())
    ours = {name for name in loaded if name.startswith("rnn_engine")}
    assert ours - {"rnn_engine.kernels.lib._call"} == {
        "rnn_engine", "rnn_engine._tf_keras", "rnn_engine._tf_keras.keras", "rnn_engine.keras",
        "rnn_engine.src", "rnn_engine.kernels", "rnn_engine.kernels.compiler",
        "rnn_engine.kernels.library", "rnn_engine.lazy",
    }  # fmt: skip
    if LIBRARY is not None:
        assert not loaded & {"numba", "numpy.random", "tempfile", "dataclasses", "difflib"}


def test_the_first_program_loads_what_it_needs() -> None:
    loaded = set(run(FIRST_PROGRAM.format(first="os")).split())
    parts = {name: set() for name in ("callbacks", "losses", "optimizers", "saving", "graph")}
    for name in loaded:
        _, _, rest = name.partition(".")
        part, _, inner = rest.partition(".")
        if part in parts and inner:
            parts[part].add(inner)
    assert parts == {
        "callbacks": {"callback", "callback_list", "history", "progbar_logger", "progress"},
        "losses": {"base", "formula", "inputs", "reduction", "regression", "wrapper"},
        "optimizers": {"adam", "base", "schedules", "schedules.schedule", "sparse", "state",
                       "table"},
        "saving": {"saveable"},
        "graph": {"inside", "nest", "operation", "tensor"},
    }  # fmt: skip
    absent = {"functional", "summary", "system", "models", "preprocessing", "utils.sequences",
              "layers.lstm", "layers.gru", "layers.embedding", "metrics.accuracy"}  # fmt: skip
    assert not loaded & {f"rnn_engine.{name}" for name in absent}
    if LIBRARY is not None:
        assert not loaded & {"numba", "tempfile", "shutil", "zipfile", "csv", "difflib", "html"}


# --- what is served ------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMESPACES)
def test_both_names_of_a_module_serve_the_same(name: str) -> None:
    module = importlib.import_module(f"rnn_engine.{name}")
    second = importlib.import_module(f"rnn_engine.keras.{name}")
    assert module is second
    assert served(module)
    for one in served(module):
        value = getattr(module, one)
        scope: dict[str, object] = {}
        exec(f"from rnn_engine.keras.{name} import {one} as value", scope)
        assert scope["value"] is value, one
    scope = {}
    exec(f"from rnn_engine.{name} import *", scope)
    assert set(getattr(module, "__all__", ())) <= set(scope)


@pytest.mark.parametrize("name", ["", *NAMESPACES])
def test_no_module_hides_a_name(name: str) -> None:
    """The import of a module sets its name in the package, over a function of the same name."""
    module = importlib.import_module(f"rnn_engine.{name}".rstrip("."))
    modules = {found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))}
    for one in modules & lazy._PLACES[module.__name__].keys():
        assert isinstance(getattr(module, one), ModuleType), one


def declared(path: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of what a file imports for a type checker only."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for inner in node.body:
                if isinstance(inner, ast.ImportFrom):
                    yield from ((str(inner.module), alias.name) for alias in inner.names)
                elif isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Name):
                    yield from (("", f"{t.id} {inner.value.id}") for t in inner.targets
                                if isinstance(t, ast.Name))  # fmt: skip


@pytest.mark.parametrize("name", ["", *NAMESPACES])
def test_a_type_checker_sees_what_is_served(name: str) -> None:
    module = importlib.import_module(f"rnn_engine.{name}".rstrip("."))
    seen = set()
    for source, names in declared(Path(str(module.__file__))):
        own, _, other = names.partition(" ")
        expected = getattr(module, other) if other else getattr(
            importlib.import_module(source), own)  # fmt: skip
        assert getattr(module, own) is expected, own
        seen.add(own)
    later = set(lazy._PLACES[module.__name__])
    if name in ("", "backend", "config", "preprocessing"):  # hold names of other packages, too
        later &= set(getattr(module, "__all__", ())) if not name else set()
    assert later <= seen


def test_modules_are_attributes_without_an_import() -> None:
    code = "import rnn_engine; print(rnn_engine.losses.base.__name__, rnn_engine.model.__name__)"
    assert run(code).split() == ["rnn_engine.losses.base", "rnn_engine.model"]
    with pytest.raises(AttributeError, match="nonsense"):
        _ = rnn_engine.nonsense


# --- registries ----------------------------------------------------------------------


def test_what_modules_register_is_announced() -> None:
    code = f"""
import importlib, rnn_engine
from rnn_engine.registry import _REGISTRIES
for name in {NAMESPACES!r}:
    importlib.import_module("rnn_engine." + name)
before = {{kind: set(registry.entries.data) for kind, registry in _REGISTRIES.items()}}
for name in {MODULES!r}:
    importlib.import_module(name)
for kind, names in before.items():
    registry = _REGISTRIES[kind]
    for entry in registry.entries.values():
        assert not isinstance(entry, str)
    if names != set(registry.entries.data):
        print(kind, names ^ set(registry.entries.data))
    for name in names:
        own = registry.entries.data[name]
        if isinstance(own, str) and kind not in ("callback", "metric function"):
            print(kind, name)
"""
    assert run(code) == ""


def test_names_in_strings_and_configs_need_no_import() -> None:
    code = """
import rnn_engine
config = {"class_name": "LSTM", "config": {"units": 3, "name": "l"}}
print(type(rnn_engine.layers.deserialize(config)).__name__)
print(type(rnn_engine.optimizers.get("lamb")).__name__)
print(rnn_engine.losses.get("huber").__name__)
print(rnn_engine.metrics.deserialize(
    {"class_name": "MeanMetricWrapper", "config": {"fn": "hinge", "name": "h"}}).name)
model = {"class_name": "Sequential", "config": {"name": "s", "layers": [config]}}
print(type(rnn_engine.layers.deserialize(model)).__name__)
"""
    assert run(code).split() == ["LSTM", "Lamb", "huber", "h", "Sequential"]


@pytest.mark.parametrize(
    "program",
    [
        "rnn_engine.Variable('zeros', shape=(2,))",
        "rnn_engine.saving.serialize_keras_object(rnn_engine.layers.Dense(1))",
        "rnn_engine.saving.serialize_keras_object(rnn_engine.optimizers.Adam())",
    ],
)
def test_registries_are_found_without_their_package(program: str) -> None:
    loaded = run(f"import rnn_engine, sys; {program}; print(*sys.modules)").split()
    assert "rnn_engine.layers.lstm" not in loaded


def test_an_import_that_was_interrupted_can_be_done_again() -> None:
    registry = Registry("test of imports")
    for _ in range(2):

        class Entry:
            pass

        registry.register()(Entry)
    assert registry.lookup("Entry") is Entry
    with pytest.raises(ValueError, match="registered already"):
        registry.register("Entry")(Path)


# --- order, threads, fork ------------------------------------------------------------


def links(name: str) -> set[str]:
    """Return the modules that the import of a module waits for."""
    from tests.test_imports import imports

    path = ROOT / name.replace(".", "/")
    found = set()
    for full, at_import in imports(path / "__init__.py" if path.is_dir() else Path(f"{path}.py")):
        if not (at_import and full.startswith("rnn_engine.")):
            continue
        parent, _, own = full.rpartition(".")
        place = lazy._PLACES.get(parent, {}).get(own, "").partition(":")[0]
        for target in (full, place):
            words = target.split(".")
            found |= {".".join(words[: i + 1]) for i in range(1, len(words))}
    ancestors = {name[:i] for i, letter in enumerate(name) if letter == "."}
    return (found & set(MODULES)) - ancestors - {name}


def test_imports_go_in_no_circle() -> None:
    """So they may come in any order, and from several threads: none waits for another's."""
    for name in NAMESPACES:
        importlib.import_module(f"rnn_engine.{name}")
    waits = {name: links(name) for name in MODULES}
    assert "rnn_engine.layers.base" in waits["rnn_engine.layers.lstm"]
    while free := [name for name, others in waits.items() if not others]:
        for name in free:
            del waits[name]
        for others in waits.values():
            others.difference_update(free)
    assert not waits


@pytest.mark.parametrize(
    "first",
    ["from rnn_engine.layers.lstm import LSTM", "import rnn_engine.optimizers",
     "from rnn_engine.callbacks.backup_and_restore import BackupAndRestore",
     "import rnn_engine.keras.losses.hinges", "import rnn_engine.kernels.recurrent.lone"],
)  # fmt: skip
def test_any_module_may_come_first(first: str) -> None:
    code = (
        f"{first}; import rnn_engine as k; print(k.layers.LSTM.__name__, k.losses.hinge.__name__)"
    )
    assert run(code).split() == ["LSTM", "hinge"]


def test_several_threads_may_be_the_first() -> None:
    code = """
import sys, threading
sys.setswitchinterval(1e-6)
import gc, rnn_engine as keras
NAMES = [("layers", "LSTM"), ("losses", "Huber"), ("metrics", "AUC"), ("optimizers", "Adam"),
         ("callbacks", "BackupAndRestore"), ("models", "load_model"), ("saving", "to_onnx"),
         ("layers", "Bidirectional"), ("utils", "set_random_seed"), ("metrics", "hinge")]
gate, found = threading.Barrier(8), [{} for _ in range(8)]
def work(number):
    gate.wait()
    for i in range(len(NAMES)):
        part, name = NAMES[(i + number) % len(NAMES)]
        found[number][part, name] = getattr(getattr(keras, part), name)
    found[number]["class"] = keras.Sequential
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert all(one == found[0] and len(one) == len(NAMES) + 1 for one in found), found
assert gc.isenabled()
"""
    for _ in range(3):
        run(code)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
def test_a_fork_waits_for_what_threads_load() -> None:
    code = """
import os, signal, sys, threading, time
import rnn_engine
inside = threading.Event()
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "rnn_engine.layers.cell_rnn":
            inside.set()
            time.sleep(0.5)
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=lambda: rnn_engine.layers.LSTM)
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    import gc
    assert rnn_engine.layers.LSTM(1).units == 1 and gc.isenabled()
    os._exit(0)
thread.join()
assert os.waitpid(child, 0)[1] == 0
"""
    run(code)


def test_the_collector_rests_while_something_is_loaded() -> None:
    code = """
import gc, sys, rnn_engine
states = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        states.append(gc.isenabled())
sys.meta_path.insert(0, Watch())
rnn_engine.layers.LSTM
assert states and not any(states) and gc.isenabled()
gc.disable()
rnn_engine.losses.Huber
assert not gc.isenabled()
"""
    run(code)


STATEMENTS = """
import threading
import rnn_engine

NAMES = ["layers.LSTM", "layers.GRU", "optimizers.Adam", "callbacks.EarlyStopping",
         "initializers.Orthogonal", "metrics.MeanAbsoluteError", "models.load_model",
         "keras.layers.ConvLSTM2D", "keras.utils.to_categorical", "src.losses.Huber"]
barrier, wrong = threading.Barrier(len(NAMES)), []

def load(name):
    module, _, last = name.rpartition(".")
    barrier.wait()
    try:
        exec(f"from rnn_engine.{module} import {last}")
    except Exception as error:
        wrong.append((name, error))

threads = [threading.Thread(target=load, args=(name,)) for name in NAMES]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not wrong, wrong
"""


def test_threads_may_import_by_statements_at_once() -> None:
    """Neither a thread that has the turn nor Python's own lock of imports is waited for in vain."""
    for _ in range(3):
        finish(start(STATEMENTS), seconds=120)


def test_a_second_name_is_found_without_an_import() -> None:
    """While a finder looks, Python holds the lock that every import needs."""
    run(
        "import importlib.util, sys, rnn_engine\n"
        "before = set(sys.modules)\n"
        "assert importlib.util.find_spec('rnn_engine.keras.datasets') is not None\n"
        "assert importlib.util.find_spec('rnn_engine.keras.nothing') is None\n"
        "assert 'rnn_engine.datasets' not in set(sys.modules) - before\n"
        "import rnn_engine.keras.datasets.imdb as imdb\n"
        "assert imdb is rnn_engine.datasets.imdb\n"
        "assert imdb.__spec__.name == 'rnn_engine.datasets.imdb'\n"
    )
