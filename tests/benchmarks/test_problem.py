"""The truth that every side is held to, against finite differences; and the verdict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import equations, problem
from benchmarks.cases import CELLS, Case

small = st.builds(
    lambda b, t, f, u, cell: Case("gradients", b, t, f, u, dtype="float64", cell=cell),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from(CELLS),
)


def test_the_same_case_draws_the_same_numbers():
    case = Case("forward", 3, 4, 2, 5)
    one, two = problem.draw(case), problem.draw(case)
    for name in ("x", "kernel", "recurrent", "bias", "dy", "out_kernel", "out_bias", "y"):
        first, second = getattr(one, name), getattr(two, name)
        assert first.dtype == np.float32
        assert first.flags.c_contiguous
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(one.x, problem.draw(Case("gradients", 3, 4, 2, 5)).x)


@given(small)
def test_gradients_of_the_truth(case):
    drawn = problem.draw(case)
    found = problem.truth(drawn)

    def value():
        h, _ = equations.run(case.cell, drawn.x, drawn.layer_weights)
        return float((drawn.dy * h[-1]).sum())

    step = 1e-5
    for name in ("kernel", "recurrent", "bias", "x"):
        array, slope = getattr(drawn, name), np.zeros_like(found[f"d_{name}"])
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            above = value()
            array[index] = kept - step
            slope[index] = (above - value()) / (2 * step)
            array[index] = kept
        np.testing.assert_allclose(found[f"d_{name}"], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("cell", CELLS)
def test_training_goes_down_and_moves_every_weight(cell):
    case = Case("fit", 8, 6, 3, 5, samples=24, dtype="float64", cell=cell)
    drawn = problem.draw(case)
    found = problem.truth(drawn)
    before = dict(zip(list(found)[1:], drawn.weights, strict=True))
    for name, array in before.items():
        moved = np.abs(found[name] - array)
        assert moved.min() > 0.0
        # Adam's first steps are about the learning rate each.
        assert moved.max() <= 1.01e-3 * problem.CHECK_STEPS
    h = equations.run(cell, drawn.x, drawn.layer_weights)[0][-1]
    start = float(((h @ drawn.out_kernel + drawn.out_bias - drawn.y) ** 2).mean())
    assert 0.0 < float(found["loss"]) < 1.01 * start


@pytest.mark.parametrize("kind", ["forward", "gradients", "predict", "fit"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_right_numbers_agree(kind, dtype):
    case = Case(kind, 4, 5, 3, 6, samples=8 if kind == "fit" else 0, dtype=dtype)
    expected = problem.truth(problem.draw(case))
    errors = problem.disagreement({k: v.astype(dtype) for k, v in expected.items()}, expected)
    assert set(errors) == set(expected)
    assert max(errors.values()) <= problem.tolerance(case)


def _faults(expected):
    recurrent = expected["d_recurrent"]
    return {
        "transposed": {"d_recurrent": recurrent.T.copy()},
        "sign": {"d_bias": -expected["d_bias"]},
        "scale": {"d_kernel": 1.001 * expected["d_kernel"]},
        "first step dropped": {"d_x": np.concatenate([0 * expected["d_x"][:, :1],
                                                      expected["d_x"][:, 1:]], axis=1)},
        "rows swapped": {"h": expected["h"][::-1].copy()},
        "not a number": {"h": np.full_like(expected["h"], np.nan)},
        "shape": {"h": expected["h"][:, :1]},
    }  # fmt: skip


def test_wrong_numbers_do_not():
    case = Case("gradients", 4, 5, 3, 6)
    expected = problem.truth(problem.draw(case))
    for name, fault in _faults(expected).items():
        errors = problem.disagreement({**expected, **fault}, expected)
        (quantity,) = fault
        assert not errors[quantity] <= problem.tolerance(case), name
    assert problem.disagreement({}, expected) == dict.fromkeys(expected, float("inf"))
