"""Data preparation, seeds and drawing: `keras.utils`."""

from typing import TYPE_CHECKING, Any

from rnn_engine.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
    standardize_dtype,
)
from rnn_engine.lazy import lazily, places_in, show_public
from rnn_engine.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

if TYPE_CHECKING:
    from rnn_engine.callbacks.progbar import Progbar
    from rnn_engine.ops.keras2 import is_keras_tensor
    from rnn_engine.saving.objects import deserialize_keras_object, serialize_keras_object
    from rnn_engine.utils.dataset import (
        PyDataset,
        pack_x_y_sample_weight,
        unpack_x_y_sample_weight,
    )
    from rnn_engine.utils.download import get_file, validate_file
    from rnn_engine.utils.numerical import normalize, to_categorical
    from rnn_engine.utils.pictures import array_to_img, img_to_array, load_img, save_img
    from rnn_engine.utils.plotting import plot_model
    from rnn_engine.utils.seeds import set_random_seed
    from rnn_engine.utils.sequences import pad_sequences
    from rnn_engine.utils.session import clear_session
    from rnn_engine.utils.split import split_dataset
    from rnn_engine.utils.text_files import text_dataset_from_directory
    from rnn_engine.utils.timeseries import TimeseriesDataset, timeseries_dataset_from_array

    Sequence = PyDataset

CustomObjectScope = custom_object_scope

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

_NAMES = {
    "dataset": "PyDataset pack_x_y_sample_weight unpack_x_y_sample_weight",
    "download": "get_file validate_file",
    "numerical": "normalize to_categorical",
    "pictures": "array_to_img img_to_array load_img save_img",
    "plotting": "plot_model",
    "seeds": "set_random_seed",
    "sequences": "pad_sequences",
    "session": "clear_session",
    "split": "split_dataset",
    "text_files": "text_dataset_from_directory",
    "timeseries": "TimeseriesDataset timeseries_dataset_from_array",
}
_ELSEWHERE = {
    "callbacks.progbar": "Progbar",
    "ops.keras2": "is_keras_tensor",
    "saving.objects": "deserialize_keras_object serialize_keras_object",
}
_find = lazily(
    __name__,
    {
        **places_in(__name__, _NAMES),
        **places_in("rnn_engine", _ELSEWHERE),
        "Sequence": "rnn_engine.utils.dataset:PyDataset",
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)


show_public(__name__)
