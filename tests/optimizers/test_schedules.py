"""Schedules give Keras's rates, at every step and through an optimizer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_engine import optimizers
from rnn_engine.optimizers import schedules
from rnn_engine.optimizers.schedules.schedule import registry
from rnn_engine.variable import Variable

keras = pytest.importorskip("keras")

RATE = st.sampled_from([0.001, 0.1, 1.0])
STEPS = st.sampled_from([1, 3, 10, 7.5])
OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "ExponentialDecay": st.fixed_dictionaries(
        {"initial_learning_rate": RATE, "decay_steps": STEPS, "decay_rate": st.floats(0.1, 1.5)},
        optional={"staircase": st.booleans()},
    ),
    "InverseTimeDecay": st.fixed_dictionaries(
        {"initial_learning_rate": RATE, "decay_steps": STEPS, "decay_rate": st.floats(0.1, 1.5)},
        optional={"staircase": st.booleans()},
    ),
    "PolynomialDecay": st.fixed_dictionaries(
        {"initial_learning_rate": RATE, "decay_steps": STEPS},
        optional={
            "end_learning_rate": st.sampled_from([0.0, 0.01]),
            "power": st.sampled_from([0.5, 1.0, 2.0]),
            "cycle": st.booleans(),
        },
    ),
    "PiecewiseConstantDecay": st.integers(1, 4).flatmap(
        lambda n: st.fixed_dictionaries(
            {
                "boundaries": st.lists(st.integers(0, 25), min_size=n, max_size=n, unique=True).map(
                    sorted
                ),
                "values": st.lists(st.floats(0.001, 1.0), min_size=n + 1, max_size=n + 1),
            }
        )
    ),
    "CosineDecay": st.fixed_dictionaries(
        {"initial_learning_rate": RATE, "decay_steps": STEPS},
        optional={
            "alpha": st.sampled_from([0.0, 0.3]),
            "warmup_target": st.sampled_from([None, 0.5]),
            "warmup_steps": st.sampled_from([1, 5]),
        },
    ),
    "CosineDecayRestarts": st.fixed_dictionaries(
        {"initial_learning_rate": RATE, "first_decay_steps": st.sampled_from([2, 5, 10])},
        optional={
            "t_mul": st.sampled_from([1.0, 1.5, 2.0]),
            "m_mul": st.sampled_from([0.5, 1.0]),
            "alpha": st.sampled_from([0.0, 0.3]),
        },
    ),
}


@pytest.mark.parametrize("cls", registry.unique())
@settings(deadline=None)
@given(data=st.data())
def test_rates_are_those_of_keras(cls: type, data: Any) -> None:
    options = data.draw(OPTIONS[cls.__name__])
    ours = cls(**options)
    theirs = getattr(keras.optimizers.schedules, cls.__name__)(**options)
    for step in (0, 1, 2, 4, 5, 9, 10, 11, 24, 30):
        expected = float(theirs(step))
        # A cosine near its end is a small difference; the rate at the top is its size.
        assert float(ours(step)) == pytest.approx(expected, rel=3e-6, abs=3e-7), step
    assert ours.get_config() == theirs.get_config()
    again = schedules.deserialize(schedules.serialize(ours))
    assert again.get_config() == ours.get_config()


@pytest.mark.parametrize("cls", registry.unique())
def test_an_optimizer_follows_its_schedule(cls: type) -> None:
    schedule = {
        "PiecewiseConstantDecay": lambda: cls([2, 4], [0.5, 0.25, 0.125]),
        "CosineDecayRestarts": lambda: cls(0.5, 3),
    }.get(cls.__name__, lambda: cls(0.5, 4, 0.5))()
    optimizer = optimizers.SGD(schedule)
    w = Variable(np.zeros(2), dtype="float64")
    expected = np.zeros(2)
    for step in range(6):
        optimizer.apply([np.ones(2)], [w])
        expected -= float(schedule(step))
        np.testing.assert_allclose(w.value, expected, rtol=1e-12)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1


@pytest.mark.parametrize("cls", registry.unique())
def test_bad_steps_are_rejected(cls: type) -> None:
    if cls.__name__ == "PiecewiseConstantDecay":
        with pytest.raises(ValueError, match="boundaries"):
            cls([1, 2], [0.5, 0.25])
        return
    arguments = (0.1, 0, 0.5) if "Cosine" not in cls.__name__ else (0.1, 0)
    with pytest.raises(ValueError, match="decay_steps` must be > 0"):
        cls(*arguments)


def test_a_users_own_schedule() -> None:
    class Halving(schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return 0.5**step

    w = Variable([0.0], dtype="float32")
    optimizer = optimizers.SGD(Halving())
    for _ in range(3):
        optimizer.apply([np.ones(1)], [w])
    assert w.value[0] == -1.75
    with pytest.raises(TypeError, match="get_config"):
        optimizer.get_config()
    with pytest.raises(NotImplementedError, match="__call__"):
        schedules.LearningRateSchedule()(0)
