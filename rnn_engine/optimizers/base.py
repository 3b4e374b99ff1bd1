"""`Optimizer`: a step, around the fused update of a family's kernel.

`_match` pairs gradients with variables and checks them; clipping, accumulation
and weight decay become scalars that the kernel takes along (`_scales`); the
kernel updates each variable in one pass; then come the moving average and the
constraints. Nothing is written before the checks have passed.
"""

import math
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rnn_engine.checks import as_numbers, compact
from rnn_engine.config import floatx
from rnn_engine.gone import mark_gone
from rnn_engine.kernels import optimizers as kernels
from rnn_engine.kernels import threads
from rnn_engine.optimizers.sparse import SparseGrad
from rnn_engine.optimizers.state import OptimizerState, check_rate
from rnn_engine.variable import Variable

Gradient = np.ndarray | SparseGrad


@dataclass(slots=True)
class Plan:
    """What the update of one variable needs, looked up once."""

    variable: Variable
    array: np.ndarray
    flat: np.ndarray
    dtype: np.dtype
    shape: tuple[int, ...]
    index: int
    kernel: Any
    slots: tuple[np.ndarray, ...]
    hyper: np.ndarray
    decays: bool
    buffer: np.ndarray | None = None
    flat_buffer: Any = None


@dataclass(slots=True)
class Tables:
    """The calls that update all variables, as long as these are their gradients."""

    gradients: list[Any]
    calls: list[tuple[Any, np.ndarray, np.ndarray, int]]
    threads: int
    arrays: Any  # what the tables point at, kept alive


class Optimizer(OptimizerState):
    """Base class of the optimizers (`keras.optimizers.Optimizer`).

    A user's own optimizer overrides `build` (state, by `add_optimizer_variables`),
    `update_step` (one variable, NumPy on `variable.value` or `assign`) and
    `get_config`; clipping, decay, averages and accumulation come from here.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        A callable takes no argument and is asked at every step.
    weight_decay : float, optional
        Decoupled decay: each step first subtracts ``w * weight_decay * learning_rate``.
    clipnorm, clipvalue, global_clipnorm : float, optional
        Clip each gradient by its norm, by value, or all by their common norm.
        At most one of the three.
    use_ema : bool
        Keep an exponential moving average of the weights.
    ema_momentum : float
        ``average = ema_momentum * average + (1 - ema_momentum) * weight``.
    ema_overwrite_frequency : int, optional
        Overwrite the weights by their average every so many steps; if None, only
        `finalize_variable_values` does.
    loss_scale_factor : float, optional
        Gradients are divided by it; `scale_loss` multiplies the loss.
    gradient_accumulation_steps : int, optional
        Update every so many calls, with the mean of their gradients.
    name : str, optional
        A name made from the class if None.

    Raises
    ------
    ValueError
        Unknown arguments, a learning rate that is not a float (Keras refuses
        integers, too), or is NaN, infinite or negative (Keras takes these),
        more than one kind of clipping, `ema_momentum` outside [0, 1],
        `gradient_accumulation_steps` below 2.
    """

    _tables: Tables | None = None
    # Gradients, arrays of the variables and what `_match` made of them in the step before.
    _matched: tuple[list[Any], list[Any], list[tuple[Plan, Gradient]]] | None = None

    _scatters: ClassVar[str] = "squares"
    """What repeated rows of a sparse gradient add up to in the kernel's `q`."""

    # A step --------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Update by pairs of (gradient, variable); returns the iteration variable."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self._iterations

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None
    ) -> None:
        """Update variables in place by their gradients.

        Parameters
        ----------
        grads : sequence of arrays, SparseGrad or None
            One a variable; a None is skipped with a warning.
        trainable_variables : sequence of Variable, optional
            Builds the optimizer on the first call; if None, those it was built with.

        Raises
        ------
        ValueError
            Not built, unknown variables, wrong counts or shapes, no gradient at
            all, or a learning rate that is NaN, infinite or negative by now.
            Nothing has been changed then.
        """
        if len(grads) == 0:
            return
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    "When passing `grads` without `variables`, the optimizer must already be "
                    "built on a list of variables. Call "
                    "`optimizer.build(trainable_variables)` first."
                )
            trainable_variables = self._trainable_variables
        elif not self.built:
            trainable_variables = list(trainable_variables)
            self.build(trainable_variables)
        work = self._match(grads, trainable_variables)
        rate = self._rate()
        if self.gradient_accumulation_steps:
            self._accumulate(work, rate)
        else:
            self._update(work, rate, 1.0 / (self.loss_scale_factor or 1.0))
        if self.use_ema:
            self._average()
        for plan, _ in work:
            if plan.variable.constraint is not None:
                plan.variable.write(plan.variable.constraint(plan.variable.value))
        self._iterations.value[...] = self._iterations.value.item() + 1
        self._iterations.version += 1

    def update_step(self, gradient: np.ndarray, variable: Variable, learning_rate: Any) -> None:
        """Update one variable; what a user's own optimizer overrides.

        `gradient` is an array of the variable's shape, clipped already;
        `learning_rate` a scalar of its dtype.
        """
        plan = self._lookup()[id(variable)]
        if plan.kernel is None:
            raise TypeError(f"{type(self).__name__} must override update_step().")
        hyper = plan.hyper
        self._fill(hyper, float(learning_rate), int(self.iterations))
        flat = compact(np.asarray(gradient, plan.dtype)).reshape(-1)
        variable.touch()
        try:
            plan.kernel(plan.flat, flat, flat, *plan.slots, hyper)
        finally:
            variable.touch()

    def _match(
        self, grads: Sequence[Any], variables: Sequence[Variable]
    ) -> list[tuple[Plan, Gradient]]:
        """Pair plans with flat gradients (or sparse ones); reject what does not fit."""
        if len(grads) != len(variables):
            raise ValueError(
                "When passing `grads` as a list of gradient tensors, the gradients must match "
                f"`optimizer.variables` one-to-on. Received a list of {len(grads)} gradients, but "
                f"the optimizer is tracking {len(variables)} trainable variables."
            )
        plans = self._lookup()
        arrays = [variable._value for variable in variables]
        if self._matched is not None:
            # A training brings the same at every step: the variables' own buffers.
            before, of, work = self._matched
            same = len(before) == len(grads) and all(map(operator.is_, grads, before))
            if same and all(map(operator.is_, arrays, of)):
                return work
        work, missing = [], []
        for position, (gradient, variable) in enumerate(zip(grads, variables, strict=True)):
            plan = plans.get(id(variable))
            if plan is None or plan.array is not variable._value:
                self._replan(variable)
                return self._match(grads, variables)  # all plans are new
            if gradient is None:
                missing.append(variable.path)
                continue
            if gradient is plan.buffer:
                work.append((plan, plan.flat_buffer))
                continue
            if type(gradient) is not np.ndarray or gradient.dtype is not plan.dtype:
                gradient = _convert(gradient, plan, position)
            if gradient.shape != plan.shape:
                raise ValueError(
                    f"grads[{position}] has shape {tuple(gradient.shape)}, its variable "
                    f"{variable.path!r} has shape {plan.shape}."
                )
            if type(gradient) is np.ndarray:
                flat = compact(gradient).reshape(-1)
                if gradient is variable._grad:
                    # The variable's own buffer comes back at every step: checked once.
                    plan.buffer, plan.flat_buffer = gradient, flat
                gradient = flat
            work.append((plan, gradient))
        if not work:
            raise ValueError("No gradients provided for any variable.")
        if missing:
            warnings.warn(f"Gradients do not exist for variables {missing}.", stacklevel=3)
        own = len(work) == len(grads) and all(given is plan.flat_buffer for plan, given in work)
        self._matched = (list(grads), arrays, work) if own else None
        return work

    def _rate(self) -> float:
        """Return the learning rate of this step, checked."""
        rate = self._learning_rate
        if type(rate) is Variable:
            value = rate.value.item()
        else:
            value = float(np.asarray(self.learning_rate, floatx()))
        if not 0.0 <= value < math.inf:
            check_rate(value)
        return value

    def _update(self, work: list[tuple[Plan, Gradient]], rate: float, scale: float) -> None:
        """Run the kernel of each variable; `scale` multiplies every gradient."""
        # Before and after, as `Variable.touch` asks; a method call for each would take longer.
        for plan, _ in work:
            plan.variable.version += 1
        try:
            self._write(work, rate, scale)
        finally:
            for plan, _ in work:
                plan.variable.version += 1

    def _write(self, work: list[tuple[Plan, Gradient]], rate: float, scale: float) -> None:
        """Do what `_update` does, but for the versions."""
        step = self._iterations.value.item() // (self.gradient_accumulation_steps or 1)
        self._begin_update(step)
        for hyper in self._hypers.values():
            self._fill(hyper, rate, step)
        if self._is_plain() and SparseGrad not in [type(gradient) for _, gradient in work]:
            if scale != 1.0:
                for hyper in self._hypers.values():
                    hyper[kernels.SCALE] = scale
            self._update_plain(work)
            return
        for (plan, gradient), factor in zip(work, self._scales(work, scale), strict=True):
            hyper = plan.hyper
            hyper[kernels.SCALE] = factor
            hyper[kernels.LIMIT] = self._limit()
            if self.weight_decay is not None and plan.decays:
                # Keras passes the decay through float32 on TensorFlow.
                hyper[kernels.DECAY] = np.float32(self.weight_decay)
            else:
                hyper[kernels.DECAY] = 0
            if self._custom:
                self._update_by_step(plan, gradient, hyper)
            elif isinstance(gradient, SparseGrad):
                self._update_sparse(plan, gradient)
            else:
                self._run_kernel(plan, gradient, gradient)

    def _is_plain(self) -> bool:
        """Whether every variable is updated by its gradient as it is."""
        return (
            not self._custom
            and self.weight_decay is None
            and self.clipnorm is None
            and self.clipvalue is None
            and self.global_clipnorm is None
        )

    def compile_kernels(self) -> None:
        """Compile what updates the variables, by updates of no numbers.

        Called before the first step of a training, in which Ctrl-C would have to wait for all
        of it. What a clipped norm, an average or a sparse gradient takes is not among it.
        """
        plans = self._lookup().values()
        if self._custom:
            return
        # As `_tabulate` and `_run_kernel` choose them.
        rows = [[plan.flat, plan.flat, plan.flat, *plan.slots] for plan in plans]
        tabled = self._is_plain() and all(map(_elementwise, rows))
        several = _most_threads() > 1
        for plan, arrays in zip(plans, rows, strict=True):
            parts = kernels.in_parts(plan.kernel, arrays) if _elementwise(arrays) else []
            shared = several and len(parts) > 1
            if shared or tabled:
                kernel = kernels.for_all(plan.kernel, len(plan.slots), shared)
                kernel(np.empty(0, np.int64), plan.hyper, 1)
            else:
                plan.kernel(*(array[:0] for array in arrays), plan.hyper)

    def _update_plain(self, work: list[tuple[Plan, Gradient]]) -> None:
        """Run the kernels of all variables; in one call where each gradient is its own buffer."""
        tables = self._tables
        gradients = [gradient for _, gradient in work]
        if (
            tables is None
            or len(tables.gradients) != len(work)
            or any(map(operator.is_not, tables.gradients, gradients))
            or tables.threads != _most_threads()
        ):
            tables = self._tables = _tabulate(work)
        if tables is None:
            for plan, gradient in work:
                self._run_kernel(plan, gradient, gradient)
        else:
            for kernel, table, hyper, tasks in tables.calls:
                kernel(table, hyper, tasks)

    def _run_kernel(self, plan: Plan, gradient: Any, square: Any) -> None:
        """Update one variable, a large one on several threads."""
        arrays = [plan.flat, gradient, square, *plan.slots]
        parts = kernels.in_parts(plan.kernel, arrays) if _elementwise(arrays) else []
        tasks = min(len(parts), _most_threads())
        if tasks > 1:
            kernel = kernels.for_all(plan.kernel, len(plan.slots), True)
            kernel(kernels.table_of(parts), plan.hyper, tasks)
        else:
            plan.kernel(*arrays, plan.hyper)

    def _scales(self, work: list[tuple[Plan, Gradient]], scale: float) -> list[float]:
        """Return the factor of each gradient: `scale`, less where a norm is clipped."""
        by_one, by_all = self.clipnorm or 0.0, self.global_clipnorm or 0.0
        if by_one <= 0 and by_all <= 0:
            return [scale] * len(work)
        squares = [
            kernels.sum_of_squares(
                g if isinstance(g, np.ndarray) else compact(g.values).reshape(-1)
            )
            for _, g in work
        ]
        if by_one > 0:
            return [scale * _shrink(scale * math.sqrt(s), by_one) for s in squares]
        norm = scale * math.sqrt(sum(squares))
        factor = _shrink(norm, by_all)
        # As Keras: an infinite or NaN norm spoils every gradient, visibly.
        return [scale * (factor if math.isfinite(norm) else math.nan)] * len(work)

    def _limit(self) -> float:
        """Return the bound of `clipvalue`; infinite where nothing is clipped."""
        limit = self.clipvalue or 0.0
        return limit if limit > 0 else math.inf

    def _update_by_step(self, plan: Plan, gradient: Gradient, hyper: np.ndarray) -> None:
        """Hand a prepared gradient to a user's `update_step`."""
        array = gradient.to_dense() if isinstance(gradient, SparseGrad) else gradient
        array = (array * hyper[kernels.SCALE]).reshape(plan.shape)
        if self._limit() < math.inf:
            array = np.clip(array, -hyper[kernels.LIMIT], hyper[kernels.LIMIT])
        rate = hyper[kernels.RATE]
        if hyper[kernels.DECAY]:
            plan.array[...] -= plan.array * hyper[kernels.DECAY] * rate
        self.update_step(array, plan.variable, rate)

    def _update_sparse(self, plan: Plan, gradient: SparseGrad) -> None:
        """Merge the rows, then update those rows only, or all where zero gradients count."""
        hyper = plan.hyper
        rows, place = np.unique(gradient.indices, return_inverse=True)
        width = math.prod(plan.shape[1:])
        values = compact(np.asarray(gradient.values, plan.dtype)).reshape(-1, width)
        g = np.zeros((rows.size, width), plan.dtype)
        q = np.zeros_like(g)
        absolute = self._scatters == "magnitudes"
        kernels.merge_rows(place.reshape(-1), values, g, q, absolute, hyper)
        if self.global_clipnorm:
            # Keras's product with the common factor merges the rows.
            q = g
        elif not absolute:
            np.sqrt(q, out=q)
        hyper[kernels.SCALE] = 1
        hyper[kernels.LIMIT] = math.inf
        if self._leaves_untouched_rows() and hyper[kernels.DECAY] == 0:
            tables = [array.reshape(-1, width) for array in (plan.flat, *plan.slots)]
            parts = [table[rows] for table in tables]
            w, *slots = (part.reshape(-1) for part in parts)
            plan.kernel(w, g.reshape(-1), q.reshape(-1), *slots, hyper)
            for table, part in zip(tables, parts, strict=True):
                table[rows] = part
            return
        if plan.index not in self._scratch:
            self._scratch[plan.index] = (np.zeros(plan.shape, plan.dtype), np.zeros_like(plan.flat))
        all_g, all_q = (a.reshape(-1, width) for a in self._scratch[plan.index])
        all_g[rows], all_q[rows] = g, q
        self._run_kernel(plan, all_g.reshape(-1), all_q.reshape(-1))
        all_g[rows], all_q[rows] = 0, 0

    def _accumulate(self, work: list[tuple[Plan, Gradient]], rate: float) -> None:
        """Add to the accumulators, and update by their mean when their number is full."""
        steps = self.gradient_accumulation_steps or 1
        totals: list[tuple[Plan, Gradient]] = []
        for plan, gradient in work:
            total = self._gradient_sums[plan.index].value
            if isinstance(gradient, SparseGrad):
                gradient = gradient.to_dense().reshape(-1)
            if self.loss_scale_factor is not None:
                gradient = gradient / plan.dtype.type(self.loss_scale_factor)
            np.add(total, gradient.reshape(plan.shape), out=total)
            totals.append((plan, total.reshape(-1)))
        if (int(self._iterations.value) + 1) % steps == 0:
            self._update(totals, rate, 1.0 / steps)
            for accumulator in self._gradient_sums:
                accumulator.value.fill(0)
                accumulator.touch()

    def _average(self) -> None:
        """Move the averages, and overwrite the weights by them when it is time."""
        step = int(self.iterations)
        keep = self.ema_momentum if step else 0.0
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            number = variable.value.dtype.type
            momentum = np.array((keep, number(1) - number(keep)), variable.value.dtype)
            kernels.moving_average(average.value.reshape(-1), variable.value.reshape(-1), momentum)
            average.touch()
        if self.ema_overwrite_frequency and (step + 1) % self.ema_overwrite_frequency == 0:
            self.finalize_variable_values(self._trainable_variables)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Replace the variables by their moving averages, if `use_ema`.

        Raises
        ------
        ValueError
            If `var_list` is not as long as the list the optimizer was built with.
        """
        if not self.use_ema:
            return
        if len(var_list) != len(self._averages):
            raise ValueError(
                f"var_list has {len(var_list)} variables, the optimizer averages "
                f"{len(self._averages)}."
            )
        for variable, average in zip(var_list, self._averages, strict=True):
            variable.write(average.value)

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times `loss_scale_factor`, or as it is without one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # What a family fills in ----------------------------------------------------

    def _kernel(self, variable: Variable) -> Callable[..., None] | None:
        """Return the kernel that updates `variable`; None: `update_step` does."""
        return None

    def _slots(self, index: int) -> tuple[Variable, ...]:
        """Return the state of variable `index`, in the order of the kernel's arguments."""
        return ()

    def _views(self, variable: Variable, slots: tuple[Variable, ...]) -> tuple[np.ndarray, ...]:
        """Return the slots as the kernel wants them: flat."""
        return tuple(slot.value.reshape(-1) for slot in slots)

    def _coefficients(self, hyper: np.ndarray, number: Any, rate: Any, step: int) -> None:
        """Write the kernel's own scalars to ``hyper[4:]``.

        `number` rounds to the dtype of the variables, `rate` is rounded already,
        `step` counts updates from 0.
        """

    def _begin_update(self, step: int) -> None:
        """Do what is done once an update, whatever the number of variables."""

    def _leaves_untouched_rows(self) -> bool:
        """Whether a zero gradient changes nothing: then only touched rows are updated."""
        return False

    # Inside --------------------------------------------------------------------

    def _fill(self, hyper: np.ndarray, rate: float, step: int) -> None:
        """Write the scalars of this step for one dtype."""
        number = hyper.dtype.type
        rounded = number(rate)
        hyper[0] = 1
        hyper[1] = math.inf
        hyper[2] = 0
        hyper[3] = rounded
        self._coefficients(hyper, number, rounded, step)

    def _lookup(self) -> dict[int, Plan]:
        """Return the plans by the identity of their variable, made on first use."""
        if self._plans is None:
            self._hypers: dict[np.dtype, np.ndarray] = {}
            self._scratch: dict[int, tuple[np.ndarray, np.ndarray]] = {}
            self._tables = self._matched = None
            plans = {
                id(variable): self._plan(index, variable)
                for index, variable in enumerate(self._trainable_variables)
            }
            self._custom = type(self).update_step is not Optimizer.update_step or any(
                plan.kernel is None for plan in plans.values()
            )
            self._plans = plans  # last: whatever interrupts this, the next call begins anew
        return self._plans

    def _plan(self, index: int, variable: Variable) -> Plan:
        """Collect the arrays and the kernel of one variable."""
        array = variable.value
        hyper = self._hypers.setdefault(array.dtype, np.zeros(kernels.HYPER_SIZE, array.dtype))
        named = self._excluded_pattern is not None and self._excluded_pattern.search(variable.name)
        listed = any(variable is excluded for excluded in self._excluded)
        return Plan(
            variable=variable,
            array=array,
            flat=array.reshape(-1),
            dtype=array.dtype,
            shape=array.shape,
            index=index,
            kernel=self._kernel(variable),
            slots=self._views(variable, self._slots(index)),
            hyper=hyper,
            decays=not (named or listed),
        )

    def _replan(self, variable: Variable) -> None:
        """Make the plans anew for a variable whose array is new, or say that it is unknown."""
        self._plans = None
        if id(variable) not in self._lookup():
            raise ValueError(
                f"Unknown variable: {variable!r}. This optimizer can only be called for the "
                "variables it was built with; make a new optimizer for new ones."
            )

    def __dir__(self) -> list[str]:
        """Return the names for programs: what completion shows."""
        from rnn_engine.public import public

        return public(super().__dir__())

    def __repr__(self) -> str:
        from rnn_engine.public import described

        return described(self, {**self.get_config(), "iterations": int(self.iterations)})

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is looked up by identity: a copy has variables of its own."""
        nothing = dict.fromkeys(("_plans", "_tables", "_matched"))
        return {**self.__dict__, **nothing, "_hypers": {}, "_scratch": {}}


mark_gone(Optimizer, "Optimizer", "lr get_gradients")


def _most_threads() -> int:
    """Return on how many threads a large variable may be updated now."""
    return threads.tasks(threads.SERIAL_WORK, threads.get_num_threads())


def _elementwise(arrays: list[np.ndarray]) -> bool:
    """Whether all arrays of an update are of one size; Adafactor's slots are not."""
    return all(array.size == arrays[0].size for array in arrays)


def _tabulate(work: list[tuple[Plan, Gradient]]) -> Tables | None:
    """Return the tables of a step, or None where the variables have to be updated one by one.

    That is where a gradient is not the variable's own buffer, and would be another at each
    step, or where a slot is not of the variable's size, as Adafactor's are not.
    """
    rows: dict[Any, list[list[np.ndarray]]] = {}
    hypers, most = {}, _most_threads()
    for plan, gradient in work:
        arrays = [plan.flat, plan.flat_buffer, plan.flat_buffer, *plan.slots]
        if gradient is not plan.flat_buffer or not _elementwise(arrays):
            return None
        parts = kernels.in_parts(plan.kernel, arrays) if most > 1 else [arrays]
        key = plan.kernel, plan.dtype, len(parts) > 1
        rows.setdefault(key, []).extend(parts)
        hypers[key] = plan.hyper
    calls = [
        (
            kernels.for_all(key[0], len(group[0]) - 3, key[2]),
            kernels.table_of(group),
            hypers[key],
            min(most, len(group)) if key[2] else 1,
        )
        for key, group in rows.items()
    ]
    return Tables([gradient for _, gradient in work], calls, most, rows)


def _convert(gradient: Any, plan: Plan, position: int) -> Gradient:
    """Return a gradient as an array of the variable's dtype; sparse ones stay sparse."""
    if isinstance(gradient, SparseGrad):
        return gradient
    what = f"grads[{position}] for variable {plan.variable.path!r}"
    return as_numbers(gradient, what).astype(plan.dtype)


def _shrink(norm: float, limit: float) -> float:
    """Return the factor that brings `norm` down to `limit`; NaN stays NaN."""
    return 1.0 if norm <= limit else limit / norm
