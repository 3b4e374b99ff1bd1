"""Initializers that draw nothing: `Zeros`, `Ones`, `Constant`, `Identity`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.initializers.initializer import Initializer, any_dtype, check_shape, registry


@registry.register("Zeros", "zeros", "zero")
class Zeros(Initializer):
    """All zeros, of any numeric or boolean dtype. Mirrors `keras.initializers.Zeros`.

    Examples
    --------
    >>> Zeros()((3,))
    array([0., 0., 0.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Return zeros of `shape`."""
        return np.zeros(check_shape(shape), any_dtype(dtype))


@registry.register("Ones", "ones", "one")
class Ones(Initializer):
    """All ones, of any numeric or boolean dtype. Mirrors `keras.initializers.Ones`.

    Examples
    --------
    >>> Ones()((2,), dtype="float64")
    array([1., 1.])
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Return ones of `shape`."""
        return np.ones(check_shape(shape), any_dtype(dtype))


@registry.register("Constant", "constant")
class Constant(Initializer):
    """One value everywhere. Mirrors `keras.initializers.Constant`.

    Parameters
    ----------
    value : number or array
        An array is spread over the shape by NumPy's broadcasting, as in Keras.
        Its config holds it as a nested list.

    Examples
    --------
    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Return an array of `shape` that holds the value.

        Raises
        ------
        ValueError
            If an array `value` does not broadcast to `shape`.
        """
        sizes = check_shape(shape)
        value = np.asarray(self.value).astype(any_dtype(dtype))
        try:
            return np.broadcast_to(value, sizes).copy()
        except ValueError:
            raise ValueError(
                f"Constant holds a value of shape {value.shape}, "
                f"which does not broadcast to the shape {sizes}."
            ) from None

    def get_config(self) -> dict[str, Any]:
        """Return the value, an array as a list."""
        value = self.value
        return {"value": value.tolist() if isinstance(value, np.ndarray | np.generic) else value}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Constant":
        """Build it from our config or from Keras's, which wraps an array in a dict."""
        value = config["value"]
        if isinstance(value, dict) and value.get("class_name") == "__numpy__":
            value = np.array(value["config"]["value"], dtype=value["config"]["dtype"])
        return cls(value)


@registry.register("Identity", "identity", "IdentityInitializer")
class Identity(Initializer):
    """`gain` on the diagonal of a matrix, zero elsewhere. Mirrors `keras.initializers.Identity`.

    Raises
    ------
    ValueError
        When called with a shape that is not of rank 2.

    Examples
    --------
    >>> Identity(gain=2.0)((2, 3))
    array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Return the matrix."""
        sizes = check_shape(shape)
        if len(sizes) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. Received: "
                f"shape={sizes} of rank {len(sizes)}."
            )
        matrix = np.zeros(sizes, any_dtype(dtype))
        np.fill_diagonal(matrix, self.gain)
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Return the gain."""
        return {"gain": self.gain}
