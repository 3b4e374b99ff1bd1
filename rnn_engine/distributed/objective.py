"""The loss of a group of rows, so weighed that the groups' add up to the batch's.

A group is computed as if it were a batch, and counts as its share of the rows. What its loss
divides by is its own, though: where that is not the number of rows (a mask, weights that are
summed, a plain sum), the loss of the group is multiplied by what is missing.
"""

import copy
from typing import Any

import numpy as np

from rnn_engine.checks import as_bools
from rnn_engine.losses.reduction import fold_mask
from rnn_engine.training.objective import Losses, make_objective, scalar


class GroupFactors:
    """What the value and the gradient of one output's loss are multiplied by in a group."""

    value = 1.0
    gradient = 1.0


class GroupLoss:
    """A loss, times the factors of the group that is at hand."""

    def __init__(self, loss: Any, factors: GroupFactors) -> None:
        self.loss, self.factors = loss, factors

    def logits_form(self, activation: Any) -> Any:
        """See `Loss.logits_form`."""
        form = self.loss.logits_form(activation)
        return None if form is None else GroupLoss(form, self.factors)

    def __call__(self, *args: Any) -> float:
        """Return the loss of a group."""
        return scalar(self.loss(*args)) * self.factors.value

    def value_and_gradient(self, *args: Any) -> tuple[float, Any]:
        """Return the loss of a group, and the gradient."""
        value, slope = self.loss.value_and_gradient(*args)
        if self.factors.gradient != 1.0:
            slope = slope * slope.dtype.type(self.factors.gradient)
        return scalar(value) * self.factors.value, slope


class Collected:
    """Stands in for the average of one output's loss, and keeps that of a group."""

    def __init__(self) -> None:
        self.value = 0.0

    def update_state(self, value: float, weight: float) -> None:
        """Keep the loss."""
        self.value = value


class GroupObjective:
    """The losses of a model's outputs for a group of rows, forward and back."""

    def __init__(self, model: Any, losses: Losses, training: bool) -> None:
        self.losses = losses
        mine = copy.copy(losses)
        mine.entries = [copy.copy(entry) for entry in losses.entries]
        self.factors = [GroupFactors() for _ in mine.entries]
        self.collected: list[Collected] = []
        for entry, factors in zip(mine.entries, self.factors, strict=True):
            _refuse_sums_over_rows(entry.loss)
            entry.loss = GroupLoss(entry.loss, factors)
            if entry.tracker is not None:
                collected = Collected()
                self.collected.append(collected)
                entry.tracker = collected  # type: ignore[assignment]  # the one call it gets
        self.objective = make_objective(model, mine, training)
        penalized = getattr(model, "has_penalties", True)
        # Those on weights come once a batch, those on activities with their rows.
        self.objective.regularization = model.penalties if penalized else lambda saved: 0.0
        self.several = losses.form.several_outputs

    def counts(self, weight: Any, mask: Any, pred: Any) -> list[float]:
        """Return for each loss what it divides by besides the rows: NaN where nothing else."""
        found = []
        for entry in self.losses.entries:
            i = entry.number
            of_mask, of_weight = mask, weight
            if self.several:
                of_mask = mask[i]
                of_weight = None if weight is None else weight[i]
            dtype = (pred[i] if self.several else pred).dtype
            found.append(_count(entry.loss.reduction, of_weight, of_mask, dtype))
        return found

    def set_group(self, own: list[float], totals: Any, rows_of_group: int, rows: int) -> None:
        """Set the factors for a group, by its counts and those of the batch."""
        for k, entry in enumerate(self.losses.entries):
            factors = self.factors[k]
            rest = rows / rows_of_group
            if entry.loss.reduction == "sum":
                factors.value = factors.gradient = rest
            elif entry.loss.reduction in (None, "none"):
                factors.gradient = rest
            elif totals is not None and not np.isnan(totals[k]):
                share = own[k] / totals[k] if totals[k] else 0.0
                factors.value = factors.gradient = share * rest
            else:
                factors.value = factors.gradient = 1.0


def _count(reduction: Any, weight: Any, mask: Any, dtype: Any) -> float:
    if reduction in ("sum", "none", None) or (weight is None and mask is None):
        return float("nan")
    if reduction == "mean_with_sample_weight":
        folded = fold_mask(weight, mask, dtype, reduction)
        return float("nan") if folded is None else float(folded.sum(dtype=np.float64))
    return float("nan") if mask is None else float(np.count_nonzero(as_bools(mask)))


def _refuse_sums_over_rows(loss: Any) -> None:
    """Refuse a loss that is no sum over rows, as far as it says so.

    Raises
    ------
    ValueError
        If it is one.
    """
    formula = getattr(loss, "_formula", None)
    if formula is None:
        return
    axis = loss._fn_kwargs.get("axis", formula.axis)
    if axis is None or 0 in np.atleast_1d(axis):
        raise ValueError(
            f"Loss {loss.name!r} is computed over all rows of a batch at once (axis={axis}), so it "
            f"is no sum over the groups of rows that the ranks compute. Give it an axis that "
            f"leaves the rows apart, or train without `parallel`."
        )
