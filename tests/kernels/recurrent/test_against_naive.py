"""Every cell, forward and back, against a loop in float64 that shares nothing with the engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.kernels.formulas import CODES
from rnn_engine.kernels.recurrent import recurrence
from tests.kernels.recurrent.cases import CELLS, Case, cases, run, tolerance
from tests.kernels.recurrent.naive import FUNCTIONS


def compare(found, wanted, dtype):
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        scale = max(1e-30, float(np.abs(wanted[name]).max(initial=0)))
        error = float(np.abs(np.asarray(value, np.float64) - wanted[name]).max(initial=0)) / scale
        assert error <= tolerance(dtype), (name, error)


@given(cases())
def test_all_that_a_pass_gives(case):
    compare(run(case), case.expected(), case.dtype)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name in CODES])
def test_every_kind_of_activation(cell, name):
    rng = np.random.default_rng(3)
    for names in ((name, "sigmoid"), ("tanh", name)):
        case = Case(cell, names, 3, 4, 5, 19, "float64", rng, masked=True, started=True)
        compare(run(case), case.expected(), "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [5, 16, 40, 100, 273])
def test_sizes_of_more_than_one_block(cell, units, dtype):
    rng = np.random.default_rng(units)
    for batch, steps in ((1, 9), (2, 3), (13, 4), (37, 3)):
        case = Case(cell, ("tanh", "sigmoid"), batch, steps, 7, units, dtype, rng)
        compare(run(case), case.expected(), dtype)


@given(st.sampled_from(CELLS), st.data())
def test_a_pass_gives_the_same_kept_or_not(cell, data):
    case = data.draw(cases(cell))
    again = case.recurrence.forward(case.packed, case.x, *case.arguments)
    kept = case.recurrence.forward(case.packed, case.x, *case.arguments, sequence=True, keep=True)
    every = case.recurrence.forward(case.packed, case.x, *case.arguments, sequence=True)
    assert again[0] is None
    assert np.array_equal(kept[0], every[0])
    for a, b, c in zip(again[1], kept[1], every[1], strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)
    assert np.array_equal(kept[0][-1], kept[1][0])


def test_one_recurrence_for_equal_sizes():
    a = recurrence("lstm", (1, 2), 3, 4, "float32")
    assert recurrence("lstm", (1, 2), 3, 4, np.float32) is a
    assert recurrence("lstm", (1, 2), 3, 5, np.float32) is not a
