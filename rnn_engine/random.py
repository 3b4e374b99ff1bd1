"""Where random numbers come from: one seeded stream of generators."""

import os
import threading
from typing import Any

import numpy as np

from rnn_engine.config import standardize_dtype

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

    Raises
    ------
    ValueError
        If `seed` is something else than those, an integer or None.
    """
    seed = check_seed(seed)
    if isinstance(seed, SeedGenerator):
        return seed.generator
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None:
        with _LOCK:
            (child,) = _ROOT.spawn(1)
        return np.random.default_rng(child)
    # NumPy takes no negative seeds, Keras does: wrapped as it wraps them.
    return np.random.default_rng(int(seed) % 2**64)


def check_seed(seed: Any) -> Any:
    """Return a seed as it is.

    Raises
    ------
    ValueError
        If `make_generator` has no use for it.
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not (whole or seed is None or isinstance(seed, SeedGenerator | np.random.Generator)):
        raise ValueError(
            f"Argument `seed` must be an integer, a SeedGenerator or None. Received: seed={seed!r} "
            f"(of type {type(seed)})"
        )
    return seed


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


# --- numbers for users: keras.random ---------------------------------------------
# An int seeds each call anew, so that it gives the same numbers; None goes on in the
# global stream, a `SeedGenerator` in its own.


def normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Return normally distributed numbers (`keras.random.normal`, not its bits).

    Examples
    --------
    >>> normal((2, 3), seed=1).shape
    (2, 3)
    """
    numbers = mean + stddev * make_generator(seed).standard_normal(shape)
    return np.asarray(numbers, dtype=standardize_dtype(dtype))


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Return normal numbers within two `stddev` of `mean` (`keras.random.truncated_normal`).

    Examples
    --------
    >>> bool((abs(truncated_normal((1000,), seed=1)) <= 2).all())
    True
    """
    generator = make_generator(seed)
    numbers = np.asarray(generator.standard_normal(shape))
    while (far := np.abs(numbers) > 2).any():
        numbers[far] = generator.standard_normal(int(far.sum()))
    return np.asarray(mean + stddev * numbers, dtype=standardize_dtype(dtype))


def uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Return uniform numbers from `minval` up to `maxval` (`keras.random.uniform`).

    Integers are what `randint` gives.

    Examples
    --------
    >>> uniform((2,), 3.0, 3.0).tolist()
    [3.0, 3.0]
    """
    numbers = make_generator(seed).uniform(minval, maxval, shape)
    return np.asarray(numbers, dtype=standardize_dtype(dtype))


def randint(
    shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None
) -> np.ndarray:
    """Return integers from `minval` up to, without, `maxval` (`keras.random.randint`).

    Examples
    --------
    >>> randint((2,), 4, 5).tolist()
    [4, 4]
    """
    return np.asarray(make_generator(seed).integers(minval, maxval, shape), dtype=dtype)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> np.ndarray:
    """Return a copy of an array, mixed along an axis (`keras.random.shuffle`).

    Examples
    --------
    >>> sorted(shuffle([3, 1, 2]).tolist())
    [1, 2, 3]
    """
    return make_generator(seed).permutation(np.asarray(x), axis=axis)


def categorical(
    logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None
) -> np.ndarray:
    """Draw classes by their unnormalized log-probabilities (`keras.random.categorical`).

    Parameters
    ----------
    logits : array-like, (batch, classes)
    num_samples : int
        Draws for each row.

    Examples
    --------
    >>> categorical([[0.0, -1e9], [-1e9, 0.0]], 3).tolist()
    [[0, 0, 0], [1, 1, 1]]
    """
    table = np.asarray(logits, dtype="float64")
    if table.ndim != 2:
        raise ValueError(f"logits must have shape (batch, classes), got {table.shape}.")
    noise = make_generator(seed).gumbel(size=(num_samples, *table.shape))
    return np.argmax(table + noise, axis=-1).T.astype(dtype)
