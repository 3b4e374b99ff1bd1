"""`CustomLoss`: a user's own loss, trained on without automatic differentiation."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.checks import as_numbers
from rnn_engine.losses.base import Loss
from rnn_engine.losses.formula import spread


class CustomLoss(Loss):
    """A user's own loss, by its values and their slopes. Keras has no twin of it.

    Parameters
    ----------
    value_fn : callable
        ``value_fn(y_true, y_pred) -> values``, one for each sample (and step, ...):
        the values' shape is the beginning of `y_pred`'s.
    gradient_fn : callable
        ``gradient_fn(y_true, y_pred)``: derivative of each value by the entries of
        `y_pred` that it is made of; an array of `y_pred`'s shape. Weights, masks and
        the reduction are applied by the engine.
    name : str, optional
        Name in logs; that of `value_fn` if None.
    reduction, dtype
        As in `Loss`.

    Raises
    ------
    TypeError
        If one of the functions cannot be called.
    ValueError
        When the loss is used, if values or slopes have the wrong shape.

    Examples
    --------
    >>> loss = CustomLoss(
    ...     lambda y_true, y_pred: np.mean((y_pred - y_true) ** 4, axis=-1),
    ...     lambda y_true, y_pred: 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1],
    ...     name="quartic",
    ... )
    >>> value, gradient = loss.value_and_gradient([[0.0, 1.0]], np.array([[2.0, 1.0]]))
    >>> value, gradient
    (8.0, array([[16.,  0.]]))
    """

    def __init__(
        self,
        value_fn: Callable[..., Any],
        gradient_fn: Callable[..., Any],
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        for argument, function in (("value_fn", value_fn), ("gradient_fn", gradient_fn)):
            if not callable(function):
                raise TypeError(f"{argument} must be callable, got {function!r}.")
        own = getattr(value_fn, "__name__", "custom_loss")
        super().__init__(name or (own if own.isidentifier() else "custom_loss"), reduction, dtype)
        self.value_fn = value_fn
        self.gradient_fn = gradient_fn

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return what `value_fn` gives."""
        values = as_numbers(
            self.value_fn(y_true, y_pred), f"What value_fn of loss {self.name!r} gives"
        )
        if values.shape != y_pred.shape[: values.ndim]:
            raise ValueError(
                f"value_fn of loss {self.name!r} must return values whose shape is the beginning "
                f"of y_pred's shape {y_pred.shape}, got {values.shape}."
            )
        return values

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, upstream: np.ndarray) -> np.ndarray:
        """Return what `gradient_fn` gives, times `upstream`."""
        slopes = as_numbers(
            self.gradient_fn(y_true, y_pred), f"What gradient_fn of loss {self.name!r} gives"
        )
        if slopes.shape != y_pred.shape:
            raise ValueError(
                f"gradient_fn of loss {self.name!r} must return an array of y_pred's shape "
                f"{y_pred.shape}, got {slopes.shape}."
            )
        return slopes * spread(upstream, tuple(range(upstream.ndim, slopes.ndim)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; the two functions go by reference."""
        return {**super().get_config(), "value_fn": self.value_fn, "gradient_fn": self.gradient_fn}
