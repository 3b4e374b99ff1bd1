"""Adafactor."""

import math
from typing import Any

import numpy as np

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import register, through_float32
from rnn_engine.variable import Variable


@register
class Adafactor(Optimizer):
    """Second moments as an outer product of row and column means (`keras.optimizers.Adafactor`).

    With ``beta = 1 - t**beta_2_decay`` at step t, running means of ``g**2 + epsilon_1``
    over the last two axes give ``v``; ``u = g / sqrt(v)`` and
    ``w -= max(epsilon_2, rms(w)) * min(learning_rate, 1 / sqrt(t)) * u
    / max(1, rms(u) / clip_threshold)``. Variables of one axis keep `v` itself.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_2_decay, epsilon_1, epsilon_2, clip_threshold : float
    relative_step : bool
        Without effect, as in Keras, where the rate is bounded by ``1 / sqrt(t)`` anyway.
    **options
        As of `Optimizer`.

    Notes
    -----
    Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018.
    Keras keeps `v` as a variable too, and so do we: its files hold it.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.optimizers import Adafactor
    >>> from rnn_engine.variable import Variable
    >>> w = Variable([1.0, -1.0], dtype="float32")
    >>> Adafactor(0.25).apply([np.array([2.0, -2.0])], [w])
    >>> print(w.value.round(4))
    [ 0.75 -0.75]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables: Any) -> None:
        """Create row means, column means and second moments."""
        if self.built:
            return
        super().build(variables)
        self._moments = []
        for variable in variables:
            shape, name = variable.shape, variable.name
            if len(shape) < 2:
                # Keras's placeholders: they hold nothing, but its files count them.
                row, column = (Variable(np.int32(0), name=name, trainable=False) for _ in range(2))
                self._variables += [row, column]
            else:
                row = self.add_variable(shape[:-1], dtype=variable.dtype, name=name)
                column = self.add_variable(
                    (*shape[:-2], shape[-1]), dtype=variable.dtype, name=name
                )
            velocity = self.add_variable_from_reference(variable, "velocity")
            self._moments.append((row, column, velocity))

    def _kernel(self, variable: Variable) -> Any:
        return kernels.adafactor if variable.ndim >= 2 else kernels.adafactor_vector

    def _slots(self, index: int) -> tuple[Variable, ...]:
        return self._moments[index]

    def _views(self, variable: Variable, slots: tuple[Variable, ...]) -> tuple[np.ndarray, ...]:
        row, column, velocity = (slot.value for slot in slots)
        if variable.ndim < 2:
            return (velocity.reshape(-1),)
        rows, columns = variable.shape[-2:]
        room = np.empty(columns)
        return row.reshape(-1, rows), column.reshape(-1, columns), velocity.reshape(-1), room

    def _coefficients(self, hyper: Any, number: Any, rate: Any, step: int) -> None:
        now = number(step + 1)
        beta = number(1) - now ** number(self.beta_2_decay)
        hyper[4] = beta
        hyper[5] = number(1) - beta
        hyper[6] = self.epsilon_1
        hyper[7] = through_float32(number, self.epsilon_2)
        hyper[8] = min(rate, number(1) / number(math.sqrt(now)))
        hyper[9] = self.clip_threshold

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }
