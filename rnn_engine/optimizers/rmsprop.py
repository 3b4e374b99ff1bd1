"""RMSprop."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register
from rnn_engine.variable import Variable


@register
class RMSprop(Optimizer):
    """Gradient over the root of its running mean square (`keras.optimizers.RMSprop`).

    ``v = rho * v + (1 - rho) * g**2`` and
    ``w -= learning_rate * g / sqrt(v + epsilon)``; `centered` takes the square
    of the running mean gradient off `v`, `momentum` accumulates the step.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    rho, momentum, epsilon : float
    centered : bool
    **options
        As of `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import RMSprop
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0], dtype="float32")
    >>> RMSprop(0.1, rho=0.75, epsilon=0.0).apply([np.array([3.0])], [w])
    >>> w.value
    array([0.8], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, variables: Any) -> None:
        """Create velocities, momenta and mean gradients, as far as they are used."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = (
            self.add_optimizer_variables(variables, "momentum") if self.momentum > 0 else []
        )
        self._average_gradients = (
            self.add_optimizer_variables(variables, "average_gradient") if self.centered else []
        )

    def _kernel(self, variable: Variable) -> Any:
        general = self._momentums or self._average_gradients
        return kernels.rmsprop_general if general else kernels.rmsprop

    def _slots(self, index: int) -> tuple[Variable, ...]:
        velocity = self._velocities[index]
        if not self._momentums and not self._average_gradients:
            return (velocity,)
        # The general kernel wants both; the one not in use is no part of the state.
        blank = Variable(velocity.value)
        momentum = self._momentums[index] if self._momentums else blank
        average = self._average_gradients[index] if self._average_gradients else blank
        return velocity, momentum, average

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        hyper[4] = self.rho
        hyper[5] = 1 - self.rho
        hyper[6] = self.epsilon
        hyper[7] = self.momentum if self._momentums else 0
        hyper[8] = 1 if self.centered else 0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
