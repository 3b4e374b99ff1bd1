"""`Embedding`."""

import importlib
from typing import Any

import numpy as np

from rnn_engine import constraints, initializers, regularizers
from rnn_engine.graph import KerasTensor
from rnn_engine.kernels import embedding as kernels
from rnn_engine.kernels import threads
from rnn_engine.layers.base import Layer, registry
from rnn_engine.optimizers.sparse import SparseGrad


@registry.register()
class Embedding(Layer):
    """Turns indices into rows of a trained table (`keras.layers.Embedding`).

    The gradient is sparse, as on TensorFlow: a step of training hands the optimizer
    the rows that the batch met, and costs only those where the optimizer leaves the
    others alone (SGD without momentum, Adagrad; not Adam, in Keras neither). With a
    regularizer the gradient covers the whole table.

    Parameters
    ----------
    input_dim : int
        Number of rows V: indices are 0..V-1.
    output_dim : int
        Size D of a row.
    embeddings_initializer : str or Initializer
    embeddings_regularizer : Regularizer, optional
    embeddings_constraint : Constraint, optional
    mask_zero : bool
        Mask the steps whose index is 0 from the layers above.
    weights : array, optional
        The table (V, D) to start with.
    input_length : int, optional
        Accepted and ignored; Keras warns at it.

    Input shape (batch, timesteps), or any other, of integers (floats are cut off as
    in Keras); output shape (..., output_dim).

    Raises
    ------
    ValueError
        If a size is not a positive integer; at a call, if an index is outside the
        table (Keras fails on a CPU, and reads zeros on a GPU).

    Examples
    --------
    >>> layer = Embedding(3, 2, weights=np.array([[0, 0], [1, 2], [3, 4]]))
    >>> layer(np.array([[2, 1]]))
    array([[[3., 4.],
            [1., 2.]]], dtype=float32)
    """

    takes_integers = True

    _tells_of_penalty = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        self.input_dim = _size(input_dim, "input_dim")
        self.output_dim = _size(output_dim, "output_dim")
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = self.supports_masking = self.makes_masks = bool(mask_zero)
        kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        if weights is not None:
            self.build((None, None))
            given = weights if isinstance(weights, list) and len(weights) == 1 else [weights]
            self.set_weights(given)

    def build(self, input_shape: Any = None) -> None:
        """Create the table, whose size does not hang on the shape of the inputs."""
        super().build((None,) if input_shape is None else input_shape)

    def create_weights(self, input_shape: Any) -> None:
        """Create the table (V, D)."""
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            "embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape with the row's axis behind it."""
        return (*input_shape, self.output_dim)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where the index is not 0, with `mask_zero`; else None."""
        if not self.mask_zero:
            return None
        if isinstance(inputs, KerasTensor):
            ops: Any = importlib.import_module("rnn_engine.ops")
            return ops.not_equal(inputs, 0)
        return np.not_equal(inputs, 0)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the rows; a sequence of them lies time-major in memory."""
        index = self._indices(x)
        out = np.empty((index.size, self.output_dim), self._np_dtype)
        # A row costs about as much as so many multiply-adds from cache.
        tasks = threads.tasks(out.size, index.size)
        if tasks == 1:
            kernels.gather(index, self.embeddings.value, out, 0, index.size)
        else:
            kernels.gather_tasks(index, self.embeddings.value, out, tasks)
        if x.ndim == 2:
            return out.reshape(*x.shape[::-1], -1).transpose(1, 0, 2), (index, x.shape)
        return out.reshape(*x.shape, self.output_dim), (index, x.shape)

    def _indices(self, x: np.ndarray) -> np.ndarray:
        """Return the indices, flat, those of a sequence step by step.

        Raises
        ------
        ValueError
            If they are no numbers, or one is outside the table.
        """
        if x.dtype.kind not in "biuf":
            raise ValueError(f"Layer {self.name!r} takes indices, got dtype {x.dtype}.")
        if 0 in x.shape:
            raise ValueError(f"Layer {self.name!r} got indices with an empty axis: {x.shape}.")
        lying = x.T if x.ndim == 2 else x
        if x.dtype.kind == "f":  # NaN and what no integer holds count as outside
            lying = np.where(np.abs(lying) < 2**62, lying, -1)
        elif x.dtype == np.uint64:
            lying = np.minimum(lying, 2**63 - 1)
        # A copy: what is checked here is what the gather reads, and backward, whatever the
        # caller, or another thread, writes into his own array meanwhile.
        index = np.array(lying, np.int64, order="C").reshape(-1)
        if kernels.first_outside(index, self.input_dim) >= 0:
            outside = ((index < 0) | (index >= self.input_dim)).reshape(lying.shape)
            first = tuple(map(int, np.argwhere(outside.T if x.ndim == 2 else outside)[0]))
            raise ValueError(
                f"Layer {self.name!r} got index {x[first]} at position {first}; it has rows "
                f"0 to {self.input_dim - 1} (input_dim={self.input_dim})."
            )
        return index

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> None:
        """Add the gradients of the rows met; indices have none."""
        index, shape = saved
        dy = self.gradient_like(dy, (*shape, self.output_dim))
        if not (self.trainable and self.embeddings.trainable):
            return
        lying = dy.transpose(1, 0, 2) if dy.ndim == 3 else dy
        values = np.ascontiguousarray(lying).reshape(-1, self.output_dim)
        self.embeddings.add_sparse(SparseGrad(index, values, self.embeddings.shape))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON; the table is not in it."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }


def _size(value: Any, argument: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value <= 0:
        raise ValueError(
            f"`{argument}` must be a positive integer. Received: {argument}={value} "
            f"(of type {type(value).__name__})."
        )
    return int(value)
