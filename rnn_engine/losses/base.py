"""`Loss`, the frame of every loss, and the registry of all."""

import re
from typing import Any, Self

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.autodiff.functions import with_way_back
from rnn_engine.checks import as_gradient, as_numbers
from rnn_engine.config import floatx, standardize_dtype
from rnn_engine.losses.inputs import to_float
from rnn_engine.losses.reduction import reduce, standardize_reduction, weigh
from rnn_engine.registry import Registry
from rnn_engine.tensor import as_tensor

registry = Registry("loss")


class Loss:
    """Base class of all losses. Mirrors `keras.losses.Loss`.

    A subclass gives ``call(y_true, y_pred) -> values``, in `rnn_engine.ops` or NumPy. To be
    trained on, autograd differentiates it, which takes the extra of that name; or it gives
    ``gradient(y_true, y_pred, upstream)`` by hand, the gradient of
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
        if recording.OPEN or hasattr(y_pred, "_node"):
            from rnn_engine.losses.recorded import on_a_tape

            found = on_a_tape(self, y_true, y_pred, sample_weight, mask)
            if found is not None:
                return found
        t, p = self._inputs(y_true, y_pred)
        values = self._values(t, p)
        plan = weigh(values.shape, values.dtype, sample_weight, mask, self.reduction)
        return as_tensor(reduce(values, plan))

    def value_and_gradient(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> tuple[Any, np.ndarray]:
        """Return the reduced loss and its gradient by `y_pred`.

        The value is a float (an array where `reduction` is None; the gradient is
        then that of its sum, as from a TensorFlow tape). The gradient has the shape
        and dtype of `y_pred`.
        """
        t, p = self._inputs(y_true, y_pred)
        values, back = self._values_and_back(t, p)
        plan = weigh(values.shape, values.dtype, sample_weight, mask, self.reduction)
        upstream = np.broadcast_to(np.asarray(plan.upstream, values.dtype), values.shape)
        what = f"The gradient of loss {self.name!r} by y_pred"
        gradient = as_gradient(back(upstream), p.shape, p.dtype, what)
        return plain(reduce(values, plan)), like(gradient, y_pred, p)

    def check_shapes(
        self, y_true: np.ndarray, pred_shape: tuple[int, ...], sample_weight: Any = None
    ) -> None:
        """Check that targets and weights fit predictions of a shape, before these are made.

        A loss of one's own is not asked: only a call tells what it takes.
        """

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> Any:
        """Return the values before weights and reduction. To be given by subclasses."""
        raise NotImplementedError(f"Loss {type(self).__name__} must define call(y_true, y_pred).")

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, upstream: np.ndarray) -> Any:
        """Return the gradient of ``sum(upstream * values)`` by `y_pred`.

        Autograd's, unless a subclass gives its own.

        Raises
        ------
        ImportError
            If the extra ``autograd`` is missing.
        """
        return self._recorded(y_true, y_pred)[1](upstream)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; as in Keras, without the dtype."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the loss that `get_config` described."""
        return cls(**config)

    def __dir__(self) -> list[str]:
        """Return the names for programs: what completion shows."""
        from rnn_engine.public import public

        return public(super().__dir__())

    def __repr__(self) -> str:
        from rnn_engine.public import described

        return described(self, self.get_config())

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        values = as_numbers(self.call(y_true, y_pred), f"What loss {self.name!r} gives")
        return values.astype(y_pred.dtype, copy=False)

    @property
    def _has_gradient(self) -> bool:
        """Whether the gradient is given by hand."""
        return type(self).gradient is not Loss.gradient

    def _values_and_back(self, t: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the values, and a function from the gradients by them to that by `y_pred`."""
        if self._has_gradient:
            return self._values(t, p), lambda upstream: self.gradient(t, p, upstream)
        return self._recorded(t, p)

    def _recorded(self, t: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, Any]:
        def values_of(pred: Any) -> Any:
            return self.call(as_tensor(t), pred)

        values_of.__name__ = f"loss {self.name!r}"
        found, back = with_way_back(values_of, p)
        values = as_numbers(found, f"What loss {self.name!r} gives")
        return values.astype(p.dtype, copy=False), back

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
