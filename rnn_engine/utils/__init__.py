"""Data preparation, seeds and drawing: `keras.utils`."""

from typing import Any

from rnn_engine.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
    standardize_dtype,
)
from rnn_engine.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from rnn_engine.utils.dataset import (
    PyDataset,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)
from rnn_engine.utils.numerical import normalize, to_categorical
from rnn_engine.utils.seeds import set_random_seed
from rnn_engine.utils.sequences import pad_sequences
from rnn_engine.utils.session import clear_session
from rnn_engine.utils.timeseries import TimeseriesDataset, timeseries_dataset_from_array

CustomObjectScope = custom_object_scope
Sequence = PyDataset

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "TimeseriesDataset",
    "clear_session",
    "custom_object_scope",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "is_interactive_logging_enabled",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "set_random_seed",
    "standardize_dtype",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def plot_model(model: Any, *args: Any, **kwargs: Any) -> Any:
    """Draw a model; see `rnn_engine.utils.plotting.plot_model`, loaded on the first call."""
    from rnn_engine.utils.plotting import plot_model as draw

    return draw(model, *args, **kwargs)
