"""What the package says of itself is true: what it needs, and the program in the README."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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


@pytest.mark.parametrize("extra", ["demo", "test", "bench", "lint"])
def test_pins_satisfy_the_ranges(extra):
    """The versions that the make targets install lie within what pyproject.toml promises."""
    pinned = pins(extra)
    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]:
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
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets
    folders = "rnn_engine|reference|benchmarks|examples|tests|docs|requirements"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_version_is_said_once():
    import rnn_engine

    assert rnn_engine.__version__ == PROJECT["version"]
