"""`Source`: where batches come from, and `Epochs`: how many of them make an epoch."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

Batch = tuple[np.ndarray, Any, Any]
"""``(x, y, sample_weight)``; the last two may be None."""


class Source:
    """Something that yields batches, pass after pass.

    Attributes
    ----------
    num_batches : int or None
        Batches in a pass, if known beforehand.
    restarts : bool
        Whether `batches` starts again from the first batch each time.
    """

    num_batches: int | None = None
    restarts = True

    def preview(self) -> list[Batch]:
        """Return one batch of each size in a pass, unshuffled; none if it is not known yet."""
        return []

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of one pass."""
        raise TypeError(f"{type(self).__name__} does not yield batches.")

    def on_epoch_begin(self) -> None:
        """Prepare for an epoch."""

    def on_epoch_end(self) -> None:
        """Clean up after an epoch."""


def warn_out_of_data() -> None:
    """Warn that fewer batches came than were asked for, in Keras's words."""
    warnings.warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or "
        "generator can generate at least `steps_per_epoch * epochs` batches.",
        stacklevel=3,
    )


class Epochs:
    """Cut a source into epochs, with Keras's rules.

    Without `steps` an epoch is one pass. With `steps`, a pass goes on where the
    last epoch stopped, and an epoch ends early, with a warning, where the pass
    does. A generator that is exhausted gives empty epochs; Keras then trains on
    its first two batches again, which nobody wants.
    """

    def __init__(self, source: Source, steps: int | None = None) -> None:
        self.source = source
        self.steps = steps
        self._pass: Iterator[Batch] | None = None
        self._seen = 0

    @property
    def num_batches(self) -> int | None:
        """Batches in an epoch, if known."""
        return self.steps or self.source.num_batches

    @property
    def restarts(self) -> bool:
        """Whether the source can be read again."""
        return self.source.restarts

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of the next epoch."""
        self.source.on_epoch_begin()
        try:
            if self.steps is None:
                yield from self.source.batches()
            else:
                yield from self._counted(self.steps)
        finally:
            self.source.on_epoch_end()

    def _counted(self, steps: int) -> Iterator[Batch]:
        if self._pass is None:
            self._pass, self._seen = self.source.batches(), 0
        known = self.source.num_batches
        for _ in range(steps):
            batch = next(self._pass, None)
            if batch is None:
                warn_out_of_data()
                self._pass = None
                return
            self._seen += 1
            yield batch
        if known is not None and self._seen >= known:
            self._pass = None
