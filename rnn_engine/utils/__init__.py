"""Data preparation, seeds and drawing: `keras.utils`."""

from typing import Any

from rnn_engine.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
    standardize_dtype,
)
from rnn_engine.lazy import lazily, show_public
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

CustomObjectScope = custom_object_scope
Sequence = PyDataset

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "TimeseriesDataset",
    "array_to_img",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "load_img",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
    "validate_file",
]

_SERIES = "rnn_engine.utils.timeseries"
_find = lazily(
    __name__,
    {
        **{
            name: f"rnn_engine.utils.pictures:{name}"
            for name in ("array_to_img", "img_to_array", "load_img", "save_img")
        },
        **{
            name: f"rnn_engine.saving.objects:{name}"
            for name in ("deserialize_keras_object", "serialize_keras_object")
        },
        "is_keras_tensor": "rnn_engine.ops.keras2:is_keras_tensor",
        "Progbar": "rnn_engine.callbacks.progbar:Progbar",
        "TimeseriesDataset": f"{_SERIES}:TimeseriesDataset",
        "get_file": "rnn_engine.utils.download:get_file",
        "plot_model": "rnn_engine.utils.plotting:plot_model",
        "split_dataset": "rnn_engine.utils.split:split_dataset",
        "text_dataset_from_directory": "rnn_engine.utils.text_files:text_dataset_from_directory",
        "timeseries_dataset_from_array": f"{_SERIES}:timeseries_dataset_from_array",
        "validate_file": "rnn_engine.utils.download:validate_file",
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)


show_public(__name__)
