"""`reference.framework` tells a framework that is right from one that is nearly right."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference import engine, goldens
from reference.framework import Problem, Run, main, problems, verify

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "goldens"
PAGE = (ROOT / "docs" / "verify.md").read_text()


def ours(problem: Problem) -> dict[str, Any]:
    shape = (None, *problem.x.shape[1:])
    model = engine.engine_model(problem.layers, shape, problem.dtype, problem.weights)
    return engine.gradients(model, problem.x, problem.y, problem.loss)


def golden_problems(*parts: str) -> Iterator[Problem]:
    for path in sorted(FOLDER.glob("*.npz")):
        if any(part in path.name for part in parts):
            yield Problem.of_golden(path)


def on_the_page(name: str) -> Run:
    """Return a function that docs/verify.md shows."""
    (block,) = (
        b for b in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"def {name}" in b
    )
    names: dict[str, Any] = {}
    exec(compile(block, "docs/verify.md", "exec"), names)
    return names[name]


def test_the_engine_agrees_with_the_oracle_and_with_keras() -> None:
    rows = list(verify(ours, golden_problems("LSTM_in_time", "GRU_before_tutorial", "no_bias")))
    assert len({row.problem for row in rows}) == 6
    assert [row for row in rows if not row.agrees] == []
    assert all(row.keras is not None for row in rows)
    labels = {row.quantity for row in rows if row.problem == "LSTM: in time"}
    kinds = ("kernel", "recurrent_kernel", "bias")
    assert labels == {
        "output", "loss", "gradient of the input",
        *(f"gradient of LSTM 0/{kind}" for kind in kinds),
        "gradient of Dense 1/kernel", "gradient of Dense 1/bias",
    }  # fmt: skip


def swapped_gates(problem: Problem) -> Mapping[str, Any]:
    """Take i for f, as one does who reads weights of another order."""
    weights = [w[..., [1, 0, 2, 3], :] for w in gates(problem)]
    return ours(replace(problem, weights=[*flat(weights), *problem.weights[3:]]))


def gates(problem: Problem) -> list[np.ndarray]:
    return [w.reshape(*w.shape[:-1], 4, -1) for w in problem.weights[:3]]


def flat(weights: list[np.ndarray]) -> list[np.ndarray]:
    return [w.reshape(*w.shape[:-2], -1) for w in weights]


def gradients_of_sums(problem: Problem) -> Mapping[str, Any]:
    """Forget the mean over samples in the gradients."""
    found = ours(problem)
    return {**found, "parameters": [g * len(problem.x) for g in found["parameters"]]}


def short(problem: Problem) -> Mapping[str, Any]:
    return {"output": ours(problem)["output"].astype(np.float16)}


@pytest.mark.parametrize("wrong", [swapped_gates, gradients_of_sums, short])
def test_what_is_nearly_right_misses(wrong: Run) -> None:
    for problem in golden_problems("LSTM_in_time"):
        rows = list(verify(wrong, [problem]))
        assert rows
        assert not all(row.agrees for row in rows)


def test_a_wrong_number_of_keras_misses_where_the_oracle_agrees() -> None:
    (problem, _) = golden_problems("LSTM_in_time")
    spoiled = replace(problem, keras={**problem.keras, "loss": problem.keras["loss"] * 1.001})
    missed = [row.quantity for row in verify(ours, [spoiled]) if not row.agrees]
    assert missed == ["loss"]


def test_shapes_and_nan_miss() -> None:
    (problem, _) = golden_problems("LSTM_in_time")
    for spoil in (lambda y: y[:, :1], lambda y: np.where(y == y.max(), np.nan, y)):
        (row,) = verify(lambda p, s=spoil: {"output": s(ours(p)["output"])}, [problem])
        assert row.oracle == np.inf
        assert not row.agrees


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "got nothing"),
        ({"outputs": 1}, "some of output, loss, parameters, inputs by name, got outputs"),
        ({"parameters": [1.0]}, "each of the 5 weights of 'LSTM: in time', got 1"),
    ],
)
def test_a_wrong_answer_is_refused(answer: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        list(verify(lambda _: answer, golden_problems("LSTM_in_time")))


def test_random_problems_are_the_same_for_the_same_seed() -> None:
    once, again = (list(problems(["float32"], examples=5, seed=3)) for _ in range(2))
    assert 0 < len(once) <= 5
    for a, b in zip(once, again, strict=True):
        assert a.layers == b.layers
        assert all(map(np.array_equal, (a.x, a.y, *a.weights), (b.x, b.y, *b.weights)))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from tests.test_framework import ours\n"
        "def wrong(p): return {'loss': 2 * ours(p)['loss']}\n"
        "def nothing(p): return None\n"
    )
    given = ["--dtype", "float64", "--examples", "3"]
    assert main([f"{file}:ours", *given]) == 0
    assert "rows of 3 problems, 0 missed." in capsys.readouterr().out
    assert main([f"{file}:wrong", *given]) == 1
    assert capsys.readouterr().out.count("MISS") == 3
    assert main([f"{file}:nothing", *given]) == 2
    golden = tmp_path / "goldens"
    golden.mkdir()
    (golden / "a.npz").write_bytes((FOLDER / "LSTM_tutorial.float32.npz").read_bytes())
    assert main([f"{file}:ours", "--goldens", str(golden)]) == 0
    capsys.readouterr()
    for place, message in (
        ("mine.py", "expected FILE.py:name"),
        (f"{file}:no", "no function 'no'"),
    ):
        assert main([place]) == 2
        assert message in capsys.readouterr().err


def test_goldens_hold_what_a_problem_needs() -> None:
    golden = goldens.load(FOLDER / "GRU_tutorial.float32.npz")
    problem = Problem.of_golden(FOLDER / "GRU_tutorial.float32.npz")
    assert problem.names() == [
        *(f"GRU 0/{name}" for name in ("kernel", "recurrent_kernel", "bias")),
        *(f"Dense 1/{name}" for name in ("kernel", "bias")),
    ]
    assert [w.shape for w in problem.weights] == [(1, 30), (10, 30), (2, 30), (10, 1), (1,)]
    assert np.array_equal(problem.keras["output"], golden.arrays["output"])


@pytest.mark.parametrize(("name", "module"), [("in_torch", "torch"), ("in_jax", "jax")])
def test_the_frameworks_of_the_page_agree_with_keras(name: str, module: str) -> None:
    pytest.importorskip(module)
    rows = list(verify(on_the_page(name), map(Problem.of_golden, sorted(FOLDER.glob("*.npz")))))
    assert len(rows) > 100
    assert [row for row in rows if not row.agrees] == []


def test_it_works_from_an_installed_wheel(tmp_path: Path) -> None:
    """Both packages alone, without the checkout around them, and without TensorFlow."""
    for package in ("rnn_engine", "reference"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    program = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from reference import framework, goldens\n"
        "assert not goldens.CHECKOUT and str(goldens.FOLDER) == 'goldens'\n"
        "rows = list(framework.verify(lambda p: {'output': p.expected()['output'].value},"
        " framework.problems(['float64'], examples=2)))\n"
        "assert rows and all(row.oracle == 0 for row in rows)\n"
        "try:\n    import reference.verify\n"
        "except ModuleNotFoundError as error:\n    assert 'rnn_engine[reference]' in str(error)\n"
        "else:\n    raise AssertionError\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
