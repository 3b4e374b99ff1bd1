"""Random numbers that belong to the batch and its groups, not to the ranks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnn_engine.training.resuming import streams_of


class Streams:
    """The streams that a model's layers draw from in training.

    For each batch every stream gives one key, on all ranks the same; in a group the layers
    draw from streams made of the key and the group's number. So dropout of a row does not
    depend on who computes it.
    """

    def __init__(self, model: Any) -> None:
        self.generators = [stream.bit_generator for stream in streams_of(model)]
        self._keys: list[int] = []

    def next_batch(self) -> None:
        """Draw the keys of a batch."""
        self._keys = [int(generator.random_raw()) for generator in self.generators]

    @contextmanager
    def of_group(self, group: int) -> Iterator[None]:
        """Have the layers draw the numbers of one group."""
        kept: list[Any] = [generator.state for generator in self.generators]
        try:
            for generator, key in zip(self.generators, self._keys, strict=True):
                generator.state = type(generator)(np.random.SeedSequence([key, group])).state
            yield
        finally:
            for generator, state in zip(self.generators, kept, strict=True):
                generator.state = state
