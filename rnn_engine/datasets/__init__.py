"""Datasets that Keras fetches: `keras.datasets`.

They are downloaded from where Keras gets them, into the folder where Keras keeps them
(``~/.keras/datasets``, or ``$KERAS_HOME/datasets``), once. Without a network the error says
where to put the file.
"""

from rnn_engine.datasets import (
    boston_housing,
    california_housing,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
from rnn_engine.lazy import lazily

__all__ = ["boston_housing", "california_housing", "fashion_mnist", "imdb", "mnist", "reuters"]

__getattr__ = lazily(__name__, {})
