"""`SparseGrad`: its checks, and that only touched rows are written where that is right."""

from typing import Any

import numpy as np
import pytest

from rnn_engine.optimizers import SGD, Adagrad, Adam, SparseGrad
from rnn_engine.variable import Variable


@pytest.mark.parametrize(
    ("indices", "values", "shape", "error", "message"),
    [
        ([0, 9], np.ones((2, 3)), (5, 3), ValueError, r"indices\[1\] is 9, outside the 5 rows"),
        ([-1], np.ones((1, 3)), (5, 3), ValueError, r"indices\[0\] is -1"),
        ([0], np.ones((2, 3)), (5, 3), ValueError, "needs values of shape"),
        ([0], np.ones((1, 2)), (5, 3), ValueError, "needs values of shape"),
        ([[0]], np.ones((1, 3)), (5, 3), ValueError, "indices of shape"),
        ([0.0], np.ones((1, 3)), (5, 3), TypeError, "must be integers"),
    ],
)
def test_bad_parts_are_rejected(
    indices: Any, values: Any, shape: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SparseGrad(indices, values, shape)


def test_parts_add_up() -> None:
    a = SparseGrad([1, 1], [[1.0], [2.0]], (3, 1))
    b = SparseGrad([2], [[4.0]], (3, 1))
    both = SparseGrad.concatenate([a, b])
    np.testing.assert_array_equal(both.to_dense(), [[0.0], [3.0], [4.0]])
    assert "rows=3" in repr(both)


@pytest.mark.parametrize("make", [lambda: SGD(0.1), lambda: Adagrad(0.1)])
def test_untouched_rows_are_not_written(make: Any) -> None:
    table = Variable(np.ones((4, 2)), dtype="float32")
    # A NaN would spread if the row were computed and written.
    table.value[3] = np.nan
    optimizer = make()
    optimizer.apply([SparseGrad([1], [[1.0, 2.0]], (4, 2))], [table])
    np.testing.assert_array_equal(table.value[[0, 2]], np.ones((2, 2)))
    assert (table.value[1] < 1).all()


def test_adam_moves_every_row_as_its_momentum_decays() -> None:
    table = Variable(np.ones((3, 2)), dtype="float32")
    optimizer = Adam(0.1)
    optimizer.apply([SparseGrad([1], [[1.0, 1.0]], (3, 2))], [table])
    before = table.numpy()
    optimizer.apply([SparseGrad([0], [[1.0, 1.0]], (3, 2))], [table])
    assert (table.value[:2] < before[:2]).all()
    assert (table.value[2] == 1).all()


def test_no_rows_at_all() -> None:
    table = Variable(np.ones((3, 2)), dtype="float32")
    empty = SparseGrad(np.empty(0, np.int64), np.empty((0, 2), "f"), (3, 2))
    for optimizer in (SGD(0.1), Adam(0.1)):
        optimizer.apply([empty], [table])
    np.testing.assert_array_equal(table.value, np.ones((3, 2)))
