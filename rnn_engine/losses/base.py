"""`Loss`, the frame of every loss, and the registry of all."""

import re
from typing import Any, Self

import numpy as np

from rnn_engine.checks import as_gradient, as_numbers
from rnn_engine.config import floatx, standardize_dtype
from rnn_engine.losses.inputs import to_float
from rnn_engine.losses.reduction import reduce, standardize_reduction, weigh
from rnn_engine.registry import Registry

registry = Registry("loss")


class Loss:
    """Base class of all losses. Mirrors `keras.losses.Loss`.

    A subclass gives ``call(y_true, y_pred) -> values``. There is no automatic
    differentiation, so to be trained on it also gives
    ``gradient(y_true, y_pred, upstream)``: the gradient of
    ``sum(upstream * values)`` by `y_pred`. `CustomLoss` makes a loss of two functions.

    Parameters
    ----------
    name : str, optional
        Name in logs; the class name in snake case if None.
    reduction : str or None
        ``"sum_over_batch_size"`` or ``"mean"`` (mean of the weighted values), ``"sum"``,
        ``"mean_with_sample_weight"`` (weighted sum over the sum of weights),
        ``"none"`` or None (one value a sample).
    dtype : str, optional
        Float type to compute in. None means the predictions' own (Keras means floatx).

    Raises
    ------
    ValueError
        If `reduction` or `dtype` is unknown.

    Examples
    --------
    >>> class Cubic(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return np.mean(np.abs(y_pred - y_true) ** 3, axis=-1)
    ...     def gradient(self, y_true, y_pred, upstream):
    ...         error = y_pred - y_true
    ...         slopes = 3 * error * np.abs(error) / y_pred.shape[-1]
    ...         return slopes * np.expand_dims(upstream, -1)
    >>> value, gradient = Cubic().value_and_gradient([[0.0]], np.array([[2.0]]))
    >>> value, gradient
    (8.0, array([[12.]]))
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        self.name = name or _snake_case(type(self).__name__)
        self.reduction = standardize_reduction(reduction)
        self._dtype = None if dtype is None else np.dtype(standardize_dtype(dtype))

    @property
    def dtype(self) -> str:
        """Name of the float type asked for, `floatx` if none was."""
        return floatx() if self._dtype is None else self._dtype.name

    def logits_form(self, activation: Any) -> "Loss | None":
        """Return the loss of the logits that Keras takes in place of ``activation(logits)``.

        Keras computes a cross-entropy of a softmax or sigmoid output from the logits below
        it, and asks for no more than that it is one of the two: the binary one of a softmax
        is a sigmoid cross-entropy of its logits, the categorical one of a sigmoid a softmax
        cross-entropy. None for all other losses.
        """
        return None

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> Any:
        """Return the reduced loss.

        Parameters
        ----------
        y_true, y_pred : array_like
            Targets and predictions; ranks that differ by a trailing axis of one are matched.
        sample_weight : array_like, optional
            One weight for each value, or 1 on the axes that share a weight.
        mask : array_like of bool, optional
            Values that count. In Keras it travels on `y_pred`; here it is an argument.

        Returns
        -------
        NumPy scalar, or an array of values where `reduction` is None
        """
        t, p = self._inputs(y_true, y_pred)
        values = self._values(t, p)
        plan = weigh(values.shape, values.dtype, sample_weight, mask, self.reduction)
        return reduce(values, plan)

    def value_and_gradient(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> tuple[Any, np.ndarray]:
        """Return the reduced loss and its gradient by `y_pred`.

        The value is a float (an array where `reduction` is None; the gradient is
        then that of its sum, as from a TensorFlow tape). The gradient has the shape
        and dtype of `y_pred`.
        """
        t, p = self._inputs(y_true, y_pred)
        values = self._values(t, p)
        plan = weigh(values.shape, values.dtype, sample_weight, mask, self.reduction)
        upstream = np.broadcast_to(np.asarray(plan.upstream, values.dtype), values.shape)
        what = f"The gradient of loss {self.name!r} by y_pred"
        gradient = as_gradient(self.gradient(t, p, upstream), p.shape, p.dtype, what)
        return plain(reduce(values, plan)), like(gradient, y_pred, p)

    def check_shapes(
        self, y_true: np.ndarray, pred_shape: tuple[int, ...], sample_weight: Any = None
    ) -> None:
        """Check that targets and weights fit predictions of a shape, before these are made.

        A loss of one's own is not asked: only a call tells what it takes.
        """

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> Any:
        """Return the values before weights and reduction. To be given by subclasses."""
        raise TypeError(f"Loss {type(self).__name__} must define call(y_true, y_pred).")

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, upstream: np.ndarray) -> Any:
        """Return the gradient of ``sum(upstream * values)`` by `y_pred`.

        Raises
        ------
        TypeError
            If a user's loss does not give one.
        """
        raise TypeError(
            f"Loss {self.name!r} has no gradient, so a model cannot be trained on it: there is "
            f"no automatic differentiation. Define gradient(y_true, y_pred, upstream) on the "
            f"Loss, or wrap a pair of functions in CustomLoss(value_fn, gradient_fn)."
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; as in Keras, without the dtype."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the loss that `get_config` described."""
        return cls(**config)

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        values = as_numbers(self.call(y_true, y_pred), f"What loss {self.name!r} gives")
        return values.astype(y_pred.dtype, copy=False)

    def _inputs(self, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
        p = to_float(y_pred, "y_pred", self._dtype)
        return to_float(y_true, "y_true", p.dtype), p


def plain(value: Any) -> Any:
    """Return a NumPy scalar as a float, an array as it is."""
    return value if isinstance(value, np.ndarray) else float(value)


def like(gradient: np.ndarray, y_pred: Any, converted: np.ndarray) -> np.ndarray:
    """Give the gradient the shape and, where it is a float type of ours, dtype of `y_pred`."""
    if gradient.shape != converted.shape or converted is not y_pred:
        gradient = gradient.reshape(np.shape(y_pred))
        own = getattr(y_pred, "dtype", None)
        if own in (np.float32, np.float64):
            gradient = gradient.astype(np.dtype(own).newbyteorder("="), copy=False)
    return gradient


def _snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
