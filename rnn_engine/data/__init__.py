"""Input pipelines over iterators: `tf.data`, as far as programs around Keras use it."""

from types import SimpleNamespace
from typing import Any

from rnn_engine.data.dataset import AUTOTUNE, Dataset
from rnn_engine.data.structure import TensorSpec

INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2


def cardinality(dataset: Dataset) -> Any:
    """Return how many elements a dataset has: -1 if they do not end, -2 if nobody knows."""
    return dataset.cardinality()


class Options:
    """Takes the settings that tell TensorFlow how to hurry; they have no effect."""

    def __init__(self) -> None:
        self.experimental_optimization = SimpleNamespace()
        self.experimental_distribute = SimpleNamespace()
        self.autotune = SimpleNamespace()
        self.threading = SimpleNamespace()


# Early names that programs still have.
experimental = SimpleNamespace(
    AUTOTUNE=AUTOTUNE,
    cardinality=cardinality,
    INFINITE_CARDINALITY=INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY=UNKNOWN_CARDINALITY,
)

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "Dataset",
    "Options",
    "TensorSpec",
    "cardinality",
    "experimental",
]
