"""Every gradient by finite differences in float64, and losses by their formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine import losses
from rnn_engine.losses.softmax import from_logits
from tests.kernels.test_bits import running_on
from tests.losses.cases import LOSSES, cases

mpmath = pytest.importorskip("mpmath")


def numeric_gradient(f, x):
    """Central differences of fourth order: their error is near 1e-11 of the slope."""
    gradient = np.empty_like(x)
    step = 1e-4
    for index in np.ndindex(x.shape):
        total = 0.0
        for distance, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = x.copy()
            moved[index] += distance * step
            total += weight * f(moved)
        gradient[index] = total / (12 * step)
    return gradient


# Losses with corners: a step across one is no derivative, so those entries are left out.
def away_from_corners(case):
    name, t, p, far = case.cls.__name__, case.y_true, case.y_pred, 1e-3
    if name in ("MeanAbsoluteError", "MeanAbsolutePercentageError"):
        return (np.abs(p - t) > far).all()
    if name == "Huber":
        return (np.abs(np.abs(p - t) - case.options["delta"]) > far).all()
    if "Hinge" in name:
        signs = 2 * t - 1 if np.isin(t, (0, 1)).all() else t
        if name == "CategoricalHinge":
            others = np.sort((1 - t) * p, axis=-1)
            gap = others[..., -1] - (t * p).sum(-1) + 1
            clear = others.shape[-1] == 1 or (others[..., -1] - others[..., -2] > far).all()
            return clear and (np.abs(gap) > far * 10).all()
        return (np.abs(1 - signs * p) > far * 10).all()
    return True


def softmax_slope_is_tensorflows(case):
    """Keras spreads label smoothing by the last axis; on another the targets miss a sum of 1.

    TensorFlow's slope of the softmax, which is ours, takes that sum for 1.
    """
    options = case.options
    smoothed = options.get("label_smoothing") and options.get("from_logits")
    return bool(smoothed and options["axis"] == 0 and case.cls.__name__.startswith("Categorical"))


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_gradient_is_the_derivative_of_the_value(name, data):
    case = data.draw(cases(LOSSES[name], smooth=True, dtypes=[np.float64]))
    if not away_from_corners(case) or softmax_slope_is_tensorflows(case):
        return
    loss = case.loss

    def total(p):
        return np.sum(loss(case.y_true, p, case.sample_weight, case.mask))

    value, gradient = loss.value_and_gradient(
        case.y_true, case.y_pred, case.sample_weight, case.mask
    )
    numeric = numeric_gradient(total, case.y_pred)
    size = max(np.abs(numeric).max(), abs(total(case.y_pred)))
    noise = 1e-11 * case.y_pred.size  # rounding of the values over the step
    np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-8 * size + noise)
    np.testing.assert_allclose(
        np.sum(value), total(case.y_pred), rtol=1e-13, atol=1e-15 * case.y_pred.size
    )


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_not_zero_and_depends_on_every_prediction(name):
    rng = np.random.default_rng(5)
    p = rng.uniform(0.2, 0.8, (3, 4))
    t = rng.random((3, 4)) * 0.3
    if name == "SparseCategoricalCrossentropy":
        t = rng.integers(0, 4, 3)
    if name == "CategoricalGeneralizedCrossEntropy":
        t = rng.integers(0, 4, 3)
        gradient = LOSSES[name]().value_and_gradient(t, p)[1]
        assert np.array_equal(gradient != 0, np.eye(4, dtype=bool)[t])
        return
    assert np.all(LOSSES[name]().value_and_gradient(t, p)[1] != 0)


@given(st.floats(1e-15, 80), st.sampled_from([-1, 1]))
def test_log_cosh_keeps_its_digits(size, sign):
    x = sign * size
    with mpmath.workdps(60):
        wanted = float(mpmath.log(mpmath.cosh(mpmath.mpf(x))))
    np.testing.assert_allclose(losses.log_cosh(np.zeros(1), np.array([x])), wanted, rtol=4e-15)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 3.0, 50.0, 500.0]))
def test_softmax_cross_entropy_in_many_digits(seed, spread):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, int(rng.integers(1, 40)))) * spread
    labels = rng.integers(0, x.shape[1], 2)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    values, gradient = loss.value_and_gradient(labels, x)
    with mpmath.workdps(40):
        for row, y, value, slopes in zip(x, labels, values, gradient, strict=True):
            exps = [mpmath.exp(mpmath.mpf(float(v))) for v in row]
            total = mpmath.fsum(exps)
            wanted = mpmath.log(total) - mpmath.mpf(float(row[y]))
            assert abs(float(wanted) - value) <= 2e-15 * max(1.0, float(np.ptp(row)))
            shares = np.array([float(e / total) for e in exps])
            shares[y] = float(exps[y] / total - 1)
            np.testing.assert_allclose(slopes, shares, rtol=2e-14, atol=3e-16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labels", [True, False])
def test_softmax_cross_entropy_on_any_number_of_threads(dtype, labels):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(13, 37)).astype(dtype) * 3
    t = rng.integers(0, 37, 13) if labels else rng.dirichlet(np.ones(37), 13).astype(dtype)
    for upstream in (None, rng.random(13).astype(dtype)):
        found = set()
        for count in (1, 2, 3, 8, 20):
            with running_on(count):
                values, gradient = from_logits(t, x, upstream)
            found.add(values.tobytes() + (b"" if gradient is None else gradient.tobytes()))
        assert len(found) == 1
