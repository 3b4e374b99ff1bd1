"""Where random numbers come from: one seeded stream of generators, or one of each thread."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnn_engine.config import standardize_dtype
from rnn_engine.lazy import lazily, show_public

_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child of `fork` must not find it taken
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )


class Stream:
    """What one seed gives: a generator for whoever asks next, and a number for each model."""

    def __init__(self, seed: int | None = None) -> None:
        self.root = np.random.SeedSequence(seed)
        self.models = 0

    def generator(self) -> np.random.Generator:
        """Return the next generator."""
        with _LOCK:
            (child,) = self.root.spawn(1)
        return np.random.default_rng(child)


_common = Stream()
_own = threading.local()  # has a stream where the thread has set a seed for itself


def _stream() -> Stream:
    return getattr(_own, "stream", None) or _common


@contextmanager
def own_stream(seed: int) -> Iterator[None]:
    """Let this thread draw from a stream of its own within the block."""
    before = getattr(_own, "stream", None)
    _own.stream = Stream(seed)
    try:
        yield
    finally:
        _own.stream = before


class Place:
    """Where a model stands in its stream, so that the order of its samples is its own.

    Each `fit` draws from a generator made of the seed, the number of the model and that of
    the `fit`: models that are trained in several threads do not get in each other's way.
    The number is given when the model is made, or at its first `fit` after a seed was set.
    """

    def __init__(self) -> None:
        self._enter(_stream())

    def _enter(self, stream: Stream) -> None:
        with _LOCK:
            self.number = stream.models
            stream.models += 1
        self.stream, self.fits = stream, 0

    def next_generator(self) -> np.random.Generator:
        """Return the generator of the next `fit`."""
        if self.stream is not (stream := _stream()):
            self._enter(stream)
        self.fits += 1
        # Longer keys than those of `Stream.generator`: no two are the same.
        key = (*self.stream.root.spawn_key, 0, self.number, self.fits)
        return np.random.default_rng(
            np.random.SeedSequence(self.stream.root.entropy, spawn_key=key)
        )

    def __deepcopy__(self, memo: Any) -> "Place":
        return Place()

    def __reduce__(self) -> Any:
        return Place, ()


def set_global_seed(seed: int) -> None:
    """Restart the stream from which unseeded generators are drawn.

    In the main thread that is the one of all threads; another thread gets a stream of its
    own, which no other one draws from.

    Raises
    ------
    ValueError
        If `seed` is not a non-negative integer.
    """
    global _common
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed!r}.")
    stream = Stream(int(seed))
    if threading.current_thread() is threading.main_thread():
        _common, _own.stream = stream, None
    else:
        _own.stream = stream


def set_seed(seed: int) -> None:
    """Restart the stream of unseeded generators (`tf.random.set_seed`).

    Initializers, dropout and shuffling repeat then. `rnn_engine.utils.set_random_seed` seeds
    Python's and NumPy's generators as well. The bits are not TensorFlow's.

    Raises
    ------
    ValueError
        If `seed` is no integer. A negative one counts, as in TensorFlow, from 2**64 down.
    """
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        seed = int(seed) % 2**64
    set_global_seed(seed)


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
        return _stream().generator()
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
            "Argument `seed` must be either an integer or an instance of `SeedGenerator`, or None. "
            f"Received: seed={seed!r} "
            f"(of type {type(seed)})"
        )
    return seed


class SeedGenerator:
    """A stream of random numbers that several users share (`keras.random.SeedGenerator`).

    The bits differ from Keras's: the generator is NumPy's.
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if seed is not None and not whole:
            raise ValueError(
                f"Argument `seed` must be an integer. Received: seed={seed} (of type {type(seed)})"
            )
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

    With an integer `dtype` they are whole ones, as those of `tf.random.uniform`; Keras refuses
    that, and has `randint`.

    Examples
    --------
    >>> uniform((2,), 3.0, 3.0).tolist()
    [3.0, 3.0]
    """
    if dtype is not None and _is_integer(dtype):
        return randint(shape, int(minval), int(maxval), dtype, seed)
    numbers = make_generator(seed).uniform(minval, maxval, shape)
    return np.asarray(numbers, dtype=standardize_dtype(dtype))


def _is_integer(dtype: Any) -> bool:
    try:
        return np.dtype(dtype).kind in "iu"
    except TypeError:
        return False


def randint(
    shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None
) -> np.ndarray:
    """Return integers from `minval` up to, without, `maxval` (`keras.random.randint`).

    Examples
    --------
    >>> randint((2,), 4, 5).tolist()
    [4, 4]
    """
    if not _is_integer(dtype):
        raise ValueError(
            f"`keras.random.randint` requires an integer `dtype`. Received: dtype={dtype} "
        )
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
        raise ValueError(
            "`logits` should be a 2-D tensor with shape [batch_size, num_classes]. Received: "
            f"logits of shape {table.shape}"
        )
    noise = make_generator(seed).gumbel(size=(num_samples, *table.shape))
    return np.argmax(table + noise, axis=-1).T.astype(dtype)


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> np.ndarray:
    """Return numbers of the gamma distribution of shape `alpha` (`keras.random.gamma`).

    Examples
    --------
    >>> bool((gamma((3,), 2.0, seed=1) > 0).all())
    True
    """
    numbers = make_generator(seed).standard_gamma(alpha, _whole(shape))
    return np.asarray(numbers, dtype=standardize_dtype(dtype))


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> np.ndarray:
    """Return numbers of the beta distribution (`keras.random.beta`).

    Examples
    --------
    >>> beta((2,), 1e9, 1e9, seed=1).round(2).tolist()
    [0.5, 0.5]
    """
    numbers = make_generator(seed).beta(alpha, beta, _whole(shape))
    return np.asarray(numbers, dtype=standardize_dtype(dtype))


def binomial(
    shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Return how many of `counts` tries succeed (`keras.random.binomial`).

    Examples
    --------
    >>> binomial((2,), 5, 1.0).tolist()
    [5.0, 5.0]
    """
    tries = np.asarray(counts).astype(np.int64)
    numbers = make_generator(seed).binomial(tries, probabilities, _whole(shape))
    return np.asarray(numbers, dtype=standardize_dtype(dtype))


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> np.ndarray:
    """Return inputs with a share of them zero, the others scaled (`keras.random.dropout`).

    Parameters
    ----------
    inputs : array-like
    rate : float
        The share.
    noise_shape : tuple, optional
        Shape of what is drawn; axes of size 1 share their draws.

    Examples
    --------
    >>> sorted(set(dropout(np.ones(100, np.float32), 0.5, seed=1).tolist()))
    [0.0, 2.0]
    """
    if not 0 <= rate <= 1:  # Keras takes 1 as well, whatever it says
        raise ValueError(
            f"`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate={rate}"
        )
    x = np.asarray(inputs)
    x = x if x.dtype.kind == "f" else x.astype(standardize_dtype(None))
    shape = x.shape
    if noise_shape is not None:
        shape = tuple(n if m is None else m for n, m in zip(x.shape, noise_shape, strict=True))
    kept = make_generator(seed).random(shape) >= rate
    return np.where(kept, x / x.dtype.type(1 - rate) if rate < 1 else 0, 0).astype(x.dtype)


def _whole(shape: Any) -> Any:
    return tuple(int(n) for n in np.atleast_1d(shape)) if np.ndim(shape) else shape


__getattr__ = lazily(__name__, {})
show_public(__name__)
