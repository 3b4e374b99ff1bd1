"""Adam and AdamW."""

import math
from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class Adam(Optimizer):
    """Adaptive moments (`keras.optimizers.Adam`).

    ``m += (1 - beta_1) * (g - m)``, ``v += (1 - beta_2) * (g**2 - v)`` and at step t
    ``w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)``:
    `epsilon` stands outside the bias correction (Kingma and Ba's "epsilon hat").
    With `amsgrad` the largest `v` so far divides.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1, beta_2, epsilon : float
    amsgrad : bool
    **options
        As of `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Adam
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0], dtype="float32")
    >>> Adam(0.25).apply([np.array([8.0])], [w])
    >>> print(w.value.round(4))
    [0.75]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.amsgrad = amsgrad

    def build(self, variables: Any) -> None:
        """Create momenta and velocities, and the largest velocities for `amsgrad`."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        self._velocity_hats = (
            self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else []
        )

    def _kernel(self, variable: Variable) -> Any:
        return kernels.adam_amsgrad if self.amsgrad else kernels.adam

    def _slots(self, index: int) -> tuple[Variable, ...]:
        slots = (self._momentums[index], self._velocities[index])
        return (*slots, self._velocity_hats[index]) if self.amsgrad else slots

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        # In the precision of the variables, as Keras: in float32, 1 - beta_2 is
        # 5e-5 away from 0.001, and the first steps are larger by half of that.
        power_1 = through_float32(number, self.beta_1) ** number(step + 1)
        power_2 = through_float32(number, self.beta_2) ** number(step + 1)
        root = number(math.sqrt(number(1) - power_2))
        hyper[4] = rate * root / (number(1) - power_1)
        hyper[5] = 1 - self.beta_1
        hyper[6] = 1 - self.beta_2
        hyper[7] = self.epsilon

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


@register
class AdamW(Adam):
    """Adam with decoupled weight decay (`keras.optimizers.AdamW`).

    Adam whose `weight_decay` is on by default, and stands second in the arguments.

    Raises
    ------
    ValueError
        If `weight_decay` is None.

    Examples
    --------
    >>> from rnn_engine.optimizers import AdamW
    >>> AdamW().weight_decay
    0.004
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue,
            global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
