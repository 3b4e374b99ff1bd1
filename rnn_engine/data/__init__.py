"""Input pipelines over iterators: `tf.data`, as far as programs around Keras use it."""

from rnn_engine.data.dataset import AUTOTUNE, Dataset
from rnn_engine.data.structure import TensorSpec

INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2

__all__ = ["AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "Dataset", "TensorSpec"]
