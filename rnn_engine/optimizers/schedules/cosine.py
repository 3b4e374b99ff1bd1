"""Cosine decay, once with a warm-up and once with restarts (SGDR)."""

import math
from typing import Any

from rnn_engine.optimizers.schedules.schedule import (
    LearningRateSchedule,
    check_steps,
    registry,
    rounding,
)


@registry.register()
class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to `alpha` of it (`keras` name and arguments).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive.
    alpha : float
        Fraction of the rate that is left at the end.
    name : str
    warmup_target : float, optional
        First climb linearly from `initial_learning_rate` to this; the decay then
        starts from it.
    warmup_steps : int

    Raises
    ------
    ValueError
        If `decay_steps` is not positive.

    Notes
    -----
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2016.

    Examples
    --------
    >>> from rnn_engine.optimizers.schedules import CosineDecay
    >>> schedule = CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=4)
    >>> [round(float(schedule(step)), 3) for step in (1, 4, 9, 14)]
    [0.25, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        check_steps("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`."""
        number = rounding()
        now, last = number(step), number(self.decay_steps)
        top = number(self.initial_learning_rate)
        if self.warmup_target is not None:
            warmup, target = number(self.warmup_steps), number(self.warmup_target)
            if now < warmup:
                return (target - top) * (now / warmup) + top
            now, top = now - warmup, target
        fraction = min(now, last) / last
        decayed = number(0.5) * (number(1) + number(math.cos(number(math.pi) * fraction)))
        return top * (number(1 - self.alpha) * decayed + number(self.alpha))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


@registry.register()
class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decays one after the other (`keras` name and arguments).

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : int
        Positive; length of the first decay.
    t_mul : float
        Each decay is so many times as long as the one before.
    m_mul : float
        Each decay starts from so many times the rate of the one before.
    alpha : float
        Fraction of the initial rate that is left at the end of a decay.
    name : str

    Raises
    ------
    ValueError
        If `first_decay_steps` is not positive.

    Examples
    --------
    >>> from rnn_engine.optimizers.schedules import CosineDecayRestarts
    >>> schedule = CosineDecayRestarts(1.0, 10, t_mul=1.0, m_mul=0.5)
    >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 15)]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        check_steps("first_decay_steps", first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`."""
        number = rounding()
        one, growth, alpha = number(1), number(self.t_mul), number(self.alpha)
        fraction = number(step) / number(self.first_decay_steps)
        if growth == one:
            restarts = number(math.floor(fraction))
            fraction = fraction - restarts
        else:
            # The logarithm is rounded as Keras rounds it, so that a restart that
            # falls on a whole step falls on the same one.
            passed = number(math.log(one - fraction * (one - growth)))
            restarts = number(math.floor(passed / number(math.log(growth))))
            before = (one - growth**restarts) / (one - growth)
            fraction = (fraction - before) / growth**restarts
        height = number(self.m_mul) ** restarts
        cosine = number(math.cos(number(math.pi) * fraction))
        decayed = number(0.5) * height * (one + cosine)
        return number(self.initial_learning_rate) * ((one - alpha) * decayed + alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
