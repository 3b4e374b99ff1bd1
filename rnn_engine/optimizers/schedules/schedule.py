"""`LearningRateSchedule`: the base class, and the registry of the schedules."""

from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.registry import Registry

registry = Registry("learning rate schedule")


class LearningRateSchedule:
    """A learning rate as a function of the step.

    Mirrors `keras.optimizers.schedules.LearningRateSchedule`.

    A user's own schedule overrides `__call__(step)`, and `get_config` to be saved.
    """

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, counted in batches from 0."""
        raise NotImplementedError(
            f"Learning rate schedule {type(self).__name__!r} must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        raise TypeError(f"Schedule {type(self).__name__!r} must override get_config().")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build a schedule from what `get_config` returned."""
        return cls(**config)


def rounding() -> Any:
    """Return the scalar type that schedules compute in: `floatx`, as in Keras."""
    return np.dtype(floatx()).type


def check_steps(argument: str, value: Any) -> None:
    """Reject a number of steps that is not positive."""
    if value <= 0:
        raise ValueError(f"Argument `{argument}` must be > 0. Received: {argument}={value}")
