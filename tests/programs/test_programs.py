"""Programs written for Keras run when their imports change, and give the same numbers."""

from pathlib import Path
from typing import Any

import pytest

import rnn_engine
from tests.programs import runner

keras_package = pytest.importorskip("keras")

# Scripts, in the manner of those in tutorials, courses and answers to questions.
PROGRAMS = sorted((Path(__file__).parent / "scripts").glob("*.py"))

# Of the largest number of an array: what some tens of steps of training in float32
# make of the order of sums, and far below what a wrong term would.
NUMBERS = 2e-4
PRINTED = 1e-3


def test_there_are_programs() -> None:
    assert len(PROGRAMS) > 20


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program(path: Path, tmp_path: Any) -> None:
    text = path.read_text()
    for package in keras_package, rnn_engine:  # names of layers count from the first, as alone
        package.utils.clear_session()
    folders = tmp_path / "keras", tmp_path / "ours"
    for folder in folders:
        folder.mkdir()
    keras = runner.run(text, folders[0])
    if keras.error is not None:
        raise keras.error
    ours = runner.run(runner.with_engine(text), folders[1], keras.weights)
    if ours.error is not None:
        raise ours.error
    assert keras.names.keys() == ours.names.keys()
    random = runner.random_names(text)
    found = [
        line
        for name, value in keras.names.items()
        for line in runner.differences(
            runner.plain(value), runner.plain(ours.names[name]), name, NUMBERS, name not in random
        )
    ]
    if not random:
        found += runner.print_differences(keras.printed, ours.printed, PRINTED)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_only_imports_change(path: Path) -> None:
    before = path.read_text().split("\n")
    after = runner.with_engine("\n".join(before)).split("\n")
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed
    for a, b in changed:
        assert "import" in a
        assert "rnn_engine" in b
        assert "tensorflow" not in b
        assert not b.startswith(("import keras", "from keras"))


def test_differences_are_seen() -> None:
    """The comparison that the programs rely on sees what differs."""
    same = {"a": [1.0, "x", None], "b": 2}
    assert not runner.differences(same, same, "", 1e-4, True)
    for other in (
        {"a": [1.0, "x", None]},
        {"a": [1.0, "x"], "b": 2},
        {"a": [1.001, "x", None], "b": 2},
        {"a": [1.0, "y", None], "b": 2},
        {"a": [1.0, "x", 0], "b": 2},
        {"a": [float("nan"), "x", None], "b": 2},
    ):
        assert runner.differences(same, other, "", 1e-4, True), other
    assert not runner.differences(1.0, 2.0, "", 1e-4, False)
    assert runner.print_differences("loss: 1.5 in 3ms\n", "loss: 1.6 in 4ms\n", 1e-3)
    assert not runner.print_differences("loss: 1.5 in 3ms\n", "loss: 1.5 in 4ms\n", 1e-3)
