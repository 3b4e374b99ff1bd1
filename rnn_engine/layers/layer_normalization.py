"""`LayerNormalization`."""

import math
from typing import Any

import numpy as np

from rnn_engine.kernels import normalization as kernels
from rnn_engine.layers.base import registry
from rnn_engine.layers.normalization import Normalization, as_rows, count_tasks, from_rows


@registry.register()
class LayerNormalization(Normalization):
    """Normalizes each sample, or each of its steps (`keras.layers.LayerNormalization`).

    y = (x - mean) / sqrt(variance + epsilon) · gamma + beta, with mean and variance
    over `axis`. Keras's deprecated `rms_scaling` is not offered.

    Parameters
    ----------
    axis : int or list of int
        Axes to normalize over; gamma and beta have their shape.
    epsilon : float
        Added to variances.
    center, scale : bool
        Whether there are beta, gamma.
    beta_initializer, gamma_initializer : str or Initializer
    beta_regularizer, gamma_regularizer : Regularizer, optional
    beta_constraint, gamma_constraint : Constraint, optional

    Output shape = input shape. Statistics are in float64.

    Raises
    ------
    TypeError
        If `axis` is neither an int nor a list or tuple.

    Examples
    --------
    >>> LayerNormalization(epsilon=0)(np.array([[1.0, 3.0]]))
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(axis, list | tuple):
            self.axis: Any = [int(a) for a in axis]
        elif isinstance(axis, int) and not isinstance(axis, bool):
            self.axis = axis
        else:
            raise TypeError(
                "Expected an int or a list/tuple of ints for the argument 'axis', but received: "
                f"{axis!r}"
            )
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip

    def create_weights(self, input_shape: Any) -> None:
        """Create gamma and beta."""
        shape = self._shape_below(input_shape)
        # Keras sorts the axes as they are given, negative ones first, and lays the
        # weights over the axes of the input in their own order.
        axes = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        sizes = tuple(shape[axis] for axis in axes)
        if None in sizes:
            raise ValueError(f"Axis {self.axis} of the input shape {shape} must be known.")
        self._create_affine(sizes)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape.

        Raises
        ------
        ValueError
            If an axis is out of bounds.
        """
        shape = tuple(input_shape)
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        for axis in axes:
            if not -len(shape) <= axis < len(shape):
                raise ValueError(
                    f"Axis {axis} is out of bounds for input shape {shape}. "
                    f"Received: axis={self.axis}"
                )
        return shape

    def _axes(self, ndim: int) -> list[int]:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        return sorted(axis % ndim for axis in axes)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the normalized input."""
        self.check_input(x)
        order = self._order(x)
        columns = math.prod(x.shape[axis] for axis in self._axes(x.ndim))
        rows = as_rows(x, order, columns)
        gamma, beta = self._affine(columns)
        y = np.empty(rows.shape, self._np_dtype)
        stats = np.empty((len(rows), 2))
        blocks, tasks = count_tasks(rows)
        scratch = np.empty((tasks, columns + kernels.LANES))
        args = (rows, gamma, beta, self.epsilon, y, stats)
        if tasks == 1:
            kernels.layer_forward(*args, scratch[0], 0, blocks)
        else:
            kernels.layer_forward_tasks(*args, scratch, blocks, tasks)
        return from_rows(y, order, x.shape), (rows, stats, order, x.shape)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of gamma and beta; return dx."""
        rows, stats, order, shape = saved
        columns = rows.shape[1]
        slope = as_rows(self.gradient_like(dy, shape), order, columns)
        gamma, _ = self._affine(columns)
        dx = np.empty(rows.shape if need_dx else (0, columns), self._np_dtype)
        blocks, tasks = count_tasks(rows)
        partial, total = np.empty((blocks, 2, columns)), np.empty((2, columns))
        scratch = np.empty((tasks, 2 * columns + kernels.LANES))
        args = (rows, slope, gamma, stats, dx, partial)
        if tasks == 1:
            kernels.layer_backward(*args, scratch[0], 0, blocks)
        else:
            kernels.layer_backward_tasks(*args, scratch, blocks, tasks)
        kernels.add_up(partial, total)
        self._add_affine_gradients(total[1], total[0])
        return from_rows(dx, order, shape) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "axis": self.axis}
