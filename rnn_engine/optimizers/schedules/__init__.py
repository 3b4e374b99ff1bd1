"""Learning-rate schedules (`keras.optimizers.schedules`)."""

from typing import Any

from rnn_engine.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from rnn_engine.optimizers.schedules.decays import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from rnn_engine.optimizers.schedules.schedule import LearningRateSchedule, registry

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Return a schedule as a config dict (`keras.optimizers.schedules.serialize`)."""
    return registry.serialize(learning_rate_schedule)


def deserialize(config: dict[str, Any]) -> Any:
    """Rebuild what `serialize` returned (`keras.optimizers.schedules.deserialize`)."""
    return registry.deserialize(config)
