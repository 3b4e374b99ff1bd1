"""`DataForm`: how a model's data look, and how nests of arrays become flat lists."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rnn_engine.graph import flatten, is_nested
from rnn_engine.tensor import Tensor
from rnn_engine.training.conversion import as_numeric, as_text, convert, is_array_like, unwrap

FLOAT = np.dtype("float32")
_PLAIN = (np.ndarray, Tensor)


class Flat(list[Any]):
    """A list that is flat already, in the order of the model's inputs or outputs."""


@dataclass(frozen=True)
class Column:
    """One array of the data: its name in messages and the type the engine wants it in.

    `integers` are left as they are where they count as such (labels, indices); `dtype` None
    means text, which is left as it is.
    """

    name: str
    dtype: Any
    integers: bool = False

    def read(self, value: Any) -> np.ndarray:
        """Return `value` as an array without copying one; raises as `as_numeric`."""
        return as_text(value, self.name) if self.dtype is None else as_numeric(value, self.name)

    def wanted(self, array: np.ndarray) -> np.dtype:
        """Return the type in which the engine wants an array."""
        if self.dtype is None:
            return array.dtype
        if self.integers and array.dtype.kind in "iu":
            return array.dtype.newbyteorder("=")
        return np.dtype(self.dtype)

    def convert(self, value: Any) -> np.ndarray:
        """Return `value` as a contiguous array of the engine's type."""
        if self.dtype is None:
            return as_text(value, self.name)
        return convert(value, self.name, self.dtype, self.integers)


@dataclass(frozen=True)
class DataForm:
    """The inputs and outputs of a model, in the order of its flat lists.

    A batch is ``(x, y, sample_weight)``; x is one array where the model has one input, else a
    list; y and weights likewise, by the outputs.

    Parameters
    ----------
    inputs : tuple of Column
    dtype : dtype
        Type of targets and weights.
    outputs : tuple of str or None
        What losses and metrics of the outputs are called by; one None for a single output.
    keys : dict, optional
        From other names of outputs, such as those of layers, to their number.
    by_key : bool
        Whether the outputs stand in a dict, of which losses may leave some out.
    flat : callable, optional
        From a nest of inputs to a flat list, by the model's own rules.
    learn : callable, optional
        From the inputs of a first batch to the form that they have, where only data tell.
    """

    inputs: tuple[Column, ...] = (Column("x", FLOAT),)
    dtype: Any = FLOAT
    outputs: tuple[str | None, ...] = (None,)
    keys: dict[str, int] = field(default_factory=dict)
    by_key: bool = False
    flat: Any = None
    learn: Any = None

    @classmethod
    def single(cls, dtype: Any = "float32", integers: bool = False) -> "DataForm":
        """Return the form of a model of one input and one output."""
        return cls((Column("x", np.dtype(dtype), integers),), np.dtype(dtype))

    @property
    def several_outputs(self) -> bool:
        """Whether there is more than one output."""
        return len(self.outputs) > 1

    def is_arrays(self, x: Any) -> bool:
        """Whether `x` is data itself, and not something that yields batches."""
        if isinstance(x, dict):
            arrays = bool(x) and all(map(is_array_like, flatten(x)))
            return arrays and self.flat is not None
        return is_array_like(x)

    def flat_x(self, x: Any) -> list[Any]:
        """Return the inputs as a flat list."""
        if type(x) is Flat:
            return x
        if self.flat is None or (len(self.inputs) == 1 and not isinstance(x, dict)):
            return [unwrap(x)]
        return list(self.flat(x))

    def flat_y(self, y: Any, argument: str = "y") -> list[Any]:
        """Return targets or weights as a flat list, an entry an output; None where there is none.

        Raises
        ------
        ValueError
            If a name is unknown or there are too many.
        """
        if y is None:
            return [None] * len(self.outputs)
        if type(y) is Flat:
            return y
        if isinstance(y, dict):
            return self._by_name(y, argument)
        if not self.several_outputs:
            single = unwrap(y)
            if argument == "y" and isinstance(single, list | tuple) and _is_group(single):
                raise self._other_structure(single)
            return [single]
        if not isinstance(y, list | tuple):
            if argument == "sample_weight":  # one for all
                return [y] * len(self.outputs)
            entries = [y]
        else:
            entries = []
            for entry in y:
                entries += flatten(entry) if _nests(entry) else [entry]
        if len(entries) != len(self.outputs):
            if argument == "y":
                raise self._other_structure(entries)
            raise ValueError(
                f"{argument} has {len(entries)} entries, but the model has {len(self.outputs)} "
                f"outputs: {self._names()}."
            )
        return entries

    def _other_structure(self, entries: Any) -> ValueError:
        """Return the error of targets that are more, or fewer, than the outputs."""
        count, wanted = len(entries), len(self.outputs)
        stars = [str(["*"] * n) if n > 1 else "*" for n in (count, wanted)]
        outputs = f"{wanted} outputs: {self._names()}" if self.several_outputs else "one output"
        return ValueError(
            f"y_true and y_pred have different structures.\ny_true: {stars[0]}\n"
            f"y_pred: {stars[1]}\ny has {count} entries, but the model has {outputs}."
        )

    def _by_name(self, y: dict[str, Any], argument: str) -> list[Any]:
        places = {**self.keys, **{name: i for i, name in enumerate(self.outputs) if name}}
        found: list[Any] = [None] * len(self.outputs)
        if not self.several_outputs and len(y) == 1 and set(y) - set(places) == set(y):
            return [unwrap(next(iter(y.values())))]  # a name of the data's own
        for name, value in y.items():
            if name not in places and is_nested(value):
                for path, part in _paths(value, name):
                    if path in places:
                        found[places[path]] = part
            elif name not in places:
                raise ValueError(
                    f"{argument} has an entry {name!r}, but the outputs of the model are "
                    f"{self._names()}."
                )
            else:
                found[places[name]] = value
        return found

    def _names(self) -> list[str]:
        return [str(name) for name in self.outputs]

    @cached_property
    def columns(self) -> tuple[tuple[Column, ...], ...]:
        """The columns of the inputs, of the targets and of the weights."""
        several = self.several_outputs

        def of(argument: str) -> tuple[Column, ...]:
            names = [f"{argument}[{name!r}]" if several else argument for name in self.outputs]
            return tuple(Column(name, self.dtype, argument == "y") for name in names)

        return self.inputs, of("y"), of("sample_weight")

    def flat_batch(self, x: Any, y: Any, weight: Any) -> Any:
        """Return flat lists of inputs, targets and weights."""
        return self.flat_x(x), self.flat_y(y), self.flat_y(weight, "sample_weight")

    def batch(self, xs: list[Any], ys: list[Any], weights: list[Any]) -> Any:
        """Return flat lists in the form of a batch."""
        x = xs[0] if len(xs) == 1 else xs
        if not self.several_outputs:
            return x, ys[0], weights[0]
        nothing = all(weight is None for weight in weights)
        absent = all(y is None for y in ys)
        return x, None if absent else ys, None if nothing else weights

    def convert(self, x: Any, y: Any, weight: Any) -> Any:
        """Return a batch of the user's in the engine's types, and its counts checked.

        Raises
        ------
        ValueError
            As `as_numeric`, or if the counts of samples differ.
        """
        # A model's output, a `Tensor`, is as plain an array as any.
        plain = type(x) in _PLAIN and (y is None or type(y) in _PLAIN)
        if plain and len(self.inputs) == len(self.outputs) == 1:
            batch = self._converted(x, y, weight)
            if batch is not None:
                return batch
        return self.batch(*self.arrays(Column.convert, x, y, weight)[0])

    def arrays(
        self, read: Callable[[Column, Any], np.ndarray], x: Any, y: Any, weight: Any
    ) -> tuple[list[list[Any]], int]:
        """Return flat lists of inputs, targets and weights as arrays, and the count of samples.

        `read` makes the arrays: `Column.read` or `Column.convert`.

        Raises
        ------
        ValueError
            As `read`, or if the counts of samples differ.
        """
        given = self.flat_batch(x, y, weight)
        arrays = [
            [None if v is None else read(c, v) for c, v in zip(of, values, strict=True)]
            for of, values in zip(self.columns, given, strict=True)
        ]
        return arrays, check_counts(arrays, self.columns)

    def _converted(self, x: np.ndarray, y: np.ndarray | None, weight: Any) -> Any:
        """Return a batch of plain arrays, the quick way; None where something is to be said."""
        x = self.inputs[0].convert(x)
        if y is not None:
            y = convert(y, "y", self.dtype, True)
        if weight is not None:
            weight = convert(weight, "sample_weight", self.dtype)
        count = len(x)
        fits = count and (y is None or len(y) == count) and (weight is None or len(weight) == count)
        return (x, y, weight) if fits else None


def check_counts(arrays: Any, columns: Any) -> int:
    """Return the number of samples that all arrays of a batch have.

    Raises
    ------
    ValueError
        If they differ or there is none.
    """
    counts = {
        column.name: len(array)
        for of, values in zip(columns, arrays, strict=True)
        for column, array in zip(of, values, strict=True)
        if array is not None
    }
    if len(set(counts.values())) > 1:
        sizes = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(
            f"Data cardinality is ambiguous. Make sure all arrays contain the same number "
            f"of samples: {sizes}."
        )
    count = next(iter(counts.values()))
    if count == 0:
        raise ValueError("x has no samples; at least one is needed.")
    return count


def _is_group(value: Any) -> bool:
    """Whether a list or tuple holds several arrays, and is not one array itself."""
    return len(value) > 1 and any(getattr(v, "ndim", 0) > 0 for v in value)


def _nests(entry: Any) -> bool:
    """Whether an entry of a list holds arrays of several outputs, and is not one array."""
    return isinstance(entry, dict) or (
        isinstance(entry, list | tuple) and any(getattr(v, "ndim", 0) > 0 for v in entry)
    )


def _paths(value: Any, path: str) -> Any:
    """Yield the leaves of a nest with their paths, joined by slashes as Keras does."""
    if not is_nested(value):
        yield path, value
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in pairs:
        yield from _paths(part, f"{path}/{key}")
