"""`Source`: where batches come from, and `Epochs`: how many of them make an epoch."""

import warnings
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

Batch = tuple[Any, Any, Any]
"""``(x, y, sample_weight)``; the last two may be None, each is a list where there are several."""


def rows_of(x: Any) -> int:
    """Return the number of samples of a batch's inputs."""
    return len(x[0]) if type(x) is list else len(x)


class Source:
    """Something that yields batches, pass after pass.

    Attributes
    ----------
    arrays : (x, y, sample_weight)
        All samples, where they are arrays; None each for a source that makes batches.
    num_batches : int or None
        Batches in a pass, if known beforehand.
    restarts : bool
        Whether `batches` starts again from the first batch each time.
    admitted : bool
        Whether its batches are known to fit the model before they come.
    """

    arrays: Batch = None, None, None
    num_batches: int | None = None
    restarts = True
    admitted = False

    def preview(self) -> list[Batch]:
        """Return one batch of each size in a pass, unshuffled; none if it is not known yet."""
        return []

    def has_more(self) -> bool:
        """Whether a source that does not restart has another batch, which is then read."""
        return True

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of one pass."""
        raise TypeError(f"{type(self).__name__} does not yield batches.")

    def random_stream(self) -> Any:
        """Return the generator that the order of batches comes from, None if there is none."""
        return getattr(self, "rng", None)

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
    does. A generator that is exhausted ends the training; Keras then trains on
    its first two batches again, which nobody wants.

    With `anew` every epoch starts from the first batch, as each validation of a training
    does, so that the same samples validate every time. The batches of a generator, which
    come only once, are kept for that: those that a validation takes. (Keras keeps two, and
    goes on in the generator behind them.)
    """

    def __init__(self, source: Source, steps: int | None = None, anew: bool = False) -> None:
        self.source = source
        self.steps = steps
        self._anew = anew
        self._pass: Iterator[Batch] | None = None
        self._seen = 0
        self._kept: list[Batch] = []
        self._ended = False  # whether a generator is known to be exhausted
        self.offset = 0  # batches of the next epoch that a training has had before a break
        self._taken = 0  # batches of the pass so far; of a generator, of all passes
        self._began: Any = None  # the stream of the order as the pass found it
        self._resumed: Iterator[Batch] | None = None

    # --- breaks -----------------------------------------------------------------

    def position(self) -> dict[str, Any]:
        """Return the place in the data, ready for JSON."""
        stream = self.source.random_stream()
        began = self._began if self._taken else stream and stream.bit_generator.state
        return {"stream": began, "taken": self._taken, "seen": self._seen}

    def resume(self, position: dict[str, Any], offset: int) -> None:
        """Go to a place in the data, after `offset` batches of an epoch.

        Batches before it are drawn again, and left out.
        """
        stream = self.source.random_stream()
        if stream is not None and position["stream"] is not None:
            stream.bit_generator.state = position["stream"]
        self.offset, self._seen = offset, position["seen"]
        if not position["taken"]:
            return
        batches = self._start()
        for _ in range(position["taken"]):
            next(batches, None)
        self._taken = position["taken"]
        if self.steps is None:
            self._resumed = batches
        else:
            self._pass = batches

    def _start(self) -> Iterator[Batch]:
        """Begin a pass over the source."""
        stream = self.source.random_stream()
        self._began = stream and stream.bit_generator.state
        if self.source.restarts:
            self._taken = 0
        return self.source.batches()

    @property
    def num_batches(self) -> int | None:
        """Batches in an epoch, if known."""
        return self.steps or self.source.num_batches

    @property
    def restarts(self) -> bool:
        """Whether the source can be read again."""
        return self.source.restarts

    def has_more(self) -> bool:
        """Whether there is a next epoch; warns where a generator has nothing left."""
        if self.source.restarts or self._ended or self.source.has_more():
            return not self._ended
        warn_out_of_data()
        return False

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of the next epoch."""
        self.source.on_epoch_begin()
        try:
            if self._anew and not self.source.restarts:
                yield from self._again()
            elif self.steps is None:
                yield from self._whole()
            else:
                yield from self._counted(self.steps)
        finally:
            self.source.on_epoch_end()

    def _whole(self) -> Iterator[Batch]:
        batches, self._resumed = self._resumed or self._start(), None
        seen, self.offset = self.offset, 0
        for batch in batches:
            seen += 1
            self._taken += 1
            yield batch
        if self.source.restarts:
            self._taken = 0
            if seen < (self.source.num_batches or 0):  # it has got shorter
                warn_out_of_data()

    def _counted(self, steps: int) -> Iterator[Batch]:
        known = self.source.num_batches
        first, self.offset = self.offset, 0
        for step in range(first, steps):
            if self._pass is None or (self._anew and step == 0):
                self._pass, self._seen = self._start(), 0
            batch = next(self._pass, None)
            if batch is None and step == 0 and self._seen and self.source.restarts:
                self._pass, self._seen = self._start(), 0
                batch = next(self._pass, None)
            if batch is None:
                warn_out_of_data()
                self._pass, self._ended = None, not self.source.restarts
                return
            self._seen += 1
            self._taken += 1
            yield batch
        if known is not None and self._seen >= known:
            self._pass = None
            self._taken = 0 if self.source.restarts else self._taken

    def _again(self) -> Iterator[Batch]:
        """Yield the batches that were kept, and then new ones as far as they are wanted."""
        if self._pass is None:
            self._pass = self.source.batches()
        for step in count() if self.steps is None else range(self.steps):
            if step == len(self._kept):
                batch = next(self._pass, None)
                if batch is None:
                    if self.steps is not None:
                        warn_out_of_data()
                    return
                self._kept.append(_copied(batch))
            yield self._kept[step]


def _copied(value: Any) -> Any:
    """Return a batch in arrays of its own: a generator may fill the same ones again."""
    if isinstance(value, tuple | list):
        return type(value)(map(_copied, value))
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value
