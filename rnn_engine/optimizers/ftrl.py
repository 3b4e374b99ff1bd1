"""FTRL-Proximal."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class Ftrl(Optimizer):
    """Follow the regularized leader (`keras.optimizers.Ftrl`).

    ``n = a + g**2``, ``p = -learning_rate_power``,
    ``z += g + 2 * l2_shrinkage * w - (n**p - a**p) / learning_rate * w``,
    ``w = (clip(z, -l1, l1) - z) / (n**p / learning_rate + 2 * l2 + beta / learning_rate)``.
    The weights are read off the state: what they were initialized to is lost with
    the first step.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        A rate of 0 divides by zero, as in Keras.
    learning_rate_power : float
        Not positive.
    initial_accumulator_value, l1_regularization_strength, l2_regularization_strength, \
l2_shrinkage_regularization_strength : float
        Not negative.
    beta : float
    **options
        As of `Optimizer`.

    Raises
    ------
    ValueError
        If one of them is on the wrong side of zero, and as `Optimizer`.

    Notes
    -----
    McMahan et al., "Ad click prediction: a view from the trenches", 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Ftrl
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, -1.0], dtype="float32")
    >>> Ftrl(0.5, initial_accumulator_value=0.0).apply([np.array([2.0, -2.0])], [w])
    >>> print(w.value.round(4))
    [ 0.5 -0.5]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        for argument, value in (
            ("initial_accumulator_value", initial_accumulator_value),
            ("l1_regularization_strength", l1_regularization_strength),
            ("l2_regularization_strength", l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength),
        ):
            if value < 0.0:
                raise ValueError(
                    f"`{argument}` needs to be positive or zero. Received: {argument}={value}."
                )
        if learning_rate_power > 0.0:
            raise ValueError(
                "`learning_rate_power` needs to be negative or zero. Received: "
                f"learning_rate_power={learning_rate_power}."
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def build(self, variables: Any) -> None:
        """Create the sums of squares and the linear terms."""
        if self.built:
            return
        super().build(variables)
        start = through_float32(float, self.initial_accumulator_value)
        self._accumulators, self._linears = self.add_optimizer_variables(
            variables, ["accumulator", "linear"], [start, "zeros"]
        )

    def _kernel(self, variable: Variable) -> Any:
        return kernels.ftrl

    def _slots(self, index: int) -> tuple[Variable, ...]:
        return self._accumulators[index], self._linears[index]

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        l2 = number(self.l2_regularization_strength)
        if self.beta:
            l2 = l2 + number(self.beta) / (number(2) * rate)
        hyper[4] = -self.learning_rate_power
        hyper[5] = self.l1_regularization_strength
        hyper[6] = number(2) * l2
        hyper[7] = 2 * self.l2_shrinkage_regularization_strength

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
