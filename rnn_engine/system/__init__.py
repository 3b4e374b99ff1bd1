"""What this machine gives the engine, and compiling for it ahead of time."""

from rnn_engine.system.information import info
from rnn_engine.system.preparation import warmup

__all__ = ["info", "warmup"]
