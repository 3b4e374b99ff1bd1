"""`GroupNormalization` and `RMSNormalization`."""

import math
from typing import Any

import numpy as np

from rnn_engine.kernels import normalization as kernels
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.normalization import Normalization, count_tasks


@registry.register("GroupNormalization")
class GroupNormalization(Normalization):
    """Normalizes groups of channels of each sample (`keras.layers.GroupNormalization`).

    y = (x - mean) / sqrt(variance + epsilon) · gamma + beta, with mean and variance over the
    channels of a group and all other axes but the batch; gamma and beta have one number a
    channel.

    Parameters
    ----------
    groups : int
        How many groups the channels make; -1: as many as there are channels.
    axis : int
        Axis of the channels.
    epsilon, center, scale, beta_*, gamma_*
        See `Normalization`.

    Output shape = input shape. Statistics are in float64.

    Raises
    ------
    ValueError
        If `groups` is no such number, or does not divide the channels.

    Examples
    --------
    >>> GroupNormalization(groups=2, epsilon=0)(np.array([[1.0, 3.0, 10.0, 30.0]]))
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
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
        if isinstance(groups, bool) or not isinstance(groups, int) or groups < -1 or groups == 0:
            raise ValueError(
                "Received an invalid value for argument `groups`, expected a positive integer (or "
                f"`-1` for instance normalization). Received: groups={groups}"
            )
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        self.groups = groups
        self.axis = axis

    def _axes(self, ndim: int) -> list[int]:
        return [self.axis % ndim]

    def create_weights(self, input_shape: Any) -> None:
        """Create gamma and beta, one number a channel."""
        shape = self._shape_below(input_shape)
        channels = shape[self.axis]
        if channels is None:
            raise ValueError(
                f"Axis {self.axis} of input tensor should have a defined dimension but the layer "
                f"received an input with shape {shape}."
            )
        if self.groups == -1:
            self.groups = channels
        if channels < self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) cannot be more than the number of channels "
                f"({channels})."
            )
        if channels % self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) must be a multiple of the number of channels "
                f"({channels})."
            )
        self._create_affine((channels,))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape.

        Raises
        ------
        ValueError
            If the axis is out of bounds.
        """
        shape = tuple(input_shape)
        if not -len(shape) <= self.axis < len(shape) or self.axis % len(shape) == 0:
            raise ValueError(
                f"Axis {self.axis} is out of bounds for input shape {shape}. Received: "
                f"axis={self.axis}"
            )
        return shape

    def _grouped(self, x: np.ndarray) -> np.ndarray:
        """Return (batch, groups, channels of a group, other places), contiguous."""
        lying = np.moveaxis(x, self.axis, 1)
        groups = (len(x), self.groups, lying.shape[1] // self.groups, -1)
        return np.require(lying, requirements=("C", "A", "W")).reshape(groups)

    def _ungrouped(self, y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        channels = shape[self.axis]
        others = [n for i, n in enumerate(shape) if i not in (0, self.axis % len(shape))]
        return np.moveaxis(y.reshape(shape[0], channels, *others), 1, self.axis)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the normalized input."""
        self.check_input(x)
        grouped = self._grouped(x)
        rows = grouped.reshape(len(x) * self.groups, -1)
        columns = rows.shape[1]
        normal, stats = np.empty(rows.shape, self._np_dtype), np.empty((len(rows), 2))
        one, zero = np.ones(columns, self._np_dtype), np.zeros(columns, self._np_dtype)
        blocks, tasks = count_tasks(rows)
        scratch = np.empty((tasks, columns + kernels.LANES))
        args = (rows, one, zero, self.epsilon, normal, stats)
        if tasks == 1:
            kernels.layer_forward(*args, scratch[0], 0, blocks)
        else:
            kernels.layer_forward_tasks(*args, scratch, blocks, tasks)
        gamma, beta = (part.reshape(1, self.groups, -1, 1) for part in self._affine(
            x.shape[self.axis]))  # fmt: skip
        y = normal.reshape(grouped.shape) * gamma + beta
        return self._ungrouped(y, x.shape), (rows, normal, stats, grouped.shape, x.shape)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of gamma and beta; return dx."""
        rows, normal, stats, grouped, shape = saved
        slope = self._grouped(self.gradient_like(dy, shape))
        along = (slope * normal.reshape(grouped)).sum(axis=(0, 3), dtype=np.float64)
        self._add_affine_gradients(along.ravel(), slope.sum(axis=(0, 3), dtype=np.float64).ravel())
        if not need_dx:
            return None
        columns = rows.shape[1]
        gamma, _ = self._affine(shape[self.axis])
        inner = (slope * gamma.reshape(1, self.groups, -1, 1)).reshape(rows.shape)
        dx = np.empty(rows.shape, self._np_dtype)
        blocks, tasks = count_tasks(rows)
        scratch = np.empty((tasks, 2 * columns + kernels.LANES))
        args = (rows, inner, np.ones(columns, self._np_dtype), stats, dx,
                np.empty((blocks, 2, columns)))  # fmt: skip
        if tasks == 1:
            kernels.layer_backward(*args, scratch[0], 0, blocks)
        else:
            kernels.layer_backward_tasks(*args, scratch, blocks, tasks)
        return self._ungrouped(dx, shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}


@registry.register("RMSNormalization")
class RMSNormalization(Layer):
    """Divides by the root of the mean square (`keras.layers.RMSNormalization`).

    y = x / sqrt(mean(x²) + epsilon) · scale, the mean over `axis`.

    Parameters
    ----------
    axis : int or list of int
        Axes to take the mean over; `scale` has their shape.
    epsilon : float

    Output shape = input shape. As in Keras a mask ends here with a warning.

    Raises
    ------
    ValueError
        If an axis is out of bounds.

    Examples
    --------
    >>> RMSNormalization(epsilon=0)(np.array([[1.0, 7.0]]))
    array([[0.2, 1.4]], dtype=float32)
    """

    supports_masking = False

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon

    def create_weights(self, input_shape: Any) -> None:
        """Create the scale."""
        shape = self._shape_below(input_shape)
        # As in Keras, the axes are a list from here on, sorted as they were given.
        self.axis = sorted(self.axis) if isinstance(self.axis, list | tuple) else [self.axis]
        sizes = tuple(shape[axis] for axis in self.axis)
        if None in sizes:
            raise ValueError(f"Axis {self.axis} of the input shape {shape} must be known.")
        self.scale = self.add_weight(sizes, "ones", "scale")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape.

        Raises
        ------
        ValueError
            If an axis is out of bounds.
        """
        shape = tuple(input_shape)
        for axis in self.axis if isinstance(self.axis, list | tuple) else [self.axis]:
            if not -len(shape) <= axis < len(shape):
                raise ValueError(
                    f"Axis {axis} is out of bounds for input shape {shape}. Received: "
                    f"axis={self.axis}"
                )
        return shape

    def check_input(self, x: np.ndarray) -> None:
        """Raise ValueError unless x fits the scale, and no axis is empty."""
        self._shape_below(x.shape)
        if 0 in x.shape or tuple(x.shape[axis] for axis in self.axis) != self.scale.shape:
            raise ValueError(
                f"The input of layer {self.name!r} must fit its scale of shape "
                f"{self.scale.shape} along axis={self.axis}, got shape {x.shape}."
            )

    def _rows(self, x: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Return x as rows of what the mean is taken over, and the order of the axes."""
        last = sorted(axis % x.ndim for axis in self.axis)
        order = [i for i in range(x.ndim) if i not in last] + last
        size = math.prod(x.shape[i] for i in last)
        return np.ascontiguousarray(x.transpose(order)).reshape(-1, size), order

    @staticmethod
    def _back(rows: np.ndarray, order: list[int], shape: tuple[int, ...]) -> np.ndarray:
        return rows.reshape([shape[i] for i in order]).transpose(np.argsort(order))

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the normalized input."""
        self.check_input(x)
        rows, order = self._rows(x)
        squares = (rows * rows).mean(axis=1, keepdims=True, dtype=np.float64)
        inverse = (1 / np.sqrt(squares + self.epsilon)).astype(self._np_dtype)
        normal = rows * inverse
        y = normal * self.scale.value.reshape(-1)
        return self._back(y, order, x.shape), (normal, inverse, order, x.shape)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradient of the scale; return dx = (g - x̂ mean(g x̂)) / rms, g = dy·scale."""
        normal, inverse, order, shape = saved
        slope, _ = self._rows(self.gradient_like(dy, shape))
        grad = self.scale.grad
        total = (slope * normal).sum(axis=0, dtype=np.float64)
        grad += total.reshape(grad.shape).astype(grad.dtype)
        if not need_dx:
            return None
        inner = slope * self.scale.value.reshape(-1)
        along = (inner * normal).mean(axis=1, keepdims=True, dtype=np.float64)
        dx = (inner - normal * along.astype(self._np_dtype)) * inverse
        return self._back(dx, order, shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
