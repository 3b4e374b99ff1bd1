"""A rank's share of each batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnn_engine.distributed.groups import bounds, count_groups, share
from rnn_engine.distributed.peers import Peers, checksum
from rnn_engine.training.arrays import ArraySource
from rnn_engine.training.passes import admit
from rnn_engine.training.source import Batch, Source, rows_of


class Share:
    """What one rank has of a batch; stands where the loop has the inputs.

    Attributes
    ----------
    rows : int
        Those of the whole batch, which is its length.
    count : int
        Groups of the batch.
    groups : range
        Those of this rank.
    parts : list of (x, y, sample_weight)
        The rows of each of these groups. A rank without groups has those of the first one, so
        that it knows shapes and types, and adds nothing.
    check : float
        Of data that every rank makes whole: a checksum.
    """

    def __init__(self, rows: int, count: int, groups: range, check: float = 0.0) -> None:
        self.rows, self.count, self.groups, self.check = rows, count, groups, check
        self.parts: list[Batch] = []

    def __len__(self) -> int:
        return self.rows


class SharedSource(Source):
    """Cut the batches of a source into groups of rows, and yield those of this rank.

    Of arrays, memory-mapped ones too, a rank reads the rows of its groups only. Other data
    come in whole batches: every rank makes them, and takes its rows.
    """

    admitted = True

    def __init__(
        self, inner: Source, peers: Peers, groups: int | None, model: Any, kind: str
    ) -> None:
        self.inner, self.peers, self.groups = inner, peers, groups
        self.model, self.kind = model, kind
        self.arrays, self.restarts = inner.arrays, inner.restarts
        self._gathers: dict[int, Any] = {}

    @property
    def num_batches(self) -> int | None:  # type: ignore[override]  # a dataset's may change
        """Batches in a pass."""
        return self.inner.num_batches

    def preview(self) -> list[Batch]:
        """Return what the source shows beforehand: whole batches."""
        return self.inner.preview()

    def has_more(self) -> bool:
        """Whether the source has another batch."""
        return self.inner.has_more()

    def random_stream(self) -> Any:
        """Return that of the source."""
        return self.inner.random_stream()

    def on_epoch_begin(self) -> None:
        """Tell the source."""
        self.inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell the source."""
        self.inner.on_epoch_end()

    def batches(self) -> Iterator[Batch]:
        """Yield the shares of one pass."""
        if isinstance(self.inner, ArraySource):
            yield from self._gathered(self.inner)
            return
        for batch in self.inner.batches():
            admit(self.model, *batch, self.kind)
            rows = rows_of(batch[0])
            found = self._share(rows, checksum(_arrays(batch)) if self.peers.size > 1 else 0.0)
            cuts = bounds(rows, found.count)
            for group in found.groups or [0]:
                part = slice(*cuts[group])
                found.parts.append(tuple(_cut(entry, part) for entry in batch))
            yield found, batch[1], batch[2]

    def _share(self, rows: int, check: float = 0.0) -> Share:
        count = count_groups(rows, self.groups)
        return Share(rows, count, share(count, self.peers.size, self.peers.rank), check)

    def _gathered(self, source: ArraySource) -> Iterator[Batch]:
        for order, start, stop in source.spans():
            found = self._share(stop - start)
            cuts = bounds(found.rows, found.count)
            for slot, group in enumerate(found.groups or [0]):
                # Each in memory of its own: all live until the step is over.
                if slot not in self._gathers:
                    self._gathers[slot] = source.new_gathers()
                low, high = cuts[group]
                found.parts.append(
                    source.gathered(self._gathers[slot], order, start + low, start + high)
                )
            yield found, found.parts[0][1], found.parts[0][2]


def _cut(entry: Any, part: slice) -> Any:
    if type(entry) is list:
        return [_cut(value, part) for value in entry]
    return None if entry is None else entry[part]


def _arrays(batch: Batch) -> Iterator[np.ndarray]:
    for entry in batch:
        for array in entry if type(entry) is list else [entry]:
            if array is not None:
                yield array
