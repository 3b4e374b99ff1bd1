"""`timeseries_dataset_from_array`: sliding windows over a series, batch by batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnn_engine.data.dataset import Dataset
from rnn_engine.random import make_generator


class TimeseriesDataset(Dataset):
    """Batches of windows, made anew from the series at each iteration.

    Iterating yields NumPy arrays: ``x`` of shape ``(batch, sequence_length, ...)``,
    or ``(x, y)`` where there are targets; single windows if `batch_size` is None.
    `len` counts what one iteration yields. Nothing is copied before it is asked
    for, so a memory-mapped series may be larger than memory. It is a `data.Dataset`, with
    `take`, `map` and the rest.

    Made by `timeseries_dataset_from_array`, which describes the arguments.
    """

    def __init__(
        self,
        data: np.ndarray,
        targets: np.ndarray | None,
        starts: np.ndarray,
        sequence_length: int,
        sampling_rate: int,
        batch_size: int | None,
        generator: np.random.Generator | None,
    ) -> None:
        self.data = data
        self.targets = targets
        self.batch_size = batch_size
        self._starts = starts
        self._offsets = np.arange(sequence_length) * sampling_rate
        self._generator = generator

    @property
    def num_windows(self) -> int:
        """Number of windows in one iteration."""
        return len(self._starts)

    def _count(self) -> int:
        if self.batch_size is None:
            return len(self._starts)
        return -(-len(self._starts) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        starts = self._starts
        if self._generator is not None:
            starts = self._generator.permutation(starts)
        step = self.batch_size or 1
        for first in range(0, len(starts), step):
            chosen = starts[first : first + step]
            x = self.data[chosen[:, None] + self._offsets]
            y = None if self.targets is None else self.targets[chosen]
            if self.batch_size is None:
                x, y = x[0], None if y is None else y[0]
            yield x if y is None else (x, y)


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> TimeseriesDataset:
    """Make a dataset of sliding windows. Mirrors `keras.utils.timeseries_dataset_from_array`.

    Returns our own re-iterable of NumPy batches, whatever `format` says. With
    `shuffle` all windows are drawn in a new order at each iteration (Keras mixes
    within a buffer), the same orders again for the same `seed`.

    Parameters
    ----------
    data : array, shape ``(time, ...)``
    targets : array or None
        ``targets[i]`` belongs to the window that starts at ``data[i]``.
    sequence_length : int
        Steps of a window.
    sequence_stride : int
        Steps from the start of one window to that of the next.
    sampling_rate : int
        Steps from one element of a window to the next.
    batch_size : int or None
        None yields single windows.
    shuffle : bool
        Whether to mix the windows.
    seed : int, optional
        Of the mixing; from the global stream if None.
    start_index, end_index : int, optional
        Part of the data that is used: ``data[start_index:end_index]``.
    format : {"tf", "grain"}
        Accepted for Keras's sake.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the targets end before the windows do.

    Examples
    --------
    >>> series = np.arange(6)
    >>> dataset = timeseries_dataset_from_array(series, series[3:], sequence_length=3)
    >>> for x, y in dataset:
    ...     print(x.tolist(), y.tolist())
    [[0, 1, 2], [1, 2, 3], [2, 3, 4]] [3, 4, 5]
    """
    data = data if isinstance(data, np.ndarray) else np.asarray(data)
    if data.ndim == 0:
        raise ValueError("data must have a time axis, got a scalar.")
    if format not in ("tf", "grain"):
        raise ValueError(f"format must be 'tf' or 'grain', got {format!r}.")
    _check_size("sequence_length", sequence_length)
    _check_size("sequence_stride", sequence_stride, len(data))
    _check_size("sampling_rate", sampling_rate, len(data))
    if batch_size is not None:
        _check_size("batch_size", batch_size)
    start, end = _check_range(start_index, end_index, len(data))

    windows = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        targets = targets if isinstance(targets, np.ndarray) else np.asarray(targets)
        windows = min(windows, len(targets))
        targets = targets[start:end]
    starts = np.arange(0, windows, sequence_stride)
    if targets is not None and starts.size and starts[-1] >= len(targets):
        raise ValueError(
            f"targets must reach index {start + int(starts[-1])}, where the last window starts, "
            f"got {start + len(targets)} of them."
        )
    generator = make_generator(seed) if shuffle else None
    return TimeseriesDataset(
        data[start:end], targets, starts, sequence_length, sampling_rate, batch_size, generator
    )


def _check_size(argument: str, value: int, below: int | None = None) -> None:
    if value <= 0:
        raise ValueError(f"`{argument}` must be higher than 0. Received: {argument}={value}")
    if below is not None and value >= below:
        raise ValueError(
            f"`{argument}` must be lower than the length of the data. Received: "
            f"{argument}={value}, for data of length {below}"
        )


def _check_range(start: int | None, end: int | None, length: int) -> tuple[int, int]:
    """Return the bounds; as in Keras an explicit end lies before the last element's."""
    for argument, value in (("start_index", start), ("end_index", end)):
        if value is not None and value >= length:
            raise ValueError(
                f"`{argument}` must be lower than the length of the data. Received: "
                f"{argument}={value}, for data of length {length}"
            )
    if start is not None and start < 0:
        raise ValueError(f"`start_index` must be 0 or greater. Received: start_index={start}")
    if end is not None and end <= 0:
        raise ValueError(f"`end_index` must be higher than 0. Received: end_index={end}")
    if end is not None and end <= (start or 0):
        raise ValueError(
            f"`end_index` must be higher than `start_index`. Received: start_index={start}, and "
            f"end_index={end}"
        )
    return start or 0, length if end is None else end
