"""`fit_many`: many small models, each of its own data."""

import multiprocessing
import pickle
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnn_engine.kernels.cores import available_cores
from rnn_engine.kernels.threads import set_num_threads
from rnn_engine.random import own_stream
from rnn_engine.training.arguments import check_count

_CHUNK = 32
"""Data sets that a process gets at once, at most: sending each alone would cost more."""


def fit_many(
    build: Callable[[], Any],
    datasets: Any,
    *,
    seed: int = 0,
    workers: int | None = None,
    **fit: Any,
) -> Any:
    """Train a model of its own for each data set, on all cores.

    The bits are those of the serial run, at any number of workers::

        for i, (x, y) in enumerate(datasets):
            rnn_engine.utils.set_random_seed(seed + i)
            model = build()
            model.fit(x, y, verbose=0, **fit)

    The workers are processes with one thread each: a small model spends its time in Python,
    where threads wait for each other (docs/many_models.md has figures). They are started as
    `multiprocessing` starts them on this system; where that is not by a fork, `build` has to be
    a function of a module, and the program needs its ``if __name__ == "__main__":``.

    Parameters
    ----------
    build : callable
        Returns a new compiled model; called once for each data set.
    datasets : iterable or mapping
        Each is ``(x, y)``, ``(x, y, sample_weight)`` or a dict of arguments of `fit`.
    seed : int
        That of the first model; the next one has the next seed.
    workers : int, optional
        As many as this process may use cores, if None; 1 trains in this process.
    **fit
        Arguments of `Model.fit` for all.

    Returns
    -------
    list or dict of Model
        Trained, each with its `history`, in the order of `datasets`; by the same keys where those
        are a mapping.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    Exception
        What `build` or a `fit` raises, with a note on which data set it was; the models trained
        so far are lost.

    Examples
    --------
    >>> import numpy as np
    >>> import rnn_engine
    >>> def build():
    ...     model = rnn_engine.Sequential([rnn_engine.layers.SimpleRNN(4, input_shape=(5, 1))])
    ...     model.compile("adam", "mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(3, 20, 5, 1))
    >>> models = fit_many(build, {name: (x[i], x[i, :, :4, 0]) for i, name in enumerate("abc")},
    ...                   epochs=2, workers=1)
    >>> models["b"].predict(x[1], verbose=0).shape
    (20, 4)
    """
    if not callable(build):
        raise TypeError(f"build must be a function that returns a model, got {build!r}.")
    if not hasattr(datasets, "__iter__"):
        raise TypeError(
            f"datasets must be an iterable or a mapping of data sets, got {datasets!r}."
        )
    keys = list(datasets) if isinstance(datasets, Mapping) else None
    data = list(datasets.values()) if isinstance(datasets, Mapping) else list(datasets)
    jobs = [
        (build, _arguments(one, key, fit), _seed(seed, i), key)
        for i, (key, one) in enumerate(zip(keys or range(len(data)), data, strict=True))
    ]
    count = available_cores() if workers is None else check_count(workers, "workers")
    models = _trained(jobs, min(count, len(jobs)))
    return models if keys is None else dict(zip(keys, models, strict=True))


def _arguments(one: Any, key: Any, fit: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `fit` for a data set."""
    if isinstance(one, Mapping):
        own = dict(one)
    elif isinstance(one, tuple | list) and len(one) in (2, 3):
        own = dict(zip(("x", "y", "sample_weight"), one, strict=False))
    else:
        raise ValueError(
            f"Data set {key!r} must be (x, y), (x, y, sample_weight) or a dict of arguments of "
            f"fit, got {type(one).__name__}."
        )
    return {"verbose": 0, **fit, **own}


def _seed(seed: Any, place: int) -> int:
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed <= seed + place < 2**32:
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, got {seed!r}.")
    return int(seed) + place


def _trained(jobs: list[Any], workers: int) -> list[Any]:
    if workers < 2:
        return [_train(*job) for job in jobs]
    size = min(_CHUNK, -(-len(jobs) // workers))
    # Pickled here: what cannot be would otherwise be found by the pool, which then may hang.
    chunks = [pickle.dumps(jobs[i : i + size], -1) for i in range(0, len(jobs), size)]
    context = multiprocessing.get_context()
    pool = ProcessPoolExecutor(min(workers, len(chunks)), context, set_num_threads, (1,))
    try:
        with warnings.catch_warnings():
            # Newer Pythons warn of a fork beside threads. The engine holds its locks around one,
            # and its children compute on one thread: see `kernels.threads`.
            warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
            found = pool.map(_train_all, chunks)
        return [model for chunk in found for model in chunk]
    finally:
        pool.shutdown(cancel_futures=True)


def _train_all(jobs: bytes) -> list[Any]:
    return [_train(*job) for job in pickle.loads(jobs)]  # of this process's parent


def _train(build: Callable[[], Any], arguments: dict[str, Any], seed: int, key: Any) -> Any:
    """Return a model trained as after `set_random_seed`."""
    with _seeded(seed):
        try:
            model = build()
            model.fit(**arguments)
        except Exception as error:
            error.add_note(f"fit_many: this was data set {key!r}.")
            raise
    return model


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed all streams within the block, and leave them as they were."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002  # as `set_random_seed`
    try:
        with own_stream(seed):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
