"""`BatchNormalization`."""

from typing import Any

import numpy as np

from rnn_engine import initializers
from rnn_engine.checks import as_bools
from rnn_engine.config import epsilon as fuzz
from rnn_engine.kernels import normalization as kernels
from rnn_engine.layers.base import registry
from rnn_engine.layers.normalization import Normalization, as_rows, count_tasks, from_rows


@registry.register()
class BatchNormalization(Normalization):
    """Normalizes each feature over a batch (`keras.layers.BatchNormalization`).

    y = (x - mean) / sqrt(variance + epsilon) · gamma + beta. In training mean and
    variance are those of the batch, of its unmasked steps where there is a mask, and
    moving averages of them are kept; else, and where ``trainable`` is False, the
    moving averages stand for them. Keras's `renorm` and `synchronized` are not offered.

    Parameters
    ----------
    axis : int
        Axis of the features.
    momentum : float
        moving = moving · momentum + batch · (1 - momentum), at each training step.
    epsilon : float
        Added to variances.
    center, scale : bool
        Whether there are beta, gamma.
    beta_initializer, gamma_initializer : str or Initializer
    beta_regularizer, gamma_regularizer : Regularizer, optional
    beta_constraint, gamma_constraint : Constraint, optional
    moving_mean_initializer, moving_variance_initializer : str or Initializer

    Output shape = input shape. Sums are in float64.

    Raises
    ------
    ValueError
        At a call, if a mask has not one axis less than the input.

    Examples
    --------
    >>> layer = BatchNormalization(epsilon=0, momentum=0)
    >>> layer(np.array([[1.0], [3.0]]), training=True)
    array([[-1.],
           [ 1.]], dtype=float32)
    >>> layer(np.array([[2.0]]))
    array([[0.]], dtype=float32)
    """

    mixes_rows = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def create_weights(self, input_shape: Any) -> None:
        """Create gamma, beta and the moving averages, (features,) each."""
        size = self._shape_below(input_shape)[self.axis]
        if size is None:
            raise ValueError(f"Axis {self.axis} of the input shape {input_shape} must be known.")
        self._create_affine((size,))
        self.moving_mean = self.add_weight(
            (size,), self.moving_mean_initializer, "moving_mean", trainable=False
        )
        self.moving_variance = self.add_weight(
            (size,), self.moving_variance_initializer, "moving_variance", trainable=False
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape.

        Raises
        ------
        ValueError
            If the axis is out of bounds.
        """
        shape = tuple(input_shape)
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(
                f"Axis {self.axis} is out of bounds for input shape {shape}. "
                f"Received: axis={self.axis}"
            )
        return shape

    def _axes(self, ndim: int) -> list[int]:
        return [self.axis % ndim]

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the normalized input; in training, move the averages."""
        self.check_input(x)
        order = self._order(x)
        rows = as_rows(x, order, x.shape[self.axis])
        is_open = self._open(mask, x.shape, order)
        by_batch = training and self.trainable
        if by_batch:
            mean, variance, count = self._moments(rows, is_open)
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        else:
            mean = self.moving_mean.value.astype(np.float64)
            variance, count = self.moving_variance.value.astype(np.float64), None
        inv = 1 / np.sqrt(variance + self.epsilon)
        gamma, beta = self._affine(rows.shape[1])
        y = np.empty(rows.shape, self._np_dtype)
        blocks, tasks = count_tasks(rows)
        args = (rows, mean, inv * gamma, beta.astype(np.float64), y)
        if tasks == 1:
            kernels.affine(*args, 0, blocks)
        else:
            kernels.affine_tasks(*args, blocks, tasks)
        return from_rows(y, order, x.shape), (rows, is_open, mean, inv, count, order, x.shape)

    def _open(self, mask: Any, shape: tuple[int, ...], order: tuple[int, ...]) -> np.ndarray:
        """Return the mask as the kernels take it: (rows, 1), (rows, features) or (0, 1)."""
        if mask is None:
            return np.empty((0, 1), bool)
        mask = as_bools(mask)
        if mask.ndim != len(shape) - 1:
            raise ValueError(
                "The mask provided should be one dimension less than the inputs. Received: "
                f"mask.shape={mask.shape}, inputs.shape={shape}"
            )
        if self.axis % len(shape) == len(shape) - 1:
            mask = np.broadcast_to(mask[..., None], (*shape[:-1], 1))
            return as_rows(mask, order, 1)
        return as_rows(np.broadcast_to(mask[..., None], shape), order, shape[self.axis])

    def _moments(self, rows: np.ndarray, is_open: np.ndarray) -> tuple[Any, Any, Any]:
        """Return mean and variance of the open elements of each column, and their number.

        With a mask, Keras adds a fuzz factor to the number.
        """
        if len(is_open):
            count = np.broadcast_to(is_open, rows.shape).sum(axis=0) + fuzz()
        else:
            count = np.full(rows.shape[1], float(len(rows)))
        nothing = np.empty((0, rows.shape[1]), self._np_dtype)
        zero = np.zeros(rows.shape[1])
        mean = _column_sums(rows, nothing, zero, is_open)[0] / count
        return mean, _column_sums(rows, nothing, mean, is_open)[1] / count, count

    def _move(self, moving: Any, value: np.ndarray) -> None:
        """Move an average, in the steps in which Keras rounds."""
        number = self._np_dtype.type
        new = value.astype(self._np_dtype) * number(1 - self.momentum)
        moving.write(moving.value * number(self.momentum) + new)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of gamma and beta; return dx."""
        rows, is_open, mean, inv, count, order, shape = saved
        columns = rows.shape[1]
        slope = as_rows(self.gradient_like(dy, shape), order, columns)
        # Steps that are masked are normalized all the same, and so have a gradient.
        dbeta, dproduct = _column_sums(rows, slope, mean, np.empty((0, 1), bool))
        self._add_affine_gradients(dproduct * inv, dbeta)
        if not need_dx:
            return None
        gamma, _ = self._affine(columns)
        factor = gamma * inv
        along, constant = np.zeros(columns), np.zeros(columns)
        if count is not None:
            dvar = -0.5 * factor * inv**2 * dproduct
            # With the fuzz factor in the count, the deviations do not sum to zero.
            rest = (fuzz() if len(is_open) else 0.0) * mean
            along = 2 * dvar / count
            constant = (-factor * dbeta - 2 * dvar * rest / count) / count
        dx = np.empty(rows.shape, self._np_dtype)
        blocks, tasks = count_tasks(rows)
        args = (rows, slope, is_open, mean, factor, along, constant, dx)
        if tasks == 1:
            kernels.batch_dx(*args, 0, blocks)
        else:
            kernels.batch_dx_tasks(*args, blocks, tasks)
        return from_rows(dx, order, shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }


def _column_sums(
    rows: np.ndarray, other: np.ndarray, shift: np.ndarray, is_open: np.ndarray
) -> np.ndarray:
    """Return the two sums of `kernels.column_sums`, (2, C)."""
    blocks, tasks = count_tasks(rows)
    partial, total = np.empty((blocks, 2, rows.shape[1])), np.empty((2, rows.shape[1]))
    args = (rows, other, shift, is_open, partial)
    if tasks == 1:
        kernels.column_sums(*args, 0, blocks)
    else:
        kernels.column_sums_tasks(*args, blocks, tasks)
    kernels.add_up(partial, total)
    return total
