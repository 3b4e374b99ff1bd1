"""The pages on estimators, the command line and many models: every block runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rnn_engine
from rnn_engine.__main__ import _MORE, _SYSTEM
from tests.kernels.process import environment

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no block of {language}"
    return found


@pytest.mark.parametrize("page", ["scikit_learn.md", "many_models.md"])
def test_programs_run(page: str, tmp_path: Path) -> None:
    """In the order of the page, as one program, with warnings as errors."""
    program = tmp_path / "program.py"
    program.write_text("\n".join(blocks(page, "python")))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)], cwd=tmp_path, capture_output=True,
        text=True, timeout=300, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_commands_run(tmp_path: Path) -> None:
    rows = 200
    sales = 10 + 3 * np.sin(np.arange(rows) * 2 * np.pi / 7)
    days = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    pd.DataFrame({"day": days, "sales": sales}).to_csv(tmp_path / "sales.csv", index=False)
    start = f"{shlex.quote(sys.executable)} -P -m rnn_engine "
    for block in blocks("command_line.md", "sh"):
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
    import tomllib

    project: Any = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    pages = [path.read_text() for path in (*DOCS.glob("*.md"), DOCS.parent / "README.md")]
    named = {name for text in pages for name in re.findall(r"\[(\w+)\]'", text)}
    assert {"sklearn", "cli"} <= named <= set(project["optional-dependencies"])
    assert project["scripts"] == {"rnn-engine": "rnn_engine.__main__:main"}
    assert rnn_engine.__version__ == project["version"]
