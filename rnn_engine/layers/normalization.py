"""What `LayerNormalization` and `BatchNormalization` share."""

from typing import Any

import numpy as np

from rnn_engine import constraints, initializers, regularizers
from rnn_engine.checks import unfit
from rnn_engine.kernels import normalization as kernels
from rnn_engine.kernels import threads
from rnn_engine.layers.base import Layer
from rnn_engine.variable import Variable

Lay = tuple[tuple[int, ...], tuple[int, ...]]


class Normalization(Layer):
    """Base: the factor gamma and the offset beta, and inputs as rows of what they cover.

    Parameters
    ----------
    epsilon : float
        Added to variances.
    center, scale : bool
        Whether there are beta, gamma.
    beta_initializer, gamma_initializer : str or Initializer
    beta_regularizer, gamma_regularizer : Regularizer, optional
    beta_constraint, gamma_constraint : Constraint, optional
    """

    def __init__(
        self,
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
        super().__init__(**kwargs)
        self.epsilon = float(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def _create_affine(self, shape: tuple[int, ...]) -> None:
        """Create gamma and beta."""
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                "gamma",
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                "beta",
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def _affine(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return gamma and beta, flat; ones and zeros where there are none.

        Raises
        ------
        ValueError
            If they are of another size: `axis` is a list, which may have been written to.
        """
        gamma, beta = self.gamma, self.beta
        if any(weight is not None and weight.value.size != size for weight in (gamma, beta)):
            raise ValueError(f"The axes of layer {self.name!r} are not those it was built with.")
        return (
            np.ones(size, self._np_dtype) if gamma is None else gamma.value.reshape(-1),
            np.zeros(size, self._np_dtype) if beta is None else beta.value.reshape(-1),
        )

    def _add_affine_gradients(self, dgamma: np.ndarray, dbeta: np.ndarray) -> None:
        if self.gamma is not None:
            grad = self.gamma.grad
            grad += dgamma.reshape(grad.shape).astype(grad.dtype, copy=False)
        if self.beta is not None:
            grad = self.beta.grad
            grad += dbeta.reshape(grad.shape).astype(grad.dtype, copy=False)

    def check_input(self, x: np.ndarray) -> None:
        """Raise ValueError unless x has the axes the layer was built for, none empty."""
        built = self.build_shape or ()
        wrong = x.ndim != len(built) or 0 in x.shape
        if wrong or any(x.shape[axis] != built[axis] for axis in self._axes(x.ndim)):
            raise unfit(self.name, f"shape={built}, which it was built for, found shape={x.shape}")

    def _axes(self, ndim: int) -> list[int]:
        """Return the axes that gamma and beta cover, counted from 0."""
        raise TypeError(f"{type(self).__name__} must define _axes(ndim).")

    def _order(self, x: np.ndarray) -> tuple[int, ...]:
        """Return the order of the axes in which x is made rows: those of `_axes` last.

        The others come in the order in which they lie in memory, so that a time-major
        sequence is not copied.
        """
        last = self._axes(x.ndim)
        others = [axis for axis in range(x.ndim) if axis not in last]
        others.sort(key=lambda axis: -abs(x.strides[axis]) if x.shape[axis] > 1 else 0)
        return (*others, *last)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


def as_rows(array: np.ndarray, order: tuple[int, ...], columns: int) -> np.ndarray:
    """Return the array with its axes in `order`, as contiguous rows."""
    lying = array.transpose(order)
    return np.require(lying, requirements=("C", "A", "W")).reshape(-1, columns)


def from_rows(rows: np.ndarray, order: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return the array of `shape` that `as_rows` made these rows of."""
    return rows.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


def count_tasks(x: np.ndarray) -> tuple[int, int]:
    """Return how many blocks the rows make, and for how many threads that is work.

    A sum in float64 of float32 values costs about four multiply-adds.
    """
    blocks = kernels.block_count(len(x))
    return blocks, threads.tasks(4 * x.size, blocks)
