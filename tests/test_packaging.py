"""What the package says of itself is true: what it needs, and the program in the README."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT, SETTINGS = (
    tomllib.loads((ROOT / "pyproject.toml").read_text())[k] for k in ("project", "tool")
)
RUNTIME = {"h5py", "numpy", "numba", "tqdm"}


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


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def test_runtime_dependencies_are_four():
    assert names(PROJECT["dependencies"]) == RUNTIME


@pytest.mark.parametrize("extra", ["demo", "examples", "test", "bench", "lint", "docs", "release"])
def test_pins_satisfy_the_ranges(extra):
    """The versions that the make targets install lie within what pyproject.toml promises."""
    pinned = pins(extra)
    # What builds a package does not import it.
    runtime = [] if extra == "release" else PROJECT["dependencies"]
    for line in runtime + PROJECT["optional-dependencies"][extra]:
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

    assert PROJECT["dynamic"] == ["version"]
    assert SETTINGS["setuptools"]["dynamic"] == {"version": {"attr": "rnn_engine.__version__"}}
    assert re.fullmatch(r"\d+\.\d+\.\d+", rnn_engine.__version__)


# What is no part of the project, wherever it lies: environments, caches, what was built.
NOT_OURS = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", ".gitignore", "__pycache__", "*.py[cod]", "out",
    "build", "dist", "*.egg-info", "PKG-INFO", "setup.cfg", "MANIFEST.in",
)  # fmt: skip


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
        [*command, "-k", "not source and not signal and not make"], cwd=unpacked,
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
