"""Arrays as data: converted once, then gathered batch by batch.

Nothing here copies a memory-mapped file whole; its rows are converted as they
are gathered. Any other array of the wrong type or layout is converted once.
"""

import math
import mmap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnn_engine.checks import as_numbers as as_real
from rnn_engine.checks import require_finite
from rnn_engine.config import check_finite
from rnn_engine.kernels.gather import gather_time_major
from rnn_engine.training.source import Batch, Source

Gather = Callable[[Any, int, int], np.ndarray]


def is_mapped(array: np.ndarray) -> bool:
    """Whether the memory of `array` is a mapped file, directly or through views."""
    base: Any = array
    while base is not None:
        if isinstance(base, np.memmap | mmap.mmap):
            return True
        base = getattr(base, "base", None)
    return False


def unwrap(value: Any) -> Any:
    """Return the array in a list or tuple of just one array, as Keras does."""
    if isinstance(value, list | tuple) and len(value) == 1 and hasattr(value[0], "shape"):
        return value[0]
    return value


def as_numeric(value: Any, argument: str) -> np.ndarray:
    """Return `value` as an array of numbers, without copying an array.

    Raises
    ------
    ValueError
        If it is ragged, or holds objects, strings or complex numbers, or has no
        axis, or under `config.set_check_finite` what is not finite; the message
        names `argument`.
    """
    value = unwrap(value)
    if isinstance(value, dict):
        raise ValueError(f"{argument} must be one array, got a dict with keys {list(value)}.")
    if isinstance(value, list | tuple) and any(getattr(v, "ndim", 0) > 0 for v in value):
        raise ValueError(
            f"{argument} is a {type(value).__name__} of {len(value)} arrays, but the model "
            f"takes one array; use numpy.stack to make one of them."
        )
    array = as_real(value, argument)
    if array.ndim == 0:
        raise ValueError(f"{argument} must have at least one axis (samples), got a scalar.")
    if check_finite():
        require_finite(array, argument)
    return array


STRINGS = "strings"
"""In place of `keep_integers`: the first layer takes strings."""


def as_values(value: Any, argument: str, keep: Any) -> np.ndarray:
    """Return `value` as an array of numbers, or of strings where these are wanted."""
    if keep != STRINGS:
        return as_numeric(value, argument)
    array = np.asarray(unwrap(value), dtype=object)
    if array.ndim == 0:
        raise ValueError(f"{argument} must have at least one axis (samples), got a scalar.")
    return array


def target_dtype(array: np.ndarray, dtype: Any, keep_integers: Any) -> np.dtype:
    """Return the type the engine wants `array` in."""
    if keep_integers == STRINGS:
        return np.dtype(object)
    if keep_integers and array.dtype.kind in "iu":
        return array.dtype.newbyteorder("=")
    return np.dtype(dtype)


def convert(value: Any, argument: str, dtype: Any, keep_integers: Any = False) -> np.ndarray:
    """Return `value` as a C-contiguous native array of the engine's type.

    Integers stay integers with `keep_integers` (labels, indices).

    Raises
    ------
    ValueError
        As `as_numeric`.
    """
    if type(value) is np.ndarray and value.dtype is dtype and value.ndim and not check_finite():
        return np.ascontiguousarray(value)
    array = as_values(value, argument, keep_integers)
    return np.ascontiguousarray(array, dtype=target_dtype(array, dtype, keep_integers))


def make_gather(array: np.ndarray, dtype: np.dtype, size: int, time_major: bool) -> Gather:
    """Return ``gather(rows, start, stop)``: the batch of samples ``rows[start:stop]``.

    With ``rows=None`` the samples from `start` to `stop`, where they lie if they can be
    taken from there. Batches share one buffer (a batch lives until the next one is
    gathered); a rank-3 `array` comes as a transposed view of a time-major buffer if
    `time_major`.
    """
    ready = array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned
    major = time_major and array.ndim == 3
    buffers: dict[int, np.ndarray] = {}

    def buffer(length: int) -> np.ndarray:
        if length not in buffers:
            inner = array.shape[1:]
            if major:
                buffers[length] = np.empty((inner[0], length, inner[1]), dtype)
            else:
                buffers[length] = np.empty((length, *inner), dtype)
        return buffers[length]

    def gather_major(rows: Any, start: int, stop: int) -> np.ndarray:
        if rows is None:
            return array[start:stop]
        out = buffer(stop - start)
        gather_time_major(array, rows[start:stop], out)
        return out.transpose(1, 0, 2)

    def gather_rows(rows: Any, start: int, stop: int) -> np.ndarray:
        if rows is None:
            return array[start:stop]
        # mode="raise" would go through a second buffer; the rows are ours and in range.
        return array.take(rows[start:stop], axis=0, out=buffer(stop - start), mode="clip")

    def gather_converting(rows: Any, start: int, stop: int) -> np.ndarray:
        out = buffer(stop - start)
        view = out.transpose(1, 0, 2) if major else out
        view[...] = array[start:stop] if rows is None else array[rows[start:stop]]
        return view

    # Numba would compile the kernel anew for read-only arrays; NumPy copies twice instead.
    if not ready or (major and not array.flags.writeable):
        return gather_converting
    return gather_major if major else gather_rows


class ArraySource(Source):
    """Batches of arrays that have the samples along their first axis.

    Parameters
    ----------
    x, y, sample_weight : array-like
        `y` and `sample_weight` may be None.
    dtype : dtype
        The engine's float type.
    batch_size : int, optional
        32, or what makes `steps` batches, if None.
    shuffle : bool or "batch"
        Whether to draw a new order for each pass; ``"batch"`` permutes whole
        batches and keeps a short last one at its place.
    integer_x : bool or STRINGS
        Leave integers in `x` as they are (the first layer looks them up), or take strings.
    time_major : bool
        Gather rank-3 `x` as a transposed view of time-major memory.
    rng : numpy.random.Generator, optional
        Where the order comes from.

    Raises
    ------
    ValueError
        If the counts of samples differ, or there is no sample.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        dtype: Any = "float32",
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: Any = False,
        integer_x: Any = False,
        time_major: bool = False,
        rng: np.random.Generator | None = None,
    ) -> None:
        arrays = [("x", x, integer_x), ("y", y, True), ("sample_weight", sample_weight, False)]
        found = {
            name: (as_values(value, name, keep), keep)
            for name, value, keep in arrays
            if value is not None
        }
        self.num_samples = check_counts({name: array for name, (array, _) in found.items()})
        if batch_size is None:
            batch_size = math.ceil(self.num_samples / steps) if steps else 32
        self.batch_size = min(batch_size, self.num_samples)
        self.num_batches = math.ceil(self.num_samples / self.batch_size)
        self.shuffle = shuffle
        self.rng = rng
        self._gathers: list[Gather | None] = []
        self.arrays: list[np.ndarray | None] = []
        for name, _, _ in arrays:
            if name not in found:
                self._gathers.append(None)
                self.arrays.append(None)
                continue
            array, keep = found[name]
            wanted = target_dtype(array, dtype, keep)
            if not is_mapped(array):
                array = np.ascontiguousarray(array, dtype=wanted)
            # A view: the caller may give his own array another shape meanwhile.
            array = array.view(np.ndarray)
            self.arrays.append(array)
            major = time_major and name == "x"
            self._gathers.append(make_gather(array, wanted, self.batch_size, major))

    def order(self) -> np.ndarray | None:
        """Return the order of samples for one pass; None is the order they are in.

        A single batch is taken as it lies: another order would copy it, to sum the same
        gradients in another order.
        """
        if not self.shuffle or self.rng is None or self.num_batches == 1:
            return None
        if self.shuffle != "batch":
            return self.rng.permutation(self.num_samples)
        full = self.num_samples // self.batch_size
        order = np.arange(self.num_samples)
        head = order[: full * self.batch_size].reshape(full, self.batch_size)
        head[...] = head[self.rng.permutation(full)]
        return order

    def preview(self) -> list[Batch]:
        """Return the first batch, and the last one where it is shorter, as views."""
        x, y, weight = self.arrays
        assert x is not None

        def part(samples: slice) -> Batch:
            return (
                x[samples],
                None if y is None else y[samples],
                None if weight is None else weight[samples],
            )

        rest = self.num_samples % self.batch_size
        first = part(slice(self.batch_size))
        return [first, part(slice(-rest, None))] if rest else [first]

    def batches(self) -> Iterator[Batch]:
        """Yield one pass over the samples."""
        rows, size, count = self.order(), self.batch_size, self.num_samples
        gather_x, gather_y, gather_w = self._gathers
        assert gather_x is not None
        for start in range(0, count, size):
            stop = min(start + size, count)
            yield (
                gather_x(rows, start, stop),
                gather_y(rows, start, stop) if gather_y is not None else None,
                gather_w(rows, start, stop) if gather_w is not None else None,
            )


def check_counts(arrays: dict[str, np.ndarray]) -> int:
    """Return the number of samples that all `arrays` have.

    Raises
    ------
    ValueError
        If they differ or there is none.
    """
    counts = {name: len(array) for name, array in arrays.items()}
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


def split_validation(
    x: Any, y: Any, sample_weight: Any, fraction: float
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Return the head of the arrays for training and the tail for validation.

    As Keras: the split comes before any shuffling, the last samples validate.

    Raises
    ------
    ValueError
        If `x` is not an array, the counts differ, or either side would be empty.
    """
    if not is_array_like(x):
        raise ValueError(
            f"Argument `validation_split` is only supported for arrays, got x of type "
            f"{type(x).__name__}."
        )
    named = {"x": x, "y": y, "sample_weight": sample_weight}
    arrays = {k: as_numeric(v, k) for k, v in named.items() if v is not None}
    count = check_counts(arrays)
    at = math.floor(count * (1.0 - fraction))
    if at in (0, count):
        raise ValueError(
            f"Training data contains {count} samples, which is not sufficient to split it "
            f"into a validation and training set as specified by "
            f"validation_split={fraction}. Either provide more data, or a different value."
        )

    def part(samples: slice) -> tuple[Any, Any, Any]:
        x, y, weight = (arrays[k][samples] if k in arrays else None for k in named)
        return x, y, weight

    return part(slice(0, at)), part(slice(at, count))


def is_array_like(value: Any) -> bool:
    """Whether `value` is read as one array (an array, a list, a tuple, a data frame)."""
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return True
    return isinstance(value, list | tuple)


def class_to_sample_weight(y: Any, class_weight: dict[int, float], dtype: Any) -> np.ndarray:
    """Return the weight of each sample's class, 1 for a class not in `class_weight`.

    `y` holds labels, one-hot rows, or labels in a last axis of one, as in Keras.

    Raises
    ------
    ValueError
        If there are no targets, or a key or weight is not a number.
    """
    if y is None:
        raise ValueError("class_weight needs targets, got y=None.")
    labels = as_numeric(y, "y")
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(axis=-1)
    labels = np.round(labels).astype(np.int64)
    weight = np.ones(labels.shape, dtype)
    for label, value in class_weight.items():
        weight[labels == int(label)] = value
    return weight
