"""`LossFunctionWrapper`: a loss class made of a loss function, as every built-in one is."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.checks import as_bools, compact
from rnn_engine.config import floatx
from rnn_engine.losses.base import Loss, like, plain, registry
from rnn_engine.losses.formula import formula_of
from rnn_engine.losses.inputs import match
from rnn_engine.losses.reduction import reduce, weigh
from rnn_engine.tensor import as_tensor


class LossFunctionWrapper(Loss):
    """A loss made of a function ``fn(y_true, y_pred, **kwargs) -> values``.

    One of this package's functions brings its gradient. A plain function of the user's, in
    `rnn_engine.ops` or NumPy, is differentiated by autograd, which takes the extra of that
    name; `CustomLoss` takes the gradient by hand.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        self._formula = formula_of(fn)
        # Keras shows the options as attributes: loss.from_logits, loss.axis.
        self.__dict__.update(kwargs)

    def logits_form(self, activation: Any) -> Loss | None:
        """See `Loss.logits_form`."""
        if self._formula is None:
            return None
        options = self._formula.on_logits(self._fn_kwargs, activation)
        if options is None:
            return None
        form = type(self).__new__(type(self))
        form.__dict__.update(self.__dict__, **options)
        form._fn_kwargs = options
        return form

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> Any:
        """See `Loss.__call__`."""
        if self._formula is None:
            return super().__call__(y_true, y_pred, sample_weight, mask)
        if recording.OPEN or hasattr(y_pred, "_node"):
            from rnn_engine.losses.recorded import on_a_tape

            found = on_a_tape(self, y_true, y_pred, sample_weight, mask)
            if found is not None:
                return found
        return as_tensor(self._reduced(y_true, y_pred, sample_weight, mask))

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, mask: Any) -> Any:
        if sample_weight is None and mask is None:
            mean = self._plain_mean(y_true, y_pred, False)
            if mean is not None:
                return y_pred.dtype.type(mean[0])
        with np.errstate(all="ignore"):  # NaN and infinity pass through without a word
            values, _, plan, _ = self._run(y_true, y_pred, sample_weight, mask, False)
            return reduce(values, plan)

    def value_and_gradient(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> tuple[Any, np.ndarray]:
        """See `Loss.value_and_gradient`; one pass gives both."""
        if self._formula is None:
            return super().value_and_gradient(y_true, y_pred, sample_weight, mask)
        if sample_weight is None and mask is None:
            mean = self._plain_mean(y_true, y_pred, True)
            if mean is not None:
                return mean
        with np.errstate(all="ignore"):
            values, gradient, plan, p = self._run(y_true, y_pred, sample_weight, mask, True)
            return plain(reduce(values, plan)), like(gradient, y_pred, p)

    def check_shapes(
        self, y_true: np.ndarray, pred_shape: tuple[int, ...], sample_weight: Any = None
    ) -> None:
        """See `Loss.check_shapes`; raises ValueError as a call would."""
        formula, options = self._formula, self._fn_kwargs
        if formula is None:
            return
        # Arrays of one number that seem to have the shapes: values are left to the call.
        target = np.broadcast_to(np.zeros((), y_true.dtype), y_true.shape)
        pred = np.broadcast_to(np.zeros((), self._dtype or floatx()), pred_shape)
        formula.inputs(target, pred, options, self._dtype)
        if sample_weight is not None:
            weight = np.broadcast_to(np.zeros((), pred.dtype), sample_weight.shape)
            shape = formula.values_shape(pred_shape, options)
            weigh(shape, pred.dtype, weight, None, self.reduction)

    @property
    def _has_gradient(self) -> bool:
        """Whether the gradient is given by hand."""
        own = type(self).gradient is not LossFunctionWrapper.gradient
        return self._formula is not None or own

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the values before weights and reduction."""
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def gradient(self, y_true: Any, y_pred: Any, upstream: Any) -> Any:
        """Return the gradient of ``sum(upstream * values)`` by `y_pred`."""
        if self._formula is None:
            return super().gradient(y_true, y_pred, upstream)
        t, p = self._formula.inputs(y_true, y_pred, self._fn_kwargs, self._dtype)
        gradient = self._formula.compute(t, p, upstream, **self._fn_kwargs)[1]
        return gradient.reshape(np.shape(y_pred))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; as in Keras, without the dtype."""
        config = super().get_config()
        if type(self) is LossFunctionWrapper:
            config["fn"] = registry.serialize(self.fn)
        return {**config, **self._fn_kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the loss that `get_config` described."""
        if isinstance(config.get("fn"), str):
            config = {**config, "fn": registry.lookup(config["fn"])}
        return cls(**config)

    def _plain_mean(
        self, y_true: Any, y_pred: Any, wants_gradient: bool
    ) -> tuple[float, np.ndarray] | None:
        """Return the mean over all entries and its gradient by the formula's kernel, if it fits.

        That is for arrays of one float type, as the training loop has them.
        """
        formula = self._formula
        if (
            formula is None
            or formula.mean is None
            or self.reduction not in ("sum_over_batch_size", "mean")
            or self._dtype is not None
            or type(y_true) is not np.ndarray
            or type(y_pred) is not np.ndarray
            or y_true.dtype is not y_pred.dtype
            or not (y_pred.dtype.char in "fd" and y_pred.dtype.isnative)
            or not y_pred.size
        ):
            return None
        t, p = y_true, y_pred
        if t.shape != p.shape or not p.ndim:
            t, p = match(t, p, formula.broadcast)
        gradient = np.empty(y_pred.shape if wants_gradient else 0, y_pred.dtype)
        flat_t, flat_p = compact(t).reshape(-1), compact(p).reshape(-1)
        value = formula.mean(flat_t, flat_p, gradient.reshape(-1))
        return float(y_pred.dtype.type(value)), gradient

    def _run(
        self, y_true: Any, y_pred: Any, sample_weight: Any, mask: Any, wants_gradient: bool
    ) -> tuple[np.ndarray, Any, Any, np.ndarray]:
        formula, options = self._formula, self._fn_kwargs
        assert formula is not None
        t, p = formula.inputs(y_true, y_pred, options, self._dtype)
        if formula.valid is not None:
            valid = formula.valid(t, p, **options)
            if valid is not None:
                mask = valid if mask is None else _both(mask, valid)
        shape = formula.values_shape(p.shape, options)
        plan = weigh(shape, p.dtype, sample_weight, mask, self.reduction)
        upstream = plan.upstream if wants_gradient else None
        values, gradient = formula.compute(t, p, upstream, **options)
        return values, gradient, plan, p


def _both(mask: Any, valid: np.ndarray) -> np.ndarray:
    mask = as_bools(mask)
    if mask.shape != valid.shape:
        raise ValueError(f"mask of shape {mask.shape} does not fit losses of shape {valid.shape}.")
    return mask & valid
