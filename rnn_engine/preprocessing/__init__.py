"""Data preparation under its old names: `keras.preprocessing`."""

from typing import Any

from rnn_engine.lazy import lazily
from rnn_engine.preprocessing import sequence

__all__ = ["sequence", "text", "timeseries_dataset_from_array"]
_SERIES = "rnn_engine.utils.timeseries"
_find = lazily(
    __name__,
    {
        "text": "rnn_engine.preprocessing.text",
        "timeseries_dataset_from_array": f"{_SERIES}:timeseries_dataset_from_array",
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)
