"""Recurrences: one walk through time for every cell, forward and back."""

from rnn_engine.kernels.recurrent.recurrence import Packed, Recurrence, Saved, recurrence

__all__ = ["Packed", "Recurrence", "Saved", "recurrence"]
