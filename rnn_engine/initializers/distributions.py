"""`RandomNormal`, `RandomUniform`, `TruncatedNormal` and the draws behind all random weights.

Everything is drawn in float64 and rounded once, so that a float32 weight is the
float64 weight of the same seed, rounded.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.config import standardize_dtype
from rnn_engine.initializers.initializer import RandomInitializer, check_shape, registry


def draw_normal(
    generator: np.random.Generator, shape: tuple[int, ...], mean: float, stddev: float, dtype: str
) -> np.ndarray:
    """Draw from the normal distribution."""
    values = generator.standard_normal(shape)
    return (values * stddev + mean).astype(dtype)


def draw_truncated_normal(
    generator: np.random.Generator, shape: tuple[int, ...], mean: float, stddev: float, dtype: str
) -> np.ndarray:
    """Draw from the normal distribution cut off at two standard deviations.

    What falls outside (4.55%) is drawn again until nothing does.
    """
    values = generator.standard_normal(shape)
    flat = values.reshape(-1)
    outside = np.flatnonzero(np.abs(flat) > 2.0)
    while outside.size:
        again = generator.standard_normal(outside.size)
        flat[outside] = again
        outside = outside[np.abs(again) > 2.0]
    return (values * stddev + mean).astype(dtype)


def draw_uniform(
    generator: np.random.Generator, shape: tuple[int, ...], low: float, high: float, dtype: str
) -> np.ndarray:
    """Draw from ``[low, high)``."""
    values = (generator.random(shape) * (high - low) + low).astype(dtype)
    if high > low:
        # Rounding to the dtype may land on the bound, which does not belong.
        below = np.nextafter(np.array(high, dtype), np.array(low, dtype))
        np.minimum(values, below, out=values)
    return values


@registry.register("RandomNormal", "random_normal", "normal")
class RandomNormal(RandomInitializer):
    """Normal distribution. Mirrors `keras.initializers.RandomNormal`, with NumPy's bits.

    Parameters
    ----------
    mean, stddev : float
        Of the distribution.
    seed : int, SeedGenerator or None
        See `RandomInitializer`.

    Examples
    --------
    >>> weight = RandomNormal(stddev=2.0, seed=1)((1000,))
    >>> bool(abs(weight.std() - 2.0) < 0.2)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Draw an array of `shape`."""
        sizes, name = check_shape(shape), standardize_dtype(dtype)
        return draw_normal(self._generator(), sizes, self.mean, self.stddev, name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@registry.register("TruncatedNormal", "truncated_normal")
class TruncatedNormal(RandomInitializer):
    """Normal distribution without what lies beyond two `stddev` of the mean.

    Mirrors `keras.initializers.TruncatedNormal`, with NumPy's bits. `stddev` is
    that before the cut; afterwards it is 0.87963 times as much.

    Parameters
    ----------
    mean, stddev : float
        Of the distribution that is cut.
    seed : int, SeedGenerator or None
        See `RandomInitializer`.

    Examples
    --------
    >>> weight = TruncatedNormal(stddev=0.5, seed=1)((1000,))
    >>> bool(abs(weight).max() <= 1.0)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Draw an array of `shape`."""
        sizes, name = check_shape(shape), standardize_dtype(dtype)
        return draw_truncated_normal(self._generator(), sizes, self.mean, self.stddev, name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@registry.register("RandomUniform", "random_uniform", "uniform")
class RandomUniform(RandomInitializer):
    """Uniform distribution on ``[minval, maxval)``. Mirrors `keras.initializers.RandomUniform`.

    The bits are NumPy's, and integer dtypes are not offered.

    Parameters
    ----------
    minval, maxval : float
        Bounds; the upper one is never drawn.
    seed : int, SeedGenerator or None
        See `RandomInitializer`.

    Examples
    --------
    >>> weight = RandomUniform(0.0, 3.0, seed=1)((1000,))
    >>> bool(0.0 <= weight.min() and weight.max() < 3.0)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Draw an array of `shape`."""
        sizes, name = check_shape(shape), standardize_dtype(dtype)
        return draw_uniform(self._generator(), sizes, self.minval, self.maxval, name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}
