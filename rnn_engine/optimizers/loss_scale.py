"""`LossScaleOptimizer`: another optimizer, with a loss that is scaled as far as it goes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.sparse import SparseGrad
from rnn_engine.optimizers.table import register, registry
from rnn_engine.variable import Variable

_OF_INNER = {
    "weight_decay": None, "clipnorm": None, "global_clipnorm": None, "clipvalue": None,
    "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
    "loss_scale_factor": None, "gradient_accumulation_steps": None,
}  # fmt: skip


@register
class LossScaleOptimizer(Optimizer):
    """An optimizer around another one that scales the loss (`keras.optimizers.LossScaleOptimizer`).

    Gradients of half precision vanish unless the loss is large; those of this library are
    float32, and the scale, a power of two, changes no digit of them. The steps are Keras's all
    the same: the scale doubles after `dynamic_growth_steps` steps with finite gradients; a step
    with others changes no weight and halves it.

    Parameters
    ----------
    inner_optimizer : Optimizer
        Its `loss_scale_factor` is taken away.
    initial_scale : float
    dynamic_growth_steps : int
    name : str, optional

    Raises
    ------
    ValueError
        If an argument belongs to the inner optimizer.

    Examples
    --------
    >>> from rnn_engine.optimizers import SGD
    >>> optimizer = LossScaleOptimizer(SGD(0.5), initial_scale=4.0)
    >>> weight = Variable(np.zeros(1, np.float32))
    >>> optimizer.apply([optimizer.scale_loss(np.ones(1, np.float32))], [weight])
    >>> weight.numpy()
    array([-0.5], dtype=float32)
    """

    wraps = True  # it is made of another optimizer

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer no longer supports `dynamic=False`. Instead, simply set "
                "`loss_scale_factor` directly on the `inner_optimizer`."
            )
        for argument, default in _OF_INNER.items():
            if kwargs.pop(argument, default) != default:
                raise ValueError(
                    f"LossScaleOptimizer does not support `{argument}`. Instead, set `{argument}` "
                    f"on the `inner_optimizer`."
                )
        if kwargs:
            raise ValueError(
                f"LossScaleOptimizer does not support arguments: `{'`, `'.join(kwargs)}`."
            )
        if not isinstance(inner_optimizer, Optimizer):
            raise ValueError(
                f"inner_optimizer must be an optimizer. Received: {inner_optimizer!r} (of type "
                f"{type(inner_optimizer)})"
            )
        self.inner_optimizer = inner_optimizer
        super().__init__(learning_rate=0.0, name=name)
        self.initial_scale = float(initial_scale)
        self.dynamic_growth_steps = int(dynamic_growth_steps)
        inner_optimizer.loss_scale_factor = None

    def build(self, variables: Sequence[Variable]) -> None:
        """Create the state of both optimizers."""
        if self.built:
            return
        self.step_counter = self.add_variable((), 0, np.int64, "step_counter")
        self.dynamic_scale = self.add_variable((), self.initial_scale, None, "dynamic_scale")
        if not self.inner_optimizer.built:
            self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        """The own state, and then the inner optimizer's."""
        return [*self._variables, *self.inner_optimizer.variables]

    # --- a step -------------------------------------------------------------------

    @property
    def loss_scale_factor(self) -> float | None:
        """The scale of the next step."""
        return float(self.dynamic_scale.value) if self.built else self.initial_scale

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        if value is not None:
            raise ValueError("The scale of a LossScaleOptimizer is its own: see `initial_scale`.")

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss (or a gradient) times the scale."""
        return np.multiply(loss, np.float32(self.loss_scale_factor))

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None
    ) -> None:
        """Have the inner optimizer update by the gradients over the scale, if they are finite."""
        if not self.built:
            if trainable_variables is None:
                raise ValueError(
                    "When passing `grads` without `variables`, the optimizer must already be "
                    "built on a list of variables. Call "
                    "`optimizer.build(trainable_variables)` first."
                )
            self.build(list(trainable_variables))
        scale = float(self.dynamic_scale.value)
        parts = [_scaled(gradient, 1.0 / scale) for gradient in grads]
        if not all(_is_finite(gradient) for gradient in parts):
            self.step_counter.assign(0)
            self.dynamic_scale.assign(scale * 0.5)
            return
        self.inner_optimizer.apply(parts, trainable_variables)
        steps = int(self.step_counter.value) + 1
        if steps == self.dynamic_growth_steps:
            self.step_counter.assign(0)
            self.dynamic_scale.assign(min(scale * 2.0, float(np.finfo(np.float32).max)))
        else:
            self.step_counter.assign(steps)

    def compile_kernels(self) -> None:
        """Compile what the inner optimizer's update takes."""
        self.inner_optimizer.compile_kernels()

    # --- what the inner optimizer has -----------------------------------------------

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """Number of updates of the inner optimizer."""
        return self.inner_optimizer.iterations

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Replace the variables by the inner optimizer's averages of them."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state of both, in the order of `variables`."""
        own = len(self._variables)
        super().set_weights(list(weights)[:own])
        self.inner_optimizer.set_weights(list(weights)[own:])

    def save_own_variables(self, store: Any) -> None:
        """Write the state of both into a mapping, as Keras."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read the state of both from a mapping."""
        if len(store.keys()) != len(self.variables):
            super().load_own_variables(store)  # says that it is skipped
            return
        self.set_weights([store[str(i)] for i in range(len(self.variables))])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "name": self.name,
            "inner_optimizer": registry.serialize(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build an optimizer from what `get_config` returned."""
        inner = registry.deserialize(config["inner_optimizer"])
        return cls(**{**config, "inner_optimizer": inner})


def _scaled(gradient: Any, factor: float) -> Any:
    if gradient is None:
        return None
    if isinstance(gradient, SparseGrad):
        values = gradient.values * gradient.values.dtype.type(factor)
        return SparseGrad(gradient.indices, values, gradient.shape)
    array = np.asarray(gradient)
    return array * array.dtype.type(factor)


def _is_finite(gradient: Any) -> bool:
    if gradient is None:
        return True
    values = gradient.values if isinstance(gradient, SparseGrad) else gradient
    return bool(np.isfinite(values).all())
