"""What stands around the recurrent layers, beside Keras: ``python -m benchmarks.around [NAMES]``.

Text, padding, windows, metrics, normalization, dropout, generators, convolutions, saving and
loading. Each case is written once, in the names both packages share, and runs in turns; printed are
medians and how many times ours Keras takes. The promise is 1 or more on every line.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import interleave, summarise, timed_block

ROUNDS, SECONDS = 9, 0.15
Call = Callable[[], Any]

rng = np.random.default_rng(0)
WORDS = np.array([f"word{i}" for i in range(5_000)])
TEXTS = [" ".join(rng.choice(WORDS, 30)) for _ in range(20_000)]
SEQUENCES = [list(rng.integers(1, 999, n)) for n in rng.integers(1, 200, 5_000)]
SERIES = rng.standard_normal((20_000, 4)).astype("f4")
BATCH = rng.standard_normal((64, 100, 64)).astype("f4")
LABELS = rng.integers(0, 10, 10_000)
SCORES = rng.dirichlet(np.ones(10), 10_000).astype("f4")


def text_adapt(package: Any) -> Call:
    """Learn a vocabulary of 20,000 texts of 30 words."""

    def call() -> None:
        package.layers.TextVectorization(max_tokens=4_000).adapt(TEXTS)

    return call


def text_call(package: Any) -> Call:
    """Turn 20,000 texts of 30 words into indices."""
    layer = package.layers.TextVectorization(max_tokens=4_000, output_sequence_length=30)
    layer.adapt(TEXTS)
    return lambda: np.asarray(layer(TEXTS))


def padding(package: Any) -> Call:
    """Pad 5,000 sequences."""
    return lambda: package.utils.pad_sequences(SEQUENCES, maxlen=100)


def windows(package: Any) -> Call:
    """Go through the windows of a series once."""
    make = package.utils.timeseries_dataset_from_array

    def call() -> int:
        made = make(SERIES[:-50], SERIES[50:, 0], sequence_length=50, batch_size=128)
        return sum(len(np.asarray(x)) for x, _ in made)

    return call


def one_hot(package: Any) -> Call:
    """Turn classes into rows."""
    return lambda: package.utils.to_categorical(LABELS, 50)


def metrics(package: Any) -> Call:
    """Update and read accuracy and AUC."""
    accuracy = package.metrics.SparseCategoricalAccuracy()
    area, truth = package.metrics.AUC(), (LABELS > 4).astype("f4")

    def call() -> float:
        accuracy.update_state(LABELS, SCORES)
        area.update_state(truth, SCORES[:, 0])
        return float(accuracy.result()) + float(area.result())

    return call


def _layer(make: Callable[[Any], Any]) -> Callable[[Any], Call]:
    def case(package: Any) -> Call:
        layer = make(package.layers)
        layer(BATCH, training=True)
        return lambda: np.asarray(layer(BATCH, training=True))

    return case


def _train(make: Callable[[Any], list[Any]]) -> Callable[[Any], Call]:
    def case(package: Any) -> Call:
        model = package.Sequential([package.Input(BATCH.shape[1:]), *make(package.layers)])
        model.compile("adam", "mse")
        y = np.zeros((len(BATCH), *model.output_shape[1:]), "f4")
        return lambda: model.train_on_batch(BATCH, y)

    return case


def attention(package: Any) -> Call:
    """Train one layer of self-attention."""
    given = package.Input(BATCH.shape[1:])
    model = package.Model(given, package.layers.MultiHeadAttention(4, 16)(given, given))
    model.compile("adam", "mse")
    return lambda: model.train_on_batch(BATCH, np.zeros_like(BATCH))


def generator(package: Any) -> Call:
    """Train for an epoch on a generator of small batches."""
    model = package.Sequential([package.Input((10, 4)), package.layers.SimpleRNN(8)])
    model.compile("sgd", "mse")
    x, y = SERIES[:3200].reshape(320, 10, 4), np.zeros((320, 8), "f4")

    def batches() -> Any:
        while True:
            for i in range(0, 320, 16):
                yield x[i : i + 16], y[i : i + 16]

    return lambda: model.fit(batches(), steps_per_epoch=20, verbose=0)


def _file(suffix: str, *, load: bool) -> Callable[[Any], Call]:
    def case(package: Any) -> Call:
        layers = package.layers
        model = package.Sequential(
            [package.Input((None, 256)), layers.LSTM(512), layers.Dense(256)]
        )
        path = str(Path(tempfile.mkdtemp()) / f"m{suffix}")
        if not load:
            return lambda: model.save(path)
        model.save(path)
        return lambda: package.models.load_model(path)

    return case


CASES: dict[str, Callable[[Any], Call]] = {
    "TextVectorization.adapt": text_adapt,
    "TextVectorization": text_call,
    "pad_sequences": padding,
    "timeseries_dataset_from_array": windows,
    "to_categorical": one_hot,
    "accuracy and AUC": metrics,
    "LayerNormalization": _layer(lambda layers: layers.LayerNormalization()),
    "BatchNormalization": _layer(lambda layers: layers.BatchNormalization()),
    "Dropout": _layer(lambda layers: layers.Dropout(0.3)),
    "GaussianNoise": _layer(lambda layers: layers.GaussianNoise(0.1)),
    "Conv1D": _layer(lambda layers: layers.Conv1D(64, 5)),
    "MultiHeadAttention, trained": attention,
    "Dense over time, trained": _train(lambda layers: [layers.Dense(64, "relu")]),
    "LayerNormalization, trained": _train(lambda layers: [layers.LayerNormalization()]),
    "Conv1D and pooling, trained": _train(
        lambda layers: [layers.Conv1D(64, 5, activation="relu"), layers.MaxPooling1D(2)]
    ),
    "fit from a generator": generator,
    "save .keras": _file(".keras", load=False),
    "load .keras": _file(".keras", load=True),
    "save .h5": _file(".h5", load=False),
    "load .h5": _file(".h5", load=True),
}


def main(names: list[str]) -> None:
    """Print a row a case."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    import rnn_engine

    tf.get_logger().setLevel("ERROR")
    print("| case | rnn_engine ms | Keras ms | Keras ÷ ours |\n| --- | ---: | ---: | ---: |")
    for name, make in CASES.items():
        if names and not any(part.lower() in name.lower() for part in names):
            continue
        calls = {"ours": make(rnn_engine), "keras": make(keras)}
        blocks = {
            side: (lambda seconds, call=call: timed_block(call, seconds))
            for side, call in calls.items()
        }
        found = interleave(blocks, rounds=ROUNDS, seconds=SECONDS, budget=30.0, pause=0.004)
        ours, theirs = (summarise(found[side]).median * 1e3 for side in ("ours", "keras"))
        print(f"| {name} | {ours:.3g} | {theirs:.3g} | {theirs / ours:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
