"""Sequences that arrive bit by bit: sessions that carry on where the call before ended.

`model.stream()` makes a `Stream`; see docs/streaming.md.
"""

from rnn_engine.streaming.stream import Stream

__all__ = ["Stream"]
