"""Sequences: `keras.preprocessing.sequence`."""

from typing import TYPE_CHECKING, Any

from rnn_engine.lazy import lazily
from rnn_engine.utils.sequences import pad_sequences

if TYPE_CHECKING:
    from rnn_engine.utils.skipgrams import make_sampling_table, skipgrams
    from rnn_engine.utils.timeseries_generator import TimeseriesGenerator

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]
_find = lazily(
    __name__,
    {
        "TimeseriesGenerator": "rnn_engine.utils.timeseries_generator:TimeseriesGenerator",
        "make_sampling_table": "rnn_engine.utils.skipgrams:make_sampling_table",
        "skipgrams": "rnn_engine.utils.skipgrams:skipgrams",
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)
