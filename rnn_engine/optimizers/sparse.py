"""`SparseGrad`: the gradient of an embedding, for the rows that a batch touched."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.kernels.embedding import scatter_add


class SparseGrad(np.lib.mixins.NDArrayOperatorsMixin):
    """Rows of a gradient that is zero elsewhere, as `tf.IndexedSlices`.

    An index may occur several times: its rows add up. The optimizer is told of
    each occurrence rather than of the sums, because Keras on TensorFlow squares
    (and clips) the occurrences one by one; a merged gradient would train
    differently from Keras under Adam and its kin.

    Whatever else reads it, an op, a function of NumPy or an operator, sees the dense array.

    Parameters
    ----------
    indices : integers, shape (n,)
        Row of the variable that each row of `values` belongs to.
    values : array, shape (n, ...)
        Gradient rows; the trailing shape is that of a row of the variable.
    shape : tuple of int
        Shape of the variable.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or an index is outside the variable.
    TypeError
        If `indices` are not integers.

    Examples
    --------
    >>> from rnn_engine.optimizers.sparse import SparseGrad
    >>> SparseGrad([2, 0, 2], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], (3, 2)).to_dense()
    array([[3., 4.],
           [0., 0.],
           [6., 8.]])
    """

    __slots__ = ("indices", "shape", "values")

    def __init__(self, indices: Any, values: Any, shape: Sequence[int]) -> None:
        self.indices = np.asarray(indices)
        self.values = np.asarray(values)
        self.shape = tuple(shape)
        if self.indices.dtype.kind not in "iu":
            raise TypeError(f"indices must be integers, got dtype {self.indices.dtype}.")
        expected = (self.indices.size, *self.shape[1:])
        if self.indices.ndim != 1 or not self.shape or self.values.shape != expected:
            raise ValueError(
                f"A sparse gradient of shape {self.shape} with indices of shape "
                f"{self.indices.shape} needs values of shape {expected}, got {self.values.shape}."
            )
        outside = (self.indices < 0) | (self.indices >= self.shape[0])
        if outside.any():
            first = int(outside.argmax())
            raise ValueError(
                f"indices[{first}] is {self.indices[first]}, outside the {self.shape[0]} rows "
                f"of the variable."
            )

    @property
    def dtype(self) -> np.dtype:
        """Element type of the values."""
        return self.values.dtype

    def to_dense(self) -> np.ndarray:
        """Return the gradient as an array of the variable's shape."""
        dense = np.zeros(self.shape, self.values.dtype)
        self.add_to(dense)
        return dense

    def numpy(self) -> np.ndarray:
        """Return the gradient as an array, as `to_dense`."""
        return self.to_dense()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.to_dense().astype(dtype or self.dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        arrays = [np.asarray(x) if isinstance(x, SparseGrad) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __len__(self) -> int:
        return self.shape[0]

    def with_values(self, values: Any) -> "SparseGrad":
        """Return the same rows with other numbers."""
        return SparseGrad(self.indices, values, self.shape)

    def add_to(self, dense: np.ndarray) -> None:
        """Add the rows to a C-contiguous array of the variable's shape, in their order."""
        width = math.prod(self.shape[1:])
        values = np.require(self.values, dense.dtype, ("C", "A", "W"))
        indices = np.require(self.indices, np.int64, ("C", "A", "W"))
        scatter_add(indices, values.reshape(-1, width), dense.reshape(-1, width))

    @staticmethod
    def concatenate(parts: "Sequence[SparseGrad]") -> "SparseGrad":
        """Return the sum of several gradients of one variable, every occurrence kept."""
        return SparseGrad(
            np.concatenate([part.indices for part in parts]),
            np.concatenate([part.values for part in parts]),
            parts[0].shape,
        )

    def __repr__(self) -> str:
        return f"<SparseGrad rows={self.indices.size}, shape={self.shape}, dtype={self.dtype}>"
