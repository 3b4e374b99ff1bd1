"""Adadelta."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register
from rnn_engine.variable import Variable


@register
class Adadelta(Optimizer):
    """Steps in the units of the weights (`keras.optimizers.Adadelta`).

    ``a = rho * a + (1 - rho) * g**2``, ``step = sqrt(d + epsilon) / sqrt(a + epsilon) * g``,
    ``d = rho * d + (1 - rho) * step**2`` and ``w -= learning_rate * step``.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        Keras's default, 0.001; the paper has 1.
    rho, epsilon : float
    **options
        As of `Optimizer`.

    Notes
    -----
    Zeiler, "ADADELTA: an adaptive learning rate method", 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Adadelta
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, -1.0], dtype="float32")
    >>> Adadelta(1.0, rho=0.75, epsilon=1.0).apply([np.array([2.0, -2.0])], [w])
    >>> print(w.value.round(4))
    [-0.4142  0.4142]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
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
        self.rho = rho
        self.epsilon = epsilon

    def build(self, variables: Any) -> None:
        """Create the running squares of gradients and of steps."""
        if self.built:
            return
        super().build(variables)
        self._accumulated_grads, self._accumulated_steps = self.add_optimizer_variables(
            variables, ["accumulated_grad", "accumulated_delta_var"]
        )

    def _kernel(self, variable: Variable) -> Any:
        return kernels.adadelta

    def _slots(self, index: int) -> tuple[Variable, ...]:
        return self._accumulated_grads[index], self._accumulated_steps[index]

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        hyper[4] = self.rho
        hyper[5] = 1 - self.rho
        hyper[6] = self.epsilon

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "rho": self.rho,
            "epsilon": self.epsilon,
        }
