"""Layers that only move numbers: `Flatten`, `Reshape`, `Permute`, `RepeatVector`.

None of them passes a mask on, as in Keras: what they put out has other time steps.
"""

import math
from typing import Any

import numpy as np

from rnn_engine.checks import check_memory, wrong_rank
from rnn_engine.layers.base import Layer, registry


class Reshaping(Layer):
    """Base of the layers without arithmetic; integers stay integers in a direct call."""

    supports_masking = False

    def convert(self, inputs: Any) -> np.ndarray:
        """Return the inputs as an array; only floats are converted."""
        array = np.asarray(inputs)
        return array if array.dtype.kind in "iu" else super().convert(array)

    def check_rank(self, x: np.ndarray, rank: int, axes: str) -> None:
        """Raise ValueError unless the input has `rank` axes."""
        if x.ndim != rank:
            raise wrong_rank(self.name, f"ndim={rank}", x.shape, axes)


def check_data_format(value: Any) -> str:
    """Return ``"channels_last"`` (the default) or ``"channels_first"``.

    Raises
    ------
    ValueError
        If `value` is neither, nor None.
    """
    if value is None:
        return "channels_last"
    name = str(value).lower()
    if name not in ("channels_first", "channels_last"):
        raise ValueError(
            "The `data_format` argument must be one of {'channels_first', 'channels_last'}. "
            f"Received: data_format={value}"
        )
    return name


@registry.register()
class Flatten(Reshaping):
    """Makes all axes behind the batch one (`keras.layers.Flatten`).

    Parameters
    ----------
    data_format : str, optional
        With ``"channels_first"`` axis 1 is made the last one before.

    Input shape (batch, ...); output shape (batch, features).

    Examples
    --------
    >>> Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, product of the other axes)."""
        inner = input_shape[1:]
        return (input_shape[0], None if None in inner else math.prod(inner))

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x with two axes; saves its shape."""
        if self.data_format == "channels_first" and x.ndim > 2:
            x = np.moveaxis(x, 1, -1)
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy in the shape of the input."""
        batch, *inner = saved
        dy = self.gradient_like(dy, (batch, math.prod(inner)))
        dx = dy.reshape(saved)
        first = self.data_format == "channels_first" and dx.ndim > 2
        return np.moveaxis(dx, -1, 1) if first else dx

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "data_format": self.data_format}


@registry.register()
class Reshape(Reshaping):
    """Gives samples another shape (`keras.layers.Reshape`).

    Parameters
    ----------
    target_shape : tuple of int
        Shape of a sample; one size may be -1 and is what remains.

    Input shape (batch, ...); output shape (batch, *target_shape).

    Raises
    ------
    ValueError
        If a size is below -1, -1 occurs twice, or at a call, if the sizes do not
        multiply to those of the input.

    Examples
    --------
    >>> Reshape((-1, 2))(np.zeros((5, 6))).shape
    (5, 3, 2)
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        target = tuple(target_shape)
        if any(size < -1 for size in target):
            raise ValueError(
                "Each dimension in `target_shape` must be a non-negative integer, or `-1` for a "
                f"single unknown dimension. Received: target_shape={target}."
            )
        if target.count(-1) > 1:
            raise ValueError(
                "There must be at most one unknown dimension (-1) in `target_shape`. Received: "
                f"target_shape={target}."
            )
        self.target_shape = target

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, *target_shape), the -1 replaced if the input's shape is known."""
        batch, *inner = input_shape
        if None in inner:
            return (batch, *(None if size == -1 else size for size in self.target_shape))
        total, known = math.prod(inner), math.prod(s for s in self.target_shape if s != -1)
        fits = known == total if -1 not in self.target_shape else known and total % known == 0
        if not fits:
            raise ValueError(
                "The total size of the tensor must be unchanged. Received: "
                f"input_shape={tuple(inner)}, target_shape={self.target_shape}"
            )
        return (batch, *(total // known if size == -1 else size for size in self.target_shape))

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x in its new shape; saves the old one."""
        return x.reshape(self._shape_below(x.shape)), x.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy in the shape of the input."""
        return self.gradient_like(dy, self._shape_below(saved)).reshape(saved)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "target_shape": self.target_shape}


@registry.register()
class Permute(Reshaping):
    """Reorders the axes of a sample (`keras.layers.Permute`).

    Parameters
    ----------
    dims : tuple of int
        Which axis of the input comes first, second, ...; counted from 1, the batch
        axis left out.

    Raises
    ------
    ValueError
        If `dims` is no permutation of 1, 2, ...

    Examples
    --------
    >>> Permute((2, 1))(np.zeros((5, 3, 4))).shape
    (5, 4, 3)
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                f"`dims` must be consecutive and start from 1. Received dims={dims}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the reordered shape."""
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return a view of x."""
        self.check_rank(x, len(self.dims) + 1, "with the batch axis first")
        return x.transpose(0, *self.dims), x.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy in the order of the input."""
        dy = self.gradient_like(dy, self._shape_below(saved))
        return dy.transpose(np.argsort((0, *self.dims)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "dims": self.dims}


@registry.register()
class RepeatVector(Reshaping):
    """Makes a sequence of n equal steps (`keras.layers.RepeatVector`).

    Parameters
    ----------
    n : int

    Input shape (batch, features); output shape (batch, n, features).

    Raises
    ------
    TypeError, ValueError
        If `n` is no integer, or not above zero.

    Examples
    --------
    >>> RepeatVector(3)(np.zeros((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"Expected an integer value for `n`, got {type(n)}.")
        if n <= 0:
            raise ValueError(f"Argument `n` should be a positive integer. Received: n={n}")
        self.n = n

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, n, features)."""
        batch, features = input_shape
        return (batch, self.n, features)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the sequence, time-major in memory."""
        self.check_rank(x, 2, "(batch, features)")
        shape = (self.n, *x.shape)
        check_memory(f"The output of layer {self.name!r} (n={self.n})", shape, x.dtype)
        out = np.empty(shape, x.dtype)
        out[...] = x
        return out.transpose(1, 0, 2), x.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return the sum over the steps."""
        return self.gradient_like(dy, self._shape_below(saved)).sum(axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "n": self.n}
