"""Lamb."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class Lamb(Optimizer):
    """Adam's direction, at the length of the weights (`keras.optimizers.Lamb`).

    With Adam's corrected ``u = m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon)``:
    ``w -= learning_rate * norm(w) / norm(u) * u``, or ``learning_rate * u`` where a norm is 0.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1, beta_2, epsilon : float
    **options
        As of `Optimizer`.

    Notes
    -----
    You et al., "Large batch optimization for deep learning", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Lamb
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, -1.0], dtype="float32")
    >>> Lamb(0.25).apply([np.array([2.0, -2.0])], [w])
    >>> print(w.value.round(4))
    [ 0.75 -0.75]
    """

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
        """Create momenta and velocities."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def _kernel(self, variable: Variable) -> Any:
        return kernels.lamb

    def _slots(self, index: int) -> tuple[Variable, ...]:
        # The last is room for the direction between the two passes, no state.
        momentum = self._momentums[index]
        return momentum, self._velocities[index], Variable(momentum.value)

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        hyper[4] = 1 - self.beta_1
        hyper[5] = 1 - self.beta_2
        hyper[6] = self.epsilon
        hyper[7] = number(1) - through_float32(number, self.beta_1) ** number(step + 1)
        hyper[8] = number(1) - through_float32(number, self.beta_2) ** number(step + 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
