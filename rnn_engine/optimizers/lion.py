"""Lion."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class Lion(Optimizer):
    """Steps of one size, by the sign of a blend (`keras.optimizers.Lion`).

    ``w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``, then
    ``m = beta_2 * m + (1 - beta_2) * g``.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1 : float
        Above 0 and at most 1.
    beta_2 : float
    **options
        As of `Optimizer`.

    Raises
    ------
    ValueError
        If `beta_1` is outside (0, 1], and as `Optimizer`.

    Notes
    -----
    Chen et al., "Symbolic discovery of optimization algorithms", 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Lion
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, -1.0], dtype="float32")
    >>> Lion(0.25).apply([np.array([2.0, -2.0])], [w])
    >>> print(w.value.round(4))
    [ 0.75 -0.75]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        if not 0 < beta_1 <= 1:
            raise ValueError(
                "Argument `beta_1` must be in the [0, 1] range. Otherwise, the optimizer "
                f"degenerates to SignSGD. Received: beta_1={beta_1}. It does at 0, too."
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, variables: Any) -> None:
        """Create the momenta."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def _kernel(self, variable: Variable) -> Any:
        return kernels.lion

    def _slots(self, index: int) -> tuple[Variable, ...]:
        return (self._momentums[index],)

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        beta_1 = through_float32(number, self.beta_1)
        beta_2 = through_float32(number, self.beta_2)
        hyper[4] = beta_1
        hyper[5] = number(1) - beta_1
        hyper[6] = beta_2
        hyper[7] = number(1) - beta_2

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
        }
