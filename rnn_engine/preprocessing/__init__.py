"""Data preparation under its old names: `keras.preprocessing`."""

from typing import Any

from rnn_engine.lazy import lazily, show_public
from rnn_engine.preprocessing import sequence

__all__ = [
    "image",
    "sequence",
    "text",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
_SERIES = "rnn_engine.utils.timeseries"
_find = lazily(
    __name__,
    {
        "image": "rnn_engine.preprocessing.image",
        "text": "rnn_engine.preprocessing.text",
        "text_dataset_from_directory": "rnn_engine.utils.text_files:text_dataset_from_directory",
        "timeseries_dataset_from_array": f"{_SERIES}:timeseries_dataset_from_array",
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)


show_public(__name__)
