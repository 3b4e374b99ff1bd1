"""What a file holds, before it is read: arrays by their place, and a config."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn_engine.saving.errors import RefusedError, damage_named


@dataclass(frozen=True)
class Stored:
    """An array in a file, of which nothing has been read but the header.

    `fill` writes the numbers into an array of `shape` and `dtype`; `backed` is how many
    of them the bytes of the file can hold at most, whatever the header says.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    source: str
    fill: Callable[[np.ndarray], None]
    backed: int

    def into(self, target: np.ndarray) -> None:
        """Read into an array of this shape, converted to its type."""
        if target.dtype == self.dtype and target.flags.c_contiguous:
            with damage_named(self.source):
                self.fill(target)
            return
        with np.errstate(all="ignore"):  # what float32 cannot hold becomes infinite
            target[...] = self.read()

    def read(self) -> np.ndarray:
        """Return the numbers in a new array."""
        values = np.empty(self.shape, self.dtype)
        with damage_named(self.source):
            self.fill(values)
        return values

    @staticmethod
    def of(value: Any, source: str) -> "Stored":
        """Return a number that stands in a config, as if it were an array of the file."""
        array = np.asarray(value)

        def fill(target: np.ndarray) -> None:
            target[...] = array

        return Stored(array.shape, array.dtype, source, fill, array.size)


Arrays = Mapping[str, Sequence[Stored]]
"""From the path of a group to its arrays."""


@dataclass
class Content:
    """What an open file holds.

    Keras 3 and this library keep arrays by the path of their group; Keras's format before
    that in lists, one a layer, with the layer's name.
    """

    config: dict[str, Any] | None = None
    arrays: Arrays = field(default_factory=dict)
    layers: list[tuple[str, list[Stored]]] | None = None
    optimizer: list[Stored] | None = None
    assets: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    named: Mapping[str, Stored] = field(default_factory=dict)
    said: dict[str, Any] | None = None  # of the file by itself: see `saving.sample`

    def elements(self) -> int:
        """Return how many numbers the layers' arrays can have at most."""
        lists = [values for path, values in self.arrays.items() if path != "optimizer"]
        lists += [values for _, values in self.layers or ()]
        return sum(min(stored.backed, math.prod(stored.shape)) for v in lists for stored in v)


def in_order(members: Mapping[int, Stored], path: str, source: str) -> list[Stored]:
    """Return the arrays of a group, which a file numbers from zero.

    Raises
    ------
    ValueError
        If a number is missing.
    """
    if sorted(members) != list(range(len(members))):
        raise RefusedError(f"{source} is damaged: group {path!r} has the arrays {sorted(members)}.")
    return [members[i] for i in range(len(members))]
