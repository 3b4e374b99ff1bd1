"""The library of kernels that were compiled ahead: what is in it, and what it refuses.

Without a library, and a compiler to make one, the tests of its contents are skipped.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnn_engine.kernels import library
from tests.kernels.process import ROOT, environment, run

KERNELS = ROOT / "rnn_engine" / "kernels"
LINES = [
    line.split()
    for line in (KERNELS / "exports.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
FRESH = library.is_fresh(levels=())
needs_library = pytest.mark.skipif(
    not FRESH or sys.platform != "linux", reason="no library of these sources: make kernels"
)
# What call.c may want besides Python's stable interface; the last four stand in any shared library.
C_LIBRARY = {
    *("dlerror", "dlopen", "dlsym", "memcpy", "strcpy", "strlen", "__cxa_finalize"),
    *("__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"),
}


def levels() -> list[str]:
    return [level for level in library.LEVELS if (library.FOLDER / f"{level}.so").exists()]


def index() -> dict:
    return json.loads((library.FOLDER / "index.json").read_text())


# --- the list of exports ---------------------------------------------------------------


COMPILED = {"kernel", "inner_kernel", "inlined_kernel", "linked"}


def marks(node: ast.AST) -> set[str]:
    """Return the decorators of a function that are plain names."""
    listed = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return {mark.id for mark in listed if isinstance(mark, ast.Name)}


def named_by_python(node: ast.AST) -> set[str]:
    """Return the names that are read outside of what is compiled."""
    if marks(node) & COMPILED:
        return set()
    found = {node.id} if isinstance(node, ast.Name) else set()
    found |= {node.attr} if isinstance(node, ast.Attribute) else set()
    return found.union(*map(named_by_python, ast.iter_child_nodes(node)))


def python_kernels() -> dict[str, list[str]]:
    """Return the parameters of every kernel that Python calls, by its name.

    One whose name begins with an underscore, and that only kernels name, is part of those.
    """
    found = {}
    for path in sorted(KERNELS.rglob("*.py")):
        tree = ast.parse(path.read_text())
        named = named_by_python(tree)
        for node in ast.walk(tree):
            if "kernel" in marks(node) and (not node.name.startswith("_") or node.name in named):
                found[f"{path.stem}.{node.name}"] = [each.arg for each in node.args.args]
    return found


def test_every_kernel_has_a_line_among_the_exports_and_every_line_a_kernel():
    there = python_kernels()
    assert len(there) > 80
    assert {name for name, *_ in LINES} == set(there)
    for name, *parameters in LINES:
        assert [parameter.partition(":")[0] for parameter in parameters] == there[name], name


def test_the_exports_are_in_order_and_none_is_there_twice():
    assert [line[0] for line in LINES] == sorted(line[0] for line in LINES)
    assert len({tuple(line) for line in LINES}) == len(LINES)


def test_kernels_are_made_by_the_decorator_alone():
    """`build.kernels` knows of one function that calls it: that one's kernels are listed there."""
    calls = {
        path.name
        for path in KERNELS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        and node.func.id == "kernel"
    }  # fmt: skip
    assert calls == {"optimizers.py"}


# --- the files ----------------------------------------------------------------------


def symbols(name: str) -> tuple[set[str], set[str], list[str]]:
    """Return what a shared library has, what it wants, and the libraries it wants that from."""
    elf = pytest.importorskip("elftools.elf.elffile", reason="needs the package pyelftools")
    with (library.FOLDER / f"{name}.so").open("rb") as file:
        read = elf.ELFFile(file)
        has, wants = set(), set()
        for symbol in read.get_section_by_name(".dynsym").iter_symbols():
            if symbol.name:
                (wants if symbol["st_shndx"] == "SHN_UNDEF" else has).add(symbol.name)
        dynamic = read.get_section_by_name(".dynamic")
        needed = [tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
        paths = [
            tag for tag in dynamic.iter_tags() if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH")
        ]
    assert paths == []
    return has, wants, needed


@needs_library
@pytest.mark.parametrize("level", list(library.LEVELS))
def test_a_library_has_what_the_index_says_and_wants_nothing_of_python(level):
    from rnn_engine.kernels.build import WANTED

    if level not in levels():
        pytest.skip(f"no library for {level}")
    has, wants, needed = symbols(level)
    told = index()
    rows = [row for rows in told["kernels"].values() for row in rows]
    named = [*told["functions"], *(symbol for symbol, _, _ in rows)]
    assert sorted(has) == sorted(named)
    assert wants <= WANTED
    assert not [name for name in has | wants if re.match("numba|NRT_|_?Py", name)]
    assert set(needed) <= {"libc.so.6", "libm.so.6"}


@needs_library
def test_the_extension_keeps_to_python_and_the_c_library():
    has, wants, needed = symbols("_call.abi3")
    assert has == {"PyInit__call"}
    # Of those with an underscore the stable interface has these two.
    foreign = {name for name in wants if not name.startswith("Py")}
    assert foreign <= C_LIBRARY | {"_Py_Dealloc", "_Py_NoneStruct"}
    assert set(needed) <= {"libc.so.6", "libdl.so.2"}


@needs_library
def test_the_index_has_every_export():
    told = index()["kernels"]
    assert {name for name, *_ in LINES} <= set(told)
    for name in {line[0] for line in LINES}:
        lines = [line[1:] for line in LINES if line[0] == name]
        both = [2 if re.search(r":T\b", " ".join(line)) else 1 for line in lines]
        assert len(told[name]) == sum(both), name
        assert {len(letters) // 6 for _, letters, _ in told[name]} == set(map(len, lines))
    others = set(told) - {name for name, *_ in LINES}
    assert others
    assert all(name.startswith("optimizers.") for name in others)


# --- wrong arguments -------------------------------------------------------------------


@needs_library
def test_kernels_refuse_wrong_arguments_by_their_name_and_never_crash():
    told = run(
        "from tests.kernels import wrong_arguments as w; print(w.main())",
        RNN_ENGINE_KERNELS="built",
    )
    assert int(told) > 50_000


@needs_library
def test_a_kernel_that_is_not_among_the_exports_says_what_to_do():
    code = """
from rnn_engine.kernels.options import kernel
def own(x): return x
try: kernel(own)(1)
except NotImplementedError as error: print(error)
"""
    told = run(code, RNN_ENGINE_KERNELS="built")
    assert "own" in told
    assert "RNN_ENGINE_KERNELS=jit" in told
    assert "rnn_engine[jit]" in told


# --- a library that is not as it should be -----------------------------------------------

ASK = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("library", sys.argv[1])
library = importlib.util.module_from_spec(spec)
spec.loader.exec_module(library)
assert "numpy" not in sys.modules
try:
    found = library.chosen()
    assert (found is None) == bool(library.reason())
    print(found.level if found else f"none, as {library.reason()}")
except ImportError as error:
    print(f"ImportError: {error}")
"""


@pytest.fixture
def installed(tmp_path):
    """A folder as an installation has it, to be damaged: the library without the engine."""
    place = tmp_path / "rnn_engine" / "kernels"
    place.mkdir(parents=True)
    shutil.copy(KERNELS / "library.py", place)
    if library.FOLDER.exists():
        shutil.copytree(library.FOLDER, place / "lib")
    return place


def ask(place: Path, setting: str | None = None, cwd: Path = ROOT, **changes: str) -> str:
    """Return what a process takes for its kernels, or the error."""
    command = [sys.executable, "-P", "-c", ASK, str(place / "library.py")]
    env = environment(RNN_ENGINE_KERNELS=setting, **changes)
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
    return done.stdout.strip()


@needs_library
def test_the_best_library_is_taken_and_a_setting_chooses(installed):
    best = ask(installed)
    assert best in levels()
    assert ask(installed, "") == ask(installed, "built") == best
    assert ask(installed, "jit") == "none, as RNN_ENGINE_KERNELS says"
    able = levels()[levels().index(best) :]
    for level in able:
        assert ask(installed, level) == level


@pytest.mark.parametrize("setting", ["BUILT", "numba", "../lib/sse"])
def test_a_setting_that_is_none_is_refused(installed, setting):
    told = ask(installed, setting)
    assert told.startswith("ImportError: RNN_ENGINE_KERNELS must be")
    assert repr(setting) in told


def unusable(place: Path, why: str) -> None:
    """Check that Numba is used, and told why, and that forcing the library is an error."""
    assert ask(place) == f"none, as {why}"
    assert ask(place, "built") == f"ImportError: RNN_ENGINE_KERNELS is 'built', but {why}."


@pytest.mark.skipif(sys.platform != "linux", reason="another reason there")
def test_no_library(installed):
    shutil.rmtree(installed / "lib", ignore_errors=True)
    unusable(installed, "this installation has no library of them")
    told = "ImportError: RNN_ENGINE_KERNELS is 'sse', but this installation has no library of them."
    assert ask(installed, "sse") == told


BAD = ["", "{", "[]", "{}", "\udcff", "[" * 100_000, '{"sources": "a", "kernels": {}}',
       '{"sources": "a", "kernels": [], "functions": []}']  # fmt: skip


@needs_library
def test_an_index_that_is_none(installed):
    for text in BAD:
        (installed / "lib" / "index.json").write_bytes(text.encode(errors="surrogateescape"))
        why = "their library has no index that can be read"
        assert ask(installed) == f"none, as {why}", text[:50]
    unusable(installed, why)


@needs_library
@pytest.mark.parametrize("name", ["the best", "_call.abi3"])
def test_a_truncated_file(installed, name):
    name = ask(installed) if name == "the best" else name
    path = installed / "lib" / f"{name}.so"
    whole = path.read_bytes()
    why = f"their library cannot be opened ({name}.so is damaged)"
    for size in (0, 63, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert ask(installed) == f"none, as {why}", size
    unusable(installed, why)
    path.write_bytes(whole)
    assert ask(installed) in levels()


@needs_library
def test_a_file_of_another_kind(installed):
    best = ask(installed)
    path = installed / "lib" / f"{best}.so"
    whole = path.read_bytes()
    path.write_bytes(b"#!/bin/sh\n" * 100_000)
    unusable(installed, f"their library cannot be opened ({best}.so is damaged)")
    path.write_bytes(whole[:18] + b"\xb7\x00" + whole[20:])  # for 64-bit ARM
    assert ask(installed).startswith(f"none, as their library cannot be opened ({best}.so: ")
    path.unlink()
    path.mkdir()
    unusable(installed, f"their library cannot be opened ({best}.so: Is a directory)")


@needs_library
def test_a_level_that_is_missing(installed):
    best = ask(installed)
    for level in levels():
        if levels().index(level) < levels().index(best):
            (installed / "lib" / f"{level}.so").unlink()
    able = levels()[levels().index(best) :]
    for level, less in zip(able, [*able[1:], None], strict=True):
        (installed / "lib" / f"{level}.so").unlink()
        why = f"their library is not there for {level}"
        assert ask(installed, level) == (
            f"ImportError: RNN_ENGINE_KERNELS is {level!r}, but {why}."
        )
        if less:
            assert ask(installed) == less
    unusable(installed, "their library is not there for this CPU")
    (installed / "lib" / "_call.abi3.so").unlink()
    assert ask(installed).startswith("none, as")


@needs_library
def test_a_library_that_is_older_than_its_sources_counts_in_a_checkout_only(installed):
    shutil.copy(KERNELS / "call.c", installed)
    (installed / "exports.txt").write_text("# other kernels\n")
    best = ask(installed)
    assert best in levels()
    (installed.parents[1] / "pyproject.toml").touch()
    unusable(installed, "their library is older than their sources")


@needs_library
def test_libraries_are_read_from_the_folder_of_the_package_only(installed, tmp_path):
    """What lies in the current folder, or where the system looks first, stays out of it."""
    trap = tmp_path / "trap"
    trap.mkdir()
    for path in library.FOLDER.glob("*.so"):
        (trap / path.name).write_bytes(b"no library")
    (trap / "index.json").write_text("{}")
    best = ask(installed)
    assert ask(installed, cwd=trap, LD_LIBRARY_PATH=str(trap), PYTHONPATH=str(trap)) == best


@pytest.mark.skipif(sys.platform != "linux", reason="another reason there")
def test_info_tells_why_numba_is_used(tmp_path):
    shutil.copytree(
        ROOT / "rnn_engine", tmp_path / "rnn_engine",
        ignore=lambda folder, names: {"__pycache__", "lib"} & set(names),
    )  # fmt: skip
    code = "import rnn_engine; print(rnn_engine.__file__); print(rnn_engine.info())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True,
        env=environment(PYTHONPATH=str(tmp_path), RNN_ENGINE_KERNELS=None), cwd=tmp_path,
    )  # fmt: skip
    assert str(tmp_path) in done.stdout
    assert "compiled here, as this installation has no library of them\n" in done.stdout


@needs_library
def test_info_tells_of_the_library():
    told = run("import rnn_engine; print(rnn_engine.info())", RNN_ENGINE_KERNELS="sse")
    assert re.search("^kernels +built ahead, for sse$", told, re.MULTILINE)


# --- what it needs --------------------------------------------------------------------


@needs_library
def test_numba_is_not_imported_and_need_not_be_installed():
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import numpy as np
import rnn_engine as keras
x = np.ones((2, 4, 1), "f4")
for cell in (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU):
    model = keras.Sequential([keras.layers.Input((4, 1)), cell(5), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, 0], epochs=1, verbose=0)
    assert np.isfinite(model.predict(x, verbose=0)).all()
print(not {"numba", "llvmlite"} & set(sys.modules))
"""
    assert run(code, RNN_ENGINE_KERNELS="built").strip() == "True"
    told = run(
        "import sys\n"
        + code.partition("import numpy")[0]
        + """
try: import rnn_engine
except ImportError as error: print(error)
""",
        RNN_ENGINE_KERNELS="jit",
    )
    assert "RNN_ENGINE_KERNELS says" in told
    assert 'pip install "rnn_engine[jit]"' in told


def test_the_file_is_read_without_the_package_and_without_numpy():
    """As setup.py and the Makefile do."""
    levels_there = [*levels()] or ["sse"]
    done = subprocess.run(
        [sys.executable, "-P", "-S", str(KERNELS / "library.py"), *levels_there],
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, capture_output=True,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.returncode == (0 if FRESH and levels() else 1)
