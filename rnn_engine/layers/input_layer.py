"""`InputLayer` and `Input`: where a model begins."""

import warnings
from typing import Any

import numpy as np

from rnn_engine.graph import KerasTensor, Node
from rnn_engine.graph.tensor import standardize_shape
from rnn_engine.layers.base import Layer, registry


@registry.register()
class InputLayer(Layer):
    """Says shape and type of an input; holds no weights (`keras.layers.InputLayer`).

    Parameters
    ----------
    shape : tuple, optional
        Shape of a sample.
    batch_size : int, optional
    dtype : str, optional
        Any of NumPy's number types, or ``"string"``; `config.floatx` if None.
    sparse, ragged : bool, optional
        Must be off: there are no such tensors here.
    batch_shape : tuple, optional
        Shape with the batch axis; instead of `shape` and `batch_size`.
    input_tensor : KerasTensor, optional
        The tensor to use instead of a new one.
    optional : bool
        Whether the input may be None.

    Raises
    ------
    ValueError
        If the shape is missing, given twice or no shape, or an argument is not supported.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" in kwargs:
            warnings.warn(
                "Argument `input_shape` is deprecated. Use `shape` instead.", stacklevel=2
            )
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        if sparse or ragged:
            raise ValueError("`sparse=True` and `ragged=True` are not supported: data are arrays.")
        super().__init__(name=name, **kwargs)
        if input_tensor is not None:
            batch_shape, dtype = _of_tensor(input_tensor, shape, batch_size, batch_shape, dtype)
        else:
            batch_shape = _batch_shape(shape, batch_size, batch_shape)
        self.batch_shape = standardize_shape(batch_shape)
        self.given_batch_shape = self.batch_shape
        vars(self)["dtype"] = _dtype_name(dtype, self.dtype)  # any, not a float type alone
        self.optional = bool(optional)
        tensor = input_tensor or KerasTensor(self.batch_shape, self.dtype, name)
        Node(self, (), {}, tensor)
        self.built, self.build_shape = True, self.batch_shape

    def compute_output_shape(self, input_shape: Any = None) -> Any:
        """Return the shape with the batch axis."""
        return self.batch_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }


def _batch_shape(shape: Any, batch_size: Any, batch_shape: Any) -> Any:
    if shape is not None and batch_shape is not None:
        raise ValueError("You cannot pass both `shape` and `batch_shape` at the same time.")
    if batch_size is not None and batch_shape is not None:
        raise ValueError("You cannot pass both `batch_size` and `batch_shape` at the same time.")
    if shape is None and batch_shape is None:
        raise ValueError("You must pass a `shape` argument.")
    return batch_shape if shape is None else (batch_size, *standardize_shape(shape))


def _of_tensor(tensor: Any, shape: Any, batch_size: Any, batch_shape: Any, dtype: Any) -> Any:
    """Return shape and type of a tensor that is to be the input, with which all else agrees."""
    if not isinstance(tensor, KerasTensor):
        raise ValueError(
            f"Argument `input_tensor` must be a KerasTensor. Received invalid type: "
            f"input_tensor={tensor} (of type {type(tensor)})"
        )
    disagrees = {
        "batch_size": batch_size not in (None, *tensor.shape[:1]),
        "shape": shape is not None and tuple(shape) != tensor.shape[1:],
        "batch_shape": batch_shape is not None and tuple(batch_shape) != tensor.shape,
        "dtype": dtype not in (None, tensor.dtype),
    }
    for name, wrong in disagrees.items():
        if wrong:
            raise ValueError(
                f"When providing the `input_tensor` argument, you cannot provide an incompatible "
                f"`{name}` argument."
            )
    return tensor.shape, tensor.dtype


def _dtype_name(dtype: Any, default: str) -> str:
    if dtype is None:
        return default
    name = str(getattr(dtype, "name", dtype))
    if name in ("str", "string", str(str)):
        return "string"
    try:
        return np.dtype(dtype).name
    except TypeError:
        raise ValueError(f"Invalid dtype: {dtype}") from None


def Input(  # Keras's name
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
    **kwargs: Any,
) -> Any:
    """Return a symbolic tensor, with which a model begins (`keras.Input`).

    Layers are called on it, and `Model(inputs, outputs)` makes a model of what comes out;
    or it stands first in a `Sequential`. See `InputLayer` for the arguments.

    Examples
    --------
    >>> Input((5, 3)).shape
    (None, 5, 3)
    """
    layer = InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name, **kwargs
    )
    return layer.output
