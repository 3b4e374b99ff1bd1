"""Small trainings that have whatever a training may have; the same on any number of ranks."""

import zlib
from typing import Any

import numpy as np

import rnn_engine
from rnn_engine import callbacks, layers, losses, optimizers
from rnn_engine.utils import PyDataset

ROWS = 43  # batches of 16, and one of 11


def _numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _padded() -> np.ndarray:
    rng = np.random.default_rng(3)
    x = rng.integers(1, 20, (ROWS, 6))
    x[np.arange(6) >= rng.integers(1, 7, (ROWS, 1))] = 0
    return x


def weighted(
    random: bool = False, kept: Any = None, penalty: str | None = "l2"
) -> tuple[Any, dict[str, Any]]:
    """Classes, weights, metrics, a validation; with `random`, dropout of every kind.

    `kept` is how many steps lie between the states that a pass keeps, `penalty` one on weights.
    """
    rate = 0.2 if random else 0.0
    model = rnn_engine.Sequential(
        [
            layers.Input((6, 3)),
            layers.LSTM(5, dropout=rate, recurrent_dropout=rate, return_sequences=True),
            layers.GaussianNoise(rate),
            layers.GRU(4, kernel_regularizer=penalty),
            layers.Dropout(rate),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile(
        optimizers.Adam(0.01, global_clipnorm=0.5), "sparse_categorical_crossentropy",
        metrics=["accuracy", "sparse_categorical_crossentropy"], weighted_metrics=["accuracy"],
        checkpoint_steps=kept,
    )  # fmt: skip
    x = _numbers(ROWS, 6, 3)
    y = np.random.default_rng(1).integers(0, 3, ROWS)
    weight = np.random.default_rng(2).random(ROWS).astype(np.float32)
    return model, {"x": x, "y": y, "sample_weight": weight, "validation_data": (x[:21], y[:21])}


def masked() -> tuple[Any, dict[str, Any]]:
    """Sparse gradients, a mask in the loss, a penalty on activities."""
    model = rnn_engine.Sequential(
        [
            layers.Input((6,)),
            layers.Embedding(20, 4, mask_zero=True),
            layers.GRU(5, return_sequences=True),
            layers.Dense(1, activity_regularizer="l2"),
        ]
    )
    model.compile("sgd", "mse", metrics=["mae"])
    return model, {"x": _padded(), "y": _numbers(ROWS, 6, 1)}


def branched() -> tuple[Any, dict[str, Any]]:
    """Two inputs, two outputs, losses of other reductions, weights of one output."""
    a, b = layers.Input((6,), name="a"), layers.Input((2,), name="b")
    h = layers.SimpleRNN(4, return_sequences=True)(layers.Embedding(20, 3, mask_zero=True)(a))
    steps = layers.Dense(2, name="steps")(h)
    last = layers.Concatenate()([layers.GRU(3)(h), b])
    total = layers.Dense(1, "sigmoid", name="total")(last)
    model = rnn_engine.Model([a, b], [steps, total])
    model.compile(
        "sgd",
        [losses.MeanSquaredError(reduction="mean_with_sample_weight"),
         losses.BinaryCrossentropy(reduction="sum")],
        loss_weights=[1.0, 0.1],
        metrics=[["mae"], ["accuracy", "AUC"]],
    )  # fmt: skip
    y = [_numbers(ROWS, 6, 2), (_numbers(ROWS, 1, seed=5) > 0).astype(np.float32)]
    weight = [np.random.default_rng(6).random((ROWS, 6)).astype(np.float32), np.ones(ROWS, "f")]
    return model, {"x": [_padded(), _numbers(ROWS, 2)], "y": y, "sample_weight": weight}


class Batches(PyDataset):
    """Data that come in batches, some of fewer rows than there are ranks."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        rows = (16, 3, 9, 1)[index]
        return _numbers(rows, 5, 2, seed=index), _numbers(rows, 1, seed=index + 9)


def of_a_dataset() -> tuple[Any, dict[str, Any]]:
    """A dataset with short batches, and callbacks that decide by the logs."""
    model = rnn_engine.Sequential([layers.Input((5, 2)), layers.SimpleRNN(6), layers.Dense(1)])
    model.compile(optimizers.RMSprop(0.05), losses.Huber(), metrics=["mse", "R2Score"])
    slower = callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=1.0, factor=0.5)
    early = callbacks.EarlyStopping("loss", patience=1, min_delta=1.0, restore_best_weights=True)
    return model, {"x": Batches(), "callbacks": [slower, early]}


TRAININGS = {
    "weighted": weighted,
    "unpenalized": lambda: weighted(penalty=None),
    "random": lambda: weighted(random=True),
    "checkpoints": lambda: weighted(random=True, kept=2),
    "masked": masked,
    "branched": branched,
    "dataset": of_a_dataset,
}


def train(name: str, parallel: Any, epochs: int = 3) -> Any:
    """Return the model of a training, and its history."""
    rnn_engine.utils.set_random_seed(4)
    model, settings = TRAININGS[name]()
    arrays = {} if name == "dataset" else {"batch_size": 16}
    history = model.fit(**settings, **arrays, epochs=epochs, verbose=0, parallel=parallel)
    return model, history.history


def bits(model: Any, history: Any) -> list[Any]:
    """Return a checksum of weights and optimizer, and the history to the last digit."""
    variables = [*model.weights, *model.optimizer.variables]
    data = b"".join(np.ascontiguousarray(v.value).tobytes() for v in variables)
    return [
        zlib.crc32(data),
        {name: [float(v) for v in values] for name, values in history.items()},
    ]
