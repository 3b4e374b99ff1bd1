"""What docs/ says is true: its programs run, and the functions that it names are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
RUN = ["bptt.md", "inspect.md", "streaming.md"]


@pytest.mark.parametrize("page", RUN)
def test_the_programs_of_a_page_run(page: str) -> None:
    """All blocks of a page are one program; what it says comes out, it asserts."""
    text = (DOCS / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    program = "\n".join(blocks)
    assert "assert" in program
    exec(compile(program, page, "exec"), {"__name__": page})


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES)
def test_functions_and_files_that_a_page_names_are_there(page: str) -> None:
    text = (DOCS / page).read_text()
    for file, name in re.findall(r"`([\w/]+\.py)`: `(\w+)`", text):
        assert name in functions(ROOT / file), f"{file}: {name}"
    for link in re.findall(r"\]\(([\w./-]+\.md)\)", text):
        assert (DOCS / link).exists(), link


def test_the_table_of_bptt_has_every_part() -> None:
    text = (DOCS / "bptt.md").read_text()
    assert len(re.findall(r"`[\w/]+\.py`: `\w+`", text)) >= 25


def test_the_numbers_by_hand_follow_from_each_other() -> None:
    """The two steps of docs/bptt.md, with nothing but `math`."""
    import math

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
