"""Data preparation under its old names: `keras.preprocessing`."""

from rnn_engine.preprocessing import sequence
from rnn_engine.utils.timeseries import timeseries_dataset_from_array

__all__ = ["sequence", "timeseries_dataset_from_array"]
