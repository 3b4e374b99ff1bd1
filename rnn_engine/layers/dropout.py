"""Layers that drop inputs in training: `Dropout`, `SpatialDropout1D`, `AlphaDropout`."""

from typing import Any

import numpy as np

from rnn_engine.checks import wrong_rank
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.random import SeedGenerator, make_generator


class Noise(Layer):
    """Base of the layers that draw random numbers in training, and do nothing else.

    Parameters
    ----------
    seed : int or SeedGenerator, optional
        Of the numbers; from the global stream if None. They are of Keras's
        distribution, not its bits.
    """

    def __init__(self, amount: float, argument: str, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The comparison is Keras's, and lets NaN through to the error.
        if isinstance(amount, bool | str) or not 0 <= amount <= 1:
            raise ValueError(
                f"Invalid value received for argument `{argument}`. Expected a float value "
                f"between 0 and 1. Received: {argument}={amount}"
            )
        self.seed = seed
        # The global stream gives a generator only to layers that draw something.
        self._generator = make_generator(seed) if amount > 0 else None

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x, noisy in training."""
        if not training or self._generator is None:
            return x, None
        return self.disturb(x)

    def returns_input(self, training: bool) -> bool:
        """Whether there is no noise."""
        return not training or self._generator is None

    def disturb(self, x: np.ndarray) -> Any:
        """Return the noisy input, and by what backward multiplies (None: by one)."""
        raise TypeError(f"{type(self).__name__} must define disturb(x).")

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return the gradient by the input."""
        if not need_dx:
            return None
        return dy if saved is None else dy * saved

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        seed = self.seed.seed if isinstance(self.seed, SeedGenerator) else self.seed
        return {**super().get_config(), "seed": seed}


def step_by_step(draw: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return ``draw(shape)`` with the numbers of a sequence time-major in memory.

    That is how sequences lie between layers; and the numbers do not depend on it.
    """
    if len(shape) != 3:
        return draw(shape)
    return draw((shape[1], shape[0], shape[2])).transpose(1, 0, 2)


@registry.register()
class Dropout(Noise):
    """Sets a share of the inputs to zero in training (`keras.layers.Dropout`).

    The others are divided by 1 - rate, so that the mean stays.

    Parameters
    ----------
    rate : float
        Share to drop, 0 to 1.
    noise_shape : tuple, optional
        Shape of the factors that are drawn; where it is 1, an axis shares them, where
        it is None, it is that of the input. ``(None, 1, None)`` drops the same
        features at every time step.
    seed : int, optional
        Of the numbers, which are not Keras's; from the global stream if None.

    Output shape = input shape.

    Raises
    ------
    ValueError
        If `rate` is outside 0..1 or `noise_shape` no sequence of positive integers
        and None.

    Examples
    --------
    >>> layer = Dropout(0.5, seed=1)
    >>> sorted({float(value) for value in layer(np.ones((4, 10)), training=True).ravel()})
    [0.0, 2.0]
    >>> layer(np.ones((1, 2)))
    array([[1., 1.]], dtype=float32)
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, "rate", seed, **kwargs)
        self.rate = rate
        self.noise_shape = _noise_shape(noise_shape)

    def disturb(self, x: np.ndarray) -> Any:
        """Return x times the factors, and these."""
        shape = _fill_in(self.noise_shape, x.shape)

        def draw(shape: tuple[int, ...]) -> np.ndarray:
            return dropout_mask(self._generator, self.rate, shape, self._np_dtype)

        factors = step_by_step(draw, shape)
        return x * factors, factors

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}


@registry.register()
class SpatialDropout1D(Dropout):
    """Drops whole features of a sequence, at all its steps (`keras.layers.SpatialDropout1D`).

    Parameters
    ----------
    rate : float
        Share to drop, 0 to 1.
    seed : int, optional
        Of the numbers, which are not Keras's; from the global stream if None.

    Input and output shape (batch, timesteps, features).

    Examples
    --------
    >>> layer = SpatialDropout1D(0.5, seed=1)
    >>> y = layer(np.ones((1, 5, 8)), training=True)
    >>> bool((y == y[:, :1]).all())
    True
    """

    # Axes of the input.
    axes = 3

    def __init__(
        self, rate: float, seed: Any = None, name: Any = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, (None, 1, None), seed, name=name, dtype=dtype, **kwargs)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x, some features zero in training."""
        if x.ndim != self.axes:
            raise wrong_rank(self.name, f"ndim={self.axes}", x.shape, "(batch, ..., features)")
        return super().forward(x, training, mask)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = super().get_config()
        del config["noise_shape"]
        # Keras's constructor takes no `trainable`; it would change nothing.
        del config["trainable"]
        return config


@registry.register()
class AlphaDropout(Noise):
    """Dropout that keeps mean and variance of what selu puts out (`keras.layers.AlphaDropout`).

    Dropped inputs become selu's lower limit, then all are shifted and scaled.

    Parameters
    ----------
    rate : float
        Share to drop, 0 to 1. At 1 Keras divides by zero; here the output is zero.
    noise_shape : tuple, optional
        As for `Dropout`.
    seed : int, optional
        Of the numbers, which are not Keras's; from the global stream if None.

    Output shape = input shape. Source: Klambauer et al. 2017, Self-Normalizing Neural
    Networks, section 3.

    Examples
    --------
    >>> layer = AlphaDropout(0.3, seed=1)
    >>> y = layer(np.random.default_rng(0).normal(size=(100, 100)), training=True)
    >>> bool(abs(y.mean()) < 0.05 and abs(y.std() - 1) < 0.05)
    True
    """

    # -alpha scale, the value of selu at minus infinity.
    LOWEST = -1.6732632423543772 * 1.0507009873554805

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, "rate", seed, **kwargs)
        self.rate = rate
        self.noise_shape = _noise_shape(noise_shape)

    def disturb(self, x: np.ndarray) -> Any:
        """Return a (x kept + lowest dropped) + b, and a kept."""
        rate, number = self.rate, self._np_dtype.type
        if rate >= 1:
            zeros = np.zeros_like(x, subok=False)
            return zeros, zeros

        def draw(shape: tuple[int, ...]) -> np.ndarray:
            return dropout_mask(self._generator, rate, shape, self._np_dtype) > 0

        kept = step_by_step(draw, _fill_in(self.noise_shape, x.shape))
        a = ((1 - rate) * (1 + rate * self.LOWEST**2)) ** -0.5
        b = -a * self.LOWEST * rate
        y = np.where(kept, x * number(a) + number(b), number(a * self.LOWEST + b))
        return y, kept * number(a)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}


def _noise_shape(value: Any) -> tuple[int | None, ...] | None:
    """Return a noise shape as a tuple.

    Raises
    ------
    ValueError
        If it is none.
    """
    if value is None:
        return None
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise ValueError(
            f"Invalid value received for argument `noise_shape`. Expected an iterable of integers "
            f"(e.g., a tuple or list). Received: noise_shape={value!r}"
        )
    shape = tuple(value)
    for i, size in enumerate(shape):
        if size is not None and (
            isinstance(size, bool) or not isinstance(size, int | np.integer) or size <= 0
        ):
            raise ValueError(
                f"Invalid value received for argument `noise_shape`. Expected all elements to be "
                f"positive integers or None. Received element at index {i}: {size!r}"
            )
    return shape


def _fill_in(noise_shape: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the noise shape for an input of `shape`.

    Raises
    ------
    ValueError
        If it does not broadcast to it.
    """
    if noise_shape is None:
        return shape
    if len(noise_shape) != len(shape) or any(
        size not in (None, 1, there) for size, there in zip(noise_shape, shape, strict=False)
    ):
        raise ValueError(f"noise_shape {noise_shape} does not fit an input of shape {shape}.")
    pairs = zip(noise_shape, shape, strict=True)
    return tuple(there if size is None else size for size, there in pairs)
