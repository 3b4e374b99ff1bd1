"""Data preparation, seeds and drawing: `keras.utils`."""

from typing import Any

from rnn_engine.utils.numerical import normalize, to_categorical
from rnn_engine.utils.seeds import set_random_seed
from rnn_engine.utils.sequences import pad_sequences
from rnn_engine.utils.timeseries import TimeseriesDataset, timeseries_dataset_from_array

__all__ = [
    "TimeseriesDataset",
    "normalize",
    "pad_sequences",
    "plot_model",
    "set_random_seed",
    "timeseries_dataset_from_array",
    "to_categorical",
]


def plot_model(model: Any, *args: Any, **kwargs: Any) -> Any:
    """Draw a model; see `rnn_engine.utils.plotting.plot_model`, loaded on the first call."""
    from rnn_engine.utils.plotting import plot_model as draw

    return draw(model, *args, **kwargs)
