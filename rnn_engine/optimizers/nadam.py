"""Nadam."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class Nadam(Optimizer):
    """Adam with Nesterov momentum (`keras.optimizers.Nadam`).

    The momentum of step t is ``u_t = beta_1 * (1 - 0.5 * 0.96**t)``; Adam's mean is
    replaced by ``u_(t+1) * m / (1 - prod(u_1..t+1)) + (1 - u_t) * g / (1 - prod(u_1..t))``,
    and `epsilon` stands beside the corrected root.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1, beta_2, epsilon : float
    **options
        As of `Optimizer`.

    Notes
    -----
    Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Nadam
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, -1.0], dtype="float32")
    >>> Nadam(0.5).apply([np.array([2.0, -2.0])], [w])
    >>> print(w.value.round(4))
    [ 0.4686 -0.4686]
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
        """Create momenta, velocities and the product of the momenta so far."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        dtype = variables[0].dtype if variables else None
        self._u_product = self.add_variable((), "ones", dtype)

    def _kernel(self, variable: Variable) -> Any:
        return kernels.nadam

    def _slots(self, index: int) -> tuple[Variable, ...]:
        return self._momentums[index], self._velocities[index]

    def _begin_update(self, step: int) -> None:
        product = self._u_product
        number = product.value.dtype.type
        share = number(1) - number(0.5) * number(0.96) ** number(step + 1)
        product.value[...] = number(product.value) * number(self.beta_1) * share
        product.touch()

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        one, half = number(1), number(0.5)
        beta_1 = through_float32(number, self.beta_1)
        beta_2 = through_float32(number, self.beta_2)
        decay = through_float32(number, 0.96)
        now = beta_1 * (one - half * decay ** number(step + 1))
        ahead = beta_1 * (one - half * decay ** number(step + 2))
        product = number(self._u_product.value)
        hyper[4] = one - beta_1
        hyper[5] = one - beta_2
        hyper[6] = self.epsilon
        hyper[7] = one - beta_2 ** number(step + 1)
        hyper[8] = ahead
        hyper[9] = one - product * ahead
        hyper[10] = one - now
        hyper[11] = one - product

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
