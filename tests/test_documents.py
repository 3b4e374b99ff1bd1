"""What docs/ says is true: every block of code runs, and what it names is there."""

import ast
import importlib.util
import math
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnn_engine.__main__ import _MORE, _SYSTEM
from tests.kernels.process import environment

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
API = sorted(path.name for path in DOCS.glob("api/*.md"))
# Keras reads TensorFlow's tensors in a way that NumPy warns of.
WARNINGS = ("-W", "error", "-W", "ignore:__array__ implementation:DeprecationWarning")
# Frameworks that the suite does not install: their blocks run where they are.
OPTIONAL = ("torch", "jax")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def needs(block: str) -> set[str]:
    """Return the optional frameworks that a block imports."""
    return {name for name in OPTIONAL if f"import {name}\n" in block}


WITH_CODE = [page for page in PAGES if not all(map(needs, blocks(page, "python")))]
# Its blocks start processes that run the program again: each runs on its own, behind the first.
APART = "scale.md"


def run_program(text: str, folder: Path) -> None:
    """Run a program in a process and a folder of its own, with warnings as errors."""
    program = folder / "program.py"
    program.write_text(text)
    done = subprocess.run(
        [sys.executable, *WARNINGS, str(program)], cwd=folder, capture_output=True, text=True,
        timeout=300, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def run_programs(texts: dict[str, str], folder: Path) -> None:
    """Run programs one after the other in one process, each with names of its own."""
    lines = [
        f"for page, text in {texts!r}.items():",
        "    exec(compile(text, page, 'exec'), {'__name__': page})",
    ]
    run_program("\n".join(lines), folder)


def text_of(page: str) -> str:
    """Return all blocks of a page as one program, in their order, without optional ones."""
    parts = [part for part in blocks(page, "python") if not needs(part)]
    assert any("assert" in part or "print" in part for part in parts) or page == "extending.md"
    return "\n".join(parts)


# Importing Keras takes five seconds: its pages share a process.
KERAS = [page for page in WITH_CODE if "import keras" in blocks(page, "python")[0].splitlines()]


@pytest.mark.parametrize("page", [page for page in WITH_CODE if page not in (*KERAS, APART)])
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path) -> None:
    run_program(text_of(page), tmp_path)


def test_the_blocks_with_keras_run(tmp_path: Path) -> None:
    assert len(KERAS) >= 2
    run_programs({page: text_of(page) for page in KERAS}, tmp_path)


@pytest.mark.parametrize("number", range(1, len(blocks(APART, "python"))))
def test_the_blocks_that_start_processes_run(number: int, tmp_path: Path) -> None:
    first, block = blocks(APART, "python")[0], blocks(APART, "python")[number]
    if "import ray" in block:
        pytest.importorskip("ray")
    run_program(f"{first}\n{block}", tmp_path)


OPTIONAL_PAGES = [
    (page, name)
    for name in OPTIONAL
    for page in PAGES
    if any(name in needs(block) for block in blocks(page, "python"))
]


@pytest.mark.parametrize(("page", "name"), OPTIONAL_PAGES)
def test_the_blocks_of_optional_frameworks_run(page: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    parts = [part for part in blocks(page, "python") if needs(part) <= {name}]
    run_program("\n".join(parts), tmp_path)


def test_the_examples_of_the_api_run(tmp_path: Path) -> None:
    """Each on its own, all in one process: they are short."""
    texts = {page: "\n".join(blocks(f"api/{page}", "python")) for page in API}
    assert [page for page, text in texts.items() if "import" not in text] == []
    run_programs(texts, tmp_path)


def test_no_block_is_left_out() -> None:
    """Fences are of the two languages that run, or output; indented is what one types once."""
    known = {
        "python": {*WITH_CODE, *(page for page, _ in OPTIONAL_PAGES)},
        "sh": ["command_line.md"],
        "text": PAGES,
    }
    known["c"] = ["export_c.md"]  # tests/export compiles it
    for page in PAGES + [f"api/{name}" for name in API]:
        fences = re.findall(r"^ *(`{3,}|~{3,})(.*)$", (DOCS / page).read_text(), re.MULTILINE)
        assert len(fences) % 2 == 0, page
        for mark, language in fences[::2]:
            assert mark == "```", page
            assert page.startswith("api/") or page in known[language], (page, language)


def test_every_page_is_in_the_site_and_every_module_has_one() -> None:
    """What `make docs` lists is what is there, in the section where one looks for it."""
    spec = importlib.util.spec_from_file_location("site_settings", DOCS / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    site = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(site)
    listed = re.findall(r"^(?:[\w.]+ <)?([\w/.]+)>?$", site.trees(), flags=re.MULTILINE)
    wanted = {page.removesuffix(".md") for page in PAGES} - {"index"}
    assert sorted(listed) == sorted(wanted | {f"api/{page.removesuffix('.md')}" for page in API})
    for page in API:
        text = site.contents(page.removesuffix(".md"))
        assert "```{eval-rst}" in text or "| name |" in text, page
    layers = site.contents("layers")
    assert all(f".. autoclass:: rnn_engine.layers.{n}\n" in layers for n in ("LSTM", "GRU", "RNN"))


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES)
def test_functions_and_files_that_a_page_names_are_there(page: str) -> None:
    text = (DOCS / page).read_text()
    for file, name in re.findall(r"`([\w/]+\.py)`: `(\w+)`", text):
        assert name in functions(ROOT / file), f"{file}: {name}"
    for link in re.findall(r"\]\(([\w./-]+\.md)(?:#[^)]*)?\)", text):
        assert (DOCS / link).exists(), link


def test_the_table_of_bptt_has_every_part() -> None:
    text = (DOCS / "bptt.md").read_text()
    assert len(re.findall(r"`[\w/]+\.py`: `\w+`", text)) >= 25


def test_the_numbers_by_hand_follow_from_each_other() -> None:
    """The two steps of docs/bptt.md, with nothing but `math`."""
    w, r, b, v, x1, x2, y = 0.5, -0.8, 0.1, 2.0, 1.0, 2.0, 1.0
    z1 = b + x1 * w
    h1 = math.tanh(z1)
    z2 = b + x2 * w + h1 * r
    h2 = math.tanh(z2)
    p = h2 * v
    dp = 2 * (p - y)
    dh2 = dp * v
    dz2 = dh2 * (1 - h2**2)
    dh1 = dz2 * r
    dz1 = dh1 * (1 - h1**2)
    rows = {
        "z[1] =": z1, "h[1] =": h1, "z[2] =": z2, "h[2] =": h2, "p =": p, "L =": (p - y) ** 2,
        "dp =": dp, "dV =": h2 * dp, "dc =": dp, "dh[2] =": dh2, "dz[2] =": dz2, "dh[1] =": dh1,
        "dz[1] =": dz1, "dW =": x1 * dz1 + x2 * dz2, "dR =": h1 * dz2, "db =": dz1 + dz2,
        "dx[1] =": w * dz1, "dx[2] =": w * dz2,
    }  # fmt: skip
    page = (DOCS / "bptt.md").read_text().partition("## Two steps by hand")[2]
    for name, value in rows.items():
        (told,) = re.findall(rf"^\| {re.escape(name)}.*\| ([−\d.]+) \|$", page, re.MULTILINE)
        assert float(told.replace("−", "-")) == pytest.approx(value, abs=6e-7), name


def test_commands_run(tmp_path: Path) -> None:
    rows = 200
    sales = 10 + 3 * np.sin(np.arange(rows) * 2 * np.pi / 7)
    days = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    pd.DataFrame({"day": days, "sales": sales}).to_csv(tmp_path / "sales.csv", index=False)
    start = f"{shlex.quote(sys.executable)} -P -m rnn_engine "
    commands = blocks("command_line.md", "sh")
    assert commands
    for block in commands:
        lines = [start + line.removeprefix("rnn-engine ") for line in block.splitlines()]
        script = "\n".join(["set -e", *lines])
        done = subprocess.run(
            ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300,
            env=environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "forecast,lower,upper" in done.stdout
    assert {"sales.keras", "sales.html", "backtest.csv"} <= {p.name for p in tmp_path.iterdir()}


def test_every_command_is_listed() -> None:
    text = (DOCS / "command_line.md").read_text()
    listed = re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
    names = {name for cell in listed for name in re.findall(r"`(\w+)", cell)}
    assert names == {*_MORE, *_SYSTEM}


def test_extras_that_pages_name_are_there() -> None:
    project: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pages = [path.read_text() for path in (*DOCS.glob("*.md"), ROOT / "README.md")]
    named = {name for text in pages for name in re.findall(r"\[(\w+)\]'", text)}
    assert {"sklearn", "cli"} <= named <= set(project["optional-dependencies"])
    assert project["scripts"] == {"rnn-engine": "rnn_engine.__main__:main"}
