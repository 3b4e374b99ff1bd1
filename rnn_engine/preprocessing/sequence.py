"""Sequences: `keras.preprocessing.sequence`."""

from rnn_engine.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]
