"""`TimeseriesGenerator`: windows over a series, in Keras 2's way."""

import json
from typing import Any

import numpy as np

from rnn_engine.utils.dataset import PyDataset


class TimeseriesGenerator(PyDataset):
    """Batches of windows over a series, with the value that follows each.

    Mirrors `keras.preprocessing.sequence.TimeseriesGenerator` of Keras 2;
    `timeseries_dataset_from_array` is today's way.

    Parameters
    ----------
    data : array-like, (time, ...)
    targets : array-like, (time, ...)
        ``targets[i]`` belongs to the window that ends before ``data[i]``.
    length : int
        Steps that a window spans.
    sampling_rate : int
        Steps from one element of a window to the next.
    stride : int
        Steps from one window to the next.
    start_index, end_index : int, optional
        Part of the data that is used, `end_index` included.
    shuffle : bool
        Draw windows, with replacement, from NumPy's global generator.
    reverse : bool
        Turn the windows round.
    batch_size : int
    **kwargs
        Those of `PyDataset`.

    Raises
    ------
    ValueError
        If data and targets differ in length, or no window is left.

    Examples
    --------
    >>> series = np.arange(6)
    >>> for x, y in TimeseriesGenerator(series, series, length=3, batch_size=2):
    ...     print(x.tolist(), y.tolist())
    [[0, 1, 2], [1, 2, 3]] [3, 4]
    [[2, 3, 4]] [5]
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise ValueError(
                f"Data and targets have to be of same length. Data length is {len(data)} while "
                f"target length is {len(targets)}"
            )
        for name, value in (("sampling_rate", sampling_rate), ("stride", stride)):
            if value < 1:
                raise ValueError(f"{name} must be above 0, got {value}.")
        if batch_size < 1:
            raise ValueError(f"batch_size must be above 0, got {batch_size}.")
        self.data = data
        self.targets = targets
        self.length = length
        self.sampling_rate = sampling_rate
        self.stride = stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle = shuffle
        self.reverse = reverse
        self.batch_size = batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is "
                f"disallowed, as no part of the sequence would be left to be used as current step."
            )

    def __len__(self) -> int:
        steps = self.batch_size * self.stride
        return (self.end_index - self.start_index + steps) // steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.shuffle:
            ends = np.random.randint(  # noqa: NPY002  # Keras's stream, which programs seed
                self.start_index, self.end_index + 1, size=self.batch_size
            )
        else:
            first = self.start_index + self.batch_size * self.stride * index
            last = min(first + self.batch_size * self.stride, self.end_index + 1)
            ends = np.arange(first, last, self.stride)
        windows = [self.data[end - self.length : end : self.sampling_rate] for end in ends]
        samples = np.array(windows)
        targets = np.array([self.targets[end] for end in ends])
        return (samples[:, ::-1] if self.reverse else samples), targets

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, data and targets as JSON.

        Raises
        ------
        TypeError
            If the data cannot be written so.
        """
        return {
            "data": _as_json("Data", self.data),
            "targets": _as_json("Targets", self.targets),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **kwargs: Any) -> str:
        """Return the config as JSON."""
        name = type(self).__name__
        return json.dumps({"class_name": name, "config": self.get_config()}, **kwargs)


def _as_json(name: str, values: Any) -> str:
    try:
        return json.dumps(values.tolist() if isinstance(values, np.ndarray) else values)
    except TypeError as error:
        raise TypeError(f"{name} not JSON Serializable: {values}") from error
