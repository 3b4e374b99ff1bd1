"""`warmup`: run what ordinary programs run, so that its kernels are compiled and kept."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnn_engine import layers, optimizers
from rnn_engine import random as engine_random
from rnn_engine.config import standardize_dtype
from rnn_engine.kernels import threads
from rnn_engine.kernels.compiler import LIBRARY
from rnn_engine.sequential import Sequential
from rnn_engine.utils import naming

SAMPLES, STEPS, FEATURES, CLASSES = 6, 3, 2, 3
# Units of a Dense with more weights than training packs at once.
MANY = 5000
# Units, and steps, of one sequence that is long and wide enough for kernels of its own.
ALONE = 256
# Rows and units of a batch that goes back in groups with sums of their own.
ROWS, WIDE = 16, 64
# Loss, activation of the output, kind of target: between them every kernel of a loss.
_LOSSES = (
    ("mse", None, "numbers"),
    ("binary_crossentropy", "sigmoid", "zeros and ones"),
    ("categorical_crossentropy", "softmax", "one-hot"),
    ("sparse_categorical_crossentropy", "softmax", "labels"),
)


def warmup(dtypes: Sequence[str] = ("float32",), parallel: bool = True) -> None:
    """Compile the kernels of ordinary programs ahead, and keep them on disk.

    For images and servers: where the cache folder (`RNN_ENGINE_CACHE_DIR`) goes into
    the image, no process compiles them again on a CPU of this kind. Covers SimpleRNN, LSTM
    and GRU with and without a mask and dropout, Embedding, Dense, the cross-entropies and the
    optimizers SGD, RMSprop, Adam and AdamW. Not in Keras.

    Random streams and automatic names are as if it had not run. Where the kernels come from a
    library that was built ahead there is nothing to do.

    Parameters
    ----------
    dtypes : sequence of str
        "float32", "float64" or both.
    parallel : bool
        Also compile what large work runs on several threads.

    Raises
    ------
    ValueError
        If a dtype is not one of the two.

    Examples
    --------
    >>> warmup(parallel=False)
    """
    if isinstance(dtypes, str):
        dtypes = (dtypes,)
    names = [standardize_dtype(dtype) for dtype in dtypes]
    for name in names:
        if name not in ("float32", "float64"):
            raise ValueError(f'dtypes must hold "float32" or "float64", got {name!r}.')
    if LIBRARY is not None:
        return
    with _no_traces():
        for name in names:
            _run_programs(name)
            if parallel:
                with _everything_parallel():
                    _fit(name, "sgd", *_LOSSES[0])
                    _run_masked(name)
                    _run_cells(name)


@contextlib.contextmanager
def _no_traces() -> Iterator[None]:
    """Put the streams of random numbers and of names back where they were."""
    used = dict(naming._USED)
    try:
        with engine_random.own_stream(0):
            yield
    finally:
        naming._USED.clear()
        naming._USED.update(used)


@contextlib.contextmanager
def _everything_parallel() -> Iterator[None]:
    """Share out the smallest work; other threads notice nothing but the time."""
    work, count = threads.SERIAL_WORK, threads.get_num_threads()
    threads.SERIAL_WORK = 0
    threads.set_num_threads(max(2, count))
    try:
        yield
    finally:
        threads.SERIAL_WORK = work
        threads.set_num_threads(count)


def _run_programs(dtype: str) -> None:
    for loss in _LOSSES:
        _fit(dtype, "sgd", *loss)
    for optimizer in ("rmsprop", "adam", "adamw", optimizers.SGD(0.01, momentum=0.9)):
        _fit(dtype, optimizer, *_LOSSES[0])
    for activation in ("relu", "sigmoid", "linear"):
        layer = layers.SimpleRNN(4, activation, dtype=dtype)
        layer(np.zeros((SAMPLES, STEPS, FEATURES), dtype))
    # A long sequence alone, with many units, has kernels of its own.
    layers.SimpleRNN(ALONE, dtype=dtype)(np.zeros((1, ALONE, FEATURES), dtype))
    _run_masked(dtype)
    _run_cells(dtype)


def _run_cells(dtype: str) -> None:
    """Go forward and back through every cell, plain, and under a mask with dropout."""
    x = np.zeros((ROWS, STEPS, FEATURES), dtype)
    mask = np.arange(STEPS) < 1 + np.arange(ROWS)[:, None] % STEPS
    for kind in (layers.SimpleRNN, layers.LSTM, layers.GRU):
        for rate in (0.0, 0.1):
            layer = kind(WIDE, dropout=rate, recurrent_dropout=rate, dtype=dtype)
            layer(x)
            y, saved = layer.forward(x, True, mask if rate else None)
            layer.backward(y, saved)


def _target(kind: str, dtype: str) -> np.ndarray:
    labels = np.arange(SAMPLES) % CLASSES
    if kind == "labels":
        return labels
    one_hot = np.eye(CLASSES, dtype=dtype)[labels]
    return one_hot if kind in ("one-hot", "zeros and ones") else one_hot - 0.5


def _fit(dtype: str, optimizer: Any, loss: str, activation: str | None, kind: str) -> None:
    """Train, evaluate and predict, with and without sequences between the layers."""
    model = Sequential(
        [
            layers.SimpleRNN(4, return_sequences=True, dtype=dtype),
            layers.SimpleRNN(4, dtype=dtype),
            layers.Dense(MANY, dtype=dtype),
            layers.Dense(CLASSES, activation=activation, dtype=dtype),
        ]
    )
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    x, y = np.ones((SAMPLES, STEPS, FEATURES), dtype), _target(kind, dtype)
    model.fit(x, y, batch_size=4, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    model.predict_on_batch(x)
    model(x)
    model.train_on_batch(x, y)


def _run_masked(dtype: str) -> None:
    """Train on indices with padding, with dropout."""
    model = Sequential(
        [
            layers.Embedding(8, 4, mask_zero=True, dtype=dtype),
            layers.SimpleRNN(4, dropout=0.1, recurrent_dropout=0.1, dtype=dtype),
            layers.Dense(CLASSES, activation="softmax", dtype=dtype),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    x = np.arange(SAMPLES * STEPS).reshape(SAMPLES, STEPS) % 8
    y = _target("labels", dtype)
    model.fit(x, y, batch_size=4, verbose=0)
    model.predict(x, verbose=0)
