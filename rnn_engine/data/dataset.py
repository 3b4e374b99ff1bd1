"""`Dataset`: elements one after the other, made anew at each iteration (`tf.data.Dataset`)."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any

import numpy as np

from rnn_engine.data.structure import (
    TensorSpec,
    as_array,
    as_element,
    fill_structure,
    leaves,
    map_structure,
    slices,
    stack,
    stack_padded,
)
from rnn_engine.random import make_generator
from rnn_engine.tensor import Tensor, as_tensor

AUTOTUNE = -1
_INFINITE, _UNKNOWN = -1, -2


class Dataset:
    """A sequence of elements that can be read again and again (`tf.data.Dataset`).

    An element is an array (a `Tensor`), or a tuple or dict of arrays. Each method returns a new
    dataset; nothing is computed before it is iterated over. `fit`, `evaluate` and `predict`
    take one. Text stays Python text, where TensorFlow has bytes; arguments that only tell
    TensorFlow how to hurry (`num_parallel_calls`, `deterministic`, ...) are taken and have no
    effect; the order of `shuffle` is that of our seeded stream, not TensorFlow's.

    Parameters
    ----------
    make : callable
        Returns an iterator over the elements.
    cardinality : int
        How many there are; -1 if they do not end, -2 if nobody knows.

    Examples
    --------
    >>> numbers = Dataset.range(5).map(lambda n: n * n).batch(2)
    >>> [batch.tolist() for batch in numbers]
    [[0, 1], [4, 9], [16]]
    """

    def __init__(self, make: Callable[[], Iterator[Any]], cardinality: int = _UNKNOWN) -> None:
        self._make = make
        self._cardinality = cardinality

    def __iter__(self) -> Iterator[Any]:
        return map(_shown, self._make())

    def __len__(self) -> int:
        count = self._count()
        if count == _INFINITE:
            raise TypeError("The dataset is infinite.")
        if count == _UNKNOWN:
            raise TypeError("The dataset length is unknown.")
        return count

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        count = {_INFINITE: "infinite", _UNKNOWN: "unknown"}.get(self._count(), self._count())
        return f"<{type(self).__name__} length={count}>"

    def _count(self) -> int:
        return self._cardinality

    # --- where elements come from ---------------------------------------------

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> "Dataset":
        """Return the rows of an array, or of a tuple or dict of arrays of one length."""
        arrays = as_element(tensors)
        count = slices(arrays)

        def rows() -> Iterator[Any]:
            for i in range(count):
                yield map_structure(itemgetter(i), arrays)

        return Dataset(rows, count)

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> "Dataset":
        """Return one element."""
        element = as_element(tensors)
        return Dataset(lambda: iter([element]), 1)

    @staticmethod
    def from_generator(
        generator: Callable[..., Iterable[Any]],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Any = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> "Dataset":
        """Return what ``generator(*args)`` yields, called anew at each iteration.

        Raises
        ------
        TypeError
            If `generator` is not callable, or an element does not fit the signature.
        """
        if not callable(generator):
            raise TypeError("`generator` must be a Python callable.")
        spec = output_signature
        if spec is None and output_types is not None:
            if output_shapes is None:
                spec = map_structure(lambda kind: TensorSpec(None, _dtype(kind)), output_types)
            else:
                spec = map_structure(
                    lambda kind, shape: TensorSpec(shape, _dtype(kind)), output_types, output_shapes
                )

        def elements() -> Iterator[Any]:
            for value in generator(*(args or ())):
                yield as_element(value) if spec is None else _fitted(value, spec)

        return Dataset(elements)

    @staticmethod
    def range(*args: int, output_type: Any = "int64", name: str | None = None) -> "Dataset":
        """Return the numbers of Python's `range`, as scalars of int64."""
        numbers = range(*(int(arg) for arg in args))
        dtype = np.dtype(_dtype(output_type))
        return Dataset(lambda: (np.asarray(n, dtype) for n in numbers), len(numbers))

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> "Dataset":
        """Return tuples (or dicts) of an element of each dataset; the shortest one ends it."""
        given = datasets if datasets is not None else (args[0] if len(args) == 1 else args)
        parts = leaves(given)

        def elements() -> Iterator[Any]:
            for values in zip(*parts, strict=False):
                yield fill_structure(given, values)

        counts = [part._count() for part in parts]
        finite = [count for count in counts if count >= 0]
        unknown = _UNKNOWN in counts
        least = _UNKNOWN if unknown else min(finite, default=_INFINITE)
        return Dataset(elements, least)

    # --- one element each -------------------------------------------------------

    def map(
        self, map_func: Callable[..., Any], num_parallel_calls: Any = None, **kwargs: Any
    ) -> "Dataset":
        """Return what a function makes of each element; the parts of a tuple are its arguments."""
        _hurry_only("map", kwargs)

        def elements() -> Iterator[Any]:
            for element in self:
                yield as_element(_call(map_func, element), keep=Dataset)

        return Dataset(elements, self._count())

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> "Dataset":
        """Return the elements for which a function is true."""
        return Dataset(lambda: (element for element in self if bool(_call(predicate, element))))

    def flat_map(self, map_func: Callable[..., "Dataset"], name: str | None = None) -> "Dataset":
        """Return the elements of the dataset that a function makes of each element."""
        return Dataset(lambda: (inner for element in self for inner in _call(map_func, element)))

    def interleave(
        self,
        map_func: Callable[..., "Dataset"],
        cycle_length: int | None = None,
        block_length: int = 1,
        num_parallel_calls: Any = None,
        **kwargs: Any,
    ) -> "Dataset":
        """Return the elements of the datasets that a function makes, some of each in turn."""
        _hurry_only("interleave", kwargs)
        cycle = cycle_length if cycle_length and cycle_length > 0 else 1

        def elements() -> Iterator[Any]:
            sources = (iter(_call(map_func, element)) for element in self)
            slots: list[Any] = [None] * cycle
            ended = False
            while not ended or any(slot is not None for slot in slots):
                for at in range(cycle):
                    # A slot whose dataset has ended waits for its next turn to get another.
                    if slots[at] is None and not ended:
                        slots[at] = next(sources, None)
                        ended = slots[at] is None
                    if slots[at] is not None:
                        block = list(itertools.islice(slots[at], block_length))
                        yield from block
                        if len(block) < block_length:
                            slots[at] = None

        return Dataset(elements)

    def enumerate(self, start: int = 0, name: str | None = None) -> "Dataset":
        """Return tuples of a number, int64 from `start` on, and an element."""
        return Dataset(
            lambda: ((np.asarray(i, np.int64), e) for i, e in enumerate(self, start)),
            self._count(),
        )

    # --- fewer, more, in another order --------------------------------------------

    def take(self, count: int, name: str | None = None) -> "Dataset":
        """Return the first `count` elements; all if it is -1."""
        count = int(count)
        if count < 0:
            return self
        own = self._count()
        left = count if own == _INFINITE else _UNKNOWN if own == _UNKNOWN else min(count, own)
        return Dataset(lambda: itertools.islice(iter(self), count), left)

    def skip(self, count: int, name: str | None = None) -> "Dataset":
        """Return what follows the first `count` elements; nothing if it is -1."""
        count = int(count)
        own = self._count()
        if count < 0:
            return Dataset(lambda: iter(()), 0)
        left = max(0, own - count) if own >= 0 else own
        return Dataset(lambda: itertools.islice(iter(self), count, None), left)

    def take_while(self, predicate: Callable[..., Any], name: str | None = None) -> "Dataset":
        """Return the elements before the first for which a function is false."""
        return Dataset(lambda: itertools.takewhile(lambda e: bool(_call(predicate, e)), self))

    def shard(self, num_shards: int, index: int, name: str | None = None) -> "Dataset":
        """Return each element number `index`, `index` + `num_shards` and so on."""
        if not 0 <= index < num_shards:
            raise ValueError(f"index must lie within 0 and {num_shards - 1}, got {index}.")
        own = self._count()
        left = len(range(index, own, num_shards)) if own >= 0 else own
        return Dataset(lambda: itertools.islice(iter(self), index, None, num_shards), left)

    def repeat(self, count: int | None = None, name: str | None = None) -> "Dataset":
        """Return the elements `count` times, or without end."""
        endless = count is None or count < 0

        def elements() -> Iterator[Any]:
            for _ in itertools.count() if endless else range(int(count or 0)):
                empty = True
                for element in self:
                    empty = False
                    yield element
                if empty:
                    return

        own = self._count()
        if endless:
            return Dataset(elements, 0 if own == 0 else _INFINITE)
        return Dataset(elements, own * int(count or 0) if own >= 0 else own)

    def concatenate(self, dataset: "Dataset", name: str | None = None) -> "Dataset":
        """Return these elements, and then those of another dataset."""
        counts = self._count(), dataset._count()
        if _INFINITE in counts:
            total = _INFINITE
        else:
            total = _UNKNOWN if _UNKNOWN in counts else sum(counts)
        return Dataset(lambda: itertools.chain(self, dataset), total)

    def shuffle(
        self,
        buffer_size: int | None = None,
        seed: Any = None,
        reshuffle_each_iteration: bool | None = True,
        name: str | None = None,
    ) -> "Dataset":
        """Return the elements in a new order at each iteration.

        Each one is drawn from the `buffer_size` that come next; the orders repeat for a `seed`.

        Raises
        ------
        ValueError
            If `buffer_size` is below 1.
        """
        if buffer_size is None:
            buffer_size = max(1, len(self))
        size = int(buffer_size)
        if size < 1:
            raise ValueError(f"buffer_size must be above 0, got {buffer_size}.")
        generator = make_generator(seed)
        again = reshuffle_each_iteration is None or reshuffle_each_iteration
        state = generator.bit_generator.state

        def elements() -> Iterator[Any]:
            draws = generator
            if not again:
                draws = np.random.default_rng()
                draws.bit_generator.state = state
            buffer: list[Any] = []
            for element in self:
                if len(buffer) < size:
                    buffer.append(element)
                    continue
                i = int(draws.integers(size))
                yield buffer[i]
                buffer[i] = element
            for i in draws.permutation(len(buffer)):
                yield buffer[i]

        return Dataset(elements, self._count())

    # --- batches --------------------------------------------------------------------

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        deterministic: Any = None,
        name: str | None = None,
    ) -> "Dataset":
        """Return `batch_size` elements at a time as one, with a first axis more.

        Raises
        ------
        ValueError
            If `batch_size` is below 1, or shapes in a batch differ.
        """
        return self._batches(batch_size, drop_remainder, stack)

    def padded_batch(
        self,
        batch_size: int,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> "Dataset":
        """Return batches whose elements are filled up to the longest, or to `padded_shapes`."""

        def padded(elements: list[Any]) -> Any:
            return stack_padded(elements, padded_shapes, padding_values)

        return self._batches(batch_size, drop_remainder, padded)

    def _batches(
        self, batch_size: int, drop_remainder: bool, join: Callable[[list[Any]], Any]
    ) -> "Dataset":
        size = int(batch_size)
        if size < 1:
            raise ValueError(f"batch_size must be above 0, got {batch_size}.")

        def elements() -> Iterator[Any]:
            source = iter(self)
            while rows := list(itertools.islice(source, size)):
                if len(rows) == size or not drop_remainder:
                    yield join(rows)

        own = self._count()
        count = own if own < 0 else own // size if drop_remainder else -(-own // size)
        return Dataset(elements, count)

    def unbatch(self, name: str | None = None) -> "Dataset":
        """Return the rows of each element."""

        def rows() -> Iterator[Any]:
            for element in self:
                for i in range(slices(element)):
                    yield map_structure(itemgetter(i), element)

        return Dataset(rows)

    def window(
        self,
        size: int,
        shift: int | None = None,
        stride: int = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> "Dataset":
        """Return datasets of `size` elements, each one `shift` elements after the last.

        Of elements that are tuples or dicts come tuples or dicts of datasets.

        Raises
        ------
        ValueError
            If a number is below 1.
        """
        shift = size if shift is None else shift
        for argument, value in (("size", size), ("shift", shift), ("stride", stride)):
            if value < 1:
                raise ValueError(f"{argument} must be above 0, got {value}.")
        span = (size - 1) * stride + 1

        def windows() -> Iterator[Any]:
            waiting: deque[Any] = deque()
            source, ahead = iter(self), 0
            while True:
                for _ in range(ahead):  # a shift beyond the window passes over elements
                    next(source, None)
                while len(waiting) < span:
                    following = next(source, _END)
                    if following is _END:
                        break
                    waiting.append(following)
                full = len(waiting) == span
                if not waiting or (drop_remainder and not full):
                    return
                yield _window(list(itertools.islice(waiting, 0, None, stride)))
                ahead = max(0, shift - len(waiting)) if full else 0
                for _ in range(min(shift, len(waiting))):
                    waiting.popleft()

        own = self._count()
        count = own
        if own >= 0:
            count = max(0, (own - span) // shift + 1) if drop_remainder else -(-own // shift)
        return Dataset(windows, count)

    # --- the rest -------------------------------------------------------------------

    def cache(self, filename: str = "", name: str | None = None) -> "Dataset":
        """Return the same elements, kept in memory by the first whole iteration."""
        kept: list[list[Any]] = []

        def elements() -> Iterator[Any]:
            if kept:
                yield from kept[0]
                return
            seen = []
            for element in self:
                seen.append(element)
                yield element
            kept[:] = [seen]

        return Dataset(elements, self._count())

    def prefetch(self, buffer_size: Any = None, name: str | None = None) -> "Dataset":
        """Return the dataset: nothing is prepared ahead."""
        return self

    def with_options(self, options: Any, name: str | None = None) -> "Dataset":
        """Return the dataset: TensorFlow's options have nothing to change here."""
        return self

    def apply(self, transformation_func: Callable[["Dataset"], "Dataset"]) -> "Dataset":
        """Return what a function makes of the dataset."""
        return transformation_func(self)

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any]) -> Any:
        """Return the last state of ``state = reduce_func(state, element)``."""
        state = as_element(initial_state)
        for element in self:
            state = as_element(reduce_func(state, element))
        return state

    def cardinality(self) -> np.ndarray:
        """Return how many elements there are: -1 without end, -2 if unknown."""
        return np.asarray(self._count(), np.int64)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Return an iterator over the elements as NumPy's arrays and numbers."""
        return (map_structure(_as_numpy, element) for element in self)

    def get_single_element(self) -> Any:
        """Return the only element.

        Raises
        ------
        ValueError
            If there is none, or another one.
        """
        found = list(itertools.islice(iter(self), 2))
        if len(found) != 1:
            count = "more than one" if found else "no"
            raise ValueError(f"Dataset had {count} element.")
        return found[0]

    @property
    def element_spec(self) -> Any:
        """Shapes and types of the first element."""
        first = next(iter(self), None)
        return map_structure(
            lambda array: TensorSpec(np.shape(array), np.asarray(array).dtype), first
        )


_END = object()


def _shown(element: Any) -> Any:
    """Return an element as programs see it, in tensors, which have `numpy`."""
    return map_structure(as_tensor, element)


def _as_numpy(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value


def _call(function: Callable[..., Any], element: Any) -> Any:
    element = _shown(element)
    return function(*element) if isinstance(element, tuple) else function(element)


def _window(elements: list[Any]) -> Any:
    """Return a dataset of elements, or one for each of their parts."""
    if not isinstance(elements[0], tuple | dict):
        return Dataset(lambda: iter(elements), len(elements))
    if isinstance(elements[0], tuple):
        return tuple(_window(list(part)) for part in zip(*elements, strict=True))
    return {key: _window([element[key] for element in elements]) for key in elements[0]}


def _hurry_only(method: str, kwargs: dict[str, Any]) -> None:
    unknown = set(kwargs) - {"deterministic", "synchronous", "use_unbounded_threadpool", "name"}
    if unknown:
        raise TypeError(f"{method}() got an unexpected keyword argument '{sorted(unknown)[0]}'")


def _dtype(kind: Any) -> Any:
    return str if str(kind) in ("string", "<dtype: 'string'>") else getattr(kind, "name", kind)


def _fitted(value: Any, spec: Any) -> Any:
    """Return what a generator yielded in the types that were announced."""
    if isinstance(spec, tuple | dict) != isinstance(value, tuple | dict | list) and not isinstance(
        spec, TensorSpec
    ):
        raise TypeError(f"`generator` yielded {value!r}, which has not the structure {spec}.")

    def one(expected: TensorSpec, got: Any) -> np.ndarray:
        kind = expected.dtype
        array = as_array(got, None if kind.kind in "US" else kind)
        if not expected.admits(array):
            raise TypeError(
                f"`generator` yielded an element of shape {array.shape} where an element of shape "
                f"{expected.shape} was expected."
            )
        return array

    if isinstance(spec, tuple) and isinstance(value, list):
        value = tuple(value)
    return map_structure(one, spec, value)
