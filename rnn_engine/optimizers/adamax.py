"""Adamax."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class Adamax(Optimizer):
    """Adam in the infinity norm (`keras.optimizers.Adamax`).

    ``m += (1 - beta_1) * (g - m)``, ``u = max(beta_2 * u, abs(g))`` and at step t
    ``w -= learning_rate * m / ((1 - beta_1**t) * (u + epsilon))``.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1, beta_2, epsilon : float
    **options
        As of `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Adamax
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, -1.0], dtype="float32")
    >>> Adamax(0.25).apply([np.array([2.0, -2.0])], [w])
    >>> print(w.value.round(4))
    [ 0.75 -0.75]
    """

    _scatters = "magnitudes"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: Any) -> None:
        """Create momenta and infinity norms."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._norms = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def _kernel(self, variable: Variable) -> Any:
        return kernels.adamax

    def _slots(self, index: int) -> tuple[Variable, ...]:
        return self._momentums[index], self._norms[index]

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        hyper[4] = 1 - self.beta_1
        hyper[5] = self.beta_2
        hyper[6] = number(1) - through_float32(number, self.beta_1) ** number(step + 1)
        hyper[7] = self.epsilon

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
