"""`InputLayer` and `Input`: the shape of a model's input, said beforehand."""

from typing import Any

from rnn_engine.layers.base import Layer, registry


@registry.register()
class InputLayer(Layer):
    """Says the shape of the input; holds no weights (`keras.layers.InputLayer`).

    Parameters
    ----------
    shape : tuple, optional
        Shape of a sample.
    batch_size : int, optional
    dtype : str, optional
    batch_shape : tuple, optional
        Shape with the batch axis; instead of `shape` and `batch_size`.

    Raises
    ------
    ValueError
        If not exactly one of `shape` and `batch_shape` is given.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        batch_shape: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if (shape is None) == (batch_shape is None):
            raise ValueError("You must pass exactly one of `shape` and `batch_shape`.")
        self.input_dtype = dtype
        # An integer input (indices) says nothing about the type of the numbers.
        integer = dtype is not None and "int" in str(dtype)
        super().__init__(dtype=None if integer else dtype, name=name, **kwargs)
        if batch_shape is None:
            batch_shape = (batch_size, *((shape,) if isinstance(shape, int) else shape))
        self.batch_shape = tuple(batch_shape)
        self.given_batch_shape = self.batch_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {"batch_shape": self.batch_shape, "dtype": self.input_dtype, "name": self.name}


def Input(  # Keras's name
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
    **kwargs: Any,
) -> InputLayer:
    """Return an `InputLayer`: the first entry of a `Sequential` (`keras.Input`).

    Keras returns a symbolic tensor, which this library does not have.
    """
    return InputLayer(shape, batch_size, dtype, batch_shape, name, **kwargs)
