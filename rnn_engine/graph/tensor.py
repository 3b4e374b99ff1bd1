"""`KerasTensor`: what stands for an array while a model is put together."""

import importlib
from typing import Any, NamedTuple

import numpy as np

from rnn_engine.utils.naming import auto_name

_SYMBOLIC = (
    "A KerasTensor is symbolic: it's a placeholder for a shape and a dtype. It doesn't have any "
    "actual numerical value. You cannot convert it to "
)


class History(NamedTuple):
    """Where a tensor comes from: the operation, which of its calls, which of its outputs."""

    operation: Any
    node_index: int
    tensor_index: int


class KerasTensor:
    """A tensor without numbers: a shape and a type (`keras.KerasTensor`).

    What `Input` returns, and a layer that is called on one. Operators and indexing make
    nodes of `rnn_engine.ops`.

    Parameters
    ----------
    shape : tuple
        None stands for a size that is not known, such as that of the batch.
    dtype : str
    name : str, optional

    Examples
    --------
    >>> import rnn_engine
    >>> x = rnn_engine.Input((5, 3))
    >>> rnn_engine.layers.Dense(2)(x).shape
    (None, 5, 2)
    """

    # NumPy leaves operators with one of its arrays on the left to this class.
    __array_ufunc__ = None

    def __init__(self, shape: Any, dtype: Any = "float32", name: str | None = None) -> None:
        self._shape = standardize_shape(shape)
        self._dtype = dtype if isinstance(dtype, str) else np.dtype(dtype).name
        self.name = name or auto_name("KerasTensor")
        self.node: Any = None  # the call that makes it
        self.index = 0  # among the outputs of that call

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape; sizes that are not known are None."""
        return self._shape

    @shape.setter
    def shape(self, value: Any) -> None:
        raise AttributeError(
            "The `shape` attribute of KerasTensor is immutable. One should create a new instance "
            "of KerasTensor for this."
        )

    @property
    def dtype(self) -> str:
        """The name of the type."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._shape)

    @property
    def sparse(self) -> bool:
        """False: there are no sparse tensors here."""
        return False

    ragged = sparse

    @property
    def _keras_history(self) -> History:
        if self.node is None:
            return History(None, 0, 0)
        return History(self.node.operation, self.node.place, self.index)

    @property
    def _keras_mask(self) -> Any:
        """The mask of the tensor, symbolic too; as in Keras there is no such name without one."""
        if not hasattr(self, "_mask"):
            self._mask = None if self.node is None else self.node.mask_of(self.index)
        if self._mask is None:
            raise AttributeError("'KerasTensor' object has no attribute '_keras_mask'")
        return self._mask

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise ValueError(f"{_SYMBOLIC}a NumPy array.")

    def __int__(self) -> int:
        raise ValueError(f"{_SYMBOLIC}an int.")

    def __float__(self) -> float:
        raise ValueError(f"{_SYMBOLIC}a float.")

    def __bool__(self) -> bool:
        raise TypeError("A symbolic KerasTensor cannot be used as a boolean.")

    def __iter__(self) -> Any:
        raise NotImplementedError("Iterating over a symbolic KerasTensor is not supported.")

    def __len__(self) -> int:
        raise TypeError(
            "object of type 'KerasTensor' has no len(): a symbolic tensor has the shape "
            f"{self._shape}. Use `x.shape`."
        )

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse=False, ragged=False, "
            f"name={self.name}>"
        )

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other  # so that it can be a key; `!=` is an operation, as in Keras

    def reshape(self, newshape: Any) -> Any:
        """Return `ops.reshape` of it."""
        return _apply("reshape", self, newshape)

    def squeeze(self, axis: Any = None) -> Any:
        """Return `ops.squeeze` of it."""
        return _apply("squeeze", self, axis)

    def __getitem__(self, key: Any) -> Any:
        return _apply("get_item", self, key)

    def __round__(self, ndigits: int | None = None) -> Any:
        return _apply("round", self, ndigits or 0)


def _apply(name: str, *args: Any) -> Any:
    """Return what the function of `rnn_engine.ops` makes of `args`."""
    return getattr(importlib.import_module("rnn_engine.ops"), name)(*args)


def _operator(name: str, turned: bool = False) -> Any:
    def method(self: KerasTensor, *other: Any) -> Any:
        return _apply(name, *other, self) if turned else _apply(name, self, *other)

    return method


_BOTH_SIDES = {
    "add": "add", "sub": "subtract", "mul": "multiply", "matmul": "matmul",
    "truediv": "true_divide", "pow": "power", "floordiv": "floor_divide", "mod": "mod",
    "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
}  # fmt: skip
_ONE_SIDE = {
    "neg": "negative", "abs": "absolute", "invert": "logical_not", "lt": "less",
    "le": "less_equal", "gt": "greater", "ge": "greater_equal", "ne": "not_equal",
}  # fmt: skip

for _name, _op in _BOTH_SIDES.items():
    setattr(KerasTensor, f"__{_name}__", _operator(_op))
    setattr(KerasTensor, f"__r{_name}__", _operator(_op, turned=True))
for _name, _op in _ONE_SIDE.items():
    setattr(KerasTensor, f"__{_name}__", _operator(_op))


def standardize_shape(shape: Any) -> tuple[int | None, ...]:
    """Return a shape as a tuple.

    Raises
    ------
    ValueError
        If it is None, no sequence, or an entry is neither None nor a whole number of at
        least zero.
    """
    if not isinstance(shape, list | tuple):
        if shape is None:
            raise ValueError("Undefined shapes are not supported.")
        if not hasattr(shape, "__iter__"):
            raise ValueError(f"Cannot convert '{shape}' to a shape.")
    sizes = tuple(shape)
    for size in sizes:
        whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
        if size is not None and not whole:
            raise ValueError(
                f"Cannot convert '{shape}' to a shape. Found invalid dimension '{size}' of type "
                f"'{type(size)}'. "
            )
        if size is not None and size < 0:
            raise ValueError(
                f"Cannot convert '{sizes}' to a shape. Negative dimensions are not allowed."
            )
    return tuple(None if size is None else int(size) for size in sizes)
