"""Where random numbers come from: one seeded stream of generators."""

import os
import threading
from typing import Any

import numpy as np

_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child of `fork` must not find it taken
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )
_ROOT: np.random.SeedSequence = np.random.SeedSequence()


def set_global_seed(seed: int) -> None:
    """Restart the stream from which unseeded generators are drawn.

    Raises
    ------
    ValueError
        If `seed` is not a non-negative integer.
    """
    global _ROOT
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed!r}.")
    with _LOCK:
        _ROOT = np.random.SeedSequence(int(seed))


def make_generator(seed: Any = None) -> np.random.Generator:
    """Return a generator for `seed`, or the next one of the global stream if None.

    A `SeedGenerator` or a `numpy.random.Generator` is passed through, and so
    shared with its other users.
    """
    if isinstance(seed, SeedGenerator):
        return seed.generator
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None:
        with _LOCK:
            (child,) = _ROOT.spawn(1)
        return np.random.default_rng(child)
    return np.random.default_rng(seed)


class SeedGenerator:
    """A stream of random numbers that several users share (`keras.random.SeedGenerator`).

    The bits differ from Keras's: the generator is NumPy's.
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        self.seed = seed
        self.name = name
        self.generator = make_generator(seed)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"seed": self.seed}
