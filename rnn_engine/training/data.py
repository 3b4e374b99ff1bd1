"""Data adapters: whatever the user hands to `fit` becomes a `Source` of batches."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_engine.training.arrays import ArraySource
from rnn_engine.training.conversion import class_to_sample_weight
from rnn_engine.training.form import DataForm
from rnn_engine.training.source import Batch, Source
from rnn_engine.utils.dataset import PyDataset, unpack_x_y_sample_weight

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future


class BatchReader:
    """Convert the batches that a user's iterable yields."""

    def __init__(self, form: DataForm, class_weight: dict[int, float] | None) -> None:
        self.form = form
        self.class_weight = class_weight

    def read(self, data: Any, index: int) -> Batch:
        """Return batch number `index` in the engine's types.

        Raises
        ------
        ValueError
            If it is not a batch; the message has its number.
        """
        try:
            x, y, weight = unpack_x_y_sample_weight(data)
            if self.form.learn is not None:
                self.form = self.form.learn(x)
            if self.class_weight is not None:
                if weight is not None:
                    raise ValueError(
                        "You cannot specify `class_weight` and `sample_weight` at the same time."
                    )
                weight = weights_of_classes(y, self.class_weight, self.form)
            batch: Batch = self.form.convert(x, y, weight)
        except ValueError as error:
            raise ValueError(f"Batch {index}: {error}") from error
        return batch


def weights_of_classes(y: Any, class_weight: dict[int, float], form: DataForm) -> Any:
    """Return the weight of each sample's class.

    Raises
    ------
    ValueError
        If the model has several outputs, as in Keras.
    """
    if form.several_outputs:
        raise ValueError("`class_weight` is only supported for Models with a single output.")
    return class_to_sample_weight(form.flat_y(y)[0], class_weight, form.dtype)


class IterableSource(Source):
    """Batches of an iterable; of an iterator (a generator) they come only once.

    Raises
    ------
    ValueError
        If a generator has nothing to give.
    """

    def __init__(self, data: Iterable[Any], reader: BatchReader) -> None:
        self.data = data
        self.reader = reader
        self.restarts = not hasattr(data, "__next__")
        self.num_batches = None
        self._waiting: deque[Batch] = deque()
        self._count = 0
        if not self.restarts and not self.has_more():
            raise_empty("generator")
        if self.restarts and hasattr(data, "__len__"):
            self.num_batches = self._length(data)

    @staticmethod
    def _length(data: Any) -> int | None:
        try:
            return len(data)
        except TypeError:  # such as an endless tf.data.Dataset
            return None

    def has_more(self) -> bool:
        """Whether there is a next batch; that of a generator is read and kept."""
        if not self.restarts and not self._waiting:
            for data in self.data:
                self._waiting.append(self._read(data))
                break
        return self.restarts or bool(self._waiting)

    def preview(self) -> list[Batch]:
        """Return the first batch of a generator; to others nobody has asked yet."""
        return list(self._waiting)

    def _read(self, data: Any) -> Batch:
        batch = self.reader.read(data, self._count)
        self._count += 1
        return batch

    def batches(self) -> Iterator[Batch]:
        """Yield one pass, or what is left of a generator."""
        if not self.restarts:
            while self.has_more():
                yield self._waiting.popleft()
            return
        self._count = 0
        for data in self.data:
            yield self._read(data)


def raise_empty(kind: str) -> None:
    """Raise the ValueError for data without a batch, in Keras's words."""
    raise ValueError(
        f"When passing a Python {kind} to a Keras model, the {kind} must yield at least one "
        f"batch. Received an empty {kind}."
    )


_worker_dataset: Any = None


def _start_worker(dataset: Any) -> None:
    global _worker_dataset
    _worker_dataset = dataset


def _fetch(index: int) -> Any:
    return _worker_dataset[index]


class DatasetSource(Source):
    """Batches of a `PyDataset` or of anything with ``__getitem__`` and ``__len__``."""

    def __init__(
        self, data: Any, reader: BatchReader, shuffle: bool, rng: np.random.Generator | None
    ) -> None:
        self.data = data
        self.reader = reader
        self.shuffle = shuffle
        self.rng = rng
        self.num_batches = self._length()
        if self.num_batches is not None and self.num_batches < 1:
            raise ValueError(
                f"The PyDataset has length 0: x is a {type(data).__name__} without batches."
            )

    def _length(self) -> int | None:
        data = self.data
        return data.num_batches if hasattr(data, "num_batches") else len(data)

    def on_epoch_begin(self) -> None:
        """Tell the dataset."""
        getattr(self.data, "on_epoch_begin", lambda: None)()

    def on_epoch_end(self) -> None:
        """Tell the dataset."""
        getattr(self.data, "on_epoch_end", lambda: None)()

    def _indices(self) -> Iterable[int]:
        length = self._length()
        if self.num_batches is None or length is None:
            return count()
        length = min(length, self.num_batches)  # as in Keras: it may get shorter, not longer
        if self.shuffle and self.rng is not None:
            return self.rng.permutation(length).tolist()
        return range(length)

    def _pool(self) -> "tuple[Executor, Any] | None":
        """Return a pool and the function that fetches a batch in it, if workers are wanted."""
        workers = getattr(self.data, "workers", 1)
        processes = getattr(self.data, "use_multiprocessing", False) and workers > 0
        if not processes and workers <= 1:
            return None
        # Imported here: it takes 5 ms, and most programs have no workers.
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

        if processes:
            pool = ProcessPoolExecutor(workers, initializer=_start_worker, initargs=(self.data,))
            return pool, _fetch
        return ThreadPoolExecutor(workers), self.data.__getitem__

    def _raw(self) -> Iterator[tuple[int, Any]]:
        found = self._pool()
        if found is None:
            for index in self._indices():
                yield index, self.data[index]
            return
        pool, fetch = found
        ahead = max(1, getattr(self.data, "max_queue_size", 10))
        queue: deque[tuple[int, Future[Any]]] = deque()
        try:
            for index in self._indices():
                queue.append((index, pool.submit(fetch, index)))
                if len(queue) > ahead:
                    number, future = queue.popleft()
                    yield number, future.result()
            while queue:
                number, future = queue.popleft()
                yield number, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def batches(self) -> Iterator[Batch]:
        """Yield one pass, in a new order each time if `shuffle`."""
        raw, index = self._raw(), -1
        while True:
            try:
                index, data = next(raw)
            except StopIteration:
                return
            except IndexError:
                # What the dataset itself raises ends the training, but not where it has
                # got shorter since the pass began.
                length, known = self._length(), self.num_batches
                if length is None or known is None or not length <= index + 1 < known:
                    raise
                return
            yield self.reader.read(data, index)


def is_dataset(value: Any) -> bool:
    """Whether `value` hands out batches by number."""
    if isinstance(value, PyDataset):
        return True
    sized = hasattr(value, "__len__") or hasattr(value, "num_batches")
    return hasattr(value, "__getitem__") and sized and not isinstance(value, dict | str | bytes)


def make_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    form: DataForm | None = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: Any = False,
    class_weight: dict[int, float] | None = None,
    time_major: bool = False,
    rng: np.random.Generator | None = None,
) -> Source:
    """Return the source of batches for what the user passed as `x`.

    Arrays and lists are cut into batches; datasets, iterables and generators make
    their own, and then carry their targets and weights with them.

    Raises
    ------
    ValueError
        If `x` is none of these, or an argument does not go with it.
    """
    if class_weight is not None and sample_weight is not None:
        raise ValueError("You cannot `class_weight` and `sample_weight` at the same time.")
    form = form or DataForm()
    if form.is_arrays(x):
        if class_weight is not None:
            sample_weight = weights_of_classes(y, class_weight, form)
        return ArraySource(
            x,
            y,
            sample_weight,
            form=form,
            batch_size=batch_size,
            steps=steps,
            shuffle=shuffle,
            time_major=time_major,
            rng=rng,
        )
    kind = "PyDataset" if is_dataset(x) else "generator"
    if isinstance(x, dict | str | bytes) or not (is_dataset(x) or hasattr(x, "__iter__")):
        lazy = " Call its collect() first." if hasattr(x, "collect") else ""
        raise ValueError(f"Unrecognized data type: x={x} (of type {type(x)}){lazy}")
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"When providing `x` as a {kind}, `{name}` should not be passed. Instead, it "
                f"should be included as part of the {kind}."
            )
    reader = BatchReader(form, class_weight)
    if is_dataset(x):
        return DatasetSource(x, reader, bool(shuffle), rng)
    return IterableSource(x, reader)
