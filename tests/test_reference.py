"""The reference side itself: who checks the checker."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference import compare, engine, goldens
from reference.case import Case, dense, rnn
from reference.cases import fixed_cases, random_cases
from reference.running_error import Quantity, exact
from tests import tolerances

SMALL = [case for case in fixed_cases() if case.batch * case.steps <= 60]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_oracle_gradients_by_finite_differences(case: Case) -> None:
    """The slope of the oracle's loss along a random direction of each weight and of x."""
    x, y = case.data("float64")
    x = x.astype("float64")
    result = case.oracle("float64").gradients(x, y, case.loss)
    assert result.margin > 100 * tolerances.DIFFERENCE_STEP
    rng = np.random.default_rng(0)
    from reference.oracle_training import parameters

    for position in range(len(result.parameters) + 1):
        losses, way = [], None
        for sign in (1, -1):
            model, moved = case.oracle("float64"), x.copy()
            arrays = [*parameters(model), moved]
            if way is None:
                way = rng.normal(size=arrays[position].shape)
            arrays[position] += sign * tolerances.DIFFERENCE_STEP * way
            losses.append(float(model.gradients(moved, y, case.loss).loss.value))
        slope = (losses[0] - losses[1]) / (2 * tolerances.DIFFERENCE_STEP)
        grad = [*result.parameters, result.inputs][position].value
        size = np.abs(grad * way).sum() + 1e-3
        assert abs(slope - np.sum(grad * way)) <= 10 * tolerances.FINITE_DIFFERENCE * size


def test_the_error_bound_holds_for_float32_arithmetic() -> None:
    """A naive float32 recurrence is off by some roundoffs of the size, and not by less."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(40, 60)).astype("float32"), rng.normal(size=(60, 20)).astype("float32")
    state, quantity = a, exact(a)
    for _ in range(5):
        product, product_q = state @ b, quantity @ b
        state = np.tanh(product @ b.T / 8).astype("float32")
        quantity = (product_q @ b.T * 0.125).map(np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    error = compare.relative_error(state, quantity, "float32") / compare.roundoff("float32")
    assert 0.05 < error < tolerances.FACTOR


def test_relative_error() -> None:
    reference = Quantity(np.array([1.0, 0.0]), np.array([1.0, 2.0]))
    assert compare.relative_error([1.5, 1.0], reference, "float64") == 0.5
    assert compare.relative_error([1.0, 0.0], reference, "float64") == 0.0
    assert compare.relative_error([1.0], reference, "float64") == np.inf
    assert compare.relative_error([1.0, np.nan], reference, "float64") == np.inf
    assert compare.relative_error([np.nan, 2.0], np.array([np.nan, 2.0]), "float64") == 0.0
    assert compare.relative_error([np.inf, 2.0], np.array([-np.inf, 2.0]), "float64") == np.inf
    assert compare.relative_error([1.0, 3.0], np.array([1.0, 4.0]), "float64") == 0.25
    tiny = np.finfo("float32").tiny
    assert compare.relative_error([0.0], np.array([tiny / 2]), "float32") < 1e-7


def test_a_row_of_the_table() -> None:
    sides = {"engine": np.ones(3), "keras": np.ones(3), "oracle": exact(np.ones(3))}
    assert compare.compare("case", "float32", "output", sides).agrees
    for side in sides:
        off = 1.001 * np.ones(3)
        wrong = {**sides, side: exact(off) if side == "oracle" else off}
        assert not compare.compare("case", "float32", "output", wrong).agrees
    missing = compare.compare("case", "float32", "output", {**sides, "oracle": None})
    assert missing.agrees
    assert missing.engine_oracle is None


def test_random_cases_depend_on_the_seed_only() -> None:
    first, again = list(random_cases(4, 7)), list(random_cases(4, 7))
    assert first == again != list(random_cases(4, 8))
    assert first[:2] == list(random_cases(2, 7))


def test_a_golden_file_tells_how_it_was_made() -> None:
    golden = goldens.load(min(goldens.FOLDER.glob("*.npz")))
    assert golden.made_with["mode"] == "graph"
    assert golden.arrays["x"].dtype == golden.dtype


keras_twin = pytest.importorskip("reference.keras_twin")


def run_verify(*arguments: str) -> int:
    from reference import verify

    return verify.main([*arguments, "--dtype", "float32", "--keras", "eager"])


def test_verify_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verify("--case", "tutorial: rnn 5") == 0
    printed = capsys.readouterr().out
    assert "gradient of simple_rnn" in printed.replace("_1", "").replace("_2", "")
    assert "losses of 53 steps of adam" in printed
    assert "MISS" not in printed
    assert " 0 missed" in printed


def test_verify_draws_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verify("--examples", "2", "--seed", "5") == 0
    assert "random" in capsys.readouterr().out


def test_verify_sees_a_wrong_engine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = engine.gradients

    def wrong(*arguments: Any) -> dict[str, Any]:
        found = right(*arguments)
        found["parameters"][1] = found["parameters"][1].T
        return found

    monkeypatch.setattr(engine, "gradients", wrong)
    assert run_verify("--case", "activation tanh") == 1
    misses = [line for line in capsys.readouterr().out.splitlines() if line.endswith("MISS")]
    assert len(misses) == 1
    assert "recurrent_kernel" in misses[0]


MODEL = """
import rnn_engine as keras

def make():
    layers = keras.layers
    return keras.Sequential([
        keras.Input((4, 3)), layers.SimpleRNN(5, return_sequences=True),
        layers.SimpleRNN(3, go_backwards=True), layers.Dense(2{options}),
    ])

model = make()
"""


@pytest.mark.parametrize("options", ["", ", kernel_regularizer='l2'"])
@pytest.mark.parametrize("name", ["make", "model"])
def test_verify_takes_a_users_model(
    options: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a regularizer the oracle passes, and Keras in float64 stands in for it."""
    file = tmp_path / "mine.py"
    file.write_text(MODEL.format(options=options))
    assert run_verify("--model", f"{file}:{name}") == 0
    captured = capsys.readouterr()
    assert captured.out.count(" ok") == 11
    assert ("takes its place" in captured.err) == bool(options)


@pytest.mark.parametrize("place", ["nowhere.py:model", "no_colon", "mine.py:absent"])
def test_verify_names_a_model_that_is_not_there(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("x = 1\n")
    assert run_verify("--model", place) == 2
    assert place.split(":")[-1] in capsys.readouterr().err


def test_twin_keeps_every_option() -> None:
    options = {"units": 3, "activation": "relu", "use_bias": False, "go_backwards": True}
    case = Case("options", [rnn(**options), dense(2, activation="sigmoid")], (2, 3, 4))
    twin = keras_twin.twin_of(engine.model_of(case, "float64"))
    config = twin.layers[0].get_config()
    assert {key: config[key] for key in options} == options
    assert twin.layers[1].activation.__name__ == "sigmoid"
    assert {v.dtype for v in twin.weights} == {"float64"}


def test_the_table_of_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    """The oracle's own values have no error, and a miss is told."""
    from reference import accuracy

    lines = list(accuracy.measure("GRU", (3, 4, 2, 5), True))
    assert [line.quantity for line in lines] == ["output", "dx", "dW", "dR", "db"]
    assert all(1e-9 < line.engine < 1e-6 for line in lines)
    text, good = accuracy.summary(lines)
    assert len(text) == 2 + len(lines)
    off = accuracy.Line("GRU", (3, 4, 2, 5), True, "dW", 1e-6, 1e-8, 1e-8)
    text, good = accuracy.summary([*lines, off])
    assert not good
    assert "MISS" in text[4]
