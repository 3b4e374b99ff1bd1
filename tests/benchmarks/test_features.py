"""The truth of the feature cases against finite differences; what their sides have to do."""

import numpy as np
import pytest

from benchmarks import features, goals, problem
from benchmarks.cases import CELLS, FEATURE_KINDS, KINDS, Case, full_grid, select
from benchmarks.peers import base
from benchmarks.results import Row, Run, Side


@pytest.fixture(autouse=True)
def small_table(monkeypatch):
    monkeypatch.setattr(features, "VOCABULARY", 11)


TRAINED = [kind for kind in FEATURE_KINDS if kind != "softmax_predict"]


def small(kind, cell="SimpleRNN"):
    return problem.draw(Case(kind, 3, 4, 2, 5, dtype="float64", cell=cell))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", TRAINED)
def test_gradients_of_the_truth(kind, cell):
    drawn = small(kind, cell)
    found, step = features.truth(drawn), 1e-5

    def loss():
        return float(features.truth(drawn)["loss"])

    for i, weight in enumerate(drawn.weights):
        slope = np.zeros_like(weight)
        for index in np.ndindex(weight.shape):
            kept = weight[index]
            weight[index] = kept + step
            above = loss()
            weight[index] = kept - step
            slope[index] = (above - loss()) / (2 * step)
            weight[index] = kept
        np.testing.assert_allclose(found[f"d_weight_{i}"], slope, rtol=1e-6, atol=1e-9)
        assert np.abs(slope).max() > 1e-5
    # One step of Adam goes down, as small as its rate is.
    assert float(found["loss_after_adam"]) < float(found["loss"])


def test_half_of_a_masked_batch_is_open():
    drawn = problem.draw(Case("masked", 32, 100, 3, 5))
    assert sorted(drawn.lengths) != list(drawn.lengths)
    assert abs(drawn.lengths.mean() / 100 - 0.5) < 0.02
    open_steps = np.arange(100) < drawn.lengths[:, None]
    assert not drawn.x[~open_steps].any()
    assert drawn.x[open_steps].all(axis=1).all()


def test_what_is_masked_counts_for_nothing():
    drawn = small("masked")
    before = features.truth(drawn)
    drawn.x[np.arange(4) >= drawn.lengths[:, None]] = 7.0
    after = features.truth(drawn)
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])


def test_probabilities_are_predicted():
    y = features.truth(small("softmax_predict"))["y"]
    assert y.shape == (3, 11)
    np.testing.assert_allclose(y.sum(axis=1), 1.0)


def test_every_feature_is_in_the_grid_and_may_be_picked():
    grid = full_grid()
    assert {case.kind for case in select("features", grid)} == set(FEATURE_KINDS)
    assert set(FEATURE_KINDS) <= set(KINDS)
    assert "at rate 0" in KINDS["dropout"]
    assert {case.kind for case in select("masked/3x4x2x5", grid)} == {"masked"}


@pytest.mark.parametrize("kind", FEATURE_KINDS)
def test_a_wrong_number_is_seen(kind):
    drawn = small(kind)
    expected = features.truth(drawn)
    for name, value in expected.items():
        errors = problem.disagreement({**expected, name: 1.01 * value}, expected)
        assert errors[name] > problem.tolerance(drawn.case)


def test_a_side_without_features_says_so():
    with pytest.raises(base.Unsupported, match="masked"):
        base.Base(1).task(small("masked"))


def test_goals():
    case = Case("masked", 32, 100, 32, 64, tag="features")
    sides = {
        "engine": Side(samples=[1.0]),
        "keras-xla": Side(samples=[2.0]),
        "jax": Side(samples=[1.5]),
    }
    found = {goal.text: goal for goal in goals.evaluate(Run({}, {}, rows=[Row(case, sides)]))}
    fastest = found["masked: times the fastest peer"]
    assert (fastest.figure, fastest.met) == (1.5, True)
    keras = found["masked: times Keras"]
    assert (keras.figure, keras.met) == (2.0, False)
