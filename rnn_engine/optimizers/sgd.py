"""Stochastic gradient descent."""

from typing import Any

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class SGD(Optimizer):
    """Gradient descent with momentum (`keras.optimizers.SGD`).

    Without momentum ``w -= learning_rate * g``; with it
    ``m = momentum * m - learning_rate * g`` and ``w += m``, or for Nesterov's
    ``w += momentum * m - learning_rate * g``.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    momentum : float
        Between 0 and 1, a float as in Keras.
    nesterov : bool
    **options
        As of `Optimizer`.

    Raises
    ------
    ValueError
        If `momentum` is not a float in [0, 1], and as `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import SGD
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, 2.0], dtype="float32")
    >>> SGD(0.5).apply([np.array([1.0, -1.0])], [w])
    >>> w.value
    array([0.5, 2.5], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be a float between [0, 1]. Received: {momentum!r}")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Any) -> None:
        """Create the momenta, if there is momentum."""
        if self.built:
            return
        super().build(variables)
        self._momentums = (
            self.add_optimizer_variables(variables, "momentum") if self.momentum else []
        )

    def _kernel(self, variable: Variable) -> Any:
        return kernels.sgd_momentum if self._momentums else kernels.sgd

    def _slots(self, index: int) -> tuple[Variable, ...]:
        return (self._momentums[index],) if self._momentums else ()

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        if self.momentum:
            momentum = through_float32(number, self.momentum)
            hyper[4] = momentum
            hyper[5] = momentum if self.nesterov else 1
            hyper[6] = rate if self.nesterov else 0

    def _leaves_untouched_rows(self) -> bool:
        return not self.momentum

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
