"""Base class of the initializers, their registry and the checks they share."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.random import SeedGenerator, make_generator
from rnn_engine.registry import Registry

registry = Registry("initializer")


class Initializer:
    """Fills a new weight: ``initializer(shape, dtype=None) -> ndarray``.

    Mirrors `keras.initializers.Initializer`. A subclass defines `__call__` and,
    if its constructor takes arguments, `get_config`.

    Examples
    --------
    >>> class Sevens(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, 7, dtype or "float32")
    >>> Sevens()((2,))
    array([7., 7.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Return a new array of `shape`."""
        raise NotImplementedError(
            f"Initializer subclasses must implement the `__call__()` method: "
            f"{type(self).__name__}.__call__(shape, dtype=None) is not there."
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Initializer":
        """Build an initializer from what `get_config` returned."""
        return cls(**config)

    def clone(self) -> "Initializer":
        """Return another initializer of the same configuration."""
        return self.from_config(self.get_config())

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class RandomInitializer(Initializer):
    """Base of the initializers that draw: settles what `seed` means.

    Parameters
    ----------
    seed : int, SeedGenerator or None
        As in Keras, an initializer with an integer or no seed draws the same
        values at every call with one shape; without a seed those values follow
        from the global stream at the time of construction (`set_random_seed`).
        With a `SeedGenerator` each call draws new ones.

    Raises
    ------
    ValueError
        If `seed` is something else.
    """

    def __init__(self, seed: Any = None) -> None:
        if isinstance(seed, dict):
            seed = SeedGenerator(seed.get("config", seed).get("seed"))
        whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if not (seed is None or whole or isinstance(seed, SeedGenerator)):
            raise ValueError(
                "`seed` argument should be an instance of `keras.random.SeedGenerator()` or an "
                f"integer. Received: seed={seed} of type {type(seed).__name__}"
            )
        self._init_seed = int(seed) if whole else seed
        if seed is None:
            self.seed: Any = int(make_generator().integers(1, 10**9))
        else:
            self.seed = self._init_seed

    def _generator(self) -> np.random.Generator:
        return make_generator(self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the seed as it was given."""
        seed = self._init_seed
        if isinstance(seed, SeedGenerator):
            seed = {"class_name": "SeedGenerator", "config": seed.get_config()}
        return {"seed": seed}


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return `shape` as a tuple of sizes.

    Raises
    ------
    TypeError
        If it is no sequence of integers.
    ValueError
        If a size is negative.
    """
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        raise TypeError(f"shape must be a sequence of integers, got {shape!r}.") from None
    for axis, size in enumerate(sizes):
        if size < 0:
            raise ValueError(
                f"Cannot convert '{tuple(shape)}' to a shape. Negative dimensions are not allowed: "
                f"{size} at axis {axis}."
            )
    return sizes


def any_dtype(dtype: Any) -> np.dtype:
    """Return the NumPy dtype for `dtype`, `floatx` if None: constants come in any numeric type.

    Raises
    ------
    ValueError
        If it is not numeric or boolean.
    """
    try:
        found = np.dtype(floatx() if dtype is None else dtype)
    except TypeError:
        raise ValueError(f"Invalid dtype: {dtype}. dtype must name a numeric type.") from None
    if found.kind not in "biuf":
        raise ValueError(f"dtype must be numeric or boolean, got {dtype!r}.")
    return found
