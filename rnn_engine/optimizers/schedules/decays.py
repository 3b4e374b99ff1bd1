"""Exponential, inverse-time, polynomial and piecewise constant decay."""

import math
from collections.abc import Sequence
from typing import Any

from rnn_engine.optimizers.schedules.schedule import (
    LearningRateSchedule,
    check_steps,
    registry,
    rounding,
)


@registry.register()
class ExponentialDecay(LearningRateSchedule):
    """``initial * decay_rate ** (step / decay_steps)`` (`keras` name and arguments).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive.
    decay_rate : float
    staircase : bool
        Take the exponent's floor.
    name : str

    Raises
    ------
    ValueError
        If `decay_steps` is not positive.

    Examples
    --------
    >>> from rnn_engine.optimizers.schedules import ExponentialDecay
    >>> float(ExponentialDecay(1.0, decay_steps=10, decay_rate=0.25)(5))
    0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        check_steps("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`."""
        number = rounding()
        p = number(step) / number(self.decay_steps)
        if self.staircase:
            p = number(math.floor(p))
        return number(self.initial_learning_rate) * number(self.decay_rate) ** p

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@registry.register()
class InverseTimeDecay(LearningRateSchedule):
    """``initial / (1 + decay_rate * step / decay_steps)`` (`keras` name and arguments).

    Parameters and errors as of `ExponentialDecay`; `staircase` takes the floor of
    ``step / decay_steps``.

    Examples
    --------
    >>> from rnn_engine.optimizers.schedules import InverseTimeDecay
    >>> float(InverseTimeDecay(1.0, decay_steps=10, decay_rate=1.0)(10))
    0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        check_steps("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`."""
        number = rounding()
        p = number(step) / number(self.decay_steps)
        if self.staircase:
            p = number(math.floor(p))
        return number(self.initial_learning_rate) / (number(1) + number(self.decay_rate) * p)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@registry.register()
class PolynomialDecay(LearningRateSchedule):
    """``(initial - end) * (1 - step / decay_steps) ** power + end`` (`keras` name and arguments).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive; the rate stays at `end_learning_rate` from then on.
    end_learning_rate, power : float
    cycle : bool
        Past `decay_steps`, stretch the decay to the next multiple of it instead.
    name : str

    Raises
    ------
    ValueError
        If `decay_steps` is not positive.

    Examples
    --------
    >>> from rnn_engine.optimizers.schedules import PolynomialDecay
    >>> float(PolynomialDecay(1.0, decay_steps=4, end_learning_rate=0.0)(3))
    0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        check_steps("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`."""
        number = rounding()
        now, last = number(step), number(self.decay_steps)
        if self.cycle:
            last = last * number(math.ceil(now / last) if now else 1)
        else:
            now = min(now, last)
        start, end = number(self.initial_learning_rate), number(self.end_learning_rate)
        return (start - end) * (number(1) - now / last) ** number(self.power) + end

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


@registry.register()
class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` while ``step <= boundaries[i]``, then the last (`keras` name and arguments).

    Parameters
    ----------
    boundaries : sequence of int
        Increasing.
    values : sequence of float
        One more than `boundaries`.
    name : str

    Raises
    ------
    ValueError
        If there is not one more value than boundaries, or there is no boundary.

    Examples
    --------
    >>> from rnn_engine.optimizers.schedules import PiecewiseConstantDecay
    >>> schedule = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
    >>> [float(schedule(step)) for step in (10, 11, 21)]
    [1.0, 0.5, 0.25]
    """

    def __init__(
        self, boundaries: Sequence[int], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1 or not boundaries:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values, and at least "
                f"1. Received: boundaries={boundaries} of length {len(boundaries)}, and "
                f"values={values} of length {len(values)}."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`."""
        number = rounding()
        for boundary, value in zip(self.boundaries, self.values[:-1], strict=True):
            if step <= boundary:
                return number(value)
        return number(self.values[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}
