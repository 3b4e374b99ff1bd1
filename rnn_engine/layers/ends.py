"""Zeros around the spatial axes, and their ends cut off: `ZeroPadding1D`, `Cropping1D`, ..."""

from typing import Any

import numpy as np

from rnn_engine.checks import check_memory
from rnn_engine.layers.base import registry
from rnn_engine.layers.reshaping import check_data_format
from rnn_engine.layers.spatial import Spatial, integers

Pairs = tuple[tuple[int, int], ...]


def pairs(value: Any, rank: int, name: str) -> Pairs:
    """Return how much stands before and behind each axis.

    Raises
    ------
    ValueError
        If `value` is no int and no such sequence, or something is negative.
    """
    if rank == 1:
        return (integers(value, 2, name, allow_zero=True),)  # type: ignore[return-value]  # as below
    if isinstance(value, int):
        value = (value,) * rank
    elif not hasattr(value, "__len__"):
        raise ValueError(
            f"`{name}` should be either an int, a tuple of {rank} ints, or a tuple of {rank} "
            f"tuples of 2 ints. Received: {name}={value}."
        )
    if len(value) != rank:
        raise ValueError(
            f"`{name}` should have {('two', 'three')[rank - 2]} elements. Received: {name}={value}."
        )
    numbers = ("1st", "2nd", "3rd")
    return tuple(
        # Two, as asked for; the type only says some.
        integers(entry, 2, f"{numbers[i]} entry of {name}", allow_zero=True)  # type: ignore[misc]
        for i, entry in enumerate(value)
    )


class Ends(Spatial):
    """Base of the layers that add to the ends of the spatial axes, or take from them.

    As in Keras, masks end here with a warning.
    """

    # What the pairs of numbers are called.
    argument: str

    def __init__(self, value: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pairs = pairs(value, self.rank, self.argument)
        setattr(self, self.argument, self.pairs[0] if self.rank == 1 else self.pairs)
        self.data_format = check_data_format(data_format)

    def create_weights(self, input_shape: Any) -> None:
        """Check the shape."""
        self._shape_below(input_shape)

    def check_input(self, x: np.ndarray) -> None:
        """Raise ValueError unless x has the right axes and sizes."""
        self._shape_below(x.shape)

    def inside(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Return where, between both ends, the middle of an array of `shape` is."""
        along = [slice(a, n - b) for (a, b), n in zip(self.pairs, self.spatial_of(shape),
                                                      strict=True)]  # fmt: skip
        return self.shape_of(slice(None), along, slice(None))

    def _resized(self, shape: Any, sign: int) -> Any:
        """Return a shape with the ends added (1) or taken off (-1)."""
        sizes = [
            None if n is None else n + sign * (a + b)
            for (a, b), n in zip(self.pairs, self.spatial_of(shape), strict=True)
        ]
        return self.shape_of(shape[0], sizes, self.channels_of(shape))

    def widened(self, x: np.ndarray) -> np.ndarray:
        """Return an array with zeros at the ends."""
        shape = self._resized(x.shape, 1)
        check_memory(f"The result of layer {self.name!r}", shape, x.dtype)
        y = np.zeros(shape, x.dtype)
        y[self.inside(y.shape)] = x
        return y

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = {**super().get_config(), self.argument: getattr(self, self.argument)}
        return {**config, "data_format": self.data_format}


class ZeroPadding(Ends):
    """Base of the layers that add zeros."""

    argument = "padding"

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with larger sizes."""
        self.check_rank(input_shape)
        return self._resized(input_shape, 1)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x with zeros around it."""
        self.check_input(x)
        y = self.widened(x)
        return y, y.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return the middle of dy."""
        return self.gradient_like(dy, saved)[self.inside(saved)]


class Cropping(Ends):
    """Base of the layers that cut off."""

    argument = "cropping"

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with smaller sizes.

        Raises
        ------
        ValueError
            If nothing is left.
        """
        self.check_rank(input_shape)
        shape = self._resized(input_shape, -1)
        if any(size is not None and size <= 0 for size in self.spatial_of(shape)):
            opening = (
                f"`cropping` parameter of `{type(self).__name__}` layer must be smaller than the "
                f"input length."
                if len(self.pairs) == 1
                else "Values in `cropping` argument should be smaller than the corresponding "
                "spatial dimension of the input."
            )
            raise ValueError(
                f"{opening} Received: input_shape={tuple(input_shape)}, cropping={self.pairs}"
            )
        return shape

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the middle of x."""
        self.check_input(x)
        y = x[self.inside(x.shape)]
        return y, y.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy with zeros around it."""
        return self.widened(self.gradient_like(dy, saved))


@registry.register("ZeroPadding1D")
class ZeroPadding1D(ZeroPadding):
    """Zeros at the ends of a sequence (`keras.layers.ZeroPadding1D`).

    Parameters
    ----------
    padding : int or tuple
        How many: an int for both ends, or one for each.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.

    Input shape (batch, steps, channels), or channels first.

    Raises
    ------
    ValueError
        If `padding` is something else.

    Examples
    --------
    >>> ZeroPadding1D((1, 0))(np.float32([[[1.0], [2.0]]])).ravel()
    array([0., 1., 2.], dtype=float32)
    """

    rank = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


@registry.register("ZeroPadding2D")
class ZeroPadding2D(ZeroPadding):
    """Zeros at the ends of rows and columns (`keras.layers.ZeroPadding2D`).

    Parameters
    ----------
    padding : int or tuple
        How many: an int, one for each of 2 axes, or a pair of ints for each.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.

    Input shape (batch, rows, columns, channels), or channels first.

    Raises
    ------
    ValueError
        If `padding` is something else.

    Examples
    --------
    >>> ZeroPadding2D(((1, 0), (2, 2)))(np.ones((2, 3, 4, 5))).shape
    (2, 4, 8, 5)
    """

    rank = 2

    def __init__(
        self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(padding, data_format, **kwargs)


@registry.register("ZeroPadding3D")
class ZeroPadding3D(ZeroPadding):
    """Zeros at the ends of depth, rows and columns (`keras.layers.ZeroPadding3D`).

    Parameters
    ----------
    padding : int or tuple
        How many: an int, one for each of 3 axes, or a pair of ints for each.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.

    Input shape (batch, depth, rows, columns, channels), or channels first.

    Raises
    ------
    ValueError
        If `padding` is something else.

    Examples
    --------
    >>> ZeroPadding3D(2)(np.ones((1, 1, 1, 1, 1))).shape
    (1, 5, 5, 5, 1)
    """

    rank = 3

    def __init__(
        self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(padding, data_format, **kwargs)


@registry.register("Cropping1D")
class Cropping1D(Cropping):
    """Cuts off both ends of a sequence (`keras.layers.Cropping1D`).

    Parameters
    ----------
    cropping : int or tuple
        How many: an int for both ends, or one for each.

    Input shape (batch, steps, channels).

    Raises
    ------
    ValueError
        If `cropping` is something else, or nothing is left.

    Examples
    --------
    >>> Cropping1D((1, 0))(np.float32([[[1.0], [2.0]]])).ravel()
    array([2.], dtype=float32)
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, None, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = super().get_config()
        del config["data_format"]
        return config


@registry.register("Cropping2D")
class Cropping2D(Cropping):
    """Cuts off both ends of rows and columns (`keras.layers.Cropping2D`).

    Parameters
    ----------
    cropping : int or tuple
        How many: an int, one for each of 2 axes, or a pair of ints for each.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.

    Input shape (batch, rows, columns, channels), or channels first.

    Raises
    ------
    ValueError
        If `cropping` is something else, or nothing is left.

    Examples
    --------
    >>> Cropping2D(((1, 0), (2, 1)))(np.ones((2, 3, 4, 5))).shape
    (2, 2, 1, 5)
    """

    rank = 2

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)


@registry.register("Cropping3D")
class Cropping3D(Cropping):
    """Cuts off both ends of depth, rows and columns (`keras.layers.Cropping3D`).

    Parameters
    ----------
    cropping : int or tuple
        How many: an int, one for each of 3 axes, or a pair of ints for each.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.

    Input shape (batch, depth, rows, columns, channels), or channels first.

    Raises
    ------
    ValueError
        If `cropping` is something else, or nothing is left.

    Examples
    --------
    >>> Cropping3D(1)(np.ones((1, 3, 4, 5, 1))).shape
    (1, 1, 2, 3, 1)
    """

    rank = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)
