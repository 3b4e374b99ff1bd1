"""Elements of a dataset: arrays, in tuples and dicts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import as_numbers


@dataclass(frozen=True)
class TensorSpec:
    """Shape and type of an array; None in `shape` is any size. Mirrors `tf.TensorSpec`.

    Examples
    --------
    >>> TensorSpec((None, 3), "float32").shape
    (None, 3)
    """

    shape: Any = None
    dtype: Any = "float32"
    name: str | None = None

    def __post_init__(self) -> None:
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))

    def admits(self, array: np.ndarray) -> bool:
        """Whether an array has such a shape."""
        if self.shape is None:
            return True
        return len(self.shape) == array.ndim and all(
            size is None or size == got for size, got in zip(self.shape, array.shape, strict=True)
        )


def map_structure(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """Return the structure of `first` with `function` of its arrays and those of `others`."""
    if isinstance(first, tuple):
        return tuple(map_structure(function, *parts) for parts in zip(first, *others, strict=True))
    if isinstance(first, dict):
        return {key: map_structure(function, *(s[key] for s in (first, *others))) for key in first}
    return function(first, *others)


def leaves(structure: Any) -> list[Any]:
    """Return the arrays of a structure."""
    found: list[Any] = []
    map_structure(found.append, structure)
    return found


def fill_structure(structure: Any, values: Any) -> Any:
    """Return a structure with `values` in place of its arrays, in their order."""
    remaining = iter(values)
    return map_structure(lambda _: next(remaining), structure)


def as_array(value: Any, dtype: Any = None) -> np.ndarray:
    """Return a value as an array; Python's numbers as TensorFlow takes them, in 32 bits."""
    if dtype is None and hasattr(value, "to_numpy"):  # a table of another library
        try:
            return as_numbers(value, "A table")
        except ValueError:  # text, dates
            return np.asarray(value)
    array = np.asarray(value, dtype)
    if dtype is None and not isinstance(value, np.ndarray | np.generic):
        narrow = {"float64": np.float32, "int64": np.int32}.get(array.dtype.name)
        if narrow is not None and not _holds_arrays(value):
            return array.astype(narrow)
    return array


def _holds_arrays(value: Any) -> bool:
    """Whether a list is one of NumPy's arrays or numbers, whose type counts."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, np.ndarray | np.generic)


def as_element(value: Any, keep: type | tuple[type, ...] = ()) -> Any:
    """Return what a user's function gave as an element; a list is one array, as in TensorFlow."""
    if isinstance(value, tuple):
        return tuple(as_element(part, keep) for part in value)
    if isinstance(value, dict):
        return {key: as_element(part, keep) for key, part in value.items()}
    if isinstance(value, keep):
        return value
    return as_array(value)


def stack(elements: list[Any]) -> Any:
    """Return elements of one structure as one, with a first axis more.

    Raises
    ------
    ValueError
        If their shapes differ.
    """

    def one(*arrays: Any) -> np.ndarray:
        shapes = {np.shape(array) for array in arrays}
        if len(shapes) > 1:
            raise ValueError(
                f"Cannot batch tensors with different shapes: {sorted(shapes)}. `padded_batch` "
                f"pads them to one."
            )
        return np.stack(arrays)

    return map_structure(one, *elements)


def stack_padded(elements: list[Any], shapes: Any, values: Any) -> Any:
    """Return elements as one, each axis filled up to the longest, or to the size in `shapes`."""

    def one(index: int, *arrays: Any) -> np.ndarray:
        sizes = np.max([np.shape(array) for array in arrays], axis=0).astype(int)
        wanted = _of_leaf(shapes, index)
        if wanted is not None:
            given = [s if w in (None, -1) else w for w, s in zip(wanted, sizes, strict=True)]
            if any(size > most for size, most in zip(sizes, given, strict=True)):
                raise ValueError(
                    f"Attempted to pad to a smaller size than the input element: padded_shapes "
                    f"{wanted}, got a shape of {tuple(int(s) for s in sizes)}."
                )
            sizes = np.asarray(given, int)
        value = _of_leaf(values, index)
        dtype = np.asarray(arrays[0]).dtype
        fill = ("" if dtype.kind in "US" else 0) if value is None else value
        if dtype.kind in "US":
            dtype = np.result_type(*(np.asarray(array).dtype for array in arrays))
        out = np.full((len(arrays), *sizes), fill, dtype)
        for row, array in zip(out, arrays, strict=True):
            row[tuple(slice(size) for size in np.shape(array))] = array
        return out

    counter = iter(range(len(leaves(elements[0]))))
    return map_structure(lambda *arrays: one(next(counter), *arrays), *elements)


def _of_leaf(given: Any, index: int) -> Any:
    """Return what is given for an array: one thing for all, or one each in a tuple of tuples."""
    if isinstance(given, dict):
        given = tuple(given.values())
    if isinstance(given, tuple) and any(isinstance(x, tuple | list) for x in given):
        return given[index]
    if isinstance(given, tuple) and given and not all(x is None or _is_size(x) for x in given):
        return given[index]
    return given


def _is_size(value: Any) -> bool:
    return isinstance(value, int | np.integer)


def slices(structure: Any) -> int:
    """Return the length that all arrays of a structure have along their first axis.

    Raises
    ------
    ValueError
        If they differ, or one has no axis.
    """
    arrays = leaves(structure)
    if not arrays or any(np.ndim(array) == 0 for array in arrays):
        raise ValueError("from_tensor_slices takes arrays with at least one axis, got a scalar.")
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise ValueError(
            f"Received a list of NumPy arrays with different lengths. All arrays must have the "
            f"same first axis, got lengths {lengths}."
        )
    return lengths.pop()
