"""What the package says of itself is true: what it needs, and the program in the README."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from rnn_engine.kernels import library

ROOT = Path(__file__).parents[1]
PROJECT, SETTINGS = (
    tomllib.loads((ROOT / "pyproject.toml").read_text())[k] for k in ("project", "tool")
)
RUNTIME = {"h5py", "numpy", "tqdm"}


def names(requirements: list[str]) -> set[str]:
    """Return the packages that a list of requirements names."""
    return {re.match(r"[A-Za-z0-9_.-]+", line)[0].lower() for line in requirements}


def pins(name: str) -> dict[str, str]:
    """Return package to version of a file below requirements/, with those it includes."""
    found: dict[str, str] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
        if line.startswith("-r "):
            found.update(pins(line.removeprefix("-r ").removesuffix(".txt")))
        elif line and not line.startswith("#"):
            package, _, version = line.partition(";")[0].partition("==")
            assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version), f"{name}.txt: not pinned: {line}"
            assert found.get(package, version) == version, f"{package} is pinned twice"
            found[package] = version
    return found


def needed() -> list[str]:
    """Return what every installation needs, as setup.py says."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    (value,) = (
        node.value for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NEEDED"
    )  # fmt: skip
    return list(ast.literal_eval(value))


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


@pytest.mark.parametrize("extra", ["demo", "examples", "test", "bench", "lint", "docs", "release"])
def test_pins_satisfy_the_ranges(extra):
    """The versions that the make targets install lie within what pyproject.toml promises."""
    pinned = pins(extra)
    extras = PROJECT["optional-dependencies"]
    for line in needed() + extras["jit"] + extras[extra]:
        package, _, least = line.partition(";")[0].partition(">=")
        assert numbers(pinned[package.lower()]) >= numbers(least), line


def test_demo_needs_no_tensorflow():
    assert not {"tensorflow", "keras", "torch", "jax", "scipy"} & set(pins("demo"))


def test_readme_shows_the_quickstart():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert (ROOT / "examples" / "quickstart.py").read_text() in blocks


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_documents_name_what_is_there(document):
    """Files, folders and make targets that a document names exist."""
    text = (ROOT / document).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    folders = "rnn_engine|reference|benchmarks|examples|tests|docs|requirements"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_version_is_said_once():
    import rnn_engine

    assert "version" in PROJECT["dynamic"]
    assert SETTINGS["setuptools"]["dynamic"] == {"version": {"attr": "rnn_engine.__version__"}}
    assert re.fullmatch(r"\d+\.\d+\.\d+", rnn_engine.__version__)


# What is no part of the project, wherever it lies: environments, caches, what was built.
NOT_OURS = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", ".gitignore", "__pycache__", "*.py[cod]", "out",
    "build", "dist", "lib", "*.egg-info", "PKG-INFO", "setup.cfg", "MANIFEST.in",
)  # fmt: skip


@pytest.fixture
def package(tmp_path):
    """A copy of what wheels are built from, without a library of kernels."""
    place = tmp_path / "package"
    shutil.copytree(ROOT / "rnn_engine", place / "rnn_engine", ignore=NOT_OURS)
    for name in ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, place)
    return place


def wheel(package: Path) -> tuple[str, set[str], set[str], str]:
    """Build a wheel; return its name, its files, what it depends on, and what was complained of."""
    build = "from setuptools import build_meta; build_meta.build_wheel('../made')"
    command = [sys.executable, "-c", build]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=True)
    (made,) = (package.parent / "made").glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        files = set(archive.namelist())
        (place,) = (name for name in files if name.endswith("METADATA"))
        lines = archive.read(place).decode().splitlines()
    wanted = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")]
    return made.name, files, names([w for w in wanted if "extra ==" not in w]), done.stderr


@pytest.mark.parametrize("there", ["nothing", "old", "half"])
def test_a_wheel_without_a_fresh_library_is_for_all_and_needs_numba(package, there):
    lib = package / "rnn_engine" / "kernels" / "lib"
    if there != "nothing":
        lib.mkdir()
        (lib / "index.json").write_text('{"sources": "old", "kernels": {}, "functions": []}')
    if there == "half" and library.is_fresh():
        shutil.copytree(library.FOLDER, lib, dirs_exist_ok=True)
        (lib / f"{library.LEVELS[-1]}.so").write_bytes(b"\x7fELF")
    name, files, wanted, told = wheel(package)
    assert name.endswith("-py3-none-any.whl")
    assert not [path for path in files if "kernels/lib/" in path]
    assert {"rnn_engine/kernels/call.c", "rnn_engine/kernels/exports.txt"} <= files
    assert wanted == RUNTIME | {"numba"}
    if there != "nothing" and sys.platform == "linux":
        assert "rnn_engine/kernels/lib is left out" in told


@pytest.mark.skipif(
    not (library.LEVELS and library.is_fresh()), reason="no library of these sources: make kernels"
)
def test_a_wheel_with_the_library_is_for_one_system_and_needs_no_numba(package):
    shutil.copytree(library.FOLDER, package / "rnn_engine" / "kernels" / "lib")
    name, files, wanted, _ = wheel(package)
    assert re.search(r"-cp311-abi3-manylinux_2_\d+_\w+\.whl$", name)
    inside = {Path(path).name for path in files if "kernels/lib/" in path}
    assert inside == {*(f"{level}.so" for level in library.LEVELS), "_call.abi3.so", "index.json"}
    assert wanted == RUNTIME


def test_the_source_distribution_is_whole_and_its_tests_run(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=NOT_OURS)
    shutil.copy(ROOT / "MANIFEST.in", source)
    wanted = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "there", filter="data")
    (unpacked,) = (tmp_path / "there").iterdir()
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert sorted(wanted - found) == []
    assert not [path for path in found if "__pycache__" in path]
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_packaging.py"]
    done = subprocess.run(
        [*command, "-k", "not source and not wheel and not signal and not make"], cwd=unpacked,
        env={**os.environ, "PYTHONPATH": str(unpacked)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_says_that_a_python_is_too_old(tmp_path):
    old = tmp_path / "python3.10"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.9 && exit\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["make", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", "demo"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "Python 3.10.9" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert not (tmp_path / "venv").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_tests_that_send_a_signal_pass_where_it_is_ignored():
    tests = ["tests/training/test_fit.py", "-k", "ctrl_c or interrupt or signal"]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
