"""`PyDataset`, and the tuples in which batches come: what users' data loaders need."""

from collections.abc import Iterator
from itertools import count
from typing import Any


class PyDataset:
    """Base class of a dataset that makes whole batches. Mirrors `keras.utils.PyDataset`.

    Implement ``__getitem__(index)``, which returns ``(x,)``, ``(x, y)`` or
    ``(x, y, sample_weight)`` for one batch, and ``__len__``, the number of batches
    (or the property `num_batches`, None for an endless dataset).

    Parameters
    ----------
    workers : int
        Threads (or processes) that prepare batches ahead; none if 1 or less.
    use_multiprocessing : bool
        Prepare in processes; the dataset must then be picklable.
    max_queue_size : int
        Batches kept ready.

    Examples
    --------
    >>> import numpy as np
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         x = np.arange(3.0).reshape(3, 1) + 3 * index
    ...         return x, x**2
    >>> [float(y.sum()) for x, y in Squares()]
    [5.0, 50.0]
    """

    # Class attributes, so that a subclass that does not call super().__init__ works.
    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Return batch number `index`; every subclass has its own."""
        raise NotImplementedError(f"{type(self).__name__} must implement __getitem__.")

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches in order, endlessly if `num_batches` is None."""
        total = self.num_batches
        for index in count() if total is None else range(total):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """Number of batches in a pass, None if endless."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"You need to implement the `num_batches` property, or `__len__`, of "
            f"{type(self).__name__}."
        )

    def on_epoch_begin(self) -> None:
        """Run at the start of every epoch."""

    def on_epoch_end(self) -> None:
        """Run at the end of every epoch."""


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return the tuple that stands for a batch; `x` itself where it is no list or tuple.

    Mirrors `keras.utils.pack_x_y_sample_weight`.

    Examples
    --------
    >>> pack_x_y_sample_weight(1), pack_x_y_sample_weight(1, 2)
    (1, (1, 2))
    """
    if sample_weight is not None:
        return (x, y, sample_weight)
    if y is not None:
        return (x, y)
    return (x,) if isinstance(x, list | tuple) else x


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return ``(x, y, sample_weight)`` of ``x``, ``(x,)``, ``(x, y)`` or all three.

    Mirrors `keras.utils.unpack_x_y_sample_weight`.

    Raises
    ------
    ValueError
        If a tuple has no entry or more than three.
    """
    if not isinstance(data, list | tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"Data is expected to be in format `x`, `(x,)`, `(x, y)`, or "
            f"`(x, y, sample_weight)`, found a {type(data).__name__} of {len(data)} entries."
        )
    padded = (*data, None, None)
    return padded[0], padded[1], padded[2]
