"""Strings to numbers before a model: `StringLookup`, `TextVectorization`."""

from rnn_engine.layers.preprocessing.string_lookup import StringLookup
from rnn_engine.layers.preprocessing.text_vectorization import TextVectorization

__all__ = ["StringLookup", "TextVectorization"]
