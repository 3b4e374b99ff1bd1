"""`Formula`: values and gradient of one built-in loss, by hand.

The public function (`mean_squared_error`) and the public class
(`MeanSquaredError`) are two views of one formula.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.losses.inputs import class_labels, match, to_float
from rnn_engine.tensor import as_tensor

Pair = tuple[np.ndarray, np.ndarray]
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Formula:
    """Values and gradient of one loss, and what its inputs must look like.

    Parameters
    ----------
    compute : callable
        ``compute(y_true, y_pred, upstream, **options) -> (values, gradient)``.
        `upstream` is None (no gradient wanted; None comes back for it), a float,
        or an array of the values' shape; the gradient is that of
        ``sum(upstream * values)`` by `y_pred`, in a new array.
    labels : bool
        Whether `y_true` holds class labels rather than one target a prediction.
    broadcast : bool
        Whether an axis of one in `y_true` may stand for all of `y_pred`'s.
    axis : int or None
        Axis the values no longer have (None: all), where no option `axis` names another.
    valid : callable, optional
        ``valid(y_true, y_pred, **options) -> mask or None``: the values that count.
    logits : callable, optional
        ``logits(**options) -> bool``: whether Keras computes the loss of a softmax or a
        sigmoid, whichever of the two it is, from the logits below it. `compute` then takes
        ``from_logits=True`` for them.
    names_activation : bool
        Whether `compute` also has to know that activation (its option `activation`),
        because it looks at the probabilities besides the logits.
    mean : callable, optional
        Kernel ``mean(y_true, y_pred, slope) -> float`` on flat arrays: the plain mean over
        all entries and its gradient. A training step of a small model is mostly calls, and
        this is one instead of a dozen of NumPy's.
    """

    def __init__(
        self,
        compute: Callable[..., tuple[np.ndarray, Any]],
        *,
        labels: bool = False,
        broadcast: bool = False,
        axis: int | None = -1,
        valid: Callable[..., np.ndarray | None] | None = None,
        logits: Callable[..., bool] | None = None,
        names_activation: bool = False,
        mean: Callable[..., float] | None = None,
    ) -> None:
        self.name = ""
        self.compute = compute
        self.mean = mean
        self.labels = labels
        self.broadcast = broadcast
        self.axis = axis
        self.valid = valid
        self.logits = logits
        self.names_activation = names_activation

    def on_logits(self, options: dict[str, Any], activation: Any) -> dict[str, Any] | None:
        """Return the options that make of this loss, of an activation's output, one of its input.

        None where Keras does not know the logits.
        """
        if self.logits is None or not self.logits(**options):
            return None
        told = {"activation": activation} if self.names_activation else {}
        return {**options, "from_logits": True, **told}

    def function(self, function: _Function) -> _Function:
        """Decorate the public function of this formula."""
        _FORMULAS[function] = self
        self.name = function.__name__
        return function

    def inputs(self, y_true: Any, y_pred: Any, options: dict[str, Any], dtype: Any = None) -> Pair:
        """Convert and check the arguments of a call."""
        if options and isinstance(options.get("axis"), bool):  # True would pass for axis 1
            raise ValueError(f"axis must be an int, got {options['axis']!r}.")
        p = to_float(y_pred, "y_pred", dtype)
        if self.labels:
            return class_labels(np.asarray(y_true), p, options.get("axis", -1)), p
        return match(to_float(y_true, "y_true", p.dtype), p, self.broadcast)

    def values(self, y_true: Any, y_pred: Any, **options: Any) -> Any:
        """Values of a direct call of the public function."""
        if recording.OPEN or hasattr(y_pred, "_node"):
            from rnn_engine.losses.recorded import values_on_a_tape

            found = values_on_a_tape(self, y_true, y_pred, options)
            if found is not None:
                return found
        t, p = self.inputs(y_true, y_pred, options)
        with np.errstate(all="ignore"):  # NaN and infinity pass through without a word
            values = self.compute(t, p, None, **options)[0]
        return as_tensor(values)

    def values_shape(self, shape: tuple[int, ...], options: dict[str, Any]) -> tuple[int, ...]:
        """Shape of the values for predictions of `shape`."""
        axis = options.get("axis", self.axis)
        if axis == -1:
            return shape[:-1]
        if axis is None:
            return ()
        gone = {a % len(shape) for a in np.atleast_1d(axis)}
        return tuple(n for i, n in enumerate(shape) if i not in gone)


_FORMULAS: dict[Callable[..., Any], Formula] = {}


def formula_of(function: Any) -> Formula | None:
    """Return the formula behind a public loss function, None for a user's function."""
    return _FORMULAS.get(function)


def spread(upstream: Any, axis: Any = -1) -> Any:
    """Give upstream derivatives back the axis that the values have lost."""
    return np.expand_dims(upstream, axis) if isinstance(upstream, np.ndarray) else upstream


def mean(array: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean over one axis; an axis of one costs no reduction."""
    count = array.shape[axis]
    if axis == -1 and count == 1:
        return array.reshape(array.shape[:-1])
    total: np.ndarray = np.add.reduce(array, axis=axis, keepdims=True)
    total /= count
    return total.squeeze(axis)


def scale(slopes: np.ndarray, upstream: Any, axis: int = -1, factor: float = 1.0) -> np.ndarray:
    """Turn slopes of each entry, in place, into `factor` times the gradient of their mean."""
    slopes *= spread(upstream, axis) * (factor / slopes.shape[axis])
    return slopes
