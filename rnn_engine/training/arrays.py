"""Arrays as data: converted once, then gathered batch by batch.

Nothing here copies a memory-mapped file whole; its rows are converted as they
are gathered. Any other array of the wrong type or layout is converted once.
"""

import math
import mmap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnn_engine.kernels.gather import gather_time_major
from rnn_engine.training.form import Column, DataForm, Flat
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
    form : DataForm, optional
        How the model's data look; one input and one output if None.
    batch_size : int, optional
        32, or what makes `steps` batches, if None.
    shuffle : bool or "batch"
        Whether to draw a new order for each pass; ``"batch"`` permutes whole
        batches and keeps a short last one at its place.
    time_major : bool
        Gather rank-3 `x` as a transposed view of time-major memory.
    rng : numpy.random.Generator, optional
        Where the order comes from.

    Raises
    ------
    ValueError
        If the counts of samples differ, or there is no sample.
    """

    admitted = True

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        form: DataForm | None = None,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: Any = False,
        time_major: bool = False,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.form = form = form or DataForm()
        read, self.num_samples = form.arrays(Column.read, x, y, sample_weight)
        if batch_size is None:
            batch_size = math.ceil(self.num_samples / steps) if steps else 32
        self.batch_size = min(batch_size, self.num_samples)
        self.num_batches = math.ceil(self.num_samples / self.batch_size)
        self.shuffle = shuffle
        self.rng = rng
        parts: list[list[tuple[Any, Any]]] = []
        for number, (of, values) in enumerate(zip(form.columns, read, strict=True)):
            major = time_major and number == 0
            parts.append([self._part(c, v, major) for c, v in zip(of, values, strict=True)])
        self.arrays = form.batch(*([array for array, _ in part] for part in parts))
        self._made = [[make for _, make in part] for part in parts]
        self._gathers = self.new_gathers()

    def new_gathers(self) -> Any:
        """Return what gathers batches of inputs, targets and weights, with buffers of its own."""
        return self.form.batch(*([make and make() for make in part] for part in self._made))

    def _part(
        self, column: Column, array: Any, major: bool
    ) -> tuple[Any, Callable[[], Gather] | None]:
        """Return an array in the engine's type, unless it is mapped, and what makes a gather."""
        if array is None:
            return None, None
        wanted = column.wanted(array)
        if not is_mapped(array):
            array = np.ascontiguousarray(array, dtype=wanted)
        # A view: the caller may give his own array another shape meanwhile.
        array = array.view(np.ndarray)
        return array, lambda: make_gather(array, wanted, self.batch_size, major)

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

        def part(samples: slice) -> Batch:
            return tuple(_each(lambda array: array[samples], entry) for entry in self.arrays)

        rest = self.num_samples % self.batch_size
        first = part(slice(self.batch_size))
        return [first, part(slice(-rest, None))] if rest else [first]

    def spans(self) -> Iterator[tuple[Any, int, int]]:
        """Yield the order of a pass, and first and last place in it of each batch."""
        rows, size, count = self.order(), self.batch_size, self.num_samples
        for start in range(0, count, size):
            yield rows, start, min(start + size, count)

    def gathered(self, gathers: Any, rows: Any, start: int, stop: int) -> Batch:
        """Return the samples of some places, gathered by what `new_gathers` returned."""
        x, y, weight = gathers
        return (
            _gathered(x, rows, start, stop),
            _gathered(y, rows, start, stop),
            _gathered(weight, rows, start, stop),
        )

    def batches(self) -> Iterator[Batch]:
        """Yield one pass over the samples."""
        for rows, start, stop in self.spans():
            yield self.gathered(self._gathers, rows, start, stop)


def _gathered(gather: Any, rows: Any, start: int, stop: int) -> Any:
    """Return one array, the list of those of several columns, or None."""
    if gather is None:
        return None
    if type(gather) is list:
        return [_gathered(part, rows, start, stop) for part in gather]
    return gather(rows, start, stop)


def _bare(values: Any) -> Any:
    """Return the array of a list of one."""
    return values[0] if values is not None and len(values) == 1 else values


def _each(function: Any, entry: Any) -> Any:
    if isinstance(entry, list):
        return [_each(function, part) for part in entry]
    return None if entry is None else function(entry)


def split_validation(
    x: Any, y: Any, sample_weight: Any, fraction: float, form: DataForm | None = None
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Return the head of the arrays for training and the tail for validation.

    As Keras: the split comes before any shuffling, the last samples validate.

    Raises
    ------
    ValueError
        If `x` is not an array, the counts differ, or either side would be empty.
    """
    form = form or DataForm()
    if not form.is_arrays(x):
        raise ValueError(
            f"Argument `validation_split` is only supported for arrays, got x of type "
            f"{type(x).__name__}."
        )
    arrays, count = form.arrays(Column.read, x, y, sample_weight)
    at = math.floor(count * (1.0 - fraction))
    if at in (0, count):
        raise ValueError(
            f"Training data contains {count} samples, which is not sufficient to split it "
            f"into a validation and training set as specified by "
            f"`validation_split={fraction}`. Either provide more data, or a different value for "
            f"the `validation_split` argument."
        )

    def part(samples: slice) -> tuple[Any, Any, Any]:
        cut = [Flat(_each(lambda array: array[samples], of)) for of in arrays]
        x, y, weight = (None if all(v is None for v in of) else of for of in cut)
        return _bare(x), _bare(y), _bare(weight)

    return part(slice(0, at)), part(slice(at, count))
