"""`set_random_seed`: one call that settles every stream of random numbers."""

import random

import numpy as np

from rnn_engine.random import set_global_seed


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's global generator and the engine's own stream.

    Mirrors `keras.utils.set_random_seed`. After it, unseeded initializers,
    dropout and shuffling repeat; TensorFlow, if there, is not touched.

    Called in the main thread it is for all threads. Another thread that calls it gets an
    engine's stream of its own: what it builds and trains afterwards is to the bit what the
    same lines give alone, whatever other threads do. Models that were made in the main thread
    may be trained in several threads at once, too: each draws the order of its samples and
    its dropout from the place that it was given when it was made. (Python's and NumPy's
    generators stay those of the process.)

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1, as NumPy's global generator takes it.

    Raises
    ------
    ValueError
        If it is anything else; nothing has been seeded then.

    Examples
    --------
    >>> from rnn_engine.initializers import GlorotUniform
    >>> set_random_seed(3)
    >>> first = GlorotUniform()((2, 2))
    >>> set_random_seed(3)
    >>> bool((GlorotUniform()((2, 2)) == first).all())
    True
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**32:
        raise ValueError(
            (
                "Seed must be between 0 and 2**32 - 1."
                if whole
                else "Expected `seed` argument to be an integer."
            )
            + f" Received: seed={seed} (of type {type(seed)})"
        )
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002  # the global generator is what is asked for
    set_global_seed(int(seed))
