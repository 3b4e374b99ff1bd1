"""`OptimizerState`: the options of an optimizer, its variables, its config."""

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rnn_engine.checks import as_numbers, check_memory, too_large
from rnn_engine.config import floatx
from rnn_engine.optimizers import schedules
from rnn_engine.optimizers.schedules import LearningRateSchedule
from rnn_engine.utils.naming import auto_name
from rnn_engine.variable import Variable


class OptimizerState:
    """What an optimizer is between two steps; `Optimizer` adds the step."""

    def __init__(
        self,
        learning_rate: Any,
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
        if kwargs.pop("decay", None) is not None:
            warnings.warn("Argument `decay` is no longer supported and ignored.", stacklevel=3)
        if kwargs:
            from rnn_engine.missing import renamed

            raise ValueError(f"Argument(s) not recognized: {kwargs}{renamed(kwargs)}")
        _check_options(
            clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, gradient_accumulation_steps,
        )  # fmt: skip
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: "
                f"name={name} (of type {type(name)})"
            )
        self.name = auto_name(type(self).__name__) if name is None else name
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._averages: list[Variable] = []
        self._gradient_sums: list[Variable] = []
        self._plans: Any = None
        self._excluded: list[Variable] = []
        self._excluded_pattern: re.Pattern[str] | None = None
        self._iterations = self._own(Variable(np.int64(0), name="iteration", trainable=False))
        if isinstance(learning_rate, LearningRateSchedule) or callable(learning_rate):
            self._learning_rate: Any = learning_rate
        elif isinstance(learning_rate, float | np.floating):
            check_rate(float(learning_rate))
            self._learning_rate = self._own(
                Variable(learning_rate, name="learning_rate", trainable=False, dtype=floatx())
            )
        else:
            raise ValueError(
                "Argument `learning_rate` should be float, or an instance of LearningRateSchedule, "
                "or a callable (that takes in the current iteration value and returns the "
                f"corresponding learning rate value). Received instead: "
                f"learning_rate={learning_rate}"
            )

    # State ---------------------------------------------------------------------

    @property
    def iterations(self) -> Variable | int:
        """Number of updates so far.

        A `Variable`; under `gradient_accumulation_steps` an int, the calls by the steps.
        """
        if self.gradient_accumulation_steps:
            return int(self._iterations.value) // self.gradient_accumulation_steps
        return self._iterations

    @property
    def variables(self) -> list[Variable]:
        """State in Keras's order: iteration, learning rate, averages, accumulators, slots."""
        return self._variables[:]

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a `Variable`, or what the schedule or callable gives now."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(int(self._iterations.value))
        return self._learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule) or (
            callable(value) and not isinstance(value, Variable)
        ):
            if isinstance(self._learning_rate, Variable):
                self._variables.remove(self._learning_rate)
            self._learning_rate = value
            return
        if not isinstance(self._learning_rate, Variable):
            raise TypeError(
                "This optimizer was created with a schedule or a callable as its learning rate, "
                "so the rate is not settable. Create it with a float learning_rate instead."
            )
        check_rate(float(value))
        self._learning_rate.assign(float(value))

    def build(self, variables: Sequence[Variable]) -> None:
        """Create the state for `variables`; a second call changes nothing."""
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._gradient_sums = self.add_optimizer_variables(variables, "gradient_accumulator")
        self._trainable_variables = list(variables)
        self._plans = None
        self.built = True

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Add a variable to the state.

        `initializer` is ``"zeros"``, ``"ones"``, a number, or a callable
        ``(shape, dtype)``.
        """
        dtype, shape = dtype or floatx(), tuple(shape)
        what = f"Variable {name!r} of optimizer {self.name!r}"
        check_memory(what, shape, dtype)
        try:
            if isinstance(initializer, str) and initializer in ("zeros", "ones"):
                value = np.full(shape, 0 if initializer == "zeros" else 1, dtype)
            elif callable(initializer):
                value = as_numbers(initializer(shape, dtype=dtype), f"The initializer of {what}")
            else:
                value = np.full(shape, as_numbers(initializer, f"The start of {what}"), dtype)
        except MemoryError:
            raise too_large(what, shape, dtype) from None
        if value.shape != shape:
            raise ValueError(
                f"The initializer of {what} must return an array of shape {shape}, got "
                f"{value.shape}."
            )
        return self._own(Variable(value, name=name or "variable", trainable=False, dtype=dtype))

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Add a variable of the shape and dtype of `reference_variable`."""
        return self.add_variable(
            reference_variable.shape,
            initializer,
            reference_variable.dtype,
            f"{reference_variable.path.replace('/', '_')}_{name or 'var'}",
        )

    def add_optimizer_variables(
        self,
        trainable_variables: Iterable[Variable],
        name: str | Sequence[str],
        initializer: Any = "zeros",
    ) -> Any:
        """Add one variable, or one for each name, per trainable variable.

        Returns
        -------
        list of Variable, or a tuple of such lists if `name` is a sequence.
        """
        names = [name] if isinstance(name, str) else list(name)
        many = isinstance(initializer, list | tuple)
        initializers = list(initializer) if many else [initializer] * len(names)
        if len(names) != len(initializers):
            raise ValueError(
                f"name and initializer must be of one length, got name={name!r}, "
                f"initializer={initializer!r}."
            )
        added: tuple[list[Variable], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for variables, slot, start in zip(added, names, initializers, strict=True):
                variables.append(self.add_variable_from_reference(variable, slot, start))
        return added[0] if isinstance(name, str) else added

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Leave variables out of the weight decay.

        Parameters
        ----------
        var_list : variables, optional
        var_names : strings, optional
            Regular expressions searched in the variable's name (its last part, as
            ``"kernel"``).
        """
        names = list(var_names or ())
        self._excluded = list(var_list or ())
        self._excluded_pattern = re.compile("|".join(names)) if names else None
        self._plans = None

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state, in the order of `variables`."""
        if not self.built:
            raise ValueError(
                "set_weights() needs a built optimizer: call optimizer.build(variables) first."
            )
        arrays = [as_numbers(w, f"weights[{i}]") for i, w in enumerate(weights)]
        for variable, array in zip(self._variables, arrays, strict=False):
            if variable.shape != array.shape:
                raise ValueError(
                    f"Optimizer variable {variable.path} has shape {variable.shape} not "
                    f"compatible with provided weight shape {array.shape}."
                )
        for variable, array in zip(self._variables, arrays, strict=False):
            variable.assign(array)

    def save_own_variables(self, store: Any) -> None:
        """Write the state into a mapping, under ``"0"``, ``"1"``, ... as Keras."""
        for i, variable in enumerate(self._variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read the state from a mapping; warns and skips if the counts differ, as Keras."""
        if len(store.keys()) != len(self._variables):
            warnings.warn(
                f"Skipping variable loading for optimizer {self.name!r}: it has "
                f"{len(self._variables)} variables, the saved optimizer {len(store.keys())}.",
                stacklevel=2,
            )
            return
        self.set_weights([store[str(i)] for i in range(len(self._variables))])

    # Config --------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON; the state is not in it."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            learning_rate: Any = schedules.serialize(rate)
        elif isinstance(rate, Variable):
            learning_rate = float(rate)
        else:
            learning_rate = {
                "class_name": "function",
                "config": getattr(rate, "__name__", type(rate).__name__),
            }
        return {
            "name": self.name,
            "learning_rate": learning_rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build an optimizer from what `get_config` returned.

        Raises
        ------
        ValueError
            If its learning rate was a callable: code does not travel in a config.
        """
        settings = dict(config)
        rate = settings.get("learning_rate")
        if isinstance(rate, dict):
            if rate.get("class_name") == "function":
                raise ValueError(
                    f"The learning rate of this config was the callable {rate.get('config')!r}, "
                    "which a config cannot hold: pass learning_rate anew."
                )
            settings["learning_rate"] = schedules.deserialize(rate)
        return cls(**settings)

    def _own(self, variable: Variable) -> Variable:
        """Add a variable to the state and put it below the optimizer's name."""
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable


def check_rate(value: float) -> None:
    """Reject a learning rate that would spoil the weights.

    Raises
    ------
    ValueError
        If `value` is NaN, infinite or negative.
    """
    if not 0.0 <= value < math.inf:
        raise ValueError(f"learning_rate must be a finite number >= 0, got {value}.")


def _check_options(
    clipnorm: float | None,
    clipvalue: float | None,
    global_clipnorm: float | None,
    use_ema: bool,
    ema_momentum: float,
    ema_overwrite_frequency: int | None,
    gradient_accumulation_steps: int | None,
) -> None:
    """Reject the combinations that Keras rejects."""
    if gradient_accumulation_steps and not gradient_accumulation_steps >= 2:
        raise ValueError(
            "`gradient_accumulation_steps` must be an integer >= 2. Received: "
            f"gradient_accumulation_steps={gradient_accumulation_steps}"
        )
    if use_ema:
        if not 0 <= ema_momentum <= 1:
            raise ValueError(
                f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={ema_momentum}"
            )
        if ema_overwrite_frequency and (
            not isinstance(ema_overwrite_frequency, int) or ema_overwrite_frequency < 1
        ):
            raise ValueError(
                "`ema_overwrite_frequency` must be an integer >= 1 or None. Received: "
                f"ema_overwrite_frequency={ema_overwrite_frequency}"
            )
    if sum(option is not None for option in (clipnorm, clipvalue, global_clipnorm)) > 1:
        raise ValueError(
            "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
            f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
        )
