"""`split_dataset` and `Progbar` against Keras's."""

from typing import Any

import keras as real
import numpy as np
import pytest

import rnn_engine as keras

ROWS = np.arange(10.0).reshape(10, 1)


@pytest.mark.parametrize(
    ("left", "right"), [(0.7, None), (None, 0.25), (3, None), (3, 4), (0.5, 0.3), (None, 2)]
)
def test_sizes(left: Any, right: Any) -> None:
    parts = keras.utils.split_dataset(ROWS, left, right)
    theirs = real.utils.split_dataset(ROWS, left, right)
    for ours, expected in zip(parts, theirs, strict=True):
        assert len(ours) == len(expected)
        np.testing.assert_array_equal(list(ours), list(expected.as_numpy_iterator()))


def test_kinds() -> None:
    left, right = keras.utils.split_dataset((ROWS, ROWS[:, 0]), 0.5)
    assert len(left) == len(right) == 5
    np.testing.assert_array_equal(next(iter(right))[0], ROWS[5])
    left, _ = keras.utils.split_dataset(left, 2)
    assert [float(y) for _, y in left] == [0, 1]
    mixed, rest = keras.utils.split_dataset(ROWS, 5, shuffle=True, seed=1)
    found = sorted(float(row[0]) for part in (mixed, rest) for row in part)
    assert found == ROWS[:, 0].tolist()
    assert [float(row[0]) for row in mixed] != [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("left", "right", "error"),
    [
        (None, None, ValueError),
        ("a", None, TypeError),
        (11, None, ValueError),
        (1.5, None, ValueError),
        (0.7, 0.7, ValueError),
        (-1, None, ValueError),
        (0.0, None, ValueError),
        (8, 5, ValueError),
    ],
)
def test_bad_sizes(left: Any, right: Any, error: Any) -> None:
    for package in (keras, real):
        with pytest.raises(error):
            package.utils.split_dataset(ROWS, left, right)


def test_bad_datasets() -> None:
    with pytest.raises(TypeError, match="dataset"):
        keras.utils.split_dataset("abc", 0.5)


def test_progress_line(capsys: Any) -> None:
    bar = keras.utils.Progbar(4, verbose=2, stateful_metrics=["lr"])
    for step in range(1, 4):
        bar.update(step, [("loss", float(step)), ("lr", 0.5 * step)])
    assert capsys.readouterr().out == ""
    assert bar._sums == {"loss": (6.0, 3.0), "lr": (1.5, 1.0)}
    bar.add(1, [("loss", 2.0)])
    line = capsys.readouterr().out
    assert line.startswith("4/4 - 0s")
    assert line.rstrip().endswith("loss: 2.0000 - lr: 1.5000")
    with pytest.raises(ValueError, match="Only one"):
        keras.utils.Progbar(1, stateful_metrics=[], stateless_metrics=[])
