"""Every constraint of the registry against Keras."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine import constraints
from rnn_engine.constraints import registry

keras = pytest.importorskip("keras")

ARGUMENTS = {
    "MaxNorm": [{}, {"max_value": 0.7}, {"max_value": 1.5, "axis": 1}, {"axis": [0, 1]}],
    "UnitNorm": [{}, {"axis": 1}, {"axis": [0, 1]}],
    "MinMaxNorm": [
        {},
        {"min_value": 0.5, "max_value": 0.9, "rate": 0.3},
        {"min_value": 2.0, "max_value": 2.5, "axis": 1},
        {"rate": 0.0},
    ],
}
CASES = [(c, a) for c in registry.unique() for a in ARGUMENTS.get(c.__name__, [{}])]


@pytest.mark.parametrize(("cls", "arguments"), CASES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-9, 0.1, 1.0, 30.0]),
)
def test_projection_is_keras(cls, arguments, dtype, shape, seed, scale):
    w = (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtype)
    w[..., 0] = 0.0
    before = w.copy()
    ours = cls(**arguments)(w)
    theirs = np.asarray(getattr(keras.constraints, cls.__name__)(**arguments)(w))
    assert ours.dtype == w.dtype
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=0)
    np.testing.assert_array_equal(w, before)


def test_axis_zero_is_the_weights_into_a_unit():
    w = np.random.default_rng(0).normal(size=(6, 3))
    np.testing.assert_allclose(np.linalg.norm(constraints.UnitNorm()(w), axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(constraints.UnitNorm(axis=1)(w), axis=1), 1, rtol=1e-6
    )
    assert np.linalg.norm(constraints.MaxNorm(0.5)(w), axis=0).max() <= 0.5


def test_nan_stays():
    assert np.isnan(constraints.NonNeg()(np.array([np.nan, -1.0]))[0])


@pytest.mark.parametrize(("cls", "arguments"), CASES, ids=str)
def test_round_trip(cls, arguments):
    constraint = cls(**arguments)
    written = json.loads(json.dumps(constraints.serialize(constraint)))
    again = constraints.deserialize(written)
    assert type(again) is cls
    theirs = keras.constraints.serialize(getattr(keras.constraints, cls.__name__)(**arguments))
    assert again.get_config() == constraint.get_config() == theirs["config"]
    assert constraints.get(theirs).get_config() == constraint.get_config()
    assert cls.__name__ in repr(constraint)


@pytest.mark.parametrize("name", sorted(registry.entries))
def test_names(name):
    assert type(constraints.get(name)) is registry.entries[name]
    assert type(keras.constraints.get(name)).__name__ == registry.entries[name].__name__


def test_every_name_of_keras_is_here():
    for name in dir(keras.constraints):
        assert name.startswith("_") or hasattr(constraints, name), name


@pytest.mark.parametrize("bad", ["max_nrom", 3, {"class_name": "Foo", "config": {}}], ids=str)
def test_unknown(bad):
    with pytest.raises(ValueError, match="constraint"):
        constraints.get(bad)


def test_callables_and_custom_classes():
    assert constraints.get(None) is None
    assert constraints.get(np.abs) is np.abs
    assert isinstance(constraints.get(constraints.NonNeg), constraints.NonNeg)

    class Own(constraints.Constraint):
        pass

    again = constraints.deserialize(constraints.serialize(Own()), {"Own": Own})
    assert type(again) is Own


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (constraints.MaxNorm, {"max_value": -1.0}, "max_value must not be negative, got -1.0"),
        (constraints.MaxNorm, {"max_value": float("nan")}, "max_value must not be negative"),
        (constraints.MinMaxNorm, {"min_value": 2.0}, "min_value <= max_value"),
        (constraints.MinMaxNorm, {"rate": 1.5}, "rate must lie within 0 and 1, got 1.5"),
    ],
)
def test_senseless_arguments(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**arguments)
