"""Layers with normal noise in training: `GaussianNoise`, `GaussianDropout`."""

import math
from typing import Any

import numpy as np

from rnn_engine.layers.base import registry
from rnn_engine.layers.dropout import Noise, step_by_step


class _Gaussian(Noise):
    def _normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return standard normal numbers in the layer's dtype."""
        generator: Any = self._generator
        return step_by_step(lambda size: generator.standard_normal(size, self._np_dtype), shape)


@registry.register()
class GaussianNoise(_Gaussian):
    """Adds normal noise of mean zero in training (`keras.layers.GaussianNoise`).

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise, 0 to 1 as in Keras.
    seed : int, optional
        Of the numbers, which are not Keras's; from the global stream if None.

    Output shape = input shape.

    Raises
    ------
    ValueError
        If `stddev` is outside 0..1.

    Examples
    --------
    >>> y = GaussianNoise(0.5, seed=1)(np.zeros((100, 100)), training=True)
    >>> bool(abs(y.std() - 0.5) < 0.01)
    True
    """

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(stddev, "stddev", seed, **kwargs)
        self.stddev = stddev

    def disturb(self, x: np.ndarray) -> Any:
        """Return x plus noise; the gradient passes as it is."""
        return x + self._normal(x.shape) * self._np_dtype.type(self.stddev), None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "stddev": self.stddev}


@registry.register()
class GaussianDropout(_Gaussian):
    """Multiplies by normal noise of mean one in training (`keras.layers.GaussianDropout`).

    Its standard deviation is sqrt(rate / (1 - rate)), that of dropout.

    Parameters
    ----------
    rate : float
        0 to 1. At 1 the deviation would be infinite, and training raises ValueError.
    seed : int, optional
        Of the numbers, which are not Keras's; from the global stream if None.

    Output shape = input shape.

    Examples
    --------
    >>> y = GaussianDropout(0.5, seed=1)(np.ones((100, 100)), training=True)
    >>> bool(abs(y.mean() - 1) < 0.05 and abs(y.std() - 1) < 0.05)
    True
    """

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(rate, "rate", seed, **kwargs)
        self.rate = rate

    def disturb(self, x: np.ndarray) -> Any:
        """Return x times the factors, and these."""
        if self.rate == 1:
            raise ValueError("`rate` must be below 1 in training: its noise is infinite at 1.")
        factors = self._normal(x.shape)
        factors *= self._np_dtype.type(math.sqrt(self.rate / (1 - self.rate)))
        factors += 1
        return x * factors, factors

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "rate": self.rate}
