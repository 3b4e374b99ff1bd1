"""Learning-rate schedules (`keras.optimizers.schedules`)."""

from typing import TYPE_CHECKING, Any

from rnn_engine.lazy import lazily, places_in, show_public
from rnn_engine.optimizers.schedules.schedule import LearningRateSchedule, registry

if TYPE_CHECKING:
    from rnn_engine.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
    from rnn_engine.optimizers.schedules.decays import (
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )

_NAMES = {
    "cosine": "CosineDecay CosineDecayRestarts",
    "decays": "ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay",
}
_PLACES = places_in(__name__, _NAMES)
registry.announce(_PLACES)
__getattr__ = lazily(__name__, _PLACES)
show_public(__name__)

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
