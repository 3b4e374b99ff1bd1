"""The benchmarks of streams and of the record run, and count what they say they count."""

import gc
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks import eigen, streaming, tape


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("| ").split("|")]


@pytest.mark.parametrize("cell", streaming.CELLS)
def test_many_steps_collect_nothing(cell: str) -> None:
    before = list(gc.callbacks)
    name, steps, *_, collections, left = cells(streaming.endure(cell, 8, 3000))
    assert (name, steps, collections) == (cell, "3,000", "0")
    assert int(left) < 100
    assert gc.callbacks == before


def test_a_collection_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = streaming.make

    class Wasteful:
        def __init__(self, session: object) -> None:
            self.session, self.calls = session, 0

        def step(self, *arguments: object) -> object:
            self.calls += 1
            if self.calls % 2000 == 0:
                gc.collect()
            return self.session.step(*arguments)

    class Model:
        def __init__(self, *arguments: object) -> None:
            self.model = made(*arguments)

        def stream(self) -> Wasteful:
            return Wasteful(self.model.stream())

    monkeypatch.setattr(streaming, "make", Model)
    # A step and 1,000 warm up; then 3,000 by each clock.
    assert cells(streaming.endure("GRU", 4, 3000))[-2] == "3"


@pytest.mark.parametrize("features", [1, 3])
def test_both_sides_agree_with_several_features(features: int) -> None:
    pytest.importorskip("onnxruntime")
    row = cells(streaming.measure("LSTM", 4, features, 5, 1))
    assert len(row) == 8
    assert all(float(figure) > 0 for figure in row[1:])


@pytest.mark.parametrize("op", tape.OPS)
def test_ops_of_the_record_train(op: str) -> None:
    assert tape.side(op, 3)() >= 0


EIGEN = Path("/usr/include/eigen3/Eigen/Dense")


@pytest.mark.skipif(not (EIGEN.exists() and shutil.which("g++")), reason="needs g++ and Eigen")
@pytest.mark.parametrize("cell", streaming.CELLS)
def test_eigen_computes_the_same(cell: str, tmp_path: Path) -> None:
    """The comparison before the clock starts fails where it does not."""
    library = eigen.compiled(cell, 8, 3, str(EIGEN.parents[1]), str(tmp_path))
    assert cells(eigen.measure(cell, library, (8, 3, 5), 1))[0] == cell


def test_without_eigen_it_says_so(tmp_path: Path, capsys: Any) -> None:
    assert eigen.main(["--include", str(tmp_path)]) == 1
    assert "No Eigen in" in capsys.readouterr().err
