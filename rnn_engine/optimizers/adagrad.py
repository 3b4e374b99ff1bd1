"""Adagrad."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class Adagrad(Optimizer):
    """Rates that shrink with the squares seen so far (`keras.optimizers.Adagrad`).

    ``a += g**2`` and ``w -= learning_rate * g / sqrt(a + epsilon)``.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    initial_accumulator_value, epsilon : float
    **options
        As of `Optimizer`.

    Notes
    -----
    Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Adagrad
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, -1.0], dtype="float32")
    >>> Adagrad(0.5, initial_accumulator_value=0.0).apply([np.array([2.0, -2.0])], [w])
    >>> print(w.value.round(4))
    [ 0.5 -0.5]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, variables: Any) -> None:
        """Create the sums of squares."""
        if self.built:
            return
        super().build(variables)
        self._accumulators = self.add_optimizer_variables(
            variables, "accumulator", through_float32(float, self.initial_accumulator_value)
        )

    def _kernel(self, variable: Variable) -> Any:
        return kernels.adagrad

    def _slots(self, index: int) -> tuple[Variable, ...]:
        return (self._accumulators[index],)

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        hyper[4] = self.epsilon

    def _leaves_untouched_rows(self) -> bool:
        return True

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
