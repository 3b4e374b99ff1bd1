"""`text_dataset_from_directory` against Keras's."""

from pathlib import Path
from typing import Any

import keras as real
import numpy as np
import pytest

import rnn_engine as ours


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("neg", "pos", ".hidden"):
        for i in range(7):
            path = tmp_path / name / ("deep" if i > 4 else "") / f"{i}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} text {i} é")
        (tmp_path / name / "other.csv").write_text("no text")
    return tmp_path


def read(dataset: Any) -> list[Any]:
    """Return pairs of text and label, sorted; Keras's texts are bytes."""

    def text(value: Any) -> str:
        return value.decode() if isinstance(value, bytes) else str(value)

    pairs = []
    for element in dataset.as_numpy_iterator():
        texts, labels = element if isinstance(element, tuple) else (element, [0] * len(element))
        pairs += [(text(t), np.asarray(y).tolist()) for t, y in zip(texts, labels, strict=True)]
    return pairs


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False},
        {"shuffle": False, "label_mode": "categorical"},
        {"shuffle": False, "label_mode": "binary", "batch_size": 3},
        {"shuffle": False, "label_mode": None},
        {"shuffle": False, "class_names": ["pos", "neg"]},
        {"shuffle": False, "class_names": ["pos"]},
        {"shuffle": False, "labels": None},
        {"shuffle": False, "max_length": 6},
        {"shuffle": False, "validation_split": 0.3, "subset": "training"},
        {"shuffle": False, "validation_split": 0.3, "subset": "validation"},
    ],
    ids=str,
)
def test_sorted(folder: Path, options: Any) -> None:
    make = [p.utils.text_dataset_from_directory for p in (ours, real)]
    if options.get("labels", "inferred") is None:
        folder = folder / "pos"
    mine, theirs = (one(folder, verbose=False, **options) for one in make)
    assert read(mine) == read(theirs)
    assert mine.class_names == theirs.class_names or options.get("labels", 1) is None
    assert len(mine) == len(theirs)


def test_mixed(folder: Path, capsys: Any) -> None:
    options: Any = {"validation_split": 0.25, "subset": "both", "seed": 5, "batch_size": 4}
    mine = ours.utils.text_dataset_from_directory(folder, **options)
    assert "Found 14 files belonging to 2 classes." in capsys.readouterr().out
    theirs = real.utils.text_dataset_from_directory(folder, verbose=False, **options)
    for a, b in zip(mine, theirs, strict=True):
        assert sorted(read(a)) == sorted(read(b))
    assert read(mine[1]) == read(theirs[1])
    assert read(mine[0]) != read(mine[0])
    one = ours.utils.text_dataset_from_directory(
        folder, **{**options, "subset": "training"}, verbose=False
    )
    assert sorted(read(one)) == sorted(read(mine[0]))


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "other"},
        {"label_mode": "other"},
        {"class_names": ["other"]},
        {"validation_split": 0.5},
        {"validation_split": 1.5, "subset": "training"},
        {"validation_split": 0.5, "subset": "training"},
        {"validation_split": 0.5, "subset": "other", "seed": 1},
        {"class_names": ["pos"], "label_mode": "binary"},
        {"format": "other"},
    ],
    ids=str,
)
def test_refused(folder: Path, options: Any) -> None:
    for package in (ours, real):
        with pytest.raises(ValueError, match=r"."):
            package.utils.text_dataset_from_directory(folder, verbose=False, **options)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="lengths of `labels`"):  # Keras leaves threads behind here
        ours.utils.text_dataset_from_directory(folder, labels=[1, 2])
    with pytest.raises(ValueError, match="No text files"):
        ours.utils.text_dataset_from_directory(folder / "empty", labels=None)
