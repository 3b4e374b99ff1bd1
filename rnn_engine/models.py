"""Models: `keras.models`."""

from rnn_engine.model import Sequential

__all__ = ["Sequential"]
